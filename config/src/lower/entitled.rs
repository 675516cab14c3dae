//! What records of plans, subscriptions and grants may change, for the operators who write them.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::forward::Attribute;
use tollgate_core::kinds::{AuthnPolicy, NamedPolicy, Policy};
use tollgate_core::settings::{EntitledLimit, EntitledSettings};

use super::Whole;
use super::policies::Definitions;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policies::keep;

/// The limits that records may give numbers, and the APIs with a limit that depends on subscriptions; `None` if there are none.
pub(super) fn entitled(whole: &Whole) -> Option<EntitledSettings> {
    let (mut limits, mut apis) = (BTreeMap::new(), BTreeSet::new());
    for route in whole.routes.iter().map(|route| &route.settings).filter(|route| !route.authn.is_empty()) {
        for limit in whole.policies.at(&route.limit).filter(|limit| limit.policy.counting().asks_for_subscriptions()) {
            apis.insert(route.api.clone());
            limits.extend(limit.policy.counting().at_most.map(|at_most| (limit.name.to_string(), at_most)));
        }
    }
    let limits = limits.into_iter().map(|(policy, at_most)| EntitledLimit { policy, at_most }).collect();
    (!apis.is_empty()).then(|| EntitledSettings { limits, apis: apis.into_iter().collect() })
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
