//! The `quota` policy: a number of requests in each window of a calendar, counted by [`crate::cell::Algorithm::Calendar`].

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::calendar::Windows;
use super::counting::{Counting, LimitBy, Partition};
use super::{Limiter, OnUnavailable};
use crate::bounds::PLANS_MAX;
use crate::cell::{Algorithm, Charge};
use crate::codec::{self, Decode};
use crate::kinds::{PolicyKind, PolicyName, Uses};
use crate::time::Timestamp;

/// Settings of one `quota` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct QuotaSettings {
    /// What can be charged in one window.
    #[n(0)]
    pub quota: NonZeroU32,
    /// The windows.
    #[n(1)]
    pub windows: Windows,
    /// Which requests share a quota.
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

impl codec::Section for QuotaSettings {
    /// Version 2 can count by subscription; version 3 has costs, prefixes of addresses, and cookies.
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

impl PolicyKind for QuotaSettings {
    fn is_coherent(&self) -> bool {
        self.plans.len() <= PLANS_MAX && self.windows.is_coherent() && self.counting.is_coherent()
    }

    fn uses(&self) -> Uses<'_> {
        Uses { charge: Some(self.partition()), ..Uses::default() }
    }
}

impl Limiter for QuotaSettings {
    fn partition(&self) -> Partition<'_> {
        self.counting.partition(self.by)
    }

    fn counting(&self) -> &Counting {
        &self.counting
    }

    /// A consumer that changes to another plan keeps what it has used in the window.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, cost: NonZeroU32, now: Timestamp) -> Charge {
        let quota = plan.and_then(|plan| self.plans.get(plan)).copied().unwrap_or(self.quota);
        let algorithm = Some(Algorithm::Calendar(self.windows.edges(now)));
        Charge {
            quota: policy.clone(),
            rate: quota,
            period_ms: NonZeroU32::MIN,
            burst: quota,
            cost,
            algorithm,
            lease: None,
            tells: None,
        }
    }

    fn on_unavailable(&self) -> OnUnavailable {
        self.on_unavailable
    }

    fn own_maximum(&self) -> NonZeroU32 {
        self.quota
    }

    fn maximum_of_plans(&self) -> Vec<(&str, NonZeroU32)> {
        self.plans.iter().map(|(plan, quota)| (plan.as_str(), *quota)).collect()
    }
}
