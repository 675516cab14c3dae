//! Lowers plans into the policies whose numbers they replace.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use tollgate_core::bounds::PLANS_MAX;
use tollgate_core::entitlement::Entitled;
use tollgate_core::kinds::{NamedPolicy, Policy, Slot};
use tollgate_core::time::Timestamp;

use super::Whole;
use super::policies::Definitions;
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::model::project::Project;
use crate::place::{Span, Spanned};
use crate::policies::{self, KINDS};

/// The names of all plans, sorted.
pub(super) fn names(project: &Project) -> Vec<String> {
    let mut names: Vec<String> = project.plans.iter().map(|(name, _)| name.value.clone()).collect();
    names.sort_unstable();
    names
}

/// Adds the numbers of plans to each policy.
pub(super) fn plans(project: &Project, definitions: &mut Definitions<NamedPolicy>, report: &mut Report) {
    if let Some((plan, _)) = project.plans.get(PLANS_MAX) {
        report_too_many(plan, report);
        return;
    }
    check_policies(project, report);
    for (plan, written) in &project.plans {
        for (policy, limit) in written.iter().flat_map(|plan| &plan.limits) {
            // A plan does not count as a use of a policy: a policy in no list is still reported as unused.
            let Some(place) = definitions.look_up(policy, |named| named.policy.slot() == Slot::Limit, report) else {
                continue;
            };
            let span = definitions.span(place);
            let Some(named) = definitions.get_mut(place) else { continue };
            let kind = named.policy.kind();
            if policies::take_plan(&mut named.policy, &plan.value, limit, report) {
                check_at_most(plan, policy, named, report);
            } else {
                report_no_numbers(policy, (kind, span), report);
            }
        }
    }
}

/// Reports numbers of a plan that are larger than what records may give the limit.
fn check_at_most(plan: &Spanned<String>, policy: &Spanned<String>, named: &NamedPolicy, report: &mut Report) {
    let Policy::Limit(limit) = &named.policy else { return };
    let Some(at_most) = limit.counting().at_most else { return };
    let charge = |plan| limit.charge(&named.name, plan, NonZeroU32::MIN, Timestamp::EPOCH);
    if Entitled::exceeds(at_most, &charge(None), &charge(Some(plan.value.as_str()))) {
        let what = format!("plan `{}` has more of `{}` than the {at_most} of its `at-most`", plan.value, policy.value);
        report.push(
            Diagnostic::warning(Code::BadLimit, policy.span, what)
                .why("records give no more than `at-most`: no grant raises the limit for this plan, and a record of the plan lowers it")
                .fix("raise `at-most` of the policy, or lower the number of the plan"),
        );
    }
}

/// Reports numbers of plans for policies that no route charges after authentication.
pub(super) fn report_unapplied(project: &Project, whole: &Whole, report: &mut Report) {
    let (mut charged, mut applied) = (BTreeSet::new(), BTreeSet::new());
    for route in whole.routes.iter().map(|route| &route.settings) {
        let (guard, limit) = (whole.policies.at(&route.guard_limit), whole.policies.at(&route.limit));
        charged.extend(guard.chain(limit).map(|limit| limit.name.as_str()));
        if !route.authn.is_empty() {
            applied.extend(whole.policies.at(&route.limit).map(|limit| limit.name.as_str()));
        }
    }
    for (plan, written) in &project.plans {
        let policies = written.iter().flat_map(|plan| &plan.limits).map(|(policy, _)| policy);
        let unapplied = policies
            .filter(|policy| charged.contains(policy.value.as_str()) && !applied.contains(policy.value.as_str()));
        unapplied.for_each(|policy| report_never_applies(plan, policy, report));
    }
}

/// Reports plans that policies name and the project does not define. A plan whose callers are allowed or denied may be one that
/// only tokens name, so it is reported only if it resembles one that is defined.
fn check_policies(project: &Project, report: &mut Report) {
    let of_apis = project.apis.iter().filter_map(|(_, api)| api.as_ref()).flat_map(|api| &api.policies);
    for (_, policy) in project.policies.iter().chain(of_apis).filter(|_| project.is_complete) {
        let Some(policy) = policy else { continue };
        policy.written.plans().iter().for_each(|plan| check_plan(project, plan, report));
        let known = || project.plans.iter().map(|(name, _)| name.value.as_str());
        let resembles = |plan: &&Spanned<String>| closest(&plan.value, known()).is_some();
        policy.written.plans_of_callers().iter().filter(resembles).for_each(|plan| check_plan(project, plan, report));
    }
}

/// Reports the plan of a consumer that the project does not define.
pub(crate) fn check_plan(project: &Project, plan: &Spanned<String>, report: &mut Report) {
    let known = || project.plans.iter().map(|(name, _)| name.value.as_str());
    if known().any(|known| known == plan.value) {
        return;
    }
    let fix = match closest(&plan.value, known()) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known().next().is_none() => "define it under `plans`, or remove it".to_owned(),
        None => format!("define it under `plans`, or use one of {}", listed(known())),
    };
    report.push(
        Diagnostic::warning(Code::UnknownPlan, plan.span, format!("plan `{}` is not defined", plan.value))
            .why("limits have their own numbers for its consumers, as if they had no plan")
            .fix(fix),
    );
}

fn report_never_applies(plan: &Spanned<String>, policy: &Spanned<String>, report: &mut Report) {
    let what = format!("the limits of plan `{}` for policy `{}` never apply", plan.value, policy.value);
    report.push(
        Diagnostic::warning(Code::PlanNeverApplies, policy.span, what)
            .why(format!("no route authenticates the caller before it charges `{}`", policy.value))
            .fix("list the policy in `limit` of a route that has `authn`, or remove these limits"),
    );
}

fn report_too_many(plan: &Spanned<String>, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, plan.span, "too many plans")
            .why(format!("the maximum is {PLANS_MAX}, so that the numbers of a policy are found quickly"))
            .fix("use one plan for several consumers"),
    );
}

fn report_no_numbers(policy: &Spanned<String>, (kind, defined): (&str, Option<Span>), report: &mut Report) {
    let kinds = listed(KINDS.iter().filter(|kind| kind.takes_plans).map(|kind| kind.word));
    let (what, why, fix) = if KINDS.iter().any(|known| known.takes_plans && known.word == kind) {
        let what = format!("`{}` is a `{kind}`, which has no such numbers", policy.value);
        let fix = "write `rate` for a `rate-limit`, `quota` for a `quota`, `max` for a `concurrency` limit";
        (what, "a plan replaces the numbers of a policy by others of the same meaning".to_owned(), fix.to_owned())
    } else {
        let what = format!("`{}` has no numbers that a plan can replace", policy.value);
        let fix = format!("write a policy of kind {kinds}, or remove the entry");
        (what, format!("a plan can only replace numbers of policies of kind {kinds}"), fix)
    };
    report.push(
        Diagnostic::error(Code::PlanWithoutLimit, policy.span, what)
            .why(why)
            .fix(fix)
            .related(defined.unwrap_or(policy.span), "defined here"),
    );
}
