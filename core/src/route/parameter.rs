//! The values that a parameter of a template matches: any value, or the values of a type.

use super::template::{TemplateError, decoded};
use crate::bounds::{INT_DIGITS_MAX, ONE_OF_MAX};
use crate::order;

/// The type of a parameter. No value of any type is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ParameterType {
    /// `{state:(open|closed)}`, and `{flag:bool}`, which is `(false|true)`: one of these decoded texts, sorted.
    OneOf(Vec<String>),
    /// `{id:uuid}`: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12, in upper or lower case.
    Uuid,
    /// `{id:int}`: 1 to [`INT_DIGITS_MAX`] digits, optionally with a minus before them.
    Int,
    /// `{id}`: any text.
    Any,
}

impl ParameterType {
    /// Whether the decoded text is a value of the type.
    #[must_use]
    pub fn takes(&self, value: &str) -> bool {
        match self {
            Self::OneOf(values) => values.binary_search_by(|known| known.as_str().cmp(value)).is_ok(),
            Self::Uuid => is_uuid(value),
            Self::Int => {
                let digits = value.strip_prefix('-').unwrap_or(value);
                (1..=INT_DIGITS_MAX).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
            }
            Self::Any => !value.is_empty(),
        }
    }

    /// A value of the type.
    #[must_use]
    pub fn example(&self) -> &str {
        match self {
            Self::OneOf(values) => values.first().map_or("", String::as_str),
            Self::Uuid => "00000000-0000-4000-8000-000000000000",
            Self::Int => "1",
            Self::Any => "a",
        }
    }

    /// Parses the type after the colon of a parameter.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        match text {
            "int" => return Ok(Self::Int),
            "uuid" => return Ok(Self::Uuid),
            "bool" => return Ok(Self::OneOf(vec!["false".to_owned(), "true".to_owned()])),
            _ => {}
        }
        let list = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).ok_or(TemplateError::Type)?;
        let mut values = list.split('|').map(value).collect::<Result<Vec<_>, _>>()?;
        order::sort_by(&mut values, |one, other| one < other);
        if values.len() > ONE_OF_MAX {
            return Err(TemplateError::TooManyValues);
        }
        if values.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(TemplateError::DuplicateValue);
        }
        Ok(Self::OneOf(values))
    }
}

/// One decoded value of a list.
fn value(raw: &str) -> Result<String, TemplateError> {
    if raw.is_empty() || raw.contains(['(', ')']) {
        return Err(TemplateError::Type);
    }
    decoded(raw)
}

fn is_uuid(value: &str) -> bool {
    let is_hyphen_place = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if is_hyphen_place(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    value.len() == 36 && value.bytes().enumerate().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::PathError;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(of: &str, takes: &[&str], refuses: &[&str]) {
        let of = ParameterType::parse(of).unwrap();
        assert!(of.takes(of.example()));
        takes.iter().for_each(|value| assert!(of.takes(value), "{value}"));
        refuses.iter().for_each(|value| assert!(!of.takes(value), "{value}"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_type_takes_its_values_and_no_others() {
        check("int", &["0", "-7", "007", "18446744073709551615"], &["", "-", "+1", "1.0", "--1", "1e3", "٣"]);
        check("int", &[], &["123456789012345678901"]);
        check("uuid", &["0188D0F2-0000-7000-8000-00000000000a"], &["", "0188d0f2000070008000000000000000"]);
        check("uuid", &[], &["0188d0f2-0000-7000-8000-00000000000g", "{0188d0f2-0000-7000-8000-00000000000}"]);
        check("bool", &["true", "false"], &["", "True", "1", "yes"]);
        check("(open|closed|half%20open)", &["open", "half open"], &["", "opened", "open|closed", "half%20open"]);
    }

    #[track_caller]
    fn check_refused(of: &str, why: TemplateError) {
        assert_eq!(ParameterType::parse(of), Err(why), "{of}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_type_that_is_none_says_why() {
        check_refused("", TemplateError::Type);
        check_refused("integer", TemplateError::Type);
        check_refused("()", TemplateError::Type);
        check_refused("(a|)", TemplateError::Type);
        check_refused("(a", TemplateError::Type);
        check_refused("(a|(b))", TemplateError::Type);
        check_refused("(a|b|a)", TemplateError::DuplicateValue);
        check_refused("(a|..)", PathError::DotSegment.into());
        let many: Vec<String> = (0..=ONE_OF_MAX).map(|n| n.to_string()).collect();
        check_refused(&format!("({})", many.join("|")), TemplateError::TooManyValues);
    }
}
