//! What a limit does where its charge cannot be made.

use super::OnUnavailable;
use crate::problem::ProblemKind;

/// Why a charge was neither granted nor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The store did not answer.
    Unavailable,
    /// The store answers, but others change the same state without pause.
    Contended,
    /// The store holds as much as it may.
    Full,
    /// A newer version of the gateway wrote the state.
    NewerState,
    /// The stored bytes are no state.
    Damaged,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFault {
    /// It passes uncounted.
    Pass,
    /// It is refused with this problem, and `Retry-After` in seconds.
    Refuse(ProblemKind, u64),
}

impl Fault {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Contended => "contended",
            Self::Full => "full",
            Self::NewerState => "newer-state",
            Self::Damaged => "damaged",
        }
    }

    /// Decides for a policy that lets requests pass, or does not, while its counters do not answer.
    ///
    /// Only an answer that is missing can pass. Whoever sends enough requests at once makes a counter contended or a table
    /// full; if such requests passed uncounted, a flood would lift the very limit that is to stop it.
    #[must_use]
    pub const fn decide(self, on_unavailable: OnUnavailable) -> OnFault {
        match (self, on_unavailable) {
            (Self::Unavailable, OnUnavailable::Open) => OnFault::Pass,
            (Self::Unavailable, OnUnavailable::Closed) => OnFault::Refuse(ProblemKind::StoreUnavailable, 1),
            (Self::Contended, _) => OnFault::Refuse(ProblemKind::CounterContended, 1),
            (Self::Full, _) => OnFault::Refuse(ProblemKind::CounterTableFull, FULL_RETRY_AFTER_S),
            (Self::NewerState | Self::Damaged, _) => {
                OnFault::Refuse(ProblemKind::CounterUnreadable, UNREADABLE_RETRY_AFTER_S)
            }
        }
    }
}

/// A table has room again once some of its quotas are whole, which takes seconds to minutes.
const FULL_RETRY_AFTER_S: u64 = 10;

/// A state is read again once its edge is updated or its operator has deleted it.
const UNREADABLE_RETRY_AFTER_S: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_missing_answer_can_pass() {
        assert_eq!(Fault::Unavailable.decide(OnUnavailable::Open), OnFault::Pass);
        let others = [Fault::Contended, Fault::Full, Fault::NewerState, Fault::Damaged];
        for on in [OnUnavailable::Open, OnUnavailable::Closed] {
            assert!(others.iter().all(|fault| matches!(fault.decide(on), OnFault::Refuse(..))));
        }
        let closed = Fault::Unavailable.decide(OnUnavailable::Closed);
        assert_eq!(closed, OnFault::Refuse(ProblemKind::StoreUnavailable, 1));
    }
}
