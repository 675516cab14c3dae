//! The subjects of events: the selected route, and calls to upstreams.

use std::fmt;
use std::sync::Arc;

use crate::canonical::mark;
use crate::forward::{UpstreamError, UpstreamUrl};
use crate::json::members;
use crate::route::host_and_port;
use crate::time::Timestamp;

/// The id of a span.
pub type SpanId = [u8; 8];

/// A route's names in telemetry. Each route has one shared label, created when the route is first selected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteLabel {
    /// The route's id.
    pub id: Arc<str>,
    /// The API's name.
    pub api: String,
    /// The path template.
    pub template: Arc<str>,
    /// Its members of log lines.
    pub(crate) members: Box<str>,
    /// What stands for it in the canonical form of events.
    pub(super) mark: u64,
}

/// An upstream's names in telemetry. Each upstream has one shared label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamLabel {
    /// The upstream's name.
    pub name: Arc<str>,
    /// The host of its URL.
    pub address: Arc<str>,
    /// The port of its URL, or that of the scheme.
    pub port: u16,
    /// Its name as a member of log lines.
    pub(crate) member: Box<str>,
}

/// A call to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRecord {
    /// The upstream.
    pub upstream: Arc<UpstreamLabel>,
    /// The span of the call.
    pub span: SpanId,
    /// When it started.
    pub started: Timestamp,
    /// Until the head of the response arrived, or until it failed, in microseconds.
    pub duration_us: u64,
    /// Its status, or why there is none.
    pub outcome: Result<u16, UpstreamError>,
}

impl RouteLabel {
    /// The label of a route with this id and template, of an API.
    #[must_use]
    pub fn new(id: &str, api: &str, template: &str) -> Self {
        let members = members(|line| {
            line.text("route", template);
            line.text("route_id", id);
        });
        Self { id: id.into(), api: api.to_owned(), template: template.into(), members, mark: mark(id) }
    }
}

impl UpstreamLabel {
    /// The label of an upstream with this name and URL.
    #[must_use]
    pub fn new(name: &str, url: &UpstreamUrl) -> Self {
        let (address, port) = host_and_port(url.authority(), url.is_https());
        let member = members(|line| line.text("name", name));
        Self { name: name.into(), address: address.into(), port, member }
    }
}

impl fmt::Display for RouteLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.template)
    }
}

impl fmt::Display for UpstreamRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(status) => write!(f, "{} answered {status}", self.upstream.name),
            Err(error) => write!(f, "{}: {error}", self.upstream.name),
        }
    }
}
