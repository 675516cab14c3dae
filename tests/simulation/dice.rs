//! Pseudo-random numbers from a seed.

use std::cell::Cell;
use std::rc::Rc;

/// A pseudo-random sequence that is the same for the same seed; clones share one sequence.
#[derive(Clone, Debug)]
pub(crate) struct Dice(Rc<Cell<u64>>);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rc::new(Cell::new(seed)))
    }

    fn next(&self) -> u64 {
        // SplitMix64.
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True with this probability in percent.
    pub(crate) fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of these, each as likely as the others.
    pub(crate) fn one_of<T: Clone>(&self, all: &[T]) -> T {
        let at = self.below(all.len() as u64);
        all[usize::try_from(at).unwrap_or(0)].clone()
    }
}
