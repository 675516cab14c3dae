//! Which two routes could both win a request, and such a request.
//!
//! The order of precedence is the router's: host pattern first, then segment by segment a literal before a parameter, a
//! parameter with more fixed text before one with less, the rest of the path last; then a named method before all
//! methods. Two routes are in conflict when that order does not decide between them and one request matches both.

use std::collections::HashMap;

use tollgate_core::route::{HostPattern, PathTemplate, Segment};
use tollgate_core::settings::RouteSettings;

/// What decides a request between two routes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'r> {
    pub(super) host: &'r HostPattern,
    pub(super) path: &'r PathTemplate,
    /// None means all methods.
    pub(super) methods: &'r [String],
}

impl<'r> Claim<'r> {
    pub(super) fn of(route: &'r RouteSettings) -> Self {
        Self { host: &route.host, path: &route.path, methods: &route.methods }
    }
}

/// Two claims in conflict, by their places, and a request that both match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Conflict {
    pub(super) first: usize,
    pub(super) second: usize,
    pub(super) witness: String,
}

/// Finds the conflicts; a route that conflicts with several is reported with the first.
pub(super) fn conflicts(claims: &[Claim<'_>]) -> Vec<Conflict> {
    let mut groups: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, claim) in claims.iter().enumerate() {
        groups.entry(group(claim)).or_default().push(index);
    }
    let mut found: Vec<Conflict> = groups.values().flat_map(|members| within(claims, members)).collect();
    found.sort_by_key(|conflict| (conflict.second, conflict.first));
    found
}

fn within(claims: &[Claim<'_>], members: &[usize]) -> Vec<Conflict> {
    let against_earlier = |(place, &second): (usize, &usize)| {
        members[..place].iter().find_map(|&first| {
            witness(&claims[first], &claims[second]).map(|witness| Conflict { first, second, witness })
        })
    };
    members.iter().enumerate().filter_map(against_earlier).collect()
}

/// A key that is equal for all claims that precedence might not tell apart, so that few pairs are compared.
///
/// Templates whose first difference is a tie agree on host and on every segment's kind up to there; the kinds of what
/// follows may differ, so the key ends at the first parameter with fixed text, the only segment that can tie unequally.
fn group(claim: &Claim<'_>) -> String {
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

fn witness(a: &Claim<'_>, b: &Claim<'_>) -> Option<String> {
    let method = shared_method(a.methods, b.methods)?;
    let path = tied_path(a.path.segments(), b.path.segments())?;
    let host = match a.host {
        HostPattern::Exact(name) => name.to_string(),
        HostPattern::Wildcard(suffix) => format!("any.{suffix}"),
        HostPattern::Any => "any host".to_owned(),
    };
    (a.host == b.host).then(|| format!("{method} {path} on {host}"))
}

/// A named method goes before all methods, so only like meets like.
fn shared_method<'m>(a: &'m [String], b: &[String]) -> Option<&'m str> {
    if a.is_empty() && b.is_empty() {
        return Some("GET");
    }
    a.iter().find(|method| b.contains(method)).map(String::as_str)
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
    use tollgate_core::route::{CanonicalPath, HostName, Matched, Router};

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
        let found = conflicts(&claims);
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
            let found = conflicts(&claims);
            let winner = |order: [usize; 2]| {
                let router = Router::new(order.map(|n| (&host, &paths[n], &[Method::GET][..])));
                let path = CanonicalPath::parse(request.as_bytes()).unwrap();
                match router.find(&HostName::from_authority("x.org").unwrap(), &path, &Method::GET) {
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
                        let router = Router::new([(&host, template, &[Method::GET][..])]);
                        let found = router.find(&HostName::from_authority("x.org").unwrap(), &path, &Method::GET);
                        prop_assert!(matches!(found, Matched::Route { .. }), "the witness is none: {template}");
                    }
                }
            }
        }
    }
}
