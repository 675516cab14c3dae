//! What the policies for signed requests share: their secrets, messages that are accepted once, and how they refuse.

use std::num::NonZeroU32;

use http::header::RETRY_AFTER;
use tollgate_core::authn::{MessageError, Once};
use tollgate_core::event::{Local, Reason};
use tollgate_core::limit::{OnFault, OnUnavailable};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::secret::{Secret, SecretText};

use crate::isolate::Isolate;
use crate::isolate::secrets::resolve_all;
use crate::pipeline::RequestContent;
use crate::ports::Host;
use crate::problems::secret_missing;
use crate::timeout::counted;

/// The values of secrets, two of one that is rotated; all must be there.
pub(super) async fn secrets<H: Host>(
    isolate: &Isolate,
    host: &H,
    texts: &[SecretText],
) -> Result<Vec<Secret>, Problem> {
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        let found = resolve_all(isolate, host, text).await.map_err(|away| keys_unavailable(away.0))?;
        values.extend(found.ok_or_else(|| {
            let names = text.secret_names().collect::<Vec<_>>().join(", ").into();
            secret_missing(Reason::SecretMissing { names })
        })?);
    }
    Ok(values)
}

/// Accepts something once within a time; without the counter store nothing is accepted. It is accepted again if a later phase
/// refuses the request, or the upstream cannot be reached.
pub(super) async fn accept_once<H: Host>(
    host: &H,
    content: &mut RequestContent<'_, H::Content>,
    once: Once<'_>,
    window_ms: NonZeroU32,
) -> Result<(), Problem> {
    let update = once.update(window_ms, content.request(host));
    let answer = counted(host, &update).await;
    // A charge whose answer is lost may have taken effect.
    if answer.as_ref().map_or(true, |outcome| outcome.granted) {
        content.release_unless_forwarded(&update);
    }
    match answer {
        Ok(outcome) if outcome.granted => Ok(()),
        Ok(_) => {
            let detail = "The same signed message was accepted before. Sign each message anew.";
            Err(Problem::new(ProblemKind::CredentialReplayed, detail, Reason::MessageReplayed))
        }
        Err(fault) => {
            let reason = Reason::CountersFailed { fault: fault.kind(), text: Local(fault.to_string().into()) };
            let (kind, retry_s) = match fault.kind().decide(OnUnavailable::Closed) {
                OnFault::Refuse(kind, retry_s) => (kind, retry_s),
                OnFault::Pass => (ProblemKind::StoreUnavailable, 1),
            };
            let detail = "The gateway cannot tell right now whether this message was sent before. Try again shortly.";
            Err(Problem::new(kind, detail, reason).with(RETRY_AFTER, retry_s.to_string()))
        }
    }
}

pub(super) fn not_signed(detail: &'static str) -> Problem {
    Problem::new(ProblemKind::CredentialMissing, detail, Reason::MessageNotSigned)
}

pub(super) fn refused(error: MessageError) -> Problem {
    let detail = format!("The signed request is not accepted: {error}.");
    Problem::new(error.kind(), detail, Reason::MessageRefused { error })
}

/// A caller that cannot be authenticated is never admitted.
pub(super) fn keys_unavailable(text: String) -> Problem {
    let detail = "The gateway cannot verify signatures right now. Try again shortly.";
    let reason = Reason::SigningKeysUnavailable { text: Local(text.into()) };
    Problem::new(ProblemKind::StoreUnavailable, detail, reason).with(RETRY_AFTER, "1")
}
