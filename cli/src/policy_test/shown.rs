//! Values for a report: short, and safe for a terminal.

use crate::terminal::printable;

/// A text in quotes, so that spaces at its ends are visible.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(&printable(text)))
}

/// Pretty-printed JSON, for a comparison line by line.
pub(super) fn json_text(value: &serde_json::Value) -> String {
    cut(&format!("{value:#}"))
}

/// Content that should be JSON: pretty-printed if it is.
pub(super) fn json_content(bytes: &[u8]) -> String {
    serde_json::from_slice(bytes).map_or_else(|_| content_text(bytes), |value| json_text(&value))
}

/// Content as text, or its size if it is binary.
pub(super) fn content_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok("") => "no content".to_owned(),
        Ok(text) => quoted(text),
        Err(_) => format!("{} binary bytes", bytes.len()),
    }
}

fn cut(text: &str) -> String {
    if text.len() <= SHOWN_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}... ({} bytes)", &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)], text.len())
}

/// The longest text that is shown in full; more does not help to see a difference.
const SHOWN_BYTES_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_shown_as_what_it_is() {
        assert_eq!(content_text(b""), "no content");
        assert_eq!(content_text(b"{\"a\":1}"), "\"{\"a\":1}\"");
        assert_eq!(json_content(b"{\"a\":1}"), "{\n  \"a\": 1\n}");
        assert_eq!(json_content(b"a"), "\"a\"");
        assert_eq!(content_text(b"a\x1b[0m"), "\"a\u{fffd}[0m\"");
        assert_eq!(content_text(b"\xff\xfe"), "2 binary bytes");
        let long = content_text(&[b'x'; 5_000]);
        assert!(long.len() < 2_100 && long.ends_with("... (5000 bytes)\""), "{long}");
    }
}
