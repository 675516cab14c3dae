//! The structured log line of an exchange.

use serde::Serialize;

use super::ExchangeRecord;
use crate::cache::CacheOutcome;
use crate::event::UpstreamRecord;
use crate::forward::UpstreamError;
use crate::hex;
use crate::policy_name::PolicyName;
use crate::time::micros_as_millis;

/// One JSON object in one line, without a line break. It contains no key, no query, no client address and no content.
#[must_use]
pub fn log_line(record: &ExchangeRecord, gateway: &str) -> String {
    let (route, principal, refusal) = (record.route(), record.principal(), record.refusal());
    let line = Line {
        time: record.started.to_rfc3339(),
        level: if record.status >= 500 { "error" } else { "info" },
        event: "exchange",
        gateway,
        request_id: &record.request_id,
        trace_id: hex::encode(&record.trace.trace_id),
        span_id: hex::encode(&record.trace.span),
        method: record.method,
        route: route.map(|route| route.template.as_ref()),
        route_id: route.map(|route| route.id.as_ref()),
        status: record.status,
        duration_ms: micros_as_millis(record.duration_us),
        content_bytes: record.content_bytes,
        aborted_by: record.aborted_by_upstream.map(|upstream| if upstream { "upstream" } else { "client" }),
        consumer: principal.map(|principal| principal.consumer.as_str()),
        credential: principal.map(|principal| principal.credential.as_str()),
        cache: record.cache().map(CacheOutcome::label),
        problem: refusal.map(|refusal| refusal.problem.slug()),
        policy: refusal.and_then(|refusal| refusal.policy).map(PolicyName::as_str),
        reason: refusal.map(|refusal| refusal.reason.code()),
        detail: refusal.map(|refusal| refusal.reason.to_string()),
        upstream: record.calls().map(Call::of).collect(),
        open_on_failure: record.events.open_on_failure().collect(),
        decisions: hex::encode(&record.events.hash().to_be_bytes()),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// One call to an upstream.
#[derive(Serialize)]
struct Call<'a> {
    name: &'a str,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl<'a> Call<'a> {
    fn of(call: &'a UpstreamRecord) -> Self {
        let (status, error) = (call.outcome.ok(), call.outcome.err().map(UpstreamError::proxy_status));
        Self { name: &call.upstream.name, duration_ms: micros_as_millis(call.duration_us), status, error }
    }
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
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    upstream: Vec<Call<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open_on_failure: Vec<&'a str>,
    /// The hash of the events: equal for equal decisions, on every host.
    decisions: String,
}
