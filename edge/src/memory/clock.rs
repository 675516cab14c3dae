use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use tollgate_core::time::{MonotonicInstant, Timestamp};

use crate::ports::{Clock, Entropy};

/// A clock that advances only when a test advances it; sleepers wake at their instant.
///
/// As on a real machine, its wall clock may step back ([`Self::step_back`]) while its monotonic clock continues.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    now: Cell<Timestamp>,
    instant: Cell<MonotonicInstant>,
    sleepers: RefCell<Vec<Sleeper>>,
    /// The number of sleeps so far, which identifies each.
    sleeps: Cell<u64>,
}

#[derive(Debug)]
struct Sleeper {
    id: u64,
    until: MonotonicInstant,
    waker: Waker,
}

impl VirtualClock {
    /// A clock at an instant.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let clock = Self::default();
        clock.0.now.set(now);
        clock
    }

    /// Moves both clocks forward by milliseconds.
    pub fn advance(&self, ms: u64) {
        self.advance_micros(ms.saturating_mul(1_000));
    }

    /// Moves both clocks forward by microseconds.
    pub fn advance_micros(&self, us: u64) {
        self.0.now.set(self.0.now.get().plus_micros(us));
        self.0.instant.set(self.0.instant.get().plus_micros(us));
        self.wake();
    }

    /// Moves both clocks forward until the wall clock shows a time; has no effect if that has passed.
    pub fn advance_to(&self, time: Timestamp) {
        self.advance_micros(time.micros_since(self.0.now.get()));
    }

    /// Sets the wall clock back, like a correction by a time server; the monotonic clock does not change.
    pub fn step_back(&self, ms: u64) {
        self.0.now.set(self.0.now.get().minus_millis(ms));
    }

    /// Runs a future to completion; whenever all of it waits, the clock advances to the instant of the next sleeper.
    ///
    /// So tests of timeouts take no time. `None` if the future waits for anything else than this clock.
    pub fn drive<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            if !woken.0.swap(false, Ordering::Relaxed) {
                self.advance_micros(self.next()?.micros_since(self.instant()));
            }
        }
    }

    /// The next instant that a sleeper waits for; one that slept past its time belongs to a future that is not run any more.
    fn next(&self) -> Option<MonotonicInstant> {
        let now = self.instant();
        self.0.sleepers.borrow().iter().map(|sleeper| sleeper.until).filter(|until| *until > now).min()
    }

    fn wake(&self) {
        // Removed first: a waker may run code that sleeps again.
        let wakers: Vec<Waker> = self.0.sleepers.borrow().iter().map(|sleeper| sleeper.waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn put_to_sleep(&self, id: u64, until: MonotonicInstant, waker: &Waker) {
        let mut sleepers = self.0.sleepers.borrow_mut();
        match sleepers.iter_mut().find(|sleeper| sleeper.id == id) {
            Some(sleeper) => sleeper.waker.clone_from(waker),
            None => sleepers.push(Sleeper { id, until, waker: waker.clone() }),
        }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.0.now.get()
    }

    fn instant(&self) -> MonotonicInstant {
        self.0.instant.get()
    }

    async fn sleep(&self, ms: u64) {
        let until = self.instant().plus_millis(ms);
        let id = self.0.sleeps.get();
        self.0.sleeps.set(id.wrapping_add(1));
        let _registered = Registered { clock: self, id };
        poll_fn(|context| {
            if self.instant() >= until {
                return Poll::Ready(());
            }
            self.put_to_sleep(id, until, context.waker());
            Poll::Pending
        })
        .await;
    }
}

/// Removes a sleeper when its sleep has ended or was dropped, so that the clock does not advance for it.
struct Registered<'c> {
    clock: &'c VirtualClock,
    id: u64,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.clock.0.sleepers.borrow_mut().retain(|sleeper| sleeper.id != self.id);
    }
}

/// Whether a driven future was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pseudorandom bytes, equal for equal seeds.
#[derive(Clone, Debug)]
pub struct SeededEntropy(Rc<Cell<u64>>);

impl SeededEntropy {
    /// Starts the sequence of a seed.
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::{Either, join, pending, select};

    fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_driven_future_advances_the_clock_as_far_as_it_waits() {
        let clock = VirtualClock::at(at(10));
        let ended = clock.drive(async {
            join(clock.sleep(30), clock.sleep(50)).await;
            clock.sleep(0).await;
            clock.now()
        });
        assert_eq!(ended, Some(at(60)));
    }

    #[test]
    fn a_dropped_sleep_has_no_effect() {
        let clock = VirtualClock::at(at(0));
        let first = clock
            .drive(async { matches!(select(pin!(clock.sleep(5)), pin!(clock.sleep(1_000))).await, Either::Left(_)) });
        assert_eq!((first, clock.now()), (Some(true), at(5)));
        clock.drive(clock.sleep(1));
        assert_eq!(clock.now(), at(6));
    }

    #[test]
    fn a_future_that_never_completes_is_detected() {
        let clock = VirtualClock::at(at(7));
        assert_eq!(clock.drive(pending::<()>()), None);
        assert_eq!(clock.now(), at(7));
    }

    #[test]
    fn a_step_back_of_the_wall_clock_delays_no_sleeper() {
        let clock = VirtualClock::at(at(1_000));
        let before = clock.instant();
        clock.drive(async {
            clock.step_back(900);
            clock.sleep(30).await;
        });
        assert_eq!((clock.now(), clock.instant().millis_since(before)), (at(130), 30));
    }

    #[test]
    fn a_future_that_only_yields_takes_no_time() {
        let clock = VirtualClock::at(at(7));
        let mut yields = 3;
        let ended = clock.drive(poll_fn(|context| {
            yields -= 1;
            context.waker().wake_by_ref();
            if yields == 0 { Poll::Ready(()) } else { Poll::Pending }
        }));
        assert_eq!((ended, clock.now()), (Some(()), at(7)));
    }
}
