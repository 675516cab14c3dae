//! Counters in the process, shared by its isolates and written to SQLite behind the requests.

mod persisted;
mod shard;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::hash::{BuildHasher, RandomState};

use tollgate_core::limit::{ChargeOutcome, ChargeRequest};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Counters, Unavailable};

use crate::faults::{Faults, FaultyStore};
use crate::store::StoreError;
use persisted::CounterFile;
use shard::Shard;

/// The counters of one server; clones are the same counters.
///
/// A charge takes the lock of one of some dozens of shards for the time of the arithmetic. What was charged since the last
/// [`NativeCounters::persist`] is lost when the process is killed: a fresh burst for at most that interval's charges.
#[derive(Clone, Debug)]
pub struct NativeCounters {
    shared: Arc<Shared>,
    faults: Faults,
}

#[derive(Debug)]
struct Shared {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    file: Option<Mutex<CounterFile>>,
}

impl NativeCounters {
    /// Counters that end with the process.
    #[must_use]
    pub fn in_memory(partitions_max: usize) -> Self {
        Self::new(partitions_max, None)
    }

    /// Counters that are kept in a file, which is made where it does not exist; live ones are loaded.
    ///
    /// # Errors
    /// [`StoreError`] when the file is damaged or something else.
    pub fn in_file(path: &Path, gateway: &str, partitions_max: usize, now: Timestamp) -> Result<Self, StoreError> {
        let file = CounterFile::create(path, gateway)?;
        let live = file.load(now, partitions_max)?;
        let counters = Self::new(partitions_max, Some(file));
        for (partition, state) in live {
            counters.shard(&partition).restore(partition, state);
        }
        Ok(counters)
    }

    fn new(partitions_max: usize, file: Option<CounterFile>) -> Self {
        let most = partitions_max.div_ceil(SHARDS);
        let shared = Shared {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(most))).collect(),
            hasher: RandomState::new(),
            file: file.map(Mutex::new),
        };
        Self { shared: Arc::new(shared), faults: Faults::default() }
    }

    pub(crate) fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Writes what changed since the last call; does nothing for counters in memory.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written; the changes stay marked and are written next time.
    pub fn persist(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(file) = &self.shared.file else {
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shared.shards {
            let changed = lock(shard).take_changed();
            if let Err(error) = file.write(&changed, now) {
                lock(shard).mark_changed(changed.into_iter().map(|(partition, _)| partition));
                return Err(error);
            }
        }
        file.forget_idle(now)
    }

    /// Partitions held, idle ones that were not yet forgotten included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.shards.iter().map(|s| lock(s).len()).sum()
    }

    /// Whether no partition is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, partition: &str) -> MutexGuard<'_, Shard> {
        // A keyed hash: a client that could choose its shard could fill that one alone.
        let hash = self.shared.hasher.hash_one(partition);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or(0);
        lock(&self.shared.shards[index])
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counters for NativeCounters {
    async fn charge(&self, request: &ChargeRequest, now: Timestamp) -> Result<ChargeOutcome, Unavailable> {
        self.faults.check(FaultyStore::Counters)?;
        self.shard(&request.partition).charge(request, now)
    }

    async fn refund(&self, request: &ChargeRequest, now: Timestamp) -> Result<(), Unavailable> {
        self.faults.check(FaultyStore::Counters)?;
        self.shard(&request.partition).refund(request, now);
        Ok(())
    }
}

/// Enough that isolates on the cores of one machine seldom meet.
const SHARDS: usize = 64;

/// The bound of a server's counters when none is set: some 200 bytes each, 200 MB when all are live.
pub(crate) const PARTITIONS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use tollgate_core::limit::Charge;

    fn request(partition: &str, burst: u32) -> ChargeRequest {
        let n = |value| NonZeroU32::new(value).unwrap();
        let charge = Charge { policy: "p".into(), rate: n(1), period_ms: n(60_000), burst: n(burst), cost: n(1) };
        ChargeRequest { partition: partition.into(), charges: vec![charge] }
    }

    fn direct<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("counters answer at once"),
        }
    }

    fn granted(counters: &NativeCounters, partition: &str, burst: u32, now: Timestamp) -> bool {
        direct(counters.charge(&request(partition, burst), now)).unwrap().granted
    }

    #[test]
    fn charges_from_many_threads_never_pass_the_burst() {
        let counters = NativeCounters::in_memory(PARTITIONS_MAX);
        let now = Timestamp::from_millis(1_000_000);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let counters = counters.clone();
                std::thread::spawn(move || (0..500).filter(|_| granted(&counters, "c", 700, now)).count())
            })
            .collect();
        let passed: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
        assert_eq!(passed, 700);
    }

    #[test]
    fn a_full_store_refuses_newcomers_and_forgets_no_live_partition() {
        let counters = NativeCounters::in_memory(SHARDS);
        let now = Timestamp::from_millis(1_000_000);
        let asked: Vec<String> = (0..SHARDS * 4).map(|n| format!("c{n}")).collect();
        let held: Vec<&String> =
            asked.iter().filter(|p| direct(counters.charge(&request(p, 1), now)).is_ok()).collect();
        assert!(held.len() <= SHARDS && counters.len() == held.len());
        for partition in &held {
            assert!(!granted(&counters, partition, 1, now));
        }
        let later = now.plus_millis(61_000);
        assert!(granted(&counters, "newcomer", 1, later));
    }

    #[test]
    fn live_counters_survive_the_process_and_idle_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counters.db");
        let now = Timestamp::from_millis(1_000_000);
        let open = |now| NativeCounters::in_file(&path, "g", PARTITIONS_MAX, now).unwrap();
        let counters = open(now);
        assert!(granted(&counters, "c", 1, now));
        counters.persist(now).unwrap();
        drop(counters);
        assert!(!granted(&open(now), "c", 1, now));
        let other = NativeCounters::in_file(&path, "h", PARTITIONS_MAX, now).unwrap();
        assert!(other.is_empty());
        assert!(open(now.plus_millis(60_001)).is_empty());
    }

    #[test]
    fn a_refund_is_persisted_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counters.db");
        let now = Timestamp::from_millis(1_000_000);
        let counters = NativeCounters::in_file(&path, "g", PARTITIONS_MAX, now).unwrap();
        assert!(granted(&counters, "c", 1, now));
        counters.persist(now).unwrap();
        direct(counters.refund(&request("c", 1), now)).unwrap();
        counters.persist(now).unwrap();
        drop(counters);
        let again = NativeCounters::in_file(&path, "g", PARTITIONS_MAX, now).unwrap();
        assert!(granted(&again, "c", 1, now));
    }

    #[test]
    fn switched_counters_answer_unavailable() {
        let faults = Faults::default();
        let counters = NativeCounters::in_memory(10).with_faults(faults.clone());
        faults.set(FaultyStore::Counters, true);
        assert!(direct(counters.charge(&request("c", 1), Timestamp::EPOCH)).is_err());
        faults.set(FaultyStore::Counters, false);
        assert!(granted(&counters, "c", 1, Timestamp::EPOCH));
    }
}
