//! Failed authentications: how many are answered and logged one by one.

use crate::time::MonotonicInstant;

/// Recent failed authentications in one isolate.
///
/// A caller with a bound token is never refused because of the failures of others. Only the cost of failures is
/// bounded: log lines, and responses with a challenge. The length of tokens makes guessing infeasible.
#[derive(Clone, Debug, Default)]
pub struct FailedAttempts {
    since: Option<MonotonicInstant>,
    count: u32,
    unlogged: u64,
}

/// How one more failure is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureHandling {
    /// It is logged, with the number of earlier ones that were not.
    Logged {
        /// Failures since the last logged one that were not logged.
        unlogged: u64,
    },
    /// There were too many: it is answered with 429 and not logged.
    TooMany {
        /// Seconds until failures are logged again.
        retry_after_s: u64,
    },
}

impl FailedAttempts {
    /// Counts one more failure.
    pub fn record(&mut self, now: MonotonicInstant) -> FailureHandling {
        let since = match self.since {
            Some(since) if now.millis_since(since) < WINDOW_MS => since,
            Some(_) | None => {
                (self.since, self.count) = (Some(now), 0);
                now
            }
        };
        if self.count >= FAILURES_MAX {
            self.unlogged = self.unlogged.saturating_add(1);
            let left = WINDOW_MS.saturating_sub(now.millis_since(since));
            return FailureHandling::TooMany { retry_after_s: left.div_ceil(1000).max(1) };
        }
        self.count += 1;
        FailureHandling::Logged { unlogged: std::mem::take(&mut self.unlogged) }
    }
}

/// Failures per minute that are logged individually: a person who mistypes a token and a program with an old one cause
/// fewer.
const FAILURES_MAX: u32 = 20;
const WINDOW_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn failures_beyond_the_bound_are_counted_and_reported_with_the_next_line() {
        let at = |ms| MonotonicInstant::default().plus_millis(ms);
        let mut attempts = FailedAttempts::default();
        for n in 0..u64::from(FAILURES_MAX) {
            assert_eq!(attempts.record(at(n)), FailureHandling::Logged { unlogged: 0 });
        }
        assert_eq!(attempts.record(at(10_000)), FailureHandling::TooMany { retry_after_s: 50 });
        assert_eq!(attempts.record(at(59_999)), FailureHandling::TooMany { retry_after_s: 1 });
        assert_eq!(attempts.record(at(60_000)), FailureHandling::Logged { unlogged: 2 });
    }
}
