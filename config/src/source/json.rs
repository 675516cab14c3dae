//! JSON (RFC 8259), with the position of every value.
//!
//! A parser separate from that of YAML, because JSON is not quite a subset of YAML: a text may contain a pair of
//! surrogate escapes. It also takes half the time, and large specifications are JSON.

use std::borrow::Cow;

use crate::place::{FileId, Position, Span, Spanned};
use crate::source::{Entry, Limits, Node, Value};

/// Why a text cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Syntax { at: Position, what: &'static str },
    TooLarge { at: Position, what: &'static str },
}

/// Parses a text, and subtracts the number of its values from `nodes`.
pub(crate) fn read(file: FileId, text: &str, limits: &Limits, nodes: &mut usize) -> Result<Node, Refusal> {
    let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut reader = Reader { text, bytes: text.as_bytes(), at, file, limits, nodes, line: 1, mark: at, column: 1 };
    reader.space();
    let root = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.syntax("unexpected characters after the value"));
    }
    Ok(root)
}

struct Reader<'t, 'n> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    file: FileId,
    limits: &'n Limits,
    nodes: &'n mut usize,
    /// The line and column of `mark`; columns are counted from the last requested position.
    line: u32,
    mark: usize,
    column: u32,
}

impl<'t> Reader<'t, '_> {
    fn value(&mut self, depth: usize) -> Result<Node, Refusal> {
        let start = self.position();
        *self.nodes = self
            .nodes
            .checked_sub(1)
            .ok_or(Refusal::TooLarge { at: start, what: "the file contains too many values" })?;
        let (value, end) = match self.bytes.get(self.at) {
            Some(b'{') => (Value::Map(self.object(depth, start)?), None),
            Some(b'[') => (Value::List(self.array(depth, start)?), None),
            Some(b'"') => {
                let text = self.string()?.into_owned();
                (Value::Text(text), Some(self.position()))
            }
            Some(b't') => (self.word("true", Value::Bool(true))?, Some(self.position())),
            Some(b'f') => (self.word("false", Value::Bool(false))?, Some(self.position())),
            Some(b'n') => (self.word("null", Value::Null)?, Some(self.position())),
            Some(b'-' | b'0'..=b'9') => (self.number()?, Some(self.position())),
            Some(_) => return Err(self.syntax("expected a value")),
            None => return Err(self.syntax("unexpected end of file")),
        };
        // The span of a list or mapping is only its bracket.
        let end = end.unwrap_or(Position { column: start.column.saturating_add(1), ..start });
        Ok(Node { value, span: Span { file: self.file, start, end } })
    }

    fn object(&mut self, depth: usize, start: Position) -> Result<Vec<Entry>, Refusal> {
        let mut entries = Vec::new();
        self.descend(depth, start)?;
        if self.takes(b'}') {
            return Ok(entries);
        }
        loop {
            let start = self.position();
            if self.bytes.get(self.at) != Some(&b'"') {
                return Err(self.syntax("expected a quoted key"));
            }
            let key = self.string()?.into_owned();
            let span = Span { file: self.file, start, end: self.position() };
            self.space();
            if !self.takes(b':') {
                return Err(self.syntax("expected `:`"));
            }
            let value = self.value(depth + 1)?;
            entries.push(Entry { key: Spanned::new(key, span), value });
            self.space();
            if self.takes(b',') {
                continue;
            }
            if self.takes(b'}') {
                return Ok(entries);
            }
            return Err(self.syntax("expected `,` or `}`"));
        }
    }

    fn array(&mut self, depth: usize, start: Position) -> Result<Vec<Node>, Refusal> {
        let mut items = Vec::new();
        self.descend(depth, start)?;
        if self.takes(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.space();
            if self.takes(b',') {
                continue;
            }
            if self.takes(b']') {
                return Ok(items);
            }
            return Err(self.syntax("expected `,` or `]`"));
        }
    }

    /// Skips an opening bracket.
    fn descend(&mut self, depth: usize, at: Position) -> Result<(), Refusal> {
        if depth >= self.limits.depth {
            return Err(Refusal::TooLarge { at, what: "lists and mappings are nested too deeply" });
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Parses a quoted text that begins here.
    fn string(&mut self) -> Result<Cow<'t, str>, Refusal> {
        self.at += 1;
        let (text, start) = (self.text, self.at);
        let mut owned: Option<String> = None;
        let mut piece = start;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    let last = &text[piece..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        Some(owned) => Cow::Owned(owned + last),
                        None => Cow::Borrowed(last),
                    });
                }
                Some(b'\\') => {
                    let out = owned.get_or_insert_default();
                    out.push_str(&text[piece..self.at]);
                    self.at += 1;
                    let character = self.escape()?;
                    owned.get_or_insert_default().push(character);
                    piece = self.at;
                }
                Some(0..=0x1f) => {
                    return Err(self.syntax("a string contains a line break or another control character"));
                }
                Some(_) => self.at += 1,
                None => return Err(self.syntax("unexpected end of file in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Refusal> {
        let character = match self.bytes.get(self.at) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.syntax("unknown escape sequence")),
        };
        self.at += 1;
        Ok(character)
    }

    fn unicode(&mut self) -> Result<char, Refusal> {
        let first = self.four_hex_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return Ok(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let before = self.at;
        if self.text[self.at..].starts_with("\\u") {
            self.at += 2;
            let second = self.four_hex_digits()?;
            if (0xdc00..0xe000).contains(&second) {
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
        }
        // Half a surrogate pair is not a character.
        self.at = before;
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn four_hex_digits(&mut self) -> Result<u32, Refusal> {
        let digits = self.bytes.get(self.at..self.at + 4).filter(|all| all.iter().all(u8::is_ascii_hexdigit));
        let code =
            digits.and_then(|all| std::str::from_utf8(all).ok()).and_then(|all| u32::from_str_radix(all, 16).ok());
        let Some(code) = code else { return Err(self.syntax("expected four hexadecimal digits after `\\u`")) };
        self.at += 4;
        Ok(code)
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Refusal> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.syntax("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Refusal> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
        let text = &self.text[self.at..self.at + length];
        let value = if is_number(text) {
            text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Float)).ok()
        } else {
            None
        };
        let value = value.ok_or_else(|| self.syntax("invalid number"))?;
        self.at += length;
        Ok(value)
    }

    fn takes(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        if found {
            self.at += 1;
            self.space();
        }
        found
    }

    fn space(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b' ' | b'\t' | b'\r' => self.at += 1,
                b'\n' => {
                    self.at += 1;
                    self.line = self.line.saturating_add(1);
                    self.mark = self.at;
                    self.column = 1;
                }
                _ => return,
            }
        }
    }

    fn position(&mut self) -> Position {
        let passed = &self.bytes[self.mark..self.at];
        // Continuation bytes of a character are not counted.
        let characters = passed.iter().filter(|b| (**b & 0xc0) != 0x80).count();
        self.column = self.column.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX));
        self.mark = self.at;
        Position { line: self.line, column: self.column }
    }

    fn syntax(&mut self, what: &'static str) -> Refusal {
        Refusal::Syntax { at: self.position(), what }
    }
}

