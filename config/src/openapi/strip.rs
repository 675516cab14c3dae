//! Removes the parts of a document that are only for Tollgate.

use crate::source::{Node, Value};

/// Removes the keys `x-tollgate`; the tree is not deeper than the reader's limit, so recursion is bounded.
///
/// Names of properties are data, but it is unlikely that an API has a property of this name.
pub(super) fn strip(node: &mut Node) {
    match &mut node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Refused => {}
        Value::List(items) => items.iter_mut().for_each(strip),
        Value::Map(entries) => {
            entries.retain(|entry| entry.key.value != EXTENSION);
            entries.iter_mut().for_each(|entry| strip(&mut entry.value));
        }
    }
}

/// The key of Tollgate's settings within a specification.
pub(super) const EXTENSION: &str = "x-tollgate";
