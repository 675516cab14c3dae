//! Counters in a real Redis server: several gateways, and what happens when the server is killed, paused, flushed, full, or wants
//! a password or TLS.
//!
//! `cargo xtask test --only conformance` runs it. The contract of the port is not here but in `tests/contracts`; the machine of
//! swaps has its own tests in `adapters/redis`.

mod cluster;
mod failures;
mod measured;
mod sharing;
mod trust;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_contracts::{charge, part};
use tollgate_core::cell::{Operation, OperationId, Outcome, Terms, Update};
use tollgate_core::limit::Fault;
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters};
use tollgate_native::{RedisCounters, RedisSettings, SecretSource, SystemClock};
use tollgate_tests::redis::Redis;

/// A gateway's counters at an address.
fn gateway(url: &str) -> RedisCounters {
    gateway_with(url, &SecretSource::Given(Default::default()), None)
}

fn gateway_with(url: &str, secrets: &SecretSource, authorities: Option<std::path::PathBuf>) -> RedisCounters {
    let settings = RedisSettings { address: url.parse().expect("an address"), authorities };
    RedisCounters::start("g", &settings, secrets).expect("it starts")
}

/// A charge of one against a quota per day, with a new id.
fn one(cell: &str, burst: u32) -> Update {
    of(vec![part(cell, vec![charge("p", burst, 1)])])
}

fn of(cells: Vec<tollgate_core::cell::CellOperations>) -> Update {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut id = [7; 16];
    id[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    Update { terms: Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None }, cells }
}

/// The calls of the script.
fn calls(redis: &Redis) -> u64 {
    ["evalsha", "eval"].map(|command| redis.calls_of(command).expect("it answers")).iter().sum()
}

fn now() -> Timestamp {
    SystemClock::now()
}

async fn granted(counters: &RedisCounters, update: &Update) -> Result<bool, CounterFault> {
    counters.update(update, now()).await.map(|outcome| outcome.granted)
}

/// Sends it with the same id until it is answered.
async fn granted_at_last(counters: &RedisCounters, update: &Update) -> bool {
    loop {
        match granted(counters, update).await {
            Ok(granted) => return granted,
            Err(fault) => {
                assert!(matches!(fault.kind(), Fault::Unavailable | Fault::Contended), "{fault}");
            }
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn held(mut update: Update, hold_ms: u32) -> Update {
    update.terms.hold_ms = NonZeroU32::new(hold_ms);
    update
}

async fn apply(counters: &RedisCounters, update: &Update) -> Outcome {
    counters.update(update, now()).await.expect("it answers")
}

fn operations(update: &Update, operation: &Operation) -> Update {
    let cells = update
        .cells
        .iter()
        .map(|own| tollgate_core::cell::CellOperations { operations: vec![operation.clone()], ..own.clone() });
    Update { terms: Terms { hold_ms: None, ..update.terms }, cells: cells.collect() }
}
