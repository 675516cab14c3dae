//! Usage: summed up in the isolate, and written after replies as records that no other isolate writes.
//!
//! A batch that is not confirmed is written again with the same key and the same content, so it counts once whatever happened to the
//! answer. Only a batch that was confirmed at the first attempt is written again with more: no older write of it can arrive later.

use std::collections::VecDeque;

use tollgate_core::bounds::{USAGE_BATCHES_MAX, USAGE_WRITES_MAX};
use tollgate_core::hex;
use tollgate_core::telemetry::{Tally, UsageSettings, Used, event_line};
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_kv_schemas::{keys, usage_record};

use super::Isolate;
use crate::ports::{Clock, Entropy, Host, Records, TelemetrySink, WriteFault};

/// The usage of an isolate that may not be written yet.
#[derive(Debug, Default)]
pub(crate) struct UsageLog {
    every_ms: u64,
    keep_s: u32,
    /// Begins the ids of its batches; random, so that no other isolate has it.
    id: Option<[u8; 8]>,
    sequence: u32,
    fresh: Tally,
    /// Whether it is time to write what is fresh.
    is_due: bool,
    /// Written, or not: until the store has confirmed them.
    waiting: VecDeque<Batch>,
    /// The last one that the store has confirmed, if it may be written again with more.
    confirmed: Option<Batch>,
    /// An exchange waits for the time to write. The platform may have ended it, so that this is valid for a while.
    waits: Option<MonotonicInstant>,
    /// An exchange writes.
    writes: Option<MonotonicInstant>,
    /// Exchanges that there was no room for.
    lost: u64,
}

#[derive(Debug)]
struct Batch {
    sequence: u32,
    rows: Tally,
    /// Writes that may have reached the store.
    attempts: u32,
}

impl UsageLog {
    /// Adds what a finished exchange used.
    pub(crate) fn add(&mut self, settings: &UsageSettings, used: &Used<'_>, now: Timestamp) {
        (self.every_ms, self.keep_s) = (settings.every_ms, settings.keep_s);
        if !self.fresh.add(used) {
            // There may be room for another batch.
            self.seal(now);
            self.lost += u64::from(!self.fresh.add(used));
        }
    }

