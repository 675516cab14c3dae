//! Compares the policies of routes, and the settings of policies with the same name.
//!
//! The table of a policy's kind defines the effect of another value of a key; the code here is independent of kinds.

use std::collections::BTreeSet;

use tollgate_config::Compiled;
use tollgate_config::policies::{Absence, Change as ChangeRule, Setting, Settings, Value, admitted, settings};
use tollgate_core::kinds::{PolicyView, Slot};
use tollgate_core::settings::RouteSettings;

use super::authn::compare_places;
use super::value::{Looseness, compare, compare_admitted, compare_each, granted, is_same};
use super::{Change, Differing, Effect};

/// Compares the guards, limits and costs of two routes.
pub(super) fn lists(
    from: &Compiled,
    to: &Compiled,
    old: &RouteSettings,
    new: &RouteSettings,
    subject: &str,
) -> Vec<Change> {
    let guards = |compiled, route| policies_of(compiled, route, Slot::Guard);
    // Without authentication, a limit in `guard` is charged for the same requests as one in `limit`.
    let is_public = old.authn.is_empty() && new.authn.is_empty();
    let limits = |compiled, route| {
        let all = policies_of(compiled, route, Slot::Limit).into_iter();
        all.map(|limit| RoutePolicy { in_guard: limit.in_guard && !is_public, ..limit }).collect::<Vec<_>>()
    };
    let (old_limits, new_limits) = (limits(from, old), limits(to, new));
    let charges = !(old_limits.is_empty() && new_limits.is_empty());
    let authz = |compiled, route| policies_of(compiled, route, Slot::Authz);
    let mut all = list(subject, &GUARD, (from, &guards(from, old)), (to, &guards(to, new)));
    all.extend(list(subject, &AUTHZ, (from, &authz(from, old)), (to, &authz(to, new))));
    all.extend(list(subject, &LIMIT, (from, &old_limits), (to, &new_limits)));
    if old.cost != new.cost && charges {
        let values = Differing { from: Some(old.cost.to_string()), to: Some(new.cost.to_string()) };
        all.push(if new.cost > old.cost {
            Change::of(
                subject,
                "cost",
                values,
                Effect::Breaking,
                "a request is charged more, so limits are reached sooner",
            )
        } else {
            Change::of(
                subject,
                "cost",
                values,
                Effect::Compatible,
                "a request is charged less, so limits are reached later",
            )
            .loosening()
        });
    }
    all
}

/// A list of policies that all apply, with the reasons for removed and added ones.
struct PolicyList {
    key: &'static str,
    removed: &'static str,
    added: &'static str,
}

const GUARD: PolicyList = PolicyList {
    key: "guard",
    removed: "a guard is removed",
    added: "requests that the new guard does not accept are refused",
};

const AUTHZ: PolicyList = PolicyList {
    key: "authz",
    removed: "callers that the policy did not authorize are accepted",
    added: "callers that the new policy does not authorize are refused",
};

const LIMIT: PolicyList =
    PolicyList { key: "limit", removed: "a limit is removed", added: "requests that exceed the new limit are refused" };

/// A policy of a route.
struct RoutePolicy {
    name: String,
    settings: Settings,
    /// Whether it is a limit that is charged before the caller is authenticated.
    in_guard: bool,
}

impl RoutePolicy {
    /// Whether it is a limit that refuses nothing.
    fn is_observed(&self) -> bool {
        self.settings.value("shadow") == Some(&Value::Boolean(true))
    }
}

fn policies_of(compiled: &Compiled, route: &RouteSettings, slot: Slot) -> Vec<RoutePolicy> {
    let all = compiled.policies();
    let in_guard: BTreeSet<&str> = all.at(&route.guard_limit).map(|limit| limit.name.as_str()).collect();
    let policies = route.policies(all).filter(|policy| policy.slot == slot);
    let of_route = |policy: PolicyView<'_>| {
        let (name, in_guard) = (policy.name.to_owned(), in_guard.contains(policy.name));
        Some(RoutePolicy { name, settings: settings(all, policy.name)?, in_guard })
    };
    policies.filter_map(of_route).collect()
}

