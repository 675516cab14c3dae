//! The gateway's log of purges: a cell with several writers, and the record of it that edges read.
//!
//! A purge is acknowledged once it is in both. The cell keeps purges that are made at once; the record is written whole, so
//! an older log could end up in the place of a newer one. Therefore each writer looks at the log again after it has written,
//! and writes again where that has grown: whoever writes last has seen the newest. It also notes in the cell what it has
//! written, so that those that have not written yet need not: some stores take one write a second of a record.

use tollgate_core::cache::{Purge, Purges};
use tollgate_core::cell::{CellKey, CellOperations, Operation, OperationId, Reply, Terms, Update};
use tollgate_core::problem::Problem;
use tollgate_kv_schemas::{RecordError, decode, encode, keys};

use super::store_unavailable;
use crate::isolate::Isolate;
use crate::patience::{counted, within};
use crate::ports::{Clock, CounterFault, Entropy, Host, Records, WriteFault};

/// Adds purges to the log and to the record; this isolate heeds them at once.
///
/// # Errors
/// The problem to answer with. What is in the log then is written with the next purge at the latest.
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
        terms: Terms { id: OperationId::new(id), hold_ms: None },
        cells: vec![CellOperations { cell: CellKey::purges(), operations }],
    };
    let mut tries = 0..TRIES_MAX;
    let outcome = loop {
        match counted(host, &update).await {
            // The id makes it one change, however often it is sent.
            Err(CounterFault::Contended) if tries.next().is_some() => host.clock().sleep(TRY_PAUSE_MS).await,
            changed => break changed.map_err(|error| store_unavailable(&error))?,
        }
    };
    match { outcome.replies }.pop() {
        Some(Reply::Purges { sequence, purges, recorded }) => Ok(Log { sequence, purges, recorded }),
        Some(_) | None => Err(store_unavailable(&"the cell of purges gave another answer than its log")),
    }
}

/// Writes the record; `false` where the store takes no more writes of it now.
async fn write<H: Host>(isolate: &Isolate, host: &H, log: &Log) -> Result<bool, Problem> {
    let key = keys::purges(&isolate.settings.gateway);
    let mut purges = log.purges.clone();
    // A cell that was lost would otherwise take what is recorded with it.
    purges.merge(&recorded(host, &key).await?);
    let value = encode(&purges);
    match within(host, "the record store", host.records().keep(&key, &value)).await {
        Ok(()) => {
            isolate.config.add_purges(&purges);
            Ok(true)
        }
        Err(WriteFault::TooOften) => Ok(false),
        Err(fault @ (WriteFault::Refused | WriteFault::Unavailable(_))) => Err(store_unavailable(&fault)),
    }
}

/// The purges of the record; one that is damaged is written anew, one of a newer version is not touched.
async fn recorded<H: Host>(host: &H, key: &str) -> Result<Purges, Problem> {
    let read = within(host, "the record store", host.records().read(key)).await;
    match read.map_err(|error| store_unavailable(&error))?.map(|bytes| decode(&bytes)) {
        None | Some(Err(RecordError::Damaged { .. })) => Ok(Purges::default()),
        Some(Ok(purges)) => Ok(purges),
        Some(Err(error)) => Err(store_unavailable(&error)),
    }
}

/// Writes of one purge. Each is two calls of the record store and one of the cell, and a Worker has 50 calls for a request.
const WRITES_MAX: usize = 10;

/// Further tries of a change that others were in the way of, and the pause before each.
const TRIES_MAX: u32 = 3;
const TRY_PAUSE_MS: u64 = 50;

/// Workers KV takes one write a second of a key.
pub(super) const WRITE_PAUSE_MS: u64 = 1_100;
