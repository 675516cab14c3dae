//! Routes divided into pages by their paths, so that an instance decodes those that its requests need.
//!
//! The index is the upper part of the router's tree. A node has ranges of literals, and behind them the pages of
//! everything else that a segment can match there, the most specific first. So a path has few pages, and searching their
//! routers in this order finds the route that one router of all routes would find. A page may have routes that do not
//! match the path: its router decides.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use minicbor::Encode;

use super::path::{CanonicalPath, PathSegments};
use super::template::{PathTemplate, Segment};

use crate::codec::Decode;

/// Which pages the routes of a path are on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PageIndex {
    /// The root, and the nodes below others; each is behind the one that names it.
    #[n(0)]
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct Node {
    /// The first literal of each range, sorted.
    #[n(0)]
    literals: Vec<(String, Target)>,
    /// Parameters, the rest of the path, and paths that end here.
    #[n(1)]
    others: Vec<Target>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
enum Target {
    #[n(0)]
    Page(#[n(0)] u32),
    #[n(1)]
    Node(#[n(0)] u32),
}

impl PageIndex {
    /// Divides routes into pages of at most `room` routes, except for routes that have the same path.
    ///
    /// Returns the positions of the routes on each page, in ascending order. Equal lists are divided equally.
    #[must_use]
    pub fn divide(paths: &[&PathTemplate], room: usize) -> (Self, Vec<Vec<usize>>) {
        let mut division = Division { paths, room, nodes: Vec::new(), pages: Vec::new() };
        division.node((0..paths.len()).collect(), 0);
        division.pages.iter_mut().for_each(|page| page.sort_unstable());
        (Self { nodes: division.nodes }, division.pages)
    }

    /// Visits the pages that may have routes for a path, the most specific first, until `visit` breaks.
    ///
    /// # Panics
    /// If it is not [coherent](Self::is_coherent).
    pub fn visit<B>(&self, path: &CanonicalPath, visit: &mut impl FnMut(usize) -> ControlFlow<B>) -> ControlFlow<B> {
        match self.nodes.first() {
            Some(root) => self.walk(root, path.segments(), visit),
            None => ControlFlow::Continue(()),
        }
    }

    /// Whether it is the index of so many pages: each is named once, and so is each node but the root, by one before it.
    #[must_use]
    pub fn is_coherent(&self, pages: usize) -> bool {
        let (mut seen_pages, mut seen_nodes) = (vec![false; pages], vec![false; self.nodes.len()]);
        if let Some(root) = seen_nodes.first_mut() {
            *root = true;
        }
        let mut is_new = |place: usize, target: Target| {
            let seen = match target {
                Target::Page(page) => seen_pages.get_mut(page as usize),
                Target::Node(node) => seen_nodes.get_mut(node as usize).filter(|_| node as usize > place),
            };
            seen.is_some_and(|seen| !std::mem::replace(seen, true))
        };
        let each_is_new =
            self.nodes.iter().enumerate().all(|(place, node)| node.targets().all(|target| is_new(place, target)));
        let is_sorted = self.nodes.iter().all(|node| node.literals.is_sorted_by(|(a, _), (b, _)| a < b));
        each_is_new && is_sorted && seen_pages.into_iter().chain(seen_nodes).all(|seen| seen)
    }

    fn walk<B>(
        &self,
        node: &Node,
        segments: PathSegments<'_>,
        visit: &mut impl FnMut(usize) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let first = segments.split_first();
        let literal = first.and_then(|(first, _)| {
            let after = node.literals.partition_point(|(literal, _)| literal.as_str() <= first);
            Some(node.literals.get(after.checked_sub(1)?)?.1)
        });
        for target in literal.into_iter().chain(node.others.iter().copied()) {
            match (target, first) {
                (Target::Page(page), _) => visit(page as usize)?,
                (Target::Node(below), Some((_, rest))) => self.walk(&self.nodes[below as usize], rest, visit)?,
                // A path that ends here has no segment for a node below.
                (Target::Node(_), None) => {}
            }
        }
        ControlFlow::Continue(())
    }
}

impl Node {
    fn targets(&self) -> impl Iterator<Item = Target> {
        self.literals.iter().map(|(_, target)| *target).chain(self.others.iter().copied())
    }
}

/// Routes while they are divided.
struct Division<'r> {
    paths: &'r [&'r PathTemplate],
    room: usize,
    nodes: Vec<Node>,
    pages: Vec<Vec<usize>>,
}

impl<'r> Division<'r> {
    /// Adds the node of routes whose paths are equal before this segment.
    fn node(&mut self, routes: Vec<usize>, depth: usize) -> Target {
        let place = self.nodes.len();
        self.nodes.push(Node::default());
        let mut literals: BTreeMap<&'r str, Vec<usize>> = BTreeMap::new();
        let mut parameters: Vec<(&'r Segment, Vec<usize>)> = Vec::new();
        let mut last = Vec::new();
        for route in routes {
            match self.paths[route].segments().get(depth) {
                Some(Segment::Literal(text)) => literals.entry(text).or_default().push(route),
                Some(segment @ Segment::Parameter { .. }) => {
                    match parameters.iter_mut().find(|(known, _)| matches_the_same(known, segment)) {
                        Some((_, group)) => group.push(route),
                        None => parameters.push((segment, vec![route])),
                    }
                }
                Some(Segment::Rest { .. }) | None => last.push(route),
            }
        }
        parameters.sort_by_key(|(segment, _)| segment.precedence());
        let literals = self.pack(literals.into_iter().map(|(text, group)| (text.to_owned(), group)), depth + 1);
        let others = self.pack(parameters, depth + 1);
        let mut others: Vec<Target> = others.into_iter().map(|(_, target)| target).collect();
        if !last.is_empty() {
            others.push(self.page(last));
        }
        self.nodes[place] = Node { literals, others };
        Target::Node(number(place))
    }

    /// Puts groups that follow each other on pages; a group that needs more than one becomes a node.
    fn pack<K>(&mut self, groups: impl IntoIterator<Item = (K, Vec<usize>)>, depth: usize) -> Vec<(K, Target)> {
        let mut packed = Vec::new();
        let mut is_open = false;
        for (key, group) in groups {
            if group.len() > self.room {
                packed.push((key, self.node(group, depth)));
                is_open = false;
                continue;
            }
            match self.pages.last_mut().filter(|page| is_open && page.len() + group.len() <= self.room) {
                Some(page) => page.extend(group),
                None => packed.push((key, self.page(group))),
            }
            is_open = true;
        }
        packed
    }

    fn page(&mut self, routes: Vec<usize>) -> Target {
        self.pages.push(routes);
        Target::Page(number(self.pages.len() - 1))
    }
}

/// Whether two segments differ in the names of their parameters at most.
fn matches_the_same(one: &Segment, other: &Segment) -> bool {
    match (one, other) {
        (
            Segment::Parameter { prefix, of, suffix, .. },
            Segment::Parameter { prefix: other_prefix, of: other_of, suffix: other_suffix, .. },
        ) => (prefix, of, suffix) == (other_prefix, other_of, other_suffix),
        (Segment::Literal(_) | Segment::Rest { .. }, _) | (_, Segment::Literal(_) | Segment::Rest { .. }) => false,
    }
}

/// A part with 2^32 routes would have terabytes.
fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use proptest::prelude::*;

    use super::*;
    use crate::route::{Entry, Matched, RequestHead, Router};

    fn templates(texts: &[&str]) -> Vec<PathTemplate> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn divided(paths: &[PathTemplate], room: usize) -> (PageIndex, Vec<Vec<usize>>) {
        let (index, pages) = PageIndex::divide(&paths.iter().collect::<Vec<_>>(), room);
        assert!(index.is_coherent(pages.len()));
        let mut all: Vec<usize> = pages.concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..paths.len()), "each route is on one page");
        (index, pages)
    }

    fn pages_of(index: &PageIndex, path: &str) -> Vec<usize> {
        let mut pages = Vec::new();
        let path = CanonicalPath::parse(path.as_bytes()).unwrap();
        let _ = index.visit(&path, &mut |page| {
            pages.push(page);
            ControlFlow::<()>::Continue(())
        });
        pages
    }

    #[test]
    fn a_path_needs_the_pages_of_its_segments() {
        let paths = templates(&["/a/x", "/a/y", "/a/{id}", "/a/{*rest}", "/a", "/b", "/c", "/d", "/{any}"]);
        let (index, pages) = divided(&paths, 2);
        let of = |path: &str| pages_of(&index, path).into_iter().map(|page| pages[page].clone()).collect::<Vec<_>>();
        assert_eq!(of("/a/x"), [vec![0, 1], vec![2], vec![3, 4], vec![8]]);
        assert_eq!(of("/a/0"), [vec![2], vec![3, 4], vec![8]]);
        assert_eq!(of("/a"), [vec![2], vec![3, 4], vec![8]]);
        assert_eq!(of("/b"), [vec![5, 6], vec![8]]);
        assert_eq!(of("/bb/x"), [vec![5, 6], vec![8]]);
        assert_eq!(of("/z"), [vec![7], vec![8]]);
        assert_eq!(of("/0"), [vec![8]]);
    }

    #[test]
    fn an_index_that_is_not_a_tree_is_refused() {
        let (index, pages) = divided(&templates(&["/a/x", "/a/y", "/b", "/{c}"]), 1);
        assert!(!index.is_coherent(pages.len() + 1) && !index.is_coherent(pages.len() - 1));
        let with = |change: fn(&mut PageIndex)| {
            let mut index = index.clone();
            change(&mut index);
            index.is_coherent(pages.len())
        };
        assert!(with(|_| {}));
        assert!(!with(|index| index.nodes[0].others.push(Target::Node(1))));
        assert!(!with(|index| index.nodes[1].others.push(Target::Node(0))));
        assert!(!with(|index| index.nodes[1].others.push(Target::Page(0))));
        assert!(!with(|index| index.nodes[0].literals.reverse()));
        assert!(PageIndex { nodes: vec![] }.is_coherent(0) && !PageIndex { nodes: vec![] }.is_coherent(1));
    }

    fn segment() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["a", "b", "c", "1", "ab", "{x}", "{x:int}", "a{x}", "{x:(a|b)}", "{x}b"])
    }

    proptest! {
        #[test]
        fn pages_together_are_the_router(
            written in prop::collection::vec((prop::collection::vec(segment(), 1..4), any::<bool>(), any::<bool>()), 1..40),
            asked in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "1", "ab", "zz", ""]), 1..5),
            room in 1_usize..6,
            method in prop::sample::select(vec![Method::GET, Method::HEAD, Method::POST]),
        ) {
            let template = |(segments, rest, _): &(Vec<&str>, bool, bool)| {
                // The names of parameters differ within a template.
                let named: Vec<String> =
                    segments.iter().enumerate().map(|(place, text)| text.replace("{x", &format!("{{x{place}"))).collect();
                format!("/{}{}", named.join("/"), if *rest { "/{*r}" } else { "" }).parse::<PathTemplate>().unwrap()
            };
            let paths: Vec<PathTemplate> = written.iter().map(template).collect();
            let methods: Vec<Vec<Method>> =
                written.iter().map(|(.., is_get)| if *is_get { vec![Method::GET] } else { vec![Method::POST] }).collect();
            let entry = |place: usize| Entry { path: &paths[place], methods: &methods[place], when: &[] };
            let (index, pages) = divided(&paths, room);
            let Ok(path) = CanonicalPath::parse(format!("/{}", asked.join("/")).as_bytes()) else { return Ok(()) };
            let fields = HeaderMap::new();
            let request = RequestHead { method: &method, path: &path, query: None, fields: &fields };
            let mut found = Matched::Nothing;
            let _ = index.visit(&path, &mut |page| {
                let router = Router::new(pages[page].iter().map(|place| entry(*place)));
                found = match (router.find(&request), std::mem::replace(&mut found, Matched::Nothing)) {
                    (Matched::Route(index), _) => Matched::Route(pages[page][index]),
                    (other, before) => before.or(other),
                };
                if matches!(found, Matched::Route(_)) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            prop_assert_eq!(found, Router::new((0..paths.len()).map(entry)).find(&request));
        }
    }
}
