use super::{MonotonicInstant, Timestamp};

/// The times that one isolate has seen its wall clock being set back.
///
/// What was dated before such a step is older than the wall clock says. Dates between the time that the clock was set to
/// and the one it was set from can be from before or after the step; they count as from before, so that nothing is taken
/// for younger than it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct SetBack {
    /// The last reading of both clocks.
    last: Option<(Timestamp, MonotonicInstant)>,
    steps: [Step; STEPS_MAX],
}

/// One step; the default is none.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// What the wall clock showed before.
    from: Timestamp,
    ms: u64,
}

impl SetBack {
    /// Takes a reading of both clocks.
    pub fn observe(&mut self, now: Timestamp, instant: MonotonicInstant) {
        if let Some((last, at)) = self.last {
            let from = last.plus_micros(instant.micros_since(at));
            let ms = from.millis_since(now);
            if ms >= STEP_MS_MIN {
                self.add(Step { from, ms });
            }
        }
        self.last = Some((now, instant));
    }

    /// The current time as it concerns something that was dated `at`: later than `now` by what the clock was set back
    /// since.
    #[must_use]
    pub fn since(&self, at: Timestamp, now: Timestamp) -> Timestamp {
        let back = self.steps.iter().filter(|step| step.ms > 0 && at <= step.from).map(|step| step.ms);
        now.plus_millis(back.fold(0, u64::saturating_add))
    }

    /// The latest time that the wall clock has shown, at least `now`.
    #[must_use]
    pub fn latest(&self, now: Timestamp) -> Timestamp {
        self.steps.iter().map(|step| step.from).fold(now, Timestamp::max)
    }

    /// Beyond [`STEPS_MAX`], the two oldest become one: an age may then be overestimated.
    fn add(&mut self, step: Step) {
        let [first, second, ..] = &mut self.steps;
        second.from = second.from.max(first.from);
        second.ms = second.ms.saturating_add(first.ms);
        self.steps.rotate_left(1);
        self.steps[STEPS_MAX - 1] = step;
    }
}

/// Steps that are kept apart; clocks are rarely set back more than once.
const STEPS_MAX: usize = 4;

/// Smaller differences are a pause between the readings of the two clocks, and below the resolution of `Age`.
const STEP_MS_MIN: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn seen(readings: &[(u64, u64)]) -> SetBack {
        readings.iter().fold(SetBack::default(), |mut seen, (wall_ms, instant_ms)| {
            seen.observe(at(*wall_ms), MonotonicInstant::from_micros(*instant_ms * 1_000));
            seen
        })
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_was_dated_before_a_step_back_is_as_old_as_it_would_be_without() {
        // At 110 s the clock is set back by 60 s.
        let seen = seen(&[(100_000, 0), (50_000, 10_000), (55_000, 15_000)]);
        let age_ms = |dated, now| seen.since(at(dated), at(now)).millis_since(at(dated));
        assert_eq!(age_ms(40_000, 55_000), 75_000);
        assert_eq!(age_ms(110_000, 55_000), 5_000);
        assert_eq!(age_ms(51_000, 55_000), 64_000, "it may be from before");
        assert_eq!(age_ms(110_001, 120_000), 9_999, "dated after the clock has caught up");
        assert_eq!((seen.latest(at(55_000)), seen.latest(at(120_000))), (at(110_000), at(120_000)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_clock_that_was_not_set_back_changes_nothing() {
        let seen = seen(&[(100_000, 0), (110_000, 10_500), (900_000, 11_000)]);
        assert_eq!((seen.since(at(5), at(900_000)), seen.latest(at(900_000))), (at(900_000), at(900_000)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn many_steps_never_make_anything_younger() {
        let mut seen = SetBack::default();
        let (mut wall, mut instant) = (1_000_000, 0);
        for n in 0..50 {
            seen.observe(at(wall), MonotonicInstant::from_micros(instant * 1_000));
            let age_ms = seen.since(at(1_000_000), at(wall)).millis_since(at(1_000_000));
            assert!(age_ms >= instant, "{n}: {age_ms} {instant}");
            (wall, instant) = if n % 3 == 0 { (wall - 5_000, instant + 700) } else { (wall + 3_000, instant + 3_000) };
        }
    }
}
