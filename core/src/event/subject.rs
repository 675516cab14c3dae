//! What events are about: the route that was taken, and calls to upstreams.

use std::fmt;
use std::sync::Arc;

use crate::forward::UpstreamError;
use crate::time::Timestamp;

/// The id of a span.
pub type SpanId = [u8; 8];

/// A route as telemetry names it. It is shared: a route has one, made when it is first taken.
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
    /// When it began.
    pub started: Timestamp,
    /// Until its head came, or until it failed, in microseconds.
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
