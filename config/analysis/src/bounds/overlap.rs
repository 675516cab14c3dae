//! Whether any of a set of path templates takes a path that another template takes.

use std::collections::HashMap;

use tollgate_core::route::{HostPattern, PathTemplate, Segment};

/// A tree of templates, each with the host patterns it is for.
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

    /// Whether one of them may take a request that the template takes on these hosts.
    ///
    /// May say yes where types of parameters rule it out: the answer is used as an upper bound.
    pub(super) fn meets(&self, path: &PathTemplate, hosts: &[HostPattern]) -> bool {
        self.root.meets(path.segments(), hosts)
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

    fn meets(&self, segments: &[Segment], hosts: &[HostPattern]) -> bool {
        let Some((first, rest)) = segments.split_first() else { return share(&self.leaf, hosts) };
        if share(&self.rest, hosts) {
            return true;
        }
        match first {
            Segment::Literal(text) => {
                self.literals.get(text.as_str()).is_some_and(|child| child.meets(rest, hosts))
                    || self.parameters.iter().any(|(p, s, child)| is_between(text, p, s) && child.meets(rest, hosts))
            }
            Segment::Parameter { prefix, suffix, .. } => {
                let literals = self.literals.iter().filter(|(text, _)| is_between(text, prefix, suffix));
                let parameters = self.parameters.iter().filter(|(p, s, _)| agree(p, prefix, s, suffix));
                literals
                    .map(|(_, child)| child)
                    .chain(parameters.map(|(.., child)| child))
                    .any(|c| c.meets(rest, hosts))
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
            assert_eq!(overlaps.meets(y, &[HostPattern::Any]), want, "{x} {y}");
        }
    }

    #[test]
    fn templates_meet_where_one_path_is_of_both() {
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
    fn hosts_must_meet_too() {
        let path: PathTemplate = "/a".parse().unwrap();
        let hosts = |text: &str| vec![text.parse::<HostPattern>().unwrap()];
        let (known, other, wide) = (hosts("a.example.com"), hosts("b.example.com"), hosts("*.example.com"));
        let mut overlaps = Overlaps::default();
        overlaps.add(&path, &known);
        assert!(overlaps.meets(&path, &wide) && !overlaps.meets(&path, &other));
    }
}
