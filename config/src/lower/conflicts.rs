//! Which two routes could both win a request, and such a request.
//!
//! The order of precedence is the router's: host pattern first, then segment by segment a literal before a parameter, a
//! parameter with more fixed text before one with less, the rest of the path last; then a named method before all
//! methods. Two routes are in conflict when that order does not decide between them and one request matches both.

use std::collections::{BTreeMap, HashMap};

use tollgate_core::route::{HostPattern, PathTemplate, Segment};

/// What decides a request between two routes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'r> {
    pub(super) host: &'r HostPattern,
    pub(super) path: &'r PathTemplate,
    /// None means all methods.
    pub(super) methods: &'r [String],
}

/// Two claims in conflict, by their places, and a request that both match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) witness: String,
}

/// There are so many templates between which precedence might not decide that they are not compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyTies {
    /// One of them.
    pub(super) example: usize,
}

/// Finds the conflicts; a route that conflicts with several is reported with one of them.
pub(super) fn conflicts(claims: &[Claim<'_>]) -> Result<Vec<Conflict>, TooManyTies> {
    let mut groups: HashMap<String, Group<'_>> = HashMap::new();
    let mut found = Vec::new();
    for (index, claim) in claims.iter().enumerate() {
        let group = groups.entry(group_key(claim)).or_default();
        if let Some((first, method)) = group.add(index, claim) {
            found.push(Conflict { first, second: index, witness: witness(claim, method, &claim.path.witness()) });
        }
    }
    for group in groups.values() {
        group.ties(claims, &mut found)?;
    }
    found.sort_by(|a, b| (a.second, a.first, &a.witness).cmp(&(b.second, b.first, &b.witness)));
    Ok(found)
}

/// Claims that precedence might not tell apart.
#[derive(Default)]
struct Group<'r> {
    places: HashMap<String, usize>,
    shapes: Vec<Shape<'r>>,
}

/// Claims that match the same paths, by method.
struct Shape<'r> {
    segments: &'r [Segment],
    by_method: BTreeMap<&'r str, usize>,
}

/// The key of claims for all methods; a named method goes before all methods, so only like meets like.
const ALL_METHODS: &str = "";

impl<'r> Group<'r> {
    /// Adds a claim; answers with an earlier one of the same shape and method, where there is one.
    fn add(&mut self, index: usize, claim: &Claim<'r>) -> Option<(usize, &'r str)> {
        let place = *self.places.entry(claim.path.shape()).or_insert(self.shapes.len());
        if place == self.shapes.len() {
            self.shapes.push(Shape { segments: claim.path.segments(), by_method: BTreeMap::new() });
        }
        let by_method = &mut self.shapes[place].by_method;
        let all: &[String] = &[];
        let (named, all_methods) =
            if claim.methods.is_empty() { (all, Some(ALL_METHODS)) } else { (claim.methods, None) };
        let mut taken = None;
        for method in named.iter().map(String::as_str).chain(all_methods) {
            let first = *by_method.entry(method).or_insert(index);
            if first != index {
                taken = taken.or(Some((first, method)));
            }
        }
        taken
    }

