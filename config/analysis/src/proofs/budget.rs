//! How much work an analysis may take: what costs more than anybody would wait for is given up, and claims nothing.

use std::cell::Cell;

/// Steps that are left.
#[derive(Debug)]
pub(super) struct Budget(Cell<usize>);

/// There are none left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent;

impl Budget {
    pub(super) const fn of(steps: usize) -> Self {
        Self(Cell::new(steps))
    }

    pub(super) fn spend(&self, steps: usize) -> Result<(), Spent> {
        let left = self.0.get().checked_sub(steps);
        self.0.set(left.unwrap_or_default());
        left.map(|_| ()).ok_or(Spent)
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::of(STEPS_MAX)
    }
}

/// A step takes some 10 to 100 ns, so this is about a second; projects of 100,000 routes take a tenth of it.
const STEPS_MAX: usize = 20_000_000;
