//! HTTP dates: the preferred form and the two obsolete ones (RFC 9110, section 5.6.7).

use super::calendar::{MONTHS, WEEKDAYS, civil_from_days, days_of, micros_of};
use super::timestamp::DAY_US;
use super::{MICROS_PER_S, Timestamp};

impl Timestamp {
    /// The instant as an HTTP date in the preferred form, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
    #[must_use]
    pub fn to_http_date(self) -> String {
        let days = (self.as_micros() / DAY_US).cast_signed();
        let (y, mo, d) = civil_from_days(days);
        let s = self.as_micros() % DAY_US / MICROS_PER_S;
        let weekday = WEEKDAYS[usize::try_from((days + 4) % 7).unwrap_or(0)];
        let month = MONTHS[usize::try_from(mo - 1).unwrap_or(0)];
        format!("{weekday}, {d:02} {month} {y:04} {:02}:{:02}:{:02} GMT", s / 3600, s / 60 % 60, s % 60)
    }

    /// Parses an HTTP date in any of its three forms; everything else is `None`.
    ///
    /// A year of two digits is the latest one with these digits that is at most 50 years after `now`.
    #[must_use]
    pub fn from_http_date(text: &str, now: Self) -> Option<Self> {
        if !text.is_ascii() {
            return None;
        }
        imf_fixdate(text).or_else(|| rfc_850(text, now)).or_else(|| asctime(text))
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &str) -> Option<Timestamp> {
    let (weekday, rest) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let mut parts = rest.split(' ');
    let (day, month, year, clock) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && WEEKDAYS.contains(&weekday);
    is_whole.then(|| instant(year, month, day, clock))?
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc_850(text: &str, now: Timestamp) -> Option<Timestamp> {
    let (weekday, rest) = text.strip_suffix(" GMT")?.split_once(", ")?;
    let (date, clock) = rest.split_once(' ')?;
    let mut parts = date.split('-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = parts.next().is_none() && LONG_WEEKDAYS.contains(&weekday);
    if !is_whole || year.len() != 2 || !year.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (this_year, _, _) = civil_from_days((now.as_micros() / DAY_US).cast_signed());
    let latest = this_year + 50;
    let of_century = latest / 100 * 100 + year.parse::<i64>().ok()?;
    let year = if of_century > latest { of_century - 100 } else { of_century };
    instant(&format!("{year:04}"), month, day, clock)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &str) -> Option<Timestamp> {
    let (weekday, rest) = text.split_at_checked(3)?;
    let (month, rest) = rest.strip_prefix(' ')?.split_at_checked(3)?;
    let (day, rest) = rest.strip_prefix(' ')?.split_at_checked(2)?;
    let (clock, year) = rest.strip_prefix(' ')?.split_once(' ')?;
    let day = day.strip_prefix(' ').map_or_else(|| day.to_owned(), |digit| format!("0{digit}"));
    WEEKDAYS.contains(&weekday).then(|| instant(year, month, &day, clock))?
}

fn instant(year: &str, month: &str, day: &str, clock: &str) -> Option<Timestamp> {
    let month = MONTHS.iter().position(|m| *m == month)? + 1;
    let days = days_of(&format!("{year}-{month:02}-{day}"))?;
    let us = days.checked_mul(DAY_US.cast_signed())?.checked_add(micros_of(clock)?)?;
    u64::try_from(us).ok().map(Timestamp::from_micros)
}

const LONG_WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    const EXAMPLE_S: u64 = 784_111_777;

    #[track_caller]
    fn check(text: &str, now: &str, want_s: Option<u64>) {
        let now = Timestamp::from_rfc3339(now).unwrap();
        assert_eq!(Timestamp::from_http_date(text, now).map(Timestamp::as_secs), want_s, "{text}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn all_three_forms_are_the_same_instant() {
        let now = "2026-01-01T00:00:00Z";
        check("Sun, 06 Nov 1994 08:49:37 GMT", now, Some(EXAMPLE_S));
        check("Sunday, 06-Nov-94 08:49:37 GMT", now, Some(EXAMPLE_S));
        check("Sun Nov  6 08:49:37 1994", now, Some(EXAMPLE_S));
        check("Wed Nov 16 08:49:37 1994", now, Some(EXAMPLE_S + 864_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_year_of_two_digits_is_at_most_50_years_ahead() {
        let of = |year| Timestamp::from_rfc3339(&format!("{year}-11-06T08:49:37Z")).map(Timestamp::as_secs);
        check("Sunday, 06-Nov-76 08:49:37 GMT", "2026-01-01T00:00:00Z", of(2076));
        check("Sunday, 06-Nov-77 08:49:37 GMT", "2026-01-01T00:00:00Z", of(1977));
        check("Sunday, 06-Nov-01 08:49:37 GMT", "1999-01-01T00:00:00Z", of(2001));
        check("Sunday, 06-Nov-30 08:49:37 GMT", "2099-01-01T00:00:00Z", of(2130));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn everything_else_is_no_date() {
        for text in [
            "",
            "0",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 gmt",
            "Sun 06 Nov 1994 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994  08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 +0000 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Xxx, 06 Nov 1994 08:49:37 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-+9 08:49:37 GMT",
            "Sun Nov 6 08:49:37 1994",
            "Sun Nov  6 08:49:37 1994 GMT",
            "Sun Nov é6 08:49:37 1994",
        ] {
            check(text, "2026-01-01T00:00:00Z", None);
        }
    }
}
