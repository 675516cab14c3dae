use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use super::calendar::{civil_from_days, days_of, micros_of, offset_us, split_fraction};
use super::{MICROS_PER_MS, MICROS_PER_S};
use crate::codec::{Decode, Failed, Reader};
use crate::json::{FromJson, Unfit, Value, form};
use crate::text::digits;

/// An instant of the wall clock, in microseconds since the Unix epoch.
///
/// Wall clocks step back, so no age or deadline in memory is a timestamp: see [`super::MonotonicInstant`]. Workers' clocks
/// move only across I/O, so two timestamps taken without an answer between them may be equal.
///
/// Text formats such as JSON hold it as RFC 3339, binary formats as the number of microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The epoch itself.
    pub const EPOCH: Self = Self(0);

    /// The last instant that RFC 3339 can write: the end of the year 9999. No timestamp is later.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The instant `us` microseconds after the epoch, at most [`Self::MAX`].
    #[must_use]
    pub const fn from_micros(us: u64) -> Self {
        if us > Self::MAX.0 { Self::MAX } else { Self(us) }
    }

    /// The instant `ms` milliseconds after the epoch, at most [`Self::MAX`].
    #[must_use]
    pub const fn from_millis(ms: u64) -> Self {
        Self::from_micros(ms.saturating_mul(MICROS_PER_MS))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / MICROS_PER_MS
    }

    /// Whole seconds since the epoch, rounded down.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / MICROS_PER_S
    }

    /// The instant `us` microseconds later, at most [`Self::MAX`].
    #[must_use]
    pub const fn plus_micros(self, us: u64) -> Self {
        Self::from_micros(self.0.saturating_add(us))
    }

    /// The instant `ms` milliseconds later, at most [`Self::MAX`].
    #[must_use]
    pub const fn plus_millis(self, ms: u64) -> Self {
        self.plus_micros(ms.saturating_mul(MICROS_PER_MS))
    }

    /// The instant `ms` milliseconds earlier, at least the epoch.
    #[must_use]
    pub const fn minus_millis(self, ms: u64) -> Self {
        Self(self.0.saturating_sub(ms.saturating_mul(MICROS_PER_MS)))
    }

    /// Microseconds passed since `earlier`; 0 when `earlier` is later, as clocks may step back.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Whole milliseconds passed since `earlier`; 0 when `earlier` is later, as clocks may step back.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> u64 {
        self.micros_since(earlier) / MICROS_PER_MS
    }

    /// The instant as RFC 3339 in UTC, cut to milliseconds for people: `2026-01-31T23:59:50.000Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let mut text = String::with_capacity(RFC3339_BYTES);
        self.write_rfc3339(&mut text);
        text
    }

    /// Adds the instant to a text, as [`Self::to_rfc3339`].
    pub fn write_rfc3339(self, out: &mut String) {
        self.write_second(out);
        self.write_millis(out);
    }

    /// Adds what follows the second in [`Self::to_rfc3339`].
    pub(crate) fn write_millis(self, out: &mut String) {
        out.push('.');
        digits::<3>(out, self.0 % MICROS_PER_S / MICROS_PER_MS);
        out.push('Z');
    }

    /// The instant as RFC 3339 in UTC and in full, with as much of a fraction as there is: `2026-01-31T23:59:50.00025Z`.
    #[must_use]
    pub fn to_rfc3339_exact(self) -> String {
        let mut text = String::with_capacity(RFC3339_BYTES);
        self.write_second(&mut text);
        let us = self.0 % MICROS_PER_S;
        if us != 0 {
            text.push('.');
            digits::<6>(&mut text, us);
            text.truncate(text.trim_end_matches('0').len());
        }
        text.push('Z');
        text
    }

    /// Reads RFC 3339 (section 5.6) with any offset, to the microsecond; `None` when it is not that, or out of range.
    #[must_use]
    pub fn from_rfc3339(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let (clock, rest) = rest.split_at_checked(8)?;
        let (fraction_us, zone) = split_fraction(rest)?;
        let us = micros_of(clock)?.checked_add(fraction_us)?;
        let local = days_of(date)?.checked_mul(DAY_US.cast_signed())?.checked_add(us)?;
        let utc = u64::try_from(local.checked_sub(offset_us(zone)?)?).ok()?;
        (utc <= Self::MAX.0).then_some(Self(utc))
    }

    fn write_second(self, out: &mut String) {
        // Digits and separators are always text.
        out.push_str(std::str::from_utf8(&self.second_text()).unwrap_or_default());
    }

    /// Date and time of day up to the second, without a zone.
    pub(crate) fn second_text(self) -> [u8; SECOND_BYTES] {
        let (year, month, day) = civil_from_days((self.0 / DAY_US).cast_signed());
        let s = self.0 % DAY_US / MICROS_PER_S;
        let mut text = *b"0000-00-00T00:00:00";
        let numbers = [year.unsigned_abs(), u64::from(month), u64::from(day), s / 3_600, s / 60 % 60, s % 60];
        for (part, number) in text.split_mut(|byte| !byte.is_ascii_digit()).zip(numbers) {
            put_digits(part, number);
        }
        text
    }
}

