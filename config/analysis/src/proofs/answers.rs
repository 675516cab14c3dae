//! Finds routes that answer requests of an operation of a specification, and require less than the specification does.
//!
//! The requests of an operation are those of its path and methods, whatever its parameters' types, except those that a
//! more specific operation of the same specification describes.

use std::collections::{BTreeMap, HashMap};

use tollgate_config::{Code, CompiledRoute, Diagnostic, FixedChars, Guarded, Report, Span, Witness};
use tollgate_core::route::{CanonicalPath, HostPattern, ParameterType, PathTemplate, Segment};
use tollgate_core::settings::RouteSettings;

use super::budget::{Budget, Spent};
use super::cover::takes_all;
use super::index::Index;
use super::meet::meets;
use super::routes::{Analysis, Part};
use super::segment::shared_texts;

/// Reports the routes, each once.
pub(super) fn report(analysis: &Analysis<'_>, guarded: &[Guarded], report: &mut Report) {
    let required = || guarded.iter().filter(|operation| operation.required_at().is_some());
    let Some(first) = required().find_map(Guarded::required_at) else { return };
    let compared = Compared::new(analysis, guarded);
    let (mut found, budget): (BTreeMap<usize, Answers<'_>>, _) = (BTreeMap::new(), Budget::default());
    for operation in required() {
        if compared.add(operation, &budget, &mut found).is_err() {
            report.push(incomplete(first));
            break;
        }
    }
    for (place, answers) in found {
        report.push(answers.diagnostic(&analysis.whole.routes[place]));
    }
}

/// An operation whose requests a route answers although it requires less, with a request, and whether there are others.
struct Answers<'g> {
    first: &'g Guarded,
    witness: Witness,
    /// Whether an operation of the specification could describe the request alone.
    is_describable: bool,
    has_more: bool,
}

/// The routes and operations, prepared for comparison.
struct Compared<'a, 'w> {
    analysis: &'a Analysis<'w>,
    /// The routes that clients can reach.
    routes: Index<'a>,
    /// The operations, and the one of each route.
    operations: Index<'a>,
    guarded: &'a [Guarded],
    by_route: HashMap<usize, &'a Guarded>,
    /// Values for operations without a template: a simple one, and one that no fixed text of a path has.
    values: [String; 2],
    /// More segments than any route has.
    depth: usize,
}

impl<'a, 'w> Compared<'a, 'w> {
    fn new(analysis: &'a Analysis<'w>, guarded: &'a [Guarded]) -> Self {
        let (mut routes, mut operations) = (Index::default(), Index::default());
        let (mut chars, mut depth) = (FixedChars::default(), 0);
        for (place, route) in analysis.whole.routes.iter().enumerate().filter(|(_, route)| !route.settings.internal) {
            let segments = route.settings.path.segments();
            routes.add(segments, place);
            chars.add(segments);
            depth = depth.max(segments.len() + 1);
        }
        for (place, operation) in guarded.iter().enumerate() {
            if let Some(path) = &operation.path {
                operations.add(path.segments(), place);
                chars.add(path.segments());
            }
            chars.extend(operation.chars());
        }
        let by_route = guarded.iter().filter_map(|operation| Some((operation.route?, operation))).collect();
        let values = ["a".to_owned(), chars.other()];
        Self { analysis, routes, operations, guarded, by_route, values, depth }
    }

    /// Adds the routes that answer requests of an operation.
    fn add(
        &self,
        operation: &'a Guarded,
        budget: &Budget,
        found: &mut BTreeMap<usize, Answers<'a>>,
    ) -> Result<(), Spent> {
        let Some(path) = &operation.path else { return Ok(()) };
        let own = operation.route.and_then(|place| self.analysis.whole.routes.get(place));
        let mut places = Vec::new();
        self.routes.meeting(path.segments(), budget, &mut places)?;
        budget.spend(places.len().saturating_mul(1 + operation.parts()))?;
        for place in places {
            let route = &self.analysis.whole.routes[place];
            if Some(place) == operation.route
                || found.get(&place).is_some_and(|known| known.has_more)
                || own.is_some_and(|own| is_as_strict(&route.settings, &own.settings))
                || operation.is_met_by(&route.settings, &self.analysis.whole.policies)
                || self.is_known(operation, place)
            {
                continue;
            }
            if let Some((witness, is_describable)) = self.request(operation, path, place, budget)? {
                let new = Answers { first: operation, witness, is_describable, has_more: false };
                found.entry(place).and_modify(|known| known.has_more = true).or_insert(new);
                if found.len() > REPORTED_MAX {
                    return Err(Spent);
                }
            }
        }
        Ok(())
    }