    /// Whether everything is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.waiting.is_empty()
    }

    /// After how many milliseconds the exchange that asks has to write; `None` if another one does.
    pub(crate) fn duty(&mut self, now: MonotonicInstant) -> Option<u64> {
        let is_busy =
            |since: Option<MonotonicInstant>, ms| since.is_some_and(|since| now.millis_since(since) < ms + CLAIM_MS);
        if self.every_ms == 0 || self.fresh.is_full() {
            // Who writes continues until nothing is due.
            self.is_due = true;
            return (!is_busy(self.writes, 0)).then_some(0);
        }
        if is_busy(self.waits, self.every_ms) {
            return None;
        }
        self.waits = Some(now);
        Some(self.every_ms)
    }

    /// Claims to write. Who does so already continues with what is due.
    fn begins(&mut self, now: MonotonicInstant) -> bool {
        (self.waits, self.is_due) = (None, true);
        let is_free = self.writes.is_none_or(|since| now.millis_since(since) >= CLAIM_MS);
        if is_free {
            self.writes = Some(now);
        }
        is_free
    }

    /// Makes batches of what is fresh, as far as there is room for them.
    ///
    /// After its hour a batch does not grow any more: it may be part of a sum then.
    fn seal(&mut self, now: Timestamp) {
        let hour = Tally::hour_of(now);
        while !self.fresh.is_empty() && self.waiting.len() < USAGE_BATCHES_MAX {
            let rows = self.fresh.take_hour();
            let mut known = self.confirmed.take().filter(|known| known.rows.hour() == Some(&hour));
            known = known.filter(|_| rows.hour() == Some(&hour));
            if known.as_mut().is_some_and(|known| known.rows.merge(&rows)) {
                self.waiting.extend(known);
            } else {
                self.sequence += 1;
                self.waiting.push_back(Batch { sequence: self.sequence, rows, attempts: 0 });
            }
        }
    }

    /// The next batch to write: its number, key and record.
    fn next(&mut self, gateway: &str, now: Timestamp, entropy: &impl Entropy) -> Option<(u32, String, Vec<u8>)> {
        if self.waiting.is_empty() && std::mem::take(&mut self.is_due) {
            self.seal(now);
            self.is_due = !self.fresh.is_empty();
        }
        let id = *self.id.get_or_insert_with(|| {
            let mut random = [0; 8];
            entropy.fill(&mut random);
            random
        });
        let Batch { sequence, rows, attempts } = self.waiting.front_mut()?;
        *attempts += 1;
        let mut batch = hex::encode(&id);
        hex::push(&mut batch, &sequence.to_be_bytes());
        let key = keys::usage(gateway, rows.hour().unwrap_or_default(), &batch);
        Some((*sequence, key, usage_record(gateway, &batch, rows)))
    }

    /// Takes the store's answer; answers whether the batch is done.
    fn settle(&mut self, number: u32, written: &Result<(), WriteFault>) -> bool {
        let Some(at) = self.waiting.iter().position(|batch| batch.sequence == number) else { return true };
        match written {
            Ok(()) => {
                let batch = self.waiting.remove(at).filter(|batch| batch.attempts == 1);
                self.confirmed = batch.map(|batch| Batch { attempts: 0, ..batch });
            }
            Err(WriteFault::TooOften) => self.waiting[at].attempts -= 1,
            Err(WriteFault::Unavailable(_)) => {}
            Err(WriteFault::Refused) => {
                let refused = self.waiting.remove(at);
                self.lost += refused.map_or(0, |batch| batch.rows.requests());
                return true;
            }
        }
        written.is_ok()
    }
}

/// Writes what is fresh when it is due, and what becomes due meanwhile, unless another exchange does.
pub(crate) async fn write_due<H: Host>(isolate: &Isolate, host: &H) {
    let gateway = &isolate.settings.gateway;
    let log = &isolate.usage;
    if log.borrow().is_empty() {
        return;
    }
    let duty = log.borrow_mut().duty(host.clock().instant());
    let Some(wait_ms) = duty else { return };
    if wait_ms > 0 {
        host.clock().sleep(wait_ms).await;
    }
    if !log.borrow_mut().begins(host.clock().instant()) {
        return;
    }
    let mut waits = RETRY_WAITS_MS.iter();
    for _ in 0..USAGE_WRITES_MAX {
        let next = log.borrow_mut().next(gateway, host.clock().now(), host.entropy());
        let Some((number, key, bytes)) = next else { break };
        let keep_s = log.borrow().keep_s;
        let written = host.records().write(&key, &bytes, keep_s).await;
        if log.borrow_mut().settle(number, &written) {
            continue;
        }
        let Some(wait) = waits.next() else {
            if let Err(error) = written {
                tell(isolate, host, "usage-not-written", |line| line.text("reason", &error.to_string()));
            }
            break;
        };
        host.clock().sleep(*wait).await;
    }
    log.borrow_mut().writes = None;
    let lost = std::mem::take(&mut log.borrow_mut().lost);
    if lost > 0 {
        tell(isolate, host, "usage-lost", |line| line.number("requests", lost));
    }
}

fn tell<H: Host>(isolate: &Isolate, host: &H, event: &str, more: impl FnOnce(&mut tollgate_core::json::Object<'_>)) {
    host.telemetry_sink().log(&event_line(host.clock().now(), "error", event, &isolate.settings.gateway, more));
}

/// How long a claim is valid at least: Workers end the work after a reply after 30 s.
const CLAIM_MS: u64 = 30_000;

/// Delays before the second, third and fourth attempt, in milliseconds. Together they are longer than the second in which Workers KV
/// takes one write of a key.
const RETRY_WAITS_MS: [u64; 3] = [500, 1_000, 2_000];

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
