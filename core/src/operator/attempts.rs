//! Failed authentications: how many are answered and logged one by one.

use crate::time::MonotonicInstant;

/// Failed authentications that one isolate saw lately.
///
/// A caller with a bound token is never refused because of the failures of others. What is bounded is what failures cost:
/// log lines, and answers that invite to try again. Guessing is bounded by the length of tokens.
#[derive(Clone, Debug, Default)]
pub struct FailedAttempts {
    since: Option<MonotonicInstant>,
    count: u32,
    unlogged: u64,
}

/// What follows from one more failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// It is logged, beside the number of earlier ones that were not.
    Logged {
        /// Failures since the last line that have no line of their own.
        unlogged: u64,
    },
    /// There were too many: it is answered 429 and not logged.
    TooMany {
        /// Seconds until failures are answered one by one again.
        retry_after_s: u64,
    },
}

impl FailedAttempts {
    /// Takes one more failure into account.
    pub fn note(&mut self, now: MonotonicInstant) -> Noted {
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
            return Noted::TooMany { retry_after_s: left.div_ceil(1000).max(1) };
        }
        self.count += 1;
        Noted::Logged { unlogged: std::mem::take(&mut self.unlogged) }
    }
}

/// Failures answered one by one in a minute: a person who mistypes a token and a machine with an old one need fewer.
const FAILURES_MAX: u32 = 20;
const WINDOW_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn past_the_bound_failures_are_counted_and_told_with_the_next_line() {
        let at = |ms| MonotonicInstant::default().plus_millis(ms);
        let mut attempts = FailedAttempts::default();
        for n in 0..u64::from(FAILURES_MAX) {
            assert_eq!(attempts.note(at(n)), Noted::Logged { unlogged: 0 });
        }
        assert_eq!(attempts.note(at(10_000)), Noted::TooMany { retry_after_s: 50 });
        assert_eq!(attempts.note(at(59_999)), Noted::TooMany { retry_after_s: 1 });
        assert_eq!(attempts.note(at(60_000)), Noted::Logged { unlogged: 2 });
    }
}
