//! Visits the paths of a specification. Each operation is converted for routing, or reported as not routable.

use std::collections::HashMap;
use std::sync::Arc;

use super::documents::{Documents, Site, entries, get, report_broken, text};
use super::narrowing::{self, Narrowing};
use super::operations::Operation;
use super::path::RoutablePath;
use super::reference::short;
use super::resolver::{Dangling, Resolver};
use super::security::{self, Scheme, Schemes, SecurityRequirement};
use super::strip::EXTENSION;
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::place::{FileId, Span, Spanned};
use crate::source::{Entry, Node, Value};

/// The operations of a specification.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) operations: Vec<Operation>,
    pub(super) schemes: Vec<Scheme>,
    /// Operations that are not routed.
    pub(super) refused: usize,
    /// Routed operations for which the document names other servers.
    pub(super) with_own_servers: usize,
}

/// Reads the operations of a specification; those that cannot be routed are reported and omitted.
pub(super) fn operations(documents: &Documents, report: &mut Report) -> Imported {
    let Some(root) = documents.root() else { return Imported::default() };
    let mut resolver = Resolver::new(documents);
    let schemes = security::schemes(root, &mut resolver, report);
    let requirement = get(root.node, "security").map(|node| security::requirement(node, &schemes, report));
    let mut walk = Walk {
        resolver,
        requirement,
        extension: get(root.node, EXTENSION).map(|node| Arc::new(node.clone())),
        extensions: HashMap::new(),
        requirements: HashMap::new(),
        ids: HashMap::new(),
        shapes: HashMap::new(),
        agreed: HashMap::new(),
        paths: Vec::new(),
        imported: Imported::default(),
        schemes: &schemes,
        report,
    };
    if let Some(paths) = root.get("paths") {
        walk.paths(paths);
    }
    let mut imported = walk.finish(root.node.span.file);
    imported.schemes = schemes.values().map(|scheme| (**scheme).clone()).collect();
    imported.schemes.sort_by(|a, b| a.name.cmp(&b.name));
    imported
}

struct Walk<'d, 'w> {
    resolver: Resolver<'d>,
    requirement: Option<Arc<SecurityRequirement>>,
    extension: Option<Arc<Node>>,
    /// The results for nodes that several operations can share.
    extensions: HashMap<*const Node, Arc<Node>>,
    requirements: HashMap<*const Node, Arc<SecurityRequirement>>,
    ids: HashMap<String, Span>,
    /// The places of the operations by shape of path and method.
    shapes: HashMap<(String, &'static str), usize>,
    /// The restrictions of parameters that all operations of a path shape have in common.
    agreed: HashMap<String, Vec<Option<Narrowing>>>,
    /// The paths of the operations, in their order.
    paths: Vec<RoutablePath>,
    imported: Imported,
    schemes: &'w Schemes,
    report: &'w mut Report,
}

/// A path with the settings of its item for all of its operations.
struct Path<'d> {
    text: &'d str,
    span: Span,
    parameters: Vec<Site<'d>>,
    extension: Option<Arc<Node>>,
    has_servers: bool,
}

