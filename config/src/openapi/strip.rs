//! Takes out of a document what is only for Tollgate.

use crate::source::{Node, Value};

/// Removes the keys `x-tollgate`; the tree is not deeper than the reader's limit, so recursion is bounded.
///
/// Names of properties and the like are data, but no API has one that begins so by chance.
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

/// The key of what Tollgate reads within a specification.
pub(super) const EXTENSION: &str = "x-tollgate";
