//! The scopes of routes: those of all statements are required together, and each may be one of alternatives.

use std::collections::{BTreeMap, BTreeSet};

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::api::Route;
use crate::openapi::SecurityRequirement;
use crate::place::{Span, Spanned};

/// The scopes of a route, sorted: those that are required, and alternatives of further ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RequiredScopes {
    pub(super) all: Vec<String>,
    pub(super) sets: Vec<Vec<String>>,
}

impl RequiredScopes {
    /// The smallest sets of scopes with which a caller is accepted.
    pub(super) fn accepted(&self) -> Vec<Vec<&str>> {
        const NONE: &[Vec<String>] = &[Vec::new()];
        let sets = if self.sets.is_empty() { NONE } else { &self.sets };
        sets.iter().map(|set| self.all.iter().chain(set).map(String::as_str).collect()).collect()
    }
}

/// The scopes of a route; those of the specification, too, if its requirement is given.
pub(super) fn scopes(route: &Route, specified: Option<&SecurityRequirement>, report: &mut Report) -> RequiredScopes {
    let specified = specified.map(of_specification).unwrap_or_default();
    let written = route.scopes.iter().map(|statement| &statement.alternatives);
    let statements: Vec<Vec<Vec<String>>> =
        written.chain(&specified).map(|alternatives| parse(alternatives, report)).collect();
    combined(&statements).unwrap_or_else(|| {
        report_too_many(
            route.scopes.first().and_then(|first| first.first()).map_or(route.span, |first| first.span),
            report,
        );
        RequiredScopes::default()
    })
}

fn parse(alternatives: &[Vec<Spanned<String>>], report: &mut Report) -> Vec<Vec<String>> {
    alternatives.iter().map(|all| all.iter().filter_map(|scope| parsed::scope(scope, report)).collect()).collect()
}

/// What a specification requires. Alternatives with the same schemes are alternatives of scopes. Those with other schemes are all
/// required, because it is known only of a request which scheme its credential is of: never less than the specification says.
fn of_specification(requirement: &SecurityRequirement) -> Vec<Vec<Vec<Spanned<String>>>> {
    let mut by_schemes: BTreeMap<BTreeSet<&str>, Vec<Vec<Spanned<String>>>> = BTreeMap::new();
    for needs in &requirement.alternatives {
        let schemes = needs.iter().map(|need| need.scheme.name.as_str()).collect();
        let scopes = needs.iter().flat_map(|need| &need.scopes);
        let scopes = scopes.map(|scope| Spanned::new(scope.clone(), requirement.span)).collect();
        by_schemes.entry(schemes).or_default().push(scopes);
    }
    by_schemes.into_values().collect()
}

/// All statements together; `None` if they have too many combinations.
fn combined(statements: &[Vec<Vec<String>>]) -> Option<RequiredScopes> {
    let mut sets: Vec<BTreeSet<&str>> = vec![BTreeSet::new()];
    for alternatives in statements {
        let all: BTreeSet<BTreeSet<&str>> =
            sets.iter().flat_map(|set| alternatives.iter().map(move |more| with(set, more))).collect();
        // Who has all of a larger set has all of a smaller one.
        let is_least = |set: &&BTreeSet<&str>| !all.iter().any(|other| other != *set && other.is_subset(set));
        sets = all.iter().filter(is_least).cloned().collect();
        if sets.len() > SETS_MAX || sets.iter().map(BTreeSet::len).sum::<usize>() > SCOPES_OF_SETS_MAX {
            return None;
        }
    }
    let common = sets.iter().skip(1).fold(sets.first().cloned().unwrap_or_default(), |common, set| &common & set);
    let owned = |scopes: &mut dyn Iterator<Item = &&str>| scopes.map(|scope| (*scope).to_owned()).collect::<Vec<_>>();
    let rest = sets.iter().map(|set| owned(&mut set.difference(&common)));
    let sets = if sets.len() > 1 { rest.collect() } else { Vec::new() };
    Some(RequiredScopes { all: owned(&mut common.iter()), sets })
}

fn with<'s>(set: &BTreeSet<&'s str>, more: &'s [String]) -> BTreeSet<&'s str> {
    set.iter().copied().chain(more.iter().map(String::as_str)).collect()
}

fn report_too_many(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, at, format!("the scopes have more than {SETS_MAX} combinations"))
            .why("alternatives of several entries are combined, and the work for one request is bounded")
            .fix("write the alternatives in one entry, or require a scope that all of these credentials have"),
    );
}

/// Alternatives of a route: more than APIs have.
const SETS_MAX: usize = 32;

/// Scopes of all alternatives of a route.
const SCOPES_OF_SETS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    /// Statements are separated by blanks, alternatives by `|`, the scopes of one by `+`.
    #[track_caller]
    fn check(statements: &str, all: &str, sets: &str) {
        let split = |text: &str, by: char| {
            text.split(by).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let alternatives = |text: String| text.split('|').map(|all| split(all, '+')).collect::<Vec<_>>();
        let statements: Vec<_> = split(statements, ' ').into_iter().map(alternatives).collect();
        let want =
            RequiredScopes { all: split(all, '+'), sets: split(sets, '|').iter().map(|all| split(all, '+')).collect() };
        assert_eq!(combined(&statements), Some(want), "{statements:?}");
    }

    #[test]
    fn statements_are_required_together() {
        check("", "", "");
        check("b+a", "a+b", "");
        check("a b a", "a+b", "");
        check("a|b", "", "a|b");
        check("a|b c", "c", "a|b");
        check("a|b a", "a", "");
        check("a|b+c b", "b", "a|c");
        check("a|b c|d", "", "a+c|a+d|b+c|b+d");
        check("a|a+b", "a", "");
        check("|a", "", "");
    }

    #[test]
    fn combinations_are_bounded() {
        let two = |n: usize| vec![vec![format!("a{n}")], vec![format!("b{n}")]];
        assert!(combined(&(0..5).map(two).collect::<Vec<_>>()).is_some());
        assert_eq!(combined(&(0..6).map(two).collect::<Vec<_>>()), None);
    }
}