impl<'d> Walk<'d, '_> {
    fn paths(&mut self, paths: Site<'d>) {
        if !matches!(paths.node.value, Value::Map(_)) {
            self.report_shape(paths.node.span, "`paths` must be a mapping", "write paths, each with its operations");
        }
        for Entry { key, value } in entries(paths.node) {
            if key.value.starts_with("x-") {
                continue;
            }
            if !self.resolver.spend(1) || self.imported.operations.len() >= OPERATIONS_MAX {
                self.report_too_many(key.span);
                return;
            }
            self.path(&key.value, key.span, Site { node: value, ..paths });
        }
        // The last path may have used up the budget, so that some of its parameters and tags were not read.
        if !self.resolver.spend(0) {
            self.report_too_many(paths.node.span);
        }
    }

    fn path(&mut self, text: &'d str, span: Span, item: Site<'d>) {
        let target = match self.resolver.follow(item) {
            Ok(target) => target,
            Err(dangling) => return self.refuse_path(text, span, &dangling),
        };
        if !matches!(target.node.value, Value::Map(_)) {
            let what = format!("the path item of `{}` must be a mapping", short(text));
            self.imported.refused += 1;
            return self.report_shape(target.node.span, &what, "write methods, each with its operation");
        }
        // Keys next to a reference apply only to this path, so they take precedence.
        let is_referred = !std::ptr::eq(target.node, item.node);
        let items = if is_referred { vec![item, target] } else { vec![item] };
        let path = Path {
            text,
            span,
            parameters: items.iter().flat_map(|item| self.parameters(*item)).collect(),
            extension: items.iter().find_map(|item| self.extension(item.node)),
            has_servers: items.iter().any(|item| item.get("servers").is_some()),
        };
        let mut seen = Vec::new();
        for item in items {
            for Entry { key, value } in entries(item.node) {
                match METHODS.iter().find(|(name, _)| *name == key.value) {
                    Some((name, method)) if !seen.contains(name) => {
                        seen.push(name);
                        self.operation(&path, method, key.span, Site { node: value, ..item });
                    }
                    Some(_) => {}
                    None => self.check_key(key),
                }
            }
        }
    }

    fn operation(&mut self, path: &Path<'d>, method: &'static str, span: Span, site: Site<'d>) {
        if method == "TRACE" {
            return self.refuse(path, method, span, "method `TRACE` is never routed", "remove the operation");
        }
        let site = match self.resolver.follow(site) {
            Ok(site) if matches!(site.node.value, Value::Map(_)) => site,
            Ok(_) => {
                return self.refuse(
                    path,
                    method,
                    span,
                    "the operation must be a mapping",
                    "write the keys of the operation",
                );
            }
            Err(dangling) => {
                let (what, _, fix) = dangling.broken.describe(dangling.text);
                return self.refuse(path, method, span, &what, fix);
            }
        };
        let own = self.parameters(site);
        let parsed = RoutablePath::parse(path.text).and_then(|parsed| {
            let template = parsed.template(&[])?;
            Ok((parsed, template))
        });
        let (parsed, template) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => return self.refuse(path, method, span, &reason.to_string(), reason.fix()),
        };
        let shape = (parsed.shape(), method);
        let requirement = self.requirement_of(site);
        if let Some(first) = self.shapes.get(&shape).copied() {
            return self.refuse_same_shape(path, method, span, first, requirement);
        }
        self.restrict(&shape.0, path, &own, &parsed);
        self.shapes.insert(shape, self.imported.operations.len());
        self.paths.push(parsed);
        let operation_id = self.operation_id(site.node, method, path.text);
        let extensions = [self.extension.clone(), path.extension.clone(), self.extension(site.node)];
        let tags = self.tags(site.node);
        self.imported.with_own_servers += usize::from(path.has_servers || site.get("servers").is_some());
        self.imported.operations.push(Operation {
            id: operation_id.as_ref().and_then(|(id, is_first)| is_first.then(|| route_id(&id.value)).flatten()),
            operation_id: operation_id.map(|(id, _)| id),
            method,
            path: Spanned::new(path.text.to_owned(), path.span),
            template,
            tags,
            requirement,
            extensions: extensions.into_iter().flatten().collect(),
            span,
        });
    }

    /// What an operation requires; otherwise that of the document applies.
    fn requirement_of(&mut self, site: Site<'d>) -> Option<Arc<SecurityRequirement>> {
        let Some(node) = get(site.node, "security") else { return self.requirement.clone() };
        let read = || security::requirement(node, self.schemes, self.report);
        Some(Arc::clone(self.requirements.entry(std::ptr::from_ref(node)).or_insert_with(read)))
    }

    /// Restricts a parameter to values only if all operations with the same path shape have the same restriction.
    ///
    /// Otherwise a request could match the path of one operation and the method of another.
    fn restrict(&mut self, shape: &str, path: &Path<'d>, own: &[Site<'d>], parsed: &RoutablePath) {
        let resolver = &mut self.resolver;
        let narrowings: Vec<_> =
            parsed.parameters().map(|name| narrowing_of(name, own, &path.parameters, resolver)).collect();
        match self.agreed.get_mut(shape) {
            Some(agreed) => {
                for (agreed, narrowing) in agreed.iter_mut().zip(narrowings) {
                    if *agreed != narrowing {
                        *agreed = None;
                    }
                }
            }
            None => {
                self.agreed.insert(shape.to_owned(), narrowings);
            }
        }
    }

    /// The path parameters that an operation or path item lists; those that cannot be resolved are reported.
    fn parameters(&mut self, site: Site<'d>) -> Vec<Site<'d>> {
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
    fn operation_id(&mut self, node: &Node, method: &str, path: &str) -> Option<(Spanned<String>, bool)> {
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

    fn tags(&mut self, node: &Node) -> Arc<[String]> {
        let Some(Value::List(items)) = get(node, "tags").map(|node| &node.value) else { return Arc::new([]) };
        self.resolver.spend(items.len());
        items.iter().filter_map(text).map(str::to_owned).collect()
    }

    /// The `x-tollgate` of a node, copied once.
    fn extension(&mut self, node: &Node) -> Option<Arc<Node>> {
        let node = get(node, EXTENSION)?;
        Some(Arc::clone(self.extensions.entry(std::ptr::from_ref(node)).or_insert_with(|| Arc::new(node.clone()))))
    }

    fn finish(self, root: FileId) -> Imported {
        let Self { mut imported, report, paths, agreed, .. } = self;
        for (operation, path) in imported.operations.iter_mut().zip(&paths) {
            if let Some(narrowings) = agreed.get(&path.shape())
                && let Ok(template) = path.template(narrowings)
            {
                operation.template = template;
            }
        }
        if imported.refused > REPORTED_MAX {
            let more = imported.refused - REPORTED_MAX;
            report.push(
                Diagnostic::warning(
                    Code::NotRouted,
                    Span::beginning_of(root),
                    format!("{more} more operations are not routed"),
                )
                .why(format!("only the first {REPORTED_MAX} are reported individually"))
                .fix("fix those first"),
            );
        }
        imported
    }

    fn refuse_path(&mut self, text: &str, span: Span, dangling: &Dangling<'_>) {
        let (what, _, fix) = dangling.broken.describe(dangling.text);
        self.imported.refused += 1;
        if self.imported.refused > REPORTED_MAX {
            return;
        }
        self.report.push(
            Diagnostic::warning(Code::NotRouted, span, format!("no operation of `{}` is routed: {what}", short(text)))
                .why("the operations of the path are unknown")
                .fix(fix)
                .related(dangling.span, "the reference"),
        );
    }

    /// Refuses an operation whose requests go to an earlier one, which then is not public if this one is not.
    fn refuse_same_shape(
        &mut self,
        path: &Path<'_>,
        method: &str,
        span: Span,
        first: usize,
        requirement: Option<Arc<SecurityRequirement>>,
    ) {
        self.imported.refused += 1;
        let Some(kept) = self.imported.operations.get_mut(first) else { return };
        if !kept.requires_credential() && requirement.as_ref().is_some_and(|own| own.requires_credential()) {
            kept.requirement = requirement;
        }
        if self.imported.refused > REPORTED_MAX {
            return;
        }
        let (own, other) = (short(path.text), short(&kept.path.value));
        let what = format!("`{method} {own}` is not routed: `{method} {other}` matches the same requests");
        self.report.push(
            Diagnostic::warning(Code::NotRouted, span, what)
                .why("paths that differ only in the names of their parameters match the same requests")
                .fix("remove one of them, or change one of the paths")
                .related(kept.span, "the other operation"),
        );
    }

    fn refuse(&mut self, path: &Path<'_>, method: &str, span: Span, reason: &str, fix: &str) {
        self.imported.refused += 1;
        if self.imported.refused > REPORTED_MAX {
            return;
        }
        let what = format!("`{method} {}` is not routed: {reason}", short(path.text));
        self.report.push(Diagnostic::warning(Code::NotRouted, span, what).why(WHY_NOT_ROUTED).fix(fix));
    }

    /// Reports a key of a path item that is neither a method nor another key that OpenAPI defines.
    fn check_key(&mut self, key: &Spanned<String>) {
        if key.value.starts_with("x-") || ITEM_KEYS.contains(&key.value.as_str()) {
            return;
        }
        self.imported.refused += 1;
        if self.imported.refused > REPORTED_MAX {
            return;
        }
        let names = || METHODS.iter().map(|(name, _)| *name).chain(ITEM_KEYS.iter().copied());
        let fix = match closest(&key.value.to_ascii_lowercase(), names()) {
            Some(known) => format!("write `{known}`"),
            None => format!("define a route under `routes:`, or write one of {}", listed(names())),
        };
        self.report_shape(key.span, &format!("`{}` is not a method of OpenAPI", short(&key.value)), &fix);
    }

    fn report_shape(&mut self, span: Span, what: &str, fix: &str) {
        self.report
            .push(Diagnostic::warning(Code::SpecShape, span, what).why("no route can be derived from it").fix(fix));
    }

    fn report_too_many(&mut self, span: Span) {
        self.report.push(
            Diagnostic::error(
                Code::TooMany,
                span,
                "the specification has too many operations, or references repeat too much",
            )
            .why(format!("the maximum is {OPERATIONS_MAX} operations, and what references repeat is limited too"))
            .fix("split the specification into several, one for each API"),
        );
    }
}

/// A parameter of the operation overrides that of the path item.
fn narrowing_of<'d>(
    name: &str,
    own: &[Site<'d>],
    shared: &[Site<'d>],
    resolver: &mut Resolver<'d>,
) -> Option<Narrowing> {
    let is_named = |site: &&Site<'d>| get(site.node, "name").and_then(text) == Some(name);
    let parameter = own.iter().find(is_named).or_else(|| shared.iter().find(is_named))?;
    narrowing::of_parameter(*parameter, resolver)
}

/// The id of a route for an `operationId`: characters that are not allowed in ids are replaced.
fn route_id(operation_id: &str) -> Option<String> {
    let replace = |c: char| match c {
        '/' => '.',
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '-',
    };
    let id: String = operation_id.chars().take(ID_BYTES_MAX + 1).map(replace).collect();
    let has_letter_or_digit = id.bytes().any(|b| b.is_ascii_alphanumeric());
    (has_letter_or_digit && id.len() <= ID_BYTES_MAX).then_some(id)
}

/// The methods of a path item.
const METHODS: &[(&str, &str)] = &[
    ("get", "GET"),
    ("put", "PUT"),
    ("post", "POST"),
    ("delete", "DELETE"),
    ("options", "OPTIONS"),
    ("head", "HEAD"),
    ("patch", "PATCH"),
    ("trace", "TRACE"),
];

/// The other keys of a path item.
const ITEM_KEYS: &[&str] = &["$ref", "summary", "description", "servers", "parameters"];

const WHY_NOT_ROUTED: &str =
    "its requests are answered with 404, or by another route that matches them; the other operations are routed";

/// The maximum number of operations of one specification.
const OPERATIONS_MAX: usize = 100_000;

/// The number of operations that are reported individually; of more, only the number is reported.
const REPORTED_MAX: usize = 100;

/// The maximum length of the id of a route.
const ID_BYTES_MAX: usize = 80;
