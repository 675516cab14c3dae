//! Counters in the process, shared by its isolates and written to SQLite in the background.

mod persisted;
mod shard;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use std::hash::{BuildHasher, RandomState};

use tollgate_core::cell::{Cell, CellError, CellKey, CellOperations, Outcome, Plan, Update};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{CounterFault, Counters, Unavailable};

use crate::faults::{Faults, FaultyStore};
use crate::store::StoreError;
use persisted::CounterFile;
use shard::Shard;

/// The counters of one server; clones are the same counters.
///
/// One store owns all cells, so an update can change several atomically. It holds the locks of their shards, of which
/// there are some dozens, only for the arithmetic. Charges since the last [`NativeCounters::persist`] are lost if the
/// process is killed: at most the charges of that interval can pass again. Purges are stored before the reply.
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
    /// Counters in memory, which are lost when the process ends.
    #[must_use]
    pub fn in_memory(cells_max: usize) -> Self {
        Self::new(cells_max, None)
    }

    /// Counters in a file, which is created if it does not exist; those in use are loaded.
    ///
    /// # Errors
    /// [`StoreError`] if the file is damaged or not a file of counters.
    pub fn in_file(path: &Path, gateway: &str, cells_max: usize, now: Timestamp) -> Result<Self, StoreError> {
        let file = CounterFile::create(path, gateway)?;
        let live = file.load(now, cells_max)?;
        let counters = Self::new(cells_max, Some(file));
        for (key, cell) in live {
            lock(&counters.shared.shards[counters.place(&key)]).restore(key, cell);
        }
        Ok(counters)
    }

    fn new(cells_max: usize, file: Option<CounterFile>) -> Self {
        let most = cells_max.div_ceil(SHARDS);
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
    /// [`StoreError`] if the file cannot be written; the changes stay marked and are written next time.
    pub fn persist(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(file) = &self.shared.file else {
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        for shard in &self.shared.shards {
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
        self.shared.shards.iter().map(|s| lock(s).len()).sum()
    }

    /// Whether there are no cells.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

    /// The shards of an update's cells, locked in the order of their indexes, which prevents deadlocks.
    fn lock_all(&self, update: &Update) -> Vec<(usize, MutexGuard<'_, Shard>)> {
        let mut places: Vec<usize> = update.cells.iter().map(|part| self.place(&part.cell)).collect();
        places.sort_unstable();
        places.dedup();
        places.into_iter().map(|place| (place, lock(&self.shared.shards[place]))).collect()
    }

    fn shard_in<'s>(&self, shards: &'s mut [(usize, MutexGuard<'_, Shard>)], key: &CellKey) -> &'s mut Shard {
        let place = if shards.len() > 1 { self.place(key) } else { shards[0].0 };
        let found = shards.iter_mut().find(|(own, _)| *own == place);
        &mut found.expect("the shards of all cells are locked").1
    }

    fn place(&self, key: &CellKey) -> usize {
        // A keyed hash: a client that could choose its shard could fill a single shard.
        let hash = self.shared.hasher.hash_one(key);
        usize::try_from(hash % SHARDS as u64).unwrap_or(0)
    }

    /// Stores the cells of an update immediately.
    fn write_through(&self, update: &Update, now: Timestamp) -> Result<(), CounterFault> {
        let Some(file) = &self.shared.file else {
            return Ok(());
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |part: &CellOperations| {
            let cell = lock(&self.shared.shards[self.place(&part.cell)]).cell(&part.cell);
            (part.cell.clone(), cell)
        };
        let cells: Vec<(CellKey, Cell)> = update.cells.iter().map(read).collect();
        file.write(&cells, now).map_err(|error| Unavailable::new(error.to_string()).into())
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Counters for NativeCounters {
    fn same_owner(&self, _: &CellKey, _: &CellKey) -> bool {
        true
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        self.faults.check(FaultyStore::Counters)?;
        let (outcome, write_through) = self.apply(update, now)?;
        if write_through {
            self.write_through(update, now)?;
        }
        Ok(outcome)
    }
}

/// Enough that isolates on the cores of one machine rarely use the same shard.
const SHARDS: usize = 64;

/// The default bound of a server's counters: about 200 bytes each, 200 MB if all are in use.
pub(crate) const PARTITIONS_MAX: usize = 1_000_000;

#[cfg(test)]
mod tests;
