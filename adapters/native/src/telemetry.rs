//! The telemetry of finished exchanges: the log, the metrics shared by all isolates, and OTLP.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use tollgate_core::operator::{Gauge, GaugeKind, MetricsScope, MetricsSnapshot};
use tollgate_core::telemetry::{ExchangeRecord, Metrics};
use tollgate_edge::ports::{Content, TelemetrySink, Unavailable, UpstreamCall};

use crate::content::NativeContent;
use crate::counters::ChosenCounters;
use crate::log::{IsolateLog, LogHandle};
use crate::response_cache::NativeResponseCache;
use crate::upstream::NativeUpstream;

/// The metrics of all isolates, with one lock that is held for about a microsecond after a reply.
pub(crate) type SharedMetrics = Arc<Mutex<Metrics>>;

/// The telemetry of one isolate.
#[derive(Clone, Debug)]
pub struct NativeTelemetrySink {
    log: IsolateLog,
    counted: Counted,
    upstream: NativeUpstream,
}

/// The metrics of a server, all isolates together.
#[derive(Clone, Debug)]
pub(crate) struct Counted {
    pub(crate) metrics: SharedMetrics,
    pub(crate) counters: ChosenCounters,
    pub(crate) response_cache: NativeResponseCache,
    pub(crate) log: LogHandle,
    /// Requests beyond the number that is handled at once, which have no exchange.
    pub(crate) overloaded: Arc<AtomicU64>,
}

impl NativeTelemetrySink {
    pub(crate) fn new(counted: Counted, upstream: NativeUpstream) -> Self {
        Self { log: IsolateLog::new(counted.log.clone()), counted, upstream }
    }

    /// Counts a request beyond the number that is handled at once.
    pub(crate) fn overloaded(&self) {
        self.counted.overloaded.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn flush(&self) {
        self.log.flush();
    }
}

impl TelemetrySink for NativeTelemetrySink {
    fn log(&self, line: &str) {
        self.log.line(line);
    }

    fn record(&self, record: &ExchangeRecord) {
        self.counted.metrics.lock().unwrap_or_else(PoisonError::into_inner).observe(record);
    }

    fn counted(&self) -> MetricsSnapshot {
        let gauge = |name, help, kind, value| Gauge { name, help, kind, value };
        let (cache_bytes, cache_entries) = self.counted.response_cache.size();
        let overloaded = self.counted.overloaded.load(Ordering::Relaxed);
        let dropped = self.counted.log.dropped();
        MetricsSnapshot {
            scope: MetricsScope::Process,
            metrics: self.counted.metrics.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            gauges: [
                vec![
                    gauge(
                        "tollgate_response_cache_bytes",
                        "Bytes of stored responses.",
                        GaugeKind::Gauge,
                        cache_bytes as u64,
                    ),
                    gauge(
                        "tollgate_response_cache_entries",
                        "Stored responses.",
                        GaugeKind::Gauge,
                        cache_entries as u64,
                    ),
                    gauge(
                        "tollgate_overloaded_total",
                        "Requests that were refused because too many were handled at once.",
                        GaugeKind::Counter,
                        overloaded,
                    ),
                    gauge(
                        "tollgate_log_lines_dropped_total",
                        "Log lines that could not be written.",
                        GaugeKind::Counter,
                        dropped,
                    ),
                ],
                self.counted.counters.gauges(),
            ]
            .concat(),
        }
    }

    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable> {
        let mut request = Request::new(NativeContent::from_bytes(Bytes::from(content)));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(endpoint);
        *request.headers_mut() = fields;
        // Boxed, because it is large and rarely used, and part of the future after every exchange.
        Box::pin(async {
            let answer = self.upstream.exchange(request, &POST_CALL).await;
            let response = answer.map_err(|error| Unavailable::new(error.to_string()))?;
            let status = response.status();
            drain(response.into_body()).await;
            Ok(status)
        })
        .await
    }
}

/// Reads a short response to its end, so that its connection can be reused; a long one is dropped.
async fn drain(mut content: NativeContent) {
    let mut left = ANSWER_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut content).poll_frame(cx)).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

const POST_CALL: UpstreamCall<'static> = UpstreamCall {
    connect_timeout_ms: POST_TIMEOUT.as_millis() as u64,
    timeout_ms: Some(POST_TIMEOUT.as_millis() as u64),
    certificate: None,
    runs_to_end: false,
};

/// The timeout of the port: a batch that takes longer has failed.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// More than a collector's response to a batch.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
