//! What is known of a finished exchange.

use crate::authn::Principal;
use crate::cache::CacheOutcome;
use crate::forward::UpstreamError;
use crate::time::Timestamp;
use crate::trace::DecisionTrace;

use super::{SpanId, TraceContext};

/// A finished exchange.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// The id the client and the upstream were told.
    pub request_id: String,
    /// Its place in a distributed trace.
    pub trace: TraceContext,
    /// When it was received.
    pub started: Timestamp,
    /// Until the response's head was ready, or its content delivered where the platform lets that be seen, in
    /// microseconds. On a platform whose clock stands still between I/O, only waiting counts.
    pub duration_us: u64,
    /// The method, or `_OTHER` where it is none of the registered ones (bounded cardinality).
    pub method: &'static str,
    /// The route it took.
    pub route: Option<RouteLabel>,
    /// The status it was answered with.
    pub status: u16,
    /// Whom it was made for.
    pub principal: Option<Principal>,
    /// Why it was refused or failed, if it was.
    pub refusal: Option<RefusalRecord>,
    /// What the cache did, if the route has one.
    pub cache: Option<CacheOutcome>,
    /// The call to the upstream, if one was made.
    pub upstream: Option<UpstreamRecord>,
    /// Bytes of content delivered, where the platform lets them be seen.
    pub content_bytes: Option<u64>,
    /// Whether the delivery was broken off: by the client (`Some(false)`) or by the upstream (`Some(true)`).
    pub aborted_by_upstream: Option<bool>,
    /// The decisions on the way.
    pub decisions: DecisionTrace,
}

/// A route as telemetry names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteLabel {
    /// The route's id.
    pub id: String,
    /// The API's name.
    pub api: String,
    /// The path template.
    pub template: String,
}

/// Why an exchange was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalRecord {
    /// The problem's slug.
    pub problem: &'static str,
    /// The policy that decided, if one did.
    pub policy: Option<String>,
    /// The text for the log.
    pub log: String,
}

/// A call to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRecord {
    /// The upstream's name.
    pub name: String,
    /// The span of the call.
    pub span: SpanId,
    /// When it began.
    pub started: Timestamp,
    /// Until its head came, or until it failed, in microseconds.
    pub duration_us: u64,
    /// Its status, or why there is none.
    pub outcome: Result<u16, UpstreamError>,
}

impl ExchangeRecord {
    /// The status class, such as `2xx`.
    #[must_use]
    pub const fn status_class(&self) -> &'static str {
        match self.status / 100 {
            1 => "1xx",
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        }
    }

    /// The methods that telemetry tells apart (OpenTelemetry's well-known set); others are `_OTHER`.
    #[must_use]
    pub fn known_method(method: &http::Method) -> &'static str {
        const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
        KNOWN.into_iter().find(|k| *k == method.as_str()).unwrap_or("_OTHER")
    }
}
