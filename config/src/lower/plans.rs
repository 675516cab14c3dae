//! Plans, lowered into the policies whose numbers they replace.

use std::num::NonZeroU32;

use tollgate_core::bounds::PLANS_MAX;
use tollgate_core::kinds::{LimitPolicy, NamedPolicy, Policy};
use tollgate_core::limit::PlanLimit as Lowered;

use super::policies::{Definitions, numbers};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::plan::PlanLimit;
use crate::model::project::Project;
use crate::place::{Span, Spanned};

/// Gives each policy the numbers that plans have for it.
pub(super) fn plans(project: &Project, policies: &mut Definitions<NamedPolicy>, report: &mut Report) {
    if let Some((plan, _)) = project.plans.get(PLANS_MAX) {
        report_too_many(plan, report);
        return;
    }
    for (plan, written) in &project.plans {
        for (policy, limit) in written.iter().flat_map(|plan| &plan.limits) {
            let numbers = lower(limit, report);
            // To have other numbers is no use of a policy: one that is in no list is still reported as unused.
            let Some(place) = policies.look_up(policy, report) else { continue };
            let span = policies.span(place);
            match policies.get_mut(place).map(|named| &mut named.policy) {
                Some(Policy::Limit(LimitPolicy::RateLimit(settings))) => {
                    settings.plans.extend(numbers.map(|numbers| (plan.value.clone(), numbers)));
                }
                Some(Policy::Guard(_) | Policy::Authn(_)) => report_no_limit(policy, span, report),
                None => {}
            }
        }
    }
}

fn lower(limit: &PlanLimit, report: &mut Report) -> Option<Lowered> {
    let (rate, period_ms, burst) = numbers(&limit.rate, limit.burst.as_ref(), report)?;
    Some(Lowered { rate, period_ms, burst })
}

fn report_too_many(plan: &Spanned<String>, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, plan.span, "there are too many plans")
            .why(format!("there may be {PLANS_MAX}, so that a policy's numbers are found at once"))
            .fix("let consumers share plans"),
    );
}

fn report_no_limit(policy: &Spanned<String>, defined: Option<Span>, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::PlanWithoutLimit, policy.span, format!("`{}` is no rate limit", policy.value))
            .why("a plan has numbers for policies of kind `rate-limit`")
            .fix("name a policy of kind `rate-limit`, or remove it")
            .related(defined.unwrap_or(policy.span), "defined here"),
    );
}

/// A rate, its period and a burst.
pub(super) type Numbers = (NonZeroU32, NonZeroU32, NonZeroU32);
