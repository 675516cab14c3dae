//! The record of a finished exchange.

use std::net::IpAddr;

use crate::authn::Principal;
use crate::cache::CacheOutcome;
use crate::event::{Events, Refusal, RouteLabel, UpstreamRecord};
use crate::hex;
use crate::policy_name::PolicyName;
use crate::time::Timestamp;

use super::TraceContext;

/// What telemetry says of a method that is not registered.
pub(super) const OTHER_METHOD: &str = "_OTHER";

/// A finished exchange: its time, duration, result and events. Everything else is derived from the events.
#[derive(Clone, Debug)]
pub struct ExchangeRecord {
    /// The id that was sent to the client and the upstream.
    pub request_id: RequestId,
    /// Its ids in a distributed trace.
    pub trace: TraceContext,
    /// When it was received.
    pub started: Timestamp,
    /// In microseconds, until the content was delivered, or until the response's head was ready if the platform cannot
    /// observe the delivery. On a platform whose clock advances only with I/O, only the time spent in I/O counts.
    pub duration_us: u64,
    /// The method, or `_OTHER` if it is not one of the registered ones (bounded cardinality).
    pub method: &'static str,
    /// The client's side of it.
    pub client: ClientRecord,
    /// The status of the response.
    pub status: u16,
    /// Bytes of content delivered, if the platform can observe them.
    pub content_bytes: Option<u64>,
    /// Who ended the delivery before its end, if it was aborted.
    pub aborted_by: Option<AbortedBy>,
    /// The events, in order.
    pub events: Events,
    /// What became of notices of limits in this isolate since the exchange before.
    pub notices: Vec<(PolicyName, NoticeOutcome)>,
}

/// What became of the notice of a limit at one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoticeOutcome {
    /// The receiver has it.
    Delivered,
    /// The receiver does not have it yet: it is sent again.
    Failed,
    /// It is not sent again.
    Dropped,
}

impl NoticeOutcome {
    /// The word in metrics, and in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "notice-delivered",
            Self::Failed => "notice-failed",
            Self::Dropped => "notice-dropped",
        }
    }
}

/// The id of an exchange: 128 random bits in hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId([u8; 32]);

impl RequestId {
    /// The id made of random bytes.
    #[must_use]
    pub fn of(random: [u8; 16]) -> Self {
        let mut digits = [0; 32];
        hex::write(&random, &mut digits);
        Self(digits)
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits are always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Who ended the delivery of a response before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortedBy {
    /// The client disconnected, or took nothing for too long.
    Client,
    /// The upstream broke off, or did not send all of its content in time.
    Upstream,
    /// The gateway stopped.
    Gateway,
}

impl AbortedBy {
    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

/// The client's side of an exchange. Only spans contain the address and the host, never the log or metrics.
#[derive(Clone, Debug, Default)]
pub struct ClientRecord {
    /// The client's address, if it is known.
    pub address: Option<IpAddr>,
    /// Whether its connection was encrypted.
    pub https: bool,
    /// The version of HTTP, such as `1.1`, if the platform tells it.
    pub protocol: Option<&'static str>,
    /// The host that it asked for, with its port; only if spans are exported.
    pub authority: Option<String>,
}

impl ClientRecord {
    /// The scheme of the client's request.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
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

    /// Why the status is that of an error of the server, if it is: the problem, or the status that an upstream answered.
    #[must_use]
    pub fn error_type(&self) -> Option<Result<&'static str, u16>> {
        let problem = || self.refusal().map(|refusal| refusal.problem.slug()).ok_or(self.status);
        (self.status >= 500).then(problem)
    }

    /// The methods that telemetry distinguishes (OpenTelemetry's well-known set); others are `_OTHER`.
    #[must_use]
    pub fn known_method(method: &http::Method) -> &'static str {
        const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
        KNOWN.into_iter().find(|k| *k == method.as_str()).unwrap_or(OTHER_METHOD)
    }
}
