//! The windows of a calendar: where they begin in a time zone, over changes of its clocks and ends of months.

use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::cell::Edges;
use crate::codec::{self, Decode};
use crate::time::{Timestamp, Zone, civil, day_of};

/// The windows of a quota.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct Windows {
    /// Their length.
    #[n(0)]
    pub unit: Unit,
    /// Where they begin: the day of a week (1 is Monday), the day of a month, or month * 100 + day of a year; absent, the first day.
    #[cbor(n(1), skip_if = "codec::is_default")]
    #[serde(default)]
    pub anchor: Option<u16>,
    /// The time zone in which days begin at midnight; absent, UTC.
    #[cbor(n(2), skip_if = "codec::is_default")]
    #[serde(default)]
    pub zone: Option<Zone>,
    /// The zone's name, as it is written; empty for UTC.
    #[cbor(n(3), skip_if = "codec::is_default")]
    #[serde(default)]
    pub zone_name: String,
}

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum Unit {
    /// 60 seconds, from a full minute of UTC.
    #[n(0)]
    Minute,
    /// 3,600 seconds, from a full hour of UTC.
    #[n(1)]
    Hour,
    /// From midnight to midnight.
    #[n(2)]
    Day,
    /// Seven days.
    #[n(3)]
    Week,
    /// From a day of the month to that day of the next one, or to its last day if it has no such day.
    #[n(4)]
    Month,
    /// Three months, from January, April, July or October.
    #[n(5)]
    Quarter,
    /// A year.
    #[n(6)]
    Year,
}

impl Windows {
    /// The window with this instant and its neighbours.
    #[must_use]
    pub fn edges(&self, now: Timestamp) -> Edges {
        let now_s = i64::try_from(now.as_micros() / MICROS_PER_S).unwrap_or(i64::MAX);
        let number = self.number_at(now_s);
        let at = |number: i64| self.begins_us(number);
        Edges { before_us: at(number - 1), start_us: at(number), end_us: at(number + 1), after_us: at(number + 2) }
    }

    /// Checks what the types cannot express.
    pub(super) fn is_coherent(&self) -> bool {
        match (self.unit, self.anchor) {
            (_, None) => true,
            (Unit::Week, Some(day)) => (1..=7).contains(&day),
            (Unit::Month | Unit::Quarter, Some(day)) => (1..=31).contains(&day),
            (Unit::Year, Some(date)) => (1..=12).contains(&(date / 100)) && (1..=31).contains(&(date % 100)),
            (Unit::Minute | Unit::Hour | Unit::Day, Some(_)) => false,
        }
    }

    /// The number of the window with this second; windows are numbered in their order.
    fn number_at(&self, now_s: i64) -> i64 {
        match self.unit {
            Unit::Minute => return now_s.div_euclid(60),
            Unit::Hour => return now_s.div_euclid(3_600),
            Unit::Day | Unit::Week | Unit::Month | Unit::Quarter | Unit::Year => {}
        }
        let local_s = now_s.saturating_add(i64::from(self.minutes_at(now_s)) * 60);
        let day = local_s.div_euclid(DAY_S);
        let (year, month, _) = civil(day);
        let months = year * 12 + i64::from(month) - 1;
        let number = match self.unit {
            Unit::Minute | Unit::Hour | Unit::Day => day,
            Unit::Week => (day - self.first_weekday()).div_euclid(7),
            Unit::Month => months,
            Unit::Quarter => months.div_euclid(3),
            Unit::Year => year,
        };
        // A window that begins within its month or year may not have begun, and where clocks are set back over midnight, a day
        // of the zone ends twice.
        let seconds = |number: i64| self.begins_s(number);
        if seconds(number) > now_s {
            number - 1
        } else if seconds(number + 1) <= now_s {
            number + 1
        } else {
            number
        }
    }

    fn begins_us(&self, number: i64) -> u64 {
        u64::try_from(self.begins_s(number)).unwrap_or(0).saturating_mul(MICROS_PER_S)
    }

