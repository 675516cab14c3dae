//! Field values that decide how a response is stored, read so that no reader could find them stricter.

use http::HeaderName;
use http::HeaderValue;
use http::header::{AGE, CONTENT_LENGTH, DATE};

use super::NotStored;
use super::list::members;
use crate::forward::Fields;
use crate::time::Timestamp;

/// A number of seconds; a larger one than anything needs is 2^31 (RFC 9111, section 1.2.2).
pub(super) fn delta_seconds(text: &[u8]) -> Option<u64> {
    let is_number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let digits = is_number.then(|| std::str::from_utf8(text).ok())??;
    Some(digits.parse().unwrap_or(SECONDS_MAX).min(SECONDS_MAX))
}

const SECONDS_MAX: u64 = 1 << 31;

/// The value of a field that must have one line; `None` if it has several.
pub(super) fn only<'f>(fields: Fields<'f>, name: HeaderName) -> Option<&'f HeaderValue> {
    let mut lines = fields.get_all(name);
    lines.next().filter(|_| lines.next().is_none())
}

/// The instant of a field that must have one line with a date.
pub(super) fn date(fields: Fields<'_>, name: HeaderName, now: Timestamp) -> Option<Timestamp> {
    parse_date(only(fields, name)?, now)
}

fn parse_date(value: &HeaderValue, now: Timestamp) -> Option<Timestamp> {
    Timestamp::from_http_date(value.to_str().ok()?, now)
}

/// The age on arrival (RFC 9111, section 4.2.3): the one that `Age` reports and the time that the exchange took, or the time
/// since the response was created, whichever is larger.
///
/// `Age` is one number. Of several the largest counts, and what is not a number is ignored (section 5.1).
pub(super) fn initial_age_ms(fields: Fields<'_>, requested_at: Timestamp, now: Timestamp) -> u64 {
    let ages = fields.get_all(AGE).flat_map(|line| members(line.as_bytes(), b','));
    let reported_s = ages.filter_map(delta_seconds).max().unwrap_or(0);
    let corrected_ms = (reported_s * 1000).saturating_add(now.millis_since(requested_at));
    // `Date` has whole seconds: an age below one second counts as 0.
    let created = fields.get_all(DATE).filter_map(|line| parse_date(line, now)).min();
    let apparent_ms = created.map_or(0, |date| now.millis_since(date) / 1000 * 1000);
    corrected_ms.max(apparent_ms)
}

/// The declared length of the content.
///
/// # Errors
/// If it is not one number: such a response is not forwarded either.
pub(super) fn declared_length(fields: Fields<'_>) -> Result<Option<u64>, NotStored> {
    if !fields.contains(CONTENT_LENGTH) {
        return Ok(None);
    }
    let digits =
        only(fields, CONTENT_LENGTH).map(HeaderValue::as_bytes).filter(|text| text.iter().all(u8::is_ascii_digit));
    let number = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    number.map(Some).ok_or(NotStored::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn fields(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (HeaderName::from_static(name), line.parse().unwrap())).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_is_as_old_as_the_largest_age_it_reports() {
        let at = Timestamp::from_millis;
        for (lines, want_s) in [
            (&["3600"][..], 3600),
            (&["3600, 0"], 3600),
            (&["0, 3600"], 3600),
            (&["3600", "0"], 3600),
            (&["x, 3600"], 3600),
            (&["x"], 0),
            (&["-5"], 0),
            (&[], 0),
        ] {
            let map = fields("age", lines);
            let age_ms = |requested| initial_age_ms(Fields::from(&map), at(requested), at(900));
            assert_eq!((age_ms(900), age_ms(200)), (want_s * 1000, want_s * 1000 + 700), "{lines:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_length_is_one_number() {
        for (lines, want) in [
            (&[][..], Ok(None)),
            (&["5"], Ok(Some(5))),
            (&["5, 5"], Err(NotStored::Length)),
            (&["5", "6"], Err(NotStored::Length)),
            (&["+5"], Err(NotStored::Length)),
            (&[""], Err(NotStored::Length)),
            (&["99999999999999999999999"], Err(NotStored::Length)),
        ] {
            assert_eq!(declared_length(Fields::from(&fields("content-length", lines))), want, "{lines:?}");
        }
    }
}
