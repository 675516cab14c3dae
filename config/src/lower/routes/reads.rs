//! What the policies of a route read of requests and callers: what has to be kept for them, and what they never see.

use tollgate_core::authn::BindingMode;
use tollgate_core::expression::Source;
use tollgate_core::forward::{Attribute, is_never_forwarded};
use tollgate_core::kinds::{AuthzPolicy, NamedPolicy, Policy, PolicyName};
use tollgate_core::limit::{LimitBy, Measure};
use tollgate_core::route::{HostPattern, Methods, PathTemplate, Segment};

use super::super::merge::Effective;
use super::super::route_checks::{
    report_beside_guard, report_beside_writes, report_chosen, report_no_claims, report_no_cost, report_no_installation,
    report_no_location, report_no_parameter, report_not_forwarded, report_one_quota, report_refuses_all,
    report_same_quota, report_without_caller,
};
use super::{Lowering, Policies};
use crate::expression::constant::Requests;
use crate::place::Spanned;
use crate::policies;

impl Lowering<'_, '_> {
    /// Reports policies that decide by the caller, on a route that has none.
    pub(super) fn check_authz(&mut self, effective: &Effective<'_>, places: &[usize]) {
        if !effective.authn.items.is_empty() {
            return;
        }
        let needs_caller = |place: &usize| match self.policies.get(*place).map(|named| &named.policy) {
            Some(Policy::Authz(policy)) => policy.needs_caller(),
            Some(Policy::Guard(_) | Policy::Authn(_) | Policy::Limit(_)) | None => false,
        };
        let named: Vec<_> = effective.authz.items().flat_map(|item| &item.names).collect();
        if let Some((name, _)) = named.into_iter().zip(places).find(|(_, place)| needs_caller(place)) {
            report_without_caller(name, self.report);
        }
    }

    /// Lets the authenticators of a route keep the claims that its conditions and limits read, and reports parameters that its
    /// path does not have, and what its upstream does not receive.
    pub(super) fn apply_reads(
        &mut self,
        effective: &Effective<'_>,
        (authn, authz): Policies<'_>,
        limits: &[usize],
        path: Option<&PathTemplate>,
        upstream: usize,
    ) {
        let named: Vec<_> = effective.authz.items().flat_map(|item| &item.names).collect();
        let mut claims = self.read_by_limits(effective, (authn, limits), path);
        for (place, name) in authz.iter().zip(named) {
            let Some(Policy::Authz(policy)) = self.policies.get(*place).map(|named| &named.policy) else { continue };
            for source in policy.reads() {
                match source {
                    Source::Claim(path) => claims.push(path.clone()),
                    Source::Parameter(parameter) => {
                        if let Some(path) = path.filter(|path| !has_parameter(path, parameter)) {
                            let defined = self.policies.span(*place).unwrap_or(name.span);
                            report_no_parameter(name, parameter, path, defined, self.report);
                        }
                    }
                    // A service that decides may have to know a credential; what a condition reads, the upstream should see too.
                    source if matches!(policy, AuthzPolicy::Condition(_)) => {
                        if let Some(why) = self.why_not_forwarded(source, upstream) {
                            let defined = self.policies.span(*place).unwrap_or(name.span);
                            report_not_forwarded(name, source, why, defined, self.report);
                        }
                    }
                    _ => {}
                }
            }
        }
        for claim in claims {
            self.keep(authn, &Attribute::Claim(claim));
        }
    }

