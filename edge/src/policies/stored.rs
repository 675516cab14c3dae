//! A stored credential: whether it may be used here and now.

use std::rc::Rc;
use std::sync::Arc;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{Credential, CredentialState, KeyRules, KeyText, Principal, Restricted};
use tollgate_core::event::{Local, Reason};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::Timestamp;

use crate::isolate::Isolate;
use crate::isolate::credentials::{Known, LookUpFailed, credential};
use crate::pipeline::Received;
use crate::ports::{Clock, Host};

/// The owner of a credential, which clients know as `what`, if a request may use it at this time.
pub(super) fn principal(
    found: &Known,
    what: &str,
    now: Timestamp,
    received: &Received,
) -> Result<Arc<Principal>, Problem> {
    let credential = &found.credential;
    match credential.state(now) {
        CredentialState::Valid => {}
        state => return Err(not_valid(state, credential, what)),
    }
    if let Some(restrictions) = &credential.restrictions {
        let checked = restrictions.check(received.origin.address, &received.host, &received.fields);
        checked.map_err(|restricted| not_here(restricted, credential, what))?;
    }
    Ok(Arc::clone(&found.principal))
}

/// The owner of an API key that a policy admits, if a request may use it now; `unknown` is the problem of a key that is none, or not
/// one of the consumer `owner`.
pub(super) async fn owner_of_key<H: Host>(
    key: KeyText<'_>,
    rules: &KeyRules,
    owner: Option<&str>,
    unknown: fn() -> Problem,
    (isolate, host, received): (&Isolate, &H, &Received),
) -> Result<Arc<Principal>, Problem> {
    let found = credential(isolate, host, key).await.map_err(|failed| store_failed(&failed))?;
    let is_own = |found: &Rc<Known>| owner.is_none_or(|owner| found.credential.consumer == owner);
    let found = found.filter(is_own).ok_or_else(unknown)?;
    if !rules.admits(key, &found.credential) {
        return Err(of_another_environment(&found.credential));
    }
    principal(&found, "API key", host.clock().now(), received)
}

/// The problem of a credential, which is called `what`, that is not valid now.
fn not_valid(state: CredentialState, credential: &Credential, what: &str) -> Problem {
    let (id, consumer) = (credential.id.as_str().into(), credential.consumer.as_str().into());
    match state {
        CredentialState::NotYetValid => {
            let start = credential.not_before.unwrap_or_default().to_rfc3339();
            let reason = Reason::CredentialNotYetValid { credential: id, consumer };
            Problem::new(ProblemKind::CredentialNotYetValid, format!("This {what} is valid from {start}."), reason)
        }
        CredentialState::Expired => {
            let end = credential.expires.unwrap_or_default().to_rfc3339();
            let reason = Reason::CredentialExpired { credential: id, consumer };
            let detail = format!("This {what} was valid until {end}. Request a new one.");
            Problem::new(ProblemKind::CredentialExpired, detail, reason)
        }
        CredentialState::Revoked | CredentialState::Valid => {
            let reason = Reason::CredentialRevoked { credential: id, consumer };
            let detail = format!("This {what} was revoked. Request a new one.");
            Problem::new(ProblemKind::CredentialRevoked, detail, reason)
        }
    }
}

/// A credential is not accepted from everywhere; which places it is accepted from is nobody's business who has found it.
fn not_here(restricted: Restricted, credential: &Credential, what: &str) -> Problem {
    let (id, consumer) = (credential.id.as_str().into(), credential.consumer.as_str().into());
    let (detail, reason) = match restricted {
        Restricted::Address => (
            format!("This {what} is not accepted from your address. Use it from a network that it was issued for."),
            Reason::CredentialAddress { credential: id, consumer },
        ),
        Restricted::Host => (
            format!("This {what} is not accepted at this host. Use it at a host that it was issued for."),
            Reason::CredentialHost { credential: id, consumer },
        ),
        Restricted::Referrer => (
            format!("This {what} is accepted only from certain web pages, which `Origin` or `Referer` must name."),
            Reason::CredentialReferrer { credential: id, consumer },
        ),
    };
    Problem::new(ProblemKind::CredentialNotAccepted, detail, reason)
}

/// A key is of an environment that the policy does not accept.
fn of_another_environment(credential: &Credential) -> Problem {
    let (id, consumer) = (credential.id.as_str().into(), credential.consumer.as_str().into());
    let detail = "This API key is of another environment. Use a key of the environment of this API.";
    Problem::new(ProblemKind::CredentialNotAccepted, detail, Reason::CredentialEnvironment { credential: id, consumer })
}

/// A caller that cannot be authenticated is never admitted.
pub(super) fn store_failed(failed: &LookUpFailed) -> Problem {
    let text = match failed {
        LookUpFailed::Unavailable(error) => error.to_string(),
        LookUpFailed::Unusable(error) => error.to_string(),
    };
    let detail = "The gateway cannot verify credentials right now. Try again shortly.";
    let reason = Reason::CredentialsUnavailable { text: Local(text.into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}
