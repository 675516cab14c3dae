//! Lowers the conditions of a route on header fields and query parameters.

use http::HeaderValue;
use tollgate_core::route::{Predicate, Subject, Test};

use crate::decode::{habits, parsed};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::when::{Condition, When};
use crate::place::Spanned;

/// Converts the conditions of a route to predicates, sorted, one for each field or parameter.
pub(super) fn predicates(when: &When, report: &mut Report) -> Vec<Predicate> {
    let mut all: Vec<Predicate> = Vec::new();
    for (name, condition) in &when.header {
        let Some(field) = parsed::field_name(name, report) else { continue };
        if all.iter().any(|known| known.of == Subject::Header(field.clone())) {
            report.push(
                Diagnostic::error(Code::Repeated, name.span, format!("field `{field}` has two conditions"))
                    .why("the case of letters makes no difference in the name of a field")
                    .fix("remove one of them"),
            );
            continue;
        }
        warn_part_of_field(&field, condition, report);
        let test = test(condition, report, is_field_value);
        all.push(Predicate { of: Subject::Header(field), test });
    }
    for (name, condition) in &when.query {
        let Some(parameter) = parsed::parameter_name(name, report) else { continue };
        let test = test(condition, report, is_query_value);
        all.push(Predicate { of: Subject::Query(parameter), test });
    }
    all.sort();
    all
}

/// The predicates as text, for the id of a route; empty if there are none.
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

fn test(
    condition: &Condition,
    report: &mut Report,
    mut is_value: impl FnMut(&Spanned<String>, &mut Report) -> bool,
) -> Test {
    match condition {
        Condition::Present => Test::Present,
        Condition::Absent => Test::Absent,
        Condition::OneOf { values, is_single } => {
            values.iter().for_each(|value| warn_pattern(value, *is_single, report));
            let mut kept: Vec<String> =
                values.iter().filter(|value| is_value(value, report)).map(|value| value.value.clone()).collect();
            kept.sort_unstable();
            Test::OneOf(kept)
        }
    }
}

/// Reports a value that is probably meant as a pattern; a client may send it, too.
fn warn_pattern(value: &Spanned<String>, is_single: bool, report: &mut Report) {
    let text = value.value.as_str();
    let single = || if is_single { habits::value::single(text) } else { None };
    let Some(fix) = habits::value::pattern(text).or_else(single) else { return };
    report.push(
        Diagnostic::warning(
            Code::PatternCondition,
            value.span,
            format!("`{}` is compared as it is written", value.value),
        )
        .why("a condition is a value, `present` or `absent`, and no pattern, so usual requests do not meet this one")
        .fix(fix),
    );
}

/// Reports a single value of a field in which clients usually send more.
fn warn_part_of_field(field: &str, condition: &Condition, report: &mut Report) {
    let Condition::OneOf { values, is_single: true } = condition else { return };
    for value in values.iter().filter(|value| habits::value::pattern(&value.value).is_none()) {
        let Some((why, fix)) = habits::value::part_of_field(field, &value.value) else { continue };
        let what = format!("`{field}` is compared with `{}` as a whole", value.value);
        report.push(Diagnostic::warning(Code::PatternCondition, value.span, what).why(why).fix(fix));
    }
}

fn is_field_value(value: &Spanned<String>, report: &mut Report) -> bool {
    let is_sendable = HeaderValue::from_str(&value.value).is_ok() && value.value.trim() == value.value;
    if !is_sendable {
        report.push(
            Diagnostic::error(Code::BadField, value.span, "no header field can have this value")
                .why("the value of a field is one line of printable characters, without spaces at its ends")
                .fix("write the value as clients send it"),
        );
    }
    is_sendable
}

fn is_query_value(value: &Spanned<String>, report: &mut Report) -> bool {
    let is_sendable = value.value.bytes().all(|b| b.is_ascii_graphic() && b != b'&' && b != b'#');
    if !is_sendable {
        report.push(
            Diagnostic::error(Code::BadQueryParameter, value.span, "no query parameter can have this value")
                .why("values are compared with the query as the client sends it, without decoding: a space is `%20`")
                .fix("write the value as it is sent after `=` in a URL"),
        );
    }
    is_sendable
}
