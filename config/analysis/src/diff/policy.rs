//! Policies: those that a route names, and the settings of those that both gateways have by one name.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use tollgate_config::{Compiled, duration};
use tollgate_core::kinds::{CredentialPlace, LimitPolicy, Named, Place};
use tollgate_core::limit::{LimitBy, OnUnavailable, PlanLimit, RateLimitSettings};
use tollgate_core::settings::RouteSettings;

use super::{Change, Differing, Effect};

/// Where a route takes credentials from, each with the name of a policy that does.
///
/// Policies by one name in both gateways are compared once, under their name; here they are the same.
pub(super) fn authn<'c>(compiled: &'c Compiled, route: &RouteSettings) -> BTreeMap<String, &'c str> {
    let policies = route.authenticators().filter_map(|place| compiled.policies().view(place));
    policies.filter_map(|policy| Some((place(policy.uses.credential?), policy.name))).collect()
}

/// Where a key is looked for.
fn place(settings: CredentialPlace<'_>) -> String {
    let scheme = settings.scheme.map(|scheme| format!(" {scheme}")).unwrap_or_default();
    let query = settings.query.map(|query| format!(" or ?{query}")).unwrap_or_default();
    format!("{}{scheme}{query}", settings.field)
}

/// The limits of two routes.
pub(super) fn limits(
    from: &Compiled,
    to: &Compiled,
    old: &RouteSettings,
    new: &RouteSettings,
    subject: &str,
) -> Vec<Change> {
    let mut all = Vec::new();
    let (old_limits, new_limits) = (charged(from, old), charged(to, new));
    let by_name = |name: &str, limits: &[(&str, &RateLimitSettings)]| limits.iter().any(|(known, _)| *known == name);
    let mut added: Vec<_> = new_limits.iter().filter(|(name, _)| !by_name(name, &old_limits)).collect();
    for (_, settings) in old_limits.iter().filter(|(name, _)| !by_name(name, &new_limits)) {
        // The same limit by another name: its counters begin anew, and nothing else differs.
        if let Some(same) = added.iter().position(|(_, other)| other == settings) {
            added.remove(same);
            continue;
        }
        let values = Differing { from: Some(shown(settings)), to: None };
        let change = Change::of(subject, "limit", values, Effect::Compatible, "a limit is lifted");
        all.push(change.loosening());
    }
    for (_, settings) in added {
        let values = Differing { from: None, to: Some(shown(settings)) };
        all.push(Change::of(subject, "limit", values, Effect::Breaking, "requests past a new limit are refused"));
    }
    if old.cost != new.cost && !(old_limits.is_empty() && new_limits.is_empty()) {
        let values = Differing { from: Some(old.cost.to_string()), to: Some(new.cost.to_string()) };
        all.push(if new.cost > old.cost {
            Change::of(subject, "cost", values, Effect::Breaking, "limits are exhausted sooner")
        } else {
            Change::of(subject, "cost", values, Effect::Compatible, "limits last longer").loosening()
        });
    }
    all
}

fn charged<'c>(compiled: &'c Compiled, route: &RouteSettings) -> Vec<(&'c str, &'c RateLimitSettings)> {
    let rate_limit = |LimitPolicy::RateLimit(settings): &'c LimitPolicy| settings;
    compiled.policies().at(&route.limit).map(|limit| (limit.name.as_str(), rate_limit(&limit.policy))).collect()
}

/// Limits that both gateways have by one name and use. Where a key is taken from is compared for each route.
pub(super) fn policies(from: &Compiled, to: &Compiled) -> Vec<Change> {
    let uses = |compiled: &Compiled, name: &str| {
        let is_named =
            |place: &Place<LimitPolicy>| compiled.policies().get(*place).is_some_and(|limit| limit.name == name);
        compiled.routes().iter().any(|route| route.settings.limit.iter().any(is_named))
    };
    let named = |old: &Named<LimitPolicy>| to.policies().limit.iter().find(|new| new.name == old.name);
    let both = from.policies().limit.iter().filter_map(|old| Some((old, named(old)?)));
    let used = both.filter(|(old, new)| old.policy != new.policy && uses(from, &old.name) && uses(to, &new.name));
    used.flat_map(|(old, new)| {
        let (LimitPolicy::RateLimit(a), LimitPolicy::RateLimit(b)) = (&old.policy, &new.policy);
        rate_limit(&format!("policy {}", old.name), a, b)
    })
    .collect()
}

