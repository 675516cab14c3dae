//! Conditions of a route on a request besides host, path and method: header fields and query parameters.
//!
//! A predicate chooses between routes; it does not protect them. Values are compared as they are in the request: the
//! query is not decoded, so `?%61ction=a` has no parameter `action`.

use std::cmp::Reverse;

use http::HeaderMap;
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::codec::Decode;
use crate::order;

/// A condition on one part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Predicate {
    /// The part of the request.
    #[n(0)]
    pub of: Subject,
    /// The condition.
    #[n(1)]
    pub test: Test,
}

/// The part of a request that a predicate is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum Subject {
    /// The header field of this name, in lower case.
    #[n(0)]
    Header(#[n(0)] String),
    /// The query parameter of this name, as written before `=`.
    #[n(1)]
    Query(#[n(0)] String),
}

/// The condition on a part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(flat)]
pub enum Test {
    /// Present exactly once, with one of these values (sorted, at least one). A parameter without `=` has the empty
    /// value.
    #[n(0)]
    OneOf(#[n(0)] Vec<String>),
    /// Present, any number of times and with any value.
    #[n(1)]
    Present,
    /// Absent.
    #[n(2)]
    Absent,
}

/// How specific a list of predicates is; the smallest is tried first.
///
/// It orders a list before every list that it implies: first by more parts, then by fewer that need only be present,
/// then by fewer values. It does not order lists of which neither implies the other; if one request could satisfy both,
/// the compiler refuses the project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PredicatePrecedence {
    parts: Reverse<usize>,
    present: usize,
    values: usize,
}

impl Predicate {
    /// Whether a request with this query and these fields satisfies it.
    #[must_use]
    pub fn holds(&self, query: Option<&str>, fields: &HeaderMap) -> bool {
        match &self.of {
            Subject::Header(name) => self.test.holds(fields.get_all(name.as_str()).iter().map(|v| v.as_bytes())),
            Subject::Query(name) => {
                let pairs = query.into_iter().flat_map(|query| query.split('&'));
                let named = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).filter(|(n, _)| n == name);
                self.test.holds(named.map(|(_, value)| value.as_bytes()))
            }
        }
    }

    /// Whether every request that satisfies all of `some` satisfies all of `others`.
    ///
    /// Each list has at most one predicate of each part.
    #[must_use]
    pub fn imply(some: &[Self], others: &[Self]) -> bool {
        others.iter().all(|other| some.iter().any(|one| one.of == other.of && one.test.implies(&other.test)))
    }

    /// The predicates that a request satisfies if and only if it satisfies both lists; `None` if no request can.
    ///
    /// Each list has at most one predicate of each part, and so has the result.
    #[must_use]
    pub fn both(some: &[Self], others: &[Self]) -> Option<Vec<Self>> {
        let mut all = some.to_vec();
        for other in others {
            match all.iter_mut().find(|known| known.of == other.of) {
                Some(known) => known.test = known.test.and(&other.test)?,
                None => all.push(other.clone()),
            }
        }
        order::sort_by(&mut all, |one, other| one < other);
        Some(all)
    }

    /// How specific a list is.
    #[must_use]
    pub fn precedence(list: &[Self]) -> PredicatePrecedence {
        let mut precedence = PredicatePrecedence { parts: Reverse(list.len()), present: 0, values: 0 };
        for predicate in list {
            match &predicate.test {
                Test::OneOf(values) => precedence.values += values.len(),
                Test::Present => precedence.present += 1,
                Test::Absent => {}
            }
        }
        precedence
    }
}

