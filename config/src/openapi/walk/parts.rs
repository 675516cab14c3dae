//! Reads the parts of an operation: what it requires, its parameters, id, tags and settings.

use std::sync::Arc;

use super::{Path, Unroutable, Walk};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::openapi::documents::{Site, entries, get, report_broken, text};
use crate::openapi::reference::short;
use crate::openapi::resolver::Dangling;
use crate::openapi::security::{self, SecurityRequirement, implies};
use crate::openapi::strip::EXTENSION;
use crate::place::Spanned;
use crate::source::{Entry, Node, Value};

impl<'d> Walk<'d, '_> {
    /// OpenAPI defines no references for operations, so tools disagree on the keys next to one.
    pub(super) fn security_beside_reference(&mut self, path: &Path<'_>, method: &'static str, node: &Node) {
        let Some(written) = written_security(node, self.report) else { return };
        let requirement = self.requirement(written);
        self.add_unrouted(path, &[method], Some(&requirement));
        self.report.push(
            Diagnostic::warning(Code::SpecShape, written.span, "`security` stands next to the `$ref` of an operation")
                .why("tools disagree on which of the two applies; the operation requires what both require")
                .fix("write the operation here without `$ref`, or `security` in the operation that it refers to"),
        );
    }

    /// What an operation requires; otherwise that of the document applies, or of the path item if it is stricter.
    pub(super) fn requirement_of(&mut self, site: Site<'d>, path: &Path<'_>) -> Option<Arc<SecurityRequirement>> {
        if let Some(node) = written_security(site.node, self.report) {
            return Some(self.requirement(node));
        }
        let of_path = path.security.as_ref().filter(|own| implies(Some(own), self.requirement.as_ref()));
        of_path.or(self.requirement.as_ref()).cloned()
    }

    pub(super) fn requirement(&mut self, node: &Node) -> Arc<SecurityRequirement> {
        let read = || security::requirement(node, self.schemes, self.report);
        Arc::clone(self.requirements.entry(std::ptr::from_ref(node)).or_insert_with(read))
    }

    /// The path parameters that an operation or path item lists; those that cannot be resolved are reported.
    pub(super) fn parameters(&mut self, site: Site<'d>) -> Vec<Site<'d>> {
        let Some(list) = site.get("parameters") else { return Vec::new() };
        let Value::List(items) = &list.node.value else { return Vec::new() };
        let mut found = Vec::new();
        for node in items {
            if !self.resolver.spend(1) {
                break;
            }
            match self.resolver.follow(Site { node, ..list }) {
                Ok(parameter) if get(parameter.node, "in").and_then(text) == Some("path") => found.push(parameter),
                Ok(_) => {}
                Err(Dangling { broken, text, span }) => report_broken(&broken, text, span, self.report),
            }
        }
        found
    }

    /// The `operationId`, and whether no other operation already uses the route id derived from it.
    pub(super) fn operation_id(&mut self, node: &Node, method: &str, path: &str) -> Option<(Spanned<String>, bool)> {
        let written = get(node, "operationId")?;
        let Some(text) = text(written).filter(|text| !text.is_empty()) else {
            self.report_shape(
                written.span,
                "`operationId` must be a string that is not empty",
                "write a name, such as `listPets`",
            );
            return None;
        };
        let id = Spanned::new(text.to_owned(), written.span);
        let Some(route_id) = route_id(text) else { return Some((id, true)) };
        let Some(first) = self.ids.get(&route_id).copied() else {
            self.ids.insert(route_id, written.span);
            return Some((id, true));
        };
        self.report.push(
            Diagnostic::warning(
                Code::DuplicateOperation,
                written.span,
                format!("duplicate operationId `{}`", short(text)),
            )
            .why(format!(
                "an operationId must be unique; the id of this route is made of `{method} {}` instead",
                short(path)
            ))
            .fix("give one of them another `operationId`")
            .related(first, "the other operation"),
        );
        Some((id, false))
    }

    pub(super) fn tags(&mut self, node: &Node) -> Arc<[String]> {
        let Some(Value::List(items)) = get(node, "tags").map(|node| &node.value) else { return Arc::new([]) };
        self.resolver.spend(items.len());
        items.iter().filter_map(text).map(str::to_owned).collect()
    }

    /// Whether an operation that cannot be routed is hidden, or the project has routes for it.
    pub(super) fn is_settled(&mut self, path: &Path<'d>, method: &'static str, node: &'d Node) -> bool {
        let extensions = [self.extension(node), path.extension.clone(), self.extension.clone()];
        let hidden = extensions.iter().flatten().find_map(|settings| get(settings, "hidden"));
        let operation_id = get(node, "operationId").and_then(text);
        let one = Unroutable { operation_id, path: path.text, method, tags: self.tags(node) };
        hidden.is_some_and(|hidden| hidden.value == Value::Bool(true)) || (self.settled)(&one)
    }

    /// The `x-tollgate` of a node, copied once.
    pub(super) fn extension(&mut self, node: &Node) -> Option<Arc<Node>> {
        let node = get(node, EXTENSION)?;
        Some(Arc::clone(self.extensions.entry(std::ptr::from_ref(node)).or_insert_with(|| Arc::new(node.clone()))))
    }
}

/// The `security` of the document or of an operation; one that is not in lower case is reported.
pub(super) fn written_security<'n>(node: &'n Node, report: &mut Report) -> Option<&'n Node> {
    let found = find_security(node)?;
    if found.key.value != "security" {
        let what = format!("`{}` is not a key of OpenAPI", found.key.value);
        report.push(
            Diagnostic::warning(Code::SpecShape, found.key.span, what)
                .why("other tools ignore it; here it is read as `security`")
                .fix("write `security`"),
        );
    }
    Some(&found.value)
}

/// The `security` of a node, otherwise one that is not in lower case, because a credential is meant.
pub(super) fn find_security(node: &Node) -> Option<&Entry> {
    let exact = entries(node).iter().find(|entry| entry.key.value == "security");
    exact.or_else(|| entries(node).iter().find(|entry| is_security(&entry.key.value)))
}

/// Whether a key is `security` in some case.
pub(super) fn is_security(key: &str) -> bool {
    key.eq_ignore_ascii_case("security")
}

/// The id of a route for an `operationId`: characters that are not allowed in ids are replaced.
pub(super) fn route_id(operation_id: &str) -> Option<String> {
    let replace = |c: char| match c {
        '/' => '.',
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '-',
    };
    let id: String = operation_id.chars().take(ID_BYTES_MAX + 1).map(replace).collect();
    let has_letter_or_digit = id.bytes().any(|b| b.is_ascii_alphanumeric());
    (has_letter_or_digit && id.len() <= ID_BYTES_MAX).then_some(id)
}

/// The maximum length of the id of a route.
const ID_BYTES_MAX: usize = 80;
