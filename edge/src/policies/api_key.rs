//! The `api-key` policy: the key is looked up among the credentials by its digest.

use std::sync::Arc;

use tollgate_core::authn::{ApiKeySettings, KeyPresented, KeyText, Principal};
use tollgate_core::event::Reason;
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use super::stored::owner_of_key;
use crate::isolate::Isolate;
use crate::pipeline::{Received, RequestContent};
use crate::ports::Host;

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
        owner_of_key(key, &self.rules, None, unknown, (isolate, host, received)).await
    }
}

fn unknown() -> Problem {
    let detail = "This API key is not known. Check that it belongs to this environment.";
    Problem::new(ProblemKind::CredentialUnknown, detail, Reason::KeyUnknown)
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
