//! Operations that are not routed, and the operations that answer their requests.
//!
//! A request for an operation that is not routed is answered by the most specific routed one that matches it. If that one
//! required less, callers would pass without what the document requires of them, so it must require the same.

use std::collections::HashSet;
use std::sync::Arc;

use http::Method;
use tollgate_core::route::{CanonicalPath, Entry, PathTemplate, Predicate, Router, Subject, Test};

use super::Spec;
use super::described::with_head;
use super::operations::Operation;
use super::overlap::untyped;
use super::pattern::{FixedChars, Piece, pieces};
use super::security::{SecurityRequirement, implies};

/// An operation that is not routed, and that requires a credential.
#[derive(Clone, Debug)]
pub(super) struct Unrouted {
    path: Arc<str>,
    methods: Vec<&'static str>,
    /// Whether `HEAD` is another operation; otherwise it is part of `GET`.
    has_head: bool,
    requirement: Arc<SecurityRequirement>,
}

/// A routed operation that answers the requests of one that is not routed, and that required less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// The place of the routed operation.
    pub operation: usize,
    /// Method and path of the one that is not routed.
    pub of: Arc<str>,
    /// Whether the routed one requires the same now; not possible if neither requires all that the other requires.
    pub is_met: bool,
}

impl Unrouted {
    /// `None` if it requires no credential.
    pub(super) fn new(
        path: &str,
        methods: &[&'static str],
        requirement: Option<&Arc<SecurityRequirement>>,
        has_head: bool,
    ) -> Option<Self> {
        let requirement = requirement.filter(|requirement| requirement.requires_credential())?;
        Some(Self { path: path.into(), methods: methods.to_vec(), has_head, requirement: Arc::clone(requirement) })
    }

    pub(super) fn of(operation: &Operation) -> Option<Self> {
        Self::new(operation.path(), &[operation.method], operation.requirement.as_ref(), operation.has_head)
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn requirement(&self) -> &Arc<SecurityRequirement> {
        &self.requirement
    }

    /// Method and path, for messages.
    pub(super) fn name(&self) -> Arc<str> {
        format!("{} {}", self.methods.join(","), super::reference::short(&self.path)).into()
    }

    /// The methods of its requests.
    pub(super) fn methods(&self) -> Vec<&'static str> {
        with_head(&self.methods, self.has_head)
    }

    /// Paths of its requests, none if no request can have its path.
    fn paths(&self, value: &str, depth_max: usize) -> Vec<CanonicalPath> {
        let requests = requests(&self.path, value, depth_max);
        requests.iter().filter_map(|text| CanonicalPath::parse(text.as_bytes()).ok()).collect()
    }
}

impl Spec {
    /// Requires of each routed operation what operations that are not routed require and whose requests it answers.
    ///
    /// Operations that are not routed are those that cannot be, and those of [`Spec::operations`] for which `is_routed`
    /// does not hold. The requests that other routes of the API answer are not compared.
    pub fn raise(&mut self, is_routed: impl Fn(usize) -> bool, others: &[Answer]) -> Vec<Raised> {
        self.widen(&is_routed);
        let places = 0..self.operations.len();
        let (routed, hidden): (Vec<usize>, Vec<usize>) = places.partition(|place| is_routed(*place));
        let hidden = hidden.iter().filter_map(|place| Unrouted::of(&self.operations[*place]));
        let unrouted: Vec<Unrouted> = self.unrouted.iter().cloned().chain(hidden).collect();
        if unrouted.is_empty() {
            return Vec::new();
        }
        let depth_max = routed.iter().map(|place| self.operations[*place].template.segments().len()).max();
        let depth_max = depth_max.unwrap_or_default().clamp(1, DEPTH_MAX);
        let value = other_value(&self.operations, &routed, others);
        let router = Answering::new(&self.operations, routed, others);
        let (mut raised, mut seen) = (Vec::new(), HashSet::new());
        for one in &unrouted {
            let methods: Vec<Method> = one.methods().iter().filter_map(|method| method.parse().ok()).collect();
            let (paths, requirement) = (one.paths(&value, depth_max), &one.requirement);
            // Many operations that differ in what follows `#` or in names of parameters have the same requests.
            let requests = paths.iter().flat_map(|path| methods.iter().map(move |method| (path, method)));
            let new = requests.filter(|(path, method)| {
                seen.insert((path.as_str().to_owned(), (*method).clone(), Arc::as_ptr(requirement)))
            });
            for place in router.places(new) {
                let operation = &mut self.operations[place];
                if implies(operation.requirement.as_ref(), Some(requirement)) {
                    continue;
                }
                let is_met = implies(Some(requirement), operation.requirement.as_ref());
                let name = one.name();
                if is_met {
                    operation.requirement = Some(Arc::clone(requirement));
                    operation.answers = Some(Arc::clone(&name));
                }
                raised.push(Raised { operation: place, of: name, is_met });
            }
        }
        // What is required now may be more than what others require.
        self.widen(&is_routed);
        raised
    }
}

/// A route of an API that is not one of its operations.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The path, without the base of the API.
    pub path: PathTemplate,
    /// The methods; none means all.
    pub methods: Vec<Method>,
    /// Whether it answers all of these requests: it has no further conditions.
    pub is_whole: bool,
}

