//! Writes a tree as JSON, its keys in the order of the file.

use crate::source::{Node, Value};

/// The tree as JSON text; it is not deeper than the reader's limit, so recursion is bounded.
pub(crate) fn json_text(node: &Node) -> String {
    let mut out = String::new();
    write(&mut out, node);
    out
}

fn write(out: &mut String, node: &Node) {
    match &node.value {
        Value::Null | Value::Refused => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => out.push_str(&value.to_string()),
        // JSON cannot represent NaN and infinity.
        Value::Float(value) => {
            out.push_str(&serde_json::Number::from_f64(*value).map_or("null".to_owned(), |n| n.to_string()));
        }
        Value::Text(value) => text(out, value),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                separate(out, index);
                write(out, item);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (index, entry) in entries.iter().enumerate() {
                separate(out, index);
                text(out, &entry.key.value);
                out.push(':');
                write(out, &entry.value);
            }
            out.push('}');
        }
    }
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

fn text(out: &mut String, value: &str) {
    out.push_str(&serde_json::Value::from(value).to_string());
}
