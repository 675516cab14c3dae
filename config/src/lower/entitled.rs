//! What records of plans, subscriptions and grants may change, for the operators who write them.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use tollgate_core::entitlement::{Entitled, PlanNumbers};
use tollgate_core::forward::Attribute;
use tollgate_core::kinds::{AuthnPolicy, LimitPolicy, Named, NamedPolicy, Policies, Policy};
use tollgate_core::settings::{EntitledLimit, EntitledSettings, GatewaySettings};
use tollgate_core::time::Timestamp;

use super::Whole;
use super::policies::Definitions;
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::place::Spanned;
use crate::policies::keep;

/// The limits that records may give numbers, and the APIs with a limit that depends on subscriptions; `None` if there are none.
pub(super) fn entitled(whole: &Whole, plans: &[String]) -> Option<EntitledSettings> {
    let (mut limits, mut apis) = (BTreeMap::new(), BTreeSet::new());
    for route in whole.routes.iter().map(|route| &route.settings).filter(|route| !route.authn.is_empty()) {
        for limit in whole.policies.at(&route.limit).filter(|limit| limit.policy.counting().asks_for_subscriptions()) {
            apis.insert(route.api.clone());
            limits.extend(entitled_limit(limit, plans).map(|limit| (limit.policy.clone(), limit)));
        }
    }
    let limits = limits.into_values().collect();
    (!apis.is_empty()).then(|| EntitledSettings { limits, apis: apis.into_iter().collect() })
}

/// A limit that records may give numbers, with those that the configuration gives it.
fn entitled_limit(limit: &Named<LimitPolicy>, plans: &[String]) -> Option<EntitledLimit> {
    let at_most = limit.policy.counting().at_most?;
    let charge = |plan| limit.policy.charge(&limit.name, plan, NonZeroU32::MIN, Timestamp::EPOCH);
    let own = charge(None);
    let (number, period_ms) = Entitled::number(&own, &own);
    let plans = plans.iter().map(|plan| (plan.clone(), Entitled::number(&own, &charge(Some(plan.as_str()))).0));
    let plans = plans.filter(|(_, of_plan)| *of_plan != number).collect();
    Some(EntitledLimit { policy: limit.name.to_string(), at_most, number: Some(number), period_ms, plans })
}

/// Reports limits with `limit-from` whose callers have no claims on any route.
pub(super) fn report_unclaimed(whole: &Whole, definitions: &Definitions<NamedPolicy>, report: &mut Report) {
    let (mut charged, mut claimed) = (BTreeSet::new(), BTreeSet::new());
    let know_claims = |policy: &AuthnPolicy| keep(&mut Policy::Authn(policy.clone()), &Attribute::Claim(Vec::new()));
    for route in whole.routes.iter().map(|route| &route.settings).filter(|route| !route.authn.is_empty()) {
        let mut authn = route.authn.iter().flat_map(|together| whole.policies.at(together));
        let have_claims = authn.any(|named| know_claims(&named.policy));
        for limit in whole.policies.at(&route.limit).filter(|limit| limit.policy.counting().number_from.is_some()) {
            charged.insert(limit.name.as_str());
            claimed.extend(have_claims.then_some(limit.name.as_str()));
        }
    }
    for policy in charged.difference(&claimed) {
        let Some(span) = definitions.place(policy).and_then(|place| definitions.span(place)) else { continue };
        report.push(
            Diagnostic::warning(Code::PlanNeverApplies, span, format!("no claim changes the limit `{policy}`"))
                .why("no route that lists it has a policy in `authn` that reads tokens (`jwt`, `introspection`, `oidc-login`)")
                .fix("list the policy on a route that has one, or remove `limit-from`"),
        );
    }
}

/// Reports limits with `at-most` that no route charges after authentication: nobody's records are known there.
pub(super) fn report_unapplied(whole: &Whole, definitions: &Definitions<NamedPolicy>, report: &mut Report) {
    let (mut charged, mut applied) = (BTreeSet::new(), BTreeSet::new());
    for route in whole.routes.iter().map(|route| &route.settings) {
        let (guard, limit) = (whole.policies.at(&route.guard_limit), whole.policies.at(&route.limit));
        let asks = guard.chain(limit).filter(|limit| limit.policy.counting().asks_for_subscriptions());
        charged.extend(asks.map(|limit| limit.name.as_str()));
        if !route.authn.is_empty() {
            applied.extend(whole.policies.at(&route.limit).map(|limit| limit.name.as_str()));
        }
    }
    for policy in charged.difference(&applied) {
        let Some(span) = definitions.place(policy).and_then(|place| definitions.span(place)) else { continue };
        report.push(
            Diagnostic::warning(Code::PlanNeverApplies, span, format!("records never change the limit `{policy}`"))
                .why("no route authenticates the caller before it charges the limit, so nobody's subscriptions and grants are known")
                .fix("list the policy in `limit` of a route that has `authn`, or remove `at-most`, and `subscription` from `by`"),
        );
    }
}

/// What is wrong with the number that a key of fixtures has for a limit: `tollgate key new` refuses the same.
pub(crate) fn number_fault(
    settings: &GatewaySettings,
    policies: &Policies,
    numbers: &Spanned<PlanNumbers>,
) -> Option<Diagnostic> {
    let PlanNumbers { policy, count, burst, .. } = &numbers.value;
    let changed = settings.entitled.as_ref().map_or(&[][..], |entitled| &entitled.limits);
    let names = || changed.iter().map(|limit| limit.policy.as_str());
    let defined = policies.limit.iter().find(|named| named.name.as_str() == policy);
    let (what, why, fix) = match (names().position(|name| name == policy), defined) {
        (Some(place), _) => {
            let (number, at_most) = ((*count).max(burst.unwrap_or(0)), changed[place].at_most);
            if number <= at_most.get() {
                return None;
            }
            let what = format!("{number} is more than the {at_most} that the limit `{policy}` allows");
            let fix = format!("write at most {at_most}, or raise `at-most` of the policy");
            (what, "`at-most` is the largest number that a key may have for the limit", fix)
        }
        (None, Some(named)) if named.policy.counting().at_most.is_none() => (
            format!("the limit `{policy}` has no `at-most`"),
            "without it no key can have a number of its own for the limit",
            "write `at-most` in the policy, or remove the number".to_owned(),
        ),
        (None, Some(_)) => (
            format!("no route with `authn` has the limit `{policy}`"),
            "elsewhere the key of a request is not known when the limit is charged",
            "list the policy in `limit` of a route that has `authn`, or remove the number".to_owned(),
        ),
        (None, None) => {
            let fix = match closest(policy, names()) {
                Some(known) => format!("did you mean `{known}`?"),
                None if changed.is_empty() => {
                    "write `at-most` in a limit of the project, or remove the number".to_owned()
                }
                None => format!("use one of {}", listed(names())),
            };
            (format!("the project has no limit `{policy}`"), "the number of the key would have no effect", fix)
        }
    };
    Some(Diagnostic::error(Code::BadLimit, numbers.span, what).why(why).fix(fix))
}
