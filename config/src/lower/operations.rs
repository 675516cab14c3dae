//! Converts operations of specifications to routes, with the settings of `operations:` and `x-tollgate`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::settling::Settling;
use crate::decode::habits::path::meant_paths;
use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report, closest};
use crate::model::api::{Api, Route};
use crate::model::level::Level;
use crate::model::operations::{By, Override, Settings};
use crate::model::project::Project;
use crate::openapi::{self, Answer, Described, MeantPaths, Operation, Raised, Settled, Spec, Unroutable};
use crate::place::{Span, Spanned};
use crate::source::{Entry, Loader, Node, Value};

/// Reads the specifications of APIs, and adds a route for each operation.
pub(crate) fn expand(project: &mut Project, loader: &mut Loader, report: &mut Report) {
    for api in project.apis.iter_mut().filter_map(|(_, api)| api.as_mut()) {
        let Some(written) = &api.spec else { continue };
        let settling = Settling::new(&api.operations, &answers(api));
        let is_settled = |one: &Unroutable<'_>| settling.settles(one);
        let known: (MeantPaths, Settled<'_>) = (meant_paths, &is_settled);
        let Some(mut spec) = openapi::load(written, &api.overlays, known, loader, report) else { continue };
        let (routes, described) = routes(api, &mut spec, &settling.hiding(), report);
        api.routes.extend(routes);
        api.described = described;
    }
}

/// The routes of the operations, and all operations with the index of their route in the API.
///
/// `hiding` has the entries of `operations:` that hide operations which cannot be routed.
fn routes(
    api: &Api,
    spec: &mut Spec,
    hiding: &HashSet<usize>,
    report: &mut Report,
) -> (Vec<Route>, Vec<(Described, Option<usize>)>) {
    for methods in api.operations.iter().filter_map(|entry| entry.select.methods.as_ref()) {
        parsed::methods(methods, report);
    }
    let mut overrides = Overrides::new(&api.operations, hiding);
    let mut extensions = Extensions::default();
    let mut reported = HashSet::new();
    let mut all = Vec::with_capacity(spec.operations().len());
    for operation in spec.operations() {
        let selected = overrides.of(operation);
        report_conflicts(operation, &selected, &mut reported, report);
        let mut layers: Layers =
            operation.extensions.iter().filter_map(|node| extensions.settings(node, report)).collect();
        layers.extend(selected.iter().map(|entry| Arc::clone(&entry.settings)));
        all.push(layers);
    }
    overrides.report_unused(spec, report);
    report_paths(spec.operations().iter().zip(&all).filter(|(_, layers)| !is_hidden(layers)), report);
    // Requests of clients for hidden and internal operations go to other routes that match them.
    let is_as_api = |layers: &Layers| {
        let internal = layers.iter().rev().find_map(|layer| layer.internal.as_ref());
        internal.is_none_or(|internal| internal.value == api.internal)
    };
    let is_routed = |place: usize| all.get(place).is_some_and(|layers| !is_hidden(layers) && is_as_api(layers));
    let mut described = spec.described();
    for raised in spec.raise(is_routed, &answers(api)).iter().filter(|raised| !raised.is_met) {
        report_unmet(spec, raised, report);
        // Those that can be routed are the first, in the same order.
        if let Some(answering) = described.get_mut(raised.operation) {
            answering.unmet.push(Arc::clone(&raised.of));
        }
    }
    if all.iter().all(is_hidden) {
        report_all_hidden(api, spec, report);
    }
    let mut indices = vec![None; all.len()];
    let shown = all.iter().zip(&mut indices).filter(|(layers, _)| !is_hidden(layers));
    shown.zip(api.routes.len()..).for_each(|((_, place), index)| *place = Some(index));
    let shown = spec.operations().iter().zip(&all).filter(|(_, layers)| !is_hidden(layers));
    let routes = shown.map(|(operation, layers)| route(operation, layers)).collect();
    let index = |operation: Option<usize>| indices.get(operation?).copied().flatten();
    (routes, described.into_iter().map(|one| (index(one.operation), one)).map(|(index, one)| (one, index)).collect())
}

/// Reports paths that are written as in a router, each once.
fn report_paths<'s>(shown: impl Iterator<Item = (&'s Operation, &'s Layers)>, report: &mut Report) {
    let mut seen = HashSet::new();
    for (operation, _) in shown {
        if seen.insert(operation.path.span) {
            parsed::report_foreign_in_document(&operation.path, report);
        }
    }
}

/// The routes of an API that are written under `routes:`, and that clients can reach as its operations.
fn answers(api: &Api) -> Vec<Answer> {
    let reachable = api.routes.iter().filter(|route| route.internal.is_none_or(|internal| internal == api.internal));
    let answer = |route: &Route| {
        let methods = route.methods.iter().flatten().filter_map(|method| method.value.parse().ok()).collect();
        Some(Answer { path: parsed::template_unreported(&route.path.value)?, methods, is_whole: route.when.is_none() })
    };
    reachable.filter_map(answer).collect()
}

/// The settings for an operation; later ones have precedence.
type Layers = Vec<Arc<Settings>>;

fn is_hidden(layers: &Layers) -> bool {
    layers.iter().rev().find_map(|layer| layer.hidden) == Some(true)
}

/// Reports an operation that answers the requests of another one, and whose requirement can't be that of both.
fn report_unmet(spec: &Spec, raised: &Raised, report: &mut Report) {
    let Some(operation) = spec.operations().get(raised.operation) else { return };
    let name = format!("{} {}", operation.method(), operation.path());
    report.push(
        Diagnostic::warning(
            Code::WeakerThanSpec,
            operation.span,
            format!("`{name}` answers the requests of `{}`, which is not routed", raised.of),
        )
        .why("neither requires all that the other one requires, so callers could pass with the wrong credential")
        .fix("define a route for the other one under `routes:`, or set `hidden: true` for this one"),
    );
}

