//! The router: a tree of segments, walked from the most specific branch to the least.
//!
//! A route is path, method and predicates together, so if a branch's route does not match the request, the walk
//! continues with the next one; the methods seen on the way are the `Allow` of a 405. A route whose predicates fail is
//! ignored. Every node of the tree is on exactly one path from the root, so a walk visits each node at most once,
//! however the templates overlap.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use http::{HeaderMap, Method};
use rustc_hash::FxHasher;

use super::parameter::ParameterType;
use super::path::{CanonicalPath, PathSegments};
use super::predicate::Predicate;
use super::template::{PathTemplate, Precedence, Segment, between};

/// The index of a route in the settings it was compiled from.
pub type RouteIndex = usize;

/// Finds the route of a request among those of one host pattern.
#[derive(Debug, Default)]
pub struct Router {
    root: Node,
}

/// The part of a route that decides which requests it matches, within its host patterns.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'r> {
    /// The paths.
    pub path: &'r PathTemplate,
    /// The methods; none means all.
    pub methods: &'r [Method],
    /// Further conditions; at most one predicate for each part.
    pub when: &'r [Predicate],
}

/// The part of a request that decides its route, within a host.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path.
    pub path: &'r CanonicalPath,
    /// The query as it was sent.
    pub query: Option<&'r str>,
    /// The header fields.
    pub fields: &'r HeaderMap,
}

/// The result of a search.
#[derive(Debug, PartialEq, Eq)]
pub enum Matched {
    /// This route matches the request.
    Route(RouteIndex),
    /// The path has routes, but not for this method; the allowed methods, sorted.
    OtherMethods(Vec<Method>),
    /// No route has this path.
    Nothing,
}

#[derive(Debug, Default)]
struct Node {
    /// The configuration chooses the keys, so a quick hash is enough: a client cannot make keys that collide.
    literals: HashMap<String, Node, BuildHasherDefault<FxHasher>>,
    /// Ordered by precedence, the most specific first.
    parameters: Vec<Branch>,
    rest: Option<Leaf>,
    leaf: Option<Leaf>,
}

/// The branches after a parameter.
#[derive(Debug)]
struct Branch {
    precedence: Precedence,
    prefix: String,
    of: ParameterType,
    suffix: String,
    node: Node,
}

/// The routes of one path shape: by method, or for all methods.
#[derive(Debug, Default)]
struct Leaf {
    by_method: Vec<(Method, Choice)>,
    any_method: Choice,
}

/// The routes of one path shape and method.
#[derive(Debug, Default)]
struct Choice {
    /// Those with predicates, the most specific first.
    conditional: Vec<(Vec<Predicate>, RouteIndex)>,
    /// The one without.
    plain: Option<RouteIndex>,
}

impl Router {
    /// Builds the router; of two routes that tie, the first is used (the compiler refuses such projects).
    pub fn new<'r>(routes: impl IntoIterator<Item = Entry<'r>>) -> Self {
        let mut root = Node::default();
        for (index, entry) in routes.into_iter().enumerate() {
            root.leaf(entry.path).add(entry, index);
        }
        Self { root }
    }

    /// The most specific route that matches the request.
    ///
    /// A route for `GET` matches `HEAD` if no route names `HEAD` (RFC 9110, section 9.3.2).
    #[must_use]
    pub fn find(&self, request: &RequestHead<'_>) -> Matched {
        let mut walk = Walk { request, allowed: Vec::new() };
        match walk.descend(&self.root, request.path.segments()) {
            Some(index) => Matched::Route(index),
            None if walk.allowed.is_empty() => Matched::Nothing,
            None => Matched::OtherMethods(walk.allow()),
        }
    }

    /// Searches several routers in order: the most specific route of the first that has one, and the index of that
    /// router.
    ///
    /// They are those of the host patterns that match a request's host, the most specific pattern first.
    pub fn find_in<'r>(routers: impl IntoIterator<Item = &'r Self>, request: &RequestHead<'_>) -> (usize, Matched) {
        let mut found = Matched::Nothing;
        for (place, router) in routers.into_iter().enumerate() {
            found = found.or(router.find(request));
            if let Matched::Route(_) = found {
                return (place, found);
            }
        }
        (0, found)
    }

    /// Every route that matches a request with this path and method for some query and fields, the most specific first.
    #[must_use]
    pub fn find_all(&self, path: &CanonicalPath, method: &Method) -> Vec<RouteIndex> {
        self.gather(path, method).0
    }

    /// The same, and whether one of them matches every such request, so that no router behind this one is asked.
    #[must_use]
    pub fn gather(&self, path: &CanonicalPath, method: &Method) -> (Vec<RouteIndex>, bool) {
        let mut found = Vec::new();
        let is_complete = self.root.gather(path.segments(), method, &mut found);
        (found, is_complete)
    }
}

