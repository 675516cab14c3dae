//! The structured log lines: of an exchange, and of other events.

use super::ExchangeRecord;
use crate::cache::CacheOutcome;
use crate::event::UpstreamRecord;
use crate::json::{Members, object, quoted, string, thousandths};
use crate::time::Timestamp;

/// One JSON object in one line, without a line break. It contains no key, no query, no client address and no content.
///
/// `decisions` is the hash of the events: equal for equal decisions, on every host.
#[must_use]
pub fn log_line(record: &ExchangeRecord, gateway: &str) -> String {
    let (route, principal, refusal) = (record.route(), record.principal(), record.refusal());
    let mut out = String::with_capacity(LINE_BYTES_USUAL);
    object(&mut out, |line| {
        begin(line, record.started, if record.status >= 500 { "error" } else { "info" }, "exchange", gateway);
        line.text("request_id", &record.request_id);
        line.hex("trace_id", &record.trace.trace_id);
        line.hex("span_id", &record.trace.span);
        line.text("method", record.method);
        if let Some(route) = route {
            line.text("route", &route.template);
            line.text("route_id", &route.id);
        }
        line.number("status", u64::from(record.status));
        line.value("duration_ms", |out| thousandths(out, record.duration_us));
        if let Some(bytes) = record.content_bytes {
            line.number("content_bytes", bytes);
        }
        if let Some(by) = record.aborted_by {
            line.text("aborted_by", by.word());
        }
        if let Some(principal) = principal {
            line.text("consumer", &principal.consumer);
            line.text("credential", &principal.credential);
        }
        if let Some(cache) = record.cache().map(CacheOutcome::label) {
            line.text("cache", cache);
        }
        if let Some(refusal) = refusal {
            line.text("problem", refusal.problem.slug());
            if let Some(policy) = refusal.policy {
                line.text("policy", policy.as_str());
            }
            line.text("reason", refusal.reason.code());
            line.text("detail", &refusal.reason.to_string());
        }
        if record.calls().next().is_some() {
            line.list("upstream", record.calls(), |out, one| object(out, |members| call(one, members)));
        }
        if record.events.open_on_failure().next().is_some() {
            line.list("open_on_failure", record.events.open_on_failure(), string);
        }
        line.hex("decisions", &record.events.hash().to_be_bytes());
    });
    out
}

/// The line of an event that is no exchange: the members that every line has, and those that are written by `more`.
#[must_use]
pub fn event_line(
    at: Timestamp,
    level: &str,
    event: &str,
    gateway: &str,
    more: impl FnOnce(&mut Members<'_>),
) -> String {
    let mut out = String::new();
    object(&mut out, |line| {
        begin(line, at, level, event, gateway);
        more(line);
    });
    out
}

/// The members that every line has.
fn begin(line: &mut Members<'_>, at: Timestamp, level: &str, event: &str, gateway: &str) {
    line.value("time", |out| quoted(out, |out| at.write_rfc3339(out)));
    line.text("level", level);
    line.text("event", event);
    line.text("gateway", gateway);
}

fn call(call: &UpstreamRecord, members: &mut Members<'_>) {
    members.text("name", &call.upstream.name);
    members.value("duration_ms", |out| thousandths(out, call.duration_us));
    match call.outcome {
        Ok(status) => members.number("status", u64::from(status)),
        Err(error) => members.text("error", error.proxy_status()),
    }
}

/// Capacity: a line with a caller and a call.
const LINE_BYTES_USUAL: usize = 640;
