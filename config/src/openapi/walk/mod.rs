//! Visits the paths of a specification. Each operation is converted for routing, or reported as not routable.

mod parts;
mod reports;

use std::collections::HashMap;
use std::sync::Arc;

use self::parts::{find_security, route_id, written_security};
use super::documents::{Documents, Site, entries, get, text};
use super::narrowing::{self, Narrowing};
use super::operations::Operation;
use super::path::RoutablePath;
use super::reference::short;
use super::resolver::Resolver;
use super::rivals::lost;
use super::security::{self, Scheme, Schemes, SecurityRequirement};
use super::strip::EXTENSION;
use super::unrouted::Unrouted;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{FileId, Span, Spanned};
use crate::source::{Entry, Node, Value};

/// Finds the paths that were probably meant by one in the syntax of another router. The decoder of configuration does; it is
/// above this folder.
pub(crate) type MeantPaths = fn(&str) -> Vec<String>;

/// Whether the project has routes for an operation that cannot be routed, or hides it.
pub(crate) type Settled<'a> = &'a dyn Fn(&Unroutable<'_>) -> bool;

/// An operation whose path cannot be a path of a route.
pub(crate) struct Unroutable<'d> {
    pub(crate) operation_id: Option<&'d str>,
    pub(crate) path: &'d str,
    pub(crate) method: &'static str,
    pub(crate) tags: Arc<[String]>,
}

/// The operations of a specification.
#[derive(Debug, Default)]
pub(super) struct Imported {
    pub(super) operations: Vec<Operation>,
    /// Operations that require a credential and are not routed.
    pub(super) unrouted: Vec<Unrouted>,
    pub(super) schemes: Vec<Scheme>,
    /// Operations that are not routed.
    pub(super) refused: usize,
    /// Routed operations for which the document names other servers.
    pub(super) with_own_servers: usize,
}

