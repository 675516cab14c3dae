//! Decides whether some request meets one list of predicates and none of several others, by trying all relevant values.

use std::collections::BTreeSet;

use tollgate_core::route::{Predicate, Subject, Test};

use super::budget::{Budget, Spent};

/// The state of a field or parameter of a request, as far as predicates distinguish it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Absent,
    Value(String),
}

/// Exact predicates of a request that meets all of `met` and none of the lists in `unmet`; `None` if there is no such
/// request.
///
/// Fields and parameters that occur in no list are not part of the result.
pub(super) fn distinct(
    met: &[Predicate],
    unmet: &[&[Predicate]],
    budget: &Budget,
) -> Result<Option<Vec<Predicate>>, Spent> {
    let subjects: BTreeSet<&Subject> =
        unmet.iter().copied().flatten().chain(met).map(|predicate| &predicate.of).collect();
    if subjects.len() > SUBJECTS_MAX {
        return Err(Spent);
    }
    let subjects: Vec<&Subject> = subjects.into_iter().collect();
    let mut chosen = Vec::with_capacity(subjects.len());
    let found = choose(met, unmet, &subjects, &mut chosen, budget)?;
    Ok(found.then(|| subjects.into_iter().zip(chosen).map(|(of, state)| exactly(of, state)).collect()))
}

/// Chooses a state for one subject after the other; if it returns true, `chosen` describes such a request.
fn choose(
    met: &[Predicate],
    unmet: &[&[Predicate]],
    subjects: &[&Subject],
    chosen: &mut Vec<State>,
    budget: &Budget,
) -> Result<bool, Spent> {
    budget.spend(1 + unmet.len())?;
    let Some((subject, rest)) = subjects.split_first() else { return Ok(unmet.is_empty()) };
    let mine = met.iter().find(|predicate| predicate.of == **subject);
    for state in values(subject, mine, unmet) {
        if mine.is_some_and(|predicate| !holds(&predicate.test, &state)) {
            continue;
        }
        let is_open = |list: &&[Predicate]| list.iter().all(|p| p.of != **subject || holds(&p.test, &state));
        let still: Vec<&[Predicate]> = unmet.iter().copied().filter(is_open).collect();
        // A list is met if states are chosen for all of its subjects, or if it is empty.
        let is_decided = |list: &&[Predicate]| list.iter().all(|p| !rest.contains(&&p.of));
        if still.iter().any(is_decided) {
            continue;
        }
        chosen.push(state);
        if choose(met, &still, rest, chosen, budget)? {
            return Ok(true);
        }
        chosen.pop();
    }
    Ok(false)
}

/// One value of each class that the lists distinguish, the simplest first.
fn values(subject: &Subject, mine: Option<&Predicate>, unmet: &[&[Predicate]]) -> Vec<State> {
    let about = |list: &&[Predicate]| list.iter().find(|p| p.of == *subject).map(|p| p.test.clone());
    let tests: Vec<Test> = unmet.iter().filter_map(about).chain(mine.map(|p| p.test.clone())).collect();
    let mut named = BTreeSet::new();
    for test in tests {
        match test {
            Test::OneOf(values) => named.extend(values),
            Test::Present | Test::Absent => {}
        }
    }
    let other = (0..).map(|n| if n == 0 { "any".to_owned() } else { format!("any{n}") }).find(|t| !named.contains(t));
    let other = other.into_iter().map(State::Value);
    std::iter::once(State::Absent).chain(named.iter().cloned().map(State::Value)).chain(other).collect()
}

fn holds(test: &Test, state: &State) -> bool {
    match (test, state) {
        (Test::Absent, State::Absent) | (Test::Present, State::Value(_)) => true,
        (Test::OneOf(values), State::Value(value)) => values.contains(value),
        (Test::Absent, State::Value(_)) | (Test::Present | Test::OneOf(_), State::Absent) => false,
    }
}

fn exactly(of: &Subject, state: State) -> Predicate {
    let test = match state {
        State::Absent => Test::Absent,
        State::Value(value) => Test::OneOf(vec![value]),
    };
    Predicate { of: of.clone(), test }
}

/// The maximum number of subjects: in the worst case, the time doubles with each.
const SUBJECTS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use proptest::prelude::*;

    fn predicates() -> impl Strategy<Value = Vec<Predicate>> {
        let one_of = |values: &[&str]| Some(Test::OneOf(values.iter().map(|v| (*v).to_owned()).collect()));
        let tests =
            vec![None, Some(Test::Present), Some(Test::Absent), one_of(&["1"]), one_of(&["2"]), one_of(&["1", "2"])];
        prop::collection::vec(prop::sample::select(tests), 2).prop_map(|tests| {
            let subjects = [Subject::Query("v".into()), Subject::Query("w".into())];
            let with = |(of, test): (Subject, Option<Test>)| test.map(|test| Predicate { of, test });
            subjects.into_iter().zip(tests).filter_map(with).collect()
        })
    }

    proptest! {
        /// Compares the result with all queries that the lists distinguish.
        #[test]
        fn a_request_is_found_if_and_only_if_one_exists(met in predicates(), unmet in prop::collection::vec(predicates(), 0..5)) {
            let parts = |n: &str| ["".to_owned(), format!("&{n}=1"), format!("&{n}=2"), format!("&{n}=3"), format!("&{n}=1&{n}=2")];
            let queries = parts("v").into_iter().flat_map(|v| parts("w").into_iter().map(move |w| format!("{v}{w}")));
            let meets = |list: &[Predicate], query: &str| list.iter().all(|p| p.holds(Some(query), &HeaderMap::new()));
            let is_one = |query: &str| meets(&met, query) && !unmet.iter().any(|list| meets(list, query));
            let lists: Vec<&[Predicate]> = unmet.iter().map(Vec::as_slice).collect();
            let found = distinct(&met, &lists, &Budget::default()).unwrap();
            prop_assert_eq!(found.is_some(), queries.into_iter().any(|query| is_one(&query)));
            if let Some(found) = found {
                let pair = |p: &Predicate| match (&p.of, &p.test) {
                    (Subject::Query(name), Test::OneOf(values)) => format!("&{name}={}", values[0]),
                    (_, _) => String::new(),
                };
                let query: String = found.iter().map(pair).collect();
                prop_assert!(is_one(&query), "{query}");
            }
        }
    }
}
