//! Whether some request meets one list of predicates and none of others: decided by trying what tells them apart.

use std::collections::BTreeSet;

use tollgate_core::route::{Predicate, Subject, Test};

use super::budget::{Budget, Spent};

/// What a request can have for a part of it, as far as predicates can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Absent,
    Value(String),
}

/// Exact predicates of a request that meets all of `met` and none of the lists in `unmet`; none where there is no such
/// request.
///
/// Parts that no list is about are left out of the answer, or are what `met` asks for.
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
    Ok(found.then(|| subjects.into_iter().zip(chosen).map(|(of, held)| exactly(of, held)).collect()))
}

/// Chooses for one part after the other; what was chosen when it answers yes is such a request.
fn choose(
    met: &[Predicate],
    unmet: &[&[Predicate]],
    subjects: &[&Subject],
    chosen: &mut Vec<Held>,
    budget: &Budget,
) -> Result<bool, Spent> {
    budget.spend(1 + unmet.len())?;
    let Some((subject, rest)) = subjects.split_first() else { return Ok(unmet.is_empty()) };
    let mine = met.iter().find(|predicate| predicate.of == **subject);
    for held in values(subject, mine, unmet) {
        if mine.is_some_and(|predicate| !holds(&predicate.test, &held)) {
            continue;
        }
        let is_open = |list: &&[Predicate]| list.iter().all(|p| p.of != **subject || holds(&p.test, &held));
        let still: Vec<&[Predicate]> = unmet.iter().copied().filter(is_open).collect();
        // A list all of whose parts are chosen for is met, and so is one that is empty.
        let is_decided = |list: &&[Predicate]| list.iter().all(|p| !rest.contains(&&p.of));
        if still.iter().any(is_decided) {
            continue;
        }
        chosen.push(held);
        if choose(met, &still, rest, chosen, budget)? {
            return Ok(true);
        }
        chosen.pop();
    }
    Ok(false)
}

/// One of each kind of value that the lists tell apart, the plainest first.
fn values(subject: &Subject, mine: Option<&Predicate>, unmet: &[&[Predicate]]) -> Vec<Held> {
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
    let other = other.into_iter().map(Held::Value);
    std::iter::once(Held::Absent).chain(named.iter().cloned().map(Held::Value)).chain(other).collect()
}

fn holds(test: &Test, held: &Held) -> bool {
    match (test, held) {
        (Test::Absent, Held::Absent) | (Test::Present, Held::Value(_)) => true,
        (Test::OneOf(values), Held::Value(value)) => values.contains(value),
        (Test::Absent, Held::Value(_)) | (Test::Present | Test::OneOf(_), Held::Absent) => false,
    }
}

fn exactly(of: &Subject, held: Held) -> Predicate {
    let test = match held {
        Held::Absent => Test::Absent,
        Held::Value(value) => Test::OneOf(vec![value]),
    };
    Predicate { of: of.clone(), test }
}

/// Parts of a request that are told apart at once: what choosing for all of them costs at worst doubles with each.
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
        /// Against all queries that tell the lists apart.
        #[test]
        fn a_request_is_found_if_and_only_if_there_is_one(met in predicates(), unmet in prop::collection::vec(predicates(), 0..5)) {
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