/// Reads the operations of a specification; those that cannot be routed are reported and omitted.
pub(super) fn operations(
    documents: &Documents,
    (meant, settled): (MeantPaths, Settled<'_>),
    report: &mut Report,
) -> Imported {
    let Some(root) = documents.root() else { return Imported::default() };
    let mut resolver = Resolver::new(documents);
    let schemes = security::schemes(root, &mut resolver, report);
    let requirement = written_security(root.node, report);
    let requirement = requirement.map(|node| security::requirement(node, &schemes, report));
    let mut walk = Walk {
        resolver,
        meant,
        settled,
        unreported: 0,
        requirement,
        extension: get(root.node, EXTENSION).map(|node| Arc::new(node.clone())),
        extensions: HashMap::new(),
        requirements: HashMap::new(),
        ids: HashMap::new(),
        shapes: HashMap::new(),
        agreed: HashMap::new(),
        candidates: Vec::new(),
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
    meant: MeantPaths,
    settled: Settled<'w>,
    /// The number of settled operations.
    unreported: usize,
    requirement: Option<Arc<SecurityRequirement>>,
    extension: Option<Arc<Node>>,
    /// The results for nodes that several operations can share.
    extensions: HashMap<*const Node, Arc<Node>>,
    requirements: HashMap<*const Node, Arc<SecurityRequirement>>,
    ids: HashMap<String, Span>,
    /// The places of candidates by shape of path and method.
    shapes: HashMap<(String, &'static str), Vec<usize>>,
    /// The restrictions of parameters that all operations of a path shape have in common.
    agreed: HashMap<String, Vec<Option<Narrowing>>>,
    /// In the order of the document.
    candidates: Vec<Candidate>,
    imported: Imported,
    schemes: &'w Schemes,
    report: &'w mut Report,
}

/// An operation that is routed if no stricter one matches the same requests.
pub(super) struct Candidate {
    pub(super) operation: Operation,
    path: RoutablePath,
    has_servers: bool,
}

/// A path with the settings of its item for all of its operations.
struct Path<'d> {
    text: &'d str,
    span: Span,
    parameters: Vec<Site<'d>>,
    extension: Option<Arc<Node>>,
    /// The `security` of the path item, which OpenAPI does not define.
    security: Option<Arc<SecurityRequirement>>,
    has_servers: bool,
    /// Whether it has an operation of its own for `HEAD`, which is otherwise part of `GET`.
    has_head: bool,
    /// What was probably meant by a path in the syntax of another router.
    meant: Vec<String>,
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
            if !self.resolver.spend(1) || self.candidates.len() >= OPERATIONS_MAX {
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
            self.add_unknown(text, span);
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
            security: items.iter().find_map(|item| find_security(item.node)).map(|one| self.requirement(&one.value)),
            has_servers: items.iter().any(|item| item.get("servers").is_some()),
            has_head: items.iter().any(|item| item.get("head").is_some()),
            meant: (self.meant)(text),
        };
        let mut seen = Vec::new();
        for item in items {
            for Entry { key, value } in entries(item.node) {
                let site = Site { node: value, ..item };
                match METHODS.iter().find(|(name, _)| *name == key.value) {
                    Some((name, method)) if !seen.contains(name) => {
                        seen.push(name);
                        self.operation(&path, method, key.span, site);
                    }
                    // The operation next to the reference is routed, and requires what this one requires.
                    Some((_, method)) => self.require_of(&path, &[*method], key.span, site),
                    None => self.check_key(&path, key, site),
                }
            }
        }
    }

    /// Requires what an operation requires that is not routed.
    fn require_of(&mut self, path: &Path<'d>, methods: &[&'static str], span: Span, site: Site<'d>) {
        let requirement = match self.resolver.follow(site) {
            Ok(site) if matches!(site.node.value, Value::Map(_)) => self.requirement_of(site, path),
            Ok(_) | Err(_) => Some(SecurityRequirement::unknown(span)),
        };
        self.add_unrouted(path, methods, requirement.as_ref());
    }

    fn operation(&mut self, path: &Path<'d>, method: &'static str, span: Span, site: Site<'d>) {
        if method == "TRACE" {
            return self.refuse(
                path,
                method,
                span,
                "the gateway refuses requests with the method `TRACE`",
                "remove the operation, in the document or with an overlay",
            );
        }
        let referring = site;
        let site = match self.resolver.follow(site) {
            Ok(site) if matches!(site.node.value, Value::Map(_)) => site,
            Ok(_) => {
                self.add_unrouted(path, &[method], Some(&SecurityRequirement::unknown(span)));
                let what = "the operation must be a mapping";
                return self.refuse(path, method, span, what, "write the keys of the operation");
            }
            Err(dangling) => {
                self.add_unrouted(path, &[method], Some(&SecurityRequirement::unknown(span)));
                let (what, _, fix) = dangling.broken.describe(dangling.text);
                return self.refuse(path, method, span, &what, fix);
            }
        };
        let own = self.parameters(site);
        let requirement = self.requirement_of(site, path);
        if !std::ptr::eq(site.node, referring.node) {
            self.security_beside_reference(path, method, referring.node);
        }
        let parsed = RoutablePath::parse(path.text).and_then(|parsed| {
            let template = parsed.template(&[])?;
            Ok((parsed, template))
        });
        let (parsed, template) = match parsed {
            Ok(parsed) => parsed,
            Err(reason) => {
                self.add_unrouted(path, &[method], requirement.as_ref());
                if self.is_settled(path, method, site.node) {
                    self.unreported += 1;
                    return;
                }
                return self.refuse(path, method, span, &reason.to_string(), reason.fix());
            }
        };
        let shape = template.shape();
        self.restrict(&shape, path, &own, &parsed);
        let operation_id = self.operation_id(site.node, method, path.text);
        let extensions = [self.extension.clone(), path.extension.clone(), self.extension(site.node)];
        let operation = Operation {
            id: operation_id.as_ref().and_then(|(id, is_first)| is_first.then(|| route_id(&id.value)).flatten()),
            operation_id: operation_id.map(|(id, _)| id),
            method,
            path: Spanned::new(path.text.to_owned(), path.span),
            template,
            tags: self.tags(site.node),
            requirement,
            answers: None,
            has_head: path.has_head,
            extensions: extensions.into_iter().flatten().collect(),
            span,
        };
        self.shapes.entry((shape, method)).or_default().push(self.candidates.len());
        let has_servers = path.has_servers || site.get("servers").is_some();
        self.add_meant(path, &operation);
        self.candidates.push(Candidate { operation, path: parsed, has_servers });
    }

    /// A path in the syntax of another router matches requests as it is written; those that are meant go elsewhere.
    fn add_meant(&mut self, path: &Path<'_>, operation: &Operation) {
        for meant in &path.meant {
            let unrouted = Unrouted::new(meant, &[operation.method], operation.requirement.as_ref(), path.has_head);
            self.imported.unrouted.extend(unrouted);
        }
    }

    fn add_unrouted(
        &mut self,
        path: &Path<'_>,
        methods: &[&'static str],
        requirement: Option<&Arc<SecurityRequirement>>,
    ) {
        self.imported.unrouted.extend(Unrouted::new(path.text, methods, requirement, path.has_head));
    }

    /// Adds a path of which nothing is known.
    fn add_unknown(&mut self, path: &str, span: Span) {
        let methods: Vec<&'static str> = METHODS.iter().map(|(_, method)| *method).collect();
        let unknown = SecurityRequirement::unknown(span);
        self.imported.unrouted.extend(Unrouted::new(path, &methods, Some(&unknown), true));
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

    /// The operations that are routed: of those for the same requests, the strictest.
    fn finish(self, root: FileId) -> Imported {
        let Self { mut imported, report, candidates, agreed, shapes, unreported, .. } = self;
        let lost = lost(&candidates, shapes, &mut imported, report);
        for (place, Candidate { mut operation, path, has_servers }) in candidates.into_iter().enumerate() {
            if lost.contains(&place) {
                imported.unrouted.extend(Unrouted::of(&operation));
                continue;
            }
            if let Some(narrowings) = agreed.get(&operation.template.shape())
                && let Ok(template) = path.template(narrowings)
            {
                operation.template = template;
            }
            imported.with_own_servers += usize::from(has_servers);
            imported.operations.push(operation);
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
        imported.refused += unreported;
        imported
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

/// The maximum number of operations of one specification.
const OPERATIONS_MAX: usize = 100_000;

/// The number of operations that are reported individually; of more, only the number is reported.
pub(super) const REPORTED_MAX: usize = 100;
