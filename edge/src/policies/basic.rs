//! The `basic` policy: the password is looked up as an API key, or compared with those of the listed users.

use std::sync::Arc;

use tollgate_core::authn::{BasicSettings, KeyText, NameAndPassword, Principal};
use tollgate_core::event::Reason;
use tollgate_core::kinds::PolicyName;
use tollgate_core::problem::{Problem, ProblemKind};

use super::Authenticates;
use super::person::person;
use super::stored::owner_of_key;
use crate::isolate::Isolate;
use crate::pipeline::{Received, RequestContent};
use crate::ports::Host;

impl Authenticates for BasicSettings {
    async fn authenticate<H: Host>(
        &self,
        name: &PolicyName,
        isolate: &Isolate,
        host: &H,
        received: &Received,
        _: &mut RequestContent<'_, H::Content>,
    ) -> Result<Arc<Principal>, Problem> {
        let pair = presented(self, received)?;
        if self.is_of_people() {
            return person(self, name, (isolate, host), received, &pair).await;
        }
        if !self.users.is_empty() {
            return self.user(name, &pair).map(Arc::new).ok_or_else(wrong);
        }
        let key = KeyText::parse(pair.password()).map_err(|_| wrong())?;
        owner_of_key(key, &self.rules, Some(pair.name()), wrong, (isolate, host, received)).await
    }
}

fn presented(settings: &BasicSettings, received: &Received) -> Result<NameAndPassword, Problem> {
    let malformed = |error| {
        let detail = format!("This is not a name and a password: {error}.");
        Problem::new(ProblemKind::CredentialMalformed, detail, Reason::PasswordMalformed { error })
    };
    settings.presented(&received.fields).map_err(malformed)?.ok_or_else(|| {
        let detail = "Send name and password in the field `Authorization: Basic` (RFC 7617).";
        Problem::new(ProblemKind::CredentialMissing, detail, Reason::PasswordMissing)
    })
}

/// Which of them is wrong is not told.
pub(super) fn wrong() -> Problem {
    let detail = "The name or the password is wrong.";
    Problem::new(ProblemKind::CredentialUnknown, detail, Reason::PasswordWrong)
}