    /// The second in which a window begins.
    fn begins_s(&self, number: i64) -> i64 {
        let day = match self.unit {
            Unit::Minute => return number.saturating_mul(60),
            Unit::Hour => return number.saturating_mul(3_600),
            Unit::Day => number,
            Unit::Week => number * 7 + self.first_weekday(),
            Unit::Month => first_day(number, self.anchor.unwrap_or(1)),
            Unit::Quarter => first_day(number * 3, self.anchor.unwrap_or(1)),
            Unit::Year => {
                let date = self.anchor.unwrap_or(101);
                first_day(number * 12 + i64::from(date / 100) - 1, date % 100)
            }
        };
        self.midnight_s(day)
    }

    /// 1970-01-01 was a Thursday: Monday was three days before.
    fn first_weekday(&self) -> i64 {
        i64::from(self.anchor.unwrap_or(1)) - 4
    }

    fn minutes_at(&self, second: i64) -> i16 {
        self.zone.as_ref().map_or(0, |zone| zone.minutes_at(second))
    }

    /// The first second of a day of the zone. Where the clocks pass over midnight, the day begins when they do.
    fn midnight_s(&self, day: i64) -> i64 {
        let local_s = day.saturating_mul(DAY_S);
        let Some(zone) = &self.zone else { return local_s };
        zone.first_at(local_s)
    }
}

/// The day on which a month's window begins: the last day of the month if it has no such day.
fn first_day(months: i64, day: u16) -> i64 {
    let first = |months: i64| day_of(months.div_euclid(12), months.rem_euclid(12) + 1, 1);
    let length = first(months + 1) - first(months);
    first(months) + i64::from(day).min(length) - 1
}

