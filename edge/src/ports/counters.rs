use thiserror::Error;
use tollgate_core::cell::{CellError, CellKey, Outcome, Update};
use tollgate_core::limit::Fault;
use tollgate_core::time::Timestamp;

use super::Unavailable;

/// Cells with many writers: counters, and the log of purges.
///
/// The platform provides atomicity (a single-threaded object, a compare-and-swap loop, a lock); [`tollgate_core::cell`]
/// defines the effect of an update, and an implementation does not interpret operations or states. Two updates of one
/// cell must never read the same state.
///
/// A store may delete a cell when `Cell::idle_at` has passed by the clocks of all its writers, not earlier: a lost
/// state gives an attacker a full burst. It never treats a state that it cannot read as empty. The implementation
/// prefixes cells with the gateway's name, like record keys.
///
/// A lost answer is tolerable: the update may or may not have taken effect, and a repetition with the same id has no
/// effect. If the owner was replaced meanwhile, the caller sends the update again. A late update is tolerable too.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Counters {
    /// Whether two cells have one owner, so that one update can change both: a relation that is reflexive, symmetric and
    /// transitive.
    ///
    /// The owner depends on the platform: one store in the process owns all cells, a Durable Object owns one, a slot of
    /// a Redis Cluster owns those with a common hash.
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool;

    /// Whether an update takes no longer than what an isolate could count by itself, because all cells are in this process. Every
    /// limit is then counted exactly, whatever its policy says.
    fn is_near(&self) -> bool {
        false
    }

    /// Applies an update to cells of one owner, to all of them or none.
    ///
    /// `now` is from the caller's clock. An implementation with remote cells may use the clock there, and one that
    /// makes several attempts uses a new instant for each.
    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault>;
}

/// Why an update has no result. It had no effect, unless it [may have](CounterFault::may_have_effect) one.
///
/// The texts are for logs; they do not contain the cell, because it may identify a client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CounterFault {
    /// The owner did not answer. The update may have taken effect, or may still do so.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The owner was not asked to apply it: it cannot be reached, has not answered a moment ago, or failed before. The update had no
    /// effect.
    #[error(transparent)]
    NotAsked(Unavailable),
    /// The owner was replaced while it had the update, which may have taken effect; the next owner can be called
    /// immediately.
    #[error(transparent)]
    Interrupted(Unavailable),
    /// Other writers kept changing the same state.
    #[error("the counters: too many writers at once")]
    Contended,
    /// The owner is full.
    #[error("the counters are full of cells that are in use")]
    Full,
    /// A newer version of the gateway wrote the state.
    #[error("the counters: a state has version {found}, and this edge supports versions up to {known}")]
    NewerState {
        /// The version of the stored state.
        found: u8,
        /// The newest version that this edge supports.
        known: u8,
    },
    /// The stored bytes are not a valid state.
    #[error("the counters: a state is damaged")]
    Damaged,
}

impl CounterFault {
    /// The kind of fault, for the decision in core.
    #[must_use]
    pub const fn kind(&self) -> Fault {
        match self {
            Self::Unavailable(_) | Self::NotAsked(_) | Self::Interrupted(_) => Fault::Unavailable,
            Self::Contended => Fault::Contended,
            Self::Full => Fault::Full,
            Self::NewerState { .. } => Fault::NewerState,
            Self::Damaged => Fault::Damaged,
        }
    }

    /// Whether the update may have taken effect, or may still do so.
    #[must_use]
    pub const fn may_have_effect(&self) -> bool {
        match self {
            Self::Unavailable(_) | Self::Interrupted(_) => true,
            Self::NotAsked(_) | Self::Contended | Self::Full | Self::NewerState { .. } | Self::Damaged => false,
        }
    }
}

impl From<CellError> for CounterFault {
    fn from(error: CellError) -> Self {
        match error {
            CellError::NewerVersion { found, known } => Self::NewerState { found, known },
            CellError::Damaged => Self::Damaged,
            CellError::Full => Self::Full,
            CellError::UnknownRequest => Self::Unavailable(Unavailable::new("the counters run another version")),
        }
    }
}
