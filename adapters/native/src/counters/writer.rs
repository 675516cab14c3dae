//! Stores what must not be lost before a request goes on: one write for all requests that wait for it.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use tokio::sync::oneshot;
use tollgate_core::cell::{CellKey, Update};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::Unavailable;

use super::Cells;

/// The thread that writes. It ends with the counters.
#[derive(Debug)]
pub(super) struct Writer(Sender<Waiting>);

/// A request that waits until its cells are stored.
#[derive(Debug)]
struct Waiting {
    cells: Vec<CellKey>,
    now: Timestamp,
    stored: oneshot::Sender<Result<(), Unavailable>>,
}

impl Writer {
    pub(super) fn start(cells: &Arc<Cells>) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let cells = Arc::clone(cells);
        thread::Builder::new().name("counters".into()).spawn(move || write_all(&cells, &receiver))?;
        Ok(Self(sender))
    }

    /// Returns when the states of an update's cells are stored, as they are or later ones.
    pub(super) async fn write(&self, update: &Update, now: Timestamp) -> Result<(), Unavailable> {
        let (stored, is_stored) = oneshot::channel();
        let cells = update.cells.iter().map(|part| part.cell.clone()).collect();
        let ended = || Unavailable::new("the thread that writes the counters has ended");
        self.0.send(Waiting { cells, now, stored }).map_err(|_| ended())?;
        is_stored.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// Writes for those that wait, again and again: those that come while it writes are next.
fn write_all(cells: &Cells, waiting: &Receiver<Waiting>) {
    while let Ok(first) = waiting.recv() {
        let batch: Vec<Waiting> = std::iter::once(first).chain(waiting.try_iter()).collect();
        let keys: HashSet<&CellKey> = batch.iter().flat_map(|waiting| &waiting.cells).collect();
        let now = batch.iter().map(|waiting| waiting.now).max().unwrap_or(Timestamp::EPOCH);
        let written = cells.write(keys.into_iter(), now).map_err(|error| Unavailable::new(error.to_string()));
        for Waiting { stored, .. } in batch {
            // A request that is not interested any more has timed out.
            let _ = stored.send(written.clone());
        }
    }
}
