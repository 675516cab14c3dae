//! The record of a finished exchange.

use crate::authn::Principal;
use crate::cache::CacheOutcome;
use crate::event::{Events, Refusal, RouteLabel, UpstreamRecord};
use crate::time::Timestamp;

use super::TraceContext;

/// A finished exchange: its time, duration, result and events. Everything else is derived from the events.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// The id that was sent to the client and the upstream.
    pub request_id: String,
    /// Its ids in a distributed trace.
    pub trace: TraceContext,
    /// When it was received.
    pub started: Timestamp,
    /// In microseconds, until the content was delivered, or until the response's head was ready if the platform cannot
    /// observe the delivery. On a platform whose clock advances only with I/O, only the time spent in I/O counts.
    pub duration_us: u64,
    /// The method, or `_OTHER` if it is not one of the registered ones (bounded cardinality).
    pub method: &'static str,
    /// The status of the response.
    pub status: u16,
    /// Bytes of content delivered, if the platform can observe them.
    pub content_bytes: Option<u64>,
    /// Whether the delivery was aborted: by the client (`Some(false)`) or by the upstream (`Some(true)`).
    pub aborted_by_upstream: Option<bool>,
    /// The events, in order.
    pub events: Events,
}

impl ExchangeRecord {
    /// The selected route.
    #[must_use]
    pub fn route(&self) -> Option<&RouteLabel> {
        self.events.route().map(AsRef::as_ref)
    }

    /// The authenticated principal.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.events.principal().map(AsRef::as_ref)
    }

    /// Why it was refused or failed, if it was.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal<'_>> {
        self.events.refusal()
    }

    /// The result of the cache, if the route has one.
    #[must_use]
    pub fn cache(&self) -> Option<CacheOutcome> {
        self.events.cache()
    }

    /// The calls to upstreams, in order, one for each attempt.
    pub fn calls(&self) -> impl Iterator<Item = &UpstreamRecord> {
        self.events.calls()
    }

    /// The status class, such as `2xx`.
    #[must_use]
    pub const fn status_class(&self) -> &'static str {
        status_class(self.status)
    }

    /// The methods that telemetry distinguishes (OpenTelemetry's well-known set); others are `_OTHER`.
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
