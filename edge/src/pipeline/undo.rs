//! The undo steps of an exchange, which run after the reply, and those that run when the reply has been delivered.

use tollgate_core::cell::{CellKey, CellOperations, Operation, OperationId, Terms, Update};

use tollgate_core::time::Timestamp;

use crate::isolate::Isolate;
use crate::ports::Host;
use crate::timeout::counted;

/// One step after the reply. Running it consumes it, so that it runs once.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Releases what one owner holds for the exchange.
    Release { id: OperationId, cells: Vec<CellKey> },
    /// Ends what one owner counts as in flight for the exchange.
    Leave { id: OperationId, step: OperationId, cells: Vec<CellKey> },
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
        Self::Leave { id: update.terms.id, step, cells: cells.map(|part| part.cell.clone()).collect() }
    }

    /// Ends what the isolate itself counts as in flight.
    pub(super) fn leave_shares(&self, isolate: &Isolate, now: Timestamp) {
        if let Self::Leave { id, step, cells } = self {
            isolate.shares.borrow_mut().leave(cells, *id, *step, now);
        }
    }

    pub(super) async fn run<H: Host>(self, host: &H) {
        match self {
            Self::Release { id, cells } => {
                let update = on_held(id, &cells, &Operation::Release);
                // If the release fails, the charges are refunded when the hold expires.
                let _ = counted(host, &update).await;
            }
            Self::Leave { id, step, cells } => {
                let update = on_held(step, &cells, &Operation::Leave { id });
                // If it fails, the request counts until its lease expires.
                let _ = counted(host, &update).await;
            }
        }
    }
}

/// The update that applies one operation to everything that an owner holds under an id.
pub(super) fn on_held(id: OperationId, cells: &[CellKey], operation: &Operation) -> Update {
    let cells = cells.iter().map(|cell| CellOperations { cell: cell.clone(), operations: vec![operation.clone()] });
    Update { terms: Terms { id, hold_ms: None, refund_ms: None }, cells: cells.collect() }
}
