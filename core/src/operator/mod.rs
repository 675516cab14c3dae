//! The operator endpoint: how people and machines reach a running gateway, the same way on every host.
//!
//! It answers only where at least one token is bound to it (see [`Tokens`]); elsewhere its paths are answered as an unknown
//! route is. Its paths are never routed to an upstream ([`Place`]). What can be asked for is a [`Resource`]: a method, a path,
//! the [`Role`] it takes. The types of requests and answers are here; what has to wait for a store is done in `tollgate-edge`.
//!
//! To add a resource: a variant of [`Resource`] with its row of facts, its request and answer beside the others here, and one
//! handler in `edge/src/operator/`.

mod attempts;
mod audit;
mod keys;
mod metrics;
mod place;
mod purge;
mod resource;
mod token;

pub use attempts::{FailedAttempts, Noted};
pub use audit::{AuditCaller, AuditEvent, AuditOutcome};
pub use keys::{IssuedKey, KeyReference, KeyRequest, KeyView};
pub use metrics::{Gauge, GaugeKind, MetricsAnswer, MetricsScope, MetricsSnapshot, wants_text};
pub use place::{Claim, Place, PlaceError, Prefix};
pub use purge::{PurgeAnswer, PurgeRequest, PurgeTarget};
pub use resource::{Found, Resource};
pub use token::{Caller, Role, SECRET_PREFIX, TokenError, Tokens};

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::problem::{Problem, ProblemKind};

/// Checks that a request declares JSON as the type of its content.
///
/// A page in a browser cannot send this type to another origin without asking first (CORS), which is never allowed here.
///
/// # Errors
/// The problem to answer with.
pub fn check_json(fields: &HeaderMap) -> Result<(), Problem> {
    let media_type = fields.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let name = media_type.and_then(|value| value.split(';').next());
    if name.is_some_and(|name| name.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let detail = "Send a JSON object, with Content-Type: application/json.";
    Err(Problem::plain(ProblemKind::UnsupportedMediaType, detail))
}

/// Reads the JSON content of a request strictly: unknown, missing and repeated members are refused.
fn read<T: serde::de::DeserializeOwned>(content: &[u8], form: &'static str) -> Result<T, Problem> {
    serde_json::from_slice(content).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        let detail = format!("The content is not the JSON object that is expected ({place}). Send {form}.");
        Problem::plain(ProblemKind::BadRequest, detail)
    })
}

/// Whether a text can be the name of a consumer or plan: 1 to 80 letters, digits, `-`, `_` and `.`.
fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// As long as a name may be in fixtures.
const NAME_BYTES_MAX: usize = 80;
