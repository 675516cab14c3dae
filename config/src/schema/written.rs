//! Formats quantities in the largest unit in which the number is an integer.

use super::units::Rate;

/// Milliseconds as a duration: `10s`.
#[must_use]
pub fn duration(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    in_units(ms, "0s", &units)
}

/// Bytes as a size: `10MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    in_units(bytes, "0B", &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")])
}

/// A rate: `100/min`.
pub(crate) fn rate(Rate { count, period_ms }: Rate) -> String {
    let period = duration(u64::from(period_ms));
    match period.as_str() {
        "1m" => format!("{count}/min"),
        period => format!("{count}/{}", period.strip_prefix('1').filter(|unit| is_word(unit)).unwrap_or(period)),
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// The number in the largest unit in which it is an integer.
fn in_units(number: u64, zero: &str, units: &[(u64, &str)]) -> String {
    if number == 0 {
        return zero.to_owned();
    }
    let unit = units.iter().find(|(factor, _)| number.is_multiple_of(*factor));
    unit.map_or_else(|| number.to_string(), |(factor, unit)| format!("{}{unit}", number / factor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::units;
    use proptest::prelude::*;

    #[test]
    fn quantities_are_formatted_in_the_largest_exact_unit() {
        for (ms, text) in
            [(0, "0s"), (250, "250ms"), (10_000, "10s"), (90_000, "90s"), (60_000, "1m"), (86_400_000, "1d")]
        {
            assert_eq!(duration(ms), text);
        }
        for (bytes, text) in [(0, "0B"), (10 << 20, "10MiB"), (1000, "1000B"), (1 << 30, "1GiB")] {
            assert_eq!(size(bytes), text);
        }
        for (count, period_ms, text) in [(5, 1000, "5/s"), (5, 10_000, "5/10s"), (5, 60_000, "5/min"), (5, 1, "5/ms")] {
            assert_eq!(rate(Rate { count, period_ms }), text);
        }
    }

    proptest! {
        #[test]
        fn a_formatted_quantity_parses_to_the_same_value(number in 0..300_000_000_u64, count in 1..u32::MAX, period_ms in 1..u32::MAX) {
            prop_assert_eq!(units::duration_ms(&duration(number)), Ok(number));
            prop_assert_eq!(units::size_bytes(&size(number)), Ok(number));
            prop_assert_eq!(units::rate(&rate(Rate { count, period_ms })), Ok(Rate { count, period_ms }));
        }
    }
}
