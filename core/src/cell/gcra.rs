//! The generic cell rate algorithm, in nanoseconds.
//!
//! A quota is stored as one instant, the theoretical arrival time (TAT): when it would be fully available again. A
//! charge moves the instant forward, and is refused if it would then be further in the future than the burst allows.
//! There is no window boundary at which twice the burst could pass, and a refusal contains the earliest instant at
//! which the same charge would pass.
//!
//! Spaced operations are counted in the same way: the burst is then what may wait, and an operation waits until the instant
//! that it found.

use std::num::NonZeroU32;

use minicbor::Encode;

use super::charge::{Algorithm, Charge, Verdict};
use crate::codec::Decode;

/// The state of a limit that is one instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// When it is fully available again, in nanoseconds.
    pub(super) tat_ns: u64,
    /// The pace of the charges that it is made of; unknown of a state that was stored before paces were.
    pub(super) pace: Option<Pace>,
}

/// How fast a limit becomes available again.
///
/// A consumer whose plan changes, and a project whose limit changes, charge one state at another pace than before. The cost that is
/// charged is then kept, not the time that it would have taken: it becomes available again at the old pace until the next charge, and at the new
/// one from then on. The paces of one consumer's keys may alternate, so a conversion is the same forth and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Pace {
    #[n(0)]
    rate: NonZeroU32,
    #[n(1)]
    period_ms: NonZeroU32,
}

impl Pace {
    /// What takes so long at this pace, as time at another one.
    pub(super) fn converted(self, ns: u64, to: Self, up: bool) -> u64 {
        let factor = |one: NonZeroU32, other: NonZeroU32| u64::from(one.get()) * u64::from(other.get());
        let (over, by) = (factor(self.rate, to.period_ms), factor(self.period_ms, to.rate));
        let value = u128::from(ns).saturating_mul(u128::from(over));
        let value = if up { value.saturating_add(u128::from(by) - 1) } else { value };
        u64::try_from(divided(value, by)).unwrap_or(u64::MAX).min(LONGEST_NS)
    }
}

/// The effect that a charge would have on a limit whose state is one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shift {
    pub(super) allowed: bool,
    /// The state before the charge.
    pub(super) before: Level,
    /// The same at the pace of the charge.
    pub(super) old_tat_ns: u64,
    /// The state after the charge.
    pub(super) new_tat_ns: u64,
}

impl Shift {
    /// The pace at which the limit was charged before, if the charge has another one.
    pub(super) fn pace_before(&self, charge: &Charge) -> Option<Pace> {
        self.before.pace.filter(|pace| *pace != charge.pace())
    }
}

impl Charge {
    pub(super) const fn pace(&self) -> Pace {
        Pace { rate: self.rate, period_ms: self.period_ms }
    }

    /// The effect of the charge on a limit.
    pub(super) fn shift(&self, before: Level, now_ns: u64) -> Shift {
        // May be further in the future than this burst allows, if the quota was charged under a higher limit. It is not
        // reduced: one consumer may have keys of two plans, and using the smaller plan must not reset the larger one.
        let ahead_ns = before.tat_ns.saturating_sub(now_ns);
        let ahead_ns = match before.pace {
            Some(pace) if pace != self.pace() => pace.converted(ahead_ns, self.pace(), true),
            _ => ahead_ns,
        };
        let old_tat_ns = now_ns.saturating_add(ahead_ns);
        let new_tat_ns = old_tat_ns.saturating_add(self.increment_ns());
        let allowed = self.cost <= self.burst && new_tat_ns - now_ns <= self.capacity_ns();
        Shift { allowed, before, old_tat_ns, new_tat_ns }
    }

    /// The limit's verdict on the charge, which was `applied` or not.
    pub(super) fn instant_verdict(&self, shift: &Shift, applied: bool, now_ns: u64) -> Verdict {
        let tat_ns = if applied { shift.new_tat_ns } else { shift.old_tat_ns };
        let ahead_ns = tat_ns.saturating_sub(now_ns);
        let until_full_ns = if applied { ahead_ns } else { shift.before.tat_ns.saturating_sub(now_ns) };
        let retry_after_us = if shift.allowed {
            Some(0)
        } else if self.cost > self.burst {
            None
        } else {
            Some(self.passes_after_ns(shift, now_ns).div_ceil(NANOS_PER_US))
        };
        Verdict {
            allowed: shift.allowed,
            remaining: self.units(self.capacity_ns().saturating_sub(ahead_ns)),
            reset_us: until_full_ns.div_ceil(NANOS_PER_US),
            retry_after_us,
            wait_us: self.wait_us(shift, now_ns),
            leased: None,
            reached: None,
        }
    }

    /// When a charge that is refused would pass: when enough has become available again, at the pace of what was charged.
    fn passes_after_ns(&self, shift: &Shift, now_ns: u64) -> u64 {
        let room_ns = self.capacity_ns().saturating_sub(self.increment_ns());
        match shift.pace_before(self) {
            None => (shift.old_tat_ns - now_ns).saturating_sub(room_ns),
            Some(pace) => {
                let room_ns = self.pace().converted(room_ns, pace, false);
                shift.before.tat_ns.saturating_sub(now_ns).saturating_sub(room_ns)
            }
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

    pub(super) fn cost_ns(&self, cost: u32) -> u64 {
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

/// The furthest that a conversion goes: instants stay sums of 64 bits.
const LONGEST_NS: u64 = u64::MAX / 4;
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
