//! Operations as the document describes them, whether they are routed or not.

use std::sync::Arc;

use tollgate_core::route::PathTemplate;

use super::Spec;
use super::operations::Operation;
use super::overlap::untyped;
use super::path::RoutablePath;
use super::pattern::Pattern;
use super::security::SecurityRequirement;
use super::unrouted::Unrouted;

/// The requests of an operation, and what the document requires of their callers.
#[derive(Clone, Debug)]
pub(crate) struct Described {
    /// The place of the operation; `None` if it cannot be routed.
    pub(crate) operation: Option<usize>,
    /// Method and path, for messages.
    pub(crate) name: Arc<str>,
    pub(crate) paths: Paths,
    pub(crate) methods: Vec<&'static str>,
    pub(crate) requirement: Option<Arc<SecurityRequirement>>,
    /// The names of operations whose requests it answers although it does not require what they require; each is reported.
    pub(crate) unmet: Vec<Arc<str>>,
}

/// The paths of an operation, without the types of parameters.
#[derive(Clone, Debug)]
pub(crate) enum Paths {
    Template(PathTemplate),
    /// Paths that no template has.
    Pattern(Pattern),
}

impl Spec {
    /// All operations of the document, those that cannot be routed only if they require a credential.
    pub(crate) fn described(&self) -> Vec<Described> {
        let routable = self.operations.iter().enumerate().map(|(place, operation)| Described::of(place, operation));
        routable.chain(self.unrouted.iter().map(Described::of_unrouted)).collect()
    }
}

impl Described {
    fn of(place: usize, operation: &Operation) -> Self {
        Self {
            operation: Some(place),
            name: format!("{} {}", operation.method, super::reference::short(operation.path())).into(),
            paths: Paths::Template(untyped(&operation.template)),
            methods: with_head(&[operation.method], operation.has_head),
            requirement: operation.requirement.clone(),
            unmet: Vec::new(),
        }
    }

    fn of_unrouted(unrouted: &Unrouted) -> Self {
        let template = RoutablePath::parse(unrouted.path()).and_then(|path| Ok(path.template(&[])?));
        let pattern = || Paths::Pattern(Pattern::new(unrouted.path()));
        Self {
            operation: None,
            name: unrouted.name(),
            paths: template.map_or_else(|_| pattern(), Paths::Template),
            methods: unrouted.methods(),
            requirement: Some(Arc::clone(unrouted.requirement())),
            unmet: Vec::new(),
        }
    }
}

/// The methods of the requests of an operation: `HEAD` is part of `GET` if it is not an operation of its own.
pub(super) fn with_head(methods: &[&'static str], has_head: bool) -> Vec<&'static str> {
    let head = (methods == ["GET"] && !has_head).then_some("HEAD");
    methods.iter().copied().chain(head).collect()
}
