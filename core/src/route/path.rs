//! The path of a request, parsed once: the gateway routes on the same path that the upstream sees.
//!
//! The written rule:
//! 1. The path begins with `/` and is split at every literal `/`. An empty segment is refused, except the last one
//!    (a trailing slash, which is part of the path's identity).
//! 2. Percent escapes must be whole, and decode to valid UTF-8 without control characters.
//! 3. Refused, because two parsers of the same bytes disagree about them: an escaped slash or backslash (`%2F`, `%5C`),
//!    a literal backslash, NUL and other control characters however written, an escape that decodes to another escape
//!    (`%25` followed by two hexadecimal digits), and dot segments in any spelling (`.`, `..`, `%2e%2E`, and with path
//!    parameters as in `..;a=b`).
//! 4. What remains is written in one form: unreserved characters literally, everything outside `pchar` (RFC 3986,
//!    section 3.3) as upper-case escapes. A reserved character stays as it was sent, literal or escaped, because the two
//!    are not equivalent (section 2.2). That form goes to the upstream; its decoded segments are what is matched.
//! 5. A literal `;` begins parameters of a segment (section 3.3; often called matrix parameters), which some servers remove
//!    before they select a resource. Such a path is refused, unless its route allows them and is also the route of the
//!    path without them.

use thiserror::Error;

use crate::hex;

/// Why a path was refused: the violated clause of the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PathError {
    /// Does not begin with a slash.
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    /// Longer than [`crate::bounds::TARGET_BYTES_MAX`].
    #[error("the path is too long")]
    TooLong,
    /// More than [`crate::bounds::PATH_SEGMENTS_MAX`] segments.
    #[error("the path has too many segments")]
    TooManySegments,
    /// `//` within the path.
    #[error("the path has an empty segment (`//`)")]
    EmptySegment,
    /// `.` or `..` in any encoding.
    #[error("the path has a dot segment (`.` or `..`)")]
    DotSegment,
    /// `%2F`, `%5C` or a backslash.
    #[error("the path has an escaped slash or a backslash")]
    EncodedSlash,
    /// A control character, such as `%00`.
    #[error("the path has a control character")]
    Control,
    /// An escape of an escape.
    #[error("the path is percent-encoded twice")]
    DoubleEncoding,
    /// `%` without two hexadecimal digits.
    #[error("the path has a `%` that is not followed by two hexadecimal digits")]
    BrokenEscape,
    /// The decoded bytes are not UTF-8.
    #[error("the path is not valid UTF-8")]
    NotUtf8,
    /// A literal `;` on a route that does not allow it.
    #[error("the path has matrix parameters (`;`), which its route does not allow")]
    Parameters,
}

/// A path that satisfies the rule of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CanonicalPath {
    encoded: String,
    /// The path without escapes, if it has some. No segment contains a slash when it is decoded.
    decoded: Option<String>,
    has_parameters: bool,
}

/// Decoded segments of a path, in order; a trailing slash is a last segment that is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathSegments<'p>(Option<&'p str>);

impl PathError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAbsolute => "not-absolute",
            Self::TooLong => "too-long",
            Self::TooManySegments => "too-many-segments",
            Self::EmptySegment => "empty-segment",
            Self::DotSegment => "dot-segment",
            Self::EncodedSlash => "encoded-slash",
            Self::Control => "control",
            Self::DoubleEncoding => "double-encoding",
            Self::BrokenEscape => "broken-escape",
            Self::NotUtf8 => "not-utf8",
            Self::Parameters => "matrix-parameters",
        }
    }
}

