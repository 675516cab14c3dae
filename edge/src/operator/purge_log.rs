//! The gateway's purge log: a cell with several writers, and a copy of it in the record that edges read.
//!
//! A purge is acknowledged when it is in both. The cell keeps concurrent purges; the record is written as a whole, so
//! an older log could overwrite a newer one. Therefore each writer reads the log again after writing, and writes again
//! if it has grown: the last writer has always seen the newest log. A writer also records in the cell what it has
//! written, so that writers that have not written yet need not do so: some stores accept one write per second for each
//! record.

use tollgate_core::cache::{Purge, Purges};
use tollgate_core::cell::{CellKey, CellOperations, Operation, OperationId, Reply, Terms, Update};
use tollgate_core::problem::Problem;
use tollgate_kv_schemas::{RecordError, decode, encode, keys};

use super::store_unavailable;
use crate::isolate::Isolate;
use crate::ports::{Clock, CounterFault, Entropy, Host, WriteFault};
use crate::timeout::{counted, keep, record};

/// Adds purges to the log and to the record; this isolate applies them immediately.
///
/// # Errors
/// The problem for the response. Purges that are in the log then are written with the next purge at the latest.
pub(super) async fn purge<H: Host>(isolate: &Isolate, host: &H, purges: &[Purge]) -> Result<(), Problem> {
    let append = purges.iter().cloned().map(Operation::AppendPurge).chain([Operation::ReadPurges { recorded: None }]);
    let mut log = update(host, append.collect()).await?;
    let (own, mut has_written) = (log.sequence, false);
    for _ in 0..WRITES_MAX {
        let is_written = write(isolate, host, &log).await?;
        has_written |= is_written;
        if !is_written {
            host.clock().sleep(WRITE_PAUSE_MS).await;
        }
        let recorded = is_written.then_some(log.sequence);
        let newest = update(host, vec![Operation::ReadPurges { recorded }]).await?;
        if is_written && newest.sequence <= log.sequence {
            return Ok(());
        }
        log = newest;
        if !has_written && log.recorded >= Some(own) {
            break;
        }
    }
    if log.recorded < Some(own) {
        return Err(store_unavailable(&"the record of purges is written by others all the time"));
    }
    isolate.config.add_purges(&log.purges);
    Ok(())
}

/// A copy of the log.
struct Log {
    sequence: u64,
    purges: Purges,
    /// Up to which sequence somebody has written the record.
    recorded: Option<u64>,
}

/// Changes the cell; the last operation reads the log.
async fn update<H: Host>(host: &H, operations: Vec<Operation>) -> Result<Log, Problem> {
    let mut id = [0u8; 16];
    host.entropy().fill(&mut id);
    let update = Update {
        terms: Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None },
        cells: vec![CellOperations { cell: CellKey::purges(), operations }],
    };
    let mut tries = 0..TRIES_MAX;
    let outcome = loop {
        match counted(host, &update).await {
            // Because of the id it takes effect once, however often it is sent.
            Err(CounterFault::Contended) if tries.next().is_some() => host.clock().sleep(TRY_PAUSE_MS).await,
            changed => break changed.map_err(|error| store_unavailable(&error))?,
        }
    };
    match { outcome.replies }.pop() {
        Some(Reply::Purges { sequence, purges, recorded }) => Ok(Log { sequence, purges, recorded }),
        Some(_) | None => Err(store_unavailable(&"the cell of purges did not return its log")),
    }
}

/// Writes the record; `false` if the store accepts no more writes of it now.
async fn write<H: Host>(isolate: &Isolate, host: &H, log: &Log) -> Result<bool, Problem> {
    let key = keys::purges(&isolate.settings.gateway);
    let mut purges = log.purges.clone();
    // Otherwise the loss of the cell would also lose the purges in the record.
    purges.merge(&recorded(isolate, host, &key).await?);
    let value = encode(&purges);
    match keep(host, &key, &value).await {
        Ok(()) => {
            isolate.config.add_purges(&purges);
            Ok(true)
        }
        Err(WriteFault::TooOften) => Ok(false),
        Err(fault @ (WriteFault::Refused | WriteFault::Unavailable(_))) => Err(store_unavailable(&fault)),
    }
}

/// The purges in the record. A damaged record may have had any purge, so everything is purged in place of it; a record of a
/// newer version is not changed.
async fn recorded<H: Host>(isolate: &Isolate, host: &H, key: &str) -> Result<Purges, Problem> {
    let read = record(host, key).await;
    match read.map_err(|error| store_unavailable(&error))?.map(|bytes| decode(&bytes)) {
        None => Ok(Purges::default()),
        Some(Err(RecordError::Damaged { .. })) => {
            let at = isolate.changed_at(isolate.time(host.clock()));
            Ok(Purges::from_iter([Purge { resource: None, at }]))
        }
        Some(Ok(purges)) => Ok(purges),
        Some(Err(error)) => Err(store_unavailable(&error)),
    }
}

/// Writes of one purge. Each is two calls of the record store and one of the cell, and a Worker has 50 calls for a request.
const WRITES_MAX: usize = 10;

/// Further attempts of a change that conflicted with others, and the delay before each.
const TRIES_MAX: u32 = 3;
const TRY_PAUSE_MS: u64 = 50;

/// Workers KV accepts one write per second for each key.
pub(super) const WRITE_PAUSE_MS: u64 = 1_100;
