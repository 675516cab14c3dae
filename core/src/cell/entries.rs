//! Charges that are stored one by one, each until its time: those of an exact sliding window, and those of requests in flight.

use crate::codec::Decode;
use crate::order;
use minicbor::Encode;

use super::OperationId;
use super::charge::{Charge, Verdict};
use super::time::MICROS_PER_MS;

/// The charges of one limit, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct Entries(#[n(0)] Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    id: OperationId,
    #[n(1)]
    until_us: u64,
    #[n(2)]
    cost: u32,
}

impl Entries {
    /// Forgets those whose time is over.
    pub(super) fn forget(&mut self, at_us: u64) {
        self.0.retain(|entry| entry.until_us > at_us);
    }

    /// Whether an update has some.
    pub(super) fn have(&self, id: OperationId) -> bool {
        self.0.iter().any(|entry| entry.id == id)
    }

    /// Removes those of an update.
    pub(super) fn remove(&mut self, id: OperationId) {
        self.0.retain(|entry| entry.id != id);
    }

    pub(super) fn last_until_us(&self) -> Option<u64> {
        self.0.iter().map(|entry| entry.until_us).max()
    }

    pub(super) fn set_back(&mut self, by_us: u64) {
        for entry in &mut self.0 {
            entry.until_us = entry.until_us.saturating_sub(by_us);
        }
    }

    /// Whether one more can be stored.
    pub(super) fn have_room(&self) -> bool {
        self.0.len() < ENTRIES_MAX
    }

    /// Whether the charge fits.
    pub(super) fn allow(&self, charge: &Charge) -> bool {
        self.used().saturating_add(charge.cost.get().into()) <= charge.burst.get().into()
    }

    /// The entries with the charge.
    pub(super) fn charged(&self, charge: &Charge, id: OperationId, at_us: u64) -> Self {
        let period_us = u64::from(charge.period_ms.get()).saturating_mul(MICROS_PER_MS);
        let new = Entry { id, until_us: at_us.saturating_add(period_us), cost: charge.cost.get() };
        Self(self.0.iter().cloned().chain([new]).collect())
    }

    /// What a limit with these entries says of the charge; `ends` says whether they may end before their time.
    pub(super) fn verdict(&self, charge: &Charge, allowed: bool, ends: bool, at_us: u64) -> Verdict {
        let left = u64::from(charge.burst.get()).saturating_sub(self.used());
        let retry_after_us = if allowed {
            Some(0)
        } else if charge.cost > charge.burst {
            None
        } else {
            let us = self.passes_at_us(charge).saturating_sub(at_us);
            Some(if ends { us.min(MAY_END_US) } else { us })
        };
        Verdict {
            allowed,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset_us: self.last_until_us().map_or(0, |until_us| until_us.saturating_sub(at_us)),
            retry_after_us,
            wait_us: None,
            leased: None,
            reached: None,
        }
    }

    fn used(&self) -> u64 {
        self.0.iter().map(|entry| u64::from(entry.cost)).sum()
    }

    /// When so many have reached their time that the charge fits.
    fn passes_at_us(&self, charge: &Charge) -> u64 {
        let room = u64::from(charge.burst.get() - charge.cost.get());
        let mut ends: Vec<(u64, u64)> = self.0.iter().map(|entry| (entry.until_us, entry.cost.into())).collect();
        order::sort_by(&mut ends, |one, other| one < other);
        let mut used = self.used();
        for (until_us, cost) in ends {
            used -= cost;
            if used <= room {
                return until_us;
            }
        }
        0
    }
}

/// Maximum number of charges of one limit that are stored one by one: 7 KB, which the owner reads and writes with each.
pub const ENTRIES_MAX: usize = 256;

/// When to try again where requests end at any moment.
const MAY_END_US: u64 = 1_000_000;
