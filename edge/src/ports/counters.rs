use thiserror::Error;
use tollgate_core::cell::{CellError, CellKey, Outcome, Update};
use tollgate_core::limit::Fault;
use tollgate_core::time::Timestamp;

use super::Unavailable;

/// Cells with many writers: counters, and the log of purges.
///
/// The platform owns atomicity (an object of one thread, a compare-and-swap loop, a lock); [`tollgate_core::cell`] owns what
/// an update means, and an implementation looks into neither operations nor states. Two updates of one cell must never both
/// see the same state.
///
/// A store may forget a cell once `Cell::idle_at` has passed by the clocks of all its writers, not earlier: a forgotten
/// state gives an attacker a fresh burst. It never takes a state that it cannot read for an empty one. Cells are namespaced by the gateway's name by the
/// implementation, as record keys are.
///
/// A lost answer is tolerable: the update may or may not have taken effect, and it carries an id by which a second one
/// with the same id takes none. Where the owner was replaced meanwhile the caller sends it once more. A late update is tolerable too.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Counters {
    /// Whether two cells have one owner, so that one update can change both: a relation that is reflexive, symmetric and
    /// transitive.
    ///
    /// What an owner is depends on the platform: one store in the process owns all cells, a Durable Object owns one, a slot
    /// of a Redis Cluster owns those of a hash.
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool;

    /// Applies an update to cells of one owner, to all of them or to none.
    ///
    /// `now` is the caller's clock; an implementation whose cells live elsewhere may use the clock of that place, and one
    /// that tries several times uses a new instant for each try.
    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault>;
}

/// Why an update was not answered. Except for [`CounterFault::Unavailable`] and [`CounterFault::Interrupted`], nothing of
/// it took effect.
///
/// The texts are for logs; they name no cell, because that may name a client.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CounterFault {
    /// The owner did not answer. The update may have taken effect, or still take it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The owner was replaced while it had the update, which may have taken effect; the next one can be asked at once.
    #[error(transparent)]
    Interrupted(Unavailable),
    /// Others changed the same state without pause.
    #[error("the counters: too many writers at once")]
    Contended,
    /// The owner holds as much as it may.
    #[error("the counters are full of cells that are in use")]
    Full,
    /// A newer version of the gateway wrote the state.
    #[error("the counters: a state has version {found}, and this edge knows versions up to {known}")]
    NewerState {
        /// The version of the stored state.
        found: u8,
        /// The newest version that is known here.
        known: u8,
    },
    /// The stored bytes are no state.
    #[error("the counters: a state is damaged")]
    Damaged,
}

impl CounterFault {
    /// What kind of fault it is, for the decision that core makes.
    #[must_use]
    pub const fn kind(&self) -> Fault {
        match self {
            Self::Unavailable(_) | Self::Interrupted(_) => Fault::Unavailable,
            Self::Contended => Fault::Contended,
            Self::Full => Fault::Full,
            Self::NewerState { .. } => Fault::NewerState,
            Self::Damaged => Fault::Damaged,
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
