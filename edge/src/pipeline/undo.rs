//! What an exchange undoes after the reply.

use tollgate_core::cell::{CellKey, CellOperations, Operation, OperationId, Terms, Update};

use crate::patience::counted;
use crate::ports::Host;

/// One thing to undo. Running it takes it, so that it is undone once.
#[derive(Debug)]
pub(super) enum Undo {
    /// Gives back what one owner holds for the exchange.
    Release { id: OperationId, cells: Vec<CellKey> },
}

impl Undo {
    pub(super) async fn run<H: Host>(self, host: &H) {
        match self {
            Self::Release { id, cells } => {
                let update = on_held(id, &cells, &Operation::Release);
                // What is not released is given back once the time of its hold is over.
                let _ = counted(host, &update).await;
            }
        }
    }
}

/// The update that does one thing with everything that an owner holds under an id.
pub(super) fn on_held(id: OperationId, cells: &[CellKey], operation: &Operation) -> Update {
    let cells = cells.iter().map(|cell| CellOperations { cell: cell.clone(), operations: vec![operation.clone()] });
    Update { terms: Terms { id, hold_ms: None }, cells: cells.collect() }
}
