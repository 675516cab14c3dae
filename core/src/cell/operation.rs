use std::num::NonZeroU32;

use minicbor::{Decode, Encode};
use thiserror::Error;

use super::gcra::{Gcra, Verdict};
use super::{CellKey, OperationId};
use crate::cache::{Purge, Purges};

/// Operations on the cells of one owner: all of them take effect, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// What is said of all of them.
    pub terms: Terms,
    /// The operations on each cell; no cell is named twice.
    pub cells: Vec<CellOperations>,
}

/// The operations of an update on one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellOperations {
    /// The cell.
    pub cell: CellKey,
    /// What is done to it, in order.
    pub operations: Vec<Operation>,
}

/// What an update says of all of its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Terms {
    /// Recognises the update when it arrives again, and names what it holds.
    #[n(0)]
    pub id: OperationId,
    /// For how long its charges are held, in milliseconds; absent, they are final.
    ///
    /// What is held is counted as charged. Without [`Operation::Confirm`] it is given back once the time is over.
    #[n(1)]
    pub hold_ms: Option<NonZeroU32>,
}

/// One thing that is done to a cell.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Operation {
    /// Charges a quota, or refuses the whole update. Answered with [`Reply::Charged`].
    #[n(0)]
    Charge(#[n(0)] Gcra),
    /// Makes final what an earlier update of this id holds. Answered with [`Reply::Confirmed`] or [`Reply::NotHeld`].
    #[n(1)]
    Confirm,
    /// Gives back what an earlier update of this id holds, confirmed or not, and makes the cell refuse that update should it
    /// arrive later. Answered with [`Reply::Released`] or [`Reply::NotHeld`].
    #[n(2)]
    Release,
    /// Adds a purge to the cell's log. Answered with [`Reply::Purged`].
    #[n(3)]
    AppendPurge(#[n(0)] Purge),
    /// Reads the cell's log of purges. Answered with [`Reply::Purges`].
    #[n(4)]
    ReadPurges {
        /// Up to which sequence the caller has written the log to the record since it last read it; the cell notes that.
        #[n(0)]
        recorded: Option<u64>,
    },
}

/// The answer to one [`Operation`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Reply {
    /// What the quota says. It is charged only if the whole update is granted.
    #[n(0)]
    Charged(#[n(0)] Verdict),
    /// What was held is final.
    #[n(1)]
    Confirmed,
    /// What was held is given back.
    #[n(2)]
    Released,
    /// Nothing of this id is held: it never arrived, its time is over, or it was given back before.
    #[n(3)]
    NotHeld,
    /// The purge is in the log.
    #[n(4)]
    Purged {
        /// How many purges were ever added: it grows with each one, and tells an older copy of the log from a newer one.
        #[n(0)]
        sequence: u64,
    },
    /// The log of purges.
    #[n(5)]
    Purges {
        /// As in [`Reply::Purged`].
        #[n(0)]
        sequence: u64,
        /// The purges, the newest last.
        #[n(1)]
        purges: Purges,
        /// Up to which sequence they were written to the record, as far as that was noted.
        #[n(2)]
        recorded: Option<u64>,
    },
}

/// The answer to an [`Update`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// Whether the operations took effect.
    #[n(0)]
    pub granted: bool,
    /// One reply for each operation, in the order of the update.
    #[n(1)]
    pub replies: Vec<Reply>,
}

impl Outcome {
    /// What the charged quotas say, in the order of the update.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> + Clone {
        self.replies.iter().filter_map(|reply| match reply {
            Reply::Charged(verdict) => Some(verdict),
            Reply::Confirmed | Reply::Released | Reply::NotHeld | Reply::Purged { .. } | Reply::Purges { .. } => None,
        })
    }
}

/// Why an update was not applied; nothing of it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Encode, Decode)]
#[cbor(flat)]
pub enum CellError {
    /// A newer version of Tollgate wrote the state. It is left as it is: taken for empty, it would be a fresh quota.
    #[error("the state has version {found}, and this edge knows versions up to {known}")]
    #[n(0)]
    NewerVersion {
        /// The version of the stored bytes.
        #[n(0)]
        found: u8,
        /// The newest version that is known here.
        #[n(1)]
        known: u8,
    },
    /// The stored bytes are no state.
    #[error("the state is damaged")]
    #[n(1)]
    Damaged,
    /// The cell or the table holds as much as it may.
    #[error("the table of cells is full")]
    #[n(2)]
    Full,
    /// The request is of another version than the code that keeps the cell.
    #[error("the request is of another version than the code that keeps the cell")]
    #[n(3)]
    UnknownRequest,
}
