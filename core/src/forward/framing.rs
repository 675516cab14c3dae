//! The framing of messages: it is derived or checked, never copied (RFC 9112, section 6; RFC 9110, section 8.6).

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Edits, UpstreamError};
use crate::bounds::{RESPONSE_FIELD_BYTES_MAX, RESPONSE_FIELD_LINES_MAX};

/// What the fields say about the length of a message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A transfer coding: `chunked`, and nothing else. A `Content-Length` beside it has no meaning.
    Chunked,
    /// So many bytes.
    Length(u64),
    /// Nothing.
    Unstated,
}

/// Why the fields about a message's framing cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// A transfer coding other than `chunked`, or `chunked` twice.
    Coding,
    /// Different lengths.
    LengthsDiffer,
    /// A length that is not a number.
    NotANumber,
}

impl Framing {
    /// Reads the fields; the same length several times is one length (RFC 9110, section 8.6).
    ///
    /// # Errors
    /// If no recipient could know where the content ends, or what it is.
    pub fn of(fields: &HeaderMap) -> Result<Self, FramingError> {
        // Two look-ups of a name cost more than a pass over all.
        let (mut is_coded, mut lines, mut last) = (false, 0, None);
        for (name, value) in fields {
            if *name == TRANSFER_ENCODING {
                is_coded = true;
            } else if *name == CONTENT_LENGTH {
                (lines, last) = (lines + 1, Some(value));
            }
        }
        if is_coded {
            let mut codings = elements(fields.get_all(TRANSFER_ENCODING));
            match codings.next().map(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
                Some(true) if codings.next().is_none() => return Ok(Self::Chunked),
                Some(_) => return Err(FramingError::Coding),
                None => {}
            }
        }
        let Some(line) = last else { return Ok(Self::Unstated) };
        if lines == 1
            && let Some(length) = number(line.as_bytes())
        {
            return Ok(Self::Length(length));
        }
        let mut lengths = elements(fields.get_all(CONTENT_LENGTH)).map(number);
        let Some(first) = lengths.next() else { return Ok(Self::Unstated) };
        let first = first.ok_or(FramingError::NotANumber)?;
        match lengths.find(|other| *other != Some(first)) {
            Some(Some(_)) => Err(FramingError::LengthsDiffer),
            Some(None) => Err(FramingError::NotANumber),
            None => Ok(Self::Length(first)),
        }
    }
}

/// Checks that an upstream's response is one that can be forwarded: a final response with a known end, within the
/// bounds for fields.
///
/// # Errors
/// The error type of RFC 9209 that says what is wrong with it.
pub fn check_response(status: StatusCode, fields: &HeaderMap) -> Result<(), UpstreamError> {
    let bytes: usize = fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if fields.len() > RESPONSE_FIELD_LINES_MAX || bytes > RESPONSE_FIELD_BYTES_MAX {
        return Err(UpstreamError::HttpResponseHeaderSectionSize);
    }
    if !fields.values().all(is_trimmed) {
        return Err(UpstreamError::HttpProtocolError);
    }
    if !(200..=599).contains(&status.as_u16()) {
        return Err(UpstreamError::HttpResponseStatus);
    }
    match Framing::of(fields) {
        Ok(_) => Ok(()),
        Err(FramingError::Coding) => Err(UpstreamError::HttpResponseTransferCoding),
        Err(FramingError::LengthsDiffer | FramingError::NotANumber) => Err(UpstreamError::HttpResponseLength),
    }
}

/// Whether a value has no blanks around it (RFC 9110, section 5.5).
#[must_use]
pub fn is_trimmed(value: &HeaderValue) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let bytes = value.as_bytes();
    !is_blank(bytes.first()) && !is_blank(bytes.last())
}

/// Leaves at most one `Content-Length` line with one number, and none where it has no meaning.
pub(super) fn frame_response(edits: &mut Edits, status: StatusCode, fields: &HeaderMap) {
    let mut lines = fields.get_all(CONTENT_LENGTH).iter();
    let Some(line) = lines.next() else { return };
    match Framing::of(fields) {
        Ok(Framing::Length(_)) if status == StatusCode::NO_CONTENT => edits.remove(CONTENT_LENGTH),
        Ok(Framing::Length(length)) => {
            if lines.next().is_some() || line.as_bytes().contains(&b',') {
                edits.set(CONTENT_LENGTH, HeaderValue::from(length));
            }
        }
        Ok(Framing::Chunked | Framing::Unstated) | Err(_) => edits.remove(CONTENT_LENGTH),
    }
}

