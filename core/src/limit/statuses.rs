//! The responses after which a request counts.

use std::fmt;

use minicbor::Encode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::Decode;

/// The statuses of responses after which a request counts; others are given back.
///
/// Written as comparisons: `status < 500`, `status == 401 or status == 403`, `status >= 200 and status < 300`; `and` binds more
/// closely than `or`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(try_from = "String", into = "String")]
#[cbor(transparent)]
pub struct Statuses(#[n(0)] Vec<StatusRange>);

/// Statuses from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
struct StatusRange {
    #[n(0)]
    first: u16,
    #[n(1)]
    last: u16,
}

/// Why a text names no statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StatusesError {
    /// It is not a comparison of the status with a number.
    #[error("it is not written like `status < 500` or `status == 401 or status == 403`")]
    NotComparisons,
    /// No response has a status that fits.
    #[error("no response has such a status, so no request would count")]
    None,
    /// Every response has one.
    #[error("every response has such a status, so it has no effect")]
    All,
    /// There are too many comparisons.
    #[error("it has more than {RANGES_MAX} ranges of statuses, or twice as many comparisons")]
    TooMany,
}

impl Statuses {
    /// Reads comparisons.
    ///
    /// # Errors
    /// [`StatusesError`].
    pub fn parse(text: &str) -> Result<Self, StatusesError> {
        let alternatives = text.split(" or ").map(|alternative| {
            alternative.split(" and ").map(comparison).collect::<Option<Vec<_>>>().ok_or(StatusesError::NotComparisons)
        });
        let alternatives = alternatives.collect::<Result<Vec<_>, _>>()?;
        if alternatives.iter().map(Vec::len).sum::<usize>() > 2 * RANGES_MAX {
            return Err(StatusesError::TooMany);
        }
        let fits = |status: u16| {
            alternatives.iter().any(|all| all.iter().all(|(operator, number)| operator.holds(status, *number)))
        };
        let mut ranges: Vec<StatusRange> = Vec::new();
        for status in (FIRST..=LAST).filter(|status| fits(*status)) {
            match ranges.last_mut().filter(|range| range.last + 1 == status) {
                Some(range) => range.last = status,
                None => ranges.push(StatusRange { first: status, last: status }),
            }
        }
        match ranges.as_slice() {
            [] => Err(StatusesError::None),
            [StatusRange { first: FIRST, last: LAST }] => Err(StatusesError::All),
            ranges if ranges.len() > RANGES_MAX => Err(StatusesError::TooMany),
            _ => Ok(Self(ranges)),
        }
    }

    /// Whether a request counts that was answered with this status.
    #[must_use]
    pub fn contain(&self, status: u16) -> bool {
        self.0.iter().any(|range| (range.first..=range.last).contains(&status))
    }

    /// Checks what the types cannot express.
    pub(super) fn is_coherent(&self) -> bool {
        self.0.len() <= RANGES_MAX && self.0.iter().all(|range| range.first <= range.last)
    }
}

/// The shortest comparisons that mean the same.
impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, StatusRange { first, last }) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(" or ")?;
            }
            match (*first, *last) {
                (FIRST, last) => write!(f, "status <= {last}")?,
                (first, LAST) => write!(f, "status >= {first}")?,
                (first, last) if first == last => write!(f, "status == {first}")?,
                (first, last) => write!(f, "status >= {first} and status <= {last}")?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for Statuses {
    type Error = StatusesError;

    fn try_from(text: String) -> Result<Self, StatusesError> {
        Self::parse(&text)
    }
}

impl From<Statuses> for String {
    fn from(statuses: Statuses) -> Self {
        statuses.to_string()
    }
}

#[derive(Clone, Copy, Debug)]
enum Operator {
    Less,
    AtMost,
    Greater,
    AtLeast,
    Is,
    IsNot,
}

impl Operator {
    const fn holds(self, status: u16, number: u16) -> bool {
        match self {
            Self::Less => status < number,
            Self::AtMost => status <= number,
            Self::Greater => status > number,
            Self::AtLeast => status >= number,
            Self::Is => status == number,
            Self::IsNot => status != number,
        }
    }
}

fn comparison(text: &str) -> Option<(Operator, u16)> {
    let mut words = text.split_ascii_whitespace();
    let (name, operator, number) = (words.next()?, words.next()?, words.next()?);
    let operator = match operator {
        "<" => Operator::Less,
        "<=" => Operator::AtMost,
        ">" => Operator::Greater,
        ">=" => Operator::AtLeast,
        "==" => Operator::Is,
        "!=" => Operator::IsNot,
        _ => return None,
    };
    let number = number.parse().ok().filter(|number| (FIRST..=LAST + 1).contains(number))?;
    (name == "status" && words.next().is_none()).then_some((operator, number))
}

/// Statuses of final responses.
const FIRST: u16 = 200;
const LAST: u16 = 599;

/// Maximum number of ranges, each of which two comparisons describe.
const RANGES_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(text: &str, want: Result<&str, StatusesError>) {
        assert_eq!(Statuses::parse(text).map(|statuses| statuses.to_string()), want.map(str::to_owned), "{text}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn comparisons_are_kept_in_their_shortest_form() {
        check("status < 500", Ok("status <= 499"));
        check("status >= 500", Ok("status >= 500"));
        check("status == 401 or status == 403", Ok("status == 401 or status == 403"));
        check("status >= 200 and status < 300 or status == 404", Ok("status <= 299 or status == 404"));
        check("status != 404", Ok("status <= 403 or status >= 405"));
        check("status > 401 and status <= 402", Ok("status == 402"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_comparison_or_has_no_effect_is_refused() {
        for text in [
            "",
            "status",
            "status < ",
            "status = 500",
            "state < 500",
            "500 > status",
            "status < 5000",
            "status < 500 or",
        ] {
            check(text, Err(StatusesError::NotComparisons));
        }
        check("status < 200", Err(StatusesError::None));
        check("status > 300 and status < 300", Err(StatusesError::None));
        check("status < 600", Err(StatusesError::All));
        check(&["status != 404"; 17].join(" and "), Err(StatusesError::TooMany));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn they_are_stored_as_ranges() {
        let statuses = Statuses::parse("status == 401 or status >= 500").unwrap();
        let bytes = minicbor::to_vec(&statuses).unwrap();
        assert_eq!(bytes, [0x82, 0x82, 0x19, 1, 145, 0x19, 1, 145, 0x82, 0x19, 1, 244, 0x19, 2, 87]);
        assert_eq!(crate::codec::decode::<Statuses>(&bytes), Ok(statuses));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(numbers in proptest::collection::vec((0usize..6, 200u16..600), 1..4), is_and in any::<bool>()) {
            let operators = ["<", "<=", ">", ">=", "==", "!="];
            let written = numbers.iter().map(|(operator, number)| format!("status {} {number}", operators[*operator]));
            let text = written.collect::<Vec<_>>().join(if is_and { " and " } else { " or " });
            if let Ok(statuses) = Statuses::parse(&text) {
                let again = Statuses::parse(&statuses.to_string());
                prop_assert_eq!(again.as_ref(), Ok(&statuses));
                for status in FIRST..=LAST {
                    let mut holds = numbers.iter().map(|(operator, number)| match operator {
                        0 => status < *number,
                        1 => status <= *number,
                        2 => status > *number,
                        3 => status >= *number,
                        4 => status == *number,
                        _ => status != *number,
                    });
                    prop_assert_eq!(statuses.contain(status), if is_and { holds.all(|h| h) } else { holds.any(|h| h) });
                }
            }
        }
    }
}