    /// The claims that limits count by. Reports parameters that the path does not have, and values of a caller on a route that has
    /// none.
    fn read_by_limits(
        &mut self,
        effective: &Effective<'_>,
        (authn, limits): (&[Vec<usize>], &[usize]),
        path: Option<&PathTemplate>,
    ) -> Vec<Vec<String>> {
        let know_claims = authn.iter().flatten().any(|place| self.may_know_claims(*place));
        let named: Vec<_> =
            effective.guard.items().chain(effective.limit.items()).flat_map(|item| &item.names).collect();
        let mut claims = Vec::new();
        for place in limits {
            let Some(own) = self.policies.get(*place) else { continue };
            let Policy::Limit(policy) = &own.policy else { continue };
            let Some(name) = named.iter().find(|name| names(name, &own.name)) else { continue };
            // Where no token has it, the limit has other numbers.
            if let Some(Source::Claim(path)) = policy.counting().number_from.as_ref().filter(|_| know_claims) {
                claims.push(path.clone());
            }
            for source in policy.partition().sources() {
                match source {
                    source if source.is_of_caller() && effective.authn.items.is_empty() => {
                        report_without_caller(name, self.report);
                    }
                    source @ Source::Claim(_) if !know_claims => {
                        let defined = self.policies.span(*place).unwrap_or(name.span);
                        report_one_quota(name, source, defined, self.report);
                    }
                    Source::Claim(path) => claims.push(path.clone()),
                    Source::Parameter(parameter) => {
                        if let Some(path) = path.filter(|path| !has_parameter(path, parameter)) {
                            let defined = self.policies.span(*place).unwrap_or(name.span);
                            report_same_quota(name, parameter, path, defined, self.report);
                        }
                    }
                    _ => {}
                }
            }
            let Some(Measure::Value(source)) = policy.counting().cost.as_deref().map(|cost| &cost.of) else { continue };
            let is_unknown = match source {
                Source::Parameter(parameter) => path.is_some_and(|path| !has_parameter(path, parameter)),
                Source::Claim(_) => !know_claims,
                source => source.is_of_caller() && effective.authn.items.is_empty(),
            };
            if is_unknown {
                let defined = self.policies.span(*place).unwrap_or(name.span);
                report_no_cost(name, source, defined, self.report);
            } else if let Source::Claim(path) = source {
                claims.push(path.clone());
            }
        }
        claims
    }

    /// Reports a route whose callers choose the quota of each of its limits.
    pub(super) fn check_chosen(&mut self, effective: &Effective<'_>, limits: &[usize], hosts: &[HostPattern]) {
        // Of a pattern, callers choose the host.
        let are_hosts_open = hosts.iter().any(|host| !matches!(host, HostPattern::Exact(_)));
        let policy = |place: &usize| match self.policies.get(*place).map(|own| (&own.name, &own.policy)) {
            Some((name, Policy::Limit(policy))) if !policy.counting().shadow => Some((*place, name, policy)),
            _ => None,
        };
        let is_chosen = |source: &&Source| match source {
            Source::Header(_) | Source::Query(_) | Source::Parameter(_) | Source::Path | Source::Cookie(_) => true,
            Source::Host => are_hosts_open,
            _ => false,
        };
        let mut first = None;
        for (place, name, policy) in limits.iter().filter_map(policy) {
            match policy.partition().sources().find(is_chosen) {
                None => return,
                Some(source) => first = first.or_else(|| Some((place, name.clone(), source.clone()))),
            }
        }
        let Some((place, policy, source)) = first else { return };
        let mut named = effective.guard.items().chain(effective.limit.items()).flat_map(|item| &item.names);
        let Some(name) = named.find(|name| names(name, &policy)) else { return };
        let defined = self.policies.span(place).unwrap_or(name.span);
        report_chosen(name, &source, defined, self.report);
    }

    /// Why an upstream does not receive a field or a parameter as the client sent it.
    fn why_not_forwarded(&self, source: &Source, upstream: usize) -> Option<String> {
        let places = || self.policies.all().filter_map(|named| Some((&named.name, named.policy.uses().credential?)));
        let of_policy = |name: &PolicyName| format!("policy `{name}` reads a credential there, which is not forwarded");
        match source {
            Source::Header(field) => {
                if is_never_forwarded(field) {
                    return Some(
                        "the gateway removes this field, or writes it itself, because clients can write anything"
                            .into(),
                    );
                }
                let upstream = self.upstreams.get(upstream).or_else(|| self.passed_on.get(upstream));
                if upstream.is_some_and(|to| to.fields.iter().any(|(name, _)| name == field)) {
                    return Some("`headers` of the upstream sets this field".into());
                }
                if upstream.is_some_and(|to| to.identity.iter().any(|own| own.name.as_str() == field)) {
                    return Some(
                        "`identity` of the upstream sets this field; what the client sends in it is not who it is"
                            .into(),
                    );
                }
                places().find(|(_, place)| place.field.as_str() == field).map(|(name, _)| of_policy(name))
            }
            Source::Query(parameter) => {
                places().find(|(_, place)| place.query.as_ref() == Some(parameter)).map(|(name, _)| of_policy(name))
            }
            _ => None,
        }
    }

