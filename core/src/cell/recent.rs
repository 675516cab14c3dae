//! Recent updates, so that an update that arrives twice is applied once.

use std::collections::VecDeque;

use minicbor::{Decode, Encode};

use super::OperationId;

/// The updates that changed a cell recently, the oldest first.
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

/// The result of a recorded update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordedResult {
    /// It took effect.
    Applied,
    /// It was released: it can no longer take effect.
    Released,
}

impl Recent {
    pub(super) fn result(&self, id: OperationId) -> Option<RecordedResult> {
        let entry = self.0.iter().rev().find(|entry| entry.id == id)?;
        Some(if entry.released { RecordedResult::Released } else { RecordedResult::Applied })
    }

    pub(super) fn add(&mut self, id: OperationId, result: RecordedResult, now_us: u64) {
        if self.0.len() >= RECENT_MAX {
            self.0.pop_front();
        }
        if self.0.capacity() == 0 {
            // Most cells are changed by one request at a time.
            self.0.reserve_exact(1);
        }
        self.0.push_back(Entry { id, at_us: now_us, released: result == RecordedResult::Released });
    }

    pub(super) fn forget(&mut self, now_us: u64) {
        while self.0.front().is_some_and(|entry| now_us >= entry.at_us.saturating_add(RECENT_US)) {
            self.0.pop_front();
        }
    }

    /// Until when an update must be prevented from taking effect.
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

/// Maximum number of updates that one cell records: 2 KB. An update that is repeated after more than these is charged
/// twice, which costs its client a permit and creates none.
pub const RECENT_MAX: usize = 64;

/// How long an update is recorded: longer than an edge waits for a reply (3 s) and for the reply to a second attempt.
pub const RECENT_MS: u64 = 10_000;

const RECENT_US: u64 = RECENT_MS * super::time::MICROS_PER_MS;
