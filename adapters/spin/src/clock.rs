//! The host's clocks, which are asked once in a turn.
//!
//! A turn is what an instance does without waiting: microseconds, in which a request would ask ten times. Each poll of
//! [`in_turns`] begins one, and so does a call that blocks the instance.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};
use tollgate_core::time::{MonotonicInstant, Timestamp};
use tollgate_edge::ports::Clock;

thread_local! {
    /// The clocks in this turn, as far as they were read; absent outside of turns.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

#[derive(Clone, Copy, Default)]
struct Turn {
    nanos: Option<u64>,
    /// The wall clock, and the monotonic clock at that moment.
    wall: Option<(Timestamp, u64)>,
}

/// Runs a future whose polls are turns.
pub(crate) async fn in_turns<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|context| {
        TURN.set(Some(Turn::default()));
        let poll = future.as_mut().poll(context);
        TURN.set(None);
        poll
    })
    .await
}

/// Nanoseconds of the monotonic clock: in this turn when it was first read, or after the last call that blocked the instance.
pub(crate) fn nanos() -> u64 {
    TURN.get().and_then(|turn| turn.nanos).unwrap_or_else(nanos_after_call)
}

/// Nanoseconds of the monotonic clock after a call that blocked the instance.
pub(crate) fn nanos_after_call() -> u64 {
    let nanos = monotonic_clock::now();
    TURN.set(TURN.get().map(|turn| Turn { nanos: Some(nanos), ..turn }));
    nanos
}

/// The host's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SpinClock;

impl Clock for SpinClock {
    fn now(&self) -> Timestamp {
        if let Some((wall, at)) = TURN.get().and_then(|turn| turn.wall) {
            return wall.plus_micros(nanos().saturating_sub(at) / 1_000);
        }
        let instant = system_clock::now();
        let seconds = u64::try_from(instant.seconds).unwrap_or(0);
        let since_epoch = Duration::new(seconds, instant.nanoseconds);
        let wall = Timestamp::from_micros(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX));
        let at = nanos();
        TURN.set(TURN.get().map(|turn| Turn { wall: Some((wall, at)), ..turn }));
        wall
    }

    fn instant(&self) -> MonotonicInstant {
        instant(nanos())
    }

    async fn sleep(&self, ms: u64) {
        monotonic_clock::wait_for(ms.saturating_mul(NANOS_PER_MS)).await;
    }
}

pub(crate) const fn instant(nanos: u64) -> MonotonicInstant {
    MonotonicInstant::from_micros(nanos / 1_000)
}

pub(crate) const NANOS_PER_MS: u64 = 1_000_000;
