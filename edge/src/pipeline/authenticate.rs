//! authenticate: one of the route's alternatives must recognise the caller; a route without any is public.

use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use tollgate_core::authn::Principal;
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::kinds::{AuthnPolicy, Named, Place};
use tollgate_core::problem::{Problem, ProblemKind};

use super::exchange::{Exchange, Journal};
use crate::isolate::Isolate;
use crate::policies::Authenticates;
use crate::ports::Host;

/// The principal, or `None` on a public route.
pub(super) async fn authenticate<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    journal: &mut Journal,
) -> Result<Option<Arc<Principal>>, Problem> {
    if exchange.route().authn.is_empty() {
        journal.note(Phase::Authenticate, Verdict::Skip, Reason::Public);
        return Ok(None);
    }
    let mut refusal = None;
    for alternative in &exchange.route().authn {
        match by_all(isolate, host, exchange, alternative, journal).await {
            Ok(principal) => return Ok(Some(principal)),
            Err(problem) => refusal = Some(most_telling(refusal, problem)),
        }
    }
    journal.note(Phase::Authenticate, Verdict::Refuse, Reason::NotAuthenticated);
    Err(challenged(refusal.unwrap_or_else(no_credential), exchange))
}

/// Authenticates by every policy of an alternative; all must recognise the same consumer.
async fn by_all<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    alternative: &[Place<AuthnPolicy>],
    journal: &mut Journal,
) -> Result<Arc<Principal>, Problem> {
    let mut recognised: Option<Arc<Principal>> = None;
    for place in alternative {
        let Named { name, policy } = exchange.policy(*place);
        let found = policy.authenticate(isolate, host, &exchange.received).await;
        let found =
            found.and_then(|found| joined(recognised.take(), found)).map_err(|problem| problem.by(name.clone()));
        match &found {
            Ok(principal) => {
                let reason = Reason::Authenticated { principal: Arc::clone(principal) };
                journal.note_policy(Phase::Authenticate, name, Verdict::Pass, reason);
            }
            Err(problem) => {
                journal.note_policy(Phase::Authenticate, name, verdict(problem), problem.reason.clone());
            }
        }
        recognised = Some(found?);
    }
    recognised.ok_or_else(no_credential)
}

fn no_credential() -> Problem {
    Problem::new(ProblemKind::CredentialMissing, "A credential is needed.", Reason::NotAuthenticated)
}

/// The principal of two credentials of one consumer: the first one, with the scopes of both.
fn joined(first: Option<Arc<Principal>>, second: Arc<Principal>) -> Result<Arc<Principal>, Problem> {
    let Some(first) = first else { return Ok(second) };
    if first.consumer != second.consumer {
        let detail = "The request carries credentials of different consumers. Send those of one.";
        return Err(Problem::new(ProblemKind::CredentialMalformed, detail, Reason::ConsumersDiffer));
    }
    let mut joined = Arc::unwrap_or_clone(first);
    joined.scopes.extend(second.scopes.iter().cloned());
    joined.scopes.sort_unstable();
    joined.scopes.dedup();
    Ok(Arc::new(joined))
}

fn verdict(problem: &Problem) -> Verdict {
    // Another policy may know the caller, so that nothing presented to this one refuses nobody yet.
    if problem.kind == ProblemKind::CredentialMissing { Verdict::Skip } else { problem.verdict() }
}

/// Of several policies' refusals the one that says most: that something was presented beats that nothing was.
fn most_telling(earlier: Option<Problem>, later: Problem) -> Problem {
    match earlier {
        Some(earlier) if later.kind == ProblemKind::CredentialMissing => earlier,
        _ => later,
    }
}

/// Adds one challenge per policy of the route to a 401 (RFC 9110, section 11.6.1).
fn challenged(problem: Problem, exchange: &Exchange) -> Problem {
    if problem.kind == ProblemKind::StoreUnavailable {
        return problem;
    }
    let realm = &exchange.site.gateway.name;
    exchange.authenticators().fold(problem, |p, named| p.with(WWW_AUTHENTICATE, named.policy.challenge(realm)))
}