const MICROS_PER_S: u64 = 1_000_000;
const DAY_S: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::OffsetChange;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_rfc3339(text).unwrap()
    }

    fn second(text: &str) -> i64 {
        i64::try_from(at(text).as_millis() / 1_000).unwrap()
    }

    fn berlin() -> Zone {
        let changes = [("2026-03-29T01:00:00Z", 120), ("2026-10-25T01:00:00Z", 60)];
        let change = |(text, minutes): (&str, i16)| OffsetChange { at_s: second(text), minutes };
        Zone { minutes: 60, changes: changes.map(change).into() }
    }

    #[track_caller]
    fn check(unit: Unit, anchor: Option<u16>, zone: Option<Zone>, now: &str, start: &str, end: &str) {
        let windows = Windows { unit, anchor, zone, zone_name: String::new() };
        assert!(windows.is_coherent());
        let edges = windows.edges(at(now));
        let told = |us| us / 1_000_000;
        assert_eq!(
            (edges.start_us, edges.end_us),
            (at(start).as_micros(), at(end).as_micros()),
            "{} to {}",
            told(edges.start_us),
            told(edges.end_us)
        );
        let (before, after) = (edges.start_us - 1, edges.end_us);
        assert_eq!(windows.edges(Timestamp::from_micros(before)).end_us, edges.start_us);
        assert_eq!(windows.edges(Timestamp::from_micros(before)).start_us, edges.before_us);
        assert_eq!(windows.edges(Timestamp::from_micros(after)).start_us, edges.end_us);
        assert_eq!(windows.edges(Timestamp::from_micros(after)).end_us, edges.after_us);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn windows_begin_where_the_calendar_says() {
        check(Unit::Minute, None, None, "2026-05-01T10:20:59.9Z", "2026-05-01T10:20:00Z", "2026-05-01T10:21:00Z");
        check(Unit::Hour, None, None, "2026-05-01T10:20:59Z", "2026-05-01T10:00:00Z", "2026-05-01T11:00:00Z");
        check(Unit::Day, None, None, "2026-05-01T00:00:00Z", "2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z");
        check(Unit::Week, None, None, "2026-05-03T23:59:59Z", "2026-04-27T00:00:00Z", "2026-05-04T00:00:00Z");
        check(Unit::Week, Some(7), None, "2026-05-03T00:00:00Z", "2026-05-03T00:00:00Z", "2026-05-10T00:00:00Z");
        check(Unit::Month, None, None, "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z");
        check(Unit::Quarter, None, None, "2026-05-01T00:00:00Z", "2026-04-01T00:00:00Z", "2026-07-01T00:00:00Z");
        check(Unit::Year, None, None, "2026-12-31T23:59:59Z", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_day_that_a_month_does_not_have_is_its_last_one() {
        check(Unit::Month, Some(31), None, "2026-02-27T23:59:59Z", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z");
        check(Unit::Month, Some(31), None, "2026-02-28T00:00:00Z", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z");
        check(Unit::Month, Some(29), None, "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z", "2028-03-29T00:00:00Z");
        check(Unit::Month, Some(30), None, "2026-04-29T00:00:00Z", "2026-03-30T00:00:00Z", "2026-04-30T00:00:00Z");
        check(Unit::Year, Some(229), None, "2026-03-01T00:00:00Z", "2026-02-28T00:00:00Z", "2027-02-28T00:00:00Z");
        check(Unit::Year, Some(229), None, "2028-02-28T23:00:00Z", "2027-02-28T00:00:00Z", "2028-02-29T00:00:00Z");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn days_of_a_zone_are_23_or_25_hours_when_its_clocks_change() {
        check(Unit::Day, None, Some(berlin()), "2026-03-28T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z");
        check(Unit::Day, None, Some(berlin()), "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z");
        check(
            Unit::Month,
            None,
            Some(berlin()),
            "2026-03-31T22:00:00Z",
            "2026-03-31T22:00:00Z",
            "2026-04-30T22:00:00Z",
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn clocks_that_change_at_midnight_neither_skip_nor_repeat_a_day() {
        // From 00:00 to 01:00 (as in Beirut), and from 00:00 back to 23:00 of the day before.
        let forward =
            Zone { minutes: 120, changes: vec![OffsetChange { at_s: second("2026-03-28T22:00:00Z"), minutes: 180 }] };
        check(Unit::Day, None, Some(forward), "2026-03-28T22:30:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z");
        let back =
            Zone { minutes: 180, changes: vec![OffsetChange { at_s: second("2026-10-24T21:00:00Z"), minutes: 120 }] };
        check(Unit::Day, None, Some(back), "2026-10-24T21:30:00Z", "2026-10-23T21:00:00Z", "2026-10-24T22:00:00Z");
    }

    proptest! {
        #[test]
        fn windows_follow_each_other_without_gap_or_overlap(
            unit in prop_oneof![Just(Unit::Day), Just(Unit::Week), Just(Unit::Month), Just(Unit::Quarter), Just(Unit::Year)],
            anchor in 1u16..=31, s in 1_600_000_000u64..2_600_000_000,
            change_s in 1_600_000_000i64..2_600_000_000, minutes in -14 * 60i16..14 * 60, by in -120i16..120,
        ) {
            let anchor = match unit { Unit::Week => Some(anchor % 7 + 1), Unit::Month | Unit::Quarter => Some(anchor), _ => None };
            // Most changes are near the instant.
            let at_s = if anchor.is_none_or(|anchor| anchor % 2 == 0) { i64::try_from(s).unwrap() - change_s % 90_000 } else { change_s };
            let zone = Zone { minutes, changes: vec![OffsetChange { at_s, minutes: minutes + by }] };
            let windows = Windows { unit, anchor, zone: Some(zone), zone_name: String::new() };
            let us = s * MICROS_PER_S;
            let edges = windows.edges(Timestamp::from_micros(us));
            prop_assert!(edges.start_us <= us && us < edges.end_us, "{edges:?}");
            prop_assert!(edges.before_us < edges.start_us && edges.end_us < edges.after_us, "{edges:?}");
            for inside in [edges.start_us, edges.end_us - 1] {
                let same = windows.edges(Timestamp::from_micros(inside));
                prop_assert_eq!(same, edges);
            }
            prop_assert_eq!(windows.edges(Timestamp::from_micros(edges.end_us)).start_us, edges.end_us);
        }
    }
}
