//! Finds pairs of routes that match the same request with equal precedence, and such a request.
//!
//! The order of precedence is that of the router: host pattern first, then each segment by [`Precedence`], then a named
//! method before all methods, then predicates that imply others before those. Two routes are in conflict if this order
//! does not decide between them, and one request matches both.
//!
//! [`Precedence`]: tollgate_core::route::Precedence

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use tollgate_config::Witness;
use tollgate_core::route::{HostPattern, Methods, ParameterType, PathTemplate, Predicate, Segment};

use super::budget::Budget;
use super::cover::{Competitor, Cover, cover};
use super::meet::meets;
use super::routes::path_order;
use super::segment::{is_same, path_of, shared_path};

/// The properties of a route that decide which requests it matches, on one host pattern.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'r> {
    pub(crate) host: &'r HostPattern,
    pub(crate) path: &'r PathTemplate,
    pub(crate) methods: &'r Methods,
    pub(crate) when: &'r [Predicate],
}

/// Two candidates in conflict, by index, and a request that both match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) witness: Witness,
}

/// So many templates have potentially equal precedence that they are not compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyTies {
    /// The index of one of them.
    pub(crate) example: usize,
}

/// Finds the conflicts; a route that conflicts with several is reported with one of them.
pub(super) fn conflicts(candidates: &[Candidate<'_>]) -> Result<Vec<Conflict>, TooManyTies> {
    // Sorted, so that the result does not depend on the order if the budget is exhausted.
    let mut groups: BTreeMap<String, Group<'_>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        groups.entry(group_key(candidate)).or_default().add(index, candidate);
    }
    let budget = Budget::default();
    let mut found = Vec::new();
    for group in groups.values() {
        group.conflicts(candidates, &budget, &mut found)?;
    }
    found.sort_by(|a, b| (a.second, a.first, &a.witness).cmp(&(b.second, b.first, &b.witness)));
    Ok(found)
}

/// Candidates with potentially equal precedence.
#[derive(Default)]
struct Group<'r> {
    places: HashMap<String, usize>,
    shapes: Vec<Shape<'r>>,
}

/// Candidates that match the same paths, by method.
struct Shape<'r> {
    segments: &'r [Segment],
    by_method: BTreeMap<&'r str, Vec<usize>>,
}

/// The key of candidates for all methods; a named method has precedence over all methods.
const ALL_METHODS: &str = "";

impl<'r> Group<'r> {
    fn add(&mut self, index: usize, candidate: &Candidate<'r>) {
        let place = *self.places.entry(candidate.path.shape()).or_insert(self.shapes.len());
        if place == self.shapes.len() {
            self.shapes.push(Shape { segments: candidate.path.segments(), by_method: BTreeMap::new() });
        }
        let by_method = &mut self.shapes[place].by_method;
        let all = candidate.methods.is_empty().then_some(ALL_METHODS);
        for method in candidate.methods.as_strs().chain(all) {
            by_method.entry(method).or_default().push(index);
        }
    }

