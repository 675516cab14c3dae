//! `when:`, the conditions of a route in addition to method and path.

use crate::decode::{self, Fields};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Entry, Node, Value};

/// Conditions on the header fields and query parameters of a request, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct When {
    pub(crate) header: Vec<(Spanned<String>, Condition)>,
    pub(crate) query: Vec<(Spanned<String>, Condition)>,
}

/// The condition on one field or parameter.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    /// Present, with any value.
    Present,
    /// Absent.
    Absent,
    /// Present once, with one of these values.
    OneOf {
        values: Vec<Spanned<String>>,
        /// Whether the value is not written as a list.
        is_single: bool,
    },
}

impl When {
    pub(crate) fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::WHEN, "`when`", node.span, report)?;
        let header = fields.optional("header", report, by_name);
        let query = fields.optional("query", report, by_name);
        let has_condition = fields.key_span("header").or(fields.key_span("query")).is_some();
        fields.finish(report);
        if !has_condition {
            report.push(
                Diagnostic::error(Code::MissingKey, node.span, "`when` has no conditions")
                    .why("it is unclear whether the route should match all requests or none")
                    .fix("add `header:` or `query:`, or remove `when`"),
            );
        }
        Some(Self { header: header.unwrap_or_default(), query: query.unwrap_or_default() })
    }
}

fn by_name(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, Condition)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping from names to values",
            "write a mapping such as `{name: value}`",
            report,
        );
    };
    if entries.len() > CONDITIONS_MAX {
        report.push(
            Diagnostic::error(Code::TooMany, node.span, format!("too many conditions: {}", entries.len()))
                .why(format!("every request is compared with each of them; the maximum is {CONDITIONS_MAX}"))
                .fix("keep only the conditions that distinguish the route"),
        );
        return None;
    }
    let pair = |Entry { key, value }: &Entry| Some((key.clone(), condition(value, report)?));
    Some(entries.iter().filter_map(pair).collect())
}

/// `present`, `absent`, a value or a list of values.
fn condition(node: &Node, report: &mut Report) -> Option<Condition> {
    if matches!(node.value, Value::List(_)) {
        let values = decode::some_texts(node, VALUES_MAX, report)?;
        return Some(Condition::OneOf { values, is_single: false });
    }
    if !matches!(node.value, Value::Text(_)) {
        return decode::mistyped(node, "a value, a list of values, `present` or `absent`", &meant(&node.value), report);
    }
    let value = decode::text(node, report)?;
    Some(match value.value.as_str() {
        "present" => Condition::Present,
        "absent" => Condition::Absent,
        _ => Condition::OneOf { values: vec![value], is_single: true },
    })
}

/// What to write instead of a condition of another type.
fn meant(value: &Value) -> String {
    match value {
        Value::Null => "write `present` for any value, or `absent` for no value".to_owned(),
        Value::Bool(boolean) => {
            let word = if *boolean { "present` for any" } else { "absent` for no" };
            format!("write `\"{boolean}\"` for this value, or `{word} value")
        }
        Value::Integer(number) => format!("write `\"{number}\"`"),
        Value::Float(number) => format!("write `\"{number}\"`"),
        Value::Map(_) => "write the value itself, or `present` or `absent`: values are compared as a whole".to_owned(),
        Value::Text(_) | Value::List(_) | Value::Refused => String::new(),
    }
}

/// The maximum number of conditions of a route on fields, or on parameters; other gateways allow about as many.
pub(crate) const CONDITIONS_MAX: usize = 16;

/// The maximum number of values of one condition.
pub(crate) const VALUES_MAX: usize = 64;