impl Matched {
    /// The result of a search that continues in a router behind the one of this result.
    #[must_use]
    pub fn or(self, next: Self) -> Self {
        match (self, next) {
            (Self::Route(index), _) | (_, Self::Route(index)) => Self::Route(index),
            (found, Self::Nothing) | (Self::Nothing, found) => found,
            (Self::OtherMethods(mut allowed), Self::OtherMethods(methods)) => {
                methods.into_iter().for_each(|method| insert(&mut allowed, method));
                Self::OtherMethods(allowed)
            }
        }
    }
}

/// Adds a method to a sorted list without duplicates; lists have tens of methods at most.
fn insert(methods: &mut Vec<Method>, method: Method) {
    if let Err(place) = methods.binary_search_by(|known| known.as_str().cmp(method.as_str())) {
        methods.insert(place, method);
    }
}

impl Node {
    fn leaf(&mut self, template: &PathTemplate) -> &mut Leaf {
        let mut node = self;
        for segment in template.segments() {
            node = match segment {
                Segment::Literal(text) => node.literal(text),
                Segment::Parameter { prefix, of, suffix, .. } => {
                    node.parameter(segment.precedence(), prefix, of, suffix)
                }
                Segment::Rest { .. } => return node.rest.get_or_insert_default(),
            };
        }
        node.leaf.get_or_insert_default()
    }

    fn literal(&mut self, text: &str) -> &mut Self {
        // Most templates begin as another one does: the text is not copied for those.
        if !self.literals.contains_key(text) {
            self.literals.insert(text.to_owned(), Self::default());
        }
        self.literals.get_mut(text).expect("it was just inserted")
    }

    fn parameter(&mut self, precedence: Precedence, prefix: &str, of: &ParameterType, suffix: &str) -> &mut Self {
        let from = self.parameters.partition_point(|branch| branch.precedence < precedence);
        let tied = self.parameters[from..].iter().take_while(|branch| branch.precedence == precedence);
        let same = tied.clone().position(|b| b.prefix == prefix && b.suffix == suffix && b.of == *of);
        let at = from + same.unwrap_or_else(|| tied.count());
        if same.is_none() {
            let (prefix, of, suffix) = (prefix.to_owned(), of.clone(), suffix.to_owned());
            // Most nodes have one parameter, and a branch is large.
            if self.parameters.is_empty() {
                self.parameters.reserve_exact(1);
            }
            self.parameters.insert(at, Branch { precedence, prefix, of, suffix, node: Self::default() });
        }
        &mut self.parameters[at].node
    }

    /// Collects routes in the order of a walk; returns whether the found routes match every such request.
    fn gather(&self, segments: PathSegments<'_>, method: &Method, found: &mut Vec<RouteIndex>) -> bool {
        let Some((first, rest)) = segments.split_first() else {
            return self.leaf.as_ref().is_some_and(|leaf| leaf.gather(method, found));
        };
        let literal = self.literals.get(first).into_iter();
        let branches = self.parameters.iter().filter(|branch| branch.matches(first));
        literal.chain(branches.map(|branch| &branch.node)).any(|node| node.gather(rest, method, found))
            || self.rest.as_ref().is_some_and(|leaf| leaf.gather(method, found))
    }
}

impl Branch {
    fn matches(&self, text: &str) -> bool {
        between(text, &self.prefix, &self.of, &self.suffix).is_some()
    }
}

impl Leaf {
    fn add(&mut self, entry: Entry<'_>, index: RouteIndex) {
        if entry.methods.is_empty() {
            self.any_method.add(entry.when, index);
        }
        // Most paths have one route.
        if self.by_method.is_empty() {
            self.by_method.reserve_exact(entry.methods.len());
        }
        for method in entry.methods {
            let known = self.by_method.iter().position(|(m, _)| m == method);
            let at = known.unwrap_or_else(|| {
                self.by_method.push((method.clone(), Choice::default()));
                self.by_method.len() - 1
            });
            self.by_method[at].1.add(entry.when, index);
        }
    }

    /// The routes for a method, in the order of the search.
    fn choices(&self, method: &Method) -> impl Iterator<Item = &Choice> {
        let named = |method: &Method| self.by_method.iter().find(|(m, _)| m == method).map(|(_, choice)| choice);
        let as_get = (method == Method::HEAD).then(|| named(&Method::GET)).flatten();
        named(method).into_iter().chain(as_get).chain([&self.any_method])
    }

    fn find(&self, request: &RequestHead<'_>) -> Option<RouteIndex> {
        self.choices(request.method).find_map(|choice| choice.find(request))
    }

