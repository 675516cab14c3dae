//! The operations of specifications, for comparison with all routes that answer their requests.

use std::sync::Arc;

use tollgate_core::kinds::{CredentialPlace, Policies};
use tollgate_core::route::{HostPattern, PathTemplate};
use tollgate_core::settings::RouteSettings;

use super::spec_security::{is_met, is_reported};
use crate::openapi::{Described, Pattern, SecurityRequirement, implies};
use crate::place::Span;

/// An operation as its specification describes it, on the hosts of its API.
#[derive(Clone, Debug)]
pub struct Guarded {
    /// Method and path in the document.
    pub name: Arc<str>,
    /// The name of the API.
    pub api: String,
    /// The public hosts of the API.
    pub hosts: Vec<HostPattern>,
    /// The paths of its requests, without the types of parameters.
    pub paths: Vec<PathTemplate>,
    /// The methods of its requests.
    pub methods: Vec<&'static str>,
    /// The index of its route in [`Whole::routes`](super::Whole::routes), if clients can reach it.
    pub route: Option<usize>,
    /// Which of the paths are its own, without the base of the API, if not all of them.
    pattern: Option<(String, Pattern)>,
    requirement: Option<Arc<SecurityRequirement>>,
    /// What its route is compared with: also what operations require whose requests it answers.
    compared: Option<Arc<SecurityRequirement>>,
}

impl Guarded {
    /// An operation of an API whose paths begin with `base`.
    pub(super) fn new(
        described: &Described,
        api: &str,
        base: &str,
        compared: Option<&Arc<SecurityRequirement>>,
        hosts: Vec<HostPattern>,
    ) -> Self {
        Self {
            name: Arc::clone(&described.name),
            api: api.to_owned(),
            hosts,
            paths: described.paths.iter().filter_map(|path| path.below(base).ok()).collect(),
            methods: described.methods.clone(),
            route: None,
            compared: compared.cloned(),
            pattern: described.pattern.clone().map(|pattern| (base.to_owned(), pattern)),
            requirement: described.requirement.clone().filter(|requirement| requirement.requires_credential()),
        }
    }

    /// The place of the requirement in the specification; `None` if a request needs no credential.
    #[must_use]
    pub fn required_at(&self) -> Option<Span> {
        self.requirement.as_ref().map(|requirement| requirement.span)
    }

    /// Whether a request with this path, which one of the templates matches, is one for the operation.
    #[must_use]
    pub fn is_for(&self, path: &str) -> bool {
        let is_own =
            |(base, pattern): &(String, Pattern)| path.strip_prefix(base).is_some_and(|path| pattern.has(path));
        self.pattern.as_ref().is_none_or(is_own)
    }

    /// Whether all requests that the templates match are its own.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.pattern.is_none()
    }

    /// Whether its route is compared with all that another operation requires.
    #[must_use]
    pub fn is_as_strict_as(&self, other: &Self) -> bool {
        implies(self.compared.as_ref(), other.requirement.as_ref())
    }

    /// Whether it is reported already that its route requires less than what it is compared with.
    #[must_use]
    pub fn is_reported(&self, route: &RouteSettings, policies: &Policies) -> bool {
        let requirement = self.compared.as_ref().filter(|requirement| requirement.requires_credential());
        requirement.is_some_and(|requirement| is_reported(requirement, &accepted(route, policies), &route.scopes))
    }

    /// The number of credentials and scopes of its requirement: the work of a comparison.
    #[must_use]
    pub fn parts(&self) -> usize {
        let needs = self.requirement.iter().flat_map(|requirement| requirement.alternatives.iter().flatten());
        needs.map(|need| 1 + need.scopes.len()).sum()
    }

    /// Whether every caller of a route has what the specification requires for this operation.
    #[must_use]
    pub fn is_met_by(&self, route: &RouteSettings, policies: &Policies) -> bool {
        let Some(requirement) = &self.requirement else { return true };
        is_met(requirement, &accepted(route, policies), &route.scopes)
    }
}

/// The places from which each alternative of a route reads credentials.
fn accepted<'p>(route: &RouteSettings, policies: &'p Policies) -> Vec<Vec<CredentialPlace<'p>>> {
    let alternatives = route.authn.iter().map(|together| policies.at(together));
    alternatives.map(|together| together.filter_map(|named| named.policy.uses().credential).collect()).collect()
}
