//! Counters in Redis or Valkey, shared by several gateways.
//!
//! One thread of the process has the connection and the queue of updates ([`tollgate_redis::Queue`]), so that the requests of
//! all isolates that wait for a cell become one call. It ends with the last handle.

mod address;
mod connection;
mod thread;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tollgate_core::cell::{CellKey, Outcome, Update};
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_edge::ports::{CounterFault, Counters, Unavailable};
use tollgate_redis::Waiter;

use crate::faults::{Faults, FaultyStore};
use crate::secrets::SecretSource;
pub use address::{RedisAddress, RedisAddressError};
use connection::Connection;

/// How counters in Redis are reached.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    /// The server or the nodes of the cluster.
    pub address: RedisAddress,
    /// A PEM file of certificate authorities for TLS, in place of the platform's.
    pub authorities: Option<PathBuf>,
}

/// The counters of one process in Redis; clones are the same counters.
#[derive(Clone, Debug)]
pub struct RedisCounters {
    asks: mpsc::Sender<Ask>,
    counts: Arc<Counts>,
    /// The beginning of the instants that are sent to the thread.
    start: Instant,
    is_cluster: bool,
    faults: Faults,
}

/// What happened on the connection, for metrics.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) conflicts: AtomicU64,
    pub(crate) connections: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) remembered: AtomicU64,
}

/// An update for the thread.
#[derive(Debug)]
struct Ask {
    update: Update,
    now: Timestamp,
    since: MonotonicInstant,
    waiter: Asker,
}

#[derive(Debug)]
struct Asker(oneshot::Sender<Result<Outcome, CounterFault>>);

impl RedisCounters {
    /// Starts the thread, which connects; a server that cannot be reached is reported on standard error and tried again.
    ///
    /// # Errors
    /// If the system provides no thread, or the file of authorities cannot be read.
    pub fn start(gateway: &str, settings: &RedisSettings, secrets: &SecretSource) -> std::io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let authorities = settings.authorities.as_ref().map(std::fs::read).transpose()?;
        let start = Instant::now();
        let of_connection = (Arc::clone(&counts), start);
        let connection = Connection::new(settings.address.clone(), authorities, secrets.clone(), of_connection);
        let asks = thread::start(gateway, connection, start)?;
        Ok(Self { asks, counts, start, is_cluster: settings.address.is_cluster, faults: Faults::default() })
    }

    pub(crate) fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    async fn ask(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        let (sender, answer) = oneshot::channel();
        let since = instant(self.start);
        let ask = Ask { update: update.clone(), now, since, waiter: Asker(sender) };
        let ended = || CounterFault::from(Unavailable::new("the thread of the counters has ended"));
        self.asks.send(ask).await.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

impl Counters for RedisCounters {
    /// In a cluster each cell has a slot of its own.
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        !self.is_cluster || one == other
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        self.faults.check(FaultyStore::Counters)?;
        match tokio::time::timeout(ANSWER_MAX, self.ask(update, now)).await {
            Ok(answer) => answer,
            Err(_) => Err(Unavailable::new("the counters in Redis did not answer in time").into()),
        }
    }
}

impl Waiter for Asker {
    fn waits(&self) -> bool {
        !self.0.is_closed()
    }

    fn answer(self, answer: Result<Outcome, CounterFault>) {
        // Who does not wait any more needs no answer.
        let _ = self.0.send(answer);
    }
}

impl Counts {
    fn count(&self, number: &AtomicU64) {
        number.fetch_add(1, Ordering::Relaxed);
    }
}

fn instant(start: Instant) -> MonotonicInstant {
    MonotonicInstant::from_micros(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
}

/// Less than the timeout of a store, and more than attempts against other gateways may take.
const ANSWER_MAX: Duration = Duration::from_millis(2_800);
