//! Writes scalars: plain if that is safe, otherwise in double quotes, or in single quotes if double quotes would require
//! escapes for quotes and backslashes.

use std::borrow::Cow;

use crate::source::{Value, resolve, yaml_1_1_boolean};

/// A value that was written plain.
pub(super) fn plain(text: &str, in_flow: bool) -> Cow<'_, str> {
    if is_plain(text, in_flow) || !matches!(resolve(text), Value::Text(_)) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(quoted(text))
    }
}

/// A key that was written plain.
pub(super) fn plain_key(text: &str, in_flow: bool) -> Cow<'_, str> {
    if is_plain(text, in_flow) { Cow::Borrowed(text) } else { Cow::Owned(quoted(text)) }
}

/// A text that was written with quotes, which are removed if they make no difference to any parser.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if needs_no_quotes(text) { Cow::Borrowed(text) } else { Cow::Owned(quoted(text)) }
}

/// Whether a plain scalar of this text is parsed as the same text.
pub(super) fn is_plain(text: &str, in_flow: bool) -> bool {
    let flow_mark = |c: char| matches!(c, ',' | '[' | ']' | '{' | '}');
    let mut characters = text.chars();
    let begins = match characters.next() {
        None | Some(' ') => false,
        Some('-' | '?' | ':') => {
            characters.next().is_some_and(|c| c != ' ' && !(in_flow && (flow_mark(c) || c == ':')))
        }
        Some(c) => !flow_mark(c) && !matches!(c, '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'),
    };
    let is_marker = ["---", "..."]
        .iter()
        .any(|mark| text.strip_prefix(mark).is_some_and(|rest| rest.is_empty() || rest.starts_with(' ')));
    let ends = text.ends_with([' ', ':']) || text.contains(": ") || text.contains(" #");
    let closes = in_flow && text.contains(flow_mark);
    begins && !is_marker && !ends && !closes && text.chars().all(is_printable)
}

/// Stricter than [`is_plain`]: the text is also a string in YAML 1.1, and people do not mistake it for another type.
fn needs_no_quotes(text: &str) -> bool {
    let harmless = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '$' | '~' | ' ');
    let begins = text.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '_' | '$'));
    // A quantity: `10s`, `64KiB`, `100/min`.
    let quantity = text.starts_with(|c: char| matches!(c, '1'..='9'))
        && !text.contains(' ')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '/')
        && text.contains(|c: char| c.is_ascii_alphabetic() || c == '/');
    ((begins && text.chars().all(harmless)) || quantity)
        && is_plain(text, true)
        && matches!(resolve(text), Value::Text(_))
        && yaml_1_1_boolean(text).is_none()
}

fn quoted(text: &str) -> String {
    let printable = text.chars().all(is_printable);
    if printable && text.contains(['"', '\\']) && !text.contains('\'') {
        return format!("'{text}'");
    }
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Characters that need no escape in a text: no control characters, line breaks or invisible characters.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: &str) {
        assert_eq!(text(given), expected);
    }

    #[test]
    fn redundant_quotes_are_removed() {
        for given in ["a", "GET", "pets.read", "/pets/v1", "a b", "10s", "64KiB", "100/min", "é", "$x"] {
            check(given, given);
        }
    }

    #[test]
    fn quotes_are_kept_if_some_parser_reads_another_type_without_them() {
        for given in [
            "",
            "yes",
            "NO",
            "null",
            "true",
            "~",
            "1",
            "1e3",
            "0x1f",
            "1_000",
            "12:30",
            "2026-01-31",
            ".5",
            "-",
            "a:",
            "a: b",
            "a #b",
            "*",
            "*.example.com",
            "{id}",
            "a,b",
            "[",
            "#",
            "&a",
            "!",
            "%",
            "@",
            "`",
            " a",
            "a ",
            "---",
            "<<",
            "https://a.example",
            "0b1",
            "10",
            "1.2.3",
            "=",
        ] {
            check(given, &format!("\"{given}\""));
        }
    }

    #[test]
    fn single_quotes_are_used_where_double_quotes_would_need_escapes() {
        check(r"^\d+$", r"'^\d+$'");
        check(r#"say "hi""#, r#"'say "hi"'"#);
        check("it's \\", r#""it's \\""#);
        check("a\nb\\", r#""a\nb\\""#);
        check("\u{0}\u{7f}\u{85}\u{2028}\u{feff}\u{202e}", r#""\u0000\u007f\u0085\u2028\ufeff\u202e""#);
    }

    #[test]
    fn plain_scalars_remain_plain_if_that_is_safe() {
        for (given, in_block, in_flow) in [
            ("/pets/{id}", true, false),
            ("http://a:1/b", true, true),
            ("-1", true, true),
            ("--x", true, true),
            ("?x", true, true),
            ("a\tb", false, false),
            ("-", false, false),
        ] {
            assert_eq!((is_plain(given, false), is_plain(given, true)), (in_block, in_flow), "{given}");
        }
        assert_eq!(plain("-1", false), "-1");
    }
}
