//! The operations of specifications, for comparison with all routes that answer their requests.

use std::sync::Arc;

use tollgate_core::kinds::Policies;
use tollgate_core::route::{CanonicalPath, HostPattern, PathTemplate, Segment};
use tollgate_core::settings::RouteSettings;

use super::spec_security::{Accepted, is_met, is_reported};
use crate::openapi::{Described, Paths, Pattern, SecurityRequirement, implies};
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
    /// The paths of its requests, without the types of parameters, and maybe others; `None` if no request can have its path.
    pub path: Option<PathTemplate>,
    /// The methods of its requests.
    pub methods: Vec<&'static str>,
    /// The index of its route in [`Whole::routes`](super::Whole::routes), if clients can reach it.
    pub route: Option<usize>,
    /// Which of the paths are its own, if not all of them.
    pattern: Option<Pattern>,
    requirement: Option<Arc<SecurityRequirement>>,
    /// What its route is compared with: also what operations require whose requests it answers.
    compared: Option<Arc<SecurityRequirement>>,
    /// The names of operations whose requests its route is already reported to answer.
    unmet: Vec<Arc<str>>,
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
        let (path, pattern) = match &described.paths {
            Paths::Template(path) => (path.below(base).ok(), None),
            Paths::Pattern(pattern) => {
                let pattern = pattern.below(base);
                (pattern.template(), Some(pattern))
            }
        };
        Self {
            name: Arc::clone(&described.name),
            api: api.to_owned(),
            hosts,
            path,
            methods: described.methods.clone(),
            route: None,
            compared: compared.cloned(),
            pattern,
            unmet: described.unmet.clone(),
            requirement: described.requirement.clone().filter(|requirement| requirement.requires_credential()),
        }
    }

    /// The place of the requirement in the specification; `None` if a request needs no credential.
    #[must_use]
    pub fn required_at(&self) -> Option<Span> {
        self.requirement.as_ref().map(|requirement| requirement.span)
    }

    /// Whether a request with this path is one for the operation.
    #[must_use]
    pub fn is_for(&self, path: &CanonicalPath) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.has(path),
            None => self.path.as_ref().is_some_and(|template| matches(template, path)),
        }
    }

    /// Whether its requests are those of another operation, and more.
    #[must_use]
    pub fn is_wider_than(&self, other: &Self) -> bool {
        self.requests().zip(other.requests()).is_some_and(|(own, other)| own.is_wider_than(&other))
    }

    /// Whether its requests are those of a template, whatever the types of its parameters are, and more.
    #[must_use]
    pub fn has_more_than(&self, template: &PathTemplate) -> bool {
        self.requests().is_some_and(|own| own.is_wider_than(&Pattern::of(template)))
    }

    fn requests(&self) -> Option<Pattern> {
        self.pattern.clone().or_else(|| self.path.as_ref().map(Pattern::of))
    }

    /// Templates of its requests in the form of those that a route matches, with up to `depth` segments: all requests if
    /// it has a template, otherwise some, in which `value` stands for values that are no parameters of a template.
    #[must_use]
    pub fn within(&self, route: &[Segment], value: &str, depth: usize) -> Vec<Vec<Segment>> {
        match &self.pattern {
            Some(pattern) => pattern.within(route, value, depth),
            None => self.path.iter().map(|path| path.segments().to_vec()).collect(),
        }
    }

    /// The fixed characters of its path, if it has no template.
    pub fn chars(&self) -> impl Iterator<Item = char> {
        self.pattern.iter().flat_map(Pattern::chars)
    }

    /// Whether it is already reported that its route answers requests of another operation.
    #[must_use]
    pub fn is_unmet(&self, other: &Self) -> bool {
        self.unmet.contains(&other.name)
    }

    /// Whether all requests that the template matches are its own.
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
        requirement
            .is_some_and(|requirement| is_reported(requirement, &accepted(route, policies), &route.accepted_scopes()))
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
        is_met(requirement, &accepted(route, policies), &route.accepted_scopes())
    }
}

/// Whether a template without types matches a path.
fn matches(template: &PathTemplate, path: &CanonicalPath) -> bool {
    let mut texts = path.segments();
    for segment in template.segments() {
        match (segment, texts.next()) {
            (Segment::Rest { .. }, Some(_)) => return true,
            (segment, Some(text)) if segment.value_of(text).is_some() => {}
            (_, _) => return false,
        }
    }
    texts.next().is_none()
}

/// The credentials of each alternative of a route.
fn accepted<'p>(route: &RouteSettings, policies: &'p Policies) -> Vec<Accepted<'p>> {
    let alternatives = route.authn.iter().map(|together| policies.at(together));
    alternatives.map(|together| together.map(|named| named.policy.uses()).collect()).collect()
}
