//! The parts of an instant in a zone.

use crate::codec::Decode;
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::time::civil;

/// A part of an instant, as CEL numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum TimePart {
    /// `getFullYear()`
    #[n(0)]
    Year,
    /// `getMonth()`: from 0.
    #[n(1)]
    Month,
    /// `getDate()`: the day of the month, from 1.
    #[n(2)]
    Date,
    /// `getDayOfMonth()`: from 0.
    #[n(3)]
    DayOfMonth,
    /// `getDayOfWeek()`: from 0, which is Sunday.
    #[n(4)]
    DayOfWeek,
    /// `getHours()`
    #[n(5)]
    Hours,
    /// `getMinutes()`
    #[n(6)]
    Minutes,
    /// `getSeconds()`
    #[n(7)]
    Seconds,
}

impl TimePart {
    /// The part of an instant (in microseconds since 1970) in a zone that is so many minutes ahead of UTC.
    pub(super) fn of(self, micros: i64, offset_minutes: i16) -> i64 {
        let local_s = micros.div_euclid(MICROS_PER_S).saturating_add(i64::from(offset_minutes) * 60);
        let (days, second) = (local_s.div_euclid(DAY_S), local_s.rem_euclid(DAY_S));
        let (year, month, date) = civil(days);
        match self {
            Self::Year => year,
            Self::Month => i64::from(month) - 1,
            Self::Date => i64::from(date),
            Self::DayOfMonth => i64::from(date) - 1,
            // 1970-01-01 was a Thursday.
            Self::DayOfWeek => (days + 4).rem_euclid(7),
            Self::Hours => second / 3_600,
            Self::Minutes => second / 60 % 60,
            Self::Seconds => second % 60,
        }
    }
}

const MICROS_PER_S: i64 = 1_000_000;
const DAY_S: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn the_parts_are_those_of_the_zone() {
        let at = Timestamp::from_rfc3339("2026-02-28T23:30:45Z").unwrap();
        let of = |part: TimePart, offset| part.of(i64::try_from(at.as_micros()).unwrap(), offset);
        let all = [
            TimePart::Year,
            TimePart::Month,
            TimePart::Date,
            TimePart::DayOfMonth,
            TimePart::DayOfWeek,
            TimePart::Hours,
            TimePart::Minutes,
            TimePart::Seconds,
        ];
        assert_eq!(all.map(|part| of(part, 0)), [2026, 1, 28, 27, 6, 23, 30, 45]);
        assert_eq!(all.map(|part| of(part, 60)), [2026, 2, 1, 0, 0, 0, 30, 45]);
        assert_eq!(all.map(|part| of(part, -24 * 60)), [2026, 1, 27, 26, 5, 23, 30, 45]);
        assert_eq!(TimePart::DayOfWeek.of(-1, 0), 3, "31 December 1969 was a Wednesday");
    }
}