impl CanonicalPath {
    /// Parses a request's raw path.
    ///
    /// # Errors
    /// If a clause of the rule refuses it.
    pub fn parse(raw: &[u8]) -> Result<Self, PathError> {
        if raw.len() > crate::bounds::TARGET_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let rest = raw.strip_prefix(b"/").ok_or(PathError::NotAbsolute)?;
        if rest.iter().all(|byte| *byte == b'/' || is_pchar(*byte)) {
            return Self::literal(raw, rest);
        }
        let count = rest.iter().filter(|b| **b == b'/').count() + 1;
        if count > crate::bounds::PATH_SEGMENTS_MAX {
            return Err(PathError::TooManySegments);
        }
        let (mut encoded, mut decoded) = (String::with_capacity(raw.len() + 8), Vec::with_capacity(raw.len()));
        for (index, segment) in rest.split(|b| *b == b'/').enumerate() {
            let last = index + 1 == count;
            if segment.is_empty() && !last {
                return Err(PathError::EmptySegment);
            }
            encoded.push('/');
            decoded.push(b'/');
            push(&mut encoded, &mut decoded, segment)?;
        }
        let decoded = (decoded != encoded.as_bytes()).then(|| String::from_utf8(decoded));
        Ok(Self::new(encoded, decoded.transpose().map_err(|_| PathError::NotUtf8)?))
    }

    fn new(encoded: String, decoded: Option<String>) -> Self {
        let has_parameters = encoded.bytes().any(|byte| byte == b';');
        Self { encoded, decoded, has_parameters }
    }

    /// A path in which nothing is encoded, as most are: `pchar` are text, and none is a control character.
    fn literal(raw: &[u8], rest: &[u8]) -> Result<Self, PathError> {
        let mut left = rest.iter().filter(|byte| **byte == b'/').count();
        if left >= crate::bounds::PATH_SEGMENTS_MAX {
            return Err(PathError::TooManySegments);
        }
        for segment in rest.split(|byte| *byte == b'/') {
            match segment.first() {
                None if left > 0 => return Err(PathError::EmptySegment),
                Some(b'.') => check_segment(segment)?,
                None | Some(_) => {}
            }
            left = left.saturating_sub(1);
        }
        let encoded = std::str::from_utf8(raw).map_err(|_| PathError::NotUtf8)?.to_owned();
        Ok(Self::new(encoded, None))
    }

    /// The path as forwarded: canonical percent-encoding, beginning with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.encoded
    }

    /// The decoded segments.
    #[must_use]
    pub fn segments(&self) -> PathSegments<'_> {
        PathSegments(self.decoded.as_ref().unwrap_or(&self.encoded).strip_prefix('/'))
    }

    /// The canonical path without its first `count` segments: empty if nothing is left, also of the path `/`, otherwise
    /// beginning with `/`.
    #[must_use]
    pub fn without_base(&self, count: usize) -> &str {
        let mut slashes = self.encoded.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        let rest = slashes.nth(count).map_or("", |at| &self.encoded[at..]);
        if rest.len() == self.encoded.len() && rest == "/" { "" } else { rest }
    }

    /// Whether a segment has matrix parameters: a literal `;`.
    #[must_use]
    pub const fn has_parameters(&self) -> bool {
        self.has_parameters
    }

    /// The path as a server reads it that removes matrix parameters.
    ///
    /// # Errors
    /// If that path would be refused.
    pub fn without_parameters(&self) -> Result<Self, PathError> {
        let plain = self.encoded.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
        Self::parse(plain.collect::<Vec<_>>().join("/").as_bytes())
    }
}

impl<'p> PathSegments<'p> {
    /// The remaining segments, with slashes between them; `None` if there are none.
    #[must_use]
    pub const fn as_str(self) -> Option<&'p str> {
        self.0
    }

    /// The first segment, and those after it.
    #[must_use]
    pub fn split_first(self) -> Option<(&'p str, Self)> {
        let text = self.0?;
        Some(text.split_once('/').map_or((text, Self(None)), |(first, rest)| (first, Self(Some(rest)))))
    }
}

impl<'p> Iterator for PathSegments<'p> {
    type Item = &'p str;

    fn next(&mut self) -> Option<&'p str> {
        let (first, rest) = self.split_first()?;
        *self = rest;
        Some(first)
    }
}

