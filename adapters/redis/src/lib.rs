//! Cells in Redis or Valkey, without the connection: what one call of the server compares and writes, and which updates it
//! contains.
//!
//! The server has no arithmetic of its own. [`SCRIPT`] replaces the values of some keys if all of them are still what the
//! caller assumed, and otherwise returns what they are; core computes the new values ([`Swap`]). A gateway remembers the cells
//! that it wrote or read last, so that a change is usually one call, and updates of one gateway that wait for the same cells
//! are one swap ([`Queue`]).
//!
//! It opens no connection, reads no clock and spawns nothing: adapters that have a connection run the [`Batch`]es of the queue.
//! Open [`Queue`] first.

mod known;
mod queue;
mod script;
mod slot;
mod stall;
mod swap;

pub use known::{Known, Stamp};
pub use queue::{Batch, Queue, Settled, Waiter};
pub use script::{Call, SCRIPT, SCRIPT_SHA1};
pub use slot::slot_of;
pub use stall::Stall;
pub use swap::{Reply, Swap};
