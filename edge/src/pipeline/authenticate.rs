//! authenticate: one of the route's alternatives must authenticate the caller; a route without alternatives is public.

use std::pin::pin;
use std::sync::Arc;

use http::header::WWW_AUTHENTICATE;
use tollgate_core::authn::Principal;
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::kinds::{AuthnPolicy, Named, Place};
use tollgate_core::problem::{Problem, ProblemKind};

use super::exchange::{Exchange, Journal};
use crate::apart::apart;
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
    apart(pin!(by_any(isolate, host, exchange, journal))).await.map(Some)
}

/// Authenticates with the first alternative that identifies the caller.
async fn by_any<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    journal: &mut Journal,
) -> Result<Arc<Principal>, Problem> {
    let mut furthest: Option<Failed> = None;
    for alternative in &exchange.route().authn {
        match by_all(isolate, host, exchange, alternative, journal).await {
            Ok(principal) => return Ok(principal),
            Err(failed) => {
                furthest = Some(match furthest {
                    Some(earlier) => earlier.or_further(failed),
                    None => failed,
                });
            }
        }
    }
    journal.note(Phase::Authenticate, Verdict::Refuse, Reason::NotAuthenticated);
    Err(challenged(furthest.map_or_else(no_credential, |failed| failed.problem), exchange))
}

/// Authenticates with every policy of an alternative; all must identify the same consumer.
async fn by_all<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    alternative: &[Place<AuthnPolicy>],
    journal: &mut Journal,
) -> Result<Arc<Principal>, Failed> {
    let mut recognised: Option<Arc<Principal>> = None;
    for (passed, place) in alternative.iter().enumerate() {
        let Named { name, policy } = exchange.policy(*place);
        let found = policy.authenticate(name, isolate, host, &exchange.received).await;
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
        recognised = Some(found.map_err(|problem| Failed { passed, problem })?);
    }
    recognised.ok_or_else(|| Failed { passed: 0, problem: no_credential() })
}

/// Why an alternative did not authenticate the caller.
struct Failed {
    /// How many of its policies did.
    passed: usize,
    problem: Problem,
}

impl Failed {
    /// The failure of the alternative that got further; of two that got as far, that of the earlier one.
    fn or_further(self, later: Self) -> Self {
        if later.progress() > self.progress() { later } else { self }
    }

    /// How far it got: whether a store was unavailable, so that it might have passed; how many of its policies passed; whether
    /// the request has a credential for the policy that did not.
    fn progress(&self) -> (bool, usize, bool) {
        let kind = self.problem.kind;
        (kind == ProblemKind::StoreUnavailable, self.passed, kind != ProblemKind::CredentialMissing)
    }
}

fn no_credential() -> Problem {
    Problem::new(ProblemKind::CredentialMissing, "A credential is required.", Reason::NotAuthenticated)
}

/// The principal of two credentials of one consumer: the first one, with the scopes of both.
fn joined(first: Option<Arc<Principal>>, second: Arc<Principal>) -> Result<Arc<Principal>, Problem> {
    let Some(first) = first else { return Ok(second) };
    if first.consumer != second.consumer {
        let detail = "The request has credentials of different consumers. Send those of one consumer only.";
        return Err(Problem::new(ProblemKind::CredentialMalformed, detail, Reason::ConsumersDiffer));
    }
    let mut joined = Arc::unwrap_or_clone(first);
    joined.scopes.extend(second.scopes.iter().cloned());
    joined.scopes.sort_unstable();
    joined.scopes.dedup();
    Ok(Arc::new(joined))
}

fn verdict(problem: &Problem) -> Verdict {
    // Another policy may authenticate the caller, so a missing credential is not a refusal yet.
    if problem.kind == ProblemKind::CredentialMissing { Verdict::Skip } else { problem.verdict() }
}

/// Adds one challenge per policy of the route to a 401 (RFC 9110, section 11.6.1).
fn challenged(problem: Problem, exchange: &Exchange) -> Problem {
    if problem.kind == ProblemKind::StoreUnavailable {
        return problem;
    }
    let realm = &exchange.site.gateway.name;
    exchange.authenticators().fold(problem, |p, named| p.with(WWW_AUTHENTICATE, named.policy.challenge(realm)))
}
