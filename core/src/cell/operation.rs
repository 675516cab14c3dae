use std::num::NonZeroU32;

use crate::codec::Decode;
use minicbor::Encode;
use thiserror::Error;

use super::charge::{Charge, Verdict};
use super::lease::Unused;
use super::listed::Listed;
use super::{CellKey, OperationId};
use crate::cache::{Purge, Purges};

/// Operations on the cells of one owner: all of them take effect, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The terms that apply to all of them.
    pub terms: Terms,
    /// The operations on each cell; no cell is named twice.
    pub cells: Vec<CellOperations>,
}

/// The operations of an update on one cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellOperations {
    /// The cell.
    pub cell: CellKey,
    /// The operations on it, in order.
    pub operations: Vec<Operation>,
}

/// The terms of all operations of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Terms {
    /// The idempotency id of the update, which also identifies the charges that it holds.
    #[n(0)]
    pub id: OperationId,
    /// For how long its charges are held, in milliseconds; absent, they are final.
    ///
    /// Held charges count as charged. Without [`Operation::Confirm`] they are refunded when this time has expired.
    #[n(1)]
    pub hold_ms: Option<NonZeroU32>,
    /// For how long its charges, which are final, can be given back with [`Operation::Release`], in milliseconds; absent, not at all.
    /// Of a cell with many of them, the oldest cannot be given back any more.
    #[n(2)]
    pub refund_ms: Option<NonZeroU32>,
}

impl Terms {
    /// For how long the cell has to know its charges.
    pub(super) fn kept_ms(&self) -> Option<NonZeroU32> {
        self.hold_ms.or(self.refund_ms)
    }
}

/// One operation on a cell.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Operation {
    /// Charges a quota, or refuses the whole update. Answered with [`Reply::Charged`].
    #[n(0)]
    Charge(#[n(0)] Charge),
    /// Makes the held charges of an earlier update with this id final. Answered with [`Reply::Confirmed`] or
    /// [`Reply::NotHeld`].
    #[n(1)]
    Confirm,
    /// Refunds the held charges of an earlier update with this id, confirmed or not. If that update arrives later, the
    /// cell refuses it. Answered with [`Reply::Released`] or [`Reply::NotHeld`].
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
    /// Adds a name to the cell's list. Answered with [`Reply::Listed`].
    #[n(5)]
    List(#[n(0)] Listed),
    /// Reads the cell's list. Answered with [`Reply::List`].
    #[n(6)]
    ReadList,
    /// Ends what an earlier update has in flight; if that update arrives later, the cell refuses it. Answered with
    /// [`Reply::Released`] or [`Reply::NotHeld`].
    #[n(7)]
    Leave {
        /// The id of that update.
        #[n(0)]
        id: OperationId,
    },
    /// Refunds permits that an earlier update took ahead and that were not used. Answered with [`Reply::Released`] or
    /// [`Reply::NotHeld`].
    #[n(8)]
    GiveBack(#[n(0)] Unused),
    /// Charges what an operation has cost beyond what was charged before it, also beyond the limit: what comes later waits. Answered
    /// with [`Reply::Charged`].
    #[n(9)]
    Settle(#[n(0)] Charge),
    /// Takes back what an earlier update has charged to this limit, whose answer was lost and whose request was refused; if that
    /// update arrives later, the cell refuses it. As long as the cell remembers the update, otherwise it stays charged. Answered with
    /// [`Reply::Released`] or [`Reply::NotHeld`].
    ///
    /// What has become available again since is not given back: what was refused must not leave more than if it had never been sent.
    #[n(10)]
    Withdraw {
        /// The id of that update.
        #[n(0)]
        id: OperationId,
        /// What it has charged.
        #[n(1)]
        charge: Charge,
    },
}

/// The answer to one [`Operation`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Reply {
    /// The quota's verdict. It is charged only if the whole update is granted.
    #[n(0)]
    Charged(#[n(0)] Verdict),
    /// The held charges are final.
    #[n(1)]
    Confirmed,
    /// The held charges are refunded.
    #[n(2)]
    Released,
    /// Nothing is held for this id: it never arrived, it has expired, or it was already refunded.
    #[n(3)]
    NotHeld,
    /// The purge is in the log.
    #[n(4)]
    Purged {
        /// The number of purges ever added. It increases with each one, and distinguishes older and newer copies of the
        /// log.
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
    /// The name is in the list.
    #[n(6)]
    Listed,
    /// The list.
    #[n(7)]
    List(#[n(0)] Vec<Listed>),
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
    /// The verdicts of the charged quotas, in the order of the update.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> + Clone {
        self.replies.iter().filter_map(|reply| match reply {
            Reply::Charged(verdict) => Some(verdict),
            Reply::Confirmed
            | Reply::Released
            | Reply::NotHeld
            | Reply::Purged { .. }
            | Reply::Purges { .. }
            | Reply::Listed
            | Reply::List(_) => None,
        })
    }

    /// As [`Outcome::verdicts`], to be changed.
    pub fn verdicts_mut(&mut self) -> impl Iterator<Item = &mut Verdict> {
        self.replies.iter_mut().filter_map(|reply| match reply {
            Reply::Charged(verdict) => Some(verdict),
            Reply::Confirmed
            | Reply::Released
            | Reply::NotHeld
            | Reply::Purged { .. }
            | Reply::Purges { .. }
            | Reply::Listed
            | Reply::List(_) => None,
        })
    }
}

/// Why an update was not applied; nothing of it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Encode, Decode)]
#[cbor(flat)]
pub enum CellError {
    /// A newer version of Tollgate wrote the state. It is not changed: treating it as empty would reset the quota.
    #[error("the state has version {found}, and this edge supports versions up to {known}")]
    #[n(0)]
    NewerVersion {
        /// The version of the stored bytes.
        #[n(0)]
        found: u8,
        /// The newest version that this edge supports.
        #[n(1)]
        known: u8,
    },
    /// The stored bytes are not a valid state.
    #[error("the state is damaged")]
    #[n(1)]
    Damaged,
    /// The cell or the table is full.
    #[error("the table of cells is full")]
    #[n(2)]
    Full,
    /// The request has another version than the code of the cell's owner.
    #[error("the request has another version than the code of the cell's owner")]
    #[n(3)]
    UnknownRequest,
}
