//! Who asks, and what failed authentications cost.

use http::HeaderMap;
use http::header::RETRY_AFTER;
use tollgate_core::operator::{Caller, Noted, Tokens};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::MonotonicInstant;

use super::Ledger;
use crate::isolate::Isolate;

/// Who asks.
///
/// # Errors
/// The problem to answer with. Past a rate it is 429, and no line is logged; a bound token is let in at any rate.
pub(super) fn caller<'t>(
    isolate: &Isolate,
    tokens: &'t Tokens,
    fields: &HeaderMap,
    now: MonotonicInstant,
    ledger: &mut Ledger,
) -> Result<&'t Caller, Problem> {
    tokens.authenticate(fields).map_err(|problem| match isolate.operators.attempts.borrow_mut().note(now) {
        Noted::Logged { unlogged } => {
            ledger.after_unlogged(unlogged);
            problem
        }
        Noted::TooMany { retry_after_s } => {
            ledger.silence();
            let detail = "There were too many attempts without a valid token.";
            Problem::plain(ProblemKind::RateLimitExceeded, detail).with(RETRY_AFTER, retry_after_s.to_string())
        }
    })
}
