//! The token of a request, for all kinds that read one.

use tollgate_core::authn::{CredentialPlace, Presented};
use tollgate_core::event::Reason;
use tollgate_core::problem::{Problem, ProblemKind};

use crate::pipeline::Received;

/// The text in the place of the token.
pub(super) fn presented<'r>(place: &CredentialPlace, received: &'r Received) -> Result<&'r str, Problem> {
    let (kind, detail, reason) = match place.presented(&received.fields, received.query.as_deref()) {
        Presented::Text(text) => return Ok(text),
        Presented::Nothing => {
            let detail = format!("Send a token of your identity provider in {}.", place.in_words("token"));
            (ProblemKind::CredentialMissing, detail, Reason::TokenMissing)
        }
        Presented::Several => {
            let detail = format!("Send one token, once, in {}.", place.in_words("token"));
            (ProblemKind::CredentialMalformed, detail, Reason::TokensSeveral)
        }
    };
    Err(Problem::new(kind, detail, reason))
}
