//! OTLP/HTTP in its JSON encoding (OpenTelemetry Protocol 1.x): spans of exchanges, and metrics as deltas.

use serde_json::{Value, json};

use super::attributes::{self as attr, Family};
use super::label::Label;
use super::metrics::{BOUNDS_US, Sample};
use super::{ExchangeRecord, Histogram, Metrics};
use crate::event::{Event, UpstreamRecord};
use crate::hex;
use crate::route::host_and_port;
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
    let metrics: Vec<Value> = Family::ALL.into_iter().filter_map(|family| metric(family, metrics, &span)).collect();
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
        number(attr::STATUS, record.status),
        text(attr::REQUEST_ID, &record.request_id),
    ];
    add_client(record, &mut attributes);
    match record.error_type() {
        Some(Ok(kind)) => attributes.push(text(attr::ERROR_TYPE, kind)),
        Some(Err(status)) => attributes.push(text(attr::ERROR_TYPE, &status.to_string())),
        None => {}
    }
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
    let mut span = json!({
        "traceId": hex::encode(&record.trace.trace_id), "spanId": hex::encode(&record.trace.span), "parentSpanId": parent,
        "flags": record.trace.flags(), "name": name, "kind": SERVER,
        "startTimeUnixNano": nanos(record.started), "endTimeUnixNano": nanos(end),
        "attributes": attributes, "events": events, "status": {"code": if record.status >= 500 { ERROR } else { UNSET }},
    });
    add_state(record, &mut span);
    span
}

/// The attributes about the client and its connection.
fn add_client(record: &ExchangeRecord, attributes: &mut Vec<Value>) {
    let client = &record.client;
    attributes.push(text(attr::SCHEME, client.scheme()));
    attributes.extend(client.address.map(|address| text(attr::CLIENT_ADDRESS, &address.to_string())));
    attributes.extend(client.protocol.map(|version| text(attr::PROTOCOL_VERSION, version)));
    if let Some(authority) = &client.authority {
        let (host, port) = host_and_port(authority, client.https);
        attributes.extend([text(attr::SERVER_ADDRESS, host), number(attr::SERVER_PORT, port)]);
    }
}

/// The `tracestate` of the trace, which the spans of this exchange do not change.
fn add_state(record: &ExchangeRecord, span: &mut Value) {
    if let Some(state) = &record.trace.state {
        span["traceState"] = state.as_str().into();
    }
}

fn client_span(record: &ExchangeRecord, call: &UpstreamRecord) -> Value {
    let mut attributes = vec![
        text(attr::METHOD, record.method),
        text(attr::UPSTREAM, &call.upstream.name),
        text(attr::SERVER_ADDRESS, &call.upstream.address),
        number(attr::SERVER_PORT, call.upstream.port),
    ];
    let error = match call.outcome {
        Ok(status) => {
            attributes.push(number(attr::STATUS, status));
            (status >= 400).then(|| status.to_string())
        }
        Err(error) => Some(error.proxy_status().to_owned()),
    };
    attributes.extend(error.as_deref().map(|error| text(attr::ERROR_TYPE, error)));
    let end = call.started.plus_micros(call.duration_us);
    let mut span = json!({
        "traceId": hex::encode(&record.trace.trace_id), "spanId": hex::encode(&call.span),
        "parentSpanId": hex::encode(&record.trace.span), "flags": record.trace.flags(), "name": record.method, "kind": CLIENT,
        "startTimeUnixNano": nanos(call.started), "endTimeUnixNano": nanos(end),
        "attributes": attributes, "status": {"code": if error.is_some() { ERROR } else { UNSET }},
    });
    add_state(record, &mut span);
    span
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

/// The start and the end of a period.
type Period = (String, String);

fn metric(family: Family, metrics: &Metrics, period: &Period) -> Option<Value> {
    let point = |(values, sample): (&[Label], &Sample)| match sample {
        Sample::Count(count) => sum_point(&attributes(family, values), *count, period),
        Sample::Histogram(histogram) => histogram_point(&attributes(family, values), histogram, period),
    };
    let points: Vec<Value> = metrics.of(family).map(point).collect();
    if points.is_empty() {
        return None;
    }
    let name = family.description().otlp;
    Some(if family.description().is_histogram {
        let data = json!({"aggregationTemporality": DELTA, "dataPoints": points});
        json!({"name": name, "unit": "s", "histogram": data})
    } else {
        let data = json!({"aggregationTemporality": DELTA, "isMonotonic": true, "dataPoints": points});
        json!({"name": name, "unit": "1", "sum": data})
    })
}

fn histogram_point(attributes: &[Value], histogram: &Histogram, (from, to): &Period) -> Value {
    let bounds: Vec<f64> = BOUNDS_US.iter().map(|us| micros_as_secs(*us)).collect();
    let buckets: Vec<String> = histogram.buckets.iter().map(u64::to_string).collect();
    json!({
        "attributes": attributes, "startTimeUnixNano": from, "timeUnixNano": to, "count": histogram.count().to_string(),
        "sum": micros_as_secs(histogram.sum_us), "bucketCounts": buckets, "explicitBounds": bounds,
    })
}

fn sum_point(attributes: &[Value], count: u64, (from, to): &Period) -> Value {
    json!({"attributes": attributes, "startTimeUnixNano": from, "timeUnixNano": to, "asInt": count.to_string()})
}

/// The attributes of a series. Of numbers, only a status and a port are numbers by the conventions; `error.type` is text.
fn attributes(family: Family, values: &[Label]) -> Vec<Value> {
    let pairs = family.description().labels.iter().zip(values);
    pairs
        .filter_map(|((name, _), value)| match value {
            Label::Number(value) if *name != attr::ERROR_TYPE => Some(number(name, *value)),
            value => Some(text(name, &value.text()?)),
        })
        .collect()
}

fn number(key: &str, value: u16) -> Value {
    json!({"key": key, "value": {"intValue": value.to_string()}})
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
