//! The `api-key` policy: the key is looked up among the credentials by its digest.

use http::header::RETRY_AFTER;
use tollgate_core::authn::{ApiKey, ApiKeySettings, Credential, CredentialState, Presented, Principal};
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use crate::isolate::Isolate;
use crate::isolate::credentials::{LookUpFailed, credential};
use crate::pipeline::Received;
use crate::ports::{Clock, Host};

impl Authenticates for ApiKeySettings {
    async fn authenticate<H: Host>(
        &self,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        policy: &str,
    ) -> Result<Principal, Problem> {
        let key = presented(self, received)?;
        let found = credential(isolate, host, key.digest()).await.map_err(|failed| store_failed(&failed))?;
        let Some(found) = found else {
            let detail = "Nobody has this API key here. Check that it belongs to this environment.";
            return Err(Problem::new(ProblemKind::CredentialUnknown, detail).logged("unknown key"));
        };
        match found.state(host.clock().now()) {
            CredentialState::Valid => Ok(principal(&found, policy)),
            state => Err(not_valid(state, &found)),
        }
    }
}

fn presented(settings: &ApiKeySettings, received: &Received) -> Result<ApiKey, Problem> {
    let place = match &settings.scheme {
        Some(scheme) => format!("the field `{}: {scheme} <key>`", settings.field),
        None => format!("the field `{}`", settings.field),
    };
    let (kind, detail, log) = match settings.presented(&received.fields, received.query.as_deref()) {
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
