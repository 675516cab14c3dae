//! One shard: cells by key, bounded in number.

use std::collections::{HashMap, HashSet};

use tollgate_core::cell::{Cell, CellError, CellKey, CellOperations, Committed, Plan, Reply, Room, Terms};
use tollgate_core::time::Timestamp;

/// A cell, or why its stored state cannot be read. Such a state is never treated as empty and never overwritten.
pub(super) type Kept = Result<Cell, CellError>;

#[derive(Debug)]
pub(super) struct Shard {
    cells: HashMap<CellKey, Kept>,
    room: Room,
    /// The cells that have to be stored; absent if nothing stores them.
    changed: Option<HashSet<CellKey>>,
    most: usize,
    /// When to search for idle cells again: a full shard is not searched for each new cell.
    sweep_at: Timestamp,
}

impl Shard {
    pub(super) fn new(most: usize, is_stored: bool) -> Self {
        let (cells, room) = (HashMap::new(), Room::default());
        Self { cells, room, changed: is_stored.then(HashSet::new), most: most.max(1), sweep_at: Timestamp::EPOCH }
    }

    /// How many cells have to be stored.
    #[cfg(test)]
    pub(super) fn changed(&self) -> usize {
        self.changed.as_ref().map_or(0, HashSet::len)
    }

    pub(super) fn len(&self) -> usize {
        self.cells.len()
    }

    pub(super) fn restore(&mut self, key: CellKey, cell: Kept) {
        if self.cells.len() < self.most {
            self.room.add(&key);
            self.cells.insert(key, cell);
        }
    }

    /// Returns the effect that an update would have on a cell, which exists from then on until [`Shard::commit`].
    pub(super) fn plan<'o>(
        &mut self,
        terms: Terms,
        part: &'o CellOperations,
        now: Timestamp,
    ) -> Result<Plan<'o>, CellError> {
        if let Some(kept) = self.cells.get_mut(&part.cell) {
            return kept.as_mut().map_err(|error| *error)?.plan(terms, &part.operations, now);
        }
        self.make_room(&part.cell, now)?;
        let cell = self.cells.entry(part.cell.clone()).or_insert_with(|| Ok(Cell::default()));
        self.room.add(&part.cell);
        cell.as_mut().map_err(|error| *error)?.plan(terms, &part.operations, now)
    }

    pub(super) fn commit(
        &mut self,
        key: &CellKey,
        plan: &Plan<'_>,
        granted: bool,
        replies: &mut Vec<Reply>,
    ) -> Committed {
        let Some(Ok(cell)) = self.cells.get_mut(key) else {
            return Committed::default();
        };
        let committed = cell.commit(plan, granted, replies);
        let is_idle = cell.is_idle();
        if let Some(changed) = self.changed.as_mut().filter(|changed| committed.changed && !changed.contains(key)) {
            changed.insert(key.clone());
        }
        if is_idle {
            // A new cell whose update was refused, or one whose quotas are fully available.
            self.cells.remove(key);
            self.room.remove(key);
        }
        committed
    }

    /// The cells changed since the last call; a removed one is empty.
    pub(super) fn take_changed(&mut self) -> Vec<(CellKey, Cell)> {
        let changed = self.changed.as_mut().map(std::mem::take).unwrap_or_default();
        changed.into_iter().map(|key| (key.clone(), self.cell(&key))).collect()
    }

    /// The state of a cell, which is written next; a removed one is empty.
    pub(super) fn take(&mut self, key: &CellKey) -> Cell {
        if let Some(changed) = &mut self.changed {
            changed.remove(key);
        }
        self.cell(key)
    }

    fn cell(&self, key: &CellKey) -> Cell {
        self.cells.get(key).and_then(|kept| kept.as_ref().ok()).cloned().unwrap_or_default()
    }

    pub(super) fn mark_changed(&mut self, keys: impl Iterator<Item = CellKey>) {
        if let Some(changed) = &mut self.changed {
            changed.extend(keys);
        }
    }

    fn make_room(&mut self, key: &CellKey, now: Timestamp) -> Result<(), CellError> {
        if self.room.takes(key, self.most) {
            return Ok(());
        }
        if now >= self.sweep_at {
            self.cells.retain(|key, kept| {
                let is_idle = is_idle_at(kept, now);
                if is_idle {
                    self.room.remove(key);
                }
                !is_idle
            });
            self.sweep_at = now.plus_millis(SWEEP_INTERVAL_MS);
        }
        if self.room.takes(key, self.most) { Ok(()) } else { Err(CellError::Full) }
    }
}

fn is_idle_at(kept: &Kept, now: Timestamp) -> bool {
    kept.as_ref().is_ok_and(|cell| cell.idle_at().is_some_and(|idle_at| idle_at <= now))
}

/// The interval of searches for idle cells in a full shard: 16,000 entries take well under a millisecond.
const SWEEP_INTERVAL_MS: u64 = 100;
