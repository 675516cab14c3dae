//! The structured log line of an exchange.

use serde::Serialize;
use serde_json::json;

use super::ExchangeRecord;
use crate::hex;
use crate::time::micros_as_millis;

/// One JSON object in one line, without a line end: no key, no query, no client address, no content.
#[must_use]
pub fn log_line(record: &ExchangeRecord, gateway: &str) -> String {
    let line = Line {
        time: record.started.to_rfc3339(),
        level: if record.status >= 500 { "error" } else { "info" },
        event: "exchange",
        gateway,
        request_id: &record.request_id,
        trace_id: hex::encode(&record.trace.trace_id),
        span_id: hex::encode(&record.trace.span),
        method: record.method,
        route: record.route.as_ref().map(|r| r.template.as_str()),
        route_id: record.route.as_ref().map(|r| r.id.as_str()),
        status: record.status,
        duration_ms: micros_as_millis(record.duration_us),
        content_bytes: record.content_bytes,
        aborted_by: record.aborted_by_upstream.map(|upstream| if upstream { "upstream" } else { "client" }),
        consumer: record.principal.as_ref().map(|p| p.consumer.as_str()),
        credential: record.principal.as_ref().map(|p| p.credential.as_str()),
        cache: record.cache.map(crate::cache::CacheOutcome::label),
        problem: record.refusal.as_ref().map(|r| r.problem),
        policy: record.refusal.as_ref().and_then(|r| r.policy.as_deref()),
        detail: record.refusal.as_ref().map(|r| r.log.as_str()).filter(|text| !text.is_empty()),
        upstream: record.upstream.as_ref().map(|u| {
            let (status, error) = (u.outcome.ok(), u.outcome.err().map(crate::forward::UpstreamError::proxy_status));
            json!({"name": u.name, "duration_ms": micros_as_millis(u.duration_us), "status": status, "error": error})
        }),
        open_on_failure: record
            .decisions
            .decisions()
            .iter()
            .filter(|d| d.verdict == crate::trace::Verdict::OpenOnFailure)
            .map(|d| d.policy.as_deref().unwrap_or(d.phase.as_str()))
            .collect(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    level: &'static str,
    event: &'static str,
    gateway: &'a str,
    request_id: &'a str,
    trace_id: String,
    span_id: String,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    route_id: Option<&'a str>,
    status: u16,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aborted_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open_on_failure: Vec<&'a str>,
}