impl Answer {
    /// An operation with types answers its requests before others do, and may answer those of its path without types.
    fn of(operation: &Operation) -> Vec<Self> {
        let path = untyped(&operation.template);
        let is_whole = path == operation.template;
        let typed = (!is_whole).then(|| operation.template.clone());
        let answer = |path| Self { path, methods: operation.method.parse().into_iter().collect(), is_whole };
        std::iter::once(path).chain(typed).map(answer).collect()
    }
}

/// Finds the routed operations that answer a request.
struct Answering {
    places: Vec<usize>,
    router: Router,
}

impl Answering {
    /// Other routes come after the operations, so they have no place.
    fn new(operations: &[Operation], places: Vec<usize>, others: &[Answer]) -> Self {
        // An operation whose parameters have types answers only some of the requests with its path.
        let some = [Predicate { of: Subject::Query(String::new()), test: Test::Present }];
        let of_place =
            |place: usize| operations.get(place).into_iter().flat_map(Answer::of).map(move |one| (place, one));
        let (places, all): (Vec<usize>, Vec<Answer>) = places.into_iter().flat_map(of_place).unzip();
        let router = Router::new(all.iter().chain(others).map(|Answer { path, methods, is_whole }| Entry {
            path,
            methods,
            when: if *is_whole { &[] } else { &some },
        }));
        Self { places, router }
    }

    fn places<'r>(&self, requests: impl Iterator<Item = (&'r CanonicalPath, &'r Method)>) -> Vec<usize> {
        let found = requests.flat_map(|(path, method)| self.router.find_all(path, method));
        let mut places: Vec<usize> = found.filter_map(|index| self.places.get(index).copied()).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// A value that none of the routes takes only because of its fixed texts.
fn other_value(operations: &[Operation], routed: &[usize], others: &[Answer]) -> String {
    let mut chars = FixedChars::default();
    let routed = routed.iter().filter_map(|place| operations.get(*place)).map(|one| &one.template);
    routed.chain(others.iter().map(|other| &other.path)).for_each(|path| chars.add(path.segments()));
    chars.other()
}

/// Paths of requests for an operation with this value of each parameter.
pub(crate) fn requests(path: &str, value: &str, depth_max: usize) -> Vec<String> {
    let pieces = pieces(path);
    // Without a parameter for several segments there is one request.
    let depth_max = if pieces.contains(&Piece::Values) { depth_max } else { 1 };
    let request = |depth: usize| {
        let several = vec![value; depth].join("/");
        let text = |piece: &Piece<'_>| match piece {
            Piece::Text(text) => (*text).to_owned(),
            Piece::Value => value.to_owned(),
            Piece::Values => several.clone(),
        };
        pieces.iter().map(text).collect()
    };
    (1..=depth_max).map(request).collect()
}

/// The number of segments up to which the requests of a parameter for several segments are tried, if a routed path has as
/// many. The longest published paths have some twenty.
const DEPTH_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_requests() {
        for (path, all) in [
            ("/files/{name}.{ext}", &["/files/~~.~~"][..]),
            ("pets", &["/pets"]),
            ("/a?b=c", &["/a"]),
            ("/#X-Amz-Target=a", &["/"]),
            ("/a{?q}", &["/a"]),
            ("/a/{proxy+}", &["/a/~~", "/a/~~/~~", "/a/~~/~~/~~", "/a/~~/~~/~~/~~"]),
            ("/a{/b}{.c}", &["/a/~~.~~"]),
            ("/a/{b", &["/a/~~"]),
            ("/a/{b/c", &["/a/~~/c"]),
        ] {
            assert_eq!(requests(path, "~~", 4), all, "{path}");
        }
    }
}
