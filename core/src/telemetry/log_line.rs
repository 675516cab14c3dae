//! The structured log lines: of an exchange, and of other events.

use super::ExchangeRecord;
use crate::cache::CacheOutcome;
use crate::event::UpstreamRecord;
use crate::hex;
use crate::text::{decimal, json_string, thousandths};
use crate::time::Timestamp;

/// One JSON object in one line, without a line break. It contains no key, no query, no client address and no content.
///
/// `decisions` is the hash of the events: equal for equal decisions, on every host.
#[must_use]
pub fn log_line(record: &ExchangeRecord, gateway: &str) -> String {
    let (route, principal, refusal) = (record.route(), record.principal(), record.refusal());
    let mut line = Object::new();
    line.write("time", |out| quoted(out, |out| record.started.write_rfc3339(out)));
    line.text("level", if record.status >= 500 { "error" } else { "info" });
    line.text("event", "exchange");
    line.text("gateway", gateway);
    line.text("request_id", &record.request_id);
    line.hex("trace_id", &record.trace.trace_id);
    line.hex("span_id", &record.trace.span);
    line.text("method", record.method);
    if let Some(route) = route {
        line.text("route", &route.template);
        line.text("route_id", &route.id);
    }
    line.number("status", u64::from(record.status));
    line.millis("duration_ms", record.duration_us);
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
    line.list("upstream", record.calls(), call_to);
    line.list("open_on_failure", record.events.open_on_failure(), json_string);
    line.hex("decisions", &record.events.hash().to_be_bytes());
    line.end()
}

/// The value of a member of an event's line.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// A text.
    Text(&'a str),
    /// A number.
    Number(u64),
}

/// The line of an event that is no exchange: the members that every line has, and these.
#[must_use]
pub fn event_line(at: Timestamp, level: &str, event: &str, gateway: &str, members: &[(&str, Member<'_>)]) -> String {
    let mut line = Object::new();
    line.write("time", |out| quoted(out, |out| at.write_rfc3339(out)));
    line.text("level", level);
    line.text("event", event);
    line.text("gateway", gateway);
    for (name, value) in members {
        match value {
            Member::Text(text) => line.text(name, text),
            Member::Number(number) => line.number(name, *number),
        }
    }
    line.end()
}

/// One call to an upstream.
fn call_to(out: &mut String, call: &UpstreamRecord) {
    let mut object = Object { out: std::mem::take(out), is_empty: true };
    object.out.push('{');
    object.text("name", &call.upstream.name);
    object.millis("duration_ms", call.duration_us);
    match call.outcome {
        Ok(status) => object.number("status", u64::from(status)),
        Err(error) => object.text("error", error.proxy_status()),
    }
    *out = object.end();
}

/// A JSON object that is being written. The names of its members need no escapes.
struct Object {
    out: String,
    is_empty: bool,
}

impl Object {
    fn new() -> Self {
        let mut out = String::with_capacity(LINE_BYTES_USUAL);
        out.push('{');
        Self { out, is_empty: true }
    }

    fn write(&mut self, name: &str, value: impl FnOnce(&mut String)) {
        self.out.push_str(if self.is_empty { "\"" } else { ",\"" });
        self.is_empty = false;
        self.out.push_str(name);
        self.out.push_str("\":");
        value(&mut self.out);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.write(name, |out| json_string(out, text));
    }

    fn hex(&mut self, name: &str, bytes: &[u8]) {
        self.write(name, |out| quoted(out, |out| hex::push(out, bytes)));
    }

    fn number(&mut self, name: &str, number: u64) {
        self.write(name, |out| decimal(out, number));
    }

    /// Microseconds, as milliseconds with a fraction.
    fn millis(&mut self, name: &str, us: u64) {
        self.write(name, |out| thousandths(out, us));
    }

    /// A list; left out if it has no members.
    fn list<T>(&mut self, name: &str, members: impl Iterator<Item = T>, write: impl Fn(&mut String, T)) {
        let mut members = members.peekable();
        if members.peek().is_none() {
            return;
        }
        self.write(name, |out| {
            for (at, member) in members.enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                write(out, member);
            }
            out.push(']');
        });
    }

    fn end(mut self) -> String {
        self.out.push('}');
        self.out
    }
}

/// A JSON string that needs no escapes.
fn quoted(out: &mut String, write: impl FnOnce(&mut String)) {
    out.push('"');
    write(out);
    out.push('"');
}

/// Capacity: a line with a caller and a call.
const LINE_BYTES_USUAL: usize = 640;
