//! authenticate: one of the route's policies must recognise the caller; a route without any is public.

use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use tollgate_core::authn::{ApiKey, ApiKeySettings, Credential, CredentialState, Presented, Principal};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::settings::PolicyKind;
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Exchange, Journal};
use crate::isolate::Isolate;
use crate::isolate::credentials::{LookUpFailed, credential};
use crate::ports::{Clock, Host};

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
    for place in &exchange.route().authn {
        let policy = exchange.policy(*place);
        let PolicyKind::ApiKey(settings) = &policy.kind else { continue };
        match by_key(isolate, host, exchange, &policy.name, settings).await {
            Ok(principal) => {
                let reason = format!("consumer {}, credential {}", principal.consumer, principal.credential);
                journal.decisions.note_policy(Phase::Authenticate, &policy.name, Verdict::Pass, reason);
                journal.principal = Some(principal.clone());
                return Ok(Some(principal));
            }
            Err(problem) => {
                journal.decisions.note_policy(
                    Phase::Authenticate,
                    &policy.name,
                    verdict(&problem),
                    problem.log.clone(),
                );
                refusal = Some(most_telling(refusal, problem));
            }
        }
    }
    journal.decisions.note(Phase::Authenticate, Verdict::Refuse, "no policy let the caller in");
    let missing =
        || Problem::new(ProblemKind::CredentialMissing, "A credential is needed.").logged("no policy applied");
    Err(challenged(refusal.unwrap_or_else(missing), exchange))
}

async fn by_key<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    policy: &str,
    settings: &ApiKeySettings,
) -> Result<Principal, Problem> {
    let key = presented(settings, exchange).map_err(|problem| problem.by(policy))?;
    let found = credential(isolate, host, key.digest()).await.map_err(|failed| store_failed(&failed).by(policy))?;
    let Some(found) = found else {
        let detail = "Nobody has this API key here. Check that it belongs to this environment.";
        return Err(Problem::new(ProblemKind::CredentialUnknown, detail).logged("unknown key").by(policy));
    };
    match found.state(host.clock().now()) {
        CredentialState::Valid => Ok(principal(&found, policy)),
        state => Err(not_valid(state, &found).by(policy)),
    }
}

fn presented(settings: &ApiKeySettings, exchange: &Exchange) -> Result<ApiKey, Problem> {
    let place = match &settings.scheme {
        Some(scheme) => format!("the field `{}: {scheme} <key>`", settings.field),
        None => format!("the field `{}`", settings.field),
    };
    let (kind, detail, log) = match settings.presented(&exchange.received.fields, exchange.received.query.as_deref()) {
        Presented::Key(key) => return Ok(key),
        Presented::Nothing => {
            (ProblemKind::CredentialMissing, format!("Send your API key in {place}."), "no key".to_owned())
        }
        Presented::Malformed(error) => {
            (ProblemKind::CredentialMalformed, format!("Refused without a look-up: {error}."), error.to_string())
        }
        Presented::Ambiguous => (
            ProblemKind::CredentialMalformed,
            format!("Send one API key, once, in {place}."),
            "several keys".to_owned(),
        ),
        Presented::WrongPlace => (
            ProblemKind::CredentialMisplaced,
            format!(
                "An API key is not taken from the URL, where logs would keep it. Send it in {place}, and replace this one."
            ),
            "key in the query".to_owned(),
        ),
    };
    Err(Problem::new(kind, detail).logged(log))
}

fn principal(credential: &Credential, policy: &str) -> Principal {
    Principal {
        consumer: credential.consumer.clone(),
        credential: credential.id.clone(),
        plan: credential.plan.clone(),
        scopes: credential.scopes.clone(),
        policy: policy.to_owned(),
    }
}

fn not_valid(state: CredentialState, credential: &Credential) -> Problem {
    let log = |what: &str| format!("{what}: credential {} of {}", credential.id, credential.consumer);
    match state {
        CredentialState::NotYetValid => {
            let start = credential.not_before.unwrap_or_default().to_rfc3339();
            Problem::new(ProblemKind::CredentialNotYetValid, format!("This API key holds from {start}."))
                .logged(log("not yet valid"))
        }
        CredentialState::Expired => {
            let end = credential.expires.unwrap_or_default().to_rfc3339();
            Problem::new(ProblemKind::CredentialExpired, format!("This API key held until {end}. Ask for a new one."))
                .logged(log("expired"))
        }
        CredentialState::Revoked | CredentialState::Valid => {
            Problem::new(ProblemKind::CredentialRevoked, "This API key was revoked. Ask for a new one.")
                .logged(log("revoked"))
        }
    }
}

/// Nobody is let in while it cannot be known who they are.
fn store_failed(failed: &LookUpFailed) -> Problem {
    let log = match failed {
        LookUpFailed::Away(away) => away.to_string(),
        LookUpFailed::Bad(error) => error.to_string(),
    };
    let detail = "The gateway cannot verify credentials right now. Try again shortly.";
    Problem::new(ProblemKind::StoreUnavailable, detail).with(RETRY_AFTER, "1").logged(log)
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
    exchange.key_settings().fold(problem, |p, settings| p.with(WWW_AUTHENTICATE, settings.challenge(realm)))
}
