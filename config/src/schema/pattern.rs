//! Regular expressions that match exactly what the parsers of quantities accept, including the limits of numbers.
//!
//! They use only features of all dialects: no look-around, and only bracketed character classes.

use super::Quantity;
use crate::schema::units::{DURATION_MS_MAX, SIZE_BYTES_MAX, SIZE_UNITS, TIME_UNITS};

/// A reference to a value.
pub(crate) const VALUE_REFERENCE: &str = r"^\$\{value\.[a-z0-9-]{1,40}\}$";

/// The pattern of a quantity.
pub(crate) fn of(quantity: Quantity) -> String {
    let body = match quantity {
        Quantity::Duration => format!("{}|{}", zero(TIME_UNITS), at_most(DURATION_MS_MAX, TIME_UNITS)),
        Quantity::Time => at_most(DURATION_MS_MAX, TIME_UNITS),
        Quantity::Size => format!("{}|{}", zero(SIZE_UNITS), at_most(SIZE_BYTES_MAX, SIZE_UNITS)),
        Quantity::Rate => {
            let units = names(TIME_UNITS);
            format!("0*({})/({units}|{})", positive(u32::MAX.into()), at_most(u32::MAX.into(), TIME_UNITS))
        }
    };
    format!("^({body})$")
}

/// Units with their sizes.
type Units = [(&'static str, u64)];

fn names(units: &Units) -> String {
    units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>().join("|")
}

fn zero(units: &Units) -> String {
    format!("0+({})", names(units))
}

/// Numbers with a unit that are 1 to `max` in the smallest unit.
fn at_most(max: u64, units: &Units) -> String {
    let option = |(unit, factor): &(&str, u64)| format!("0*({}){unit}", positive(max / factor));
    units.iter().map(option).collect::<Vec<_>>().join("|")
}

/// The numbers 1 to `max` without leading zeros: those with fewer digits, those whose first different digit is less, and
/// `max` itself.
fn positive(max: u64) -> String {
    let digits = max.to_string();
    let mut options = Vec::new();
    if digits.len() > 1 {
        options.push(format!("[1-9]{}", any(digits.len() - 2, true)));
    }
    for (at, digit) in digits.bytes().enumerate() {
        let smallest = if at == 0 { b'1' } else { b'0' };
        if digit > smallest {
            let (before, rest) = (&digits[..at], any(digits.len() - at - 1, false));
            options.push(format!("{before}{}{rest}", class(smallest, digit - 1)));
        }
    }
    options.push(digits);
    options.join("|")
}

fn class(from: u8, to: u8) -> String {
    let (from, to) = (char::from(from), char::from(to));
    if from == to { from.to_string() } else { format!("[{from}-{to}]") }
}

/// Exactly this many digits, or up to this many.
fn any(count: usize, or_fewer: bool) -> String {
    match (count, or_fewer) {
        (0, _) => String::new(),
        (1, false) => "[0-9]".to_owned(),
        (count, false) => format!("[0-9]{{{count}}}"),
        (count, true) => format!("[0-9]{{0,{count}}}"),
    }
}
