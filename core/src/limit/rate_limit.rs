//! The `rate-limit` policy: quotas that become available again at a steady rate.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::counting::{Counting, LimitBy, Partition};
use super::{Limiter, OnUnavailable};
use crate::bounds::PLANS_MAX;
use crate::cell::{Algorithm, Charge, ENTRIES_MAX};
use crate::codec::{self, Decode};
use crate::kinds::{PolicyKind, PolicyName, Uses};
use crate::time::Timestamp;

/// Settings of one `rate-limit` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct RateLimitSettings {
    /// Charges of cost 1 that become available again within `period_ms`.
    #[n(0)]
    pub rate: NonZeroU32,
    /// The period of `rate`, in milliseconds.
    #[n(1)]
    pub period_ms: NonZeroU32,
    /// The maximum that can be charged at once when nothing was charged before.
    #[n(2)]
    pub burst: NonZeroU32,
    /// Which requests share a quota.
    #[n(3)]
    pub by: LimitBy,
    /// What happens while the counter store does not answer.
    #[n(4)]
    pub on_unavailable: OnUnavailable,
    /// Different numbers for consumers of a plan, by the plan's name.
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub plans: BTreeMap<String, PlanLimit>,
    /// How requests are counted.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    #[cbor(n(6), skip_if = "codec::is_default")]
    pub algorithm: RateAlgorithm,
    /// What all limits have in common.
    #[serde(default, skip_serializing_if = "codec::is_default")]
    #[cbor(n(7), skip_if = "codec::is_default")]
    pub counting: Counting,
}

/// How the requests of a rate limit are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum RateAlgorithm {
    /// By the generic cell rate algorithm.
    #[default]
    #[n(0)]
    Gcra,
    /// As [`Algorithm::FixedWindow`].
    #[n(1)]
    FixedWindow,
    /// As [`Algorithm::SlidingWindow`].
    #[n(2)]
    SlidingWindow,
    /// As [`Algorithm::SlidingLog`].
    #[n(3)]
    SlidingLog,
    /// As [`Algorithm::Spacing`].
    #[n(4)]
    Spacing,
}

/// Version 2 has limits by installation; version 3 has other algorithms and what all limits have in common; version 4 can count by
/// subscription; version 5 has costs, prefixes of addresses, and cookies.
impl codec::Section for RateLimitSettings {
    const VERSION: u16 = 5;

    fn least_version(&self) -> u16 {
        if self.counting.is_priced() {
            Self::VERSION
        } else if self.counting.counts_by_subscription() {
            4
        } else if self.algorithm != RateAlgorithm::Gcra || !self.counting.can_be_ignored() {
            3
        } else if self.by == LimitBy::Installation {
            2
        } else {
            Self::OLDEST
        }
    }
}

/// The numbers of a plan, which replace the policy's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct PlanLimit {
    /// Charges of cost 1 that become available again within `period_ms`.
    #[n(0)]
    pub rate: NonZeroU32,
    /// The period of `rate`, in milliseconds.
    #[n(1)]
    pub period_ms: NonZeroU32,
    /// The maximum that can be charged at once when nothing was charged before.
    #[n(2)]
    pub burst: NonZeroU32,
}

impl PolicyKind for RateLimitSettings {
    fn is_coherent(&self) -> bool {
        let own = PlanLimit { rate: self.rate, period_ms: self.period_ms, burst: self.burst };
        let is_log = self.algorithm == RateAlgorithm::SlidingLog;
        self.plans.len() <= PLANS_MAX
            && self.counting.is_coherent()
            && self.plans.values().chain([&own]).all(|limit| !is_log || limit.burst.get() as usize <= ENTRIES_MAX)
            && self.counting.at_most.is_none_or(|most| !is_log || most.get() as usize <= ENTRIES_MAX)
            // What is settled later would need a place of its own.
            && !(is_log && self.counting.cost.as_ref().is_some_and(|cost| cost.is_settled()))
            // What waits for its turn is not forwarded before.
            && !(self.counting.beside && self.algorithm == RateAlgorithm::Spacing)
    }

    fn uses(&self) -> Uses<'_> {
        Uses { charge: Some(self.partition()), ..Uses::default() }
    }
}

impl Limiter for RateLimitSettings {
    fn partition(&self) -> Partition<'_> {
        self.counting.partition(self.by)
    }

    fn counting(&self) -> &Counting {
        &self.counting
    }

    /// For a plan that the policy does not list, the policy's own numbers apply. All plans share the quota's name, so a
    /// consumer that changes to another plan keeps its charges.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, cost: NonZeroU32, _: Timestamp) -> Charge {
        let PlanLimit { rate, period_ms, burst } = self.numbers(plan);
        let algorithm = match self.algorithm {
            RateAlgorithm::Gcra => None,
            RateAlgorithm::FixedWindow => Some(Algorithm::FixedWindow),
            RateAlgorithm::SlidingWindow => Some(Algorithm::SlidingWindow),
            RateAlgorithm::SlidingLog => Some(Algorithm::SlidingLog),
            RateAlgorithm::Spacing => Some(Algorithm::Spacing),
        };
        Charge { quota: policy.clone(), rate, period_ms, burst, cost, algorithm, lease: None, tells: None }
    }

    fn on_unavailable(&self) -> OnUnavailable {
        self.on_unavailable
    }

    fn own_maximum(&self) -> NonZeroU32 {
        self.burst
    }

    fn maximum_of_plans(&self) -> Vec<(&str, NonZeroU32)> {
        self.plans.iter().map(|(plan, limit)| (plan.as_str(), limit.burst)).collect()
    }
}

impl RateLimitSettings {
    fn numbers(&self, plan: Option<&str>) -> PlanLimit {
        let Self { rate, period_ms, burst, .. } = *self;
        let of_plan = plan.and_then(|plan| self.plans.get(plan)).copied();
        of_plan.unwrap_or(PlanLimit { rate, period_ms, burst })
    }
}
