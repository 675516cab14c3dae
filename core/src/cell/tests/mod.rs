//! The guarantees of cells, each checked by example or by property.

mod arithmetic;
mod clocks;
mod counting;
mod forms;
mod holding;
mod leases;
mod protocol;
mod repetition;
mod settling;
mod tables;
mod telling;
mod withdrawing;

use std::num::NonZeroU32;

use super::*;
use crate::time::Timestamp;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(super) fn n(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

pub(super) fn id(number: u64) -> OperationId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    OperationId::new(bytes)
}

pub(super) fn gcra(quota: &str, rate: u32, period_ms: u32, burst: u32, cost: u32) -> Charge {
    Charge {
        quota: quota.into(),
        rate: n(rate),
        period_ms: n(period_ms),
        burst: n(burst),
        cost: n(cost),
        algorithm: None,
        lease: None,
        tells: None,
    }
}

pub(super) fn final_of(number: u64) -> Terms {
    Terms { id: id(number), hold_ms: None, refund_ms: None }
}

pub(super) fn held_of(number: u64, hold_ms: u32) -> Terms {
    Terms { id: id(number), hold_ms: Some(n(hold_ms)), refund_ms: None }
}

/// A cell and the ids of its updates.
#[derive(Clone, Debug, Default)]
pub(super) struct Subject {
    pub(super) cell: Cell,
    pub(super) updates: u64,
}

impl Subject {
    /// Charges with a new update.
    pub(super) fn charge(&mut self, charges: &[Charge], now: Timestamp) -> Outcome {
        self.updates += 1;
        let operations: Vec<Operation> = charges.iter().cloned().map(Operation::Charge).collect();
        self.apply(final_of(1_000_000 + self.updates), &operations, now)
    }

    pub(super) fn apply(&mut self, terms: Terms, operations: &[Operation], now: Timestamp) -> Outcome {
        self.cell.update(terms, operations, now).unwrap().0
    }
}

#[track_caller]
pub(super) fn only_verdict(outcome: &Outcome) -> &Verdict {
    let mut verdicts = outcome.verdicts();
    let verdict = verdicts.next().unwrap();
    assert!(verdicts.next().is_none());
    verdict
}
