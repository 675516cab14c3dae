//! The router: a tree of segments, walked from the most specific branch to the least.
//!
//! A route is path and method together, so a branch whose route does not take the method is left for the next
//! one; the methods seen on the way are the `Allow` of a 405. Every node of the tree stands on one path from the root,
//! so a walk visits each node at most once, however the templates overlap.

use std::collections::HashMap;

use http::Method;

use super::path::CanonicalPath;
use super::template::{PathTemplate, Segment};

/// The place of a route in the settings it was compiled from.
pub type RouteIndex = usize;

/// Values of a matched template's parameters, in template order.
pub type Captures = Vec<String>;

/// Finds the route of a request among those of one host pattern.
#[derive(Debug, Default)]
pub struct Router {
    root: Node,
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
    /// No route has this path.
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
    pub fn new<'a>(routes: impl IntoIterator<Item = (&'a PathTemplate, &'a [Method])>) -> Self {
        let mut root = Node::default();
        for (index, (template, methods)) in routes.into_iter().enumerate() {
            root.leaf(template).add(methods, index);
        }
        Self { root }
    }

    /// The most specific route that takes the request.
    ///
    /// `HEAD` is taken by a route for `GET` where no route names it (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn find(&self, path: &CanonicalPath, method: &Method) -> Matched {
        let mut walk = Walk { method, captures: Vec::new(), allowed: Vec::new() };
        match walk.descend(&self.root, path.segments()) {
            Some(index) => Matched::Route { index, captures: walk.captures },
            None if walk.allowed.is_empty() => Matched::Nothing,
            None => Matched::OtherMethods(walk.allow()),
        }
    }

    /// Asks several routers in turn: the most specific route of the first that has one, and which router that was.
    ///
    /// They are those of the host patterns that match a request's host, the most specific pattern first.
    pub fn find_in<'r>(
        routers: impl IntoIterator<Item = &'r Self>,
        path: &CanonicalPath,
        method: &Method,
    ) -> (usize, Matched) {
        let mut allowed: Vec<Method> = Vec::new();
        for (place, router) in routers.into_iter().enumerate() {
            match router.find(path, method) {
                found @ Matched::Route { .. } => return (place, found),
                Matched::OtherMethods(methods) => allowed.extend(methods),
                Matched::Nothing => {}
            }
        }
        if allowed.is_empty() {
            return (0, Matched::Nothing);
        }
        sort(&mut allowed);
        (0, Matched::OtherMethods(allowed))
    }
}

fn sort(methods: &mut Vec<Method>) {
    methods.sort_by(|a, b| a.as_str().cmp(b.as_str()));
    methods.dedup();
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
        sort(&mut self.allowed);
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
    use crate::route::{HostName, HostPattern};
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

    /// Asks the routers of the patterns that match the host; an index is the place in [`ROUTES`].
    fn find(host: &str, path: &str, method: &str) -> Matched {
        let host = HostName::from_authority(host).unwrap();
        let mut patterns: Vec<HostPattern> = ROUTES.iter().map(|(pattern, ..)| pattern.parse().unwrap()).collect();
        patterns.sort();
        patterns.dedup();
        patterns.retain(|pattern| pattern.matches(&host));
        let of = |pattern: &HostPattern| -> Vec<usize> {
            (0..ROUTES.len()).filter(|n| ROUTES[*n].0 == pattern.to_string()).collect()
        };
        let router = |pattern: &HostPattern| {
            let methods = |text: &str| text.split_whitespace().map(|m| m.parse().unwrap()).collect::<Vec<Method>>();
            let routes: Vec<(PathTemplate, Vec<Method>)> =
                of(pattern).into_iter().map(|n| (ROUTES[n].1.parse().unwrap(), methods(ROUTES[n].2))).collect();
            Router::new(routes.iter().map(|(path, methods)| (path, methods.as_slice())))
        };
        let routers: Vec<Router> = patterns.iter().map(router).collect();
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        match Router::find_in(&routers, &path, &method.parse().unwrap()) {
            (place, Matched::Route { index, captures }) => {
                Matched::Route { index: of(&patterns[place])[index], captures }
            }
            (_, other) => other,
        }
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
