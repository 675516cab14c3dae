//! Decides, segment by segment, whether more specific routes match every request of a route.
//!
//! `Covered` is proved, and `Uncovered` has a request that the caller must still verify. In a segment with an unlimited
//! number of values, a competitor counts only if it matches all of them.

use tollgate_core::route::{ParameterType, Predicate, Segment};

use super::budget::{Budget, Spent};
use super::segment::{is_same, shared_text};
use super::solve::distinct;

/// A route with precedence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Competitor<'r> {
    pub(super) segments: &'r [Segment],
    pub(super) when: &'r [Predicate],
}

/// The result for a route.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// The competitors match every request of the route.
    Covered,
    /// A request that no competitor matches: decoded segments, and exact predicates.
    Uncovered(Vec<String>, Vec<Predicate>),
}

/// Searches a request of the route that no competitor matches.
pub(super) fn cover(
    segments: &[Segment],
    when: &[Predicate],
    competitors: &[Competitor<'_>],
    budget: &Budget,
) -> Result<Cover, Spent> {
    let runners: Vec<Runner<'_>> =
        competitors.iter().map(|c| Runner { remaining: c.segments, in_rest: false, when: c.when }).collect();
    let mut search = Search { when, texts: Vec::new(), budget };
    Ok(match search.uncovered(segments, &runners)? {
        Some(predicates) => Cover::Uncovered(search.texts, predicates),
        None => Cover::Covered,
    })
}

/// A competitor that matches the segments so far.
#[derive(Clone, Copy)]
struct Runner<'r> {
    remaining: &'r [Segment],
    /// Whether it has reached `{*rest}`, which matches everything that follows.
    in_rest: bool,
    when: &'r [Predicate],
}

impl Runner<'_> {
    /// The competitor after one segment, if `takes` holds for its segment.
    fn step(mut self, takes: impl Fn(&Segment) -> bool) -> Option<Self> {
        if self.in_rest {
            return Some(self);
        }
        let (first, remaining) = self.remaining.split_first()?;
        if !takes(first) {
            return None;
        }
        self.remaining = remaining;
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
    /// The predicates of a request that no competitor matches, with its segments in `texts`; `None` if there is none.
    fn uncovered(&mut self, remaining: &[Segment], runners: &[Runner<'_>]) -> Result<Option<Vec<Predicate>>, Spent> {
        self.budget.spend(1 + runners.len())?;
        if runners.is_empty() {
            self.texts.extend(remaining.iter().map(Segment::example));
            return distinct(self.when, &[], self.budget);
        }
        let Some((first, rest)) = remaining.split_first() else {
            let ended = runners.iter().filter(|r| r.in_rest || r.remaining.is_empty());
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
            Segment::Rest { .. } => self.past_rest(remaining, runners),
        }
    }

    /// `{*rest}` is an empty last segment, one segment, or one segment and another rest.
    fn past_rest(&mut self, remaining: &[Segment], runners: &[Runner<'_>]) -> Result<Option<Vec<Predicate>>, Spent> {
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
        for further in [&[][..], remaining] {
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
        let found = self.uncovered(rest, &still)?;
        Ok(self.keep(found))
    }

    /// Removes the last text if nothing was found with it.
    fn keep(&mut self, found: Option<Vec<Predicate>>) -> Option<Vec<Predicate>> {
        if found.is_none() {
            self.texts.pop();
        }
        found
    }
}

/// Whether one segment is known to match every text that the other matches. It can be false for some that do.
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

/// A text of the segment that only runners match which match all of its texts, if such a text is found.
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
        !runners.iter().any(|runner| !runner.in_rest && runner.remaining.first().is_some_and(hit))
    };
    texts.into_iter().find(is_free).unwrap_or_else(|| shared_text(segment, segment).unwrap_or_default())
}

/// A text that is unlikely to occur in a template.
const UNUSUAL: &str = "q7-zx";
