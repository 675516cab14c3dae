//! `when:`, what a route asks of a request besides method and path.

use crate::decode::{self, Fields};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::Spanned;
use crate::source::{Entry, Node, Value};

/// What is asked of the header fields and query parameters of a request, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct When {
    pub(crate) header: Vec<(Spanned<String>, Asked)>,
    pub(crate) query: Vec<(Spanned<String>, Asked)>,
}

/// What a field or parameter must be.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    /// There, whatever it is.
    Present,
    /// Not there.
    Absent,
    /// There once, with one of these values.
    OneOf(Vec<Spanned<String>>),
}

impl When {
    pub(crate) fn decode(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::WHEN, "`when`", node.span, report)?;
        let header = fields.optional("header", report, by_name);
        let query = fields.optional("query", report, by_name);
        let says = fields.key_span("header").or(fields.key_span("query")).is_some();
        fields.finish(report);
        if !says {
            report.push(
                Diagnostic::error(Code::MissingKey, node.span, "`when` asks for nothing")
                    .why("whether the route is for all requests or for none cannot be known")
                    .fix("add `header:` or `query:`, or remove `when`"),
            );
        }
        Some(Self { header: header.unwrap_or_default(), query: query.unwrap_or_default() })
    }
}

fn by_name(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, Asked)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, "a mapping from names to values", "write `{name: value}`", report);
    };
    if entries.len() > ASKED_MAX {
        report.push(
            Diagnostic::error(Code::TooMany, node.span, format!("there are {} names", entries.len()))
                .why(format!("each of them is looked at with every request; there may be {ASKED_MAX}"))
                .fix("name the fields or parameters that decide"),
        );
        return None;
    }
    let pair = |Entry { key, value }: &Entry| Some((key.clone(), asked(value, report)?));
    Some(entries.iter().filter_map(pair).collect())
}

/// `present`, `absent`, a value or a list of values.
fn asked(node: &Node, report: &mut Report) -> Option<Asked> {
    if matches!(node.value, Value::List(_)) {
        return decode::some_texts(node, VALUES_MAX, report).map(Asked::OneOf);
    }
    let value = decode::text(node, report)?;
    Some(match value.value.as_str() {
        "present" => Asked::Present,
        "absent" => Asked::Absent,
        _ => Asked::OneOf(vec![value]),
    })
}

/// Fields or parameters that one route asks for; gateways in use offer about as many.
pub(crate) const ASKED_MAX: usize = 16;

/// Values of one field or parameter.
pub(crate) const VALUES_MAX: usize = 64;
