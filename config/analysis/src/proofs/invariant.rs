//! Invariants of a project: proved for all selected routes, or refuted with a request.

use http::Method;
use tollgate_config::policy_tests::{Invariant, Requirement, RouteSelection};
use tollgate_config::{CompiledRoute, Witness, policies};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::RouteSettings;

use super::glob::Glob;
use super::routes::Analysis;

/// The result for an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It holds for every selected route.
    Holds {
        /// The number of selected routes.
        routes: usize,
    },
    /// It selects no route and `may-be-empty` is not set, so nothing is proved.
    Vacuous,
    /// It does not hold for some route.
    Refuted {
        /// The number of selected routes.
        routes: usize,
        /// The routes that violate it, in the order of [`Whole::routes`](tollgate_config::Whole::routes).
        counterexamples: Vec<Counterexample>,
    },
}

/// A route that violates an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The index of the route in [`Whole::routes`](tollgate_config::Whole::routes).
    pub route: usize,
    /// The requirement that is violated.
    pub requirement: Requirement,
    /// Whether the route should have it; otherwise it should not.
    pub wanted: bool,
    /// A request that the route serves, if there is one.
    pub witness: Option<Witness>,
}

impl Analysis<'_> {
    /// Proves or refutes an invariant.
    #[must_use]
    pub fn prove(&self, invariant: &Invariant) -> Proof {
        let selection = Selection::of(&invariant.routes);
        let is_selected = |(_, route): &(usize, &CompiledRoute)| selection.selects(route, self);
        let selected: Vec<(usize, &CompiledRoute)> = self.whole.routes.iter().enumerate().filter(is_selected).collect();
        if selected.is_empty() && !invariant.may_be_empty {
            return Proof::Vacuous;
        }
        let mut counterexamples = Vec::new();
        for (place, route) in &selected {
            let wanted = invariant.have.iter().map(|requirement| (requirement, true));
            let unwanted = invariant.not.iter().map(|requirement| (requirement, false));
            for (requirement, wanted) in wanted.chain(unwanted) {
                if self.has(&route.settings, &requirement.value) != wanted {
                    let witness = selection.request(*place, route, self);
                    let requirement = requirement.value.clone();
                    counterexamples.push(Counterexample { route: *place, requirement, wanted, witness });
                }
            }
        }
        let routes = selected.len();
        if counterexamples.is_empty() { Proof::Holds { routes } } else { Proof::Refuted { routes, counterexamples } }
    }

    fn has(&self, route: &RouteSettings, requirement: &Requirement) -> bool {
        match requirement {
            Requirement::Authn => !route.admits_anyone(&self.whole.policies),
            Requirement::Scopes => route.requires_scopes(),
            Requirement::Guard => route.is_guarded(),
            Requirement::Authz => policies::is_authorized(route, &self.whole.policies),
            Requirement::Limit => route.is_limited_by(&self.whole.policies),
            Requirement::Cache => route.cache.is_some(),
            Requirement::Timeout => route.timeout_ms.is_some(),
            Requirement::Internal => route.internal,
            Requirement::TimeoutAtMost(most) => route.timeout_ms.is_some_and(|ms| ms <= *most),
            Requirement::BodyLimitAtMost(most) => route.content_bytes_max <= *most,
            Requirement::Policy(name) => route.policies(&self.whole.policies).any(|policy| policy.name == name),
        }
    }
}

/// A parsed selection.
struct Selection<'s> {
    written: &'s RouteSelection,
    /// `None` if it is not set; `Some(None)` if it is not a valid pattern, which selects no route.
    host: Option<Option<HostPattern>>,
    path: Option<Glob>,
}

impl<'s> Selection<'s> {
    fn of(written: &'s RouteSelection) -> Self {
        let host = written.host.as_ref().map(|host| host.value.parse().ok());
        let path = written.path.as_ref().map(|path| Glob::new(&path.value));
        Self { written, host, path }
    }

    /// Whether the route matches some selected request.
    fn selects(&self, route: &CompiledRoute, analysis: &Analysis<'_>) -> bool {
        let CompiledRoute { hosts, settings, tags, .. } = route;
        let RouteSelection { methods, api, id, internal, upstream, .. } = self.written;
        let upstream_of = || analysis.whole.upstreams.get(settings.upstream).map(|upstream| upstream.name.as_str());
        let on_host = |pattern: &HostPattern| hosts.iter().any(|host| host.covers(pattern) || pattern.covers(host));
        (methods.is_empty() || self.method(settings).is_some())
            && self.host.as_ref().is_none_or(|host| host.as_ref().is_some_and(on_host))
            && self.path.as_ref().is_none_or(|glob| glob.shared(settings.path.segments()).is_some())
            && api.as_ref().is_none_or(|api| api.value == settings.api)
            && id.as_ref().is_none_or(|id| id.value == settings.id)
            && internal.is_none_or(|internal| internal == settings.internal)
            && upstream.as_ref().is_none_or(|upstream| upstream_of() == Some(upstream.value.as_str()))
            && self.written.tag.as_ref().is_none_or(|tag| tags.contains(&tag.value))
    }

    /// A selected method that the route accepts.
    fn method(&self, settings: &RouteSettings) -> Option<&str> {
        self.written.methods.iter().find(|method| settings.methods.takes(method)).map(Method::as_str)
    }

    /// A request that the route serves, if possible a selected one.
    fn request(&self, place: usize, route: &CompiledRoute, analysis: &Analysis<'_>) -> Option<Witness> {
        let method = self.method(&route.settings);
        let on_path = || {
            let path = self.path.as_ref()?.shared(route.settings.path.segments())?;
            let method = method.or(route.settings.methods.first().map(Method::as_str)).unwrap_or("GET");
            let host = analysis.host_in(route.hosts.first()?)?;
            let witness = Witness::new(method, &host, path, &route.settings.when);
            (analysis.selected_route(&witness) == Some(place)).then_some(witness)
        };
        on_path().or_else(|| analysis.request(place, method)).or_else(|| analysis.request(place, None))
    }
}
