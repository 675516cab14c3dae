//! Which operations of a document an imported project routes, and what it requires of them: never less than the document.
//!
//! The draft is compiled, and changed until there is neither an operation that conflicts with another one, nor one that
//! answers requests of another one that is not routed and requires more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tollgate_analysis::compile_files;
use tollgate_config::openapi::{Operation, Raised, Spec};
use tollgate_config::{Code, Compiled, CompiledRoute, Diagnostic, Diagnostics, Place, Span};

use super::access::Access;
use super::draft::{self, Choices, Draft};
use super::place::Source;
use super::{nothing_routed, refused};
use crate::failure::Failure;
use crate::terminal::printable;

/// What the files of a project are made from.
#[derive(Clone, Copy)]
pub(super) struct Plan<'p> {
    pub(super) spec: &'p Spec,
    /// The findings about the document, for the places of its operations.
    pub(super) read: &'p Diagnostics,
    pub(super) source: &'p Source,
    pub(super) choices: &'p Choices,
}

/// The files of a project, by name.
pub(super) type Files = Vec<(String, Vec<u8>)>;

/// A project that compiles.
pub(super) struct Decided {
    pub(super) files: Files,
    /// The number of operations that the project hides.
    pub(super) hidden: usize,
    /// What the document says and the project does not keep, or keeps more strictly.
    pub(super) notes: Vec<String>,
}

/// What is decided about operations, by their places in the document.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Decisions {
    /// Those that the project hides, with the reason.
    pub(super) hidden: BTreeMap<usize, &'static str>,
    /// Those that the document itself hides from clients.
    unrouted: BTreeSet<usize>,
}

/// A draft that compiles, or what has to be changed in it.
enum Drafted {
    Done(Files),
    Hidden(BTreeMap<usize, &'static str>),
    Unrouted(BTreeSet<usize>),
}

impl Decisions {
    fn is_routed(&self, place: usize) -> bool {
        !self.hidden.contains_key(&place) && !self.unrouted.contains(&place)
    }
}

impl Plan<'_> {
    /// # Errors
    /// If no operation can be routed as strictly as the document says, or no project with them compiles.
    pub(super) fn decide(&self) -> Result<Decided, Failure> {
        let (mut spec, mut raised, mut decisions) = (self.spec.clone(), BTreeMap::new(), Decisions::default());
        // Each turn adds a decision about an operation, so there is an end.
        while (0..spec.operations().len()).any(|place| decisions.is_routed(place)) {
            let (met, unmet): (Vec<Raised>, Vec<Raised>) =
                spec.raise(|place| decisions.is_routed(place), &[]).into_iter().partition(|raised| raised.is_met);
            raised.extend(met.into_iter().map(|Raised { operation, of, .. }| (operation, of)));
            decisions.hidden.extend(unmet.iter().map(|raised| (raised.operation, UNMET)));
            if !unmet.is_empty() {
                continue;
            }
            let mut access = Access::of(&spec)?;
            access.notes.extend(notes(&spec, &raised, &decisions));
            match self.drafted(&spec, &access, &decisions)? {
                Drafted::Done(files) => {
                    return Ok(Decided { files, hidden: decisions.hidden.len(), notes: access.notes });
                }
                Drafted::Hidden(more) => decisions.hidden.extend(more),
                Drafted::Unrouted(more) => decisions.unrouted.extend(more),
            }
        }
        Err(nothing_routed(self.spec, self.read))
    }

    fn drafted(&self, spec: &Spec, access: &Access, decisions: &Decisions) -> Result<Drafted, Failure> {
        let draft = Draft { spec, choices: self.choices, access, decisions };
        match compiled(&self.files(&draft, None)?) {
            Ok(compiled) => {
                let routes = self.routes(&compiled);
                let places = (0..spec.operations().len()).filter(|place| decisions.is_routed(*place));
                let unrouted: BTreeSet<usize> = places.filter(|place| !routes.contains_key(place)).collect();
                if unrouted.is_empty() {
                    return Ok(Drafted::Done(self.files(&draft, Some(&routes))?));
                }
                Ok(Drafted::Unrouted(unrouted))
            }
            Err(found) => {
                let hidden = self.in_conflict(spec, &found, decisions);
                if hidden.is_empty() {
                    return Err(refused(&found));
                }
                Ok(Drafted::Hidden(hidden))
            }
        }
    }

    /// The files of the document and of the project, with a first test if the routes are known.
    fn files(&self, draft: &Draft<'_>, routes: Option<&Routes<'_>>) -> Result<Files, Failure> {
        let Self { spec, source, .. } = *self;
        let copied = spec.files().iter().filter_map(|name| {
            Some((format!("{}/{}", draft::SPEC_FOLDER, source.below_common(spec, name)), source.read(name)?))
        });
        let drafted = draft.files(&source.below_common(spec, &source.name), routes)?;
        Ok(copied.chain(drafted).collect())
    }

