//! The generic cell rate algorithm, in nanoseconds.
//!
//! A quota is stored as one instant, the theoretical arrival time (TAT): when it would be fully available again. A
//! charge moves the instant forward, and is refused if it would then be further in the future than the burst allows.
//! There is no window boundary at which twice the burst could pass, and a refusal contains the earliest instant at
//! which the same charge would pass.
//!
//! Spaced operations are counted in the same way: the burst is then what may wait, and an operation waits until the instant
//! that it found.

use super::charge::{Algorithm, Charge, Verdict};

/// The effect that a charge would have on a limit whose state is one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub(super) allowed: bool,
    pub(super) old_tat_ns: u64,
    pub(super) new_tat_ns: u64,
}

impl Charge {
    /// The effect of the charge on a quota that is fully available again at `tat_ns`.
    pub(super) fn shift(&self, tat_ns: u64, now_ns: u64) -> Shift {
        // May be further in the future than this burst allows, if the quota was charged under a higher limit. It is not
        // reduced: one consumer may have keys of two plans, and using the smaller plan must not reset the larger one.
        let old_tat_ns = tat_ns.max(now_ns);
        let new_tat_ns = old_tat_ns.saturating_add(self.increment_ns());
        let allowed = self.cost <= self.burst && new_tat_ns - now_ns <= self.capacity_ns();
        Shift { allowed, old_tat_ns, new_tat_ns }
    }

    /// The quota's verdict on the charge; `tat_ns` is its state after the charge.
    pub(super) fn instant_verdict(&self, shift: &Shift, tat_ns: u64, now_ns: u64) -> Verdict {
        let ahead_ns = tat_ns.saturating_sub(now_ns);
        let retry_after_us = if shift.allowed {
            Some(0)
        } else if self.cost > self.burst {
            None
        } else {
            Some((shift.new_tat_ns - now_ns).saturating_sub(self.capacity_ns()).div_ceil(NANOS_PER_US))
        };
        Verdict {
            allowed: shift.allowed,
            remaining: self.units(self.capacity_ns().saturating_sub(ahead_ns)),
            reset_us: ahead_ns.div_ceil(NANOS_PER_US),
            retry_after_us,
            wait_us: self.wait_us(shift, now_ns),
        }
    }

    /// For how long an operation waits for those before it, if they are spaced.
    fn wait_us(&self, shift: &Shift, now_ns: u64) -> Option<u64> {
        let is_spaced = matches!(self.algorithm, Some(Algorithm::Spacing)) && shift.allowed;
        is_spaced.then(|| (shift.old_tat_ns - now_ns).div_ceil(NANOS_PER_US)).filter(|us| *us > 0)
    }

    /// How far the charge moves the theoretical arrival time.
    pub(super) fn increment_ns(&self) -> u64 {
        self.cost_ns(self.cost.get())
    }

    pub(super) fn capacity_ns(&self) -> u64 {
        self.cost_ns(self.burst.get())
    }

    fn cost_ns(&self, cost: u32) -> u64 {
        // u32 x u32 x 10^6 fits in u128; at least one nanosecond, so that every charge counts.
        let ns = divided(u128::from(self.period_ns()) * u128::from(cost), self.rate.get().into());
        u64::try_from(ns.max(1)).unwrap_or(u64::MAX / 4)
    }

    /// The largest cost that takes no longer than this: the inverse of `cost_ns`, which rounds down.
    fn units(&self, ns: u64) -> u32 {
        let rate = u128::from(self.rate.get());
        let units = divided((u128::from(ns) + 1) * rate - 1, self.period_ns());
        u32::try_from(units).unwrap_or(u32::MAX).min(self.burst.get())
    }

    fn period_ns(&self) -> u64 {
        u64::from(self.period_ms.get()) * NANOS_PER_MS
    }
}

/// The quotient, in 64 bits where these suffice: wasm has no wider division, and a charge divides five times.
pub(super) fn divided(value: u128, by: u64) -> u128 {
    u64::try_from(value).map_or_else(|_| value / u128::from(by), |value| u128::from(value / by))
}

pub(super) const NANOS_PER_US: u64 = 1_000;
const NANOS_PER_MS: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_narrow_division_has_the_quotient_of_a_wide_one(value in any::<u128>(), shift in 0_u32..128, by in 1..u64::MAX) {
            for value in [value >> shift, u128::from(u64::MAX), u128::from(u64::MAX) + 1] {
                prop_assert_eq!(divided(value, by), value / u128::from(by));
            }
        }
    }
}
