//! The JSON content of a request, parsed strictly: a member that is unknown, given twice or of another type is refused by name.

use super::is_name;
use crate::json::{self, Broken, RECORD_VALUES_MAX, Value, ValueError};
use crate::problem::{Problem, ProblemKind};

/// The members of a JSON object that are not read yet.
pub(super) struct Members {
    values: json::Members,
    /// What to send, for problems.
    form: &'static str,
}

impl Members {
    /// Parses an object; `form` shows what is expected.
    pub(super) fn parse(content: &[u8], form: &'static str) -> Result<Self, Problem> {
        match Value::parse_within(content, RECORD_VALUES_MAX) {
            Ok(Value::Object(values)) => Ok(Self { values, form }),
            Ok(_) => Err(refuse("The content is not a JSON object", form)),
            Err(Broken { why: ValueError::Repeated, repeated, .. }) => {
                Err(refuse_member(&repeated, "is given twice", form))
            }
            Err(Broken { why: ValueError::Syntax, line, column, .. }) => {
                Err(refuse(&format!("The content is not a JSON object (line {line} column {column})"), form))
            }
            Err(Broken { why, .. }) => Err(refuse(&format!("The content is not accepted, because {why}"), form)),
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
        let value = self.values.remove(name);
        let refused = || self.refuse(name, "is not a list of strings");
        let elements = match value {
            None => return Ok(Vec::new()),
            Some(Value::List(elements)) => elements,
            Some(_) => return Err(refused()),
        };
        let text = |element| if let Value::Text(text) = element { Ok(text) } else { Err(refused()) };
        elements.into_iter().map(text).collect()
    }

    /// A member that is `true` or `false`; `false` where it is not given.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        match self.values.remove(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.refuse(name, "is not true or false")),
        }
    }

    /// The problem of a member that is required and not given.
    pub(super) fn missing(&self, name: &str) -> Problem {
        self.refuse(name, "is missing")
    }

    /// Refuses the members that were not read.
    pub(super) fn finish(self) -> Result<(), Problem> {
        self.values.iter().next().map_or(Ok(()), |(name, _)| Err(self.refuse(name, "is unknown")))
    }

    fn refuse(&self, name: &str, what: &str) -> Problem {
        refuse_member(name, what, self.form)
    }
}

fn refuse_member(name: &str, what: &str, form: &str) -> Problem {
    // A name from the client is repeated only if it is short and plain.
    let subject = if is_name(name) { format!("The member `{name}`") } else { "A member".to_owned() };
    refuse(&format!("{subject} {what}"), form)
}

fn refuse(what: &str, form: &str) -> Problem {
    Problem::plain(ProblemKind::BadRequest, format!("{what}. Send {form}."))
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
        check("[true]", "The content is not a JSON object");
        check("{\n\"a\":", "The content is not a JSON object (line 2 column 4)");
    }
}
