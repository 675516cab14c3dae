//! The requests of a pattern that a route can answer, as templates that the router has.

use tollgate_core::route::{ParameterType, Segment};

use super::{Pattern, Symbol};

impl Pattern {
    /// Templates of some of these requests, in the form of those that a route matches, with up to `depth` segments.
    ///
    /// A segment with several values has no template: `value` stands for each of them, between the fixed texts of both.
    /// If it has characters that no template has, another route matches such a text only if it matches all such texts.
    pub(crate) fn within(&self, route: &[Segment], value: &str, depth: usize) -> Vec<Vec<Segment>> {
        self.expanded(depth).iter().flat_map(|pattern| pattern.shaped(route, value)).take(TEMPLATES_MAX).collect()
    }

    /// Patterns without values of several segments, except one that is the end.
    fn expanded(&self, depth: usize) -> Vec<Self> {
        let is_kept = self.0.ends_with(&[Symbol::Char('/'), Symbol::Values]);
        let expanded = if is_kept { self.0.len() - 1 } else { self.0.len() };
        let slashes = self.chars().filter(|c| *c == '/').count();
        let spare = depth.saturating_sub(slashes).min(SPARE_MAX);
        let mut all: Vec<(Vec<Symbol>, usize)> = vec![(Vec::new(), spare)];
        for symbol in &self.0[..expanded] {
            if *symbol != Symbol::Values {
                all.iter_mut().for_each(|(done, _)| done.push(*symbol));
                continue;
            }
            let longer = all.iter().flat_map(|(done, spare)| {
                (0..=*spare).map(move |more| {
                    let values = std::iter::repeat_n([Symbol::Value, Symbol::Char('/')], more).flatten();
                    (done.iter().copied().chain(values).chain([Symbol::Value]).collect(), spare - more)
                })
            });
            all = longer.take(TEMPLATES_MAX).collect();
        }
        let end = &self.0[expanded..];
        all.into_iter().map(|(done, _)| Self(done.into_iter().chain(end.iter().copied()).collect())).collect()
    }

    fn shaped(&self, route: &[Segment], value: &str) -> Vec<Vec<Segment>> {
        let mut all: Vec<Vec<Segment>> = vec![Vec::new()];
        for (place, symbols) in self.segments().enumerate() {
            let own = route.get(place).filter(|own| !matches!(own, Segment::Rest { .. }));
            let choices = shaped(symbols, own, value);
            let longer =
                all.iter().flat_map(|done| choices.iter().map(move |one| done.iter().chain([one]).cloned().collect()));
            all = longer.take(TEMPLATES_MAX).collect();
        }
        all
    }
}

/// The same for one segment.
fn shaped(symbols: &[Symbol], route: Option<&Segment>, value: &str) -> Vec<Segment> {
    let name = || "p".to_owned();
    if symbols == [Symbol::Values] {
        return vec![Segment::Rest { name: name() }];
    }
    let text = |part: &[Symbol]| Pattern(part.to_vec()).chars().collect::<String>();
    let texts: Vec<String> = symbols.split(|symbol| *symbol == Symbol::Value).map(text).collect();
    match texts.as_slice() {
        [text] => return vec![Segment::Literal(text.clone())],
        [prefix, suffix] => {
            let (prefix, suffix) = (prefix.clone(), suffix.clone());
            return vec![Segment::Parameter { prefix, name: name(), of: ParameterType::Any, suffix }];
        }
        _ => {}
    }
    let own = Pattern(symbols.to_vec());
    let is_shared = |text: &String| {
        route.is_none_or(|route| route.value_of(text).is_some()) && own.takes(text.chars().map(Symbol::Char))
    };
    examples(&texts, route, value).into_iter().filter(is_shared).map(Segment::Literal).collect()
}

/// Texts that have several values, and that a segment of a route may match.
fn examples(texts: &[String], route: Option<&Segment>, value: &str) -> Vec<String> {
    let joined = |prefix: &str, suffix: &str, value: &str| {
        let [first, between @ .., last] = texts else { return String::new() };
        let longer = |own: &str, other: &str| if own.len() > other.len() { own.to_owned() } else { other.to_owned() };
        let mut out = longer(first, prefix);
        for text in between {
            out.extend([value, text]);
        }
        out.extend([value, &longer(last, suffix)]);
        out
    };
    match route {
        None | Some(Segment::Rest { .. }) => vec![joined("", "", value)],
        Some(Segment::Literal(text)) => vec![text.clone()],
        Some(Segment::Parameter { prefix, of, suffix, .. }) => match of {
            ParameterType::Any => vec![joined(prefix, suffix, value)],
            ParameterType::Int => vec![joined(prefix, suffix, "7")],
            ParameterType::Uuid => vec![format!("{prefix}{}{suffix}", of.example())],
            ParameterType::OneOf(values) => values.iter().map(|value| format!("{prefix}{value}{suffix}")).collect(),
        },
    }
}

/// The number of templates that are tried.
const TEMPLATES_MAX: usize = 256;

/// The number of segments by which the values of several segments are longer than one. The longest published paths have some
/// twenty.
const SPARE_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::route::PathTemplate;

    #[test]
    fn a_route_answers_requests_with_its_own_texts() {
        for (path, route, expected) in [
            ("/f/{x}.{y}", "/f/v{n}", &["/f/v~.~"][..]),
            ("/f/{x}.{y}", "/f/{n}-v1", &["/f/~.~-v1"]),
            ("/f/a{x}.{y}", "/f/abc{n}", &["/f/abc~.~"]),
            ("/f/a{x}.{y}", "/f/b{n}", &[]),
            ("/f/{x}.{y}", "/f/{n}", &["/f/~.~"]),
            ("/f/{x}.{y}", "/{*rest}", &["/f/~.~"]),
            ("/f/{x}.{y}", "/f/a.b", &["/f/a.b"]),
            ("/f/{x}.{y}", "/f/{n:(a|a.b|c.d)}", &["/f/a.b", "/f/c.d"]),
            ("/f/{x}{y}", "/f/{n:int}", &["/f/77"]),
            ("/f/{x}-{y}", "/f/{n:uuid}", &["/f/00000000-0000-4000-8000-000000000000"]),
            ("/f/{x}.{y}", "/f/{n:int}", &[]),
            ("/{p+}/b", "/a/{x}", &["/{p}/b", "/{p}/{p}/b", "/{p}/{p}/{p}/b"]),
            ("/a/{p+}", "/a/{x}", &["/a/{*p}"]),
            ("/a{p+}z", "/a/{x}", &["/a{p}z", "/a{p}/{p}z", "/a{p}/{p}/{p}z", "/a{p}/{p}/{p}/{p}z"]),
        ] {
            let route: PathTemplate = route.parse().unwrap();
            let found = Pattern::new(path).within(route.segments(), "~", 4);
            let written = |segments: &Vec<Segment>| segments.iter().map(written).collect::<String>();
            assert_eq!(found.iter().map(written).collect::<Vec<_>>(), expected, "{path} {route}");
        }
    }

    fn written(segment: &Segment) -> String {
        match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Parameter { prefix, suffix, .. } => format!("/{prefix}{{p}}{suffix}"),
            Segment::Rest { .. } => "/{*p}".to_owned(),
        }
    }
}
