//! Converts operations of specifications to routes, with the settings of `operations:` and `x-tollgate`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report, closest};
use crate::model::api::{Api, Route};
use crate::model::level::Level;
use crate::model::operations::{By, Override, Settings};
use crate::model::project::Project;
use crate::openapi::{self, Operation, Spec};
use crate::place::{Span, Spanned};
use crate::source::{Entry, Loader, Node, Value};

/// Reads the specifications of APIs, and adds a route for each operation.
pub(crate) fn expand(project: &mut Project, loader: &mut Loader, report: &mut Report) {
    for api in project.apis.iter_mut().filter_map(|(_, api)| api.as_mut()) {
        let Some(written) = &api.spec else { continue };
        let Some(spec) = openapi::load(written, &api.overlays, loader, report) else { continue };
        let routes = routes(api, &spec, report);
        api.routes.extend(routes);
    }
}

fn routes(api: &Api, spec: &Spec, report: &mut Report) -> Vec<Route> {
    for methods in api.operations.iter().filter_map(|entry| entry.select.methods.as_ref()) {
        parsed::methods(methods, report);
    }
    let mut overrides = Overrides::new(&api.operations);
    let mut extensions = Extensions::default();
    let mut reported = HashSet::new();
    let mut routes = Vec::with_capacity(spec.operations().len());
    for operation in spec.operations() {
        let selected = overrides.of(operation);
        report_conflicts(operation, &selected, &mut reported, report);
        let mut layers: Vec<Arc<Settings>> =
            operation.extensions.iter().filter_map(|node| extensions.settings(node, report)).collect();
        layers.extend(selected.iter().map(|entry| Arc::clone(&entry.settings)));
        routes.extend(route(operation, &layers));
    }
    overrides.report_unused(spec, report);
    routes
}

/// The route of an operation; none if it is hidden. Later layers have precedence.
fn route(operation: &Operation, layers: &[Arc<Settings>]) -> Option<Route> {
    if layers.iter().rev().find_map(|layer| layer.hidden) == Some(true) {
        return None;
    }
    let mut scopes: Vec<Spanned<String>> = Vec::new();
    for scope in layers.iter().flat_map(|layer| &layer.scopes) {
        if !scopes.iter().any(|known| known.value == scope.value) {
            scopes.push(scope.clone());
        }
    }
    let internal = layers.iter().rev().find_map(|layer| layer.internal.clone());
    let unnamed = || format!("{} {}", operation.method(), operation.template().label());
    let id = operation.id().map_or_else(unnamed, str::to_owned);
    let at = operation.operation_id.as_ref().map_or(operation.span, |id| id.span);
    Some(Route {
        span: operation.span,
        path: Spanned::new(operation.template().as_str().to_owned(), operation.span),
        when: None,
        methods: Some(vec![Spanned::new(operation.method().to_owned(), operation.span)]),
        id: Some(Spanned::new(id, at)),
        scopes,
        cost: layers.iter().rev().find_map(|layer| layer.cost.clone()),
        internal: internal.as_ref().map(|internal| internal.value),
        internal_at: internal.map(|internal| internal.span),
        matrix_parameters: layers.iter().rev().find_map(|layer| layer.matrix_parameters.clone()),
        between: layers.iter().map(|layer| layer.level.clone()).map(Arc::new).collect(),
        level: Level::default(),
        requirement: operation.requirement.clone(),
        is_operation: true,
        tags: Arc::clone(&operation.tags),
    })
}

/// An entry that selects an operation.
struct Selected<'a> {
    entry: &'a Override,
    settings: Arc<Settings>,
}

