//! Values, their equality, their order and their arithmetic, as CEL defines them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;

use super::{Binary, EvaluationError, NodeIndex};
use crate::bounds::EXPRESSION_TEXT_BYTES_MAX;
use crate::guard::Networks;
use crate::jose;

/// The value of an expression or of a part of one.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    /// `null`
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer of 64 bits.
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    Text(Cow<'v, str>),
    /// An instant, in microseconds since 1970.
    Timestamp(i64),
    /// A duration, in microseconds.
    Duration(i64),
    /// An address.
    Address(IpAddr),
    /// Networks.
    Networks(&'v Networks),
    /// A list.
    List(Items<'v>),
    /// A claim that is an object; only its members are read.
    Object,
}

/// The elements of a list.
#[derive(Clone, Copy, Debug)]
pub enum Items<'v> {
    /// Texts.
    Texts(&'v [String]),
    /// Values of a claim.
    Claims(&'v [jose::Value]),
    /// Nodes of the expression.
    Nodes(&'v [NodeIndex]),
}

impl Items<'_> {
    /// Their number.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Texts(all) => all.len(),
            Self::Claims(all) => all.len(),
            Self::Nodes(all) => all.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'v> From<&'v jose::Value> for Value<'v> {
    fn from(value: &'v jose::Value) -> Self {
        match value {
            jose::Value::Null => Self::Null,
            jose::Value::Bool(value) => Self::Bool(*value),
            jose::Value::Integer(value) => Self::Integer(*value),
            jose::Value::Float(value) => Self::Double(*value),
            jose::Value::Text(text) => Self::Text(Cow::Borrowed(text)),
            jose::Value::List(all) => Self::List(Items::Claims(all)),
            jose::Value::Object(_) => Self::Object,
        }
    }
}

impl Value<'_> {
    /// Whether two values that are no lists are equal: those of different types are not, but numbers are compared as numbers.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b)) | (Self::Duration(a), Self::Duration(b)) => a == b,
            (Self::Address(a), Self::Address(b)) => a.to_canonical() == b.to_canonical(),
            (Self::Networks(a), Self::Networks(b)) => a == b,
            (Self::Integer(_) | Self::Double(_), Self::Integer(_) | Self::Double(_)) => {
                self.order(other) == Some(Ordering::Equal)
            }
            _ => false,
        }
    }

    /// The order of two values, if there is one.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Integer(a), Self::Integer(b)) => Some(a.cmp(b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Integer(a), Self::Double(b)) => order_mixed(*a, *b),
            (Self::Double(a), Self::Integer(b)) => order_mixed(*b, *a).map(Ordering::reverse),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) | (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Whether two values have an order, apart from numbers that are none.
    pub(super) const fn is_ordered_with(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Bool(_), Self::Bool(_))
                | (Self::Integer(_) | Self::Double(_), Self::Integer(_) | Self::Double(_))
                | (Self::Text(_), Self::Text(_))
                | (Self::Timestamp(_), Self::Timestamp(_))
                | (Self::Duration(_), Self::Duration(_))
        )
    }
}

/// Compares exactly: not every integer of 64 bits is a floating-point number.
#[expect(clippy::cast_possible_truncation, reason = "within the range that is checked")]
fn order_mixed(integer: i64, double: f64) -> Option<Ordering> {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if double.is_nan() {
        return None;
    }
    if double >= END {
        return Some(Ordering::Less);
    }
    if double < -END {
        return Some(Ordering::Greater);
    }
    let whole = double.trunc();
    Some(integer.cmp(&(whole as i64)).then_with(|| 0.0_f64.total_cmp(&(double - whole + 0.0))))
}

/// The result of an arithmetic operator.
pub(super) fn arithmetic<'v>(operator: Binary, a: &Value<'v>, b: &Value<'v>) -> Result<Value<'v>, EvaluationError> {
    match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => integers(operator, *a, *b).map(Value::Integer),
        (Value::Double(a), Value::Double(b)) => doubles(operator, *a, *b).map(Value::Double),
        (Value::Text(a), Value::Text(b)) if operator == Binary::Add => {
            if a.len() + b.len() > EXPRESSION_TEXT_BYTES_MAX {
                return Err(EvaluationError::TooLong);
            }
            Ok(Value::Text(Cow::Owned([a.as_ref(), b.as_ref()].concat())))
        }
        _ => times(operator, a, b),
    }
}

fn integers(operator: Binary, a: i64, b: i64) -> Result<i64, EvaluationError> {
    let result = match operator {
        Binary::Add => a.checked_add(b),
        Binary::Subtract => a.checked_sub(b),
        Binary::Multiply => a.checked_mul(b),
        Binary::Divide | Binary::Remainder if b == 0 => return Err(EvaluationError::DividedByZero),
        Binary::Divide => a.checked_div(b),
        Binary::Remainder => a.checked_rem(b),
        _ => return Err(EvaluationError::Type),
    };
    result.ok_or(EvaluationError::Overflow)
}