/// The elements of a list field that are not empty (RFC 9110, section 5.6.1).
fn elements<'f>(lines: http::header::GetAll<'f, HeaderValue>) -> impl Iterator<Item = &'f [u8]> {
    let elements = lines.into_iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// `1*DIGIT`, within 64 bits.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_value_with_blanks_around_it_is_not_forwarded() {
        for (value, is_valid) in [("a", true), ("a b", true), ("", true), (" a", false), ("a\t", false), (" ", false)] {
            let checked = check_response(StatusCode::OK, &fields(&[("x-a", value)]));
            assert_eq!(checked.is_ok(), is_valid, "{value:?}");
        }
    }

    const LENGTH: &str = "content-length";
    const CODING: &str = "transfer-encoding";

    #[track_caller]
    fn check(lines: &[(&'static str, &'static str)], want: Result<Framing, FramingError>) {
        assert_eq!(Framing::of(&fields(lines)), want, "{lines:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_message_has_one_length_or_one_coding() {
        check(&[], Ok(Framing::Unstated));
        check(&[(LENGTH, "0")], Ok(Framing::Length(0)));
        check(&[(LENGTH, "5, 5"), (LENGTH, "5")], Ok(Framing::Length(5)));
        check(&[(CODING, "Chunked"), (LENGTH, "7")], Ok(Framing::Chunked));
        check(&[(LENGTH, "x"), (CODING, "chunked")], Ok(Framing::Chunked));
        for lengths in [&[(LENGTH, "5, 6")][..], &[(LENGTH, "5"), (LENGTH, "6")]] {
            check(lengths, Err(FramingError::LengthsDiffer));
        }
        for text in ["+5", "-5", "5a", "0x5", "5, x", "99999999999999999999"] {
            check(&[(LENGTH, text)], Err(FramingError::NotANumber));
        }
        for text in ["gzip", "gzip, chunked", "chunked, gzip", "chunked, chunked", "xchunked", "identity"] {
            check(&[(CODING, text)], Err(FramingError::Coding));
        }
        check(&[(CODING, "gzip"), (CODING, "chunked")], Err(FramingError::Coding));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_a_final_response_within_the_bounds_is_forwarded() {
        let status = |code| check_response(StatusCode::from_u16(code).unwrap(), &HeaderMap::new());
        for code in [200, 204, 304, 418, 599] {
            assert_eq!(status(code), Ok(()), "{code}");
        }
        for code in [100, 101, 103, 199, 600, 999] {
            assert_eq!(status(code), Err(UpstreamError::HttpResponseStatus), "{code}");
        }
        let of = |fields: &HeaderMap| check_response(StatusCode::OK, fields);
        assert_eq!(of(&fields(&[(CODING, "gzip, chunked")])), Err(UpstreamError::HttpResponseTransferCoding));
        assert_eq!(of(&fields(&[(LENGTH, "5, 6")])), Err(UpstreamError::HttpResponseLength));
        let mut many = HeaderMap::new();
        for _ in 0..RESPONSE_FIELD_LINES_MAX {
            many.append("a", HeaderValue::from_static("b"));
        }
        assert_eq!(of(&many), Ok(()));
        many.append("a", HeaderValue::from_static("b"));
        assert_eq!(of(&many), Err(UpstreamError::HttpResponseHeaderSectionSize));
        let long = HeaderValue::from_str(&"v".repeat(RESPONSE_FIELD_BYTES_MAX)).unwrap();
        assert_eq!(
            of(&HeaderMap::from_iter([(CONTENT_LENGTH, long)])),
            Err(UpstreamError::HttpResponseHeaderSectionSize)
        );
    }

    #[track_caller]
    fn check_sent(status: u16, lines: &[(&'static str, &'static str)], want: &[&str]) {
        let (received, mut edits) = (fields(lines), Edits::default());
        frame_response(&mut edits, StatusCode::from_u16(status).unwrap(), &received);
        let sent = edits.over(&received).to_map();
        assert_eq!(sent.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>(), want, "{lines:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_length_that_is_sent_is_one_number_or_absent() {
        check_sent(200, &[(LENGTH, "5")], &["5"]);
        check_sent(200, &[(LENGTH, "5, 5")], &["5"]);
        check_sent(200, &[(LENGTH, "5"), (LENGTH, "5")], &["5"]);
        check_sent(304, &[(LENGTH, "5")], &["5"]);
        check_sent(204, &[(LENGTH, "0")], &[]);
        check_sent(200, &[(LENGTH, "7"), (CODING, "chunked")], &[]);
    }
}
