//! The `api-key` policy: the key is looked up among the credentials by its digest.

use std::sync::Arc;

use tollgate_core::authn::{ApiKeySettings, KeyPresented, KeyText, Principal};
use tollgate_core::event::Reason;
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use super::stored::{of_another_environment, principal, store_failed};
use crate::isolate::Isolate;
use crate::isolate::credentials::credential;
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
        if !self.rules.admits(key, &found.credential) {
            return Err(of_another_environment(&found.credential));
        }
        principal(&found, "API key", host.clock().now(), received)
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
