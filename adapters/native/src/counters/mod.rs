//! Counters in the process, shared by its isolates and written to SQLite; or in Redis ([`redis`]).

mod chosen;
mod lock;
mod persisted;
mod redis;
mod shard;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::hash::{BuildHasher, RandomState};

use tollgate_core::cell::{Cell, CellError, CellKey, Outcome, Plan, Update};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters};

use crate::faults::{Faults, FaultyStore};
use crate::store::StoreError;
pub use chosen::ChosenCounters;
use persisted::CounterFile;
pub use redis::{RedisAddress, RedisAddressError, RedisCounters, RedisSettings};
use shard::Shard;
use writer::Writer;

/// The counters of one server; clones are the same counters.
///
/// One store owns all cells, so an update can change several atomically. It holds the locks of their shards, of which
/// there are some dozens, only for the arithmetic. Charges since the last [`NativeCounters::persist`] are lost if the
/// process is killed: at most the charges of that interval can pass again. What core says must not be lost, such as charges of
/// quotas and purges, is stored before the reply, that of all requests in flight together.
#[derive(Clone, Debug)]
pub struct NativeCounters {
    shared: Arc<Shared>,
    faults: Faults,
}

#[derive(Debug)]
struct Shared {
    cells: Arc<Cells>,
    /// Stores what must not be lost; absent for counters in memory.
    writer: Option<Writer>,
}

/// The cells, and the file that keeps them.
#[derive(Debug)]
struct Cells {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    file: Option<Mutex<CounterFile>>,
}

impl NativeCounters {
    /// Counters in memory, which are lost when the process ends.
    #[must_use]
    pub fn in_memory(cells_max: usize) -> Self {
        Self::of(Cells::new(cells_max, None), None)
    }

    /// Counters in a file, which is created if it does not exist; those in use are loaded.
    /// No other process can use those of this gateway until this one ends.
    ///
    /// # Errors
    /// [`StoreError`] if the file is damaged or not a file of counters, if another process writes the counters of this gateway to it and
    /// does not end within some seconds, or if no thread can be started that writes it.
    pub fn in_file(path: &Path, gateway: &str, cells_max: usize, now: Timestamp) -> Result<Self, StoreError> {
        let file = CounterFile::create(path, gateway)?;
        let live = file.load(now, cells_max)?;
        let cells = Cells::new(cells_max, Some(file));
        for (key, cell) in live {
            cells.shard(&key).restore(key, cell);
        }
        let writer = Writer::start(&cells).map_err(|source| StoreError::NoThread { path: path.to_owned(), source })?;
        Ok(Self::of(cells, Some(writer)))
    }

    fn of(cells: Arc<Cells>, writer: Option<Writer>) -> Self {
        Self { shared: Arc::new(Shared { cells, writer }), faults: Faults::default() }
    }

    pub(crate) fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Writes what changed since the last call; does nothing for counters in memory.
    ///
    /// # Errors
    /// [`StoreError`] if the file cannot be written; the changes stay marked and are written next time.
    pub fn persist(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(file) = &self.shared.cells.file else {
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shared.cells.shards {
            let changed = lock(shard).take_changed();
            if let Err(error) = file.write(&changed, now) {
                lock(shard).mark_changed(changed.into_iter().map(|(key, _)| key));
                return Err(error);
            }
        }
        file.forget_idle(now)
    }

    /// The number of cells, including idle ones that were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.cells.shards.iter().map(|s| lock(s).len()).sum()
    }

    /// Whether there are no cells.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Cells {
    fn new(cells_max: usize, file: Option<CounterFile>) -> Arc<Self> {
        let most = cells_max.div_ceil(SHARDS);
        Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::new(most, file.is_some()))).collect(),
            hasher: RandomState::new(),
            file: file.map(Mutex::new),
        })
    }

    fn shard(&self, key: &CellKey) -> MutexGuard<'_, Shard> {
        lock(&self.shards[self.place(key)])
    }

    /// Applies an update to all of its cells or none; returns whether it has to be stored before the reply.
    fn apply(&self, update: &Update, now: Timestamp) -> Result<(Outcome, bool), CellError> {
        let mut shards = self.lock_all(update);
        let mut plans = Vec::with_capacity(update.cells.len());
        for part in &update.cells {
            let shard = self.shard_in(&mut shards, &part.cell);
            plans.push(shard.plan(update.terms, part, now)?);
        }
        let granted = plans.iter().all(Plan::granted);
        let mut outcome = Outcome { granted, replies: Vec::with_capacity(plans.len()) };
        let mut write_through = false;
        for (part, plan) in update.cells.iter().zip(&plans) {
            let shard = self.shard_in(&mut shards, &part.cell);
            write_through |= shard.commit(&part.cell, plan, granted, &mut outcome.replies).write_through;
        }
        Ok((outcome, write_through))
    }

    /// Stores the states of some cells, if there is a file. Those that fail are written later, with everything that changed.
    fn write<'k>(&self, keys: impl Iterator<Item = &'k CellKey>, now: Timestamp) -> Result<(), StoreError> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        // Locked before the states are read: no older state is written over a newer one.
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let states: Vec<(CellKey, Cell)> = keys.map(|key| (key.clone(), self.shard(key).take(key))).collect();
        file.write(&states, now).inspect_err(|_| {
            for (key, _) in states {
                self.shard(&key).mark_changed([key.clone()].into_iter());
            }
        })
    }

    /// The shards of an update's cells, locked in the order of their indexes, which prevents deadlocks.
    fn lock_all(&self, update: &Update) -> Vec<(usize, MutexGuard<'_, Shard>)> {
        let mut places: Vec<usize> = update.cells.iter().map(|part| self.place(&part.cell)).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| (place, lock(&self.shards[place]))).collect()
    }

    fn shard_in<'s>(&self, shards: &'s mut [(usize, MutexGuard<'_, Shard>)], key: &CellKey) -> &'s mut Shard {
        let place = if shards.len() > 1 { self.place(key) } else { shards[0].0 };
        let found = shards.iter_mut().find(|(own, _)| *own == place);
        &mut found.expect("the shards of all cells are locked").1
    }

    fn place(&self, key: &CellKey) -> usize {
        // A keyed hash: a client that could choose its shard could fill a single shard.
        let hash = self.hasher.hash_one(key);
        usize::try_from(hash % SHARDS as u64).unwrap_or(0)
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counters for NativeCounters {
    fn is_near(&self) -> bool {
        true
    }

    fn same_owner(&self, _: &CellKey, _: &CellKey) -> bool {
        true
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        self.faults.check(FaultyStore::Counters)?;
        let (outcome, write_through) = self.shared.cells.apply(update, now)?;
        if let (true, Some(writer)) = (write_through, &self.shared.writer) {
            writer.write(update, now).await?;
        }
        Ok(outcome)
    }
}

/// Enough that isolates on the cores of one machine rarely use the same shard.
const SHARDS: usize = 64;

/// The default bound of a server's counters: some 580 bytes each, 580 MB if all are in use.
pub(crate) const PARTITIONS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests;
