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
    OneOf(Vec<Spanned<String>>),
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
        return decode::some_texts(node, VALUES_MAX, report).map(Condition::OneOf);
    }
    let value = decode::text(node, report)?;
    Some(match value.value.as_str() {
        "present" => Condition::Present,
        "absent" => Condition::Absent,
        _ => Condition::OneOf(vec![value]),
    })
}

/// The maximum number of conditions of a route on fields, or on parameters; other gateways allow about as many.
pub(crate) const CONDITIONS_MAX: usize = 16;

/// The maximum number of values of one condition.
pub(crate) const VALUES_MAX: usize = 64;