    /// Finds conflicts between different shapes that are as specific as each other.
    fn ties(&self, claims: &[Claim<'_>], found: &mut Vec<Conflict>) -> Result<(), TooManyTies> {
        if self.shapes.len() > TIED_SHAPES_MAX {
            let example = self.shapes.last().and_then(|shape| shape.by_method.values().next());
            return Err(TooManyTies { example: example.copied().unwrap_or_default() });
        }
        for (place, b) in self.shapes.iter().enumerate() {
            for a in &self.shapes[..place] {
                let Some(path) = tied_path(a.segments, b.segments) else { continue };
                let shared =
                    b.by_method.iter().find_map(|(method, y)| a.by_method.get(method).map(|x| (method, *x, *y)));
                if let Some((method, x, y)) = shared {
                    let witness = witness(&claims[y], method, &path);
                    found.push(Conflict { first: x.min(y), second: x.max(y), witness });
                }
            }
        }
        Ok(())
    }
}

/// A key that is equal for all claims that precedence might not tell apart, so that few pairs are compared.
///
/// Templates whose first difference is a tie agree on host and on every segment before it, and the segments that differ
/// are parameters with as much fixed text; so the key ends at the first such parameter.
fn group_key(claim: &Claim<'_>) -> String {
    let mut key = format!("{} ", claim.host);
    for segment in claim.path.segments() {
        match segment {
            Segment::Literal(text) => key.push_str(&format!("/={}:{text}", text.len())),
            Segment::Parameter { prefix, suffix, .. } if prefix.is_empty() && suffix.is_empty() => key.push_str("/{}"),
            Segment::Parameter { prefix, suffix, .. } => {
                key.push_str(&format!("/{{{}}}", prefix.len() + suffix.len()));
                break;
            }
            Segment::Rest { .. } => key.push_str("/*"),
        }
    }
    key
}

fn witness(claim: &Claim<'_>, method: &str, path: &str) -> String {
    let method = if method == ALL_METHODS { "GET" } else { method };
    let host = match claim.host {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Wildcard(suffix) => format!("any.{suffix}"),
        HostPattern::Any => "any host".to_owned(),
    };
    format!("{method} {path} on {host}")
}

/// A path that both match, where precedence does not decide between them.
fn tied_path(a: &[Segment], b: &[Segment]) -> Option<String> {
    let same = a.iter().zip(b).take_while(|(x, y)| is_same(x, y)).count();
    let tie = match (a.get(same), b.get(same)) {
        (None, None) => true,
        (Some(x), Some(y)) => x.precedence() == y.precedence(),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if tie { shared_path(a, b) } else { None }
}

fn is_same(a: &Segment, b: &Segment) -> bool {
    match (a, b) {
        (Segment::Literal(x), Segment::Literal(y)) => x == y,
        (Segment::Parameter { prefix: p, suffix: s, .. }, Segment::Parameter { prefix: q, suffix: t, .. }) => {
            p == q && s == t
        }
        (Segment::Rest { .. }, Segment::Rest { .. }) => true,
        _ => false,
    }
}

/// A path that both match, whatever their precedence.
fn shared_path(a: &[Segment], b: &[Segment]) -> Option<String> {
    let mut path = String::new();
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    loop {
        let segment = match (a.peek(), b.peek()) {
            (None, None) => return Some(path),
            (None, Some(_)) | (Some(_), None) => return None,
            (Some(Segment::Rest { .. }), Some(Segment::Rest { .. })) => return Some(path + "/a"),
            (Some(Segment::Rest { .. }), Some(_)) => {
                let tail: Vec<String> = b.map(example).collect();
                return Some(format!("{path}/{}", tail.join("/")));
            }
            (Some(_), Some(Segment::Rest { .. })) => {
                let tail: Vec<String> = a.map(example).collect();
                return Some(format!("{path}/{}", tail.join("/")));
            }
            (Some(x), Some(y)) => shared_segment(x, y)?,
        };
        path.push('/');
        path.push_str(&segment);
        a.next();
        b.next();
    }
}

fn shared_segment(a: &Segment, b: &Segment) -> Option<String> {
    match (a, b) {
        (Segment::Literal(x), Segment::Literal(y)) => (x == y).then(|| x.clone()),
        (Segment::Literal(text), parameter) | (parameter, Segment::Literal(text)) => {
            matches(parameter, text).then(|| text.clone())
        }
        (Segment::Parameter { prefix: p, suffix: s, .. }, Segment::Parameter { prefix: q, suffix: t, .. }) => {
            let prefix = if p.len() >= q.len() { p } else { q };
            let suffix = if s.len() >= t.len() { s } else { t };
            let text = format!("{prefix}a{suffix}");
            (matches(a, &text) && matches(b, &text)).then_some(text)
        }
        (Segment::Rest { .. }, other) | (other, Segment::Rest { .. }) => Some(example(other)),
    }
}

fn matches(parameter: &Segment, text: &str) -> bool {
    match parameter {
        Segment::Literal(literal) => literal == text,
        Segment::Parameter { prefix, suffix, .. } => text
            .strip_prefix(prefix.as_str())
            .and_then(|rest| rest.strip_suffix(suffix.as_str()))
            .is_some_and(|value| !value.is_empty()),
        Segment::Rest { .. } => true,
    }
}

/// Templates of as much fixed text at the same place; comparing them takes a time that grows with the square.
const TIED_SHAPES_MAX: usize = 1_000;

fn example(segment: &Segment) -> String {
    match segment {
        Segment::Literal(text) => text.clone(),
        Segment::Parameter { prefix, suffix, .. } => format!("{prefix}a{suffix}"),
        Segment::Rest { .. } => "a".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use proptest::prelude::*;
    use tollgate_core::route::{CanonicalPath, Matched, Router};

    #[track_caller]
    fn check(first: (&str, &str), second: (&str, &str), expected: Option<&str>) {
        let host: HostPattern = "*".parse().unwrap();
        let parse = |(methods, path): (&str, &str)| {
            let methods: Vec<String> = methods.split_whitespace().map(str::to_owned).collect();
            (methods, path.parse::<PathTemplate>().unwrap())
        };
        let (first, second) = (parse(first), parse(second));
        let claim = |(methods, path): &(Vec<String>, PathTemplate)| (methods.clone(), path.clone());
        let owned = [claim(&first), claim(&second)];
        let claims: Vec<_> = owned.iter().map(|(methods, path)| Claim { host: &host, path, methods }).collect();
        let found = conflicts(&claims).unwrap();
        assert_eq!(found.first().map(|c| c.witness.as_str()), expected, "{owned:?}");
    }

    #[test]
    fn routes_of_one_shape_and_method_conflict() {
        check(("GET", "/pets/{id}"), ("GET POST", "/pets/{name}"), Some("GET /pets/a on any host"));
        check(("", "/a/{*x}"), ("", "/a/{*y}"), Some("GET /a/a on any host"));
        check(("PUT", "/"), ("PUT", "/"), Some("PUT / on any host"));
    }

    #[test]
    fn what_precedence_decides_is_no_conflict() {
        check(("GET", "/pets/{id}"), ("POST", "/pets/{id}"), None);
        check(("GET", "/pets/{id}"), ("", "/pets/{id}"), None);
        check(("GET", "/pets/{id}"), ("GET", "/pets/mine"), None);
        check(("GET", "/pets/{id}"), ("GET", "/pets/{*rest}"), None);
        check(("GET", "/pets/{id}.json"), ("GET", "/pets/{id}"), None);
        check(("GET", "/{a}/x"), ("GET", "/{a}/{b}"), None);
        check(("GET", "/a/"), ("GET", "/a"), None);
    }

    #[test]
    fn parameters_with_as_much_fixed_text_conflict_where_both_match() {
        check(("GET", "/ab{x}"), ("GET", "/{x}cd"), Some("GET /abacd on any host"));
        check(("GET", "/ab{x}/one"), ("GET", "/{x}cd/{y}"), Some("GET /abacd/one on any host"));
        check(("GET", "/ab{x}/one"), ("GET", "/{x}cd/two"), None);
        check(("GET", "/ab{x}"), ("GET", "/cd{x}"), None);
    }

    fn template() -> impl Strategy<Value = String> {
        let segment = prop::sample::select(vec!["a", "b", "{x}", "a{x}", "{x}a", "ab{x}", "{x}ba", "a{x}b"]);
        (prop::collection::vec(segment, 1..4), any::<bool>()).prop_map(|(segments, rest)| {
            let named = segments.iter().enumerate().map(|(n, s)| s.replace("{x}", &format!("{{x{n}}}")));
            let path: String = named.map(|segment| format!("/{segment}")).collect();
            if rest { path + "/{*rest}" } else { path }
        })
    }

    proptest! {
        /// Where no conflict is found, the router's answer does not depend on the order of the routes; where one is, both
        /// match the request shown.
        #[test]
        fn a_conflict_has_a_witness_and_without_one_order_does_not_matter(a in template(), b in template(), request in "(/(a|b|aa|ab|aba|abba|aab)){1,4}") {
            let host: HostPattern = "*".parse().unwrap();
            let paths: [PathTemplate; 2] = [a.parse().unwrap(), b.parse().unwrap()];
            let methods = ["GET".to_owned()];
            let claims: Vec<_> = paths.iter().map(|path| Claim { host: &host, path, methods: &methods }).collect();
            let found = conflicts(&claims).unwrap();
            let winner = |order: [usize; 2]| {
                let router = Router::new(order.map(|n| (&paths[n], &[Method::GET][..])));
                let path = CanonicalPath::parse(request.as_bytes()).unwrap();
                match router.find(&path, &Method::GET) {
                    Matched::Route { index, .. } => Some(order[index]),
                    Matched::OtherMethods(_) | Matched::Nothing => None,
                }
            };
            match found.first() {
                None => prop_assert_eq!(winner([0, 1]), winner([1, 0])),
                Some(conflict) => {
                    let path = conflict.witness.split(' ').nth(1).unwrap();
                    let path = CanonicalPath::parse(path.as_bytes()).unwrap();
                    for template in &paths {
                        let router = Router::new([(template, &[Method::GET][..])]);
                        let found = router.find(&path, &Method::GET);
                        prop_assert!(matches!(found, Matched::Route { .. }), "the witness is none: {template}");
                    }
                }
            }
        }
    }
}
