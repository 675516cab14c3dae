//! The `rate-limit` policy: quotas that come back at a steady rate, counted by [`crate::cell::Gcra`].

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Limiter;
use crate::bounds::PLANS_MAX;
use crate::cell::Gcra;
use crate::codec;
use crate::kinds::{PolicyKind, PolicyName, Uses};

/// Settings of one `rate-limit` policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct RateLimitSettings {
    /// Charges of cost 1 that are paid back within `period_ms`.
    #[n(0)]
    pub rate: NonZeroU32,
    /// The period `rate` is counted over, in milliseconds.
    #[n(1)]
    pub period_ms: NonZeroU32,
    /// The most that can be charged at once after a rest.
    #[n(2)]
    pub burst: NonZeroU32,
    /// What shares one quota.
    #[n(3)]
    pub by: LimitBy,
    /// What happens while the counter store does not answer.
    #[n(4)]
    pub on_unavailable: OnUnavailable,
    /// Other numbers for consumers of a plan, by the plan's name.
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub plans: BTreeMap<String, PlanLimit>,
}

impl codec::Section for RateLimitSettings {}

/// What a plan has in place of a policy's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct PlanLimit {
    /// Charges of cost 1 that are paid back within `period_ms`.
    #[n(0)]
    pub rate: NonZeroU32,
    /// The period `rate` is counted over, in milliseconds.
    #[n(1)]
    pub period_ms: NonZeroU32,
    /// The most that can be charged at once after a rest.
    #[n(2)]
    pub burst: NonZeroU32,
}

/// What shares one quota: the partition key of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum LimitBy {
    /// The authenticated consumer; the client's address where there is none.
    #[n(0)]
    Consumer,
    /// The client's address.
    #[n(1)]
    Address,
}

/// What a policy does while a store it depends on does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum OnUnavailable {
    /// Let the request pass, visibly in telemetry.
    #[n(0)]
    Open,
    /// Refuse the request with 503.
    #[n(1)]
    Closed,
}

impl PolicyKind for RateLimitSettings {
    fn is_coherent(&self) -> bool {
        self.plans.len() <= PLANS_MAX
    }

    fn uses(&self) -> Uses<'_> {
        Uses { charge: Some(self.by), ..Uses::default() }
    }
}

impl Limiter for RateLimitSettings {
    fn by(&self) -> LimitBy {
        self.by
    }

    /// A plan that the policy does not know has the policy's own numbers. All plans share the quota's name, so a consumer
    /// that goes over to another plan keeps what is charged already.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, cost: NonZeroU32) -> Gcra {
        let PlanLimit { rate, period_ms, burst } = self.numbers(plan);
        Gcra { quota: policy.clone(), rate, period_ms, burst, cost }
    }

    fn on_unavailable(&self) -> OnUnavailable {
        self.on_unavailable
    }
}

impl RateLimitSettings {
    fn numbers(&self, plan: Option<&str>) -> PlanLimit {
        let Self { rate, period_ms, burst, .. } = *self;
        let of_plan = plan.and_then(|plan| self.plans.get(plan)).copied();
        of_plan.unwrap_or(PlanLimit { rate, period_ms, burst })
    }
}
