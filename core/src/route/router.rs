//! The router: a tree of segments per host pattern, walked from the most specific branch to the least.
//!
//! A route is host, path and method together, so a branch whose route does not take the method is left for the next
//! one; the methods seen on the way are the `Allow` of a 405. Every node of the tree stands on one path from the root,
//! so a walk visits each node at most once, however the templates overlap.

use std::collections::HashMap;

use http::Method;

use super::host::{HostName, HostPattern};
use super::path::CanonicalPath;
use super::template::{PathTemplate, Segment};

/// The place of a route in the settings it was compiled from.
pub type RouteIndex = usize;

/// Values of a matched template's parameters, in template order.
pub type Captures = Vec<String>;

/// Finds the route of a request.
#[derive(Debug, Default)]
pub struct Router {
    /// One tree per host pattern, the most specific first.
    trees: Vec<(HostPattern, Node)>,
}

/// What a router answers.
#[derive(Debug, PartialEq, Eq)]
pub enum Matched {
    /// This route takes the request.
    Route {
        /// Which one.
        index: RouteIndex,
        /// The parameters of its template.
        captures: Captures,
    },
    /// The path is known, but not with this method: these are, sorted.
    OtherMethods(Vec<Method>),
    /// No route has this host and path.
    Nothing,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<String, Node>,
    /// Ordered by precedence, the most specific first.
    parameters: Vec<(String, String, Node)>,
    rest: Option<Leaf>,
    leaf: Option<Leaf>,
}

/// The routes of one path shape: by method, or for all methods.
#[derive(Debug, Default)]
struct Leaf {
    by_method: Vec<(Method, RouteIndex)>,
    any_method: Option<RouteIndex>,
}

impl Router {
    /// Builds the router; of two routes that tie, the first stands (the compiler refuses such projects).
    pub fn new<'a>(routes: impl IntoIterator<Item = (&'a HostPattern, &'a PathTemplate, &'a [Method])>) -> Self {
        let mut router = Self::default();
        for (index, (host, template, methods)) in routes.into_iter().enumerate() {
            router.tree(host).leaf(template).add(methods, index);
        }
        router.trees.sort_by(|a, b| a.0.cmp(&b.0));
        router
    }

    /// The most specific route that takes the request.
    ///
    /// `HEAD` is taken by a route for `GET` where no route names it (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn find(&self, host: &HostName, path: &CanonicalPath, method: &Method) -> Matched {
        let mut walk = Walk { method, captures: Vec::new(), allowed: Vec::new() };
        for (_, tree) in self.trees.iter().filter(|(pattern, _)| pattern.matches(host)) {
            if let Some(index) = walk.descend(tree, path.segments()) {
                return Matched::Route { index, captures: walk.captures };
            }
        }
        if walk.allowed.is_empty() { Matched::Nothing } else { Matched::OtherMethods(walk.allow()) }
    }

    fn tree(&mut self, host: &HostPattern) -> &mut Node {
        let at = self.trees.iter().position(|(pattern, _)| pattern == host).unwrap_or_else(|| {
            self.trees.push((host.clone(), Node::default()));
            self.trees.len() - 1
        });
        &mut self.trees[at].1
    }
}

impl Node {
    fn leaf(&mut self, template: &PathTemplate) -> &mut Leaf {
        let mut node = self;
        for segment in template.segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Parameter { prefix, suffix, .. } => node.parameter(prefix, suffix),
                Segment::Rest { .. } => return node.rest.get_or_insert_default(),
            };
        }
        node.leaf.get_or_insert_default()
    }

    fn parameter(&mut self, prefix: &str, suffix: &str) -> &mut Self {
        let fixed = prefix.len() + suffix.len();
        let same = self.parameters.iter().position(|(p, s, _)| p == prefix && s == suffix);
        let at = same.unwrap_or_else(|| {
            let at = self.parameters.partition_point(|(p, s, _)| (p.len() + s.len(), p.as_str()) >= (fixed, prefix));
            self.parameters.insert(at, (prefix.to_owned(), suffix.to_owned(), Self::default()));
            at
        });
        &mut self.parameters[at].2
    }
}

impl Leaf {
    fn add(&mut self, methods: &[Method], index: RouteIndex) {
        if methods.is_empty() {
            self.any_method.get_or_insert(index);
        }
        for method in methods {
            if !self.by_method.iter().any(|(m, _)| m == method) {
                self.by_method.push((method.clone(), index));
            }
        }
    }

    fn named(&self, method: &Method) -> Option<RouteIndex> {
        self.by_method.iter().find(|(m, _)| m == method).map(|(_, index)| *index)
    }

    fn find(&self, method: &Method) -> Option<RouteIndex> {
        let as_get = || {
            if method == Method::HEAD { self.named(&Method::GET) } else { None }
        };
        self.named(method).or_else(as_get).or(self.any_method)
    }
}

