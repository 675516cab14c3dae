//! Whether any path template of a set can match the same path as another template.

use std::collections::HashMap;

use tollgate_core::route::{HostPattern, PathTemplate, Segment};

/// A tree of templates, each with its host patterns.
#[derive(Debug, Default)]
pub(super) struct Overlaps<'c> {
    root: Node<'c>,
}

#[derive(Debug, Default)]
struct Node<'c> {
    literals: HashMap<&'c str, Node<'c>>,
    parameters: Vec<(&'c str, &'c str, Node<'c>)>,
    rest: Vec<&'c [HostPattern]>,
    leaf: Vec<&'c [HostPattern]>,
}

impl<'c> Overlaps<'c> {
    pub(super) fn add(&mut self, path: &'c PathTemplate, hosts: &'c [HostPattern]) {
        let mut node = &mut self.root;
        for segment in path.segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text).or_default(),
                Segment::Parameter { prefix, suffix, .. } => node.parameter(prefix, suffix),
                Segment::Rest { .. } => return node.rest.push(hosts),
            };
        }
        node.leaf.push(hosts);
    }

    /// Whether one of the templates may match a request that the given template matches on these hosts.
    ///
    /// Types of parameters are ignored, so the result can be true if they exclude it. It is used as an upper bound.
    pub(super) fn overlaps(&self, path: &PathTemplate, hosts: &[HostPattern]) -> bool {
        self.root.overlaps(path.segments(), hosts)
    }
}

impl<'c> Node<'c> {
    fn parameter(&mut self, prefix: &'c str, suffix: &'c str) -> &mut Self {
        let same = self.parameters.iter().position(|(p, s, _)| (*p, *s) == (prefix, suffix));
        let at = same.unwrap_or(self.parameters.len());
        if same.is_none() {
            self.parameters.push((prefix, suffix, Node::default()));
        }
        &mut self.parameters[at].2
    }

    fn overlaps(&self, segments: &[Segment], hosts: &[HostPattern]) -> bool {
        let Some((first, rest)) = segments.split_first() else { return share(&self.leaf, hosts) };
        if share(&self.rest, hosts) {
            return true;
        }
        match first {
            Segment::Literal(text) => {
                self.literals.get(text.as_str()).is_some_and(|child| child.overlaps(rest, hosts))
                    || self.parameters.iter().any(|(p, s, child)| is_between(text, p, s) && child.overlaps(rest, hosts))
            }
            Segment::Parameter { prefix, suffix, .. } => {
                let literals = self.literals.iter().filter(|(text, _)| is_between(text, prefix, suffix));
                let parameters = self.parameters.iter().filter(|(p, s, _)| agree(p, prefix, s, suffix));
                literals
                    .map(|(_, child)| child)
                    .chain(parameters.map(|(.., child)| child))
                    .any(|c| c.overlaps(rest, hosts))
            }
            Segment::Rest { .. } => self.children().any(|child| child.any(hosts)),
        }
    }

    fn any(&self, hosts: &[HostPattern]) -> bool {
        share(&self.leaf, hosts) || share(&self.rest, hosts) || self.children().any(|child| child.any(hosts))
    }

    fn children(&self) -> impl Iterator<Item = &Self> {
        self.literals.values().chain(self.parameters.iter().map(|(.., child)| child))
    }
}

fn share(all: &[&[HostPattern]], hosts: &[HostPattern]) -> bool {
    all.iter().any(|some| some.iter().any(|a| hosts.iter().any(|b| a.covers(b) || b.covers(a))))
}

fn is_between(text: &str, prefix: &str, suffix: &str) -> bool {
    text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix)).is_some_and(|rest| !rest.is_empty())
}

fn agree(p: &str, q: &str, s: &str, t: &str) -> bool {
    (p.starts_with(q) || q.starts_with(p)) && (s.ends_with(t) || t.ends_with(s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(a: &str, b: &str, want: bool) {
        let (a, b): (PathTemplate, PathTemplate) = (a.parse().unwrap(), b.parse().unwrap());
        for (x, y) in [(&a, &b), (&b, &a)] {
            let mut overlaps = Overlaps::default();
            overlaps.add(x, &[HostPattern::Any]);
            assert_eq!(overlaps.overlaps(y, &[HostPattern::Any]), want, "{x} {y}");
        }
    }

    #[test]
    fn templates_overlap_if_both_match_one_path() {
        check("/a/b", "/a/b", true);
        check("/a/b", "/a/c", false);
        check("/a/{x}", "/a/b", true);
        check("/a/{x}", "/a/b/c", false);
        check("/a/{x}.json", "/a/b", false);
        check("/a/{x}.json", "/a/b{y}", true);
        check("/a/{x}.json", "/a/{y}.xml", false);
        check("/a/{*rest}", "/a/b/{c}/d", true);
        check("/a/{*rest}", "/a", false);
        check("/{*rest}", "/", true);
        check("/{a}/x", "/y/{b}", true);
    }

    #[test]
    fn hosts_must_overlap_too() {
        let path: PathTemplate = "/a".parse().unwrap();
        let hosts = |text: &str| vec![text.parse::<HostPattern>().unwrap()];
        let (known, other, wide) = (hosts("a.example.com"), hosts("b.example.com"), hosts("*.example.com"));
        let mut overlaps = Overlaps::default();
        overlaps.add(&path, &known);
        assert!(overlaps.overlaps(&path, &wide) && !overlaps.overlaps(&path, &other));
    }
}
