//! OTLP/HTTP in its JSON encoding (OpenTelemetry Protocol 1.x): spans of exchanges, and metrics as deltas.

use super::attributes::{self as attr, Family};
use super::label::Label;
use super::metrics::{BOUNDS_US, Sample};
use super::record::OTHER_METHOD;
use super::{ExchangeRecord, Histogram, Metrics};
use crate::event::{Event, UpstreamRecord};
use crate::json::{Items, Object, listed, millionths, object, quoted, string};
use crate::route::host_and_port;
use crate::text::decimal;
use crate::time::Timestamp;

/// The content of a request to `/v1/traces`: a server span per exchange, a client span per call to an upstream.
///
/// Only sampled exchanges are exported; `None` if none of them is sampled.
#[must_use]
pub fn traces_request(gateway: &str, records: &[ExchangeRecord]) -> Option<Vec<u8>> {
    let sampled = || records.iter().filter(|record| record.trace.sampled);
    sampled().next()?;
    let spans = sampled().flat_map(|record| {
        let calls = record.calls().map(move |call| Span::Call(record, call));
        std::iter::once(Span::Exchange(record)).chain(calls)
    });
    Some(request(gateway, ["resourceSpans", "scopeSpans"], |scope| scope.list("spans", spans, write_span)))
}

/// The content of a request to `/v1/metrics`: the counts between two instants.
///
/// The start of the period is never after its end, although the wall clock may have stepped back in between.
#[must_use]
pub fn metrics_request(gateway: &str, metrics: &Metrics, from: Timestamp, to: Timestamp) -> Option<Vec<u8>> {
    if metrics.is_empty() {
        return None;
    }
    let period = Period { from: from.min(to), to };
    let families = Family::ALL.into_iter().filter(|family| metrics.of(*family).next().is_some());
    Some(request(gateway, ["resourceMetrics", "scopeMetrics"], |scope| {
        scope.list("metrics", families, |out, family| object(out, |one| metric(family, metrics, period, one)));
    }))
}

/// A request with one resource and one scope, under the names that the signal has for them.
fn request(gateway: &str, [of_resource, of_scope]: [&str; 2], write: impl FnOnce(&mut Object<'_>)) -> Vec<u8> {
    let mut out = String::new();
    let scoped = |scope: &mut Object<'_>| {
        scope.object("scope", |about| {
            about.text("name", "tollgate");
            about.text("version", VERSION);
        });
        write(scope);
    };
    let resource = |resource: &mut Object<'_>| {
        resource.object("resource", |about| {
            attributes(about, |all| {
                all.text("service.name", "tollgate");
                all.text("service.namespace", gateway);
                all.text("service.version", VERSION);
            });
        });
        resource.list(of_scope, [scoped], object);
    };
    object(&mut out, |all| all.list(of_resource, [resource], object));
    out.into_bytes()
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A span that is to be written.
#[derive(Clone, Copy)]
enum Span<'r> {
    Exchange(&'r ExchangeRecord),
    Call(&'r ExchangeRecord, &'r UpstreamRecord),
}

fn write_span(out: &mut String, span: Span<'_>) {
    object(out, |members| match span {
        Span::Exchange(record) => server_span(record, members),
        Span::Call(record, call) => client_span(record, call, members),
    });
}

fn server_span(record: &ExchangeRecord, span: &mut Object<'_>) {
    let end = record.started.plus_micros(record.duration_us);
    trace(record, span);
    span.hex("spanId", &record.trace.span);
    span.hex("parentSpanId", record.trace.parent.as_ref().map_or(&[][..], |parent| parent));
    span.value("name", |out| match record.route() {
        Some(route) => string(out, &[verb(record), " ", &route.template].concat()),
        None => string(out, verb(record)),
    });
    times(span, SERVER, record.started, end);
    attributes(span, |all| server_attributes(record, all));
    span.list("events", record.events.as_slice(), |out, event| object(out, |members| span_event(event, end, members)));
    status(span, record.status >= 500);
}

fn server_attributes(record: &ExchangeRecord, all: &mut Attributes<'_, '_>) {
    all.text(attr::METHOD, record.method);
    all.number(attr::STATUS, record.status);
    all.text(attr::REQUEST_ID, record.request_id.as_str());
    client_attributes(record, all);
    match record.error_type() {
        Some(Ok(kind)) => all.text(attr::ERROR_TYPE, kind),
        Some(Err(status)) => all.text(attr::ERROR_TYPE, &status.to_string()),
        None => {}
    }
    if let Some(route) = record.route() {
        all.text(attr::ROUTE, &route.template);
        all.text(attr::ROUTE_ID, &route.id);
        all.text(attr::API, &route.api);
    }
    if let Some(principal) = record.principal() {
        all.text(attr::CONSUMER, &principal.consumer);
        all.text(attr::CREDENTIAL, &principal.credential);
        all.optional(attr::PLAN, record.events.plan());
    }
    if let Some(refusal) = record.refusal() {
        all.text(attr::PROBLEM, refusal.problem.slug());
        all.optional(attr::POLICY, refusal.policy.map(|policy| policy.as_str()));
    }
    all.optional(attr::CACHE, record.cache().map(|cache| cache.label()));
}

/// The attributes about the client and its connection.
fn client_attributes(record: &ExchangeRecord, all: &mut Attributes<'_, '_>) {
    let client = &record.client;
    all.text(attr::SCHEME, client.scheme());
    if let Some(address) = client.address {
        all.text(attr::CLIENT_ADDRESS, &address.to_string());
    }
    all.optional(attr::PROTOCOL_VERSION, client.protocol);
    if let Some(authority) = &client.authority {
        let (host, port) = host_and_port(authority, client.https);
        all.text(attr::SERVER_ADDRESS, host);
        all.number(attr::SERVER_PORT, port);
    }
}

