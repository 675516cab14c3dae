//! Removes duplicate keys: the first is kept, and a warning is reported.

use std::collections::HashMap;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::source::{Entry, Node, Value};

/// Removes entries with a duplicate key; the tree is not deeper than the reader's limit, so recursion is bounded.
pub(super) fn remove(node: &mut Node, report: &mut Report) {
    match &mut node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Refused => {}
        Value::List(items) => items.iter_mut().for_each(|item| remove(item, report)),
        Value::Map(entries) => {
            if has_duplicates(entries) {
                keep_first(entries, report);
            }
            entries.iter_mut().for_each(|entry| remove(&mut entry.value, report));
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

fn keep_first(entries: &mut Vec<Entry>, report: &mut Report) {
    let mut seen: HashMap<String, Span> = HashMap::new();
    entries.retain(|Entry { key, .. }| {
        let Some(first) = seen.get(&key.value) else {
            seen.insert(key.value.clone(), key.span);
            return true;
        };
        report.push(
            Diagnostic::warning(Code::DuplicateKey, key.span, format!("duplicate key `{}`", key.value))
                .why("parsers of YAML and JSON disagree on which of the two values applies; the first is used here")
                .fix("remove one of them")
                .related(*first, "first defined here"),
        );
        false
    });
}

/// Mappings with at most this many keys are compared pair by pair, which needs no memory.
const COMPARED_MAX: usize = 12;