    /// Whether the compiler reports it already: the route is an operation that answers the requests of one that is not
    /// routed, or of which less is required than of both.
    fn is_known(&self, operation: &Guarded, place: usize) -> bool {
        let whole = self.analysis.whole;
        let answering = self.by_route.get(&place).filter(|answering| answering.api == operation.api);
        answering.is_some_and(|answering| {
            if answering.is_as_strict_as(operation) {
                answering.is_reported(&whole.routes[place].settings, &whole.policies)
            } else {
                answering.is_unmet(operation)
            }
        })
    }

    /// The more specific operations of the same specification that describe requests of the route; the route is compared
    /// with them, too.
    fn narrower(
        &self,
        operation: &Guarded,
        path: &PathTemplate,
        place: usize,
        budget: &Budget,
    ) -> Result<Vec<&'a Guarded>, Spent> {
        let mut places = Vec::new();
        self.operations.meeting(self.segments(place), budget, &mut places)?;
        budget.spend(places.len())?;
        let mut found = Vec::new();
        for other in places.into_iter().filter_map(|place| self.guarded.get(place)) {
            let Some(own) = other.path.as_ref().filter(|_| other.api == operation.api) else { continue };
            if !contains(path.segments(), own.segments()) {
                continue;
            }
            let is_narrower = if operation.is_whole() && other.is_whole() {
                !contains(own.segments(), path.segments())
            } else {
                budget.spend(PATTERN_WORK)?;
                operation.is_wider_than(other)
            };
            if is_narrower {
                found.push(other);
            }
        }
        Ok(found)
    }

    fn segments(&self, place: usize) -> &'a [Segment] {
        self.analysis.whole.routes[place].settings.path.segments()
    }

    /// A request of the operation that the route answers and that no narrower operation describes, and whether the
    /// specification could describe it as an operation of its own.
    fn request(
        &self,
        operation: &Guarded,
        path: &PathTemplate,
        place: usize,
        budget: &Budget,
    ) -> Result<Option<(Witness, bool)>, Spent> {
        let narrower = self.narrower(operation, path, place, budget)?;
        let CompiledRoute { hosts, settings, .. } = &self.analysis.whole.routes[place];
        let shared = self.shared(operation, place);
        if !operation.is_whole() {
            budget.spend(shared.len().saturating_mul(PATTERN_WORK))?;
        }
        let methods = operation.methods.iter().filter(|method| settings.methods.takes(*method));
        for method in methods {
            let described: Vec<&&Guarded> = narrower.iter().filter(|other| other.methods.contains(method)).collect();
            let whole = described.iter().filter(|other| other.is_whole());
            let taken: Vec<&[Segment]> = whole.filter_map(|other| Some(other.path.as_ref()?.segments())).collect();
            let is_meant = |witness: &Witness| {
                CanonicalPath::parse(witness.path.as_bytes())
                    .is_ok_and(|path| operation.is_for(&path) && !described.iter().any(|other| other.is_for(&path)))
            };
            for host in hosts.iter().flat_map(|own| operation.hosts.iter().filter_map(|host| narrower_of(own, host))) {
                let of = Part { place, host, method };
                for paths in &shared {
                    budget.spend(REQUEST_WORK)?;
                    if let Some(witness) = self.analysis.request_among(of, paths, &taken, is_meant) {
                        let is_describable = settings.when.is_empty()
                            && if operation.is_whole() {
                                !contains(&untyped(paths), path.segments())
                            } else {
                                operation.has_more_than(&settings.path)
                            };
                        return Ok(Some((witness, is_describable)));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Templates of requests that both the operation and the route match: all of them, or some if there is no template for
    /// all.
    fn shared(&self, operation: &Guarded, place: usize) -> Vec<Vec<Segment>> {
        let route = self.segments(place);
        let values = if operation.is_whole() { &self.values[..1] } else { &self.values };
        let own = values.iter().flat_map(|value| operation.within(route, value, self.depth));
        let both = |own: Vec<Segment>| {
            meets(route, &own).unwrap_or_else(|| {
                let shared = shared_texts(route, &own).into_iter();
                [route.to_vec()]
                    .into_iter()
                    .chain(shared.map(|texts| texts.into_iter().map(Segment::Literal).collect()))
                    .collect()
            })
        };
        own.flat_map(both).collect()
    }
}

impl Answers<'_> {
    fn diagnostic(&self, route: &CompiledRoute) -> Diagnostic {
        let (id, name) = (&route.settings.id, &self.first.name);
        let more = if self.has_more { " and of other operations" } else { "" };
        let what = format!("`{id}` answers requests of `{name}`{more}, and requires less than the specification");
        let why = format!("callers can send this request without what `{name}` requires: {}", self.witness.curl());
        let fix = if self.is_describable {
            "require the same here, or narrow its path or methods; if this is meant, describe these requests in the \
             specification as an operation with their own `security` (an overlay can, and can hide it)"
        } else {
            "require the same here, or narrow its path or methods; a specification cannot describe these requests as an \
             operation of their own"
        };
        let mut diagnostic = Diagnostic::warning(Code::WeakerThanSpec, route.span, what).why(why).fix(fix);
        if let Some(required) = self.first.required_at() {
            diagnostic = diagnostic.related(required, format!("required here of `{name}`"));
        }
        diagnostic
    }
}

/// The finding that there may be more.
fn incomplete(at: Span) -> Diagnostic {
    let what = "not all operations are compared with the routes that answer their requests";
    Diagnostic::warning(Code::WeakerThanSpec, at, what)
        .why("too many paths have requests in common, so more routes may require less than the specification")
        .fix("mend those that are reported, and begin the paths of different resources with different fixed text")
}

/// Whether each caller of a route has what another one requires.
fn is_as_strict(route: &RouteSettings, other: &RouteSettings) -> bool {
    let has_all = |own: &Vec<_>| other.authn.iter().any(|needs| needs.iter().all(|need| own.contains(need)));
    other.authn.is_empty()
        || (!route.authn.is_empty()
            && route.authn.iter().all(has_all)
            && has_scopes(route, other)
            && other.authz.iter().all(|policy| route.authz.contains(policy)))
}

/// Whether each caller of a route has the scopes that another one requires.
fn has_scopes(route: &RouteSettings, other: &RouteSettings) -> bool {
    let needed = other.accepted_scopes();
    let is_enough = |held: &Vec<&str>| needed.iter().any(|set| set.iter().all(|scope| held.contains(scope)));
    route.accepted_scopes().iter().all(is_enough)
}

/// The more specific of two host patterns that match the same hosts.
fn narrower_of<'h>(a: &'h HostPattern, b: &'h HostPattern) -> Option<&'h HostPattern> {
    if b.covers(a) { Some(a) } else { a.covers(b).then_some(b) }
}

/// Whether a template matches all paths of another one.
fn contains(wide: &[Segment], narrow: &[Segment]) -> bool {
    let is_taken = |wide: &Segment, narrow: &Segment| match narrow {
        Segment::Literal(text) => wide.value_of(text).is_some(),
        Segment::Parameter { .. } | Segment::Rest { .. } => takes_all(wide, narrow),
    };
    let (mut wide, mut narrow) = (wide.iter(), narrow.iter());
    loop {
        match (wide.next(), narrow.next()) {
            (None, None) | (Some(Segment::Rest { .. }), Some(_)) => return true,
            (Some(wide), Some(narrow)) if is_taken(wide, narrow) => {}
            (Some(_) | None, _) => return false,
        }
    }
}

/// A template without the types of its parameters, which paths of specifications do not have.
fn untyped(segments: &[Segment]) -> Vec<Segment> {
    let untyped = |segment: &Segment| match segment {
        Segment::Parameter { prefix, name, suffix, .. } => Segment::Parameter {
            prefix: prefix.clone(),
            name: name.clone(),
            of: ParameterType::Any,
            suffix: suffix.clone(),
        },
        Segment::Literal(_) | Segment::Rest { .. } => segment.clone(),
    };
    segments.iter().map(untyped).collect()
}

/// The number of routes that are reported individually.
const REPORTED_MAX: usize = 100;

/// The steps to compare two patterns, or to make a template of one.
const PATTERN_WORK: usize = 100;

/// The steps of the search for a request.
const REQUEST_WORK: usize = 100;
