use std::cell::{Cell as Value, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tollgate_core::cell::{Cell, CellError, CellKey, Outcome, Update};
use tollgate_core::time::Timestamp;

use super::{Fault, VirtualClock};
use crate::ports::{Clock, CounterFault, Counters, Unavailable};

/// Cells in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCounters {
    cells: Rc<RefCell<HashMap<CellKey, Cell>>>,
    clock: VirtualClock,
    /// Makes updates fail before they take effect.
    pub fault: Fault,
    /// The other ways in which updates fail.
    pub faults: CounterFaults,
    /// Gives each cell a separate owner; otherwise all cells have one owner.
    pub apart: Fault,
    /// Has isolates take permits ahead where a limit says so; otherwise all limits are exact.
    pub far: Fault,
    calls: Rc<Value<u32>>,
}

/// Switches for the faults of cell stores.
#[derive(Clone, Debug, Default)]
pub struct CounterFaults {
    /// Other writers keep changing every cell.
    pub contended: Fault,
    /// The store is full.
    pub full: Fault,
    /// Every update takes effect, but its answer is lost.
    pub answers_lost: Fault,
    replacements: Rc<Value<u32>>,
    unreadable: Rc<Value<Option<CellError>>>,
    late_ms: Rc<Value<u64>>,
}

impl CounterFaults {
    /// Answers are delayed by this time; the updates take effect before.
    pub fn answer_after(&self, ms: u64) {
        self.late_ms.set(ms);
    }

    /// No existing state can be read, for this reason.
    pub fn unreadable(&self, reason: Option<CellError>) {
        self.unreadable.set(reason);
    }

    /// So many updates find that their owner is replaced once they have taken effect.
    pub fn replace_owners(&self, updates: u32) {
        self.replacements.set(updates);
    }

    fn check(&self, cells: &HashMap<CellKey, Cell>, update: &Update) -> Result<(), CounterFault> {
        if self.contended.is_on() {
            return Err(CounterFault::Contended);
        }
        let is_known = |key: &CellKey| cells.contains_key(key);
        if self.full.is_on() && !update.cells.iter().all(|part| is_known(&part.cell)) {
            return Err(CounterFault::Full);
        }
        match self.unreadable.get() {
            Some(reason) if update.cells.iter().any(|part| is_known(&part.cell)) => Err(reason.into()),
            Some(_) | None => Ok(()),
        }
    }
}

impl MemoryCounters {
    /// An empty store, which uses this clock to delay answers.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// How many updates were sent.
    #[must_use]
    pub fn calls(&self) -> u32 {
        self.calls.get()
    }

    fn apply(&self, update: &Update, now: Timestamp) -> Result<Outcome, CellError> {
        let mut cells = self.cells.borrow_mut();
        let mut plans = Vec::with_capacity(update.cells.len());
        for part in &update.cells {
            let cell = cells.entry(part.cell.clone()).or_default();
            plans.push(cell.plan(update.terms, &part.operations, now)?);
        }
        let granted = plans.iter().all(tollgate_core::cell::Plan::granted);
        let mut outcome = Outcome { granted, replies: Vec::with_capacity(plans.len()) };
        for (part, plan) in update.cells.iter().zip(&plans) {
            if let Some(cell) = cells.get_mut(&part.cell) {
                cell.commit(plan, granted, &mut outcome.replies);
            }
        }
        Ok(outcome)
    }
}

impl Counters for MemoryCounters {
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        one == other || !self.apart.is_on()
    }

    fn is_near(&self) -> bool {
        !self.far.is_on()
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        self.calls.set(self.calls.get() + 1);
        self.fault.check("the counter store").map_err(CounterFault::NotAsked)?;
        self.faults.check(&self.cells.borrow(), update)?;
        let outcome = self.apply(update, now)?;
        let late_ms = self.faults.late_ms.get();
        if late_ms > 0 {
            self.clock.sleep(late_ms).await;
        }
        if let Some(left) = self.faults.replacements.get().checked_sub(1) {
            self.faults.replacements.set(left);
            return Err(CounterFault::Interrupted(Unavailable::new("the owner of the cells was replaced")));
        }
        self.faults.answers_lost.check("the way back from the counter store")?;
        Ok(outcome)
    }
}
