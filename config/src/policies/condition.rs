//! `kind: condition`.

use std::ops::Range;

use tollgate_core::authz::ConditionSettings;

use super::{Change, Kind, Value, Written, kind_key};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::expression::constant::{Requests, outcomes};
use crate::expression::{Fault, compile};
use crate::place::{Position, Span, Spanned};
use crate::schema::{Key, Object, Shape};

/// A short description of the kind.
pub(super) const DOES: &str = "authorizes requests by an expression about request and caller; named in `authz`";

pub(super) static TABLE: Object = Object {
    name: "condition",
    doc: "Authorizes requests by an expression about the request and its caller, in the syntax of CEL. A request for which it \
          is not `true`, or has no value, is answered with 403. Named in `authz`.",
    keys: &[
        kind_key(&[("condition", DOES)]),
        Key::required("allow", "The expression that has to be `true`.", Shape::Text)
            .change(Change::Review("other requests are authorized"))
            .examples(&[
                "\"params.tenant == principal.claims.tenant\"",
                "\"request.method == 'GET' || 'editors' in principal.groups\"",
            ]),
    ],
    examples: &["{\"kind\": \"condition\", \"allow\": \"params.tenant == principal.claims.tenant\"}"],
    ..Object::PLAIN
};

impl Kind for ConditionSettings {
    fn lower(written: &Written, report: &mut Report) -> Option<Self> {
        let text = written.text("allow")?;
        match compile(&text.value) {
            Ok(allow) => {
                if let Some(value) = outcomes(&allow, &Requests::default()).decided() {
                    report_constant(text.span, value, report);
                } else if allow.sources().next().is_none() {
                    report_without_source(text.span, report);
                }
                Some(Self { allow, text: text.value })
            }
            Err(fault) => {
                report_fault(&text, &fault, report);
                None
            }
        }
    }

    fn values(&self) -> Vec<(&'static str, Value)> {
        vec![("allow", Value::Text(self.text.clone()))]
    }

    fn decided(&self, requests: &Requests<'_>) -> Option<bool> {
        outcomes(&self.allow, requests).decided()
    }
}

fn report_fault(text: &Spanned<String>, fault: &Fault, report: &mut Report) {
    let (span, is_exact) = within(text, &fault.at);
    let piece = text.value.get(fault.at.clone()).filter(|piece| !piece.is_empty() && piece.len() < PIECE_BYTES_MAX);
    let what = match piece {
        Some(piece) if !is_exact && !fault.what.contains(piece) => format!("{}: `{piece}`", fault.what),
        _ => fault.what.clone(),
    };
    report.push(Diagnostic::error(Code::BadExpression, span, what).why(fault.why.clone()).fix(fault.fix.clone()));
}

fn report_constant(at: Span, value: bool, report: &mut Report) {
    let (what, why, fix) = if value {
        (
            "the condition is true for every request",
            "so the policy refuses nothing",
            "write `&&` in place of `||`, or remove the policy",
        )
    } else {
        (
            "the condition is true for no request",
            "so every request would be refused",
            "write `||` or `in [...]` in place of `&&`, and compare with values that requests can have",
        )
    };
    report.push(Diagnostic::warning(Code::ConstantCondition, at, what).why(why).fix(fix));
}

fn report_without_source(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::ConstantCondition, at, "the condition reads nothing of the request")
            .why("it has the same value for every request")
            .fix("compare something of `request`, `params`, `client` or `principal`, or remove the policy"),
    );
}

/// The place of a part of a text, and whether it is exact: a text of several lines or with escapes is marked as a whole.
fn within(text: &Spanned<String>, part: &Range<usize>) -> (Span, bool) {
    let Span { file, start, end } = text.span;
    let count = |text: &str| u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
    let length = count(&text.value);
    let width = end.column.saturating_sub(start.column);
    let quotes = match width.checked_sub(length) {
        Some(quotes @ (0 | 2)) if start.line == end.line => quotes / 2,
        _ => return (text.span, false),
    };
    let column = |at: usize| start.column + quotes + text.value.get(..at).map_or(0, count);
    let position = |column| Position { line: start.line, column };
    let (from, to) = (column(part.start), column(part.end).max(column(part.start) + 1));
    (Span { file, start: position(from), end: position(to) }, true)
}

/// A part of an expression that is repeated in a message.
const PIECE_BYTES_MAX: usize = 60;