fn report_all_hidden(api: &Api, spec: &Spec, report: &mut Report) {
    let Some(written) = api.spec.as_ref().filter(|_| !spec.operations().is_empty() && api.routes.is_empty()) else {
        return;
    };
    report.push(
        Diagnostic::warning(Code::NoOperations, written.span, "all operations of the specification are hidden")
            .why("requests that match no route are answered with 404, so the API answers every request with 404")
            .fix("remove `hidden: true` from an operation, in `operations:` or in `x-tollgate`, or remove the API"),
    );
}

fn route(operation: &Operation, layers: &[Arc<Settings>]) -> Route {
    let internal = layers.iter().rev().find_map(|layer| layer.internal.clone());
    let unnamed = || format!("{} {}", operation.method(), operation.template().label());
    let id = operation.id().map_or_else(unnamed, str::to_owned);
    let at = operation.operation_id.as_ref().map_or(operation.span, |id| id.span);
    Route {
        span: operation.span,
        path: Spanned::new(operation.template().as_str().to_owned(), operation.span),
        when: None,
        methods: Some(vec![Spanned::new(operation.method().to_owned(), operation.span)]),
        id: Some(Spanned::new(id, at)),
        scopes: layers.iter().filter_map(|layer| layer.scopes.clone()).collect(),
        cost: layers.iter().rev().find_map(|layer| layer.cost.clone()),
        internal: internal.as_ref().map(|internal| internal.value),
        internal_at: internal.map(|internal| internal.span),
        matrix_parameters: layers.iter().rev().find_map(|layer| layer.matrix_parameters.clone()),
        between: layers.iter().map(|layer| layer.level.clone()).map(Arc::new).collect(),
        level: Level::default(),
        requirement: operation.requirement.clone(),
        answers: operation.answers.clone(),
        is_operation: true,
        tags: Arc::clone(&operation.tags),
    }
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
    fn new(entries: &'a [Override], used: &HashSet<usize>) -> Self {
        let (mut by_tag, mut by_path, mut by_operation) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (place, entry) in entries.iter().enumerate() {
            let (index, key): (&mut HashMap<&str, Vec<usize>>, &str) = match &entry.select.by {
                By::Tag(tag) => (&mut by_tag, &tag.value),
                By::Path(path) => (&mut by_path, &path.value),
                By::Operation(id) => (&mut by_operation, &id.value),
            };
            index.entry(key).or_default().push(place);
        }
        let of =
            |(place, entry): (usize, &'a Override)| (entry, Arc::new(entry.settings.clone()), used.contains(&place));
        let entries = entries.iter().enumerate().map(of).collect();
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
                let is_other = |ours: &&Entry| match theirs.key.value.as_str() {
                    "scopes" => !ours.value.is_same(&theirs.value),
                    _ => !only(&ours.value).is_same(only(&theirs.value)),
                };
                let Some(ours) = same_key.filter(is_other) else {
                    continue;
                };
                let is_overridden = |third: &Selected<'_>| {
                    third.entry.select.rank() > second.entry.select.rank() && overrides(third.entry, &theirs.key.value)
                };
                if selected.iter().any(is_overridden) {
                    continue;
                }
                if !reported.insert((ours.key.span, theirs.key.span)) {
                    continue;
                }
                let key = &theirs.key.value;
                let fix = match second.entry.select.by {
                    By::Operation(_) => {
                        format!("remove `{key}` from one of them, or write one entry for the operation")
                    }
                    By::Tag(_) | By::Path(_) if key == "scopes" => {
                        "write `scopes` in one of them: those of all entries are required together".to_owned()
                    }
                    By::Tag(_) | By::Path(_) => {
                        let with = if ADDED.contains(&key.as_str()) { "with `replace: true` " } else { "" };
                        format!(
                            "set `{key}` {with}in an entry with `select: {{operation: ...}}`, or remove it from one of them"
                        )
                    }
                };
                report.push(
                    Diagnostic::error(
                        Code::SelectConflict,
                        theirs.key.span,
                        format!("two entries set `{key}` of `{}` to different values", name_of(operation)),
                    )
                    .why("both entries are equally specific, and the order in the file has no effect")
                    .fix(fix)
                    .related(ours.key.span, "the other entry"),
                );
            }
        }
    }
}

/// Whether an entry sets a key to a value that replaces those of less specific entries.
fn overrides(entry: &Override, key: &str) -> bool {
    let is_true = |node: &Node| node.value == Value::Bool(true);
    let replaces = |node: &Node| match &node.value {
        Value::Text(word) => word == "none",
        Value::Map(entries) => entries.iter().any(|entry| entry.key.value == "replace" && is_true(&entry.value)),
        _ => false,
    };
    let written = entry.written.iter().find(|written| written.key.value == key);
    written.is_some_and(|written| !ADDED.contains(&key) || (key != "scopes" && replaces(&written.value)))
}

/// Keys whose values are added to those of less specific entries.
const ADDED: &[&str] = &["authn", "authz", "cache", "guard", "limit", "scopes"];

/// The only item of a list, also of `{any: [...]}`, which has the same meaning as the list.
fn only(node: &Node) -> &Node {
    match &node.value {
        Value::Map(entries) => match entries.as_slice() {
            [Entry { key, value }] if key.value == "any" => only(value),
            _ => node,
        },
        Value::List(items) if items.len() == 1 => items.first().unwrap_or(node),
        _ => node,
    }
}

fn name_of(operation: &Operation) -> String {
    match operation.operation_id() {
        Some(id) => id.to_owned(),
        None => format!("{} {}", operation.method(), operation.path()),
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