fn put_digits(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

/// Bytes of a date and a time of day.
pub(crate) const SECOND_BYTES: usize = 19;

/// Bytes of an instant in RFC 3339, at most.
const RFC3339_BYTES: usize = 27;

pub(super) const DAY_US: u64 = 86_400 * MICROS_PER_S;

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_rfc3339_exact())
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            u64::deserialize(deserializer).map(Self::from_micros)
        }
    }
}

/// Reads a timestamp's text form.
struct Text;

impl Visitor<'_> for Text {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2026-01-31T23:59:50Z")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        Timestamp::from_rfc3339(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

impl FromJson for Timestamp {
    fn blank() -> Self {
        Self::from_micros(0)
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        *self = Self::from_rfc3339(form::text(&value)?).ok_or(Unfit::VALUE)?;
        Ok(())
    }
}

/// In microseconds.
impl Decode for Timestamp {
    fn blank() -> Self {
        Self::from_micros(0)
    }

    fn decode(&mut self, reader: &mut Reader<'_>) -> Result<(), Failed> {
        *self = Self::from_micros(reader.number()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(rfc3339: &str, us: u64, http: &str) {
        let instant = Timestamp::from_rfc3339(rfc3339).unwrap();
        assert_eq!(instant.as_micros(), us);
        assert_eq!(instant.to_http_date(), http);
        assert_eq!(Timestamp::from_rfc3339(&instant.to_rfc3339_exact()), Some(instant));
        assert_eq!(Timestamp::from_rfc3339(&instant.to_rfc3339()).unwrap().as_millis(), instant.as_millis());
        assert_eq!(Timestamp::from_http_date(http, instant).unwrap().as_secs(), instant.as_secs());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn written_and_read_back() {
        check("1970-01-01T00:00:00Z", 0, "Thu, 01 Jan 1970 00:00:00 GMT");
        check("1994-11-06T08:49:37Z", 784_111_777_000_000, "Sun, 06 Nov 1994 08:49:37 GMT");
        check("2024-02-29T23:59:59.999Z", 1_709_251_199_999_000, "Thu, 29 Feb 2024 23:59:59 GMT");
        check("2026-02-01T01:00:00+01:00", 1_769_904_000_000_000, "Sun, 01 Feb 2026 00:00:00 GMT");
        check("2026-02-01T00:00:00.00025Z", 1_769_904_000_000_250, "Sun, 01 Feb 2026 00:00:00 GMT");
        check("9999-12-31T23:59:59.999999Z", Timestamp::MAX.as_micros(), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn people_see_milliseconds_and_records_keep_microseconds() {
        let instant = Timestamp::from_rfc3339("2026-02-01T00:00:00.0302507Z").unwrap();
        assert_eq!(instant.to_rfc3339(), "2026-02-01T00:00:00.030Z");
        assert_eq!(serde_json::to_string(&instant).unwrap(), "\"2026-02-01T00:00:00.03025Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>("\"2026-02-01T00:00:00.03025Z\"").unwrap(), instant);
        assert!(serde_json::from_str::<Timestamp>("1769904000000").is_err());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn no_instant_is_later_than_can_be_written() {
        for late in [Timestamp::from_millis(u64::MAX), Timestamp::MAX.plus_micros(1), Timestamp::from_micros(u64::MAX)]
        {
            assert_eq!(late, Timestamp::MAX);
        }
        assert_eq!(Timestamp::from_rfc3339("9999-12-31T23:59:59-01:00"), None);
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
