//! The origins of the settings of a policy.

use tollgate_core::kinds::Policies;

use super::{Origin, show};
use crate::lower;
use crate::model::level::OriginLevel;
use crate::model::project::Project;
use crate::place::Spanned;
use crate::policies::{self, PlanLimit, Settings, Value, WrittenPolicy};

/// The origins of a policy that a route names.
pub(super) fn origins(project: &Project, all: &Policies, name: &str) -> Vec<Origin> {
    let found = lower::written(project, name, |project| &project.policies, |api| &api.policies);
    let Some((defined, definition)) = found else { return Vec::new() };
    let Some(settings) = policies::settings(all, name) else { return Vec::new() };
    let key = |key: &str| format!("policies.{name}.{key}");
    let kind = Origin::new(&key("kind"), settings.kind.to_owned(), OriginLevel::Policy, Some(defined.span));
    let own = settings.list.iter().map(|setting| origin((name, definition), &settings, setting.key, &key(setting.key)));
    std::iter::once(kind).chain(own).chain(plans(project, name)).collect()
}

fn origin((name, definition): (&str, &WrittenPolicy), settings: &Settings, key: &str, shown: &str) -> Origin {
    let own = settings.value(key);
    if let Some(written) = definition.written.written(key) {
        // A budget is shown with what it was computed of.
        let value = own.filter(|_| key == "budget").unwrap_or(&written.value);
        return Origin::new(shown, value.to_string(), OriginLevel::Policy, Some(written.span));
    }
    let in_table = definition.kind.table.key(key);
    let default = in_table.and_then(policies::default);
    // A budget has other defaults than a limit of callers, and some algorithms are always exact.
    let may_follow = |own: &Value| settings.value("budget").is_some() || matches!(own, Value::Word(_));
    let follows = |own: &&Value| match &default {
        Some(default) => *own != default && may_follow(own),
        None => in_table.is_some_and(policies::is_computed),
    };
    if let Some(computed) = own.filter(follows) {
        return Origin::new(shown, computed.to_string(), OriginLevel::Computed, None);
    }
    // A default is shown as in the table; the settings contain its canonical form.
    let value = default.as_ref().or(own).map(Value::to_string);
    // The names of registered certificates are in their records.
    let is_named = settings.value("consumer") != Some(&Value::Word("registered"));
    let of_name = || in_table.filter(|_| is_named).and_then(|key| policies::of_own_name(key, name));
    Origin::default(shown, value.or_else(of_name).as_deref().unwrap_or("none"))
}

fn plans(project: &Project, policy: &str) -> Vec<Origin> {
    let plans = project.plans.iter().filter_map(|(name, plan)| Some((name, plan.as_ref()?)));
    let limits = plans.flat_map(|(name, plan)| plan.limits.iter().map(move |(of, limit)| (name, of, limit)));
    limits
        .filter(|(_, of, _)| of.value == policy)
        .flat_map(|(name, _, limit)| {
            let key = |key: &str| format!("policies.{policy}.plans.{}.{key}", name.value);
            let origin = |name: &str, text: String, span| Origin::new(&key(name), text, OriginLevel::Plan, Some(span));
            let number = |name: &str, number: &Spanned<u32>| origin(name, number.value.to_string(), number.span);
            match limit {
                PlanLimit::Rate { rate, burst } => {
                    let burst = burst.as_ref().map(|burst| number("burst", burst));
                    std::iter::once(origin("rate", show::rate(rate.value), rate.span)).chain(burst).collect()
                }
                PlanLimit::Quota(quota) => vec![number("quota", quota)],
                PlanLimit::Max(max) => vec![number("max", max)],
            }
        })
        .collect()
}
