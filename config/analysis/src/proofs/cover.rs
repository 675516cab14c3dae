//! Whether more specific routes take every request of a route: decided segment by segment.
//!
//! What is answered is sound both ways as far as it is answered: `Covered` is proved, and an `Escape` is a request to try.
//! A competitor counts within a segment with countless values only where it takes all of them.

use tollgate_core::route::{ParameterType, Predicate, Segment};

use super::budget::{Budget, Spent};
use super::segment::{is_same, shared_text};
use super::solve::distinct;

/// A route that goes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Competitor<'r> {
    pub(super) segments: &'r [Segment],
    pub(super) when: &'r [Predicate],
}

/// What is found of a route.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// Every request of it is taken by one of the competitors.
    Covered,
    /// A request that none of them takes: decoded segments, and exact predicates.
    Escape(Vec<String>, Vec<Predicate>),
}

/// Looks for a request of the route that no competitor takes.
pub(super) fn cover(
    segments: &[Segment],
    when: &[Predicate],
    competitors: &[Competitor<'_>],
    budget: &Budget,
) -> Result<Cover, Spent> {
    let runners: Vec<Runner<'_>> =
        competitors.iter().map(|c| Runner { left: c.segments, in_rest: false, when: c.when }).collect();
    let mut search = Search { when, texts: Vec::new(), budget };
    Ok(match search.escape(segments, &runners)? {
        Some(predicates) => Cover::Escape(search.texts, predicates),
        None => Cover::Covered,
    })
}

/// A competitor that matches so far.
#[derive(Clone, Copy)]
struct Runner<'r> {
    left: &'r [Segment],
    /// It has come to its rest of the path, which takes whatever follows.
    in_rest: bool,
    when: &'r [Predicate],
}

impl Runner<'_> {
    /// It past one segment, if it takes what `takes` says of a segment.
    fn step(mut self, takes: impl Fn(&Segment) -> bool) -> Option<Self> {
        if self.in_rest {
            return Some(self);
        }
        let (first, left) = self.left.split_first()?;
        if !takes(first) {
            return None;
        }
        self.left = left;
        self.in_rest = matches!(first, Segment::Rest { .. });
        Some(self)
    }
}

struct Search<'s> {
    when: &'s [Predicate],
    texts: Vec<String>,
    budget: &'s Budget,
}

impl Search<'_> {
    /// Predicates of a request that escapes, its segments in `texts`; none where there is no such request.
    fn escape(&mut self, left: &[Segment], runners: &[Runner<'_>]) -> Result<Option<Vec<Predicate>>, Spent> {
        self.budget.spend(1 + runners.len())?;
        if runners.is_empty() {
            self.texts.extend(left.iter().map(Segment::example));
            return distinct(self.when, &[], self.budget);
        }
        let Some((first, rest)) = left.split_first() else {
            let ended = runners.iter().filter(|r| r.in_rest || r.left.is_empty());
            let lists: Vec<&[Predicate]> = ended.map(|r| r.when).collect();
            return distinct(self.when, &lists, self.budget);
        };
        match first {
            Segment::Literal(text) => self.past(text.clone(), rest, runners, |s| s.value_of(text).is_some()),
            Segment::Parameter { prefix, of: ParameterType::OneOf(values), suffix, .. } => {
                for value in values {
                    let text = format!("{prefix}{value}{suffix}");
                    let found = self.past(text.clone(), rest, runners, |s| s.value_of(&text).is_some())?;
                    if found.is_some() {
                        return Ok(found);
                    }
                }
                Ok(None)
            }
            Segment::Parameter { .. } => {
                let text = unusual(first, runners);
                self.past(text, rest, runners, |segment| takes_all(segment, first))
            }
            Segment::Rest { .. } => self.past_rest(left, runners),
        }
    }

    /// A rest is an empty last segment, one segment, or one segment and a rest.
    fn past_rest(&mut self, left: &[Segment], runners: &[Runner<'_>]) -> Result<Option<Vec<Predicate>>, Spent> {
        if runners.iter().all(|runner| runner.in_rest) {
            self.texts.push(UNUSUAL.to_owned());
            let lists: Vec<&[Predicate]> = runners.iter().map(|r| r.when).collect();
            let found = distinct(self.when, &lists, self.budget)?;
            return Ok(self.keep(found));
        }
        let takes_any = |segment: &Segment| match segment {
            Segment::Parameter { prefix, of, suffix, .. } => {
                prefix.is_empty() && suffix.is_empty() && *of == ParameterType::Any
            }
            Segment::Rest { .. } => true,
            Segment::Literal(_) => false,
        };
        for further in [&[][..], left] {
            let found = self.past(UNUSUAL.to_owned(), further, runners, takes_any)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        self.past(String::new(), &[], runners, |segment| {
            matches!(segment, Segment::Rest { .. }) || segment.value_of("").is_some()
        })
    }

    fn past(
        &mut self,
        text: String,
        rest: &[Segment],
        runners: &[Runner<'_>],
        takes: impl Fn(&Segment) -> bool,
    ) -> Result<Option<Vec<Predicate>>, Spent> {
        self.texts.push(text);
        let still: Vec<Runner<'_>> = runners.iter().filter_map(|runner| runner.step(&takes)).collect();
        let found = self.escape(rest, &still)?;
        Ok(self.keep(found))
    }

    /// Takes back the last text where nothing was found with it.
    fn keep(&mut self, found: Option<Vec<Predicate>>) -> Option<Vec<Predicate>> {
        if found.is_none() {
            self.texts.pop();
        }
        found
    }
}

/// Whether one segment takes every text that the other takes. Never said of one that does not; of some that do, too.
pub(super) fn takes_all(segment: &Segment, other: &Segment) -> bool {
    match (segment, other) {
        (Segment::Rest { .. }, _) => true,
        (
            Segment::Parameter { prefix: p, of: ParameterType::Any, suffix: s, .. },
            Segment::Parameter { prefix: q, suffix: t, .. },
        ) => q.starts_with(p.as_str()) && t.ends_with(s.as_str()),
        (_, _) => is_same(segment, other),
    }
}

/// A text of the segment that no runner takes which does not take all of them, if such a text is found.
fn unusual(segment: &Segment, runners: &[Runner<'_>]) -> String {
    let (prefix, of, suffix) = match segment {
        Segment::Parameter { prefix, of, suffix, .. } => (prefix, of, suffix),
        Segment::Literal(_) | Segment::Rest { .. } => return segment.example(),
    };
    let values: &[&str] = match of {
        ParameterType::Any => &["a", UNUSUAL, "Q", "~~~~~~~~"],
        ParameterType::Int => &["1", "70077", "-31313", "0", "99999999999999"],
        ParameterType::Uuid => &["00000000-0000-4000-8000-000000000000", "fedcba98-7654-4321-8fed-cba987654321"],
        ParameterType::OneOf(_) => &[],
    };
    let texts = values.iter().map(|value| format!("{prefix}{value}{suffix}"));
    let is_free = |text: &String| {
        let hit = |first: &Segment| first.value_of(text).is_some() && !takes_all(first, segment);
        !runners.iter().any(|runner| !runner.in_rest && runner.left.first().is_some_and(hit))
    };
    texts.into_iter().find(is_free).unwrap_or_else(|| shared_text(segment, segment).unwrap_or_default())
}

/// A text that nobody has written into a template.
const UNUSUAL: &str = "q7-zx";
