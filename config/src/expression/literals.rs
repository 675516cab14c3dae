//! Values that expressions write as texts: durations, offsets, and the names of the parts of an instant.

use tollgate_core::expression::TimePart;

pub(super) fn time_part(name: &str) -> Option<TimePart> {
    Some(match name {
        "getFullYear" => TimePart::Year,
        "getMonth" => TimePart::Month,
        "getDate" => TimePart::Date,
        "getDayOfMonth" => TimePart::DayOfMonth,
        "getDayOfWeek" => TimePart::DayOfWeek,
        "getHours" => TimePart::Hours,
        "getMinutes" => TimePart::Minutes,
        "getSeconds" => TimePart::Seconds,
        _ => return None,
    })
}

/// The minutes of an offset such as `+02:00`; `UTC` and `Z` are none.
pub(super) fn offset_minutes(text: &str) -> Option<i16> {
    if text == "UTC" || text == "Z" {
        return Some(0);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_once(':')?;
    let number = |text: &str, max: i16| {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i16>().ok()).flatten().filter(|number| *number <= max)
    };
    Some(sign * (number(hours, 14)? * 60 + number(minutes, 59)?))
}

/// The microseconds of a duration such as `1h30m` or `-1.5s`.
pub(super) fn duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let mut micros = 0_i64;
    if rest.is_empty() {
        return None;
    }
    if rest == "0" {
        return Some(0);
    }
    while !rest.is_empty() {
        let length = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(length);
        let (unit, micros_of_unit) =
            [("ms", 1_000), ("us", 1), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000_i64)]
                .into_iter()
                .find(|(unit, _)| tail.starts_with(unit))?;
        micros = micros.checked_add(times(number, micros_of_unit)?)?;
        rest = &tail[unit.len()..];
    }
    Some(sign * micros)
}

/// A number with an optional fraction, times a unit; what is smaller than a microsecond is refused.
pub(super) fn times(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || (fraction.is_empty() && number.contains('.')) {
        return None;
    }
    let mut sum = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction.bytes() {
        let digit = i64::from(digit - b'0');
        if place % 10 != 0 && digit != 0 {
            return None;
        }
        place /= 10;
        sum = sum.checked_add(digit.checked_mul(place)?)?;
    }
    Some(sum)
}
