//! The JSON content of a request, parsed strictly: a member that is unknown, given twice or of another type is refused by name.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::problem::{Problem, ProblemKind};

/// The members of a JSON object that are not read yet.
pub(super) struct Members {
    values: BTreeMap<String, Value>,
    /// What to send, for problems.
    form: &'static str,
}

impl Members {
    /// Parses an object; `form` shows what is expected.
    pub(super) fn parse(content: &[u8], form: &'static str) -> Result<Self, Problem> {
        let object: Object = serde_json::from_slice(content).map_err(|error| {
            let place = format!("line {} column {}", error.line(), error.column());
            refuse(&format!("The content is not a JSON object ({place})"), form)
        })?;
        let members = Self { values: object.values, form };
        match object.repeated {
            Some(name) => Err(members.refuse(&name, "is given twice")),
            None => Ok(members),
        }
    }

    /// A member that is text; absent where it is not given, or `null`.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        match self.values.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(name, "is not a string")),
        }
    }

    /// A member that is a list of texts; empty where it is not given.
    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, Problem> {
        match self.values.remove(name) {
            None => Ok(Vec::new()),
            Some(Value::Texts(texts)) => Ok(texts),
            Some(_) => Err(self.refuse(name, "is not a list of strings")),
        }
    }

    /// A member that is `true` or `false`; `false` where it is not given.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.values.remove(name) {
            None => Ok(false),
            Some(Value::Flag(flag)) => Ok(flag),
            Some(_) => Err(self.refuse(name, "is not true or false")),
        }
    }

    /// The problem of a member that is required and not given.
    pub(super) fn missing(&self, name: &str) -> Problem {
        self.refuse(name, "is missing")
    }

    /// Refuses the members that were not read.
    pub(super) fn finish(self) -> Result<(), Problem> {
        self.values.keys().next().map_or(Ok(()), |name| Err(self.refuse(name, "is unknown")))
    }

    fn refuse(&self, name: &str, what: &str) -> Problem {
        // A name from the client is repeated only if it is short and plain.
        let subject = if super::is_name(name) { format!("The member `{name}`") } else { "A member".to_owned() };
        refuse(&format!("{subject} {what}"), self.form)
    }
}

fn refuse(what: &str, form: &str) -> Problem {
    Problem::plain(ProblemKind::BadRequest, format!("{what}. Send {form}."))
}

/// An object, and the name of a member that it has twice.
struct Object {
    values: BTreeMap<String, Value>,
    repeated: Option<String>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// A value, as far as members have one of its type.
enum Value {
    Null,
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Other,
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut texts = Some(Vec::new());
        while let Some(item) = seq.next_element::<Value>()? {
            texts = match (texts, item) {
                (Some(mut texts), Value::Text(text)) => {
                    texts.push(text);
                    Some(texts)
                }
                _ => None,
            };
        }
        Ok(texts.map_or(Value::Other, Value::Texts))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut object = Object { values: BTreeMap::new(), repeated: None };
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if object.values.insert(name.clone(), value).is_some() {
                object.repeated = Some(name);
            }
        }
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(content: &str, expected: &str) {
        let read = |content: &str| {
            let mut members = Members::parse(content.as_bytes(), "{}")?;
            let read = (members.text("name")?, members.texts("list")?, members.flag("flag")?);
            members.finish().map(|()| read)
        };
        let problem = read(content).map(|read| format!("{read:?}")).unwrap_err();
        assert_eq!(problem.kind, ProblemKind::BadRequest);
        assert_eq!(problem.detail, format!("{expected}. Send {{}}."), "{content}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_member_that_is_refused_is_named() {
        check(r#"{"flag":true,"x":1}"#, "The member `x` is unknown");
        check(r#"{"name":7}"#, "The member `name` is not a string");
        check(r#"{"list":"a"}"#, "The member `list` is not a list of strings");
        for value in ["[1]", r#"["a",[]]"#, r#"[{"a":1}]"#, "{}", "1.5", "-1", "null", "true"] {
            check(&format!(r#"{{"list":{value}}}"#), "The member `list` is not a list of strings");
        }
        check(r#"{"flag":"yes"}"#, "The member `flag` is not true or false");
        check(r#"{"name":"a","name":"a"}"#, "The member `name` is given twice");
        check(r#"{"a\u0000b":1}"#, "A member is unknown");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_no_object_is_refused_with_its_place() {
        check("[true]", "The content is not a JSON object (line 1 column 0)");
        check("{\n\"a\":", "The content is not a JSON object (line 2 column 4)");
    }
}
