//! The budget of an analysis: an analysis that takes too long is aborted, and its result is unknown.

use std::cell::Cell;

/// The number of remaining steps.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

/// The budget is exhausted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl Budget {
    pub(super) const fn of(steps: usize) -> Self {
        Self(Cell::new(steps))
    }

    pub(super) fn spend(&self, steps: usize) -> Result<(), Spent> {
        let remaining = self.0.get().checked_sub(steps);
        self.0.set(remaining.unwrap_or_default());
        remaining.map(|_| ()).ok_or(Spent)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(STEPS_MAX)
    }
}

/// A step takes about 10 to 100 ns, so this is about a second; projects with 100,000 routes need a tenth of it.
const STEPS_MAX: usize = 20_000_000;
