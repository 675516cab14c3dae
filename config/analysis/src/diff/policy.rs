//! Policies: those that a route names, and the settings of those that both gateways have by one name.
//!
//! What another value of a key does is said by the table of the policy's kind; nothing here knows a kind.

use std::collections::BTreeSet;

use tollgate_config::Compiled;
use tollgate_config::policies::{Change as Judgement, Setting, Settings, admitted, settings};
use tollgate_core::kinds::{PolicyView, Slot};
use tollgate_core::settings::RouteSettings;

use super::value::{Looseness, compare, compare_admitted, is_same};
use super::{Change, Differing, Effect};

/// Guards and limits of two routes, and what a request costs.
pub(super) fn lists(
    from: &Compiled,
    to: &Compiled,
    old: &RouteSettings,
    new: &RouteSettings,
    subject: &str,
) -> Vec<Change> {
    let guards = |compiled, route| in_force(compiled, route, Slot::Guard);
    // Where nobody is authenticated, a limit in `guard` is charged for the same requests as one in `limit`.
    let is_public = old.authn.is_empty() && new.authn.is_empty();
    let limits = |compiled, route| {
        let all = in_force(compiled, route, Slot::Limit).into_iter();
        all.map(|limit| InForce { in_guard: limit.in_guard && !is_public, ..limit }).collect::<Vec<_>>()
    };
    let (old_limits, new_limits) = (limits(from, old), limits(to, new));
    let charges = !(old_limits.is_empty() && new_limits.is_empty());
    let mut all = list(subject, &GUARD, (from, &guards(from, old)), (to, &guards(to, new)));
    all.extend(list(subject, &LIMIT, (from, &old_limits), (to, &new_limits)));
    if old.cost != new.cost && charges {
        let values = Differing { from: Some(old.cost.to_string()), to: Some(new.cost.to_string()) };
        all.push(if new.cost > old.cost {
            Change::of(subject, "cost", values, Effect::Breaking, "limits are exhausted sooner")
        } else {
            Change::of(subject, "cost", values, Effect::Compatible, "limits last longer").loosening()
        });
    }
    all
}

/// A list of policies that all hold, and what is said of those that come and go.
struct HoldingList {
    key: &'static str,
    lifted: &'static str,
    added: &'static str,
}

const GUARD: HoldingList = HoldingList {
    key: "guard",
    lifted: "a guard is lifted",
    added: "requests that a new guard does not admit are refused",
};

const LIMIT: HoldingList =
    HoldingList { key: "limit", lifted: "a limit is lifted", added: "requests past a new limit are refused" };

/// A policy that holds for a route.
struct InForce {
    name: String,
    settings: Settings,
    /// Whether it is a limit that is charged before the caller is authenticated.
    in_guard: bool,
}

fn in_force(compiled: &Compiled, route: &RouteSettings, slot: Slot) -> Vec<InForce> {
    let all = compiled.policies();
    let in_guard: BTreeSet<&str> = all.at(&route.guard_limit).map(|limit| limit.name.as_str()).collect();
    let policies = route.policies(all).filter(|policy| policy.slot == slot);
    let in_force = |policy: PolicyView<'_>| {
        let (name, in_guard) = (policy.name.to_owned(), in_guard.contains(policy.name));
        Some(InForce { name, settings: settings(all, policy.name)?, in_guard })
    };
    policies.filter_map(in_force).collect()
}

fn list(
    subject: &str,
    of: &HoldingList,
    (from, old): (&Compiled, &[InForce]),
    (to, new): (&Compiled, &[InForce]),
) -> Vec<Change> {
    let find = |list: &'_ [InForce], name: &str| list.iter().position(|known| known.name == name);
    let mut all = Vec::new();
    let mut added: Vec<&InForce> = new.iter().filter(|new| find(old, &new.name).is_none()).collect();
    for old in old {
        // The same policy by another name: counters begin anew, and nothing else differs.
        let is_same = |new: &&InForce| {
            new.settings == old.settings || admission(from, &old.name, to, &new.name) == Some(Looseness::Same)
        };
        let kept = find(new, &old.name).map(|place| &new[place]);
        let kept = kept.or_else(|| added.iter().position(is_same).map(|same| added.remove(same)));
        all.extend(match kept {
            Some(new) => moved(subject, old, new),
            None => {
                let values = Differing { from: Some(summary(&old.settings)), to: None };
                Some(Change::of(subject, of.key, values, Effect::Compatible, of.lifted).loosening())
            }
        });
    }
    for new in added {
        let values = Differing { from: None, to: Some(summary(&new.settings)) };
        all.push(Change::of(subject, of.key, values, Effect::Breaking, of.added));
    }
    all
}