/// `-? ( 0 | [1-9][0-9]* ) ( \. [0-9]+ )? ( [eE] [-+]? [0-9]+ )?`
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|part| digits(part.strip_prefix(['-', '+']).unwrap_or(part)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::openapi::document::{LIMITS, json_text};

    fn parse(text: &str) -> Result<Node, Refusal> {
        read(FileId::default(), text, &LIMITS, &mut 1_000)
    }

    #[track_caller]
    fn check(text: &str, line: u32, column: u32) {
        let Err(Refusal::Syntax { at, .. }) = parse(text) else { panic!("{text} is accepted") };
        assert_eq!(at, Position { line, column }, "{text}");
    }

    #[test]
    fn invalid_json_is_refused_at_its_position() {
        check("", 1, 1);
        check("{\"a\":\n  tru}", 2, 3);
        check("{\"é\": 01}", 1, 7);
        check("[1,]", 1, 4);
        check("{\"a\" 1}", 1, 6);
        check("{a: 1}", 1, 2);
        check("\"\\x\"", 1, 3);
        check("[1] 2", 1, 5);
        check("\"a\nb\"", 1, 3);
        check("-", 1, 1);
        check("1.e5", 1, 1);
    }

    #[test]
    fn positions_count_characters_and_lines() {
        let root = parse("{\"é\": \"ü\", \"b\":\n\t[true]}").unwrap();
        let Value::Map(entries) = &root.value else { panic!() };
        assert_eq!(entries[0].value.span.start, Position { line: 1, column: 7 });
        assert_eq!(entries[0].value.span.end, Position { line: 1, column: 10 });
        assert_eq!(entries[1].key.span.start, Position { line: 1, column: 12 });
        assert_eq!(entries[1].value.span.start, Position { line: 2, column: 2 });
    }

    #[test]
    fn a_surrogate_pair_is_one_character_and_a_lone_surrogate_is_replaced() {
        let text = |json: &str| match parse(json).unwrap().value {
            Value::Text(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text(r#""\ud83d\ude00\/\u00e9""#), "\u{1f600}/é");
        assert_eq!(text(r#""\ud83dx""#), "\u{fffd}x");
        assert_eq!(text(r#""\ud83d\u0041""#), "\u{fffd}A");
        assert_eq!(text(r#""\ude00""#), "\u{fffd}");
    }

    #[test]
    fn limits_are_enforced() {
        let deep = "[".repeat(300);
        assert!(matches!(parse(&deep), Err(Refusal::TooLarge { .. })));
        let wide = format!("[{}1]", "1,".repeat(1_000));
        assert!(matches!(parse(&wide), Err(Refusal::TooLarge { .. })));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            "\\PC*".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
                prop::collection::btree_map("\\PC{0,5}", inner, 0..5)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_json_writes_is_parsed_to_the_same_value(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let again: serde_json::Value = serde_json::from_str(&json_text(&parse(&text).unwrap())).unwrap();
            prop_assert_eq!(again, value);
        }

        #[test]
        fn any_text_is_accepted_or_refused_as_by_serde_json(text in r#"[\[\]{}:,"\\a0-9.eE+ntrufals \n-]{0,24}"#) {
            let known = serde_json::from_str::<serde_json::Value>(&text);
            // serde_json refuses half a surrogate pair, and numbers beyond the range of a float.
            let odd = text.contains("\\u") || text.contains(['e', 'E']);
            prop_assert!(odd || known.is_ok() == parse(&text).is_ok(), "{}", text);
        }
    }
}