impl Test {
    fn holds<'v>(&self, mut values: impl Iterator<Item = &'v [u8]>) -> bool {
        let first = values.next();
        match self {
            Self::Present => first.is_some(),
            Self::Absent => first.is_none(),
            Self::OneOf(known) => {
                first.is_some_and(|value| known.iter().any(|k| k.as_bytes() == value)) && values.next().is_none()
            }
        }
    }

    fn implies(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(some), Self::OneOf(others)) => some.iter().all(|value| others.contains(value)),
            (Self::OneOf(_) | Self::Present, Self::Present) | (Self::Absent, Self::Absent) => true,
            (Self::Absent, _) | (_, Self::Absent) | (Self::Present, Self::OneOf(_)) => false,
        }
    }

    fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::OneOf(some), Self::OneOf(others)) => {
                let both: Vec<String> = some.iter().filter(|value| others.contains(value)).cloned().collect();
                (!both.is_empty()).then_some(Self::OneOf(both))
            }
            (Self::OneOf(values), Self::Present) | (Self::Present, Self::OneOf(values)) => {
                Some(Self::OneOf(values.clone()))
            }
            (Self::Present, Self::Present) => Some(Self::Present),
            (Self::Absent, Self::Absent) => Some(Self::Absent),
            (Self::Absent, _) | (_, Self::Absent) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn one_of(values: &[&str]) -> Test {
        Test::OneOf(values.iter().map(|v| (*v).to_owned()).collect())
    }

    fn fields(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|value| ("x-v".parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[track_caller]
    fn check(lines: &[&str], query: Option<&str>, meets: &[Test]) {
        for test in [one_of(&["1", "2"]), Test::Present, Test::Absent] {
            let of_field = Predicate { of: Subject::Header("x-v".into()), test: test.clone() };
            assert_eq!(of_field.holds(None, &fields(lines)), meets.contains(&test), "{lines:?} {test:?}");
            let of_query = Predicate { of: Subject::Query("v".into()), test: test.clone() };
            assert_eq!(of_query.holds(query, &HeaderMap::new()), meets.contains(&test), "{query:?} {test:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_value_counts_where_it_stands_once_and_as_it_is() {
        check(&[], None, &[Test::Absent]);
        check(&[], Some("w=1&vv=1&%76=1"), &[Test::Absent]);
        check(&["1"], Some("v=1"), &[one_of(&["1", "2"]), Test::Present]);
        check(&["2"], Some("a&v=2&b=1"), &[one_of(&["1", "2"]), Test::Present]);
        check(&["1", "1"], Some("v=1&v=1"), &[Test::Present]);
        check(&["1, 2"], Some("v=%31"), &[Test::Present]);
        check(&[""], Some("v"), &[Test::Present]);
    }

    fn predicates() -> impl Strategy<Value = Vec<Predicate>> {
        let test = prop::sample::select(vec![
            None,
            Some(Test::Present),
            Some(Test::Absent),
            Some(one_of(&["1"])),
            Some(one_of(&["2"])),
            Some(one_of(&["1", "2"])),
        ]);
        let subjects = [Subject::Header("x-v".into()), Subject::Header("x-w".into()), Subject::Query("v".into())];
        prop::collection::vec(test, 3).prop_map(move |tests| {
            let with = |(of, test): (&Subject, Option<Test>)| test.map(|test| Predicate { of: of.clone(), test });
            subjects.iter().zip(tests).filter_map(with).collect()
        })
    }

    /// Requests that distinguish all lists of [`predicates`].
    fn universe() -> Vec<(HeaderMap, Option<&'static str>)> {
        let lines: [&[&str]; 5] = [&[], &["1"], &["2"], &["3"], &["1", "1"]];
        let mut all = Vec::new();
        for (v, w) in lines.iter().flat_map(|v| lines.iter().map(move |w| (v, w))) {
            for query in [None, Some("v=1"), Some("v=2"), Some("v=3"), Some("v=1&v=1")] {
                let mut fields = fields(v);
                for value in *w {
                    fields.append("x-w", value.parse().unwrap());
                }
                all.push((fields, query));
            }
        }
        all
    }

    proptest! {
        /// Implication and conjunction agree with their definition over all requests, and precedence agrees with
        /// implication.
        #[test]
        fn implication_is_about_requests(some in predicates(), others in predicates()) {
            let meets = |list: &[Predicate], (fields, query): &(HeaderMap, Option<&str>)| list.iter().all(|p| p.holds(*query, fields));
            let requests = universe();
            let implied = requests.iter().all(|r| !meets(&some, r) || meets(&others, r));
            prop_assert_eq!(Predicate::imply(&some, &others), implied);
            if implied && some != others {
                prop_assert!(Predicate::precedence(&some) < Predicate::precedence(&others));
            }
            let both = Predicate::both(&some, &others);
            for request in &requests {
                let met = both.as_ref().is_some_and(|both| meets(both, request));
                prop_assert_eq!(met, meets(&some, request) && meets(&others, request));
            }
        }
    }
}
