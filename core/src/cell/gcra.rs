//! The generic cell rate algorithm, in nanoseconds.
//!
//! A quota is stored as one instant, the theoretical arrival time (TAT): when it would be fully available again. A
//! charge moves the instant forward, and is refused if it would then be further in the future than the burst allows.
//! There is no window boundary at which twice the burst could pass, and a refusal contains the earliest instant at
//! which the same charge would pass.

use std::num::NonZeroU32;

use crate::codec::Decode;
use minicbor::Encode;

use crate::policy_name::PolicyName;

/// One charge against one quota.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Gcra {
    /// The quota's name within the cell.
    #[n(0)]
    pub quota: PolicyName,
    /// Charges of cost 1 that become available again within `period_ms`.
    #[n(1)]
    pub rate: NonZeroU32,
    /// The period of `rate`, in milliseconds.
    #[n(2)]
    pub period_ms: NonZeroU32,
    /// The maximum that can be charged at once.
    #[n(3)]
    pub burst: NonZeroU32,
    /// The cost of this operation.
    #[n(4)]
    pub cost: NonZeroU32,
}

/// The state of one quota after a charge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Verdict {
    /// Whether this quota allows the charge.
    #[n(0)]
    pub allowed: bool,
    /// Cost that could still be charged at once.
    #[n(1)]
    pub remaining: u32,
    /// Microseconds until the quota is fully available again.
    #[n(2)]
    pub reset_us: u64,
    /// Microseconds until the same charge would pass; 0 if allowed; `None` if it never can (cost above burst).
    #[n(3)]
    pub retry_after_us: Option<u64>,
}

impl Verdict {
    /// The same if time passes only after this delay.
    pub(super) fn later_by(self, us: u64) -> Self {
        let later = |wait_us: u64| if wait_us == 0 { 0 } else { wait_us.saturating_add(us) };
        Self { reset_us: later(self.reset_us), retry_after_us: self.retry_after_us.map(later), ..self }
    }
}

/// The effect that a charge would have on a quota.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) allowed: bool,
    pub(super) old_tat_ns: u64,
    pub(super) new_tat_ns: u64,
}

impl Gcra {
    /// The effect of the charge on a quota that is fully available again at `tat_ns`.
    pub(super) fn charge(&self, tat_ns: u64, now_ns: u64) -> Move {
        // May be further in the future than this burst allows, if the quota was charged under a higher limit. It is not
        // reduced: one consumer may have keys of two plans, and using the smaller plan must not reset the larger one.
        let old_tat_ns = tat_ns.max(now_ns);
        let new_tat_ns = old_tat_ns.saturating_add(self.increment_ns());
        let allowed = self.cost <= self.burst && new_tat_ns - now_ns <= self.capacity_ns();
        Move { allowed, old_tat_ns, new_tat_ns }
    }

    /// The quota's verdict on the charge; `tat_ns` is its state after the charge.
    pub(super) fn verdict(&self, charge: &Move, tat_ns: u64, now_ns: u64) -> Verdict {
        let ahead_ns = tat_ns.saturating_sub(now_ns);
        let retry_after_us = if charge.allowed {
            Some(0)
        } else if self.cost > self.burst {
            None
        } else {
            Some((charge.new_tat_ns - now_ns).saturating_sub(self.capacity_ns()).div_ceil(NANOS_PER_US))
        };
        Verdict {
            allowed: charge.allowed,
            remaining: self.units(self.capacity_ns().saturating_sub(ahead_ns)),
            reset_us: ahead_ns.div_ceil(NANOS_PER_US),
            retry_after_us,
        }
    }

    /// Microseconds until the quota would allow the same charge once more, with what it said when it took effect.
    #[must_use]
    pub fn again_us(&self, said: &Verdict) -> u64 {
        let ahead_ns = said.reset_us.saturating_mul(NANOS_PER_US).saturating_add(self.increment_ns());
        ahead_ns.saturating_sub(self.capacity_ns()).div_ceil(NANOS_PER_US)
    }

    /// The verdict as it is after a refund of the charge that it was made for.
    #[must_use]
    pub fn refunded(&self, said: &Verdict) -> Verdict {
        let ahead_ns = said.reset_us.saturating_mul(NANOS_PER_US).saturating_sub(self.increment_ns());
        let remaining = said.remaining.saturating_add(self.cost.get()).min(self.burst.get());
        Verdict { remaining, reset_us: ahead_ns.div_ceil(NANOS_PER_US), ..said.clone() }
    }

    /// How far the charge moves the theoretical arrival time.
    fn increment_ns(&self) -> u64 {
        self.cost_ns(self.cost.get())
    }

    fn capacity_ns(&self) -> u64 {
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
fn divided(value: u128, by: u64) -> u128 {
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