    /// The route of each operation, by its place; internal routes are not for clients.
    fn routes<'c>(&self, compiled: &'c Compiled) -> Routes<'c> {
        let operations = self.spec.operations().iter().enumerate();
        let key =
            |one: &Operation| (self.copied(one.span()), one.template().label().to_owned(), one.method().to_owned());
        let places: HashMap<(Place, String, String), usize> =
            operations.map(|(place, one)| (key(one), place)).collect();
        let routes = compiled.routes().iter().filter(|route| !route.settings.internal);
        let place = |route: &CompiledRoute| {
            let method = route.settings.methods.first()?.to_string();
            places.get(&(compiled.place(route.span), route.settings.path.label().to_owned(), method)).copied()
        };
        routes.filter_map(|route| Some((place(route)?, route))).collect()
    }

    /// The findings of the project, with those about the document that are only true where it was read: a file that was
    /// not copied is missing in the project for another reason.
    pub(super) fn findings(&self, found: &Diagnostics) -> Diagnostics {
        let is_in = |all: &Diagnostics, one: &Diagnostic| all.iter().any(|d| d.code == one.code && d.what == one.what);
        let own = self.read.clone().map_severity(|one| (!is_in(found, one)).then_some(one.severity));
        let spans = own.iter().flat_map(|one| one.related.iter().map(|related| related.span).chain([one.span]));
        let places: Vec<Place> = spans.map(|span| self.copied(span)).collect();
        let rest = found.clone().map_severity(|one| (!places.contains(&found.place(one.span))).then_some(one.severity));
        Diagnostics::merged(vec![(None, own), (None, rest)])
    }

    /// The place of a span of the document in its copy.
    fn copied(&self, span: Span) -> Place {
        let at = self.read.place(span);
        let file = format!("{}/{}", draft::SPEC_FOLDER, self.source.below_common(self.spec, &at.file));
        Place { file, ..at }
    }

    /// Of operations that match the same requests with equal precedence, all but the strictest; all if none is.
    fn in_conflict(&self, spec: &Spec, found: &Diagnostics, decisions: &Decisions) -> BTreeMap<usize, &'static str> {
        let operations = spec.operations();
        // Paths that share a path item have operations in one place.
        let mut places: HashMap<Place, Vec<usize>> = HashMap::new();
        for (place, operation) in operations.iter().enumerate() {
            if !decisions.hidden.contains_key(&place) {
                places.entry(self.copied(operation.span())).or_default().push(place);
            }
        }
        let at = |span: Span| places.get(&found.place(span)).into_iter().flatten().copied();
        let mut hidden = BTreeMap::new();
        for error in found.iter().filter(|found| found.code == Code::RouteConflict) {
            let others = error.related.iter().map(|related| related.span);
            // Of equally strict ones, that of the error is not routed.
            let mut group: Vec<usize> = Vec::new();
            for place in others.chain([error.span]).flat_map(at) {
                if !group.contains(&place) {
                    group.push(place);
                }
            }
            let all = group.clone();
            group.retain(|one| {
                let others = all.iter().filter(|other| *other != one);
                others.map(|other| &operations[*other]).any(|other| operations[*one].is_in_conflict_with(other))
            });
            let is_strictest =
                |one: &&usize| group.iter().all(|other| operations[**one].is_as_strict_as(&operations[*other]));
            let strictest = group.iter().find(is_strictest);
            let others = group.iter().filter(|place| Some(*place) != strictest);
            hidden.extend(others.map(|place| (*place, IN_CONFLICT)));
        }
        hidden
    }
}

/// The routes of operations for clients, by the places of the operations.
pub(super) type Routes<'c> = BTreeMap<usize, &'c CompiledRoute>;

fn compiled(files: &Files) -> Result<Compiled, Diagnostics> {
    let text = |(name, bytes): &(String, Vec<u8>)| Some((name.clone(), String::from_utf8(bytes.clone()).ok()?));
    compile_files(&files.iter().filter_map(text).collect())
}

/// Whether `authn` of the document is replaced by what `security` requires: it may require less.
pub(super) fn is_replaced(operation: &Operation) -> bool {
    operation.requires_credential() && operation.sets("authn")
}

fn notes(spec: &Spec, raised: &BTreeMap<usize, Arc<str>>, decisions: &Decisions) -> Vec<String> {
    let mut notes = Vec::new();
    for (place, of) in raised.iter().take(SHOWN_MAX) {
        let Some(operation) = spec.operations().get(*place) else { continue };
        let name = printable(&format!("{} {}", operation.method(), operation.path()));
        notes.push(format!(
            "{name} answers the requests of {}, which is not routed, and requires what that one requires",
            printable(of)
        ));
    }
    if raised.len() > SHOWN_MAX {
        notes.push(format!(
            "{} more operations answer the requests of others in the same way",
            raised.len() - SHOWN_MAX
        ));
    }
    let is_replaced = |place: &usize| {
        let operation = spec.operations().get(*place);
        decisions.is_routed(*place) && operation.is_some_and(is_replaced)
    };
    match (0..spec.operations().len()).filter(is_replaced).count() {
        0 => {}
        1 => notes
            .push("the `authn` of one operation's `x-tollgate` is replaced by what its `security` requires".to_owned()),
        more => notes.push(format!(
            "the `authn` of the `x-tollgate` of {more} operations is replaced by what `security` requires"
        )),
    }
    notes
}

const IN_CONFLICT: &str = "Another operation matches some of its requests with equal precedence.";

const UNMET: &str = "It matches the requests of another operation that is not routed, and neither requires all that the other requires.";

/// The number of operations that are named.
const SHOWN_MAX: usize = 8;