    /// Reports policies that refuse every request of a route, but not those of every route.
    pub(super) fn check_conditions(
        &mut self,
        effective: &Effective<'_>,
        (authn, authz): Policies<'_>,
        methods: &Methods,
        have_caller: bool,
    ) {
        let named: Vec<_> = effective.authz.items().flat_map(|item| &item.names).collect();
        let requests = Requests::of(methods, have_caller);
        let untold = self
            .project
            .gateway
            .iter()
            .filter(|gateway| gateway.proxy_country_field.is_none() && gateway.proxy_asn_field.is_none());
        let targets = untold.flat_map(|gateway| &gateway.targets.value);
        let without_location = targets.copied().find(|target| !target.is_workers());
        let without_claims = !authn.is_empty() && !authn.iter().flatten().any(|place| self.may_know_claims(*place));
        for (place, name) in authz.iter().zip(named) {
            let Some(policy) = self.policies.get(*place).map(|named| &named.policy) else { continue };
            let of = |requests: &Requests<'_>| policies::decided(policy, requests);
            if of(&requests) == Some(false) && of(&Requests::default()).is_none() {
                let defined = self.policies.span(*place).unwrap_or(name.span);
                report_refuses_all(name, defined, self.report);
            } else if let Some(target) = without_location
                && of(&requests) != Some(false)
                && of(&Requests { without_location: true, ..requests.clone() }) == Some(false)
            {
                let defined = self.policies.span(*place).unwrap_or(name.span);
                report_no_location(name, target, defined, self.report);
            } else if without_claims
                && of(&requests) != Some(false)
                && of(&Requests { without_claims, ..requests.clone() }) == Some(false)
            {
                let defined = self.policies.span(*place).unwrap_or(name.span);
                report_no_claims(name, defined, self.report);
            }
        }
    }

    /// Whether callers of a policy may have claims that conditions can read.
    fn may_know_claims(&self, place: usize) -> bool {
        let of = |named: &NamedPolicy| policies::keep(&mut named.policy.clone(), &Attribute::Claim(Vec::new()));
        self.policies.get(place).is_none_or(of)
    }

    /// Reports limits that are charged while writes are forwarded, and those in `guard` that say so.
    pub(super) fn check_beside(
        &mut self,
        effective: &Effective<'_>,
        methods: &Methods,
        limit: &[usize],
        guard_limit: &[usize],
    ) {
        let writes = methods.is_empty() || methods.iter().any(|method| !method.is_safe());
        let limits: Vec<_> = effective.limit.items().flat_map(|item| &item.names).collect();
        let guards: Vec<_> = effective.guard.items().flat_map(|item| &item.names).collect();
        let all = limit.iter().filter(|_| writes).map(|place| (place, &limits, false));
        for (place, named, is_in_guard) in all.chain(guard_limit.iter().map(|place| (place, &guards, true))) {
            let Some(own) = self.policies.get(*place) else { continue };
            let Policy::Limit(policy) = &own.policy else { continue };
            // What refuses nothing does not repeat a write.
            if !policy.counting().beside || policy.counting().shadow && !is_in_guard {
                continue;
            }
            let Some(name) = named.iter().find(|name| names(name, &own.name)) else { continue };
            let defined = self.policies.span(*place).unwrap_or(name.span);
            let report = if is_in_guard { report_beside_guard } else { report_beside_writes };
            report(name, defined, self.report);
        }
    }

    /// Reports limits that count by installation on a route whose tokens are bound to nothing.
    pub(super) fn check_installations(&mut self, effective: &Effective<'_>, authn: &[Vec<usize>], limit: &[usize]) {
        let binds = |place: &usize| {
            let named = self.policies.get(*place);
            named.is_none_or(|named| {
                policies::token_rules(&named.policy).is_some_and(|rules| rules.binding_mode() != BindingMode::Bearer)
            })
        };
        if authn.iter().flatten().any(binds) {
            return;
        }
        let named = effective.limit.items().flat_map(|item| &item.names);
        for (place, name) in limit.iter().zip(named) {
            let by = self.policies.get(*place).and_then(|named| named.policy.uses().charge);
            if by.is_some_and(|by| by.is_by(LimitBy::Installation)) {
                report_no_installation(name, self.report);
            }
        }
    }
}

/// Whether a list names this policy, which has its API before its name if the API's file defines it.
fn names(written: &Spanned<String>, policy: &PolicyName) -> bool {
    *policy == written.value.as_str() || policy.rsplit('.').next() == Some(written.value.as_str())
}

fn has_parameter(path: &PathTemplate, parameter: &str) -> bool {
    path.segments().iter().any(|segment| match segment {
        Segment::Parameter { name, .. } | Segment::Rest { name } => name == parameter,
        Segment::Literal(_) => false,
    })
}
