//! The timers of calls.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Timers without a call. One that is used again stays in the runtime's wheel, and only its end is moved.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(Rc<RefCell<Vec<Pin<Box<Sleep>>>>>);

/// The timer of one call, until it is dropped.
#[derive(Debug)]
pub(crate) struct Timer {
    /// Present until it is dropped.
    sleep: Option<Pin<Box<Sleep>>>,
    timers: Timers,
}

impl Timers {
    /// A timer that ends after this time.
    pub(super) fn start(&self, after: Duration) -> Timer {
        let end = Instant::now() + after;
        let unused = self.0.borrow_mut().pop();
        let sleep = match unused {
            Some(mut sleep) => {
                sleep.as_mut().reset(end);
                sleep
            }
            None => Box::pin(sleep_until(end)),
        };
        Timer { sleep: Some(sleep), timers: self.clone() }
    }
}

impl Timer {
    /// When it ends.
    pub(crate) fn end(&self) -> Option<Instant> {
        self.sleep.as_ref().map(|sleep| sleep.deadline())
    }

    /// Whether its end was noticed.
    pub(crate) fn has_ended(&self) -> bool {
        self.sleep.as_ref().is_some_and(|sleep| sleep.is_elapsed())
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut unused = self.timers.0.borrow_mut();
        if unused.len() < UNUSED_MAX {
            unused.extend(self.sleep.take());
        }
    }
}

/// As many calls as one isolate usually makes at once.
const UNUSED_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn a_timer_that_is_used_again_ends_at_its_own_time() {
        let timers = Timers::default();
        for (ms, is_dropped_early) in [(100, false), (5_000, true), (60, false), (60, true), (200, false)] {
            let time = Duration::from_millis(ms);
            let begun = Instant::now();
            let mut timer = timers.start(time);
            let early = tokio::time::timeout(Duration::from_millis(20), poll_fn(|cx| timer.poll(cx)));
            assert!(early.await.is_err(), "{ms}");
            if !is_dropped_early {
                poll_fn(|cx| timer.poll(cx)).await;
                assert!(begun.elapsed() >= time && begun.elapsed() < time * 10 && timer.has_ended(), "{ms}");
            }
        }
        assert_eq!(timers.0.borrow().len(), 1);
    }
}
