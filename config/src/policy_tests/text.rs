//! Replaces `${key.NAME}` in strings by keys, and converts values to JSON.

use serde_json::{Map, Number};

use super::consumer::Keys;
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::place::Spanned;
use crate::source::{Entry, Node, Value};

/// The string with its references replaced by keys.
pub(super) fn filled(text: &Spanned<String>, keys: &Keys, report: &mut Report) -> Option<String> {
    let mut out = String::with_capacity(text.value.len());
    let mut rest = text.value.as_str();
    while let Some((before, behind)) = rest.split_once("${key.") {
        let Some((name, after)) = behind.split_once('}') else { break };
        out.push_str(before);
        let key = keys.get(name).or_else(|| {
            unknown_key(&Spanned::new(name.to_owned(), text.span), keys, report);
            None
        })?;
        out.push_str(key.as_ref()?.expose());
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Reports the name of a key that no consumer has.
pub(super) fn unknown_key(name: &Spanned<String>, keys: &Keys, report: &mut Report) {
    let known = || keys.keys().map(String::as_str);
    let fix = match closest(&name.value, known()) {
        Some(known) => format!("did you mean `{known}`?"),
        None if keys.is_empty() => format!("add `consumers: [{{id: acme, keys: [{}]}}]`", name.value),
        None => format!("use one of {}", listed(known())),
    };
    report.push(
        Diagnostic::error(Code::UnknownTestKey, name.span, format!("key `{}` is not defined", name.value))
            .why("steps can only use keys of the file's consumers")
            .fix(fix),
    );
}

/// The value as JSON; `None` if a part of it was refused.
pub(super) fn json(node: &Node) -> Option<serde_json::Value> {
    Some(match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => Number::from_f64(*value).map_or(serde_json::Value::Null, serde_json::Value::Number),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => serde_json::Value::Array(items.iter().map(json).collect::<Option<_>>()?),
        Value::Map(entries) => {
            let member = |Entry { key, value }: &Entry| Some((key.value.clone(), json(value)?));
            serde_json::Value::Object(entries.iter().map(member).collect::<Option<Map<_, _>>>()?)
        }
        Value::Refused => return None,
    })
}

/// A diagnostic for a request that cannot be sent.
pub(super) fn bad_request(text: &Spanned<String>, what: String, fix: &str) -> Diagnostic {
    Diagnostic::error(Code::BadRequest, text.span, what).why("it cannot be sent in HTTP").fix(fix)
}
