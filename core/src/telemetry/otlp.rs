//! OTLP/HTTP in its JSON encoding (OpenTelemetry Protocol 1.x): spans of exchanges, and metrics as deltas.

use serde_json::{Value, json};

use super::attributes as attr;
use super::label::Label;
use super::metrics::BOUNDS_US;
use super::{ExchangeRecord, Histogram, Metrics};
use crate::event::{Event, UpstreamRecord};
use crate::hex;
use crate::time::{Timestamp, micros_as_secs};

/// The content of a request to `/v1/traces`: a server span per exchange, a client span per call to an upstream.
///
/// Only sampled exchanges are exported; `None` if none of them is sampled.
#[must_use]
pub fn traces_request(gateway: &str, records: &[ExchangeRecord]) -> Option<Vec<u8>> {
    let spans: Vec<Value> = records.iter().filter(|r| r.trace.sampled).flat_map(spans_of).collect();
    if spans.is_empty() {
        return None;
    }
    let request = json!({"resourceSpans": [{
        "resource": resource(gateway),
        "scopeSpans": [{"scope": scope(), "spans": spans}],
    }]});
    serde_json::to_vec(&request).ok()
}

/// The content of a request to `/v1/metrics`: the counts between two instants.
///
/// The start of the period is never after its end, although the wall clock may have stepped back in between.
#[must_use]
pub fn metrics_request(gateway: &str, metrics: &Metrics, from: Timestamp, to: Timestamp) -> Option<Vec<u8>> {
    if metrics.is_empty() {
        return None;
    }
    let span = (nanos(from.min(to)), nanos(to));
    let labels = [attr::ROUTE_ID, attr::METHOD, attr::STATUS_CLASS];
    let exchanges = metrics.exchanges.iter().map(|(k, h)| histogram_point(&attributes(labels, k), h, &span));
    let labels = [attr::UPSTREAM, attr::UPSTREAM_OUTCOME];
    let calls = metrics.upstream_calls.iter().map(|(k, h)| histogram_point(&attributes(labels, k), h, &span));
    let labels = [attr::ROUTE_ID, attr::POLICY, attr::PROBLEM];
    let refusals = metrics.refusals.iter().map(|(k, n)| sum_point(&attributes(labels, k), *n, &span));
    let labels = [attr::ROUTE_ID, attr::CACHE];
    let cache = metrics.cache.iter().map(|(k, n)| sum_point(&attributes(labels, k), *n, &span));
    let open = metrics.open_on_failure.iter().map(|(k, n)| sum_point(&attributes([attr::POLICY], k), *n, &span));
    let all = [
        histogram(attr::DURATION, &exchanges.collect::<Vec<_>>()),
        histogram(attr::UPSTREAM_DURATION, &calls.collect::<Vec<_>>()),
        sum(attr::REFUSALS, &refusals.collect::<Vec<_>>()),
        sum(attr::CACHE_OUTCOMES, &cache.collect::<Vec<_>>()),
        sum(attr::OPEN_ON_FAILURE, &open.collect::<Vec<_>>()),
    ];
    let metrics: Vec<Value> = all.into_iter().flatten().collect();
    let request = json!({"resourceMetrics": [{
        "resource": resource(gateway),
        "scopeMetrics": [{"scope": scope(), "metrics": metrics}],
    }]});
    serde_json::to_vec(&request).ok()
}

fn spans_of(record: &ExchangeRecord) -> impl Iterator<Item = Value> {
    std::iter::once(server_span(record)).chain(record.calls().map(|call| client_span(record, call)))
}

fn server_span(record: &ExchangeRecord) -> Value {
    let route = record.route();
    let mut attributes = vec![
        text(attr::METHOD, record.method),
        json!({"key": attr::STATUS, "value": {"intValue": record.status.to_string()}}),
        text(attr::REQUEST_ID, &record.request_id),
    ];
    if let Some(route) = route {
        attributes.extend([
            text(attr::ROUTE, &route.template),
            text(attr::ROUTE_ID, &route.id),
            text(attr::API, &route.api),
        ]);
    }
    if let Some(principal) = record.principal() {
        attributes.extend([text(attr::CONSUMER, &principal.consumer), text(attr::CREDENTIAL, &principal.credential)]);
        attributes.extend(principal.plan.as_ref().map(|plan| text(attr::PLAN, plan)));
    }
    if let Some(refusal) = record.refusal() {
        attributes.push(text(attr::PROBLEM, refusal.problem.slug()));
        attributes.extend(refusal.policy.map(|policy| text(attr::POLICY, policy)));
    }
    attributes.extend(record.cache().map(|cache| text(attr::CACHE, cache.label())));
    let name = route.map_or_else(|| record.method.to_owned(), |r| format!("{} {}", record.method, r.template));
    let end = record.started.plus_micros(record.duration_us);
    let events: Vec<Value> = record.events.as_slice().iter().map(|event| span_event(event, end)).collect();
    let parent = record.trace.parent.map(|p| hex::encode(&p)).unwrap_or_default();
    json!({
        "traceId": hex::encode(&record.trace.trace_id), "spanId": hex::encode(&record.trace.span), "parentSpanId": parent,
        "name": name, "kind": SERVER, "startTimeUnixNano": nanos(record.started), "endTimeUnixNano": nanos(end),
        "attributes": attributes, "events": events, "status": {"code": if record.status >= 500 { ERROR } else { UNSET }},
    })
}