fn rate_limit(subject: &str, old: &RateLimitSettings, new: &RateLimitSettings) -> Vec<Change> {
    let say = |setting: &str, from: String, to: String, effect, reason: &str| {
        Change::of(subject, setting, Differing { from: Some(from), to: Some(to) }, effect, reason)
    };
    let own = |settings: &RateLimitSettings| PlanLimit {
        rate: settings.rate,
        period_ms: settings.period_ms,
        burst: settings.burst,
    };
    let mut all = numbers(subject, "", own(old), own(new));
    // What a plan does not say of a policy, the policy says itself.
    for plan in old.plans.keys().chain(new.plans.keys()).collect::<BTreeSet<_>>() {
        let of = |settings: &RateLimitSettings| settings.plans.get(plan).copied().unwrap_or_else(|| own(settings));
        all.extend(numbers(subject, &format!("plans.{plan}."), of(old), of(new)));
    }
    if old.by != new.by {
        let reason = "other requests share the limit";
        all.push(say("by", by(old.by).to_owned(), by(new.by).to_owned(), Effect::Review, reason));
    }
    if old.on_unavailable != new.on_unavailable {
        let closes = new.on_unavailable == OnUnavailable::Closed;
        let (from, to) = (on(old.on_unavailable).to_owned(), on(new.on_unavailable).to_owned());
        let reason = "while the counter store is away, requests are answered otherwise";
        let change = say("on-unavailable", from, to, Effect::Review, reason);
        all.push(if closes { change } else { change.loosening() });
    }
    all
}

/// Rate and burst, of a policy or of a plan.
fn numbers(subject: &str, prefix: &str, old: PlanLimit, new: PlanLimit) -> Vec<Change> {
    let judged = |is_tighter: bool, setting: &str, from: String, to: String| {
        let values = Differing { from: Some(from), to: Some(to) };
        let setting = format!("{prefix}{setting}");
        if is_tighter {
            Change::of(subject, &setting, values, Effect::Breaking, "requests that passed may be refused")
        } else {
            Change::of(subject, &setting, values, Effect::Compatible, "more requests pass").loosening()
        }
    };
    let mut all = Vec::new();
    // 60/min and 1/s are the same rate: they are compared as fractions.
    let (was, is) = (
        u64::from(old.rate.get()) * u64::from(new.period_ms.get()),
        u64::from(new.rate.get()) * u64::from(old.period_ms.get()),
    );
    if was != is {
        all.push(judged(is < was, "rate", rate(old.rate, old.period_ms), rate(new.rate, new.period_ms)));
    }
    if old.burst != new.burst {
        all.push(judged(new.burst < old.burst, "burst", old.burst.to_string(), new.burst.to_string()));
    }
    all
}

fn shown(settings: &RateLimitSettings) -> String {
    let rate = rate(settings.rate, settings.period_ms);
    format!("{rate}, burst {}, by {}", settings.burst, by(settings.by))
}

/// As a project writes it: `60/m`, `5/10s`.
fn rate(rate: NonZeroU32, period_ms: NonZeroU32) -> String {
    let period = duration(u64::from(period_ms.get()));
    let unit = period.strip_prefix('1').filter(|unit| !unit.starts_with(|c: char| c.is_ascii_digit()));
    format!("{rate}/{}", unit.unwrap_or(&period))
}

const fn by(by: LimitBy) -> &'static str {
    match by {
        LimitBy::Consumer => "consumer",
        LimitBy::Address => "address",
    }
}

const fn on(on: OnUnavailable) -> &'static str {
    match on {
        OnUnavailable::Open => "open",
        OnUnavailable::Closed => "closed",
    }
}
