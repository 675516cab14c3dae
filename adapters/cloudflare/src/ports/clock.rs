use std::cell::RefCell;

use tollgate_core::time::{ForwardSteps, MonotonicInstant, Timestamp};
use tollgate_edge::ports::{Clock, Entropy};

use crate::content::to_number;
use crate::task::{elapsed, now_ms};

/// `Date` and timers. As in every Worker, the time advances only with I/O.
///
/// The monotonic clock is the sum of the forward steps of `Date.now()` that this isolate has observed. It does not
/// include time without I/O, so such time cannot be measured here.
#[derive(Clone, Copy, Debug)]
pub struct WorkerClock;

impl Clock for WorkerClock {
    fn now(&self) -> Timestamp {
        timestamp(now_ms())
    }

    fn instant(&self) -> MonotonicInstant {
        STEPS.with_borrow_mut(|steps| steps.read(self.now().as_micros()))
    }

    async fn sleep(&self, ms: u64) {
        elapsed(to_number(ms)).await;
    }
}

thread_local! {
    static STEPS: RefCell<ForwardSteps> = const { RefCell::new(ForwardSteps::new()) };
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], given: POOL_BYTES }) };
}

/// `crypto.getRandomValues`, called for several requests at once.
#[derive(Clone, Copy, Debug)]
pub struct WorkerEntropy;

impl Entropy for WorkerEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        POOL.with_borrow_mut(|pool| pool.fill(buffer, fill));
    }
}

fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("every Worker has crypto.getRandomValues");
}

/// Random bytes, each given out once.
struct Pool {
    bytes: [u8; POOL_BYTES],
    given: usize,
}

/// About twenty requests; the platform fills it in the time that it needs for one.
const POOL_BYTES: usize = 1024;

impl Pool {
    fn fill(&mut self, buffer: &mut [u8], fill: impl Fn(&mut [u8])) {
        if buffer.len() > POOL_BYTES {
            return fill(buffer);
        }
        if buffer.len() > POOL_BYTES - self.given {
            fill(&mut self.bytes);
            self.given = 0;
        }
        let next = &mut self.bytes[self.given..self.given + buffer.len()];
        buffer.copy_from_slice(next);
        // What was given out may be a secret.
        next.fill(0);
        self.given += buffer.len();
    }
}

/// The instant of a JavaScript time value.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates at the range of u64"
)]
pub(crate) fn timestamp(ms: f64) -> Timestamp {
    Timestamp::from_millis(ms as u64)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_random_byte_is_given_out_once() {
        let fills = Cell::new(0);
        // Each byte of a filled pool has another value than those before and behind it, and none is zero.
        let fill = |bytes: &mut [u8]| {
            fills.set(fills.get() + 1);
            bytes.iter_mut().zip((1..=251).cycle()).for_each(|(byte, value)| *byte = value);
        };
        let mut pool = Pool { bytes: [0; POOL_BYTES], given: POOL_BYTES };
        let mut given = Vec::new();
        for length in [16, 0, 500, 508, 1] {
            let mut buffer = vec![0; length];
            pool.fill(&mut buffer, fill);
            given.extend(buffer);
        }
        assert_eq!(fills.get(), 2, "the last byte is from another pool");
        let mut filled = vec![0; POOL_BYTES];
        fill(&mut filled);
        assert_eq!(given[..POOL_BYTES], filled);
        assert_eq!((given[POOL_BYTES], pool.bytes[0]), (1, 0));
        let mut large = vec![0; POOL_BYTES + 1];
        pool.fill(&mut large, fill);
        assert!(large.iter().all(|byte| *byte != 0));
    }
}
