use super::FetchAnswer;
use crate::bounds::CLOCK_SKEW_MS;
use crate::time::Timestamp;

/// How long fetched answers are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// How long an answer is fresh, in milliseconds.
    pub fresh_ms: u64,
    /// How long after that it is stale: used while a newer one is fetched after the reply, in milliseconds.
    pub stale_ms: u64,
    /// How long a failure is cached, without a further attempt, in milliseconds.
    pub negative_ms: u64,
}

/// Whether and how a cached answer may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may be used.
    Fresh,
    /// It may be used, and is fetched again after the reply.
    Stale,
    /// It must not be used.
    Gone,
}

impl Lifetimes {
    /// The freshness of an answer that was fetched `age_us` microseconds ago.
    #[must_use]
    pub const fn of_answer(&self, age_us: u64) -> Freshness {
        let age_ms = age_us / 1_000;
        if age_ms < self.fresh_ms {
            Freshness::Fresh
        } else if age_ms < self.usable_ms() {
            Freshness::Stale
        } else {
            Freshness::Gone
        }
    }

    /// The freshness of a failure of `age_us` microseconds ago; it is never stale.
    #[must_use]
    pub const fn of_failure(&self, age_us: u64) -> Freshness {
        if age_us / 1_000 < self.negative_ms { Freshness::Fresh } else { Freshness::Gone }
    }

    /// The age of an answer that another isolate fetched; `None` if its clock cannot be trusted.
    ///
    /// An answer from further in the future than the clock skew would be used for too long.
    #[must_use]
    pub fn age_us(&self, fetched_at: Timestamp, now: Timestamp) -> Option<u64> {
        (fetched_at <= now.plus_millis(CLOCK_SKEW_MS)).then(|| now.micros_since(fetched_at))
    }

    /// Whether an answer is cached for its full time; any other status is cached like a failure.
    #[must_use]
    pub fn is_success(answer: &FetchAnswer) -> bool {
        answer.status.is_success()
    }

    /// The total time for which an answer may be used, in milliseconds.
    #[must_use]
    pub const fn usable_ms(&self) -> u64 {
        self.fresh_ms.saturating_add(self.stale_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 10, stale_ms: 5, negative_ms: 2 };

    #[wasm_bindgen_test(unsupported = test)]
    fn answers_become_stale_and_failures_do_not() {
        let answers = [9_999, 10_000, 14_999, 15_000].map(|us| LIFETIMES.of_answer(us));
        assert_eq!(answers, [Freshness::Fresh, Freshness::Stale, Freshness::Stale, Freshness::Gone]);
        let failures = [1_999, 2_000].map(|us| LIFETIMES.of_failure(us));
        assert_eq!(failures, [Freshness::Fresh, Freshness::Gone]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_answer_from_the_future_is_not_trusted() {
        let now = Timestamp::from_millis(1_000_000);
        let age = |fetched_at| LIFETIMES.age_us(fetched_at, now);
        assert_eq!(age(now.minus_millis(3)), Some(3_000));
        assert_eq!(age(now.plus_millis(CLOCK_SKEW_MS)), Some(0));
        assert_eq!(age(now.plus_millis(CLOCK_SKEW_MS + 1)), None);
    }
}
