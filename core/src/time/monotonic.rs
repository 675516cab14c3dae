use super::MICROS_PER_MS;

/// A reading of a clock that never steps back, in microseconds since a start that is specific to its isolate.
///
/// For ages and deadlines kept in memory. It is not serializable on purpose: two isolates' readings cannot be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonotonicInstant(u64);

impl MonotonicInstant {
    /// The instant `us` microseconds after the start.
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the start.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// The instant `us` microseconds later, at most the last one there is.
    #[must_use]
    pub const fn plus_micros(self, us: u64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// The instant `ms` milliseconds later, at most the last one there is.
    #[must_use]
    pub const fn plus_millis(self, ms: u64) -> Self {
        self.plus_micros(ms.saturating_mul(MICROS_PER_MS))
    }

    /// Microseconds passed since `earlier`; 0 when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds passed since `earlier`; 0 when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.micros_since(earlier) / MICROS_PER_MS
    }
}

/// A monotonic clock derived from a wall clock: the sum of its forward steps.
///
/// For platforms without a monotonic clock of their own. A step back of the wall clock adds nothing, and the time that
/// passes afterwards counts from there; a step forward counts as time that passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForwardSteps {
    last_us: Option<u64>,
    sum: MonotonicInstant,
}

impl ForwardSteps {
    /// No reading yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { last_us: None, sum: MonotonicInstant(0) }
    }

    /// Takes a reading of the wall clock, in microseconds, and returns the sum of forward steps up to it.
    pub const fn read(&mut self, wall_us: u64) -> MonotonicInstant {
        if let Some(last_us) = self.last_us {
            self.sum = self.sum.plus_micros(wall_us.saturating_sub(last_us));
        }
        self.last_us = Some(wall_us);
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn forward_steps_add_up_and_a_step_back_adds_nothing() {
        let mut steps = ForwardSteps::new();
        let readings = [5_000, 5_000, 5_300, 1_000, 1_200, 2_000_000].map(|us| steps.read(us).as_micros());
        assert_eq!(readings, [0, 0, 300, 300, 500, 1_999_300]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn time_since_a_later_instant_is_none() {
        let (early, late) = (MonotonicInstant::from_micros(10), MonotonicInstant::from_micros(2_510));
        assert_eq!((late.micros_since(early), late.millis_since(early), early.micros_since(late)), (2_500, 2, 0));
        assert_eq!(MonotonicInstant::from_micros(u64::MAX).plus_millis(1).as_micros(), u64::MAX);
    }
}
