use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use tollgate_core::time::Timestamp;

use crate::ports::{Clock, Entropy};

/// A clock that moves only when told to; sleepers wake when their time has come.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    now: Cell<Timestamp>,
    sleepers: RefCell<Vec<Waker>>,
}

impl VirtualClock {
    /// A clock that stands at an instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.0.now.set(now);
        clock
    }

    /// Moves the clock forward.
    pub fn advance(&self, ms: u64) {
        self.0.now.set(self.0.now.get().plus_millis(ms));
        for sleeper in self.0.sleepers.borrow_mut().drain(..) {
            sleeper.wake();
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.now.get()
    }

    async fn sleep(&self, ms: u64) {
        let until = self.now().plus_millis(ms);
        poll_fn(|context| {
            if self.now() >= until {
                return Poll::Ready(());
            }
            self.0.sleepers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Bytes that look random and are the same for the same seed.
#[derive(Clone, Debug)]
pub struct SeededEntropy(Rc<Cell<u64>>);

impl SeededEntropy {
    /// Begins the sequence of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Rc::new(Cell::new(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            // SplitMix64.
            let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            self.0.set(state);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let bytes = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}
