//! The `rate-limit` policy: quotas that become available again at a steady rate, counted by [`crate::cell::Charge`].

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::Limiter;
use crate::bounds::PLANS_MAX;
use crate::cell::Charge;
use crate::codec::{self, Decode};
use crate::kinds::{PolicyKind, PolicyName, Uses};

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
}

/// Version 2 has limits by installation.
impl codec::Section for RateLimitSettings {
    const VERSION: u16 = 2;

    fn least_version(&self) -> u16 {
        if self.by == LimitBy::Installation { Self::VERSION } else { Self::OLDEST }
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

/// Which requests share a quota: the partition key of a rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum LimitBy {
    /// The authenticated consumer, or the client's address if there is none.
    #[n(0)]
    Consumer,
    /// The client's address.
    #[n(1)]
    Address,
    /// The installation of the client: the key or certificate to which its token is bound; as for `Consumer` if it is bound to
    /// nothing.
    #[n(2)]
    Installation,
}

/// What a policy does while a store it depends on does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum OnUnavailable {
    /// Let the request pass, and report it in telemetry.
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

    /// For a plan that the policy does not list, the policy's own numbers apply. All plans share the quota's name, so a
    /// consumer that changes to another plan keeps its charges.
    fn charge(&self, policy: &PolicyName, plan: Option<&str>, cost: NonZeroU32) -> Charge {
        let PlanLimit { rate, period_ms, burst } = self.numbers(plan);
        Charge { quota: policy.clone(), rate, period_ms, burst, cost, algorithm: None }
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