    fn conflicts(
        &self,
        candidates: &[Candidate<'_>],
        budget: &Budget,
        found: &mut Vec<Conflict>,
    ) -> Result<(), TooManyTies> {
        if self.shapes.len() > TIED_MAX {
            let example = self.shapes.last().and_then(|shape| shape.by_method.values().flatten().next());
            return Err(TooManyTies { example: example.copied().unwrap_or_default() });
        }
        for (place, b) in self.shapes.iter().enumerate() {
            b.conflicts(candidates, found)?;
            for a in &self.shapes[..place] {
                found.extend(a.tie(b, candidates, budget)?);
            }
        }
        Ok(())
    }
}

impl Shape<'_> {
    /// Finds conflicts between candidates that match the same paths.
    fn conflicts(&self, candidates: &[Candidate<'_>], found: &mut Vec<Conflict>) -> Result<(), TooManyTies> {
        for (method, places) in &self.by_method {
            let (plain, conditional): (Vec<usize>, Vec<usize>) =
                places.iter().partition(|place| candidates[**place].when.is_empty());
            for pair in plain.windows(2) {
                let witness = self.witness(candidates, pair[1], method, &[]);
                found.push(Conflict { first: plain[0], second: pair[1], witness });
            }
            if conditional.len() > TIED_MAX {
                return Err(TooManyTies { example: conditional[TIED_MAX] });
            }
            for (at, &y) in conditional.iter().enumerate() {
                let shared =
                    conditional[..at].iter().find_map(|&x| Some((x, undecided(candidates, &conditional, x, y)?)));
                if let Some((x, when)) = shared {
                    found.push(Conflict { first: x, second: y, witness: self.witness(candidates, y, method, &when) });
                }
            }
        }
        Ok(())
    }

    fn witness(&self, candidates: &[Candidate<'_>], place: usize, method: &str, when: &[Predicate]) -> Witness {
        Witness::new(method, candidates[place].host, candidates[place].path.witness(), when)
    }

    /// Finds a conflict with another shape that is equally specific.
    fn tie(
        &self,
        other: &Self,
        candidates: &[Candidate<'_>],
        budget: &Budget,
    ) -> Result<Option<Conflict>, TooManyTies> {
        let Some(path) = tied_path(self.segments, other.segments) else { return Ok(None) };
        // The order of two shapes is decided before methods are compared, so different methods can be in conflict too.
        let unlike = self.by_method.iter().flat_map(|x| other.by_method.iter().map(move |y| (x, y)));
        for ((one, xs), (two, ys)) in unlike {
            let Some(method) = shared_method(one, two) else { continue };
            if xs.len().saturating_mul(ys.len()) > TIED_MAX {
                return Err(TooManyTies { example: ys[0] });
            }
            let mut pairs = xs.iter().flat_map(|x| ys.iter().map(move |y| (*x, *y)));
            let met = pairs.find_map(|(x, y)| {
                let when = Predicate::both(candidates[x].when, candidates[y].when)?;
                Some((x, y, tied_request(candidates, (x, y), method, (&path, &when), budget)?))
            });
            if let Some((x, y, witness)) = met {
                return Ok(Some(Conflict { first: x.min(y), second: x.max(y), witness }));
            }
        }
        Ok(None)
    }
}

/// The predicates of requests between which two candidates for the same paths are undecided; `None` if one of them, or a
/// third candidate, has precedence.
fn undecided(candidates: &[Candidate<'_>], all: &[usize], x: usize, y: usize) -> Option<Vec<Predicate>> {
    let (a, b) = (candidates[x].when, candidates[y].when);
    if Predicate::imply(a, b) != Predicate::imply(b, a) {
        return None;
    }
    let both = Predicate::both(a, b)?;
    let decided = |z: &usize| *z != x && *z != y && candidates[*z].when == both;
    (!all.iter().any(decided)).then_some(both)
}

/// A request that two tied candidates match, and that no more specific candidate matches; `None` if more specific ones
/// match all of them. If the search takes too long, a tie is regarded as a conflict. `plain` is a path that both match,
/// with the predicates of both.
fn tied_request(
    candidates: &[Candidate<'_>],
    (x, y): (usize, usize),
    method: &str,
    plain: (&str, &[Predicate]),
    budget: &Budget,
) -> Option<Witness> {
    let (path, when) = plain;
    let host = candidates[x].host;
    let shown = || Some(Witness::new(method, host, path, when));
    let [a, b] = [x, y].map(|place| candidates[place].path.segments());
    let goes_first = |z: &&Candidate<'_>| {
        let is_first = |of: &[Segment]| path_order(z.path.segments(), of) == Some(Ordering::Less);
        let takes_method = z.methods.is_empty() || z.methods.as_strs().any(|named| named == method);
        takes_method && z.host == host && is_first(a) && is_first(b)
    };
    if budget.spend(candidates.len()).is_err() {
        return shown();
    }
    let competitors: Vec<Competitor<'_>> = candidates
        .iter()
        .filter(goes_first)
        .map(|candidate| Competitor { segments: candidate.path.segments(), when: candidate.when })
        .collect();
    if competitors.is_empty() {
        return shown();
    }
    let Some(met) = meets(a, b) else { return shown() };
    for segments in met {
        match cover(&segments, when, &competitors, budget) {
            Ok(Cover::Covered) => {}
            Ok(Cover::Uncovered(texts, when)) => {
                return path_of(&texts).map_or_else(shown, |path| Some(Witness::new(method, host, path, &when)));
            }
            Err(_) => return shown(),
        }
    }
    None
}

/// A method that both accept; a route for `GET` also accepts `HEAD`.
fn shared_method<'m>(one: &'m str, two: &'m str) -> Option<&'m str> {
    match (one, two) {
        (ALL_METHODS, method) | (method, ALL_METHODS) => Some(method),
        ("GET", "HEAD") | ("HEAD", "GET") => Some("HEAD"),
        (one, two) => (one == two).then_some(one),
    }
}

/// A key that is equal for all candidates with potentially equal precedence, so that few pairs are compared.
///
/// Templates whose first difference is a tie have the same host and the same segments before it, and the segments that
/// differ are parameters of equal precedence. So the key ends at the first parameter whose precedence others can share.
fn group_key(candidate: &Candidate<'_>) -> String {
    let mut key = format!("{} ", candidate.host);
    for segment in candidate.path.segments() {
        match segment {
            Segment::Literal(text) => key.push_str(&format!("/={}:{text}", text.len())),
            Segment::Parameter { prefix, of, suffix, .. } => {
                let is_alone = prefix.is_empty() && suffix.is_empty() && !matches!(of, ParameterType::OneOf(_));
                key.push_str(&format!("/{:?}", segment.precedence()));
                if !is_alone {
                    break;
                }
            }
            Segment::Rest { .. } => key.push_str("/*"),
        }
    }
    key
}

/// A path that both match, if precedence does not decide between them.
fn tied_path(a: &[Segment], b: &[Segment]) -> Option<String> {
    let same = a.iter().zip(b).take_while(|(x, y)| is_same(x, y)).count();
    let tie = match (a.get(same), b.get(same)) {
        (None, None) => true,
        (Some(x), Some(y)) => x.precedence() == y.precedence(),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if tie { shared_path(a, b) } else { None }
}

/// The maximum number of equally specific candidates that are compared; the time is quadratic.
const TIED_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, Method};
    use proptest::prelude::*;
    use tollgate_core::route::{CanonicalPath, Entry, Matched, RequestHead, Router, Subject, Test};

    /// A candidate written as methods, path and predicates on header fields: `v` or `v=1|2`.
    type Written = (Methods, PathTemplate, Vec<Predicate>);

    fn parse((methods, rest): (&str, &str)) -> Written {
        let mut words = rest.split(' ');
        let path = words.next().unwrap().parse().unwrap();
        let predicate = |word: &str| {
            let (name, test) = match word.split_once('=') {
                Some((name, values)) => (name, Test::OneOf(values.split('|').map(str::to_owned).collect())),
                None => (word, Test::Present),
            };
            Predicate { of: Subject::Header(name.to_owned()), test }
        };
        (
            methods.split_whitespace().map(|method| method.parse().unwrap()).collect(),
            path,
            words.map(predicate).collect(),
        )
    }

    #[track_caller]
    fn check_all(written: &[(&str, &str)], expected: Option<&str>) {
        let host: HostPattern = "h.example".parse().unwrap();
        let written: Vec<Written> = written.iter().copied().map(parse).collect();
        let candidates: Vec<_> =
            written.iter().map(|(methods, path, when)| Candidate { host: &host, path, methods, when }).collect();
        let found = conflicts(&candidates).unwrap();
        assert_eq!(found.first().map(|c| c.witness.to_string()).as_deref(), expected, "{written:?}");
    }

    #[track_caller]
    fn check(first: (&str, &str), second: (&str, &str), expected: Option<&str>) {
        check_all(&[first, second], expected);
    }

    #[test]
    fn routes_with_the_same_shape_and_method_conflict() {
        check(("GET", "/pets/{id}"), ("GET POST", "/pets/{name}"), Some("GET https://h.example/pets/a"));
        check(("", "/a/{*x}"), ("", "/a/{*y}"), Some("GET https://h.example/a/a"));
        check(("PUT", "/"), ("PUT", "/"), Some("PUT https://h.example/"));
    }

    #[test]
    fn routes_with_different_precedence_do_not_conflict() {
        check(("GET", "/pets/{id}"), ("POST", "/pets/{id}"), None);
        check(("GET", "/pets/{id}"), ("", "/pets/{id}"), None);
        check(("GET", "/pets/{id}"), ("GET", "/pets/mine"), None);
        check(("GET", "/pets/{id}"), ("GET", "/pets/{*rest}"), None);
        check(("GET", "/pets/{id}.json"), ("GET", "/pets/{id}"), None);
        check(("GET", "/{a}/x"), ("GET", "/{a}/{b}"), None);
        check(("GET", "/a/"), ("GET", "/a"), None);
    }

    #[test]
    fn parameters_with_equal_fixed_text_conflict_if_both_match() {
        check(("GET", "/ab{x}"), ("GET", "/{x}cd"), Some("GET https://h.example/abacd"));
        check(("GET", "/ab{x}/one"), ("GET", "/{x}cd/{y}"), Some("GET https://h.example/abacd/one"));
        check(("GET", "/ab{x}/one"), ("GET", "/{x}cd/two"), None);
        check(("GET", "/ab{x}"), ("GET", "/cd{x}"), None);
    }

    #[test]
    fn types_conflict_if_they_share_values_and_neither_is_narrower() {
        check(("GET", "/{x:(a|b)}"), ("GET", "/{x:(b|c)}"), Some("GET https://h.example/b"));
        check(("GET", "/{x:(a|b)}"), ("GET", "/{x:(c|d)}"), None);
        check(("GET", "/{x:(a|b)}"), ("GET", "/{x:(a|b|c)}"), None);
        check(("GET", "/{x:bool}"), ("GET", "/{x:(false|true)}"), Some("GET https://h.example/false"));
        check(("GET", "/{x:int}"), ("GET", "/{x}"), None);
        check(("GET", "/1{x:int}"), ("GET", "/{x:int}2"), Some("GET https://h.example/112"));
        check(("GET", "/{x:int}/a"), ("GET", "/{y:int}/{z:(a|b)}"), None);
    }

    #[test]
    fn predicates_conflict_if_one_request_meets_both_and_neither_implies_the_other() {
        check(("GET", "/ v=1"), ("GET", "/ w=2"), Some("GET https://h.example/ with v: 1, w: 2"));
        check(("GET", "/ v=1|2"), ("GET", "/ v=2|3"), Some("GET https://h.example/ with v: 2"));
        check(("GET", "/ v=1"), ("GET", "/ v=1"), Some("GET https://h.example/ with v: 1"));
        check(("GET", "/ v=1"), ("GET", "/ v=2"), None);
        check(("GET", "/ v=1"), ("GET", "/ v"), None);
        check(("GET", "/ v=1"), ("GET", "/"), None);
        check(("GET", "/ v=1"), ("PUT", "/ w=2"), None);
        check(("GET", "/a{x} v=1"), ("GET", "/{x}b v=1|2"), Some("GET https://h.example/aab with v: 1"));
        check(("GET", "/a{x} v=1"), ("GET", "/{x}b v=2"), None);
    }

    #[test]
    fn requests_of_a_third_route_are_not_conflicts() {
        check_all(&[("GET", "/ v=1"), ("GET", "/ w=2"), ("GET", "/ v=1 w=2")], None);
        let tied = [("GET", "/{x:(a|b)}/{y}"), ("GET", "/{x:(b|c)}/{y}")];
        let check = |others: &[(&'static str, &'static str)], expected| {
            check_all(&[&tied[..], others].concat(), expected);
        };
        check(&[("GET", "/b/{y}")], None);
        check(&[("", "/b/{*y}")], None);
        check(&[("GET", "/b/{y} v"), ("GET", "/b/{y} w=1")], Some("GET https://h.example/b/a"));
        check(&[("PUT", "/b/{y}")], Some("GET https://h.example/b/a"));
        check(&[("GET", "/b/{y:int}")], Some("GET https://h.example/b/a"));
        check(&[("GET", "/b/a")], Some("GET https://h.example/b/q7-zx"));
    }

    #[test]
    fn a_conflict_beside_a_third_route_is_shown() {
        let tied = [("GET", "/{x}b"), ("GET", "/c{x}")];
        check_all(&[&tied[..], &[("GET", "/c{x}b")]].concat(), Some("GET https://h.example/cb"));
        check_all(&[&tied[..], &[("GET", "/c{x}b"), ("GET", "/cb")]].concat(), None);
        let lists = [("", "/{x:(a|b|c)}"), ("", "/{x:(b|c|d)}")];
        check_all(&[&lists[..], &[("", "/b")]].concat(), Some("GET https://h.example/c"));
        check_all(&[&lists[..], &[("", "/{x:(b|c)}")]].concat(), None);
        check_all(&[&lists[..], &[("GET", "/{x:(b|c)}")]].concat(), Some("GET https://h.example/b"));
    }

    fn template() -> impl Strategy<Value = String> {
        let segment = prop::sample::select(vec![
            "a",
            "b",
            "{x}",
            "a{x}",
            "{x}a",
            "ab{x}",
            "{x}ba",
            "a{x}b",
            "{x:(a|ab)}",
            "{x:(ab|b)}",
        ]);
        (prop::collection::vec(segment, 1..4), any::<bool>()).prop_map(|(segments, rest)| {
            let named = segments.iter().enumerate().map(|(n, s)| s.replace("{x", &format!("{{x{n}")));
            let path: String = named.map(|segment| format!("/{segment}")).collect();
            if rest { path + "/{*rest}" } else { path }
        })
    }

    fn find(templates: &[&PathTemplate], path: &CanonicalPath) -> Matched {
        let router = Router::new(templates.iter().map(|path| Entry { path, methods: &[Method::GET], when: &[] }));
        router.find(&RequestHead { method: &Method::GET, path, query: None, fields: &HeaderMap::new() })
    }

    proptest! {
        /// Without a conflict, the result of the router does not depend on the order of the routes. With a conflict, both routes
        /// match the witness.
        #[test]
        fn a_conflict_has_a_witness_and_without_a_conflict_the_order_has_no_effect(a in template(), b in template(), request in "(/(a|b|aa|ab|aba|abba|aab)){1,4}") {
            let host: HostPattern = "*".parse().unwrap();
            let paths: [PathTemplate; 2] = [a.parse().unwrap(), b.parse().unwrap()];
            let methods = Methods::from([Method::GET]);
            let candidates: Vec<_> = paths.iter().map(|path| Candidate { host: &host, path, methods: &methods, when: &[] }).collect();
            let found = conflicts(&candidates).unwrap();
            let selected = |order: [usize; 2]| {
                let path = CanonicalPath::parse(request.as_bytes()).unwrap();
                match find(&order.map(|n| &paths[n]), &path) {
                    Matched::Route(index) => Some(order[index]),
                    Matched::OtherMethods(_) | Matched::Nothing => None,
                }
            };
            match found.first() {
                None => prop_assert_eq!(selected([0, 1]), selected([1, 0])),
                Some(conflict) => {
                    let path = CanonicalPath::parse(conflict.witness.path.as_bytes()).unwrap();
                    for template in &paths {
                        let found = find(&[template], &path);
                        prop_assert!(matches!(found, Matched::Route(_)), "the witness does not match {template}");
                    }
                }
            }
        }
    }
}
