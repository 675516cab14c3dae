//! The charges that updates hold until they are confirmed or released, and how much of them can be refunded.
//!
//! Refunding a held charge must leave the quota as if the charge had never been made. The refund is less than the
//! charge if a part of it has become available again with time: without the charge the quota would have been fully
//! available during that time, and the time would not have counted for later charges. So at each charge, the sum of all
//! earlier holds is limited to what is still charged: each hold has a cap for itself and all older holds. The value of
//! a hold is the minimum that these caps allow; the order in which holds are refunded does not change the sum.

use crate::codec::Decode;
use minicbor::Encode;

use super::OperationId;
use super::lease::Unused;
use crate::policy_name::PolicyName;

/// The holds of one cell, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct Holds(#[n(0)] Vec<Hold>);

/// The charges of one update, which can be refunded.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Hold {
    #[n(0)]
    pub(super) id: OperationId,
    /// Until when it can be confirmed or released.
    #[n(1)]
    pub(super) until_us: u64,
    /// Whether the charges are kept when the time has expired.
    #[n(2)]
    pub(super) confirmed: bool,
    #[n(3)]
    pub(super) charges: Vec<Held>,
}

/// One held charge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Held {
    #[n(0)]
    pub(super) quota: PolicyName,
    /// How far the charge moved the limit's instant; of a limit that is counted otherwise, its cost.
    #[n(1)]
    pub(super) ns: u64,
    /// The value of this and all older charges of the quota together; absent, their sum.
    #[n(2)]
    pub(super) cap_ns: Option<u64>,
    /// Of a limit that is counted otherwise: when the window of the charge began.
    #[n(3)]
    pub(super) window_us: Option<u64>,
}

/// What a hold gives back to a limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refund {
    pub(super) id: OperationId,
    pub(super) quota: PolicyName,
    pub(super) worth: u64,
    pub(super) window_us: Option<u64>,
}

impl Hold {
    /// Whether its charges may stay for good: they are confirmed, or they are those of a try (of a password), which are released only if
    /// it was right. If tries could fill the table, whoever tries would lock others out.
    const fn can_be_dropped(&self, at_us: u64) -> bool {
        self.confirmed || self.until_us > at_us.saturating_add(SHORT_US)
    }
}

impl Held {
    pub(super) const fn new(quota: PolicyName, ns: u64) -> Self {
        Self { quota, ns, cap_ns: None, window_us: None }
    }

    pub(super) const fn counted(quota: PolicyName, cost: u64, window_us: u64) -> Self {
        Self { quota, ns: cost, cap_ns: None, window_us: Some(window_us) }
    }

    /// Whether it is a charge of this limit, whose state is one instant.
    fn is_of(&self, quota: &str) -> bool {
        self.window_us.is_none() && self.quota == *quota
    }

    fn cap(&mut self, ns: u64) {
        self.cap_ns = Some(self.cap_ns.map_or(ns, |cap_ns| cap_ns.min(ns)));
    }
}

impl Holds {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one more can be added, if necessary in place of one that need not be released.
    pub(super) fn have_room(&self, at_us: u64) -> bool {
        self.0.len() < HOLDS_MAX || self.0.iter().any(|hold| hold.can_be_dropped(at_us))
    }

    pub(super) fn find(&self, id: OperationId) -> Option<&Hold> {
        self.0.iter().find(|hold| hold.id == id)
    }

    /// Whether some of the charges of a hold are counted in windows, and so must not be lost.
    pub(super) fn are_counted(&self, id: OperationId) -> bool {
        self.find(id).is_some_and(|hold| hold.charges.iter().any(|held| held.window_us.is_some()))
    }

    /// What is held of a limit, for a short time, by updates that are neither confirmed nor released: as nanoseconds of a limit whose state
    /// is an instant, and as cost of one that is counted.
    pub(super) fn undecided(&self, quota: &str, at_us: u64) -> (u64, u64) {
        let waiting = self.0.iter().filter(|hold| !hold.confirmed && !hold.can_be_dropped(at_us));
        let held = waiting.flat_map(|hold| &hold.charges).filter(|held| held.quota == *quota);
        held.fold((0, 0), |(ns, cost), held| match held.window_us {
            None => (ns.saturating_add(held.ns), cost),
            Some(_) => (ns, cost.saturating_add(held.ns)),
        })
    }

    /// Adds a hold; if the table is full, the oldest one that need not be released is dropped: its charges stay.
    pub(super) fn add(&mut self, hold: Hold, at_us: u64) {
        if self.0.len() >= HOLDS_MAX
            && let Some(place) = self.0.iter().position(|hold| hold.can_be_dropped(at_us))
        {
            self.remove(place);
        }
        self.0.push(hold);
    }

    /// Returns whether there was something to confirm.
    pub(super) fn confirm(&mut self, id: OperationId) -> bool {
        match self.0.iter_mut().find(|hold| hold.id == id) {
            Some(hold) => !std::mem::replace(&mut hold.confirmed, true),
            None => false,
        }
    }

