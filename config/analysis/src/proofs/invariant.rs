//! Rules that a project states about its own routes: proved for all of them, or refuted with a request.

use http::Method;
use tollgate_config::policy_tests::{Invariant, Requirement, RouteSelection};
use tollgate_config::{CompiledRoute, Witness};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::RouteSettings;

use super::glob::Glob;
use super::routes::Analysis;

/// What became of an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It holds for every route it is about.
    Holds {
        /// How many these are.
        routes: usize,
    },
    /// It is about no route at all, and does not say that this may be so: it proves nothing.
    Vacuous,
    /// It does not hold.
    Refuted {
        /// How many routes it is about.
        routes: usize,
        /// The routes that break it, in the order of [`Whole::routes`](tollgate_config::Whole::routes).
        counterexamples: Vec<Counterexample>,
    },
}

/// A route that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The route, as a place in [`Whole::routes`](tollgate_config::Whole::routes).
    pub route: usize,
    /// What it should have and has not, or should not have and has.
    pub requirement: Requirement,
    /// Whether it should have that.
    pub wanted: bool,
    /// A request that the route wins; none where it wins none.
    pub witness: Option<Witness>,
}

impl Analysis<'_> {
    /// Proves an invariant, or refutes it.
    #[must_use]
    pub fn prove(&self, invariant: &Invariant) -> Proof {
        let selection = Selection::of(&invariant.routes);
        let is_about = |(_, route): &(usize, &CompiledRoute)| selection.takes(route, self);
        let selected: Vec<(usize, &CompiledRoute)> = self.whole.routes.iter().enumerate().filter(is_about).collect();
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
            Requirement::Authn => !route.authn.is_empty(),
            Requirement::Scopes => !route.scopes.is_empty(),
            Requirement::Guard => route.is_guarded(),
            Requirement::Limit => route.is_limited(),
            Requirement::Cache => route.cache.is_some(),
            Requirement::Timeout => route.timeout_ms.is_some(),
            Requirement::Internal => route.internal,
            Requirement::TimeoutAtMost(most) => route.timeout_ms.is_some_and(|ms| ms <= *most),
            Requirement::BodyLimitAtMost(most) => route.content_bytes_max <= *most,
            Requirement::Policy(name) => route.policies(&self.whole.policies).any(|policy| policy.name == name),
        }
    }
}

/// A selection, read for comparing.
struct Selection<'s> {
    written: &'s RouteSelection,
    /// None where nothing is said; a text that is no pattern selects nothing.
    host: Option<Option<HostPattern>>,
    path: Option<Glob>,
}

impl<'s> Selection<'s> {
    fn of(written: &'s RouteSelection) -> Self {
        let host = written.host.as_ref().map(|host| host.value.parse().ok());
        let path = written.path.as_ref().map(|path| Glob::new(&path.value));
        Self { written, host, path }
    }

    /// Whether some request that is selected is one of the route's.
    fn takes(&self, route: &CompiledRoute, analysis: &Analysis<'_>) -> bool {
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

    /// A method that is selected and that the route takes.
    fn method(&self, settings: &RouteSettings) -> Option<&str> {
        let takes = |method: &&Method| {
            let named = |name: &str| settings.methods.iter().any(|m| m == name);
            settings.methods.is_empty() || named(method.as_str()) || (**method == Method::HEAD && named("GET"))
        };
        self.written.methods.iter().find(takes).map(Method::as_str)
    }

    /// A request of the route, a selected one where it can be had.
    fn request(&self, place: usize, route: &CompiledRoute, analysis: &Analysis<'_>) -> Option<Witness> {
        let method = self.method(&route.settings);
        let on_path = || {
            let path = self.path.as_ref()?.shared(route.settings.path.segments())?;
            let method = method.or(route.settings.methods.first().map(String::as_str)).unwrap_or("GET");
            let host = analysis.host_in(route.hosts.first()?)?;
            let witness = Witness::new(method, &host, path, &route.settings.when);
            (analysis.winner(&witness) == Some(place)).then_some(witness)
        };
        on_path().or_else(|| analysis.request(place, method)).or_else(|| analysis.request(place, None))
    }
}
