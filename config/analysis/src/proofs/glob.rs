//! Patterns in which `*` matches any text, and the paths that they share with templates.

use std::collections::{HashSet, VecDeque};

use tollgate_core::route::{CanonicalPath, ParameterType, Segment};

use super::segment::path_of;

/// A path in which `*` matches any text, including slashes.
#[derive(Clone, Debug)]
pub(super) struct Glob(Vec<Step>);

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This character.
    One(char),
    /// Any character except a slash.
    NotSlash,
    /// Any number of characters other than slashes.
    WithoutSlash,
    /// Any text.
    Any,
}

impl Glob {
    pub(super) fn new(text: &str) -> Self {
        Self(text.chars().map(|c| if c == '*' { Step::Any } else { Step::One(c) }).collect())
    }

    /// A path that both this pattern and a template match. A parameter without a list of values is assumed to match any text.
    pub(super) fn shared(&self, segments: &[Segment]) -> Option<String> {
        let found = shared_text(&self.0, &steps(segments))?;
        let path = CanonicalPath::parse(found.as_bytes()).ok();
        path.map(|path| path.as_str().to_owned())
    }
}

/// The template as steps over its canonical text.
fn steps(segments: &[Segment]) -> Vec<Step> {
    let mut all = Vec::new();
    let fixed = |text: &str| -> Vec<Step> {
        let path = path_of(&[text.to_owned()]).unwrap_or_default();
        path.chars().skip(1).map(Step::One).collect()
    };
    for segment in segments {
        all.push(Step::One('/'));
        match segment {
            Segment::Literal(text) => all.extend(fixed(text)),
            Segment::Parameter { prefix, of, suffix, .. } => {
                all.extend(fixed(prefix));
                match of {
                    ParameterType::OneOf(values) if values.len() == 1 => {
                        all.extend(values.iter().flat_map(|v| fixed(v)));
                    }
                    ParameterType::OneOf(_) | ParameterType::Uuid | ParameterType::Int | ParameterType::Any => {
                        all.extend([Step::NotSlash, Step::WithoutSlash]);
                    }
                }
                all.extend(fixed(suffix));
            }
            Segment::Rest { .. } => all.push(Step::Any),
        }
    }
    all
}

/// The shortest text that both match, found by a breadth-first search over both.
fn shared_text(a: &[Step], b: &[Step]) -> Option<String> {
    let mut seen = HashSet::from([(0, 0)]);
    let mut queue = VecDeque::from([(0usize, 0usize, String::new())]);
    while let Some((x, y, text)) = queue.pop_front() {
        if x == a.len() && y == b.len() {
            return Some(text);
        }
        let mut go = |x: usize, y: usize, text: String| {
            if seen.insert((x, y)) {
                queue.push_back((x, y, text));
            }
        };
        let repeats = |step: Option<&Step>| matches!(step, Some(Step::WithoutSlash | Step::Any));
        // A step that can match the empty text is skipped.
        if repeats(a.get(x)) {
            go(x + 1, y, text.clone());
        }
        if repeats(b.get(y)) {
            go(x, y + 1, text.clone());
        }
        if let Some(character) = a.get(x).zip(b.get(y)).and_then(|(p, q)| shared_character(*p, *q)) {
            let next = |place: usize, step: Option<&Step>| if repeats(step) { place } else { place + 1 };
            go(next(x, a.get(x)), next(y, b.get(y)), format!("{text}{character}"));
        }
    }
    None
}

fn shared_character(a: Step, b: Step) -> Option<char> {
    match (a, b) {
        (Step::One(x), Step::One(y)) => (x == y).then_some(x),
        (Step::One('/'), Step::NotSlash | Step::WithoutSlash)
        | (Step::NotSlash | Step::WithoutSlash, Step::One('/')) => None,
        (Step::One(x), _) | (_, Step::One(x)) => Some(x),
        (_, _) => Some('a'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::route::PathTemplate;

    #[track_caller]
    fn check(glob: &str, template: &str, expected: Option<&str>) {
        let template: PathTemplate = template.parse().unwrap();
        assert_eq!(Glob::new(glob).shared(template.segments()).as_deref(), expected, "{glob} {template}");
    }

    #[test]
    fn a_shared_path_matches_both_the_glob_and_the_template() {
        check("/admin/*", "/admin/{id}", Some("/admin/a"));
        check("/admin/*", "/{*rest}", Some("/admin/"));
        check("/admin/*", "/public/{id}", None);
        check("/admin*", "/{area}/x", Some("/admin/x"));
        check("*/secret", "/a/{b}", Some("/a/secret"));
        check("/a", "/a", Some("/a"));
        check("/a", "/a/{b}", None);
        check("*", "/{*rest}", Some("/"));
    }
}
