//! Cells: small states with many writers, changed by one pure function.
//!
//! A cell is what must be exact although many edges change it at once: the quotas of a consumer, the log of purges. Core
//! owns what a change means ([`Cell::plan`], [`Cell::commit`]); the platform owns that two changes never see the same
//! state, with a lock, a compare-and-swap loop or an object of one thread. An adapter hands on [`Operation`]s and bytes and
//! looks into neither, so a new operation touches no adapter.
//!
//! It does not store anything and reads no clock. Start with [`Update`], then [`Operation`].
//!
//! # What holds
//!
//! - The operations of an update take effect all together or not at all, over all cells of one owner.
//! - An update that arrives twice takes effect once. A cell remembers its last [`RECENT_MAX`] changes for [`RECENT_MS`]; a
//!   repetition of a charge beyond that is charged again, which creates no permit. A repetition is granted as the first was;
//!   the numbers in its replies are those of now.
//! - Where the cells of a request have several owners, each charges with [`Terms::hold_ms`]. Once all have granted, all are
//!   sent [`Operation::Confirm`]; the request passes when all have confirmed. Otherwise all are sent
//!   [`Operation::Release`]. Both carry the id of the charge and may arrive twice or late. What is neither confirmed nor
//!   released is given back when its time is over.
//! - What is given back is a hold of the cell's own, never an amount that the caller names, and at most what time has not
//!   given back already: no permit is created.
//! - A late or backward clock refuses nothing by itself and pays nothing back: see [`Cell::plan`]. Writers whose clocks
//!   differ by up to five minutes count as if all had the clock that is ahead. Beyond that permits are created only
//!   where none that is ahead comes by for five minutes and one does then.
//! - A state of a newer version is refused and never taken for empty.
//!
//! # Purges
//!
//! The cell [`CellKey::purges`] is the log of a gateway's purges. [`Operation::AppendPurge`] adds one; it is stored before
//! it is answered, and a repetition with the same id adds none. [`Operation::ReadPurges`] reads all. The `sequence` of both
//! replies counts the purges that were ever added: of two copies of the log the one with the higher sequence is newer, and
//! contains the other. The log is bounded as [`crate::cache::Purges::add`] says. Who has written the log to the record that
//! edges read notes that in the cell, so that the others whose purges were in it need not write it too.

mod gcra;
mod holds;
mod key;
mod operation;
mod plan;
mod purges;
mod recent;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod wire;

pub use gcra::{Gcra, Verdict};
pub use key::{CellKey, OperationId};
pub use operation::{CellError, CellOperations, Operation, Outcome, Reply, Terms, Update};
pub use plan::{Committed, Plan};
pub use recent::{RECENT_MAX, RECENT_MS};
pub use state::Cell;
pub use table::Table;
pub use wire::{Applied, Served, StateChange, apply, idle_at, read_answer, serve, write_request};