/// The entries of `operations:`, indexed by the property by which they select.
struct Overrides<'a> {
    entries: Vec<(&'a Override, Arc<Settings>, bool)>,
    by_tag: HashMap<&'a str, Vec<usize>>,
    by_path: HashMap<&'a str, Vec<usize>>,
    by_operation: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Overrides<'a> {
    fn new(entries: &'a [Override]) -> Self {
        let (mut by_tag, mut by_path, mut by_operation) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (place, entry) in entries.iter().enumerate() {
            let (index, key): (&mut HashMap<&str, Vec<usize>>, &str) = match &entry.select.by {
                By::Tag(tag) => (&mut by_tag, &tag.value),
                By::Path(path) => (&mut by_path, &path.value),
                By::Operation(id) => (&mut by_operation, &id.value),
            };
            index.entry(key).or_default().push(place);
        }
        let entries = entries.iter().map(|entry| (entry, Arc::new(entry.settings.clone()), false)).collect();
        Self { entries, by_tag, by_path, by_operation }
    }

    /// The entries that select an operation, the most specific last.
    fn of(&mut self, operation: &Operation) -> Vec<Selected<'a>> {
        let by_id = operation.operation_id().and_then(|id| self.by_operation.get(id));
        let by_path = self.by_path.get(operation.path());
        let by_tag = operation.tags().iter().filter_map(|tag| self.by_tag.get(tag.as_str()));
        let mut places: Vec<usize> = by_tag.chain(by_path).chain(by_id).flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        let mut selected = Vec::new();
        for place in places {
            let Some((entry, settings, used)) = self.entries.get_mut(place) else { continue };
            let takes = |methods: &Vec<Spanned<String>>| methods.iter().any(|m| m.value == operation.method());
            if entry.select.methods.as_ref().is_none_or(takes) {
                *used = true;
                selected.push(Selected { entry, settings: Arc::clone(settings) });
            }
        }
        selected.sort_by_key(|selected| selected.entry.select.rank());
        selected
    }

    fn report_unused(&self, spec: &Spec, report: &mut Report) {
        for (entry, ..) in self.entries.iter().filter(|(_, _, used)| !used) {
            let operations = spec.operations().iter();
            let (name, meant) = match &entry.select.by {
                By::Tag(tag) => {
                    (tag, closest(&tag.value, operations.flat_map(|operation| operation.tags()).map(String::as_str)))
                }
                By::Path(path) => (path, closest(&path.value, operations.map(Operation::path))),
                By::Operation(id) => (id, closest(&id.value, operations.filter_map(Operation::operation_id))),
            };
            let fix = match meant.filter(|meant| *meant != name.value) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write an operation, a tag or a path of the specification, or remove the entry".to_owned(),
            };
            report.push(
                Diagnostic::error(
                    Code::NothingSelected,
                    name.span,
                    format!("no routed operation matches {}", entry.select.describe()),
                )
                .why("the settings of an entry that selects nothing have no effect")
                .fix(fix),
            );
        }
    }
}

/// Reports entries that are equally specific and set a key to different values, each pair once.
fn report_conflicts(
    operation: &Operation,
    selected: &[Selected<'_>],
    reported: &mut HashSet<(Span, Span)>,
    report: &mut Report,
) {
    for (place, second) in selected.iter().enumerate() {
        for first in selected[..place].iter().filter(|first| first.entry.select.rank() == second.entry.select.rank()) {
            for theirs in &second.entry.written {
                let same_key = first.entry.written.iter().find(|ours| ours.key.value == theirs.key.value);
                let Some(ours) = same_key.filter(|ours| !is_same(&ours.value, &theirs.value)) else { continue };
                if !reported.insert((ours.key.span, theirs.key.span)) {
                    continue;
                }
                let key = &theirs.key.value;
                report.push(
                    Diagnostic::error(
                        Code::SelectConflict,
                        theirs.key.span,
                        format!("two entries set `{key}` of `{}` to different values", name_of(operation)),
                    )
                    .why("both entries are equally specific, and the order in the file has no effect")
                    .fix(format!("set `{key}` in an entry with `select: {{operation: ...}}`, or remove one of them"))
                    .related(ours.key.span, "the other entry"),
                );
            }
        }
    }
}

fn name_of(operation: &Operation) -> String {
    match operation.operation_id() {
        Some(id) => id.to_owned(),
        None => format!("{} {}", operation.method(), operation.path()),
    }
}

/// Whether two nodes have the same value, regardless of their places.
fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            let has_same = |a: &Entry| b.iter().any(|b| a.key.value == b.key.value && is_same(&a.value, &b.value));
            a.len() == b.len() && a.iter().all(has_same)
        }
        (a, b) => a == b,
    }
}

/// The decoded `x-tollgate` settings. Each is decoded once, because that of the document applies to every operation.
#[derive(Default)]
struct Extensions {
    read: HashMap<*const Node, Option<Arc<Settings>>>,
}

impl Extensions {
    fn settings(&mut self, node: &Arc<Node>, report: &mut Report) -> Option<Arc<Settings>> {
        let decode = || Settings::decode(node, report).map(Arc::new);
        self.read.entry(Arc::as_ptr(node)).or_insert_with(decode).clone()
    }
}
