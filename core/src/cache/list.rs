//! Lists in field values, where a separator in a quoted string separates nothing (RFC 9110, sections 5.6.1 and 5.6.4).

/// The members of a line, split at this separator outside quoted strings, without blanks around them.
///
/// In a line with a quoted string that does not end, the separator counts everywhere.
pub(super) fn members(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let respects_quotes = !is_unclosed(line);
    let mut quotes = Quotes::default();
    line.split(move |byte| {
        let is_quoted = quotes.pass(*byte);
        *byte == separator && !(is_quoted && respects_quotes)
    })
    .map(<[u8]>::trim_ascii)
}

/// Whether a quoted string in the line does not end, so that readers can disagree about where its members are.
pub(super) fn is_unclosed(line: &[u8]) -> bool {
    let mut quotes = Quotes::default();
    for byte in line {
        quotes.pass(*byte);
    }
    quotes.is_open
}

/// Whether a byte is inside a quoted string, read one after the other.
#[derive(Clone, Copy, Default)]
struct Quotes {
    is_open: bool,
    is_escaped: bool,
}

impl Quotes {
    fn pass(&mut self, byte: u8) -> bool {
        let is_quoted = self.is_open;
        if self.is_escaped {
            self.is_escaped = false;
        } else if byte == b'"' {
            self.is_open = !self.is_open;
        } else {
            self.is_escaped = self.is_open && byte == b'\\';
        }
        is_quoted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(line: &str, want: &[&str]) {
        let found: Vec<&str> = members(line.as_bytes(), b',').map(|m| std::str::from_utf8(m).unwrap()).collect();
        assert_eq!(found, want, "{line}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_separator_in_a_quoted_string_separates_nothing() {
        check("a, b=1", &["a", "b=1"]);
        check(r#"a="1,2" , b"#, &[r#"a="1,2""#, "b"]);
        check(r#"a="1\",2",b"#, &[r#"a="1\",2""#, "b"]);
        check(r#"a="\\",b"#, &[r#"a="\\""#, "b"]);
        check(r#"a\",b"#, &[r#"a\""#, "b"]);
        check(r#"a="1,b"#, &[r#"a="1"#, "b"]);
        check("", &[""]);
    }
}