    fn gather(&self, method: &Method, found: &mut Vec<RouteIndex>) -> bool {
        self.choices(method).any(|choice| {
            found.extend(choice.conditional.iter().map(|(_, index)| *index).chain(choice.plain));
            choice.plain.is_some()
        })
    }
}

impl Choice {
    fn add(&mut self, when: &[Predicate], index: RouteIndex) {
        if when.is_empty() {
            self.plain.get_or_insert(index);
            return;
        }
        let precedence = Predicate::precedence(when);
        let at = self.conditional.partition_point(|(known, _)| Predicate::precedence(known) <= precedence);
        self.conditional.insert(at, (when.to_vec(), index));
    }

    fn find(&self, request: &RequestHead<'_>) -> Option<RouteIndex> {
        let meets = |when: &[Predicate]| when.iter().all(|p| p.holds(request.query, request.fields));
        self.conditional.iter().find(|(when, _)| meets(when)).map(|(_, index)| *index).or(self.plain)
    }
}

/// One search: its request and the results so far.
struct Walk<'a> {
    request: &'a RequestHead<'a>,
    /// The methods of the routes that match the path, sorted.
    allowed: Vec<Method>,
}

impl Walk<'_> {
    fn descend(&mut self, node: &Node, segments: PathSegments<'_>) -> Option<RouteIndex> {
        let Some((first, rest)) = segments.split_first() else {
            return node.leaf.as_ref().and_then(|leaf| self.accept(leaf));
        };
        if let Some(index) = node.literals.get(first).and_then(|child| self.descend(child, rest)) {
            return Some(index);
        }
        for branch in &node.parameters {
            if branch.matches(first)
                && let Some(index) = self.descend(&branch.node, rest)
            {
                return Some(index);
            }
        }
        node.rest.as_ref().and_then(|leaf| self.accept(leaf))
    }

    fn accept(&mut self, leaf: &Leaf) -> Option<RouteIndex> {
        let found = leaf.find(self.request);
        if found.is_none() {
            let takes = |(_, choice): &&(Method, Choice)| choice.find(self.request).is_some();
            let methods = leaf.by_method.iter().filter(takes).map(|(method, _)| method.clone());
            methods.for_each(|method| insert(&mut self.allowed, method));
        }
        found
    }

    /// The methods seen, with those that the gateway adds: `HEAD` for `GET`, and `OPTIONS`, which it answers itself.
    fn allow(mut self) -> Vec<Method> {
        if self.allowed.contains(&Method::GET) {
            insert(&mut self.allowed, Method::HEAD);
        }
        insert(&mut self.allowed, Method::OPTIONS);
        self.allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{HostName, HostPattern, Subject, Test};
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

    /// Searches the routers of the patterns that match the host; an index is the position in [`ROUTES`].
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
            Router::new(routes.iter().map(|(path, methods)| Entry { path, methods, when: &[] }))
        };
        let routers: Vec<Router> = patterns.iter().map(router).collect();
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let fields = HeaderMap::new();
        let request = RequestHead { method: &method.parse().unwrap(), path: &path, query: None, fields: &fields };
        match Router::find_in(&routers, &request) {
            (place, Matched::Route(index)) => Matched::Route(of(&patterns[place])[index]),
            (_, other) => other,
        }
    }

    #[track_caller]
    fn check(host: &str, path: &str, method: &str, index: usize) {
        assert_eq!(find(host, path, method), Matched::Route(index), "{method} {host}{path}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_most_specific_route_that_takes_the_request_wins() {
        check("x.org", "/pets", "GET", 0);
        check("x.org", "/pets", "HEAD", 0);
        check("x.org", "/pets/7", "GET", 1);
        check("x.org", "/pets/7.json", "GET", 3);
        check("x.org", "/pets/.json", "GET", 1);
        check("x.org", "/pets/mine", "PUT", 2);
        check("x.org", "/pets/mine", "GET", 1);
        check("x.org", "/pets/mine", "DELETE", 4);
        check("x.org", "/pets/a/b", "GET", 4);
        check("x.org", "/all/x/", "PURGE", 5);
        check("api.example.com", "/pets", "GET", 6);
        check("api.example.com", "/pets", "POST", 0);
        check("b.example.com", "/pets", "GET", 7);
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

    /// Searches one router of routes written as `METHODS PATH when`; the predicates are `v=1|2`, `v` or `!v`, of the
    /// query or, with a capital, of a field.
    fn ask(routes: &[&str], method: &str, target: &str, fields: &[(&'static str, &str)]) -> (Matched, Vec<RouteIndex>) {
        let predicate = |text: &str| {
            let (text, test) = match (text.strip_prefix('!'), text.split_once('=')) {
                (Some(name), _) => (name, Test::Absent),
                (None, Some((name, values))) => (name, Test::OneOf(values.split('|').map(str::to_owned).collect())),
                (None, None) => (text, Test::Present),
            };
            let is_field = text.starts_with(char::is_uppercase);
            let name = text.to_ascii_lowercase();
            Predicate { of: if is_field { Subject::Header(name) } else { Subject::Query(name) }, test }
        };
        let parse = |text: &&str| {
            let mut words = text.split(' ');
            let methods: Vec<Method> = words.next().unwrap().split(',').map(|m| m.parse().unwrap()).collect();
            let path: PathTemplate = words.next().unwrap().parse().unwrap();
            (path, methods, words.map(predicate).collect::<Vec<_>>())
        };
        let routes: Vec<_> = routes.iter().map(parse).collect();
        let router = Router::new(routes.iter().map(|(path, methods, when)| Entry { path, methods, when }));
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let method: Method = method.parse().unwrap();
        let fields: HeaderMap = fields.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect();
        let head = RequestHead { method: &method, path: &path, query, fields: &fields };
        (router.find(&head), router.find_all(&path, &method))
    }

    #[track_caller]
    fn check_winner(routes: &[&str], method: &str, target: &str, fields: &[(&'static str, &str)], want: Option<usize>) {
        let mut reversed = routes.to_vec();
        reversed.reverse();
        for (routes, place) in [(routes, want), (&reversed, want.map(|n| routes.len() - 1 - n))] {
            let (found, all) = ask(routes, method, target, fields);
            let index = match found {
                Matched::Route(index) => Some(index),
                Matched::OtherMethods(_) | Matched::Nothing => None,
            };
            assert_eq!(index, place, "{method} {target} {fields:?} of {routes:?}");
            assert!(index.is_none_or(|index| all.contains(&index)), "find_all has what find finds");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_typed_parameter_goes_before_any_text() {
        let routes =
            &["GET /p/{x}", "GET /p/{x:int}", "GET /p/{x:uuid}", "GET /p/{x:bool}", "GET /p/true", "GET /p/{x}.json"];
        check_winner(routes, "GET", "/p/7", &[], Some(1));
        check_winner(routes, "GET", "/p/0188d0f2-0000-7000-8000-00000000000A", &[], Some(2));
        check_winner(routes, "GET", "/p/false", &[], Some(3));
        check_winner(routes, "GET", "/p/true", &[], Some(4));
        check_winner(routes, "GET", "/p/7.json", &[], Some(5));
        check_winner(routes, "GET", "/p/seven", &[], Some(0));
        check_winner(&["GET /p/{x:int}/a", "GET /p/{x}/b"], "GET", "/p/7/b", &[], Some(1));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_asks_for_more_goes_first_and_fails_as_if_it_were_not_there() {
        let routes =
            &["GET /a", "GET /a X-V", "GET /a X-V=1|2", "GET /a X-V=1", "GET /a X-V=1 q", "GET /{any} q=1", "PUT /a q"];
        check_winner(routes, "GET", "/a", &[], Some(0));
        check_winner(routes, "GET", "/a", &[("x-v", "3")], Some(1));
        check_winner(routes, "HEAD", "/a", &[("x-v", "2")], Some(2));
        check_winner(routes, "GET", "/a", &[("x-v", "1")], Some(3));
        check_winner(routes, "GET", "/a?q=1", &[("x-v", "1")], Some(4));
        check_winner(routes, "GET", "/a?q=1", &[], Some(0));
        check_winner(routes, "GET", "/b?q=1", &[], Some(5));
        check_winner(routes, "GET", "/b", &[], None);
        check_winner(routes, "PUT", "/a", &[], None);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn methods_of_routes_whose_predicates_fail_are_not_allowed() {
        let routes = &["GET /a", "PUT /a q=1"];
        let allowed = |target: &str| match ask(routes, "POST", target, &[]).0 {
            Matched::OtherMethods(methods) => methods.iter().map(Method::to_string).collect::<Vec<_>>().join(","),
            Matched::Route(_) | Matched::Nothing => String::new(),
        };
        assert_eq!((allowed("/a").as_str(), allowed("/a?q=1").as_str()), ("GET,HEAD,OPTIONS", "GET,HEAD,OPTIONS,PUT"));
        assert_eq!(ask(&["GET /a q=1"], "POST", "/a", &[]).0, Matched::Nothing);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn all_that_could_take_a_request_are_found_up_to_the_one_that_always_does() {
        let routes = &["GET /a q=1", "GET /{x} q", "GET /{x:(a|b)}", "GET /{*x}", "PUT /a"];
        assert_eq!(ask(routes, "GET", "/a", &[]).1, [0, 2]);
        assert_eq!(ask(routes, "GET", "/c", &[]).1, [1, 3]);
        assert_eq!(ask(routes, "DELETE", "/a", &[]).1, [0usize; 0]);
    }
}