/// A limit that is charged in another list.
fn moved(subject: &str, old: &InForce, new: &InForce) -> Option<Change> {
    let shown = |limit: &InForce| format!("{} in {}", limit.name, if limit.in_guard { GUARD.key } else { LIMIT.key });
    let values = Differing { from: Some(shown(old)), to: Some(shown(new)) };
    let change = |effect, reason| Change::of(subject, LIMIT.key, values, effect, reason);
    match (old.in_guard, new.in_guard) {
        (false, true) => Some(change(Effect::Breaking, "requests without a valid credential are charged too")),
        (true, false) => {
            let reason = "requests without a valid credential are not charged any more";
            Some(change(Effect::Compatible, reason).loosening())
        }
        (true, true) | (false, false) => None,
    }
}

/// Policies that both gateways have by one name and use in one slot.
pub(super) fn policies(from: &Compiled, to: &Compiled) -> Vec<Change> {
    let (old_uses, new_uses) = (used(from), used(to));
    let both = old_uses.intersection(&new_uses).map(|(name, _)| *name);
    both.flat_map(|name| {
        let (old, new) = (settings(from.policies(), name), settings(to.policies(), name));
        let admission = admission(from, name, to, name);
        old.zip(new).map(|(old, new)| policy(&format!("policy {name}"), &old, &new, admission)).unwrap_or_default()
    })
    .collect()
}

/// Whom the new policy admits, held to the old one; `None` where not the address alone decides.
fn admission(from: &Compiled, old: &str, to: &Compiled, new: &str) -> Option<Looseness> {
    let (old, new) = (admitted(from.policies(), old), admitted(to.policies(), new));
    old.zip(new).map(|(old, new)| compare_admitted(&old, &new))
}

/// The policies that some route names, each with its slot.
fn used(compiled: &Compiled) -> BTreeSet<(&str, Slot)> {
    let routes = compiled.routes().iter();
    routes
        .flat_map(|route| route.settings.policies(compiled.policies()).map(|policy| (policy.name, policy.slot)))
        .collect()
}

fn policy(subject: &str, old: &Settings, new: &Settings, admission: Option<Looseness>) -> Vec<Change> {
    if old.kind != new.kind {
        let values = Differing { from: Some(old.kind.to_owned()), to: Some(new.kind.to_owned()) };
        return vec![Change::of(subject, "kind", values, Effect::Review, "another kind of policy decides")];
    }
    let mut all = keys(subject, "", old, new, admission, |_| true);
    // What a plan does not say of a policy, the policy says itself.
    for plan in old.plans.iter().chain(&new.plans).map(|(plan, _)| plan).collect::<BTreeSet<_>>() {
        let replaced = |key: &str| [old, new].iter().any(|settings| settings.replaces(plan, key));
        all.extend(keys(
            subject,
            &format!("plans.{plan}."),
            &old.with_plan(plan),
            &new.with_plan(plan),
            None,
            replaced,
        ));
    }
    all
}

fn keys(
    subject: &str,
    prefix: &str,
    old: &Settings,
    new: &Settings,
    admission: Option<Looseness>,
    is_compared: impl Fn(&str) -> bool,
) -> Vec<Change> {
    let both = old.list.iter().zip(&new.list).filter(|(old, _)| is_compared(old.key));
    both.filter_map(|(old, new)| judge(&format!("{prefix}{}", old.key), subject, old, new, admission)).collect()
}

/// What a key's other value does; where it is known whom the policy as a whole admits, that decides for all of its keys.
fn judge(setting: &str, subject: &str, old: &Setting, new: &Setting, admission: Option<Looseness>) -> Option<Change> {
    if is_same(old.value.as_ref(), new.value.as_ref()) {
        return None;
    }
    let shown = |setting: &Setting| setting.value.as_ref().map(ToString::to_string);
    let values = Differing { from: shown(old), to: shown(new) };
    let change = |effect, reason| Change::of(subject, setting, values, effect, reason);
    match old.change {
        // What is another policy is compared route by route.
        Judgement::Identity => None,
        Judgement::Review(why) => Some(change(Effect::Review, why)),
        Judgement::LoosestFirst { words, why } => {
            let place = |setting: &Setting| words.iter().position(|word| shown(setting).as_deref() == Some(word));
            let (is_looser, change) = (place(new) < place(old), change(Effect::Review, why));
            Some(if is_looser { change.loosening() } else { change })
        }
        Judgement::MoreIsLooser | Judgement::MoreIsStricter => {
            let more_is_looser = old.change == Judgement::MoreIsLooser;
            match admission.unwrap_or_else(|| compare(old.value.as_ref(), new.value.as_ref(), more_is_looser)) {
                Looseness::Same => None,
                Looseness::Stricter => Some(change(Effect::Breaking, "requests that passed may be refused")),
                Looseness::Looser => Some(change(Effect::Compatible, "more requests pass").loosening()),
                Looseness::Other => Some(change(Effect::Breaking, "other requests pass").loosening()),
            }
        }
    }
}

/// The settings in one line.
fn summary(settings: &Settings) -> String {
    settings.list.iter().filter_map(shown).collect::<Vec<_>>().join(", ")
}

/// A setting with its key, where it has a value.
pub(super) fn shown(setting: &Setting) -> Option<String> {
    Some(format!("{} {}", setting.key, setting.value.as_ref()?))
}
