//! Paths and methods.

use http::Method;
use tollgate_core::route::{Methods, PathTemplate, Segment};

use crate::decode::habits::{self, path::Foreign};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Spanned;

/// Reports a path that is written as in another router; returns whether there is one.
pub(crate) fn report_foreign(text: &Spanned<String>, report: &mut Report) -> bool {
    let Some(Foreign { part, fix }) = habits::path::foreign(&text.value) else { return false };
    let what = format!("`{part}` in `{}` is the syntax of another router", text.value);
    let why = "here only `{...}` is a parameter: other characters match only themselves";
    report.push(Diagnostic::error(Code::ForeignPath, text.span, what).why(why).fix(fix));
    true
}

/// Reports a path of a specification that is written as in a router; it is routed as it is written.
pub(crate) fn report_foreign_in_document(text: &Spanned<String>, report: &mut Report) {
    let Some(Foreign { part, fix }) = habits::path::foreign_in_document(&text.value) else { return };
    let (what, why) = if part.starts_with('{') {
        (
            "a type, a default or a sign in the name of a parameter",
            "in an OpenAPI document the text in braces is only a name, so the parameter matches any text",
        )
    } else {
        (
            "the syntax of a router",
            "in an OpenAPI document only `{...}` is a parameter: other characters match only themselves",
        )
    };
    let what = format!("`{part}` in `{}` is {what}", text.value);
    report.push(Diagnostic::warning(Code::ForeignPath, text.span, what).why(why).fix(fix));
}

/// Reports a path with a blank at one of its ends; returns whether there is one.
pub(crate) fn report_blank(text: &Spanned<String>, report: &mut Report) -> bool {
    let has_blank = text.value.trim() != text.value;
    if has_blank {
        bad_path(text, "it ends with a blank", report);
    }
    has_blank
}

/// Parses a path template.
pub(crate) fn template(text: &Spanned<String>, report: &mut Report) -> Option<PathTemplate> {
    match text.value.parse() {
        Ok(_) if has_query(&text.value) => {
            bad_path(text, NO_QUERY, report);
            None
        }
        Ok(template) => Some(template),
        Err(error) => {
            bad_path(text, &format!("{error}"), report);
            None
        }
    }
}

/// Whether a template has a `?` or `#` outside of its parameters: the path of a request contains them only as `%3F` or
/// `%23`.
fn has_query(template: &str) -> bool {
    let outside = template.split('{').enumerate().map(|(place, piece)| match piece.split_once('}') {
        Some((_, outside)) if place > 0 => outside,
        _ => piece,
    });
    outside.into_iter().any(|piece| piece.contains(['?', '#']))
}

const NO_QUERY: &str = "a path contains no `?` or `#`; use `when` for query parameters";

/// Parses a path template without reporting mistakes, because they are reported elsewhere.
pub(crate) fn template_unreported(text: &str) -> Option<PathTemplate> {
    text.parse().ok()
}

/// Parses the base of an API: a path without parameters. Returns it with the number of its segments.
pub(crate) fn base(text: &Spanned<String>, report: &mut Report) -> Option<(String, usize)> {
    if let Some(prefix) = text.value.strip_suffix("/*").or_else(|| text.value.strip_suffix("/**")) {
        let fix = format!(
            "write `{}`: a base is a prefix, and routes below it are listed in `routes`",
            if prefix.is_empty() { "/" } else { prefix }
        );
        let what = format!("`{}` is the syntax of another router", text.value);
        let why = "the paths of all routes of the API begin with the base";
        report.push(Diagnostic::error(Code::ForeignPath, text.span, what).why(why).fix(fix));
        return None;
    }
    if let Some(Foreign { part, .. }) = habits::path::foreign(&text.value) {
        let what = format!("`{part}` in `{}` is the syntax of another router", text.value);
        let why = "a base is a prefix without parameters, and the paths of all routes of the API begin with it";
        let fix = habits::path::base_fix(&text.value);
        report.push(Diagnostic::error(Code::ForeignPath, text.span, what).why(why).fix(fix));
        return None;
    }
    let trimmed = text.value.strip_suffix('/').unwrap_or(&text.value);
    if trimmed.is_empty() && !text.value.is_empty() {
        return Some((String::new(), 0));
    }
    match trimmed.parse::<PathTemplate>() {
        Ok(_) if has_query(trimmed) => {
            bad_path(text, NO_QUERY, report);
            None
        }
        Ok(_) if trimmed.trim() != trimmed => {
            bad_path(text, "it ends with a blank", report);
            None
        }
        Ok(path) if path.segments().iter().all(|segment| matches!(segment, Segment::Literal(_))) => {
            Some((trimmed.to_owned(), path.segments().len()))
        }
        Ok(_) => {
            let what = format!("`{}` is not a valid path: a base must not have parameters", text.value);
            report.push(
                Diagnostic::error(Code::BadPath, text.span, what)
                    .why("a base is a prefix, and the paths of all routes of the API begin with it")
                    .fix(habits::path::base_fix(&text.value)),
            );
            None
        }
        Err(error) => {
            bad_path(text, &format!("{error}"), report);
            None
        }
    }
}

pub(crate) fn bad_path(text: &Spanned<String>, what: &str, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::BadPath, text.span, format!("`{}` is not a valid path: {what}", text.value))
            .why("no request could match this route")
            .fix(habits::bad_path::fix(&text.value)),
    );
}

/// Reports an operation of a specification that is not routed.
pub(crate) fn not_routed(text: &Spanned<String>, what: &str, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NotRouted, text.span, format!("`{}` is not routed: {what}", text.value))
            .why("its requests are answered with 404, or by another route that matches them; the other operations are routed")
            .fix("shorten the `base` of the API"),
    );
}

/// Parses the methods of a route, sorted.
pub(crate) fn methods(list: &[Spanned<String>], report: &mut Report) -> Methods {
    list.iter().filter_map(|text| method(text, report)).collect()
}

fn method(text: &Spanned<String>, report: &mut Report) -> Option<Method> {
    let upper = text.value.to_ascii_uppercase();
    let fix = match Method::from_bytes(text.value.as_bytes()) {
        _ if ["*", "ANY", "ALL", "_ALL_"].contains(&upper.as_str()) => {
            "remove `methods`: a route without it matches all methods".to_owned()
        }
        _ if text.value.contains([',', '|', ' ']) => {
            let methods: Vec<&str> = upper.split([',', '|', ' ']).filter(|method| !method.is_empty()).collect();
            format!("write each method as an item of the list: `[{}]`", methods.join(", "))
        }
        Ok(Method::CONNECT | Method::TRACE) => "remove it: `CONNECT` and `TRACE` are never routed".to_owned(),
        Ok(method) if text.value == upper => {
            warn_unusual_method(text, report);
            return Some(method);
        }
        Ok(_) => format!("write `{upper}`: methods are case-sensitive"),
        Err(_) => "write a method such as `GET`".to_owned(),
    };
    report.push(
        Diagnostic::error(Code::BadMethod, text.span, format!("`{}` is not a valid method for a route", text.value))
            .why("no request with this method would be routed")
            .fix(fix),
    );
    None
}

/// Reports a method that is probably a usual one with a mistake in it; other methods can be routed.
fn warn_unusual_method(text: &Spanned<String>, report: &mut Report) {
    let Some(meant) = habits::word::method(&text.value) else { return };
    report.push(
        Diagnostic::warning(Code::BadMethod, text.span, format!("`{}` is no registered method", text.value))
            .why("only requests with exactly this method would be routed")
            .fix(format!("did you mean `{meant}`?")),
    );
}