fn client_span(record: &ExchangeRecord, call: &UpstreamRecord) -> Value {
    let mut attributes = vec![text(attr::METHOD, record.method), text(attr::UPSTREAM, &call.name)];
    let failed = match call.outcome {
        Ok(status) => {
            attributes.push(json!({"key": attr::STATUS, "value": {"intValue": status.to_string()}}));
            status >= 400
        }
        Err(error) => {
            attributes.push(text(attr::ERROR_TYPE, error.proxy_status()));
            true
        }
    };
    let end = call.started.plus_micros(call.duration_us);
    json!({
        "traceId": hex::encode(&record.trace.trace_id), "spanId": hex::encode(&call.span),
        "parentSpanId": hex::encode(&record.trace.span), "name": record.method, "kind": CLIENT,
        "startTimeUnixNano": nanos(call.started), "endTimeUnixNano": nanos(end),
        "attributes": attributes, "status": {"code": if failed { ERROR } else { UNSET }},
    })
}

fn span_event(event: &Event, at: Timestamp) -> Value {
    let mut attributes = vec![
        text(attr::PHASE, event.phase.as_str()),
        text(attr::VERDICT, event.verdict.as_str()),
        text(attr::CODE, event.reason.code()),
        text(attr::REASON, &event.reason.to_string()),
    ];
    attributes.extend(event.policy.as_ref().map(|policy| text(attr::POLICY, policy)));
    json!({"name": "tollgate.decision", "timeUnixNano": nanos(at), "attributes": attributes})
}

const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const UNSET: u8 = 0;
const ERROR: u8 = 2;
const DELTA: u8 = 1;

fn histogram(name: &str, points: &[Value]) -> Option<Value> {
    let data = json!({"aggregationTemporality": DELTA, "dataPoints": points});
    (!points.is_empty()).then(|| json!({"name": name, "unit": "s", "histogram": data}))
}

fn sum(name: &str, points: &[Value]) -> Option<Value> {
    let data = json!({"aggregationTemporality": DELTA, "isMonotonic": true, "dataPoints": points});
    (!points.is_empty()).then(|| json!({"name": name, "unit": "1", "sum": data}))
}

fn histogram_point(attributes: &[Value], histogram: &Histogram, (from, to): &(String, String)) -> Value {
    let bounds: Vec<f64> = BOUNDS_US.iter().map(|us| micros_as_secs(*us)).collect();
    let buckets: Vec<String> = histogram.buckets.iter().map(u64::to_string).collect();
    json!({
        "attributes": attributes, "startTimeUnixNano": from, "timeUnixNano": to, "count": histogram.count().to_string(),
        "sum": micros_as_secs(histogram.sum_us), "bucketCounts": buckets, "explicitBounds": bounds,
    })
}

fn sum_point(attributes: &[Value], count: u64, (from, to): &(String, String)) -> Value {
    json!({"attributes": attributes, "startTimeUnixNano": from, "timeUnixNano": to, "asInt": count.to_string()})
}

fn attributes<const N: usize>(names: [&str; N], values: &[Label; N]) -> Vec<Value> {
    names.iter().zip(values).map(|(name, value)| text(name, value.as_str())).collect()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

fn resource(gateway: &str) -> Value {
    json!({"attributes": [
        text("service.name", "tollgate"), text("service.namespace", gateway), text("service.version", env!("CARGO_PKG_VERSION")),
    ]})
}

fn scope() -> Value {
    json!({"name": "tollgate", "version": env!("CARGO_PKG_VERSION")})
}

/// Nanoseconds since the epoch as OTLP's JSON writes 64-bit numbers: a string.
fn nanos(at: Timestamp) -> String {
    at.as_micros().saturating_mul(1_000).to_string()
}
