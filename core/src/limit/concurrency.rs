//! The `concurrency` policy: a number of requests at the same time, counted by [`crate::cell::Algorithm::Concurrency`].

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

/// Settings of one `concurrency` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct ConcurrencySettings {
    /// What can be in flight at the same time.
    #[n(0)]
    pub max: NonZeroU32,
    /// For how long a request counts whose end is never told, in milliseconds.
    #[n(1)]
    pub lease_ms: NonZeroU32,
    /// Which requests are counted together.
    #[n(2)]
    pub by: LimitBy,
    /// What happens while the counter store does not answer.
    #[n(3)]
    pub on_unavailable: OnUnavailable,
    /// Other numbers for consumers of a plan, by the plan's name.
    #[serde(default)]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub plans: BTreeMap<String, NonZeroU32>,
    /// What all limits have in common.
    #[serde(default)]
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub counting: Counting,
}

impl codec::Section for ConcurrencySettings {
    /// Version 2 can count by subscription; version 3 has prefixes of addresses, and cookies.
    const VERSION: u16 = 3;

    fn least_version(&self) -> u16 {
        if self.counting.is_priced() {
            Self::VERSION
        } else if self.counting.counts_by_subscription() {
            2
        } else {
            Self::OLDEST
        }
    }
}

impl PolicyKind for ConcurrencySettings {
    fn is_coherent(&self) -> bool {
        let numbers = || self.plans.values().chain([&self.max]).chain(&self.counting.at_most);
        self.plans.len() <= PLANS_MAX
            && numbers().all(|max| max.get() as usize <= ENTRIES_MAX)
            && self.counting.is_coherent()
            && self.counting.cost.is_none()
            // What is counted as in flight is counted before it is.
            && !self.counting.beside
    }

    fn uses(&self) -> Uses<'_> {
        Uses { charge: Some(self.partition()), ends: true, ..Uses::default() }
    }
}

impl Limiter for ConcurrencySettings {
    fn partition(&self) -> Partition<'_> {
        self.counting.partition(self.by)
    }

    fn counting(&self) -> &Counting {
        &self.counting
    }

    /// Each request counts one, whatever its cost.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, _: NonZeroU32, _: Timestamp) -> Charge {
        let max = plan.and_then(|plan| self.plans.get(plan)).copied().unwrap_or(self.max);
        let (period_ms, algorithm) = (self.lease_ms, Some(Algorithm::Concurrency));
        Charge {
            quota: policy.clone(),
            rate: max,
            period_ms,
            burst: max,
            cost: NonZeroU32::MIN,
            algorithm,
            lease: None,
            tells: None,
        }
    }

    fn on_unavailable(&self) -> OnUnavailable {
        self.on_unavailable
    }

    fn own_maximum(&self) -> NonZeroU32 {
        NonZeroU32::MAX
    }

    fn maximum_of_plans(&self) -> Vec<(&str, NonZeroU32)> {
        Vec::new()
    }
}
