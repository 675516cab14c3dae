//! The operations of a specification that can become routes.

use std::sync::Arc;

use tollgate_core::route::PathTemplate;

use super::documents::get;
use super::overlap;
use super::security::{SchemeRequirement, SecurityRequirement, implies};
use crate::place::{Span, Spanned};
use crate::source::Node;

/// An operation of a specification that can be routed.
#[derive(Clone, Debug)]
pub struct Operation {
    pub(crate) operation_id: Option<Spanned<String>>,
    pub(crate) id: Option<String>,
    pub(crate) method: &'static str,
    pub(crate) path: Spanned<String>,
    pub(crate) template: PathTemplate,
    pub(crate) tags: Arc<[String]>,
    pub(crate) requirement: Option<Arc<SecurityRequirement>>,
    /// The operation that is not routed to which the requirement belongs, because this one answers its requests.
    pub(crate) answers: Option<Arc<str>>,
    /// The `x-tollgate` settings of the document, the path item and the operation, the least specific first.
    pub(crate) extensions: Vec<Arc<Node>>,
    /// Whether the document has an operation of its own for `HEAD` with this path.
    pub(crate) has_head: bool,
    /// The position of the operation's method.
    pub(crate) span: Span,
}

impl Operation {
    /// The `operationId` in the document.
    #[must_use]
    pub fn operation_id(&self) -> Option<&str> {
        self.operation_id.as_ref().map(|id| id.value.as_str())
    }

    /// The id of its route within an API; `None` if it is derived from method and path.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The method, in uppercase letters.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method
    }

    /// The path in the document.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path.value
    }

    /// Its path template for routing, with parameters restricted to the values that their schemas allow.
    #[must_use]
    pub fn template(&self) -> &PathTemplate {
        &self.template
    }

    /// Whether the specification declares that a request without a credential is refused.
    #[must_use]
    pub fn requires_credential(&self) -> bool {
        self.requirement.as_ref().is_some_and(|requirement| requirement.requires_credential())
    }

    /// The alternatives by which the specification lets a caller pass; each is a list of credentials that are required
    /// together. An empty alternative, or none at all, means that no credential is required.
    #[must_use]
    pub fn alternatives(&self) -> &[Vec<SchemeRequirement>] {
        self.requirement.as_ref().map_or(&[], |requirement| &requirement.alternatives)
    }

    /// Whether each caller that has what this operation requires has what another one requires, too.
    #[must_use]
    pub fn is_as_strict_as(&self, other: &Self) -> bool {
        implies(self.requirement.as_ref(), other.requirement.as_ref())
    }

    /// Whether both match some request, and no path is more specific than the other.
    #[must_use]
    pub fn is_in_conflict_with(&self, other: &Self) -> bool {
        self.method == other.method && overlap::is_conflict(&self.template, &other.template)
    }

    /// The operation that is not routed and whose requirement applies to this one, because it answers the requests.
    #[must_use]
    pub fn answers(&self) -> Option<&str> {
        self.answers.as_deref()
    }

    /// Whether an `x-tollgate` of the document that applies to the operation has this key.
    #[must_use]
    pub fn sets(&self, key: &str) -> bool {
        self.extensions.iter().any(|node| get(node, key).is_some())
    }

    /// The place of the operation, which is also that of its route.
    #[must_use]
    pub fn span(&self) -> Span {
        self.span
    }

    /// The tags of the operation.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        &self.tags
    }
}
