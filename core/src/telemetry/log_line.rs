//! The structured log lines: of an exchange, and of other events.

use std::cell::{Cell, RefCell};

use super::ExchangeRecord;
use crate::cache::CacheOutcome;
use crate::event::{LimitNotice, UpstreamRecord};
use crate::json::{Object, members, object, quoted, string, thousandths};
use crate::time::{SECOND_BYTES, Timestamp};

/// The log lines of a gateway's exchanges; what is the same in all of them is written once.
#[derive(Debug)]
pub struct ExchangeLines {
    /// The members between the time and the request's id, of an exchange that did not fail.
    info: Box<str>,
    /// The same of one that failed.
    error: Box<str>,
    /// The last second that was written, and its text.
    second: Cell<(u64, [u8; SECOND_BYTES])>,
    /// The memory of the last line, for the next one.
    buffer: RefCell<String>,
}

impl ExchangeLines {
    /// The lines of a gateway with this name.
    #[must_use]
    pub fn of(gateway: &str) -> Self {
        let written = |level| members(|line| common(line, level, "exchange", gateway));
        Self {
            info: written("info"),
            error: written("error"),
            second: Cell::new((0, *EPOCH)),
            buffer: RefCell::default(),
        }
    }

    /// Calls `use_line` with one JSON object in one line, without a line break. It contains no key, no query, no client
    /// address and no content.
    ///
    /// `decisions` is the hash of the events: equal for equal decisions, on every host.
    pub fn with_line(&self, record: &ExchangeRecord, use_line: impl FnOnce(&str)) {
        let mut line = self.buffer.take();
        line.clear();
        line.reserve(LINE_BYTES_USUAL);
        self.write(record, &mut line);
        use_line(&line);
        if line.capacity() <= LINE_BYTES_KEPT {
            self.buffer.replace(line);
        }
    }

    fn write(&self, record: &ExchangeRecord, out: &mut String) {
        object(out, |line| {
            line.value("time", |out| quoted(out, |out| self.write_time(record.started, out)));
            line.written(if record.status >= 500 { &self.error } else { &self.info });
            ids(line, record);
            line.word("method", record.method);
            if let Some(route) = record.route() {
                line.written(&route.members);
            }
            line.number("status", u64::from(record.status));
            line.value("duration_ms", |out| thousandths(out, record.duration_us));
            delivery(line, record);
            if let Some(principal) = record.principal() {
                line.written(&principal.members);
                if let Some(plan) = record.events.plan() {
                    line.text("plan", plan);
                }
                if let Some((subscription, product)) = record.events.subscribed() {
                    line.text("subscription", subscription);
                    line.text("product", product);
                }
            }
            outcome(line, record);
            line.hex("decisions", &record.events.hash().to_be_bytes());
        });
    }

    /// Writes an instant; many exchanges begin in one second.
    fn write_time(&self, at: Timestamp, out: &mut String) {
        let (mut second, mut text) = self.second.get();
        if second != at.as_secs() {
            second = at.as_secs();
            text = at.second_text();
            self.second.set((second, text));
        }
        // Digits and separators are always text.
        out.push_str(std::str::from_utf8(&text).unwrap_or_default());
        at.write_millis(out);
    }
}

/// The line of an event that is no exchange: the members that every line has, and those that are written by `more`.
#[must_use]
pub fn event_line(
    at: Timestamp,
    level: &str,
    event: &str,
    gateway: &str,
    more: impl FnOnce(&mut Object<'_>),
) -> String {
    let mut out = String::new();
    object(&mut out, |line| {
        time(line, at);
        common(line, level, event, gateway);
        more(line);
    });
    out
}

fn time(line: &mut Object<'_>, at: Timestamp) {
    line.value("time", |out| quoted(out, |out| at.write_rfc3339(out)));
}

/// The members that every line has after the time.
fn common(line: &mut Object<'_>, level: &str, event: &str, gateway: &str) {
    line.text("level", level);
    line.text("event", event);
    line.text("gateway", gateway);
}

fn ids(line: &mut Object<'_>, record: &ExchangeRecord) {
    line.word("request_id", record.request_id.as_str());
    line.hex("trace_id", &record.trace.trace_id);
    line.hex("span_id", &record.trace.span);
}

fn delivery(line: &mut Object<'_>, record: &ExchangeRecord) {
    if let Some(bytes) = record.content_bytes {
        line.number("content_bytes", bytes);
    }
    if let Some(by) = record.aborted_by {
        line.word("aborted_by", by.word());
    }
}

/// What the cache, the policies and the upstreams did.
fn outcome(line: &mut Object<'_>, record: &ExchangeRecord) {
    if let Some(cache) = record.cache().map(CacheOutcome::label) {
        line.word("cache", cache);
    }
    if let Some(refusal) = record.refusal() {
        line.word("problem", refusal.problem.slug());
        if let Some(policy) = refusal.policy {
            line.text("policy", policy.as_str());
        }
        line.word("reason", refusal.reason.code());
        line.text("detail", &refusal.reason.to_string());
    }
    if record.calls().next().is_some() {
        line.list("upstream", record.calls(), |out, one| object(out, |members| call(one, members)));
    }
    if record.events.open_on_failure().next().is_some() {
        line.list("open_on_failure", record.events.open_on_failure(), string);
    }
    limits(line, record);
}

/// What limits charged, and what they told of without refusing.
fn limits(line: &mut Object<'_>, record: &ExchangeRecord) {
    if let Some(cost) = record.events.charged() {
        line.number("charged", cost.into());
    }
    let would_refuse = || {
        record.events.limit_notices().filter_map(|(policy, notice)| match notice {
            LimitNotice::WouldRefuse => Some(policy.as_str()),
            LimitNotice::Reached { .. } | LimitNotice::Leased => None,
        })
    };
    if would_refuse().next().is_some() {
        line.list("would_refuse", would_refuse(), string);
    }
    let reached = || {
        record.events.limit_notices().filter_map(|(policy, notice)| match notice {
            LimitNotice::Reached { percent } => Some((policy, percent)),
            LimitNotice::WouldRefuse | LimitNotice::Leased => None,
        })
    };
    if reached().next().is_some() {
        line.list("limits_reached", reached(), |out, (policy, percent)| {
            object(out, |members| {
                members.text("policy", policy.as_str());
                members.number("reached", u64::from(percent));
            });
        });
    }
}

fn call(call: &UpstreamRecord, members: &mut Object<'_>) {
    members.written(&call.upstream.member);
    members.value("duration_ms", |out| thousandths(out, call.duration_us));
    match call.outcome {
        Ok(status) => members.number("status", u64::from(status)),
        Err(error) => members.word("error", error.proxy_status()),
    }
}

const EPOCH: &[u8; SECOND_BYTES] = b"1970-01-01T00:00:00";

/// Capacity: a line with a caller and a call.
const LINE_BYTES_USUAL: usize = 640;

/// Bytes of memory that are kept for the next line; lines with many calls are longer.
const LINE_BYTES_KEPT: usize = 4096;
