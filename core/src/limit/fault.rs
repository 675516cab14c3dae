//! What a limit does if its charge cannot be made.

use super::OnUnavailable;
use crate::problem::ProblemKind;

/// Why a charge was neither granted nor refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The store did not answer.
    Unavailable,
    /// The store answers, but other writers keep changing the same state.
    Contended,
    /// The store is full.
    Full,
    /// A newer version of the gateway wrote the state.
    NewerState,
    /// The stored bytes are not a valid state.
    Damaged,
}

/// What happens to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFault {
    /// It passes without being charged.
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

    /// Decides what happens, for a policy with this setting for unavailable counters.
    ///
    /// A request can pass only if there is no answer at all. A client that sends enough concurrent requests can cause
    /// contention or fill a table; if these requests passed without being charged, a flood would disable the limit that
    /// should stop it.
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

/// A table has room again when some of its quotas are fully available, which takes seconds to minutes.
const FULL_RETRY_AFTER_S: u64 = 10;

/// A state can be read again when the edge is updated or an operator has deleted the state.
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
