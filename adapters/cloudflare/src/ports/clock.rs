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
}

/// `crypto.getRandomValues`.
#[derive(Clone, Copy, Debug)]
pub struct WorkerEntropy;

impl Entropy for WorkerEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("every Worker has crypto.getRandomValues");
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
