//! The operator endpoint: an HTTP interface to a running gateway for people and programs, the same on every host.
//!
//! It is available only if at least one token is bound to it (see [`Tokens`]); otherwise its paths get the response of
//! an unknown route. Its paths are never routed to an upstream ([`Place`]). A [`Resource`] is a method, a path and the
//! required [`Role`]. The types of requests and responses are here; handlers that await a store are in `tollgate-edge`.
//!
//! To add a resource: a variant of [`Resource`] with its row of facts, the types of its request and response in this
//! folder, and one handler in `edge/src/operator/`.

mod attempts;
mod audit;
mod catalogue;
mod entitlements;
mod key_list;
mod keys;
mod members;
mod metrics;
mod numbers;
mod outages;
mod place;
mod purge;
mod resource;
mod rotation;
mod secrets;
mod token;

pub use attempts::{FailedAttempts, FailureHandling};
pub use audit::{AuditCaller, AuditEvent, AuditOutcome};
pub use catalogue::{Catalogue, Configured};
pub use entitlements::{Entitlement, EntitlementList, Entitling, EntitlingRequest, KnownRecords};
pub use key_list::{KeyList, KeyQuery, UsageQuery};
pub use keys::{Creation, IssuedKey, KEY_KINDS, KeyReference, KeyRequest, KeyView};
pub use metrics::{Gauge, GaugeKind, MetricsAnswer, MetricsScope, MetricsSnapshot, wants_text};
pub use numbers::numbers;
pub use outages::{AdmittedToken, OutageRequest, OutageView, TokensRequest};
pub use place::{Claim, Place, PlaceError, Prefix};
pub use purge::{PurgeAnswer, PurgeRequest, PurgeTarget};
pub use resource::{Found, Resource};
pub use rotation::{OVERLAP_S, Rotated, RotatedKey, RotationRequest, parse_overlap};
pub use secrets::SecretView;
pub use token::{Caller, Role, SECRET_PREFIX, TokenError, Tokens};

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::problem::{Problem, ProblemKind};

/// Checks that a request declares JSON as the type of its content.
///
/// A web page cannot send this type to another origin without a CORS preflight, which is never allowed here.
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

/// Whether a text can be the name of a consumer or plan: 1 to 80 letters, digits, `-`, `_` and `.`.
fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// The maximum length of a name, as in fixtures.
const NAME_BYTES_MAX: usize = 80;
