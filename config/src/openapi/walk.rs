//! Walks the paths of a specification, and converts each operation to a route, or reports why it cannot be routed.

use std::collections::HashMap;
use std::sync::Arc;

use super::documents::{Documents, Site, entries, get, report_broken, text};
use super::narrowing::{self, Narrowing};
use super::operations::Operation;
use super::path::RoutablePath;
use super::reference::short;
use super::resolver::{Dangling, Resolver};
use super::security::{self, Promise, Scheme, Schemes};
use super::strip::EXTENSION;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// The operations of a specification.
#[derive(Debug, Default)]
pub(super) struct Offered {
    pub(super) operations: Vec<Operation>,
    pub(super) schemes: Vec<Scheme>,
    /// Operations that are not routed.
    pub(super) refused: usize,
}

/// Reads the operations of a specification; those that cannot be routed are reported and omitted.
pub(super) fn operations(documents: &Documents, report: &mut Report) -> Offered {
    let Some(root) = documents.root() else { return Offered::default() };
    let mut resolver = Resolver::new(documents);
    let schemes = security::schemes(root, &mut resolver);
    let promise = get(root.node, "security").and_then(|node| security::promise(node, &schemes, report));
    let mut walk = Walk {
        resolver,
        promise,
        extension: get(root.node, EXTENSION).map(|node| Arc::new(node.clone())),
        extensions: HashMap::new(),
        promises: HashMap::new(),
        ids: HashMap::new(),
        shapes: HashMap::new(),
        agreed: HashMap::new(),
        paths: Vec::new(),
        offered: Offered::default(),
        schemes: &schemes,
        report,
    };
    if let Some(paths) = root.get("paths") {
        walk.paths(paths);
    }
    let mut offered = walk.finish();
    offered.schemes = schemes.values().map(|scheme| (**scheme).clone()).collect();
    offered.schemes.sort_by(|a, b| a.name.cmp(&b.name));
    offered
}

struct Walk<'d, 'w> {
    resolver: Resolver<'d>,
    promise: Option<Arc<Promise>>,
    extension: Option<Arc<Node>>,
    /// The results for nodes that many operations can share.
    extensions: HashMap<*const Node, Arc<Node>>,
    promises: HashMap<*const Node, Option<Arc<Promise>>>,
    ids: HashMap<String, Span>,
    shapes: HashMap<(String, &'static str), (Span, &'d str)>,
    /// The constraints on the parameters of all operations of a shape.
    agreed: HashMap<String, Vec<Option<Narrowing>>>,
    /// The paths of the operations, in their order.
    paths: Vec<RoutablePath>,
    offered: Offered,
    schemes: &'w Schemes,
    report: &'w mut Report,
}

/// A path with the settings of its item for all of its operations.
struct Path<'d> {
    text: &'d str,
    span: Span,
    parameters: Vec<Site<'d>>,
    extension: Option<Arc<Node>>,
}