/// Adds a segment of a request: its canonical form and its decoded text.
fn push(encoded: &mut String, decoded: &mut Vec<u8>, segment: &[u8]) -> Result<(), PathError> {
    let start = decoded.len();
    let mut rest = segment;
    while let Some((&first, tail)) = rest.split_first() {
        let is_escaped = first == b'%';
        let (byte, tail) = if is_escaped { unescape(tail)? } else { (first, tail) };
        match byte {
            b'/' | b'\\' => return Err(PathError::EncodedSlash),
            0..=0x1f | 0x7f => return Err(PathError::Control),
            b'%' if starts_with_hex_pair(tail) => return Err(PathError::DoubleEncoding),
            _ => decoded.push(byte),
        }
        let is_literal = if is_escaped { is_unreserved(byte) } else { is_pchar(byte) };
        push_byte(encoded, byte, is_literal);
        rest = tail;
    }
    let text = std::str::from_utf8(&decoded[start..]).map_err(|_| PathError::NotUtf8)?;
    // U+0080 to U+009F are control characters too, and only this check finds them.
    if text.chars().any(char::is_control) {
        return Err(PathError::Control);
    }
    check_segment(text.as_bytes())
}

/// Writes decoded text as one segment that has no matrix parameters.
pub(crate) fn encode_into(out: &mut String, segment: &str) {
    for byte in segment.bytes() {
        push_byte(out, byte, is_pchar(byte) && byte != b';');
    }
}

