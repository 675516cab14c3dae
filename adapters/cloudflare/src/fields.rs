//! Header fields between the platform and `http`: received as lines, `name\nvalue\n`, and sent as edits of the received
//! message, or as JSON for a new message.
//!
//! The platform decodes and encodes field values as UTF-8; invalid bytes are received as U+FFFD. The copy of a message has
//! the bytes as they were sent.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_core::forward::{Edit, Edits};
use tollgate_core::json;

/// Parses fields. Fields that `http` does not accept, and fields to omit, are not among them; the returned text has the
/// edits that remove these from a copy of the message.
pub(crate) fn parse(text: &str, mut left_out: impl FnMut(&HeaderName, &HeaderValue) -> bool) -> (HeaderMap, String) {
    let (mut fields, mut hidden, mut invalid) = (HeaderMap::new(), String::new(), Vec::new());
    let mut lines = text.split('\n');
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        // Blanks around a value are no part of it (RFC 9110, section 5.5); the platform leaves those behind it.
        let value = value.trim_matches([' ', '\t']);
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes())) {
            (Ok(name), Ok(value)) if !left_out(&name, &value) => drop(fields.append(name, value)),
            (Ok(name), Err(_)) => invalid.push(name),
            _ => line(&mut hidden, REMOVE, name, ""),
        }
    }
    for name in invalid {
        line(&mut hidden, REMOVE, name.as_str(), "");
        // Removing one line removes all of its name.
        for value in fields.get_all(&name) {
            line(&mut hidden, APPEND, name.as_str(), &text_of(value));
        }
    }
    (fields, hidden)
}

/// Writes the edits of some fields, three lines each: the operation, the name, the value.
pub(crate) fn write_edits(text: &mut String, edits: &Edits, is_written: impl Fn(&HeaderName) -> bool) {
    for edit in edits.as_slice().iter().filter(|edit| is_written(edit.name())) {
        let (kind, value) = match edit {
            Edit::Remove(_) => (REMOVE, None),
            Edit::Set(_, value) => (SET, Some(value)),
            Edit::Append(_, value) => (APPEND, Some(value)),
        };
        let value = value.map_or(Cow::Borrowed(""), text_of);
        line(text, kind, edit.name().as_str(), &value);
    }
}

/// The value as the platform would write it. Almost every value is ASCII, which is checked in larger steps than what may be
/// replaced.
fn text_of(value: &HeaderValue) -> Cow<'_, str> {
    std::str::from_utf8(value.as_bytes()).map_or_else(|_| String::from_utf8_lossy(value.as_bytes()), Cow::Borrowed)
}

fn line(text: &mut String, kind: &str, name: &str, value: &str) {
    for part in [kind, "\n", name, "\n", value, "\n"] {
        text.push_str(part);
    }
}

const REMOVE: &str = "-";
const SET: &str = "=";
const APPEND: &str = "+";

/// Writes fields as JSON for a JavaScript `Headers`: an object, which the platform reads fastest, or pairs if a name
/// occurs more than once.
pub(crate) fn to_json(fields: &HeaderMap) -> String {
    let is_object = fields.keys_len() == fields.len();
    let (open, between, close, end) = if is_object { ("", ":", "", "{}") } else { ("[", ",", "]", "[]") };
    let mut text = String::with_capacity(fields.len() * FIELD_BYTES_USUAL);
    text.push_str(&end[..1]);
    for (name, value) in fields {
        text.push_str(if text.len() > 1 { "," } else { "" });
        // A name is a token, so it needs no escapes.
        for part in [open, "\"", name.as_str(), "\"", between] {
            text.push_str(part);
        }
        json::string(&mut text, &text_of(value));
        text.push_str(close);
    }
    text.push_str(&end[1..]);
    text
}

/// Capacity of a typical field line.
const FIELD_BYTES_USUAL: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> HeaderMap {
        super::parse(text, |_, _| false).0
    }

    #[test]
    fn omitted_fields_are_also_removed_from_the_copy() {
        let (fields, hidden) = super::parse("cf-ray\n8a\nbad name\nx\nok\n1\n", |name, _| name == "cf-ray");
        assert_eq!((to_json(&fields).as_str(), hidden.as_str()), (r#"{"ok":"1"}"#, "-\ncf-ray\n\n-\nbad name\n\n"));
    }

    #[test]
    fn an_invalid_line_does_not_remove_the_valid_ones_of_its_name() {
        let (fields, hidden) = super::parse("set-cookie\na=1\nset-cookie\nb=\u{1}\nset-cookie\nc=3\n", |_, _| false);
        assert_eq!(fields.get_all("set-cookie").iter().count(), 2);
        assert_eq!(hidden, "-\nset-cookie\n\n+\nset-cookie\na=1\n+\nset-cookie\nc=3\n");
    }

    #[test]
    fn edits_are_three_lines_each() {
        let mut edits = Edits::default();
        edits.remove(HeaderName::from_static("te"));
        edits.set(HeaderName::from_static("host"), HeaderValue::from_static("a"));
        edits.set(HeaderName::from_static("via"), HeaderValue::from_static("1.1 tollgate"));
        edits.append(HeaderName::from_static("set-cookie"), HeaderValue::from_static(""));
        let mut text = String::new();
        write_edits(&mut text, &edits, |name| name != "host");
        assert_eq!(text, "-\nte\n\n=\nvia\n1.1 tollgate\n+\nset-cookie\n\n");
    }

    #[test]
    fn repeated_fields_stay_separate_and_in_order() {
        let text = "set-cookie\na=1\nx\né\nset-cookie\nb=2\nempty\n\n";
        let fields = parse(text);
        let cookies: Vec<_> = fields.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(fields["x"].as_bytes(), "é".as_bytes());
        assert_eq!(to_json(&fields), r#"[["set-cookie","a=1"],["set-cookie","b=2"],["x","é"],["empty",""]]"#);
    }

    #[test]
    fn json_is_escaped() {
        assert_eq!(to_json(&parse("a\nfor=\"x\\\t\"\n__proto__\n1\n")), r#"{"a":"for=\"x\\\t\"","__proto__":"1"}"#);
        assert_eq!(to_json(&HeaderMap::new()), "{}");
    }

    #[test]
    fn an_invalid_field_is_omitted() {
        assert_eq!(to_json(&parse("bad name\nx\nok\n1\nctl\na\u{1}b\n")), r#"{"ok":"1"}"#);
        assert!(parse("").is_empty() && parse("name").is_empty());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_written_as_the_platform_would() {
        let mut fields = HeaderMap::new();
        fields.insert("x", HeaderValue::from_bytes(b"a\xffb").unwrap());
        assert_eq!(to_json(&fields), "{\"x\":\"a\u{fffd}b\"}");
    }
}
