//! A change of cells that takes effect if none of them was changed by others.

use tollgate_core::cell::{CellError, CellKey, Outcome, Update};
use tollgate_core::time::Timestamp;

use crate::known::{Known, Stamp};
use crate::script::{Call, key_of};

/// The change that updates make to cells of one owner.
#[derive(Debug)]
pub struct Swap {
    cells: Vec<Changing>,
    stamp: Stamp,
    /// The earliest instant of the updates: the cells are stored for longest by it.
    now: Timestamp,
}

/// The answer of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// All values were as assumed, and were replaced.
    Swapped,
    /// The values of all keys, one of which was not as assumed; nothing was replaced.
    Current(Vec<Option<Vec<u8>>>),
}

#[derive(Debug)]
struct Changing {
    key: CellKey,
    /// The cell with the updates, and the stamp that it had before them.
    known: Known,
    changed: bool,
}

impl Swap {
    /// A change of these cells that has no updates yet; `stamp` is of random bytes that were never used before.
    pub(crate) fn new(cells: impl Iterator<Item = (CellKey, Known)>, stamp: [u8; Stamp::RANDOM_BYTES]) -> Self {
        let cells = cells.map(|(key, known)| Changing { key, known, changed: false });
        Self { cells: cells.collect(), stamp: Stamp::new(stamp), now: Timestamp::from_micros(u64::MAX) }
    }

    /// Adds an update; one that cannot be applied does not affect the others.
    pub(crate) fn add(&mut self, update: &Update, now: Timestamp) -> Result<Outcome, CellError> {
        self.now = self.now.min(now);
        let places: Vec<usize> = update.cells.iter().filter_map(|part| self.place(&part.cell)).collect();
        let mut plans = Vec::with_capacity(places.len());
        for (part, place) in update.cells.iter().zip(&places) {
            let cell = self.cells[*place].known.cell.as_mut().map_err(|error| *error)?;
            plans.push(cell.plan(update.terms, &part.operations, now)?);
        }
        let granted = plans.iter().all(|plan| plan.granted());
        let mut outcome = Outcome { granted, replies: Vec::with_capacity(plans.len()) };
        for (plan, place) in plans.iter().zip(places) {
            let changing = &mut self.cells[place];
            if let Ok(cell) = &mut changing.known.cell {
                changing.changed |= cell.commit(plan, granted, &mut outcome.replies).changed;
            }
        }
        Ok(outcome)
    }

    fn place(&self, cell: &CellKey) -> Option<usize> {
        self.cells.iter().position(|changing| changing.key == *cell)
    }

    /// The call that makes the change, or, if there is none, confirms that the cells are as assumed.
    ///
    /// With a claim, the cells get this stamp if they are not as assumed.
    pub(crate) fn call(&self, gateway: &str, claim: Option<&Stamp>) -> Call {
        let mut call = Call::default();
        for Changing { key, known, changed } in &self.cells {
            let new = known.cell.as_ref().ok().filter(|_| *changed);
            let stored_ms = new.and_then(|cell| cell.idle_at()).map(|idle_at| {
                // Not longer than the integers of the server, which adds its own clock.
                idle_at.millis_since(self.now).saturating_add(CLOCKS_DIFFER_MAX_MS).min(i64::MAX as u64 / 4)
            });
            let value = new.map(|cell| self.stamp.value_of(cell));
            call.add(key_of(gateway, key), known.stamp.as_bytes(), value, stored_ms);
        }
        call.arguments.push(claim.map(|claim| claim.as_bytes().to_vec()).unwrap_or_default());
        call
    }

    /// The cells after the answer: as they were computed, or as the server has them.
    pub(crate) fn after(self, reply: &Reply) -> Vec<(CellKey, Known)> {
        let stamp = self.stamp;
        let swapped = |changing: Changing| {
            let stamp = if changing.changed { stamp.clone() } else { changing.known.stamp };
            (changing.key, Known { stamp, cell: changing.known.cell })
        };
        match reply {
            Reply::Swapped => self.cells.into_iter().map(swapped).collect(),
            Reply::Current(values) => {
                let keys = self.cells.into_iter().map(|changing| changing.key);
                keys.zip(values).map(|(key, value)| (key, Known::read(value.as_deref()))).collect()
            }
        }
    }
}

/// For how long a value is kept beyond the time at which its cell is idle by the clock of the gateway that writes it: other
/// gateways may be behind by this much (core counts as if they were not).
///
/// The time is relative, so that the clock of the server has no influence.
const CLOCKS_DIFFER_MAX_MS: u64 = 300_000;
