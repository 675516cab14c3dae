//! The export of telemetry: collected for an interval, sent in batches after replies, retried, bounded.

use std::collections::VecDeque;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tollgate_core::bounds::{EXPORT_ATTEMPTS_MAX, EXPORT_BATCH_MAX, EXPORT_BATCHES_MAX, EXPORT_QUEUE_MAX};
use tollgate_core::forward::UpstreamUrl;
use tollgate_core::telemetry::{ExchangeRecord, Metrics, OtlpSettings, event_line, metrics_request, traces_request};
use tollgate_core::time::{MonotonicInstant, Timestamp};

use super::Isolate;
use super::secrets::resolve;
use crate::ports::{Clock, Host, TelemetrySink};

/// The telemetry to export.
#[derive(Debug, Default)]
pub(crate) struct Exporter {
    queue: VecDeque<ExchangeRecord>,
    metrics: Metrics,
    /// The start of the period of the metrics.
    since: Timestamp,
    dropped: u64,
    claim: Option<Claim>,
}

/// An exchange is the sender. The platform may have ended it, so the claim expires after [`CLAIM_MS`]; it is for one collector, so
/// that a new configuration does not wait for the attempts to reach the collector of the previous one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    endpoint: UpstreamUrl,
    since: MonotonicInstant,
}

/// How long a claim to be the sender is valid: Workers end the work after a reply after 30 s.
const CLAIM_MS: u64 = 30_000;

/// Delays before the second, third and fourth attempt of a batch, in milliseconds.
const RETRY_WAITS_MS: [u64; EXPORT_ATTEMPTS_MAX - 1] = [500, 1_000, 2_000];

impl Exporter {
    /// Adds a finished exchange; if the queue is full, the oldest one is dropped.
    fn add(&mut self, record: ExchangeRecord) {
        if self.metrics.is_empty() {
            self.since = record.started;
        }
        self.metrics.observe(&record);
        if self.queue.len() >= EXPORT_QUEUE_MAX {
            self.queue.pop_front();
            self.dropped += 1;
        }
        self.queue.push_back(record);
    }

    /// Claims to be the sender; `None` if another exchange already is.
    fn claim(&mut self, endpoint: &UpstreamUrl, now: MonotonicInstant) -> Option<Claim> {
        let is_valid = |claim: &Claim| claim.endpoint == *endpoint && now.millis_since(claim.since) < CLAIM_MS;
        if self.claim.as_ref().is_some_and(is_valid) {
            return None;
        }
        self.claim = Some(Claim { endpoint: endpoint.clone(), since: now });
        self.claim.clone()
    }

    /// Whether no other exchange has replaced the claim.
    fn holds(&self, claim: &Claim) -> bool {
        self.claim.as_ref() == Some(claim)
    }

    fn take_batch(&mut self) -> Vec<ExchangeRecord> {
        let count = self.queue.len().min(EXPORT_BATCH_MAX);
        self.queue.drain(..count).collect()
    }
}

/// Adds a finished exchange to those that finish within the interval, and sends them, unless another exchange already does. What
/// exceeds its maximum number of batches is left to the next exchange.
pub(crate) async fn export<H: Host>(isolate: &Isolate, host: &H, otlp: &OtlpSettings, record: &ExchangeRecord) {
    isolate.exporter.borrow_mut().add(record.clone());
    let claimed = isolate.exporter.borrow_mut().claim(&otlp.endpoint, host.clock().instant());
    let Some(claim) = claimed else { return };
    host.clock().sleep(otlp.interval_ms).await;
    let fields = fields(isolate, host, otlp).await;
    for _ in 0..EXPORT_BATCHES_MAX {
        // What the next sender finds is for its collector.
        if !isolate.exporter.borrow().holds(&claim) {
            return;
        }
        let batch = isolate.exporter.borrow_mut().take_batch();
        if batch.is_empty() {
            break;
        }
        if let Some(content) = traces_request(&isolate.settings.gateway, &batch) {
            post(isolate, host, otlp, "/v1/traces", &fields, content).await;
        }
    }
    let now = host.clock().now();
    let (metrics, since, dropped) = {
        let mut exporter = isolate.exporter.borrow_mut();
        (std::mem::take(&mut exporter.metrics), exporter.since, std::mem::take(&mut exporter.dropped))
    };
    if let Some(content) = metrics_request(&isolate.settings.gateway, &metrics, since, now) {
        post(isolate, host, otlp, "/v1/metrics", &fields, content).await;
    }
    if dropped > 0 {
        log_failure(isolate, host, &format!("{dropped} exchanges were dropped: more finished than could be exported"));
    }
    let mut exporter = isolate.exporter.borrow_mut();
    if exporter.holds(&claim) {
        exporter.claim = None;
    }
}

async fn fields<H: Host>(isolate: &Isolate, host: &H, otlp: &OtlpSettings) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, text) in &otlp.fields {
        let Ok(Some(secret)) = resolve(isolate, host, text).await else {
            log_failure(isolate, host, &format!("a secret of the field {name} has no value"));
            continue;
        };
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::from_str(secret.expose())) {
            value.set_sensitive(true);
            fields.insert(name, value);
        }
    }
    fields
}

/// Sends one batch, and retries after a temporary failure; a batch that is refused, or whose last attempt fails, is
/// dropped.
async fn post<H: Host>(
    isolate: &Isolate,
    host: &H,
    otlp: &OtlpSettings,
    path: &str,
    fields: &HeaderMap,
    content: Vec<u8>,
) {
    let Ok(endpoint) = otlp.endpoint.target(path, None) else { return };
    let mut waits = RETRY_WAITS_MS.iter();
    loop {
        let reason = match host.telemetry_sink().post(&endpoint, fields.clone(), content.clone()).await {
            Ok(status) if status.is_success() => return,
            // The statuses that OTLP/HTTP defines as retryable.
            Ok(status) if matches!(status.as_u16(), 429 | 502 | 503 | 504) => format!("answered {status}"),
            Ok(status) => {
                return log_failure(isolate, host, &format!("{path} answered {status}; the batch is dropped"));
            }
            Err(error) => error.to_string(),
        };
        let Some(wait) = waits.next() else {
            return log_failure(isolate, host, &format!("{path}: {reason}; the batch is dropped"));
        };
        host.clock().sleep(*wait).await;
    }
}

fn log_failure<H: Host>(isolate: &Isolate, host: &H, reason: &str) {
    let (now, gateway) = (host.clock().now(), &isolate.settings.gateway);
    let line = event_line(now, "warn", "export-failed", gateway, |line| line.text("reason", reason));
    host.telemetry_sink().log(&line);
}