    /// Updates the caps when a quota is charged, with the amount that is charged and not available again yet.
    pub(super) fn charged(&mut self, quota: &str, ahead_ns: u64) {
        if let Some(newest) = self.newest_of(quota, self.0.len()) {
            newest.cap(ahead_ns);
        }
    }

    /// Lowers what can be given back of a quota, after a charge that nothing is held of was taken back.
    pub(super) fn withdrawn(&mut self, quota: &str, ns: u64) {
        let all = self.0.iter_mut().flat_map(|hold| &mut hold.charges).filter(|held| held.is_of(quota));
        for cap_ns in all.filter_map(|held| held.cap_ns.as_mut()) {
            *cap_ns = cap_ns.saturating_sub(ns);
        }
    }

    /// Converts what is held of a quota to the pace of its next charge.
    pub(super) fn convert(&mut self, quota: &str, converted: impl Fn(u64) -> u64) {
        for held in self.0.iter_mut().flat_map(|hold| &mut hold.charges).filter(|held| held.is_of(quota)) {
            (held.ns, held.cap_ns) = (converted(held.ns), held.cap_ns.map(&converted));
        }
    }

    /// Removes a hold, and returns its refund for each quota.
    pub(super) fn release(&mut self, id: OperationId) -> Vec<Refund> {
        match self.0.iter().position(|hold| hold.id == id) {
            Some(place) => self.refund(place),
            None => Vec::new(),
        }
    }

    /// Removes the lease of this limit, and returns the refund of the part of it that was not used.
    pub(super) fn give_back(&mut self, unused: &Unused) -> Vec<Refund> {
        let is_lease = |hold: &Hold| hold.id == unused.id && hold.confirmed;
        let mut leases = self.0.iter_mut().enumerate().filter(|(_, hold)| is_lease(hold));
        let found = leases.find_map(|(place, hold)| match &mut hold.charges[..] {
            [held] if held.quota == unused.quota => Some((place, held)),
            _ => None,
        });
        let Some((place, held)) = found else { return Vec::new() };
        held.ns = unused.part_of(held.ns);
        self.refund(place)
    }

    /// Whether there is a lease of this limit.
    pub(super) fn have_lease(&self, unused: &Unused) -> bool {
        let has = |hold: &Hold| matches!(&hold.charges[..], [held] if held.quota == unused.quota);
        self.0.iter().any(|hold| hold.id == unused.id && hold.confirmed && has(hold))
    }

    /// Removes an expired hold, and returns its refund. `None` if there is none.
    pub(super) fn expire(&mut self, now_us: u64) -> Option<Vec<Refund>> {
        let place = self.0.iter().position(|hold| hold.until_us <= now_us)?;
        if self.0[place].confirmed {
            self.remove(place);
            return Some(Vec::new());
        }
        Some(self.refund(place))
    }

    pub(super) fn last_until_us(&self) -> Option<u64> {
        self.0.iter().map(|hold| hold.until_us).max()
    }

    pub(super) fn set_back(&mut self, by_us: u64) {
        for hold in &mut self.0 {
            hold.until_us = hold.until_us.saturating_sub(by_us);
        }
    }

    fn refund(&mut self, place: usize) -> Vec<Refund> {
        let hold = &self.0[place];
        let worth = hold.charges.iter().map(|held| {
            let newer = self.0[place..].iter().flat_map(|hold| &hold.charges).filter(|newer| newer.is_of(&held.quota));
            let worth = match held.window_us {
                None => newer.filter_map(|newer| newer.cap_ns).fold(held.ns, u64::min),
                Some(_) => held.ns,
            };
            Refund { id: hold.id, quota: held.quota.clone(), worth, window_us: held.window_us }
        });
        let worth: Vec<Refund> = worth.collect();
        for Refund { quota, worth, .. } in worth.iter().filter(|refund| refund.window_us.is_none()) {
            let newer = self.0[place..].iter_mut().flat_map(|hold| &mut hold.charges);
            for cap_ns in newer.filter(|held| held.is_of(quota)).filter_map(|held| held.cap_ns.as_mut()) {
                *cap_ns -= worth;
            }
        }
        self.remove(place);
        worth
    }

    /// Removes a hold, and moves its caps to the next older one.
    fn remove(&mut self, place: usize) {
        let hold = self.0.remove(place);
        for held in hold.charges {
            if let (Some(cap_ns), Some(older)) = (held.cap_ns, self.newest_of(&held.quota, place)) {
                older.cap(cap_ns);
            }
        }
    }

    fn newest_of(&mut self, quota: &str, before: usize) -> Option<&mut Held> {
        self.0[..before].iter_mut().rev().flat_map(|hold| &mut hold.charges).find(|held| held.is_of(quota))
    }
}

/// Charges at several owners are held for no longer than this.
const SHORT_US: u64 = 15_000_000;

/// Maximum number of holds in one cell: at a thousand requests per second that are charged at several owners, the holds
/// of a quarter of a second. Confirming takes one round trip.
pub(super) const HOLDS_MAX: usize = 256;
