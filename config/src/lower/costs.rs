//! Finds costs that a limit can never admit: more than its burst.

use std::collections::HashSet;

use tollgate_core::kinds::{LimitPolicy, NamedPolicy};
use tollgate_core::limit::RateAlgorithm;

use super::policies::Definitions;
use super::{CompiledRoute, Whole};
use crate::diagnostic::{Code, Diagnostic, Report, listed};
use crate::model::project::Project;
use crate::place::Spanned;

/// Reports costs above the bursts of the limits of their routes, each with each policy once.
pub(super) fn report(project: &Project, whole: &Whole, definitions: &Definitions<NamedPolicy>, report: &mut Report) {
    let mut seen = HashSet::new();
    for route in &whole.routes {
        let Some(cost) = written(project, route) else { continue };
        let settings = &route.settings;
        let guards = whole.policies.at(&settings.guard_limit).map(|limit| (limit, false));
        // A caller is known, and with it the plan, only after authentication.
        let limits = whole.policies.at(&settings.limit).map(|limit| (limit, !settings.authn.is_empty()));
        for (limit, has_plans) in guards.chain(limits) {
            let refused = Refused::of(&limit.policy, cost.value, has_plans);
            if (refused.own || !refused.plans.is_empty()) && seen.insert((cost.span, limit.name.as_str(), has_plans)) {
                let defined = definitions.place(&limit.name).and_then(|place| definitions.span(place));
                report
                    .push(refused.diagnostic(cost, &limit.name).related(defined.unwrap_or(cost.span), "defined here"));
            }
        }
    }
}

/// The cost of a route as it is written.
fn written<'p>(project: &'p Project, route: &CompiledRoute) -> Option<&'p Spanned<u32>> {
    let (_, api) = project.apis.get(route.written.api)?;
    api.as_ref()?.routes.get(route.written.route)?.cost.as_ref()
}

/// Whose requests a limit never admits.
struct Refused<'p> {
    /// Whether those of callers to which the policy's own numbers apply.
    own: bool,
    plans: Vec<&'p str>,
    /// Whether those of all callers.
    all: bool,
    /// The largest burst that is too small.
    burst: u32,
    /// What to write with a larger number.
    key: &'static str,
}

impl<'p> Refused<'p> {
    fn of(limit: &'p LimitPolicy, cost: u32, has_plans: bool) -> Self {
        let maximum = limit.own_maximum().get();
        let own = maximum < cost;
        let of_plans = limit.maximum_of_plans();
        let bursts = || of_plans.iter().filter(|_| has_plans).map(|(name, burst)| (*name, burst.get()));
        let small = || bursts().filter(|(_, burst)| *burst < cost);
        let burst = small().map(|(_, burst)| burst).chain(own.then_some(maximum)).max().unwrap_or_default();
        Self {
            own,
            plans: small().map(|(name, _)| name).collect(),
            all: own && small().count() == bursts().count(),
            burst,
            key: raised(limit),
        }
    }

    fn diagnostic(&self, cost: &Spanned<u32>, policy: &str) -> Diagnostic {
        let Self { own, plans, all, burst, key } = self;
        let what = format!("`cost` is {}, but policy `{policy}` admits at most {burst} at once", cost.value);
        let consumers = format!("of consumers with the plan {}", listed(plans.iter().copied()));
        let whose = match (all, own, plans.as_slice()) {
            (true, _, _) => String::new(),
            (false, true, []) => " of callers without a plan".to_owned(),
            (false, true, _) => format!(" of callers without a plan, and {consumers},"),
            (false, false, _) => format!(" {consumers}"),
        };
        let why = format!("every request{whose} would be answered with 429, however long a caller waits");
        let fix = format!("lower `cost`, or raise `{key}` there to {} or more", cost.value);
        Diagnostic::warning(Code::CostAboveBurst, cost.span, what).why(why).fix(fix)
    }
}

/// The key of a limit that says how much it admits at once.
const fn raised(limit: &LimitPolicy) -> &'static str {
    match limit {
        LimitPolicy::RateLimit(settings) => match settings.algorithm {
            RateAlgorithm::Gcra | RateAlgorithm::Spacing => "burst",
            RateAlgorithm::SlidingWindow | RateAlgorithm::SlidingLog | RateAlgorithm::FixedWindow => "rate",
        },
        LimitPolicy::Quota(_) => "quota",
        LimitPolicy::Concurrency(_) => "max",
    }
}
