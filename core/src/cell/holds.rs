//! What updates hold until they are confirmed or released, and how much of it can be given back.
//!
//! Giving back a held charge must leave the quota as if the charge had never been made. That is less than the charge where
//! time has paid it back already: had it not been made, the quota would have stood whole meanwhile, and that time would
//! not have counted for later charges. So at each charge, all holds made until then are together worth at most what is
//! still to be paid back: a cap for each hold and those older than it. What a hold is worth is the least that these caps
//! leave to it; the order in which holds are given back makes no difference to the sum.

use minicbor::{Decode, Encode};

use super::OperationId;
use crate::policy_name::PolicyName;

/// The holds of one cell, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct Holds(#[n(0)] Vec<Hold>);

/// The charges of one update, which can be given back.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Hold {
    #[n(0)]
    pub(super) id: OperationId,
    /// Until when it can be confirmed or released.
    #[n(1)]
    pub(super) until_us: u64,
    /// Whether the charges stand when the time is over.
    #[n(2)]
    pub(super) confirmed: bool,
    #[n(3)]
    pub(super) charges: Vec<Held>,
}

/// One charge that is held.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Held {
    #[n(0)]
    pub(super) quota: PolicyName,
    #[n(1)]
    pub(super) ns: u64,
    /// What this and all older charges of the quota are worth together; absent, their sum.
    #[n(2)]
    pub(super) cap_ns: Option<u64>,
}

impl Held {
    pub(super) const fn new(quota: PolicyName, ns: u64) -> Self {
        Self { quota, ns, cap_ns: None }
    }

    fn cap(&mut self, ns: u64) {
        self.cap_ns = Some(self.cap_ns.map_or(ns, |cap_ns| cap_ns.min(ns)));
    }
}

impl Holds {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one more can be added, if need be in place of one that is confirmed.
    pub(super) fn have_room(&self) -> bool {
        self.0.len() < HOLDS_MAX || self.0.iter().any(|hold| hold.confirmed)
    }

    pub(super) fn find(&self, id: OperationId) -> Option<&Hold> {
        self.0.iter().find(|hold| hold.id == id)
    }

    /// Adds a hold; where there is no room, the oldest that is confirmed can no longer be released.
    pub(super) fn add(&mut self, hold: Hold) {
        if self.0.len() >= HOLDS_MAX
            && let Some(place) = self.0.iter().position(|hold| hold.confirmed)
        {
            self.remove(place);
        }
        self.0.push(hold);
    }

    /// Says whether there was something to confirm.
    pub(super) fn confirm(&mut self, id: OperationId) -> bool {
        match self.0.iter_mut().find(|hold| hold.id == id) {
            Some(hold) => !std::mem::replace(&mut hold.confirmed, true),
            None => false,
        }
    }

    /// Takes note that a quota is charged while it has so much to be paid back.
    pub(super) fn charged(&mut self, quota: &str, ahead_ns: u64) {
        if let Some(newest) = self.newest_of(quota, self.0.len()) {
            newest.cap(ahead_ns);
        }
    }

    /// Removes a hold; the answer is what it gives back to which quotas.
    pub(super) fn release(&mut self, id: OperationId) -> Vec<(PolicyName, u64)> {
        match self.0.iter().position(|hold| hold.id == id) {
            Some(place) => self.give_back(place),
            None => Vec::new(),
        }
    }

    /// Removes a hold whose time is over; the answer is what it gives back. `None` if there is none.
    pub(super) fn expire(&mut self, now_us: u64) -> Option<Vec<(PolicyName, u64)>> {
        let place = self.0.iter().position(|hold| hold.until_us <= now_us)?;
        if self.0[place].confirmed {
            self.remove(place);
            return Some(Vec::new());
        }
        Some(self.give_back(place))
    }

    pub(super) fn last_until_us(&self) -> Option<u64> {
        self.0.iter().map(|hold| hold.until_us).max()
    }

    pub(super) fn set_back(&mut self, by_us: u64) {
        for hold in &mut self.0 {
            hold.until_us = hold.until_us.saturating_sub(by_us);
        }
    }

    fn give_back(&mut self, place: usize) -> Vec<(PolicyName, u64)> {
        let charges: Vec<(PolicyName, u64)> =
            self.0[place].charges.iter().map(|held| (held.quota.clone(), held.ns)).collect();
        let worth = charges.into_iter().map(|(quota, ns)| {
            let newer = || self.0[place..].iter().flat_map(|hold| &hold.charges).filter(|held| held.quota == quota);
            let worth_ns = newer().filter_map(|held| held.cap_ns).fold(ns, u64::min);
            (quota, worth_ns)
        });
        let worth: Vec<(PolicyName, u64)> = worth.collect();
        for (quota, ns) in &worth {
            let newer = self.0[place..].iter_mut().flat_map(|hold| &mut hold.charges);
            for cap_ns in newer.filter(|held| held.quota == *quota).filter_map(|held| held.cap_ns.as_mut()) {
                *cap_ns -= ns;
            }
        }
        self.remove(place);
        worth
    }

    /// Removes a hold and leaves its caps to the next older one.
    fn remove(&mut self, place: usize) {
        let hold = self.0.remove(place);
        for held in hold.charges {
            if let (Some(cap_ns), Some(older)) = (held.cap_ns, self.newest_of(&held.quota, place)) {
                older.cap(cap_ns);
            }
        }
    }

    fn newest_of(&mut self, quota: &str, before: usize) -> Option<&mut Held> {
        self.0[..before].iter_mut().rev().flat_map(|hold| &mut hold.charges).find(|held| held.quota == *quota)
    }
}

/// Holds of one cell. At a thousand requests a second that are charged at several owners, those of a quarter of a second;
/// confirming takes one round trip.
pub(super) const HOLDS_MAX: usize = 256;
