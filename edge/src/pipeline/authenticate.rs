//! authenticate: one of the route's alternatives must recognise the caller; a route without any is public.

use http::header::WWW_AUTHENTICATE;
use tollgate_core::authn::Principal;
use tollgate_core::kinds::{AuthnPolicy, Named, Place};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::trace::{Phase, Verdict};

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
) -> Result<Option<Principal>, Problem> {
    if exchange.route().authn.is_empty() {
        journal.decisions.note(Phase::Authenticate, Verdict::Skip, "the route is public");
        return Ok(None);
    }
    let mut refusal = None;
    for alternative in &exchange.route().authn {
        match by_all(isolate, host, exchange, alternative, journal).await {
            Ok(principal) => {
                journal.principal = Some(principal.clone());
                return Ok(Some(principal));
            }
            Err(problem) => refusal = Some(most_telling(refusal, problem)),
        }
    }
    journal.decisions.note(Phase::Authenticate, Verdict::Refuse, "no policy authenticated the caller");
    let missing =
        || Problem::new(ProblemKind::CredentialMissing, "A credential is needed.").logged("no policy applied");
    Err(challenged(refusal.unwrap_or_else(missing), exchange))
}

/// Authenticates by every policy of an alternative; all must recognise the same consumer.
async fn by_all<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    alternative: &[Place<AuthnPolicy>],
    journal: &mut Journal,
) -> Result<Principal, Problem> {
    let mut recognised: Option<Principal> = None;
    for place in alternative {
        let Named { name, policy } = exchange.policy(*place);
        let found = policy.authenticate(isolate, host, &exchange.received, name).await;
        let found =
            found.and_then(|found| joined(recognised.take(), found)).map_err(|problem| problem.by(name.as_str()));
        match &found {
            Ok(principal) => {
                let reason = format!("consumer {}, credential {}", principal.consumer, principal.credential);
                journal.decisions.note_policy(Phase::Authenticate, name, Verdict::Pass, reason);
            }
            Err(problem) => {
                journal.decisions.note_policy(Phase::Authenticate, name, verdict(problem), problem.log.clone());
            }
        }
        recognised = Some(found?);
    }
    recognised.ok_or_else(|| Problem::new(ProblemKind::CredentialMissing, "A credential is needed."))
}

/// The principal of two credentials of one consumer: the first one, with the scopes of both.
fn joined(first: Option<Principal>, second: Principal) -> Result<Principal, Problem> {
    let Some(mut first) = first else { return Ok(second) };
    if first.consumer != second.consumer {
        let detail = "The request carries credentials of different consumers. Send those of one.";
        return Err(Problem::new(ProblemKind::CredentialMalformed, detail).logged("credentials of different consumers"));
    }
    first.scopes.extend(second.scopes);
    first.scopes.sort_unstable();
    first.scopes.dedup();
    Ok(first)
}

fn verdict(problem: &Problem) -> Verdict {
    match problem.kind {
        ProblemKind::StoreUnavailable => Verdict::Error,
        ProblemKind::CredentialMissing => Verdict::Skip,
        _ => Verdict::Refuse,
    }
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