fn list(
    subject: &str,
    of: &PolicyList,
    (from, old): (&Compiled, &[RoutePolicy]),
    (to, new): (&Compiled, &[RoutePolicy]),
) -> Vec<Change> {
    let find = |list: &'_ [RoutePolicy], name: &str| list.iter().position(|known| known.name == name);
    let mut all = Vec::new();
    let mut added: Vec<&RoutePolicy> = new.iter().filter(|new| find(old, &new.name).is_none()).collect();
    for old in old {
        // The same policy with another name: its counters are reset, and nothing else changes.
        let is_same = |new: &&RoutePolicy| {
            new.settings == old.settings || compare_addresses(from, &old.name, to, &new.name) == Some(Looseness::Same)
        };
        let kept = find(new, &old.name).map(|place| &new[place]);
        let kept = kept.or_else(|| added.iter().position(is_same).map(|same| added.remove(same)));
        all.extend(match kept {
            Some(new) => moved(subject, old, new),
            None if old.is_observed() => {
                let values = Differing { from: Some(summary(&old.settings)), to: None };
                Some(Change::of(
                    subject,
                    of.key,
                    values,
                    Effect::Compatible,
                    "a limit that was only observed is removed",
                ))
            }
            None => {
                let values = Differing { from: Some(summary(&old.settings)), to: None };
                Some(Change::of(subject, of.key, values, Effect::Compatible, of.removed).loosening())
            }
        });
    }
    for new in added {
        let values = Differing { from: None, to: Some(summary(&new.settings)) };
        all.push(if new.is_observed() {
            Change::of(subject, of.key, values, Effect::Compatible, "the new limit is only observed")
        } else {
            Change::of(subject, of.key, values, Effect::Breaking, of.added)
        });
    }
    all
}