fn client_span(record: &ExchangeRecord, call: &UpstreamRecord, span: &mut Object<'_>) {
    let is_error = !matches!(call.outcome, Ok(status) if status < 400);
    trace(record, span);
    span.hex("spanId", &call.span);
    span.hex("parentSpanId", &record.trace.span);
    span.text("name", verb(record));
    times(span, CLIENT, call.started, call.started.plus_micros(call.duration_us));
    attributes(span, |all| {
        all.text(attr::METHOD, record.method);
        all.text(attr::UPSTREAM, &call.upstream.name);
        all.text(attr::SERVER_ADDRESS, &call.upstream.address);
        all.number(attr::SERVER_PORT, call.upstream.port);
        match call.outcome {
            Ok(status) => {
                all.number(attr::STATUS, status);
                if is_error {
                    all.text(attr::ERROR_TYPE, &status.to_string());
                }
            }
            Err(error) => all.text(attr::ERROR_TYPE, error.proxy_status()),
        }
    });
    status(span, is_error);
}

/// The method in the name of a span: the conventions have `HTTP` there for one that is not registered.
fn verb(record: &ExchangeRecord) -> &'static str {
    if record.method == OTHER_METHOD { "HTTP" } else { record.method }
}

/// The trace that a span is in, with its state, which the spans of an exchange do not change.
fn trace(record: &ExchangeRecord, span: &mut Object<'_>) {
    span.hex("traceId", &record.trace.trace_id);
    if let Some(state) = &record.trace.state {
        span.text("traceState", state);
    }
    span.number("flags", record.trace.flags().into());
}

fn times(span: &mut Object<'_>, kind: u64, from: Timestamp, to: Timestamp) {
    span.number("kind", kind);
    span.number_text("startTimeUnixNano", nanos(from));
    span.number_text("endTimeUnixNano", nanos(to));
}

fn status(span: &mut Object<'_>, is_error: bool) {
    span.object("status", |status| status.number("code", if is_error { ERROR } else { UNSET }));
}

fn span_event(event: &Event, at: Timestamp, members: &mut Object<'_>) {
    members.text("name", "tollgate.decision");
    members.number_text("timeUnixNano", nanos(at));
    attributes(members, |all| {
        all.text(attr::PHASE, event.phase.as_str());
        all.text(attr::VERDICT, event.verdict.as_str());
        all.text(attr::CODE, event.reason.code());
        all.text(attr::REASON, &event.reason.to_string());
        all.optional(attr::POLICY, event.policy.as_deref());
    });
}

const SERVER: u64 = 2;
const CLIENT: u64 = 3;
const UNSET: u64 = 0;
const ERROR: u64 = 2;
const DELTA: u64 = 1;

/// The time in which something was counted.
#[derive(Clone, Copy)]
struct Period {
    from: Timestamp,
    to: Timestamp,
}

fn metric(family: Family, metrics: &Metrics, period: Period, members: &mut Object<'_>) {
    let is_histogram = family.description().is_histogram;
    members.text("name", family.description().otlp);
    members.text("unit", if is_histogram { "s" } else { "1" });
    members.object(if is_histogram { "histogram" } else { "sum" }, |data| {
        data.number("aggregationTemporality", DELTA);
        if !is_histogram {
            data.value("isMonotonic", |out| out.push_str("true"));
        }
        data.list("dataPoints", metrics.of(family), |out, (values, sample)| {
            object(out, |point| {
                attributes(point, |all| labels(family, values, all));
                point.number_text("startTimeUnixNano", nanos(period.from));
                point.number_text("timeUnixNano", nanos(period.to));
                match sample {
                    Sample::Count(count) => point.number_text("asInt", *count),
                    Sample::Histogram(histogram) => buckets(histogram, point),
                }
            });
        });
    });
}

fn buckets(histogram: &Histogram, point: &mut Object<'_>) {
    point.number_text("count", histogram.count());
    point.value("sum", |out| millionths(out, histogram.sum_us));
    point.list("bucketCounts", histogram.buckets, |out, count| quoted(out, |out| decimal(out, count)));
    point.list("explicitBounds", BOUNDS_US, millionths);
}

/// The attributes of a series. Of numbers, only a status and a port are numbers by the conventions; `error.type` is text.
fn labels(family: Family, values: &[Label], all: &mut Attributes<'_, '_>) {
    for ((name, _), value) in family.description().labels.iter().zip(values) {
        match value {
            Label::Number(value) if *name != attr::ERROR_TYPE => all.number(name, *value),
            value => all.optional(name, value.text().as_deref()),
        }
    }
}

/// A list of attributes that is being written.
struct Attributes<'a, 'o>(&'a mut Items<'o>);

fn attributes(members: &mut Object<'_>, write: impl FnOnce(&mut Attributes<'_, '_>)) {
    members.value("attributes", |out| listed(out, |items| write(&mut Attributes(items))));
}

impl Attributes<'_, '_> {
    fn text(&mut self, key: &str, text: &str) {
        self.add(key, |value| value.text("stringValue", text));
    }

    fn optional(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn number(&mut self, key: &str, number: u16) {
        self.add(key, |value| value.number_text("intValue", number.into()));
    }

    fn add(&mut self, key: &str, write: impl FnOnce(&mut Object<'_>)) {
        self.0.item(|out| {
            object(out, |attribute| {
                attribute.text("key", key);
                attribute.object("value", write);
            });
        });
    }
}

/// Nanoseconds since the epoch, which OTLP's JSON writes as a string, as all numbers of 64 bits.
fn nanos(at: Timestamp) -> u64 {
    at.as_micros().saturating_mul(1_000)
}
