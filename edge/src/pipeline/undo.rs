//! The undo steps of an exchange, which run after the reply.

use tollgate_core::cell::{CellKey, CellOperations, Operation, OperationId, Terms, Update};

use crate::ports::Host;
use crate::timeout::counted;

/// One undo step. Running it consumes it, so that it runs once.
#[derive(Debug)]
pub(crate) enum Undo {
    /// Releases what one owner holds for the exchange.
    Release { id: OperationId, cells: Vec<CellKey> },
}

impl Undo {
    /// Releases what an update has charged, or may have charged.
    pub(crate) fn release(update: &Update) -> Self {
        let cells = update.cells.iter().map(|part| part.cell.clone()).collect();
        Self::Release { id: update.terms.id, cells }
    }

    pub(super) async fn run<H: Host>(self, host: &H) {
        match self {
            Self::Release { id, cells } => {
                let update = on_held(id, &cells, &Operation::Release);
                // If the release fails, the charges are refunded when the hold expires.
                let _ = counted(host, &update).await;
            }
        }
    }
}

/// The update that applies one operation to everything that an owner holds under an id.
pub(super) fn on_held(id: OperationId, cells: &[CellKey], operation: &Operation) -> Update {
    let cells = cells.iter().map(|cell| CellOperations { cell: cell.clone(), operations: vec![operation.clone()] });
    Update { terms: Terms { id, hold_ms: None }, cells: cells.collect() }
}