/// The change of a limit that moved between `guard` and `limit`.
fn moved(subject: &str, old: &RoutePolicy, new: &RoutePolicy) -> Option<Change> {
    let shown =
        |limit: &RoutePolicy| format!("{} in {}", limit.name, if limit.in_guard { GUARD.key } else { LIMIT.key });
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

/// Compares policies with the same name that are used in the same slot.
pub(super) fn policies(from: &Compiled, to: &Compiled) -> Vec<Change> {
    let (old_uses, new_uses) = (used(from), used(to));
    let both = old_uses.intersection(&new_uses).map(|(name, _)| *name);
    both.flat_map(|name| {
        let (old, new) = (settings(from.policies(), name), settings(to.policies(), name));
        let together = Together {
            addresses: compare_addresses(from, name, to, name),
            places: compare_places(from, name, to, name),
        };
        old.zip(new).map(|(old, new)| policy(&format!("policy {name}"), &old, &new, together)).unwrap_or_default()
    })
    .collect()
}

/// Compares the client addresses that two policies accept; `None` if one of them does not decide only by address.
fn compare_addresses(from: &Compiled, old: &str, to: &Compiled, new: &str) -> Option<Looseness> {
    let (old, new) = (admitted(from.policies(), old), admitted(to.policies(), new));
    old.zip(new).map(|(old, new)| compare_admitted(&old, &new))
}

/// The policies that routes use, each with its slot.
pub(super) fn used(compiled: &Compiled) -> BTreeSet<(&str, Slot)> {
    let routes = compiled.routes().iter();
    routes
        .flat_map(|route| route.settings.policies(compiled.policies()).map(|policy| (policy.name, policy.slot)))
        .collect()
}

fn policy(subject: &str, old: &Settings, new: &Settings, together: Together) -> Vec<Change> {
    if old.kind != new.kind {
        let values = Differing { from: Some(old.kind.to_owned()), to: Some(new.kind.to_owned()) };
        return vec![Change::of(subject, "kind", values, Effect::Review, "the policy has another kind")];
    }
    let mut all = keys(subject, "", old, new, together, |_| true);
    // For keys that a plan does not set, the policy's own values apply.
    for plan in old.plans.iter().chain(&new.plans).map(|(plan, _)| plan).collect::<BTreeSet<_>>() {
        let replaced = |key: &str| [old, new].iter().any(|settings| settings.replaces(plan, key));
        all.extend(keys(
            subject,
            &format!("plans.{plan}."),
            &old.with_plan(plan),
            &new.with_plan(plan),
            Together::default(),
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
    together: Together,
    is_compared: impl Fn(&str) -> bool,
) -> Vec<Change> {
    let both = old.list.iter().zip(&new.list).filter(|(old, _)| is_compared(old.key));
    both.filter_map(|(old, new)| compare_key(&format!("{prefix}{}", old.key), subject, old, new, together)).collect()
}

/// What all keys of two policies do together.
#[derive(Clone, Copy, Default)]
struct Together {
    /// The clients that are accepted, if the policies decide only by address.
    addresses: Option<Looseness>,
    /// The places from which credentials are read, if they are authenticators.
    places: Option<Looseness>,
}

/// The effect of another value of a key.
fn compare_key(setting: &str, subject: &str, old: &Setting, new: &Setting, together: Together) -> Option<Change> {
    let (from, to) = (old.value.as_ref(), new.value.as_ref());
    if is_same(from, to) {
        return None;
    }
    let shown = |setting: &Setting| setting.value.as_ref().map(ToString::to_string);
    let values = Differing { from: shown(old), to: shown(new) };
    let word = |setting: &Setting, words: &[&str]| {
        let shown = shown(setting)?;
        words.iter().position(|word| *word == shown)
    };
    let change = |effect, reason: &str| Change::of(subject, setting, values, effect, reason);
    let by = |looseness| match looseness {
        Looseness::Same => None,
        Looseness::Stricter => Some((Effect::Breaking, "requests that were accepted may be refused", false)),
        Looseness::Looser => Some((Effect::Compatible, "more requests are accepted", true)),
        Looseness::Other => Some((Effect::Breaking, "other requests are accepted", true)),
    };
    let ordered = |more_is_looser| compare(from, to, more_is_looser);
    let (effect, reason, loosens) = match old.change {
        ChangeRule::Identity => match together.places? {
            Looseness::Same => return None,
            Looseness::Stricter => (Effect::Breaking, "credentials are read from fewer places", false),
            Looseness::Looser => (Effect::Compatible, "credentials are accepted in more places", true),
            Looseness::Other => (Effect::Breaking, "credentials are read from other places", true),
        },
        ChangeRule::Review(why) => (Effect::Review, why, false),
        ChangeRule::Required(why) if from.is_some() && to.is_some() => (Effect::Review, why, false),
        ChangeRule::Required(_) => by(ordered(true))?,
        ChangeRule::LoosestFirst { words, looser, stricter } => match (word(old, words)?, word(new, words)?) {
            (old, new) if new < old => (Effect::Review, looser, true),
            _ => (Effect::Review, stricter, false),
        },
        ChangeRule::Accepts { what, words } => return Some(accepts(change, what, words, &shown(old)?, &shown(new)?)),
        ChangeRule::MoreIsLooser => by(together.addresses.unwrap_or_else(|| ordered(true)))?,
        ChangeRule::MoreIsStricter => by(together.addresses.unwrap_or_else(|| ordered(false)))?,
        ChangeRule::MoreIsGranted => by(granted(from, to, true))?,
        ChangeRule::SoonerIsLooser => by(granted(from, to, false))?,
        ChangeRule::MoreIsLooserIf(absence) => match (from.is_some() && to.is_some(), absence) {
            (true, _) => by(ordered(true))?,
            (false, Absence::AcceptsOthers) => by(Looseness::Other)?,
            (false, Absence::FollowsAnotherKey) => return None,
        },
        ChangeRule::OneOfEach => by(compare_each(from, to))?,
    };
    let change = change(effect, reason);
    Some(if loosens { change.loosening() } else { change })
}

/// The effect of another word, by what each accepts.
fn accepts(
    change: impl FnOnce(Effect, &str) -> Change,
    what: &str,
    words: &[(&str, &[&'static str])],
    old: &str,
    new: &str,
) -> Change {
    let of = |word: &str| words.iter().find(|(known, _)| *known == word).map_or(&[][..], |(_, accepted)| *accepted);
    let only = |those: &[&'static str], others: &[&str]| {
        those.iter().filter(|one| !others.contains(one)).copied().collect::<Vec<_>>().join(" or ")
    };
    let (more, fewer) = (only(of(new), of(old)), only(of(old), of(new)));
    match (more.is_empty(), fewer.is_empty()) {
        (true, _) => change(Effect::Breaking, &format!("{what} {fewer} are refused now")),
        (false, true) => change(Effect::Compatible, &format!("{what} {more} are accepted now")).loosening(),
        (false, false) => {
            let reason = format!("{what} {more} are accepted now, {what} {fewer} are refused");
            change(Effect::Breaking, &reason).loosening()
        }
    }
}

/// The settings in one line.
fn summary(settings: &Settings) -> String {
    settings.list.iter().filter_map(shown).collect::<Vec<_>>().join(", ")
}

/// A setting with its key, where it has a value.
fn shown(setting: &Setting) -> Option<String> {
    Some(format!("{} {}", setting.key, setting.value.as_ref()?))
}
