//! JSON texts (RFC 8259) within bounds, in which no object has a member twice.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

use super::{float, list, string};

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number that has no fraction and fits.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// A text.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Members),
}

/// The members of an object, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members(pub(super) Vec<(String, Value)>);

/// Why a text is not a JSON value within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ValueError {
    /// It is not JSON.
    #[error("it is not valid JSON")]
    Syntax,
    /// A member is there twice: readers would disagree about its value (RFC 7515, section 4; RFC 7519, section 4).
    #[error("a member is repeated")]
    Repeated,
    /// It is nested too deeply.
    #[error("it is nested more than {DEPTH_MAX} levels deep")]
    Depth,
    /// It has too many values.
    #[error("it has too many values")]
    Size,
    /// It is not an object.
    #[error("it is not a JSON object")]
    NotAnObject,
}

/// Why a text is not a JSON value within the bounds, and where it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Why.
    pub why: ValueError,
    /// The line, from 1.
    pub line: usize,
    /// The column in it.
    pub column: usize,
    /// Whether the text ends too early.
    pub is_truncated: bool,
    /// The name of the member that is repeated.
    pub repeated: String,
}

/// Levels of objects and arrays; claims of identity providers have up to four.
const DEPTH_MAX: usize = 16;

/// Values in one text: a set of a hundred keys with ten members each, or a token with a thousand groups.
const VALUES_MAX: usize = 2_048;

/// Members of one object: each name is compared with those before it.
const MEMBERS_MAX: usize = VALUES_MAX;

/// Values in a stored record: the longest lists have 2,000 entries of three members.
pub const RECORD_VALUES_MAX: usize = 16_384;

impl Value {
    /// Parses a text.
    ///
    /// # Errors
    /// If it is not valid, or exceeds a bound.
    pub fn parse(text: &[u8]) -> Result<Self, ValueError> {
        Self::parse_within(text, VALUES_MAX).map_err(|broken| broken.why)
    }

    /// Parses a text with at most so many values.
    ///
    /// # Errors
    /// If it is not valid, or exceeds a bound.
    pub fn parse_within(text: &[u8], values_max: usize) -> Result<Self, Broken> {
        let (values, broken, repeated) = (Cell::new(values_max), Cell::new(None), RefCell::new(String::new()));
        let seed = Seed { depth: 0, values: &values, broken: &broken, repeated: &repeated };
        let mut reader = serde_json::Deserializer::from_slice(text);
        let read = seed.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
        read.map_err(|error| Broken {
            why: broken.get().unwrap_or(ValueError::Syntax),
            line: error.line(),
            column: error.column(),
            is_truncated: error.is_eof(),
            repeated: repeated.take(),
        })
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(elements) => Some(elements),
            _ => None,
        }
    }
}

/// Numbers of JSON are never NaN, so each value is equal to itself.
impl Eq for Value {}

impl Eq for Members {}

impl Value {
    /// Its size: the bytes of its texts, and some for each value.
    #[must_use]
    pub(crate) fn size(&self) -> usize {
        SIZE_OF_VALUE
            + match self {
                Self::Null | Self::Bool(_) | Self::Integer(_) | Self::Float(_) | Self::Object(_) => 0,
                Self::Text(text) => text.len(),
                Self::List(all) => all.iter().map(Self::size).sum(),
            }
    }

    /// The same, with objects that have no members.
    #[must_use]
    pub(crate) fn without_members(&self) -> Self {
        match self {
            Self::Object(_) => Self::Object(Members::default()),
            Self::List(all) => Self::List(all.iter().map(Self::without_members).collect()),
            other => other.clone(),
        }
    }

    /// Writes it as JSON, with objects that have no members.
    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(is) => out.push_str(if *is { "true" } else { "false" }),
            Self::Integer(number) => out.push_str(&number.to_string()),
            Self::Float(number) => {
                let start = out.len();
                float(out, *number);
                // A reader takes a number without a fraction for an integer.
                if !out[start..].contains(['.', 'e']) {
                    out.push_str(".0");
                }
            }
            Self::Text(text) => string(out, text),
            Self::List(all) => list(out, all, |out, one| one.write(out)),
            Self::Object(_) => out.push_str("{}"),
        }
    }
}

/// Bytes of a value besides its text.
const SIZE_OF_VALUE: usize = 16;

impl Members {
    /// The value at a path of members.
    #[must_use]
    pub(crate) fn at(&self, path: &[String]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        match self.get(first)? {
            value if rest.is_empty() => Some(value),
            Value::Object(inner) => inner.at(rest),
            _ => None,
        }
    }

    /// Writes what is at these paths as JSON, so that [`Self::at`] finds the same there; of an object at a path only that it is there.
    pub(crate) fn write_at(&self, paths: &[&[String]], out: &mut String) {
        out.push('{');
        let start = out.len();
        for (name, value) in &self.0 {
            let split = paths.iter().filter_map(|path| path.split_first());
            let rests: Vec<&[String]> = split.filter(|(first, _)| *first == name).map(|(_, rest)| rest).collect();
            let is_written = match value {
                Value::Object(_) => !rests.is_empty(),
                _ => rests.iter().any(|rest| rest.is_empty()),
            };
            if !is_written {
                continue;
            }
            if out.len() > start {
                out.push(',');
            }
            string(out, name);
            out.push(':');
            match value {
                Value::Object(inner) => inner.write_at(&rests, out),
                other => other.write(out),
            }
        }
        out.push('}');
    }

