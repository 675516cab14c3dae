use super::Unavailable;
use http::{HeaderMap, StatusCode, Uri};
use tollgate_core::operator::MetricsSnapshot;
use tollgate_core::telemetry::ExchangeRecord;

/// Where finished exchanges are told. Everything here happens after the reply; losing some of it is tolerable.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait TelemetrySink {
    /// Writes one line to the platform's log, without a line end.
    fn log(&self, line: &str);

    /// Takes note of a finished exchange, for hosts with an endpoint of their own to read metrics from.
    fn record(&self, record: &ExchangeRecord);

    /// What this host has counted, for an operator who asks.
    fn counted(&self) -> MetricsSnapshot;

    /// Posts one encoded batch (OTLP/HTTP) and returns the status; bounded in time by the implementation (10 s).
    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable>;
}
