//! Decodes lists.

use std::collections::HashMap;

use super::{habits, mapping, mistyped, text};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// A list, each item decoded with `decode`.
pub(crate) fn list<T>(
    node: &Node,
    report: &mut Report,
    mut decode: impl FnMut(&Node, &mut Report) -> Option<T>,
) -> Option<Vec<T>> {
    match &node.value {
        Value::List(items) => Some(items.iter().filter_map(|item| decode(item, report)).collect()),
        Value::Text(text) => mistyped(node, "a list", &habits::list::fix(None, text), report),
        Value::Map(_) => mistyped(node, "a list", "write a list: each item begins with `- `", report),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Refused => {
            mistyped(node, "a list", "write a list, such as `[a, b]`", report)
        }
    }
}

/// A list of at most `max` unique strings.
pub(crate) fn texts(node: &Node, max: usize, report: &mut Report) -> Option<Vec<Spanned<String>>> {
    let items = list(node, report, text)?;
    check_length(node, items.len(), max, report).then_some(())?;
    let mut kept: Vec<Spanned<String>> = Vec::with_capacity(items.len());
    let mut seen = HashMap::new();
    for item in items {
        match seen.get(&item.value) {
            Some(first) => report_repeated(&item.value, item.span, *first, report),
            None => {
                seen.insert(item.value.clone(), item.span);
                kept.push(item);
            }
        }
    }
    Some(kept)
}

/// One string, or a list of at most `max` unique strings that is not empty.
pub(crate) fn text_or_texts(node: &Node, max: usize, report: &mut Report) -> Option<Vec<Spanned<String>>> {
    match &node.value {
        Value::List(_) => some_texts(node, max, report),
        _ => text(node, report).map(|text| vec![text]),
    }
}

/// Strings by name.
pub(crate) type TextsByName = Vec<(Spanned<String>, Vec<Spanned<String>>)>;

/// Strings, or lists of strings, by name.
pub(crate) fn texts_by_name(node: &Node, max: usize, report: &mut Report) -> Option<TextsByName> {
    let entries = mapping(node, report)?;
    check_length(node, entries.len(), max, report).then_some(())?;
    let read =
        |entry: &Entry, report: &mut Report| Some((entry.key.clone(), text_or_texts(&entry.value, max, report)?));
    let all: Vec<_> = entries.iter().filter_map(|entry| read(entry, report)).collect();
    (all.len() == entries.len()).then_some(all)
}

/// Reports a list that is too long; returns whether it is short enough.
pub(crate) fn check_length(node: &Node, length: usize, max: usize, report: &mut Report) -> bool {
    if length > max {
        report.push(
            Diagnostic::error(Code::TooMany, node.span, format!("the list has {length} items"))
                .why(format!("the maximum is {max}, so that the work for one request is bounded"))
                .fix("remove items"),
        );
    }
    length <= max
}

/// Reports an item that a list contains twice.
pub(crate) fn report_repeated(what: &str, span: Span, first: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::Repeated, span, format!("`{what}` is listed twice"))
            .why("the second occurrence has no effect")
            .fix("remove it, or write the item that was intended")
            .related(first, "first listed here"),
    );
}

/// A list of unique strings that is not empty: for keys where an empty list could mean nothing or everything.
pub(crate) fn some_texts(node: &Node, max: usize, report: &mut Report) -> Option<Vec<Spanned<String>>> {
    if matches!(&node.value, Value::List(items) if items.is_empty()) {
        report.push(
            Diagnostic::error(Code::EmptyValue, node.span, "the list is empty")
                .why("an empty list could mean nothing or everything")
                .fix("add an item, remove the key, or write `none` if the key allows it"),
        );
        return None;
    }
    texts(node, max, report)
}
