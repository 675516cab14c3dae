//! Instants and how they are written down; core never asks for the time, it is told.

use serde::{Deserialize, Serialize};

/// An instant, in milliseconds since the Unix epoch.
///
/// Workers' clocks move only across I/O, so two timestamps taken without an answer between them may be equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself.
    pub const EPOCH: Self = Self(0);

    /// The instant `ms` milliseconds after the epoch.
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// The instant `ms` milliseconds later, at most the end of time.
    #[must_use]
    pub const fn plus_millis(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// The instant `ms` milliseconds earlier, at least the epoch.
    #[must_use]
    pub const fn minus_millis(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms))
    }

    /// Milliseconds passed since `earlier`; 0 when `earlier` is later, as clocks may step back.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The instant as RFC 3339 in UTC with milliseconds, such as `2026-01-31T23:59:50.000Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let (y, mo, d) = civil_from_days((self.0 / DAY_MS).cast_signed());
        let rest = self.0 % DAY_MS;
        let (h, mi, s, ms) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60, rest % 1000);
        format!("{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}Z")
    }

    /// Reads RFC 3339 (section 5.6) with any offset; `None` when it is not that, or lies before the epoch.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let (clock, rest) = rest.split_at_checked(8)?;
        let (fraction_ms, zone) = split_fraction(rest)?;
        let days = days_of(date)?;
        let ms = millis_of(clock)?.checked_add(fraction_ms)?;
        let local = days.checked_mul(DAY_MS.cast_signed())?.checked_add(ms)?;
        let utc = local.checked_sub(offset_ms(zone)?)?;
        u64::try_from(utc).ok().map(Self)
    }

    /// The instant as an HTTP date (RFC 9110, section 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    #[must_use]
    pub fn to_http_date(self) -> String {
        let days = (self.0 / DAY_MS).cast_signed();
        let (y, mo, d) = civil_from_days(days);
        let s = self.0 % DAY_MS / 1000;
        let weekday = WEEKDAYS[usize::try_from((days + 4) % 7).unwrap_or(0)];
        let month = MONTHS[usize::try_from(mo - 1).unwrap_or(0)];
        format!("{weekday}, {d:02} {month} {y:04} {:02}:{:02}:{:02} GMT", s / 3600, s / 60 % 60, s % 60)
    }

    /// Reads an HTTP date in its one preferred form (IMF-fixdate); other forms are `None`.
    #[must_use]
    pub fn from_http_date(text: &str) -> Option<Self> {
        let rest = text.strip_suffix(" GMT")?;
        let (_, rest) = rest.split_once(", ")?;
        let mut parts = rest.split(' ');
        let (day, month, year, clock) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let month = MONTHS.iter().position(|m| *m == month)? + 1;
        let days = days_of(&format!("{year}-{month:02}-{day}"))?;
        let ms = days.checked_mul(DAY_MS.cast_signed())?.checked_add(millis_of(clock)?)?;
        u64::try_from(ms).ok().map(Self)
    }
}

const DAY_MS: u64 = 86_400_000;
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month and day of a day number, by the proleptic Gregorian calendar counted in eras of 400 years.
fn civil_from_days(days: i64) -> (i64, u32, u32) {
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

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn days_of(date: &str) -> Option<i64> {
    let mut parts = date.split('-');
    let (y, m, d) = (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let days = days_from_civil(y, m, d);
    // Only a date that is written back the same is on the calendar: this refuses 30 February.
    let same = civil_from_days(days) == (y, u32::try_from(m).ok()?, u32::try_from(d).ok()?);
    (parts.next().is_none() && same).then_some(days)
}

fn millis_of(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':');
    let (h, m, s) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    (parts.next().is_none() && h < 24 && m < 60 && s < 60).then_some(((h * 60 + m) * 60 + s) * 1000)
}

fn split_fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(fraction) = rest.strip_prefix('.') else {
        return Some((0, rest));
    };
    let end = fraction.find(|c: char| !c.is_ascii_digit())?;
    let (figures, zone) = fraction.split_at(end);
    if figures.is_empty() {
        return None;
    }
    let ms = figures.bytes().chain(*b"00").take(3).fold(0, |n, b| n * 10 + i64::from(b - b'0'));
    Some((ms, zone))
}

fn offset_ms(zone: &str) -> Option<i64> {
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
    (h < 24 && m < 60).then_some(sign * (h * 60 + m) * 60_000)
}

fn digits(text: &str, count: usize) -> Option<i64> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(rfc3339: &str, ms: u64, http: &str) {
        let instant = Timestamp::from_rfc3339(rfc3339).unwrap();
        assert_eq!(instant.as_millis(), ms);
        assert_eq!(instant.to_http_date(), http);
        assert_eq!(Timestamp::from_rfc3339(&instant.to_rfc3339()), Some(instant));
        assert_eq!(Timestamp::from_http_date(http), Some(Timestamp::from_millis(ms / 1000 * 1000)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn written_and_read_back() {
        check("1970-01-01T00:00:00Z", 0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check("1994-11-06T08:49:37Z", 784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT");
        check("2024-02-29T23:59:59.999Z", 1_709_251_199_999, "Thu, 29 Feb 2024 23:59:59 GMT");
        check("2026-02-01T01:00:00+01:00", 1_769_904_000_000, "Sun, 01 Feb 2026 00:00:00 GMT");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn impossible_dates_are_refused() {
        for text in [
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "2023-01-01T24:00:00Z",
            "2023-01-01",
            "x",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(Timestamp::from_rfc3339(text), None, "{text}");
        }
    }
}
