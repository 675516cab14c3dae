//! The `access` policy: admits or refuses authenticated callers by consumer, plan and group.
//!
//! A caller that one of the denied lists names is refused. Otherwise it is admitted if one of the allowed lists names it, or
//! if there is no allowed list.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use super::{Authorizer, Checked, Facts, not_authorized};
use crate::authn::Principal;
use crate::bounds::ACCESS_NAMES_MAX;
use crate::codec::{self, Decode};
use crate::event::Reason;
use crate::kinds::{PolicyKind, Uses};
use crate::problem::Problem;

/// Settings of one `access` policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct AccessSettings {
    /// The callers that are admitted; without any, all that are not denied.
    #[cbor(n(0), skip_if = "codec::is_default")]
    pub allow: Callers,
    /// The callers that are refused.
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub deny: Callers,
}

impl codec::Section for AccessSettings {}

/// Callers by what is known of them; each list is sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Callers {
    /// The names of consumers.
    #[cbor(n(0), skip_if = "codec::is_default")]
    pub consumers: Vec<String>,
    /// The names of plans.
    #[cbor(n(1), skip_if = "codec::is_default")]
    pub plans: Vec<String>,
    /// The names of groups and roles.
    #[cbor(n(2), skip_if = "codec::is_default")]
    pub groups: Vec<String>,
}

impl Callers {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.consumers.is_empty() && self.plans.is_empty() && self.groups.is_empty()
    }

    /// The list that names a caller, if one does.
    fn naming(&self, caller: &Principal) -> Option<&'static str> {
        let has = |list: &[String], name: &str| list.binary_search_by(|known| known.as_str().cmp(name)).is_ok();
        if has(&self.consumers, &caller.consumer) {
            Some("consumers")
        } else if caller.plan.as_deref().is_some_and(|plan| has(&self.plans, plan)) {
            Some("plans")
        } else if caller.groups.iter().any(|group| has(&self.groups, group)) {
            Some("groups")
        } else {
            None
        }
    }

    fn lists(&self) -> [&Vec<String>; 3] {
        [&self.consumers, &self.plans, &self.groups]
    }
}

impl Authorizer for AccessSettings {
    fn check(&self, request: &Facts<'_>) -> Result<Checked<'_>, Problem> {
        let Some(caller) = request.principal else { return Err(not_authorized(Reason::CallerUnknown)) };
        if let Some(list) = self.deny.naming(caller) {
            return Err(not_authorized(Reason::CallerDenied { list }));
        }
        if self.allow.is_empty() || self.allow.naming(caller).is_some() {
            return Ok(Checked::Authorized);
        }
        Err(not_authorized(Reason::CallerNotAllowed))
    }

    fn needs_caller(&self) -> bool {
        true
    }
}

impl PolicyKind for AccessSettings {
    fn is_coherent(&self) -> bool {
        let lists = self.allow.lists().into_iter().chain(self.deny.lists());
        lists.into_iter().all(|list| list.len() <= ACCESS_NAMES_MAX && list.is_sorted())
    }

    fn uses(&self) -> Uses<'_> {
        Uses::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expression::with_facts;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn callers(consumers: &[&str], plans: &[&str], groups: &[&str]) -> Callers {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Callers { consumers: list(consumers), plans: list(plans), groups: list(groups) }
    }

    /// The reason of a refusal of the consumer `acme` with the plan `gold` and the groups `ops` and `staff`.
    #[track_caller]
    fn check(allow: Callers, deny: Callers, refused: Option<&str>) {
        let settings = AccessSettings { allow, deny };
        assert!(settings.is_coherent());
        let caller = Principal::new("acme".into(), "k1".into(), Some("gold".into()), vec![]);
        let caller = caller.with_groups(vec!["staff".into(), "ops".into()]);
        let decided = with_facts(Some(&caller), |facts| settings.check(facts).map(drop));
        let reason = decided.as_ref().err().map(|problem| problem.reason.to_string());
        assert_eq!(reason.as_deref(), refused, "{settings:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_of_the_allowed_lists_has_to_name_the_caller() {
        let none = Callers::default;
        check(none(), none(), None);
        for allow in [
            callers(&["acme", "zeta"], &[], &[]),
            callers(&[], &["gold"], &[]),
            callers(&["zeta"], &["silver"], &["a", "ops"]),
        ] {
            check(allow, none(), None);
        }
        let no_list = Some("none of the lists of allowed callers names the caller");
        check(callers(&["acm", "acme2"], &["golden"], &["opsx"]), none(), no_list);
        // Names of one list mean nothing in another.
        check(callers(&["gold", "ops"], &["acme"], &["gold"]), none(), no_list);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_denied_caller_is_refused_even_if_it_is_allowed() {
        let allow = || callers(&["acme"], &[], &[]);
        check(allow(), callers(&["acme"], &[], &[]), Some("the caller is in `consumers` of those denied"));
        check(allow(), callers(&[], &["gold"], &[]), Some("the caller is in `plans` of those denied"));
        check(allow(), callers(&[], &[], &["staff"]), Some("the caller is in `groups` of those denied"));
        check(allow(), callers(&["zeta"], &["silver"], &["guests"]), None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_request_without_a_caller_is_refused() {
        let refused = with_facts(None, |facts| AccessSettings::default().check(facts).map(drop)).unwrap_err();
        assert_eq!((refused.kind.status().as_u16(), refused.reason.clone()), (403, Reason::CallerUnknown));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_unsorted_list_is_not_searched() {
        let allow = callers(&["b", "a"], &[], &[]);
        assert!(!AccessSettings { allow, deny: Callers::default() }.is_coherent());
    }
}
