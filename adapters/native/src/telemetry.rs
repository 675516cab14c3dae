//! Where finished exchanges are told: the log, the metrics all isolates share, and OTLP.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body::Body;
use std::future::poll_fn;
use std::pin::Pin;
use tollgate_core::telemetry::{ExchangeRecord, Metrics};
use tollgate_edge::ports::{Content, TelemetrySink, Unavailable, UpstreamCall};

use crate::content::NativeContent;
use crate::log::IsolateLog;
use crate::upstream::NativeUpstream;

/// The metrics of all isolates, behind one lock that each takes for about a microsecond after a reply.
pub(crate) type SharedMetrics = Arc<Mutex<Metrics>>;

/// The telemetry of one isolate.
#[derive(Clone, Debug)]
pub struct NativeTelemetrySink {
    log: IsolateLog,
    metrics: SharedMetrics,
    upstream: NativeUpstream,
}

impl NativeTelemetrySink {
    pub(crate) fn new(log: IsolateLog, metrics: SharedMetrics, upstream: NativeUpstream) -> Self {
        Self { log, metrics, upstream }
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
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner).observe(record);
    }

    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable> {
        let mut request = Request::new(NativeContent::from_bytes(Bytes::from(content)));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(endpoint);
        *request.headers_mut() = fields;
        // On the heap, because it is large and seldom, and part of what comes after every exchange.
        Box::pin(async {
            let answer = self.upstream.exchange(request, &POST_CALL).await;
            let response = answer.map_err(|error| Unavailable::new(error.to_string()))?;
            let status = response.status();
            read_away(response.into_body()).await;
            Ok(status)
        })
        .await
    }
}

/// Reads a short answer to its end, so that its connection can be used again; a long one is dropped.
async fn read_away(mut content: NativeContent) {
    let mut left = ANSWER_BYTES_MAX;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut content).poll_frame(cx)).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

const POST_CALL: UpstreamCall = UpstreamCall {
    connect_timeout_ms: POST_TIMEOUT.as_millis() as u64,
    timeout_ms: Some(POST_TIMEOUT.as_millis() as u64),
};

/// What the port promises: a batch that takes longer has failed.
const POST_TIMEOUT: Duration = Duration::from_secs(10);

/// More than a collector's answer to a batch.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
