//! By how much leased limits can be exceeded.

use std::num::NonZeroU32;

use serde::Serialize;
use tollgate_config::{Compiled, CompiledRoute};
use tollgate_core::cell::Charge;
use tollgate_core::kinds::{LimitPolicy, Named};
use tollgate_core::limit::Consistency;
use tollgate_core::time::Timestamp;

/// What can pass beyond a leased limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeasedLimit {
    /// The policy.
    pub policy: String,
    /// The plan with these numbers, or the most that records may give; none for callers without a plan.
    pub plan: Option<String>,
    /// How much more than the limit says can pass, within any time; of windows, nothing.
    pub beyond: u64,
}

/// The limits of a route whose permits are taken ahead, for each plan with numbers of its own.
#[must_use]
pub fn leased_limits(compiled: &Compiled, route: &CompiledRoute) -> Vec<LeasedLimit> {
    let policies = &compiled.whole().policies;
    let limits = policies.at(&route.settings.guard_limit).chain(policies.at(&route.settings.limit));
    limits.flat_map(of_policy).collect()
}

/// Whether permits of a limit are taken ahead: also if only of callers of some plan.
pub(crate) fn is_leased(limit: &Named<LimitPolicy>) -> bool {
    of_policy(limit).next().is_some()
}

fn of_policy(limit: &Named<LimitPolicy>) -> impl Iterator<Item = LeasedLimit> {
    let (policy, counting) = (&limit.policy, limit.policy.counting());
    let charge = |plan| policy.charge(&limit.name, plan, NonZeroU32::MIN, Timestamp::EPOCH);
    let plans = policy.maximum_of_plans().into_iter().map(|(plan, _)| (Some(plan.to_owned()), charge(Some(plan))));
    // What records may give it.
    let most = counting.at_most.map(|most| Charge { rate: most, burst: most, ..charge(None) });
    let records = most.map(|most| (Some("(of records)".to_owned()), most));
    let all = [(None, charge(None))].into_iter().chain(plans).chain(records);
    let all: Vec<_> =
        all.filter(|(_, charge)| counting.consistency == Consistency::Leased && charge.can_be_leased()).collect();
    all.into_iter().map(|(plan, charge)| LeasedLimit {
        policy: limit.name.as_str().to_owned(),
        plan,
        beyond: charge.lease_beyond(),
    })
}
