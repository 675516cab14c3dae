//! Header fields on their way between the platform and `http`, as one string of `name\nvalue\n` lines.
//!
//! The platform reads and writes field values as UTF-8; bytes that are none reach us as U+FFFD, and leave so too.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Reads fields; one that `http` does not take is left out.
pub(crate) fn parse(text: &str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    let mut lines = text.split('\n');
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value.as_bytes())) {
            fields.append(name, value);
        }
    }
    fields
}

/// Writes fields.
pub(crate) fn write(fields: &HeaderMap) -> String {
    let mut text = String::with_capacity(fields.len() * FIELD_BYTES_USUAL);
    for (name, value) in fields {
        text.push_str(name.as_str());
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(value.as_bytes()));
        text.push('\n');
    }
    text
}

/// Room for a usual field line.
const FIELD_BYTES_USUAL: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_fields_stay_apart_and_in_order() {
        let text = "set-cookie\na=1\nx\né\nset-cookie\nb=2\nempty\n\n";
        let fields = parse(text);
        let cookies: Vec<_> = fields.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(fields["x"].as_bytes(), "é".as_bytes());
        assert_eq!(parse(&write(&fields)), fields);
    }

    #[test]
    fn a_field_that_is_not_valid_is_left_out() {
        assert_eq!(write(&parse("bad name\nx\nok\n1\nctl\na\u{1}b\n")), "ok\n1\n");
        assert!(parse("").is_empty() && parse("name").is_empty());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_written_as_the_platform_would() {
        let mut fields = HeaderMap::new();
        fields.insert("x", HeaderValue::from_bytes(b"a\xffb").unwrap());
        assert_eq!(write(&fields), "x\na\u{fffd}b\n");
    }
}
