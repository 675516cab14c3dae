//! A store whose calls cannot be timed out: after one that failed slowly, the store is left alone for a while.
//!
//! On some platforms a call to a store blocks everything else in the isolate, timers included, so the isolate learns
//! only afterwards how long the call took. If such a store is locked, every call would hold all requests of the isolate
//! again. A slow call that succeeds changes nothing: the store has just answered.

use crate::time::MonotonicInstant;

/// Whether a store may be called, by how long its calls took.
#[derive(Clone, Copy, Debug, Default)]
pub struct SlowStore {
    paused_until: Option<MonotonicInstant>,
}

impl SlowStore {
    /// Whether the store may be called at `now`; otherwise it counts as unavailable.
    #[must_use]
    pub fn may_be_called(&self, now: MonotonicInstant) -> bool {
        self.paused_until.is_none_or(|until| now >= until)
    }

    /// Notes that a call which began at `begun` has ended at `now`.
    pub fn note(&mut self, begun: MonotonicInstant, now: MonotonicInstant, failed: bool) {
        if failed && now.millis_since(begun) >= SLOW_MS {
            self.paused_until = Some(now.plus_millis(PAUSE_MS));
        }
    }
}

/// A working store answers within milliseconds, and an error of a broken one comes at once.
const SLOW_MS: u64 = 1_000;

/// The pause: twice the time for which a locked SQLite file usually holds a call (5 s), so that an isolate spends at
/// most a third of its time waiting for it.
const PAUSE_MS: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn at(ms: u64) -> MonotonicInstant {
        MonotonicInstant::from_micros(ms * 1_000)
    }

    #[track_caller]
    fn check(took_ms: u64, failed: bool, paused: bool) {
        let mut store = SlowStore::default();
        assert!(store.may_be_called(at(0)));
        store.note(at(500), at(500 + took_ms), failed);
        let end = 500 + took_ms;
        assert_eq!(!store.may_be_called(at(end)), paused);
        assert_eq!(!store.may_be_called(at(end + PAUSE_MS - 1)), paused);
        assert!(store.may_be_called(at(end + PAUSE_MS)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_call_that_failed_slowly_pauses_the_store() {
        check(5_000, true, true);
        check(SLOW_MS, true, true);
        check(SLOW_MS - 1, true, false);
        check(5_000, false, false);
        check(0, true, false);
    }
}
