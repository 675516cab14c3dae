//! Removes duplicate keys: the first is kept, and a warning is reported.
//!
//! In parts that routes are made from, two different values are an error: the first one could require less.

use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::openapi::strip::EXTENSION;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// Removes entries with a duplicate key; the tree is not deeper than the reader's limit, so recursion is bounded.
pub(super) fn remove(node: &mut Node, report: &mut Report) {
    remove_in(node, true, report);
}

fn remove_in(node: &mut Node, is_read: bool, report: &mut Report) {
    match &mut node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Refused => {}
        Value::List(items) => items.iter_mut().for_each(|item| remove_in(item, is_read, report)),
        Value::Map(entries) => {
            if has_duplicates(entries) {
                keep_first(entries, is_read, report);
            }
            for Entry { key, value } in entries {
                remove_in(value, is_read && is_read_key(&key.value), report);
            }
        }
    }
}

fn has_duplicates(entries: &[Entry]) -> bool {
    if entries.len() <= COMPARED_MAX {
        let is_taken = |place: usize| entries[..place].iter().any(|entry| entry.key.value == entries[place].key.value);
        return (1..entries.len()).any(is_taken);
    }
    let mut keys: Vec<&str> = entries.iter().map(|entry| entry.key.value.as_str()).collect();
    keys.sort_unstable();
    keys.windows(2).any(|pair| pair[0] == pair[1])
}

/// Whether routes may be made from the value of a key; other keys only describe.
fn is_read_key(key: &str) -> bool {
    key == EXTENSION || !(key.starts_with("x-") || DESCRIPTIONS.contains(&key))
}

fn keep_first(entries: &mut Vec<Entry>, is_read: bool, report: &mut Report) {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for entry in entries.drain(..) {
        let Some(first) = seen.get(&entry.key.value).and_then(|place| kept.get(*place)) else {
            seen.insert(entry.key.value.clone(), kept.len());
            kept.push(entry);
            continue;
        };
        let is_error = is_read && is_read_key(&entry.key.value) && !is_equal(&first.value, &entry.value);
        report.push(duplicate(&entry.key, first.key.span, is_error));
    }
    *entries = kept;
}

/// Whether two trees have the same values in the same order, which needs one pass for trees of any size.
fn is_equal(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_equal(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            let is_equal_entry = |(a, b): (&Entry, &Entry)| a.key.value == b.key.value && is_equal(&a.value, &b.value);
            a.len() == b.len() && a.iter().zip(b).all(is_equal_entry)
        }
        (a, b) => a == b,
    }
}

fn duplicate(key: &Spanned<String>, first: Span, is_error: bool) -> Diagnostic {
    let what = format!("duplicate key `{}`", key.value);
    let disagree = "parsers of YAML and JSON disagree on which of the two values applies";
    let found = if is_error {
        let why = format!("{disagree}, and one of them may require less than the other");
        Diagnostic::error(Code::DuplicateKey, key.span, what).why(why).fix("remove one of them, or merge the values")
    } else {
        let why = format!("{disagree}; the first is used here");
        Diagnostic::warning(Code::DuplicateKey, key.span, what).why(why).fix("remove one of them")
    };
    found.related(first, "first defined here")
}

/// Keys whose values routes are not made from. Schemas are among them: a type only divides requests between operations
/// that require the same.
const DESCRIPTIONS: &[&str] = &[
    "callbacks",
    "content",
    "deprecated",
    "description",
    "example",
    "examples",
    "externalDocs",
    "headers",
    "info",
    "links",
    "properties",
    "requestBodies",
    "requestBody",
    "responses",
    "schema",
    "schemas",
    "summary",
    "tags",
    "title",
    "webhooks",
];

/// Mappings with at most this many keys are compared pair by pair, which needs no memory.
const COMPARED_MAX: usize = 12;
