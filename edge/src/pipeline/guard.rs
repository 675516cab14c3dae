//! guard: decisions before the caller is authenticated, so that a refusal costs no look-up of a credential.
//!
//! The size of the content first, then the route's guards, then the limits that count by the client's address.

use http::header::CONTENT_LENGTH;
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::guard::Unidentified;
use tollgate_core::kinds::Named;
use tollgate_core::problem::{Problem, ProblemKind};

use super::exchange::{Exchange, Journal};
use crate::ports::Content;

/// Runs the route's guards, in order; the first refusal ends the exchange.
pub(super) fn admit(exchange: &Exchange, journal: &mut Journal) -> Result<(), Problem> {
    let received = &exchange.received;
    let head = received.head(&received.method);
    let request = Unidentified { head, host: &received.host, address: received.origin.address };
    for place in &exchange.route().guard {
        let Named { name, policy } = exchange.policy(*place);
        if let Err(problem) = policy.check(&request) {
            return Err(journal.refused(Phase::Guard, problem.by(name.clone())));
        }
        journal.note_policy(Phase::Guard, name, Verdict::Pass, Reason::Admitted);
    }
    Ok(())
}

/// The content; if its length was not declared, it is limited while it streams.
pub(super) fn content<C: Content>(exchange: &Exchange, content: C, journal: &mut Journal) -> Result<C, Problem> {
    let max = exchange.route().content_bytes_max;
    let declared = exchange.received.fields.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    journal.request_bytes = declared.or_else(|| content.length());
    match declared {
        Some(bytes) if bytes > max => {
            Err(journal.refused(Phase::Guard, too_large(max, Reason::ContentTooLarge { bytes, max })))
        }
        Some(_) => Ok(content),
        None if content.is_empty() => Ok(content),
        // A length that is too large for a number counts as not declared, so the content is limited while it streams.
        None => Ok(content.limited(max)),
    }
}

/// The problem of content that is too large, as declared or as counted while streaming.
pub(super) fn too_large(max: u64, reason: Reason) -> Problem {
    Problem::new(ProblemKind::ContentTooLarge, format!("This URL accepts content of up to {max} bytes."), reason)
}
