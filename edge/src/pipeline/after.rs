//! After the reply: undo steps, the cache, the record of the exchange, its export, and a check for new configuration.

use std::rc::Rc;

use futures_util::future::join;
use tollgate_core::bounds::CONFIG_FRESH_MS;
use tollgate_core::telemetry::{ExchangeRecord, Used};

use super::exchange::{Journal, ToStore};
use super::respond::AfterReply;
use super::{own, refund, settle, undo};
use crate::apart::{rare, together};
use crate::isolate::exporter::export;
use crate::isolate::{Freshness, Isolate, entitlements, notices, outages, unanswered, usage, uses};
use crate::policies::login;
use crate::ports::{Clock, Delivery, Host, ResponseCache, TelemetrySink};

/// Runs the remaining work of an exchange, each part once, and returns its record.
pub(super) async fn after<H: Host>(
    isolate: Rc<Isolate>,
    host: H,
    mut journal: Box<Journal>,
    pending: AfterReply<H::Content, impl Future<Output = Delivery>>,
) -> ExchangeRecord {
    let recorded = async {
        let mut undos = std::mem::take(&mut journal.undos);
        undos.extend(refund::due(&isolate, &host, &mut journal));
        if !journal.settlements.is_empty() {
            rare(settle::settle(&isolate, &host, &mut journal, None)).await;
        }
        // What was not used of a batch is given back by whoever comes next.
        let is_due = journal.uses_leases || isolate.leases.borrow().has_batches();
        let upkeep = if is_due { own::due(&isolate, &host, &mut journal) } else { Vec::new() };
        if upkeep.is_empty() {
            undo::run(&isolate, &host, undos).await;
        } else {
            // Concurrently: an owner that hangs must not delay what is released at others.
            rare(join(own::refill(&isolate, &host, &mut journal, upkeep), undo::run(&isolate, &host, undos))).await;
        }
        let delivery = pending.delivery.await;
        if !journal.settlements.is_empty() {
            let settled = async {
                let bytes = settle::bytes(&host, &mut journal, delivery).await;
                settle::settle(&isolate, &host, &mut journal, Some(bytes)).await;
            };
            rare(settled).await;
        }
        let mut ends = std::mem::take(&mut journal.ends);
        ends.iter().for_each(|end| end.leave_shares(&isolate, host.clock().now()));
        ends.retain(undo::Undo::is_of_owner);
        undo::run(&isolate, &host, ends).await;
        let begun = journal.begun;
        let told = (std::mem::take(&mut journal.reached), std::mem::take(&mut journal.told_of_caller));
        let mut record = journal.into_record();
        if !told.0.is_empty() {
            notices::collect(&isolate, &host, (&told.0, &told.1), &record.events);
        }
        record.notices = isolate.notices.borrow_mut().take_outcomes();
        record_delivery(&mut record, delivery, host.clock().instant().micros_since(begun));
        emit(&isolate, &host, &record).await;
        record
    };
    let record = if pending.to_store.is_empty() {
        recorded.await
    } else {
        // Concurrently: a cache that hangs must not delay the record.
        rare(join(recorded, store(&host, pending.to_store))).await.0
    };
    refresh(&isolate, &host).await;
    note_use(&isolate, &host, &record).await;
    let deferred = isolate.take_deferred();
    if !deferred.is_empty() {
        together(deferred.into_iter().map(|work| work.run(&isolate, &host))).await;
    }
    let left = isolate.sessions.borrow_mut().take_left();
    if !left.is_empty() {
        together(left.into_iter().map(|work| login::work(&isolate, &host, work))).await;
    }
    let due = isolate.outages.borrow_mut().take_due();
    if !due.is_empty() {
        together(due.into_iter().map(|due| outages::record(&host, due))).await;
    }
    if isolate.entitlements.borrow().is_due() {
        rare(entitlements::read_again(&isolate, &host)).await;
    }
    let are_unanswered = isolate.unanswered.borrow().are_some();
    if are_unanswered || isolate.notices.borrow().are_some() || !isolate.usage.borrow().is_empty() {
        // Concurrently: usage is summed up for seconds before it is written.
        let others = join(notices::deliver(&isolate, &host), usage::write_due(&isolate, &host));
        rare(join(unanswered::send_again(&isolate, &host), others)).await;
    }
    record
}

async fn store<H: Host>(host: &H, entries: Vec<ToStore<H::Content>>) {
    let cache = host.response_cache();
    for entry in entries {
        // A response that could not be stored is a miss for the next request.
        let _ = match entry {
            ToStore::Response { key, meta, copy } => cache.store(&key, &meta, Some(copy)).await,
            ToStore::Index { key, meta } => cache.store(&key, &meta, None).await,
            ToStore::Renewal { key, confirmed, renewed } => cache.touch(&key, &confirmed, &renewed).await,
        };
    }
}

fn record_delivery(record: &mut ExchangeRecord, delivery: Delivery, elapsed_us: u64) {
    match delivery {
        Delivery::Unobserved => return,
        Delivery::Complete { bytes } => record.content_bytes = Some(bytes),
        Delivery::Aborted { bytes, by } => {
            record.content_bytes = Some(bytes);
            record.aborted_by = Some(by);
        }
    }
    record.duration_us = elapsed_us;
}

/// Emits the telemetry of the exchange: the log, the host's own metrics, and the export.
async fn emit<H: Host>(isolate: &Isolate, host: &H, record: &ExchangeRecord) {
    let sink = host.telemetry_sink();
    sink.record(record);
    let gateway = isolate.config.gateway();
    let settings = gateway.as_ref().map(|gateway| &gateway.telemetry);
    if settings.is_none_or(|settings| settings.log) {
        isolate.lines.with_line(record, |line| sink.log(line));
    }
    if let Some(usage) = settings.and_then(|settings| settings.usage.as_ref()).filter(|_| isolate.exports) {
        isolate.usage.borrow_mut().add(usage, &Used::from(record), host.clock().now());
    }
    if let Some(otlp) = settings.and_then(|settings| settings.otlp.as_ref()).filter(|_| isolate.exports) {
        rare(export(isolate, host, otlp, record)).await;
    }
}

/// Records the first use of a key on a day.
async fn note_use<H: Host>(isolate: &Isolate, host: &H, record: &ExchangeRecord) {
    let now = record.started;
    let first = record.events.principal().filter(|principal| isolate.uses.borrow_mut().is_first(principal, now));
    if let Some(principal) = first {
        rare(uses::record(isolate, host, &principal.credential, now)).await;
    }
}

/// Checks for new configuration when that is due, so that no request waits for it.
async fn refresh<H: Host>(isolate: &Isolate, host: &H) {
    let now = host.clock().instant();
    let due = isolate.checked_at.get().is_none_or(|at| now.millis_since(at) >= CONFIG_FRESH_MS);
    if isolate.settings.freshness == Freshness::Cached && isolate.is_ready() && due {
        isolate.checked_at.set(Some(now));
        rare(isolate.refresh(host)).await;
    }
}
