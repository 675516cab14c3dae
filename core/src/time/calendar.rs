//! The proleptic Gregorian calendar, and the parts of written instants.

use super::MICROS_PER_S;

pub(super) const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
pub(super) const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month and day of a day number, by the proleptic Gregorian calendar counted in eras of 400 years.
pub(crate) fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, u32::try_from(month).unwrap_or(1), u32::try_from(day).unwrap_or(1))
}

/// The number of a day, counted from 1970-01-01.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

pub(super) fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (y, m, d) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let days = days_from_civil(y, m, d);
    // Only a date that is written back the same is on the calendar: this refuses 30 February.
    let same = civil_from_days(days) == (y, u32::try_from(m).ok()?, u32::try_from(d).ok()?);
    (parts.next().is_none() && same).then_some(days)
}

/// Microseconds of the day at `HH:MM:SS`.
pub(super) fn micros_of(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let (h, m, s) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let in_range = parts.next().is_none() && h < 24 && m < 60 && s < 60;
    in_range.then_some(((h * 60 + m) * 60 + s) * MICROS_PER_S.cast_signed())
}

/// The microseconds of a fraction of a second, and the rest; digits past the sixth are cut off.
pub(super) fn split_fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(fraction) = rest.strip_prefix('.') else {
        return Some((0, rest));
    };
    let end = fraction.find(|c: char| !c.is_ascii_digit())?;
    let (figures, zone) = fraction.split_at(end);
    if figures.is_empty() {
        return None;
    }
    let us = figures.bytes().chain(*b"00000").take(6).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
    Some((us, zone))
}

/// How far a zone such as `Z` or `+01:00` is ahead of UTC, in microseconds.
pub(super) fn offset_us(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (h, m) = zone.get(1..)?.split_once(':')?;
    let (h, m) = (digits(h, 2)?, digits(m, 2)?);
    (h < 24 && m < 60).then_some(sign * (h * 60 + m) * 60 * MICROS_PER_S.cast_signed())
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}
