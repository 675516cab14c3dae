//! Checks that an assigned value has the declared type.

use super::declare::ValueType;
use crate::decode::parsed as read;
use crate::decode::{self, DURATION, RATE, SIZE};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::api::HOSTS_MAX;
use crate::source::{Node, Value};

/// Checks an assigned value; a mistake is reported at its place.
pub(super) fn check(kind: ValueType, node: &Node, report: &mut Report) -> bool {
    let before = report.errors();
    read_as(kind, node, report) && report.errors() == before
}

fn read_as(kind: ValueType, node: &Node, report: &mut Report) -> bool {
    if let Some(reference) = reference(node) {
        report.push(
            Diagnostic::error(Code::ValueWithinText, reference.span, "a value cannot refer to another value")
                .why("the value must be visible at the place where it is assigned")
                .fix("write the value itself"),
        );
        return false;
    }
    match kind {
        ValueType::Text => decode::text(node, report).is_some(),
        ValueType::Url => decode::text(node, report).is_some_and(|text| read::url(&text, report).is_some()),
        ValueType::Host => decode::text(node, report).is_some_and(|text| !read::hosts(&[text], report).is_empty()),
        ValueType::Hosts => {
            decode::some_texts(node, HOSTS_MAX, report).is_some_and(|hosts| !read::hosts(&hosts, report).is_empty())
        }
        ValueType::Duration => decode::quantity(node, &DURATION, report).is_some(),
        ValueType::Size => decode::quantity(node, &SIZE, report).is_some(),
        ValueType::Rate => decode::quantity(node, &RATE, report).is_some(),
        ValueType::Integer => decode::integer(node, 0, u32::MAX, report).is_some(),
        ValueType::Boolean => decode::boolean(node, report).is_some(),
        ValueType::List => decode::list(node, report, decode::text).is_some(),
    }
}

/// The first string that contains `${value.`.
fn reference(node: &Node) -> Option<&Node> {
    match &node.value {
        Value::Text(text) => text.contains("${value.").then_some(node),
        Value::List(items) => items.iter().find_map(reference),
        Value::Map(entries) => entries.iter().find_map(|entry| reference(&entry.value)),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Refused => None,
    }
}