/// As IEEE 754 defines them: a division by zero is infinite.
fn doubles(operator: Binary, a: f64, b: f64) -> Result<f64, EvaluationError> {
    match operator {
        Binary::Add => Ok(a + b),
        Binary::Subtract => Ok(a - b),
        Binary::Multiply => Ok(a * b),
        Binary::Divide => Ok(a / b),
        _ => Err(EvaluationError::Type),
    }
}

fn times<'v>(operator: Binary, a: &Value<'v>, b: &Value<'v>) -> Result<Value<'v>, EvaluationError> {
    let overflow = EvaluationError::Overflow;
    match (operator, a, b) {
        (Binary::Add, Value::Timestamp(at), Value::Duration(by))
        | (Binary::Add, Value::Duration(by), Value::Timestamp(at)) => instant(at.checked_add(*by)),
        (Binary::Subtract, Value::Timestamp(at), Value::Duration(by)) => instant(at.checked_sub(*by)),
        (Binary::Subtract, Value::Timestamp(a), Value::Timestamp(b)) => {
            a.checked_sub(*b).map(Value::Duration).ok_or(overflow)
        }
        (Binary::Add, Value::Duration(a), Value::Duration(b)) => a.checked_add(*b).map(Value::Duration).ok_or(overflow),
        (Binary::Subtract, Value::Duration(a), Value::Duration(b)) => {
            a.checked_sub(*b).map(Value::Duration).ok_or(overflow)
        }
        _ => Err(EvaluationError::Type),
    }
}

/// An instant of the years 1 to 9999, which are those that timestamps can have.
fn instant<'v>(micros: Option<i64>) -> Result<Value<'v>, EvaluationError> {
    let in_range = micros.filter(|micros| (INSTANT_MIN..=INSTANT_MAX).contains(micros));
    in_range.map(Value::Timestamp).ok_or(EvaluationError::Overflow)
}

/// `0001-01-01T00:00:00Z`
pub(super) const INSTANT_MIN: i64 = -62_135_596_800_000_000;

/// `9999-12-31T23:59:59.999999Z`
pub(super) const INSTANT_MAX: i64 = 253_402_300_799_999_999;

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn integers_and_doubles_are_compared_exactly() {
        for (integer, double, want) in [
            (1, 1.0, Some(Ordering::Equal)),
            (1, 1.5, Some(Ordering::Less)),
            (-1, -1.5, Some(Ordering::Greater)),
            (0, -0.0, Some(Ordering::Equal)),
            (i64::MAX, 9_223_372_036_854_775_808.0, Some(Ordering::Less)),
            (i64::MIN, -9_223_372_036_854_775_808.0, Some(Ordering::Equal)),
            (9_007_199_254_740_993, 9_007_199_254_740_992.0, Some(Ordering::Greater)),
            (0, f64::INFINITY, Some(Ordering::Less)),
            (0, f64::NEG_INFINITY, Some(Ordering::Greater)),
            (0, f64::NAN, None),
        ] {
            assert_eq!(order_mixed(integer, double), want, "{integer} and {double}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn arithmetic_that_has_no_result_is_an_error() {
        let (max, min) = (Value::Integer(i64::MAX), Value::Integer(i64::MIN));
        let (one, zero, less) = (Value::Integer(1), Value::Integer(0), Value::Integer(-1));
        for (operator, a, b, want) in [
            (Binary::Add, &max, &one, EvaluationError::Overflow),
            (Binary::Subtract, &min, &one, EvaluationError::Overflow),
            (Binary::Multiply, &max, &max, EvaluationError::Overflow),
            (Binary::Divide, &min, &less, EvaluationError::Overflow),
            (Binary::Remainder, &min, &less, EvaluationError::Overflow),
            (Binary::Divide, &one, &zero, EvaluationError::DividedByZero),
            (Binary::Remainder, &one, &zero, EvaluationError::DividedByZero),
            (Binary::Add, &one, &Value::Bool(true), EvaluationError::Type),
            (Binary::Remainder, &Value::Double(1.0), &Value::Double(1.0), EvaluationError::Type),
            (Binary::Add, &Value::Timestamp(INSTANT_MAX), &Value::Duration(1), EvaluationError::Overflow),
        ] {
            assert_eq!(
                arithmetic(operator, a, b).map(|value| format!("{value:?}")),
                Err(want),
                "{operator:?} {a:?} {b:?}"
            );
        }
    }
}