    /// Parses an object.
    ///
    /// # Errors
    /// If it is not a valid object, or exceeds a bound.
    pub fn parse(text: &[u8]) -> Result<Self, ValueError> {
        match Value::parse(text)? {
            Value::Object(members) => Ok(members),
            _ => Err(ValueError::NotAnObject),
        }
    }

    /// The value of a member.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// The value of a member that is a text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.remove(at).1)
    }

    /// The names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// Reads one value. serde's errors are texts, so what a bound refused is left in `broken`.
#[derive(Clone, Copy)]
struct Seed<'p> {
    depth: usize,
    /// How many more are allowed.
    values: &'p Cell<usize>,
    broken: &'p Cell<Option<ValueError>>,
    repeated: &'p RefCell<String>,
}

impl Seed<'_> {
    fn refuse<E: serde::de::Error>(&self, why: ValueError) -> E {
        self.broken.set(Some(why));
        E::custom(why)
    }

    /// The seed of the values inside.
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > DEPTH_MAX { Err(self.refuse(ValueError::Depth)) } else { Ok(Self { depth, ..self }) }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        match self.values.get().checked_sub(1) {
            Some(left) => self.values.set(left),
            None => return Err(self.refuse(ValueError::Size)),
        }
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "a number beyond 63 bits is not exact in JSON either")]
        let float = value as f64;
        Ok(i64::try_from(value).map_or(Value::Float(float), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Members::default();
        while let Some(name) = members.next_key::<String>()? {
            if object.get(&name).is_some() {
                self.repeated.replace(name);
                return Err(self.refuse(ValueError::Repeated));
            }
            if object.0.len() == MEMBERS_MAX {
                return Err(self.refuse(ValueError::Size));
            }
            object.0.push((name, members.next_value_seed(inner)?));
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn values_are_read_as_they_are_written() {
        let members = Members::parse(br#"{"a":[1,-2,1.5,1e3,"x",null,true,{"b":""}],"\u0061b":18446744073709551615}"#);
        let members = members.unwrap();
        let list = members.get("a").and_then(Value::as_list).unwrap();
        assert_eq!(list[..4], [Value::Integer(1), Value::Integer(-2), Value::Float(1.5), Value::Float(1e3)]);
        assert_eq!((list[4].as_text(), &list[5], &list[6]), (Some("x"), &Value::Null, &Value::Bool(true)));
        assert!(matches!(members.get("ab"), Some(Value::Float(n)) if *n > 1.8e19));
        assert_eq!(members.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "ab"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_member_is_there_once_however_its_name_is_written() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"{"x":{"a":1,"b":2,"a":3}}"#, r#"[{"":0,"":1}]"#] {
            assert_eq!(Value::parse(text.as_bytes()), Err(ValueError::Repeated), "{text}");
        }
        assert!(Value::parse(br#"{"a":{"a":1},"b":{"a":1},"A":1}"#).is_ok());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_not_json_is_refused() {
        let texts = [
            "",
            " ",
            "{",
            "{}x",
            "{} {}",
            "{'a':1}",
            "{a:1}",
            "[1,]",
            "NaN",
            "1e999",
            "01",
            "\"\\ud800\"",
            "\u{feff}{}",
        ];
        for text in texts {
            assert_eq!(Value::parse(text.as_bytes()), Err(ValueError::Syntax), "{text}");
        }
        assert_eq!(Value::parse(b"\"\xff\""), Err(ValueError::Syntax));
        assert_eq!(Members::parse(b"[]"), Err(ValueError::NotAnObject));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn depth_and_size_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Value::parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        for depth in [DEPTH_MAX + 1, 100_000] {
            assert_eq!(Value::parse(nested(depth).as_bytes()), Err(ValueError::Depth), "{depth}");
        }
        let many = |count: usize| format!("[{}]", vec!["0"; count].join(","));
        assert!(Value::parse(many(VALUES_MAX - 1).as_bytes()).is_ok());
        assert_eq!(Value::parse(many(VALUES_MAX).as_bytes()), Err(ValueError::Size));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_at_some_paths_is_written_and_found_there_again() {
        let text = r#"{"a":{"b":[1,1.0,-2.5,"x",null,true,{"c":1}],"d":"left out"},"https://e.test/\"q\"":"\u00e4\n","e":{"f":{}},"g":1,"h":1e300}"#;
        let members = Members::parse(text.as_bytes()).unwrap();
        let path = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let paths = [
            path(&["a", "b"]),
            path(&["https://e.test/\"q\""]),
            path(&["e"]),
            path(&["e", "f"]),
            path(&["g", "x"]),
            path(&["h"]),
            path(&["none"]),
        ];
        let mut out = String::new();
        members.write_at(&paths.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut out);
        let read = Members::parse(out.as_bytes()).unwrap();
        for path in &paths {
            let of = |members: &Members| members.at(path).map(Value::without_members);
            assert_eq!(of(&read), of(&members), "{path:?} {out}");
        }
        assert!(!out.contains("left out") && read.get("g").is_none(), "{out}");
        let mut out = String::new();
        members.write_at(&[], &mut out);
        assert_eq!(out, "{}");
    }

    proptest! {
        #[test]
        fn nothing_panics_and_what_is_accepted_is_json(text in proptest::collection::vec(any::<u8>(), 0..64)) {
            if Value::parse(&text).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
            }
        }

        #[test]
        fn json_like_texts_are_accepted_if_serde_accepts_them_and_no_member_is_repeated(
            text in r#"[\[\]{}",:0-9aA\\. -]{0,24}"#
        ) {
            let ours = Value::parse(text.as_bytes());
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert!(ours.is_ok() == theirs.is_ok() || ours == Err(ValueError::Repeated), "{:?} {:?}", ours, theirs);
        }
    }
}