/// One search: what it looks for and what it has gathered.
struct Walk<'a> {
    method: &'a Method,
    captures: Captures,
    allowed: Vec<Method>,
}

impl Walk<'_> {
    fn descend(&mut self, node: &Node, segments: &[String]) -> Option<RouteIndex> {
        let Some((first, rest)) = segments.split_first() else {
            return node.leaf.as_ref().and_then(|leaf| self.accept(leaf));
        };
        if let Some(index) = node.literals.get(first.as_str()).and_then(|child| self.descend(child, rest)) {
            return Some(index);
        }
        for (prefix, suffix, child) in &node.parameters {
            let Some(value) = between(first, prefix, suffix) else {
                continue;
            };
            self.captures.push(value.to_owned());
            if let Some(index) = self.descend(child, rest) {
                return Some(index);
            }
            self.captures.pop();
        }
        let index = node.rest.as_ref().and_then(|leaf| self.accept(leaf))?;
        self.captures.push(segments.join("/"));
        Some(index)
    }

    fn accept(&mut self, leaf: &Leaf) -> Option<RouteIndex> {
        let found = leaf.find(self.method);
        if found.is_none() {
            self.allowed.extend(leaf.by_method.iter().map(|(m, _)| m.clone()));
        }
        found
    }

    /// The methods seen, with the ones the gateway adds: `HEAD` beside `GET`, and `OPTIONS`, which it answers itself.
    fn allow(mut self) -> Vec<Method> {
        if self.allowed.contains(&Method::GET) {
            self.allowed.push(Method::HEAD);
        }
        self.allowed.push(Method::OPTIONS);
        self.allowed.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        self.allowed.dedup();
        self.allowed
    }
}

fn between<'a>(segment: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    let value = segment.strip_prefix(prefix)?.strip_suffix(suffix)?;
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const ROUTES: &[(&str, &str, &str)] = &[
        ("*", "/pets", "GET POST"),
        ("*", "/pets/{id}", "GET"),
        ("*", "/pets/mine", "PUT"),
        ("*", "/pets/{id}.json", "GET"),
        ("*", "/pets/{*rest}", "GET DELETE"),
        ("*", "/all/{*rest}", ""),
        ("api.example.com", "/{any}", "GET"),
        ("*.example.com", "/pets", "GET"),
    ];

    fn router() -> Router {
        let routes: Vec<(HostPattern, PathTemplate, Vec<Method>)> = ROUTES
            .iter()
            .map(|(h, p, m)| {
                (h.parse().unwrap(), p.parse().unwrap(), m.split_whitespace().map(|m| m.parse().unwrap()).collect())
            })
            .collect();
        Router::new(routes.iter().map(|(h, p, m)| (h, p, m.as_slice())))
    }

    fn find(host: &str, path: &str, method: &str) -> Matched {
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        router().find(&HostName::from_authority(host).unwrap(), &path, &method.parse().unwrap())
    }

    #[track_caller]
    fn check(host: &str, path: &str, method: &str, index: usize, captures: &[&str]) {
        let captures = captures.iter().map(|c| (*c).to_owned()).collect();
        assert_eq!(find(host, path, method), Matched::Route { index, captures }, "{method} {host}{path}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_most_specific_route_that_takes_the_request_wins() {
        check("x.org", "/pets", "GET", 0, &[]);
        check("x.org", "/pets", "HEAD", 0, &[]);
        check("x.org", "/pets/7", "GET", 1, &["7"]);
        check("x.org", "/pets/7.json", "GET", 3, &["7"]);
        check("x.org", "/pets/.json", "GET", 1, &[".json"]);
        check("x.org", "/pets/mine", "PUT", 2, &[]);
        check("x.org", "/pets/mine", "GET", 1, &["mine"]);
        check("x.org", "/pets/mine", "DELETE", 4, &["mine"]);
        check("x.org", "/pets/a/b", "GET", 4, &["a/b"]);
        check("x.org", "/all/x/", "PURGE", 5, &["x/"]);
        check("api.example.com", "/pets", "GET", 6, &["pets"]);
        check("api.example.com", "/pets", "POST", 0, &[]);
        check("b.example.com", "/pets", "GET", 7, &[]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_known_path_with_another_method_names_the_methods() {
        let names = |m| {
            if let Matched::OtherMethods(m) = m {
                m.iter().map(Method::to_string).collect::<Vec<_>>().join(",")
            } else {
                String::new()
            }
        };
        assert_eq!(names(find("x.org", "/pets", "DELETE")), "GET,HEAD,OPTIONS,POST");
        assert_eq!(names(find("x.org", "/pets/mine", "POST")), "DELETE,GET,HEAD,OPTIONS,PUT");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn unknown_paths_match_nothing() {
        for path in ["/", "/pet", "/pets/", "/all", "/PETS"] {
            let found = find("x.org", path, "GET");
            assert!(matches!(found, Matched::Nothing) || path == "/pets/", "{path}: {found:?}");
        }
    }
}
