//! What was done lately, so that an update that arrives twice is applied once.

use std::collections::VecDeque;

use minicbor::{Decode, Encode};

use super::OperationId;

/// The updates that changed a cell lately, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct Recent(#[n(0)] VecDeque<Entry>);

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Entry {
    #[n(0)]
    id: OperationId,
    #[n(1)]
    at_us: u64,
    #[n(2)]
    released: bool,
}

/// What became of an update that is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It took effect.
    Applied,
    /// It was released: it takes no effect any more.
    Released,
}

impl Recent {
    pub(super) fn fate(&self, id: OperationId) -> Option<Fate> {
        let entry = self.0.iter().rev().find(|entry| entry.id == id)?;
        Some(if entry.released { Fate::Released } else { Fate::Applied })
    }

    pub(super) fn add(&mut self, id: OperationId, fate: Fate, now_us: u64) {
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        if self.0.capacity() == 0 {
            // Most cells are changed now and then by one request.
            self.0.reserve_exact(1);
        }
        self.0.push_back(Entry { id, at_us: now_us, released: fate == Fate::Released });
    }

    pub(super) fn forget(&mut self, now_us: u64) {
        while self.0.front().is_some_and(|entry| now_us >= entry.at_us.saturating_add(RECENT_US)) {
            self.0.pop_front();
        }
    }

    /// Until when an update has to be kept from taking effect.
    pub(super) fn released_until_us(&self) -> Option<u64> {
        let released = self.0.iter().rev().find(|entry| entry.released)?;
        Some(released.at_us.saturating_add(RECENT_US))
    }

    pub(super) fn set_back(&mut self, by_us: u64) {
        for entry in &mut self.0 {
            entry.at_us = entry.at_us.saturating_sub(by_us);
        }
    }
}

/// Updates remembered by one cell: 2 KB. What is repeated after more than these is charged twice, which costs its client a
/// permit and creates none.
pub const RECENT_MAX: usize = 64;

/// For how long an update is remembered: longer than an edge waits for an answer (3 s) and waits for a second try.
pub const RECENT_MS: u64 = 10_000;

const RECENT_US: u64 = RECENT_MS * super::time::MICROS_PER_MS;
