//! The subjects of events: the selected route, and calls to upstreams.

use std::fmt;
use std::sync::Arc;

use crate::forward::UpstreamError;
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
    pub template: String,
}

/// A call to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamRecord {
    /// The upstream's name.
    pub name: Arc<str>,
    /// The span of the call.
    pub span: SpanId,
    /// When it started.
    pub started: Timestamp,
    /// Until the head of the response arrived, or until it failed, in microseconds.
    pub duration_us: u64,
    /// Its status, or why there is none.
    pub outcome: Result<u16, UpstreamError>,
}

impl fmt::Display for RouteLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.template)
    }
}

impl fmt::Display for UpstreamRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(status) => write!(f, "{} answered {status}", self.name),
            Err(error) => write!(f, "{}: {error}", self.name),
        }
    }
}
