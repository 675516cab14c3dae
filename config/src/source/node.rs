//! The contents of a file: a tree of values with their positions.

use crate::place::{Span, Spanned};

/// One value of a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// The JSON data model, to which YAML is restricted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// A value that was refused and reported; nothing more is reported about it.
    Refused,
}

/// One key of a mapping with its value; keys of a mapping differ from each other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: Spanned<String>,
    pub(crate) value: Node,
}

/// The size of a node with its descendants, which is the cost of repeating it with an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) nodes: usize,
    pub(crate) bytes: usize,
    pub(crate) depth: usize,
}

impl Node {
    /// Measures the tree; it is not deeper than [`super::Limits::depth`], so recursion is bounded.
    pub(crate) fn measure(&self) -> Measure {
        let mut sum = Measure { nodes: 1, bytes: 0, depth: 0 };
        match &self.value {
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Refused => {}
            Value::Text(text) => sum.bytes += text.len(),
            Value::List(items) => items.iter().for_each(|item| sum.add(item.measure())),
            Value::Map(entries) => {
                for entry in entries {
                    sum.bytes += entry.key.value.len();
                    sum.add(entry.value.measure());
                }
            }
        }
        sum
    }

    /// Whether two trees have the same values, regardless of their places and of the order of keys.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b)),
            (Value::Map(a), Value::Map(b)) => {
                let has_same = |a: &Entry| b.iter().any(|b| a.key.value == b.key.value && a.value.is_same(&b.value));
                a.len() == b.len() && a.iter().all(has_same)
            }
            (a, b) => a == b,
        }
    }
}

impl Measure {
    fn add(&mut self, child: Self) {
        self.nodes += child.nodes;
        self.bytes += child.bytes;
        self.depth = self.depth.max(child.depth + 1);
    }
}
