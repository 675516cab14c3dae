//! Authentication of callers, and the bounded cost of failures.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use tollgate_core::operator::{Caller, FailureHandling, Tokens};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::MonotonicInstant;

use super::Ledger;
use crate::isolate::Isolate;

/// Authenticates the caller.
///
/// # Errors
/// The problem for the response. Above a rate it is 429, and the failure is not logged; a bound token is always
/// accepted.
pub(super) fn caller<'t>(
    isolate: &Isolate,
    tokens: &'t Tokens,
    fields: &HeaderMap,
    now: MonotonicInstant,
    ledger: &mut Ledger,
) -> Result<&'t Caller, Problem> {
    tokens.authenticate(fields).map_err(|problem| match isolate.operators.attempts.borrow_mut().record(now) {
        FailureHandling::Logged { unlogged } => {
            ledger.after_unlogged(unlogged);
            problem
        }
        FailureHandling::TooMany { retry_after_s } => {
            ledger.silence();
            let detail = "There were too many attempts without a valid token.";
            Problem::plain(ProblemKind::RateLimitExceeded, detail).with(RETRY_AFTER, retry_after_s.to_string())
        }
    })
}
