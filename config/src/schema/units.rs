//! Quantities with units: `10s`, `64KiB`, `100/min`, `80%`.

use std::num::NonZeroU8;

/// Splits a number from its unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit))
}

/// Parses a duration in milliseconds; `Err` is the reason why it is not valid.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text).ok_or_else(|| format!("`{text}` is not a valid duration"))?;
    let factor = unit_ms(unit).ok_or_else(|| match unit {
        "" => format!("`{text}` has no unit"),
        unit => format!("`{unit}` is not a unit of time"),
    })?;
    number
        .checked_mul(factor)
        .filter(|ms| *ms <= DURATION_MS_MAX)
        .ok_or_else(|| format!("`{text}` is longer than 10 years"))
}

/// Parses a size in bytes; `Err` is the reason why it is not valid.
pub(crate) fn size_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text).ok_or_else(|| format!("`{text}` is not a valid size"))?;
    let factor = one_of(SIZE_UNITS, unit).ok_or_else(|| match unit {
        "" => format!("`{text}` has no unit"),
        unit => format!("`{unit}` is not a unit of size"),
    })?;
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes <= SIZE_BYTES_MAX)
        .ok_or_else(|| format!("`{text}` is larger than 1 TiB"))
}

/// A rate: a number per period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate {
    /// The number.
    pub count: u32,
    /// The period, in milliseconds.
    pub period_ms: u32,
}

/// Parses a rate; `Err` is the reason why it is not valid.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let (count, period) = text.split_once('/').ok_or_else(|| format!("`{text}` is not a valid rate"))?;
    let valid = !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit());
    let count = valid
        .then(|| count.parse().ok())
        .flatten()
        .ok_or_else(|| format!("`{count}` is not an integer of at most {}", u32::MAX))?;
    let (number, unit) = match split(period) {
        Some((number, unit)) => (number, unit),
        None => (1, period),
    };
    let factor = unit_ms(unit).ok_or_else(|| format!("`{period}` is not a valid period"))?;
    let period_ms = number.checked_mul(factor).and_then(|ms| u32::try_from(ms).ok());
    let period_ms = period_ms.ok_or_else(|| format!("the period `{period}` is longer than 49 days"))?;
    if count == 0 || period_ms == 0 {
        return Err(format!("`{text}` would allow no requests"));
    }
    Ok(Rate { count, period_ms })
}

/// Parses a share in whole percent, from 1% to 100%.
pub(crate) fn percent(text: &str) -> Option<NonZeroU8> {
    let begins = |digits: &&str| digits.starts_with(|c: char| c.is_ascii_digit() && c != '0');
    let share: NonZeroU8 = text.strip_suffix('%').filter(begins)?.parse().ok()?;
    (share.get() <= 100).then_some(share)
}

fn unit_ms(unit: &str) -> Option<u64> {
    one_of(TIME_UNITS, unit)
}

/// The size of a unit.
fn one_of(units: &[(&str, u64)], unit: &str) -> Option<u64> {
    units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor)
}

/// Units of time, in milliseconds.
pub(crate) const TIME_UNITS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1000), ("m", 60_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Units of size, in bytes.
pub(crate) const SIZE_UNITS: &[(&str, u64)] = &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Ten years: longer than any duration in a gateway, and small enough that arithmetic cannot overflow.
pub(crate) const DURATION_MS_MAX: u64 = 10 * 366 * 86_400_000;

/// One tebibyte.
pub(crate) const SIZE_BYTES_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_parsed_to_milliseconds() {
        for (text, ms) in [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("5m", 300_000),
            ("5min", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
        ] {
            assert_eq!(duration_ms(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn invalid_durations_have_a_reason() {
        for (text, why) in [
            ("10", "has no unit"),
            ("10 s", "not a unit"),
            ("s", "not a valid duration"),
            ("-1s", "not a valid duration"),
            ("1.5s", "not a unit"),
            ("4000d", "10 years"),
            ("99999999999999999999s", "not a valid duration"),
        ] {
            assert!(duration_ms(text).unwrap_err().contains(why), "{text}");
        }
    }

    #[test]
    fn sizes_have_units_that_are_powers_of_1024() {
        for (text, bytes) in [("512B", 512), ("64KiB", 65_536), ("10MiB", 10 << 20), ("1GiB", 1 << 30)] {
            assert_eq!(size_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["10", "10KB", "10MB", "10k", "MiB", "9999999GiB"] {
            assert!(size_bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_have_a_count_and_a_period() {
        for (text, count, period_ms) in
            [("100/s", 100, 1000), ("100/min", 100, 60_000), ("5/10s", 5, 10_000), ("1/d", 1, 86_400_000)]
        {
            assert_eq!(rate(text), Ok(Rate { count, period_ms }), "{text}");
        }
        for text in ["100", "0/s", "1/0s", "/s", "1/", "1/year", "+1/s", "-1/s", "1/60d", "5000000000/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_parser_panic(text in "[0-9]{0,25}[a-zA-Z/ é]{0,4}[0-9]{0,3}[a-z]{0,3}") {
            let _ = (duration_ms(&text), size_bytes(&text), rate(&text));
        }
    }
}
