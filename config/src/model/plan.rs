//! `plans:`, the numbers that replace those of policies for the consumers of a plan.

use tollgate_core::cell::ENTRIES_MAX;

use super::project::format_version;
use crate::decode::{self, Fields, Named, RATE};
use crate::diagnostic::Report;
use crate::model::tables;
use crate::place::Spanned;
use crate::policies::PlanLimit;
use crate::source::{Entry, Node, Value};

/// One plan as written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// The numbers by policy; a policy that is defined in an API's file is named `api.policy`.
    pub(crate) limits: Vec<(Spanned<String>, PlanLimit)>,
}

impl Plan {
    pub(crate) fn decode(name: &Spanned<String>, node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::PLAN, format!("plan `{}`", name.value), name.span, report)?;
        let limits = fields.optional("limits", report, limits).unwrap_or_default();
        fields.finish(report);
        Some(Self { limits })
    }
}

/// Decodes the root of a file in `plans/`.
pub(crate) fn decode_plans(root: &Node, report: &mut Report) -> Named<Plan> {
    let Some(mut fields) = Fields::open(root, &tables::PLANS_FILE, "the file", root.span, report) else {
        return Named::new();
    };
    format_version(&mut fields, report);
    let plans = fields.required("plans", report, |node, report| decode::named(node, report, Plan::decode));
    fields.finish(report);
    plans.unwrap_or_default()
}

fn limits(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, PlanLimit)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping from policies to limits",
            "write a mapping such as `{policy: {rate: 100/s}}`",
            report,
        );
    };
    let named = |Entry { key, value }: &Entry| Some((key.clone(), limit(key, value, report)?));
    Some(entries.iter().filter_map(named).collect())
}

fn limit(policy: &Spanned<String>, node: &Node, report: &mut Report) -> Option<PlanLimit> {
    if let Value::Text(rate) = &node.value {
        let is_rate = rate.starts_with(|c: char| c.is_ascii_digit()) && rate.contains('/');
        let rate = if is_rate { rate.as_str() } else { "100/s" };
        let fix = format!(
            "write `{{rate: {rate}}}` for a `rate-limit`, `{{quota: 100000}}` for a `quota`, `{{max: 10}}` for a `concurrency` limit; \
             a plan without an entry has the policy's own numbers"
        );
        return decode::mistyped(node, "a mapping", &fix, report);
    }
    let owner = format!("the plan's limit `{}`", policy.value);
    let mut fields = Fields::open(node, &tables::PLAN_LIMIT, owner, policy.span, report)?;
    let number = |most: u32| {
        move |node: &Node, report: &mut Report| {
            decode::integer(node, 1, most, report).map(|number| Spanned::new(number, node.span))
        }
    };
    let rate = fields.optional("rate", report, |node, report| decode::quantity(node, &RATE, report));
    let burst = fields.optional("burst", report, number(u32::MAX));
    let quota = fields.optional("quota", report, number(u32::MAX));
    let max = fields.optional("max", report, number(u32::try_from(ENTRIES_MAX).unwrap_or(u32::MAX)));
    let is_complete = fields.check_rules(report);
    fields.finish(report);
    let rate = rate.map(|rate| PlanLimit::Rate { rate, burst });
    rate.or(quota.map(PlanLimit::Quota)).or(max.map(PlanLimit::Max)).filter(|_| is_complete)
}
