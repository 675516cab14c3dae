//! Cells: small states with many writers, changed by one pure function.
//!
//! A cell is state that must be exact although many edges change it concurrently: the quotas of a consumer, the log of
//! purges. Core defines each change ([`Cell::plan`], [`Cell::commit`]); the platform guarantees that two changes never
//! read the same state, with a lock, a compare-and-swap loop or a single-threaded object. An adapter passes on
//! [`Operation`]s and bytes without interpreting them, so a new operation requires no change in an adapter.
//!
//! This module stores nothing and reads no clock. Start with [`Update`], then [`Operation`].
//!
//! # Guarantees
//!
//! - The operations of an update take effect all together or not at all, over all cells of one owner.
//! - An update that arrives twice takes effect once. A cell stores its last [`RECENT_MAX`] changes for [`RECENT_MS`]; a
//!   later repetition of a charge is charged again, which creates no permit. A repetition is granted if the first
//!   update was; the numbers in its replies are the current ones.
//! - If the cells of a request have several owners, each charges with [`Terms::hold_ms`]. When all have granted, the
//!   edge sends [`Operation::Confirm`] to all; the request passes when all have confirmed. Otherwise it sends
//!   [`Operation::Release`] to all. Both contain the id of the charge and may arrive twice or late. A hold that is
//!   neither confirmed nor released is refunded when it expires.
//! - What a quota in windows of a calendar has admitted is stored before its request goes on ([`Committed::write_through`]): a
//!   charge that is final, and the confirmation or the release of one that was held. Other limits may lose the last changes of an
//!   owner that fails, up to what it stores at intervals.
//! - A refund is computed from the cell's own hold, never from an amount in the request, and is at most what has not
//!   become available again with time: no permit is created.
//! - A slow clock, or a clock that was set back, causes neither refusals nor refunds by itself: see [`Cell::plan`].
//!   Writers whose clocks differ by up to five minutes count as if all had the clock that is ahead. Beyond that,
//!   permits are created only if no writer with the clock that is ahead updates for five minutes, and one does so
//!   afterwards.
//! - A state of a newer version is refused and never treated as empty.
//!
//! # Purges
//!
//! The cell [`CellKey::purges`] is the log of a gateway's purges. [`Operation::AppendPurge`] adds one; it is stored
//! before the reply, and a repetition with the same id adds none. [`Operation::ReadPurges`] reads all. The `sequence`
//! of both replies counts all purges ever added: of two copies of the log, the one with the higher sequence is newer
//! and contains the other. The log is bounded by [`crate::cache::Purges::add`]. A writer that has written the log to
//! the record that edges read records this in the cell, so that other writers whose purges are included need not write
//! it again.
//!
//! # Leases
//!
//! A charge with [`Charge::lease`] also takes permits ahead, which the edge uses later without a call. They are charged before they
//! are used, so no more is ever used than was charged; what is used was charged at most [`LEASE_MS`] earlier, and in the same
//! window. [`Operation::GiveBack`] refunds what was not used, by the rules for holds: at most what has not become available
//! again with time, once, and only while the cell still knows the lease. What is never given back was used, for the cell.
//!
//! # Lists
//!
//! [`Operation::List`] adds a name to the list of a cell, which is stored before the reply; [`Operation::ReadList`] reads all. A list
//! that is full refuses further names, so that it never lacks one.

mod charge;
mod entries;
mod gcra;
mod holds;
mod key;
mod lease;
mod listed;
mod meter;
mod operation;
mod plan;
mod purges;
mod recent;
mod room;
mod state;
mod table;
mod tells;
#[cfg(test)]
mod tests;
mod time;
mod windows;
mod wire;

pub use charge::{Algorithm, Charge, Verdict};
pub use entries::ENTRIES_MAX;
pub use key::{CellKey, OperationId, PLACE_SECRET_BYTES};
pub use lease::{LEASE_MS, LEASED_LEAST, Leased, Unused};
pub use listed::Listed;
pub use operation::{CellError, CellOperations, Operation, Outcome, Reply, Terms, Update};
pub use plan::{Committed, Plan};
pub use recent::{RECENT_MAX, RECENT_MS};
pub use room::Room;
pub use state::Cell;
pub use table::Table;
pub use tells::{Tells, share_of};
pub use windows::Edges;
pub use wire::{Applied, Served, StateChange, apply, idle_at, read_answer, serve, write_request};
