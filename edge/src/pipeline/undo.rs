//! The undo steps of an exchange, which run after the reply, and those that run when the reply has been delivered.

use tollgate_core::cell::{CellKey, CellOperations, Charge, Operation, OperationId, Terms, Update};
use tollgate_core::time::Timestamp;

use crate::isolate::{Isolate, unanswered};
use crate::ports::{Clock, Host};

/// One step after the reply. Running it consumes it; it has ids, so that one that is sent twice has one effect.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Releases what one owner holds for the exchange.
    Release { id: OperationId, cells: Vec<CellKey> },
    /// Ends what one owner counts as in flight for the exchange, or, if it was not asked, only the isolate.
    Leave { id: OperationId, step: OperationId, cells: Vec<CellKey>, is_own: bool },
    /// Takes back what one owner may have charged for the exchange, whose answer is missing.
    Withdraw(Box<Update>),
}

impl Undo {
    /// Releases what an update has charged, or may have charged.
    pub(crate) fn release(update: &Update) -> Self {
        let cells = update.cells.iter().map(|part| part.cell.clone()).collect();
        Self::Release { id: update.terms.id, cells }
    }

    /// Ends what an update has, or may have, in flight; `step` is the id of this step.
    pub(crate) fn leave(update: &Update, step: OperationId) -> Self {
        let is_in_flight = |operation: &Operation| matches!(operation, Operation::Charge(charge) if charge.ends());
        let cells = update.cells.iter().filter(|part| part.operations.iter().any(is_in_flight));
        let cells = cells.map(|part| part.cell.clone()).collect();
        Self::Leave { id: update.terms.id, step, cells, is_own: false }
    }

    /// Takes back what an update may have charged whose answer is missing and that was not held; `step` is the id of this step.
    pub(crate) fn withdraw(update: &Update, step: OperationId) -> Self {
        let id = update.terms.id;
        let taken = |operation: &Operation| match operation {
            Operation::Charge(charge) => {
                Some(Operation::Withdraw { id, charge: Charge { lease: None, tells: None, ..charge.clone() } })
            }
            _ => None,
        };
        let cells = update.cells.iter().map(|CellOperations { cell, operations }| CellOperations {
            cell: cell.clone(),
            operations: operations.iter().filter_map(taken).collect(),
        });
        let terms = Terms { id: step, hold_ms: None, refund_ms: None };
        Self::Withdraw(Box::new(Update { terms, cells: cells.collect() }))
    }

    /// Whether it ends what this update has in flight.
    pub(super) fn ends(&self, update: &Update) -> bool {
        matches!(self, Self::Leave { id, .. } if *id == update.terms.id)
    }

    /// Its owner was not asked, and counts nothing.
    pub(super) fn keep_own(&mut self) {
        if let Self::Leave { is_own, .. } = self {
            *is_own = true;
        }
    }

    /// Whether an owner has to be told.
    pub(super) const fn is_of_owner(&self) -> bool {
        !matches!(self, Self::Leave { is_own: true, .. })
    }

    /// Ends what the isolate itself counts as in flight.
    pub(super) fn leave_shares(&self, isolate: &Isolate, now: Timestamp) {
        if let Self::Leave { id, step, cells, .. } = self {
            isolate.shares.borrow_mut().leave(cells, *id, *step, now);
        }
    }

    /// The update that its owner is sent.
    fn into_update(self) -> Update {
        match self {
            // If it fails for good, the charges are refunded when the hold expires.
            Self::Release { id, cells } => on_held(id, &cells, &Operation::Release),
            // If it fails for good, the request counts until its lease expires.
            Self::Leave { id, step, cells, .. } => on_held(step, &cells, &Operation::Leave { id }),
            // If it fails for good, the request is charged although it was refused.
            Self::Withdraw(update) => *update,
        }
    }
}

/// Runs steps, each once and all concurrently. Those whose owners do not answer are sent again later.
pub(super) async fn run<H: Host>(isolate: &Isolate, host: &H, steps: Vec<Undo>) {
    if !steps.is_empty() {
        let updates = steps.into_iter().map(Undo::into_update);
        let unanswered = unanswered::sent(host, updates).await;
        isolate.unanswered.borrow_mut().add(unanswered, host.clock().instant());
    }
}

/// The update that applies one operation to everything that an owner holds under an id.
pub(super) fn on_held(id: OperationId, cells: &[CellKey], operation: &Operation) -> Update {
    let cells = cells.iter().map(|cell| CellOperations { cell: cell.clone(), operations: vec![operation.clone()] });
    Update { terms: Terms { id, hold_ms: None, refund_ms: None }, cells: cells.collect() }
}
