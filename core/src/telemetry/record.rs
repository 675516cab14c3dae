//! What is known of a finished exchange.

use crate::authn::Principal;
use crate::cache::CacheOutcome;
use crate::event::{Events, Refusal, RouteLabel, UpstreamRecord};
use crate::time::Timestamp;

use super::TraceContext;

/// A finished exchange: when, how long, how answered, and the events on its way. What else is known of it is folded from
/// the events.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// The id that the client and the upstream learned.
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
    /// The status it was answered with.
    pub status: u16,
    /// Bytes of content delivered, where the platform lets them be seen.
    pub content_bytes: Option<u64>,
    /// Whether the delivery was broken off: by the client (`Some(false)`) or by the upstream (`Some(true)`).
    pub aborted_by_upstream: Option<bool>,
    /// What happened on the way.
    pub events: Events,
}

impl ExchangeRecord {
    /// The route it took.
    #[must_use]
    pub fn route(&self) -> Option<&RouteLabel> {
        self.events.route().map(AsRef::as_ref)
    }

    /// Whom it was made for.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.events.principal().map(AsRef::as_ref)
    }

    /// Why it was refused or failed, if it was.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal<'_>> {
        self.events.refusal()
    }

    /// What the cache did, if the route has one.
    #[must_use]
    pub fn cache(&self) -> Option<CacheOutcome> {
        self.events.cache()
    }

    /// The calls to upstreams, in order: each attempt is one.
    pub fn calls(&self) -> impl Iterator<Item = &UpstreamRecord> {
        self.events.calls()
    }

    /// The status class, such as `2xx`.
    #[must_use]
    pub const fn status_class(&self) -> &'static str {
        status_class(self.status)
    }

    /// The methods that telemetry tells apart (OpenTelemetry's well-known set); others are `_OTHER`.
    #[must_use]
    pub fn known_method(method: &http::Method) -> &'static str {
        const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
        KNOWN.into_iter().find(|k| *k == method.as_str()).unwrap_or("_OTHER")
    }
}

/// The class of a status, such as `2xx`.
pub(super) const fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
