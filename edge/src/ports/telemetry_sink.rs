use super::Unavailable;
use http::{HeaderMap, StatusCode, Uri};
use tollgate_core::operator::MetricsSnapshot;
use tollgate_core::telemetry::ExchangeRecord;

/// The output of telemetry. It is used after the reply; losing some of it is tolerable.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait TelemetrySink {
    /// Writes one line to the platform's log; `line` has no line break.
    fn log(&self, line: &str);

    /// Counts a finished exchange, for hosts that provide metrics themselves.
    fn record(&self, record: &ExchangeRecord);

    /// The metrics of this host, for the operator endpoint.
    fn counted(&self) -> MetricsSnapshot;

    /// Posts one encoded batch (OTLP/HTTP) and returns the status; bounded in time by the implementation (10 s).
    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable>;
}