fn push_byte(out: &mut String, byte: u8, is_literal: bool) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if is_literal {
        out.push(char::from(byte));
    } else {
        out.push('%');
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Refuses a segment that is `.` or `..` before its parameters.
fn check_segment(decoded: &[u8]) -> Result<(), PathError> {
    let is_dot_segment = matches!(decoded.split(|byte| *byte == b';').next(), Some(b"." | b".."));
    if is_dot_segment { Err(PathError::DotSegment) } else { Ok(()) }
}

fn unescape(tail: &[u8]) -> Result<(u8, &[u8]), PathError> {
    let [high, low, tail @ ..] = tail else {
        return Err(PathError::BrokenEscape);
    };
    let (high, low) = hex::digit(*high).zip(hex::digit(*low)).ok_or(PathError::BrokenEscape)?;
    Ok((high << 4 | low, tail))
}

/// Whether a decoded `%` would be read as an escape by a second decoder: `%41` after it, or `%%34%31` fully encoded.
fn starts_with_hex_pair(tail: &[u8]) -> bool {
    let Some((first, tail)) = next_decoded(tail) else {
        return false;
    };
    let Some((second, _)) = next_decoded(tail) else {
        return false;
    };
    first.is_ascii_hexdigit() && second.is_ascii_hexdigit()
}

fn next_decoded(tail: &[u8]) -> Option<(u8, &[u8])> {
    match tail.split_first()? {
        (b'%', rest) => unescape(rest).ok(),
        (byte, rest) => Some((*byte, rest)),
    }
}

/// `unreserved` of RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// `pchar` of RFC 3986, section 3.3, without `%`.
const fn is_pchar(byte: u8) -> bool {
    PCHAR[byte as usize]
}

const PCHAR: [bool; 256] = {
    let mut all = [false; 256];
    let mut at: u8 = 0;
    while at < 0x7f {
        all[at as usize] = matches!(at, b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&'..=b',' | b';' | b'=' | b':' | b'@');
        at += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(raw: &str, want: Result<&str, PathError>) {
        assert_eq!(
            CanonicalPath::parse(raw.as_bytes()).as_ref().map(CanonicalPath::as_str),
            want.as_ref().map(|s| *s),
            "{raw}"
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_spelling_remains() {
        check("/", Ok("/"));
        check("/a/b", Ok("/a/b"));
        check("/a/", Ok("/a/"));
        check("/%61%7Eb", Ok("/a~b"));
        check("/caf%c3%a9", Ok("/caf%C3%A9"));
        check("/café", Ok("/caf%C3%A9"));
        check("/a b|c", Ok("/a%20b%7Cc"));
        check("/100%25", Ok("/100%25"));
        check("/100%25.txt", Ok("/100%25.txt"));
        check("/a;v=1/..b", Ok("/a;v=1/..b"));
        check("/a%3Fb%23c", Ok("/a%3Fb%23c"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_reserved_character_stays_as_it_was_sent() {
        for byte in b"!$&'()*+,;=:@" {
            let (literal, escaped) = (format!("/a{}b", char::from(*byte)), format!("/a%{byte:02X}b"));
            check(&literal, Ok(&literal));
            check(&escaped, Ok(&escaped));
            check(&format!("/a%{byte:02x}b"), Ok(&escaped));
            let [one, other] = [&literal, &escaped].map(|raw| CanonicalPath::parse(raw.as_bytes()).unwrap());
            assert_eq!(one.segments(), other.segments());
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn matrix_parameters_are_literal_and_can_be_removed() {
        let plain = |raw: &str| {
            let path = CanonicalPath::parse(raw.as_bytes()).unwrap();
            assert!(path.has_parameters(), "{raw}");
            path.without_parameters().map(|path| path.as_str().to_owned())
        };
        assert!(!CanonicalPath::parse(b"/a%3Bb").unwrap().has_parameters());
        assert_eq!(plain("/admin;x/users;y=1;z").as_deref(), Ok("/admin/users"));
        assert_eq!(plain("/a/;x").as_deref(), Ok("/a/"));
        assert_eq!(plain("/;x/a"), Err(PathError::EmptySegment));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_two_readers_could_read_differently_is_refused() {
        for raw in ["/.", "/..", "/a/../b", "/%2e%2E/b", "/.%2e", "/..;/admin", "/..;a=b/admin", "/.;x", "/%2e%2e%3b/x"]
        {
            check(raw, Err(PathError::DotSegment));
        }
        for raw in ["/a%2fb", "/a%2Fb", "/a%5cb", "/a\\b"] {
            check(raw, Err(PathError::EncodedSlash));
        }
        for raw in ["/%252e%252e/", "/%25%32%65", "/a%2541"] {
            check(raw, Err(PathError::DoubleEncoding));
        }
        for raw in ["/%00", "/a%0d%0ab", "/\u{7f}", "/%c2%80"] {
            check(raw, Err(PathError::Control));
        }
        for raw in ["/%", "/%4", "/%zz", "/%u0041"] {
            check(raw, Err(PathError::BrokenEscape));
        }
        for raw in ["//", "//a", "/a//b", "/a//"] {
            check(raw, Err(PathError::EmptySegment));
        }
        for raw in ["/%ff", "/%c0%ae%c0%ae", "/%e0%80%af"] {
            check(raw, Err(PathError::NotUtf8));
        }
        check("", Err(PathError::NotAbsolute));
        check("a/b", Err(PathError::NotAbsolute));
        check(&"/a".repeat(300), Err(PathError::TooManySegments));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_base_is_taken_off_by_segments() {
        let path = CanonicalPath::parse(b"/pets/v1/a%20b/").unwrap();
        assert_eq!(path.without_base(0), "/pets/v1/a%20b/");
        assert_eq!(path.without_base(2), "/a%20b/");
        assert_eq!((path.without_base(3), path.without_base(4)), ("/", ""));
        let rest =
            |raw: &'static str, count| CanonicalPath::parse(raw.as_bytes()).unwrap().without_base(count).to_owned();
        assert_eq!((rest("/pets", 1), rest("/pets/", 1)), (String::new(), "/".to_owned()));
        assert_eq!(rest("/", 0), "");
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_stable_and_free_of_traps(raw in proptest::collection::vec(any::<u8>(), 0..60)) {
            let mut bytes = b"/".to_vec();
            bytes.extend(&raw);
            if let Ok(path) = CanonicalPath::parse(&bytes) {
                let again = CanonicalPath::parse(path.as_str().as_bytes()).unwrap();
                prop_assert_eq!(&again, &path);
                prop_assert!(path.as_str().is_ascii());
                prop_assert!(!path.as_str().contains("//"));
                if let Ok(plain) = path.without_parameters() {
                    prop_assert!(!plain.has_parameters() && plain.segments().count() == path.segments().count());
                }
                prop_assert!(!path.segments().any(|s| s == ".." || s == "." || s.contains(['/', '\\', '\0'])));
            }
        }
    }
}
