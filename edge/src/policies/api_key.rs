//! The `api-key` policy: the key is looked up among the credentials by its digest.

use std::sync::Arc;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{ApiKeySettings, Credential, CredentialState, KeyPresented, KeyText, Principal, Restricted};
use tollgate_core::event::{Local, Reason};
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use crate::isolate::Isolate;
use crate::isolate::credentials::{LookUpFailed, credential};
use crate::pipeline::{Received, RequestContent};
use crate::ports::{Clock, Host};

impl Authenticates for ApiKeySettings {
    async fn authenticate<H: Host>(
        &self,
        _: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        _: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let key = presented(self, received)?;
        let found = credential(isolate, host, key).await.map_err(|failed| store_failed(&failed))?;
        let Some(found) = found else {
            let detail = "This API key is not known. Check that it belongs to this environment.";
            return Err(Problem::new(ProblemKind::CredentialUnknown, detail, Reason::KeyUnknown));
        };
        let credential = &found.credential;
        match credential.state(host.clock().now()) {
            CredentialState::Valid => {}
            state => return Err(not_valid(state, credential)),
        }
        if let Some(restrictions) = &credential.restrictions {
            let checked = restrictions.check(received.origin.address, &received.host, &received.fields);
            checked.map_err(|restricted| not_here(restricted, credential))?;
        }
        Ok(Arc::clone(&found.principal))
    }
}

fn presented<'r>(settings: &ApiKeySettings, received: &'r Received) -> Result<KeyText<'r>, Problem> {
    let place = || settings.place.in_words("key");
    let (kind, detail, reason) = match settings.presented(&received.fields, received.query.as_deref()) {
        KeyPresented::Key(key) => return Ok(key),
        KeyPresented::Nothing => {
            (ProblemKind::CredentialMissing, format!("Send your API key in {}.", place()), Reason::KeyMissing)
        }
        KeyPresented::Malformed(error) => {
            let detail = format!("Refused without a look-up: {error}.");
            (ProblemKind::CredentialMalformed, detail, Reason::KeyMalformed { error })
        }
        KeyPresented::Ambiguous => {
            let detail = format!("Send one API key, once, in {}.", place());
            (ProblemKind::CredentialMalformed, detail, Reason::KeysSeveral)
        }
        KeyPresented::WrongPlace => (
            ProblemKind::CredentialMisplaced,
            format!(
                "An API key in the URL is not accepted, because URLs are logged. Send it in {}, and replace this one.",
                place()
            ),
            Reason::KeyInQuery,
        ),
    };
    Err(Problem::new(kind, detail, reason))
}

fn not_valid(state: CredentialState, credential: &Credential) -> Problem {
    let (id, consumer) = (credential.id.as_str().into(), credential.consumer.as_str().into());
    match state {
        CredentialState::NotYetValid => {
            let start = credential.not_before.unwrap_or_default().to_rfc3339();
            let reason = Reason::CredentialNotYetValid { credential: id, consumer };
            Problem::new(ProblemKind::CredentialNotYetValid, format!("This API key is valid from {start}."), reason)
        }
        CredentialState::Expired => {
            let end = credential.expires.unwrap_or_default().to_rfc3339();
            let reason = Reason::CredentialExpired { credential: id, consumer };
            let detail = format!("This API key was valid until {end}. Request a new one.");
            Problem::new(ProblemKind::CredentialExpired, detail, reason)
        }
        CredentialState::Revoked | CredentialState::Valid => {
            let reason = Reason::CredentialRevoked { credential: id, consumer };
            Problem::new(ProblemKind::CredentialRevoked, "This API key was revoked. Request a new one.", reason)
        }
    }
}

/// A key is not accepted from everywhere; which places it is accepted from is nobody's business who has found it.
fn not_here(restricted: Restricted, credential: &Credential) -> Problem {
    let (id, consumer) = (credential.id.as_str().into(), credential.consumer.as_str().into());
    let (detail, reason) = match restricted {
        Restricted::Address => (
            "This API key is not accepted from your address. Use it from a network that it was issued for.",
            Reason::CredentialAddress { credential: id, consumer },
        ),
        Restricted::Host => (
            "This API key is not accepted at this host. Use it at a host that it was issued for.",
            Reason::CredentialHost { credential: id, consumer },
        ),
        Restricted::Referrer => (
            "This API key is accepted only from certain web pages, which `Origin` or `Referer` must name.",
            Reason::CredentialReferrer { credential: id, consumer },
        ),
    };
    Problem::new(ProblemKind::CredentialNotAccepted, detail, reason)
}

/// A caller that cannot be authenticated is never admitted.
fn store_failed(failed: &LookUpFailed) -> Problem {
    let text = match failed {
        LookUpFailed::Unavailable(error) => error.to_string(),
        LookUpFailed::Unusable(error) => error.to_string(),
    };
    let detail = "The gateway cannot verify credentials right now. Try again shortly.";
    let reason = Reason::CredentialsUnavailable { text: Local(text.into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}
