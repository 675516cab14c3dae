//! What a route asks of header fields and query parameters, in core's terms.

use http::HeaderValue;
use tollgate_core::route::{Predicate, Subject, Test};

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::when::{Asked, When};
use crate::place::Spanned;

/// Reads the predicates of a route, sorted, one of each part.
pub(super) fn predicates(when: &When, report: &mut Report) -> Vec<Predicate> {
    let mut all: Vec<Predicate> = Vec::new();
    for (name, asked) in &when.header {
        let Some(field) = parsed::field_name(name, report) else { continue };
        if all.iter().any(|known| known.of == Subject::Header(field.clone())) {
            report.push(
                Diagnostic::error(Code::Repeated, name.span, format!("the field `{field}` is asked for twice"))
                    .why("names of fields are the same in capitals and small letters")
                    .fix("keep one of them"),
            );
            continue;
        }
        let test = test(asked, report, is_field_value);
        all.push(Predicate { of: Subject::Header(field), test });
    }
    for (name, asked) in &when.query {
        let Some(parameter) = parsed::parameter_name(name, report) else { continue };
        let test = test(asked, report, is_query_value);
        all.push(Predicate { of: Subject::Query(parameter), test });
    }
    all.sort();
    all
}

/// The predicates in words, for what a route is called; empty where there are none.
pub(super) fn title(when: &[Predicate]) -> String {
    let words: Vec<String> = when.iter().map(word).collect();
    if words.is_empty() { String::new() } else { format!(" when {}", words.join(", ")) }
}

fn word(predicate: &Predicate) -> String {
    let name = match &predicate.of {
        Subject::Header(name) => name.clone(),
        Subject::Query(name) => format!("?{name}"),
    };
    match &predicate.test {
        Test::OneOf(values) => format!("{name}={}", values.join("|")),
        Test::Present => format!("{name} present"),
        Test::Absent => format!("{name} absent"),
    }
}

fn test(asked: &Asked, report: &mut Report, mut is_value: impl FnMut(&Spanned<String>, &mut Report) -> bool) -> Test {
    match asked {
        Asked::Present => Test::Present,
        Asked::Absent => Test::Absent,
        Asked::OneOf(values) => {
            let mut kept: Vec<String> =
                values.iter().filter(|value| is_value(value, report)).map(|value| value.value.clone()).collect();
            kept.sort_unstable();
            Test::OneOf(kept)
        }
    }
}

fn is_field_value(value: &Spanned<String>, report: &mut Report) -> bool {
    let is_sendable = HeaderValue::from_str(&value.value).is_ok() && value.value.trim() == value.value;
    if !is_sendable {
        report.push(
            Diagnostic::error(Code::BadField, value.span, "no header field has this value")
                .why("a field's value is one line of printable characters, without blanks at its ends")
                .fix("write the value as clients send it"),
        );
    }
    is_sendable
}

fn is_query_value(value: &Spanned<String>, report: &mut Report) -> bool {
    let is_sendable = value.value.bytes().all(|b| b.is_ascii_graphic() && b != b'&' && b != b'#');
    if !is_sendable {
        report.push(
            Diagnostic::error(Code::BadQueryParameter, value.span, "no query parameter has this value")
                .why("values are compared as they stand in the query, without decoding: a blank is `%20` there")
                .fix("write the value as it stands behind `=` in a URL"),
        );
    }
    is_sendable
}