impl<'d> Walk<'d, '_> {
    fn paths(&mut self, paths: Site<'d>) {
        if !matches!(paths.node.value, Value::Map(_)) {
            self.report_shape(paths.node.span, "`paths` is not a mapping", "write paths with what they offer");
        }
        for Entry { key, value } in entries(paths.node) {
            if key.value.starts_with("x-") {
                continue;
            }
            if !self.resolver.spend(1) || self.offered.operations.len() >= OPERATIONS_MAX {
                self.report_endless(key.span);
                return;
            }
            self.path(&key.value, key.span, Site { node: value, ..paths });
        }
    }

    fn path(&mut self, text: &'d str, span: Span, item: Site<'d>) {
        let target = match self.resolver.follow(item) {
            Ok(target) => target,
            Err(dangling) => return self.refuse_path(text, span, &dangling),
        };
        if !matches!(target.node.value, Value::Map(_)) {
            let what = format!("what is offered at `{}` is not a mapping", short(text));
            return self.report_shape(target.node.span, &what, "write methods with their operations");
        }
        // Keys next to a reference apply only to this path, so they take precedence.
        let is_referred = !std::ptr::eq(target.node, item.node);
        let items = if is_referred { vec![item, target] } else { vec![item] };
        let path = Path {
            text,
            span,
            parameters: items.iter().flat_map(|item| self.parameters(*item)).collect(),
            extension: items.iter().find_map(|item| self.extension(item.node)),
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
            return self.refuse(path, method, span, "`TRACE` is never routed", "remove the operation");
        }
        let site = match self.resolver.follow(site) {
            Ok(site) if matches!(site.node.value, Value::Map(_)) => site,
            Ok(_) => return self.refuse(path, method, span, "the operation is not a mapping", "write its keys"),
            Err(dangling) => {
                let (what, _, fix) = dangling.broken.told(dangling.text);
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
        if let Some((first, text)) = self.shapes.get(&shape) {
            let (first, other) = (*first, short(text).into_owned());
            return self.refuse_twin(path, method, span, first, &other);
        }
        self.agree(&shape.0, path, &own, &parsed);
        self.shapes.insert(shape, (span, path.text));
        self.paths.push(parsed);
        let operation_id = self.operation_id(site.node, method, path.text);
        let security = get(site.node, "security");
        let promise = match security {
            Some(node) => {
                let read = || security::promise(node, self.schemes, self.report);
                self.promises.entry(std::ptr::from_ref(node)).or_insert_with(read).clone()
            }
            None => self.promise.clone(),
        };
        let extensions = [self.extension.clone(), path.extension.clone(), self.extension(site.node)];
        let tags = self.tags(site.node);
        self.offered.operations.push(Operation {
            id: operation_id.as_ref().and_then(|(id, is_first)| is_first.then(|| route_id(&id.value)).flatten()),
            operation_id: operation_id.map(|(id, _)| id),
            method,
            path: Spanned::new(path.text.to_owned(), path.span),
            template,
            tags,
            promise,
            extensions: extensions.into_iter().flatten().collect(),
            span,
        });
    }

    /// Restricts a parameter only to the values that all operations of the same shape allow.
    ///
    /// Otherwise one of them would match requests for the path of another that has a different method.
    fn agree(&mut self, shape: &str, path: &Path<'d>, own: &[Site<'d>], parsed: &RoutablePath) {
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

    /// The parameters that an operation or path item lists; those that cannot be found restrict nothing.
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
            self.report_shape(written.span, "an `operationId` is not text", "write a name, such as `listPets`");
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
                format!("there are two operations `{}`", short(text)),
            )
            .why(format!("an id names one operation; the route of `{method} {}` is named by these", short(path)))
            .fix("give one of them another `operationId`")
            .related(first, "the other one"),
        );
        Some((id, false))
    }

    fn tags(&mut self, node: &Node) -> Arc<[String]> {
        let Some(Value::List(items)) = get(node, "tags").map(|node| &node.value) else { return Arc::new([]) };
        self.resolver.spend(items.len());
        items.iter().filter_map(text).take(TAGS_MAX).map(str::to_owned).collect()
    }

    /// The `x-tollgate` of a node, copied once.
    fn extension(&mut self, node: &Node) -> Option<Arc<Node>> {
        let node = get(node, EXTENSION)?;
        Some(Arc::clone(self.extensions.entry(std::ptr::from_ref(node)).or_insert_with(|| Arc::new(node.clone()))))
    }

    fn finish(self) -> Offered {
        let Self { mut offered, report, paths, agreed, .. } = self;
        for (operation, path) in offered.operations.iter_mut().zip(&paths) {
            if let Some(narrowings) = agreed.get(&path.shape())
                && let Ok(template) = path.template(narrowings)
            {
                operation.template = template;
            }
        }
        if offered.refused > TOLD_MAX
            && let Some(operation) = offered.operations.first()
        {
            let more = offered.refused - TOLD_MAX;
            report.push(
                Diagnostic::warning(
                    Code::NotRouted,
                    Span::beginning_of(operation.span.file),
                    format!("and {more} more operations are not routed"),
                )
                .why("the first of them are told one by one")
                .fix("mend these first"),
            );
        }
        offered
    }

    fn refuse_path(&mut self, text: &str, span: Span, dangling: &Dangling<'_>) {
        let (what, _, fix) = dangling.broken.told(dangling.text);
        self.offered.refused += 1;
        self.report.push(
            Diagnostic::warning(Code::NotRouted, span, format!("nothing of `{}` is routed: {what}", short(text)))
                .why("what it offers cannot be known")
                .fix(fix)
                .related(dangling.span, "referred to here"),
        );
    }

    fn refuse_twin(&mut self, path: &Path<'_>, method: &str, span: Span, first: Span, other: &str) {
        self.offered.refused += 1;
        if self.offered.refused > TOLD_MAX {
            return;
        }
        self.report.push(
            Diagnostic::warning(
                Code::NotRouted,
                span,
                format!("`{method} {}` is not routed: `{method} {other}` takes the same requests", short(path.text)),
            )
            .why("paths that differ only in the names of their parameters cannot be told apart")
            .fix("keep one of them, or make their paths differ")
            .related(first, "the other one"),
        );
    }

    fn refuse(&mut self, path: &Path<'_>, method: &str, span: Span, reason: &str, fix: &str) {
        self.offered.refused += 1;
        if self.offered.refused > TOLD_MAX {
            return;
        }
        let what = format!("`{method} {}` is not routed: {reason}", short(path.text));
        self.report.push(Diagnostic::warning(Code::NotRouted, span, what).why(WHY_NOT_ROUTED).fix(fix));
    }

    fn check_key(&mut self, key: &Spanned<String>) {
        let known = key.value.starts_with("x-") || ITEM_KEYS.contains(&key.value.as_str());
        let lower = key.value.to_ascii_lowercase();
        if !known && METHODS.iter().any(|(name, _)| *name == lower) {
            let what = format!("`{}` is no method of OpenAPI", short(&key.value));
            self.report_shape(key.span, &what, &format!("write `{lower}`"));
        }
    }

    fn report_shape(&mut self, span: Span, what: &str, fix: &str) {
        self.report.push(Diagnostic::warning(Code::SpecShape, span, what).why("no route can be made of it").fix(fix));
    }

    fn report_endless(&mut self, span: Span) {
        self.report.push(
            Diagnostic::error(Code::TooMany, span, "the specification offers more than can be routed")
                .why(format!("there may be {OPERATIONS_MAX} operations, and references must not multiply them"))
                .fix("split the specification, and give each part an API of its own"),
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
    let says_something = id.bytes().any(|b| b.is_ascii_alphanumeric());
    (says_something && id.len() <= ID_BYTES_MAX).then_some(id)
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

const WHY_NOT_ROUTED: &str = "what is not routed is refused; the other operations are";

/// The maximum number of operations of one specification.
const OPERATIONS_MAX: usize = 100_000;

/// The number of operations that are reported individually; of more, only the number is reported.
const TOLD_MAX: usize = 100;

/// The maximum number of tags of one operation.
const TAGS_MAX: usize = 64;

/// The maximum length of a tag, as for ids of routes.
const ID_BYTES_MAX: usize = 80;
