use std::cell::RefCell;
use std::rc::Rc;

use http::{HeaderMap, StatusCode, Uri};
use tollgate_core::operator::{MetricsScope, MetricsSnapshot};
use tollgate_core::telemetry::{ExchangeRecord, Metrics};

use super::Fault;
use crate::ports::{TelemetrySink, Unavailable};

/// An exported batch: its URL and its content.
pub type Post = (Uri, Vec<u8>);

/// Stores logged lines, metrics and exported batches.
#[derive(Clone, Debug, Default)]
pub struct MemorySink {
    lines: Rc<RefCell<Vec<String>>>,
    metrics: Rc<RefCell<Metrics>>,
    posts: Rc<RefCell<Vec<Post>>>,
    /// Makes exporting fail.
    pub fault: Fault,
}

impl MemorySink {
    /// The lines logged so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The metrics counted so far.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.borrow().clone()
    }

    /// Clears the lines and batches so far.
    pub fn clear(&self) {
        self.lines.borrow_mut().clear();
        self.posts.borrow_mut().clear();
    }

    /// The batches exported so far.
    #[must_use]
    pub fn posts(&self) -> Vec<Post> {
        self.posts.borrow().clone()
    }
}

impl TelemetrySink for MemorySink {
    fn log(&self, line: &str) {
        self.lines.borrow_mut().push(line.to_owned());
    }

    fn record(&self, record: &ExchangeRecord) {
        self.metrics.borrow_mut().observe(record);
    }

    fn counted(&self) -> MetricsSnapshot {
        MetricsSnapshot { scope: MetricsScope::Isolate, metrics: self.metrics.borrow().clone(), gauges: Vec::new() }
    }

    async fn post(&self, endpoint: &Uri, _: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable> {
        self.fault.check("the telemetry receiver")?;
        self.posts.borrow_mut().push((endpoint.clone(), content));
        Ok(StatusCode::OK)
    }
}
