//! Expressions as they are written.

use std::ops::Range;

use tollgate_core::expression::{Binary, Unary};

/// A part of an expression with its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tree {
    pub(super) at: Range<usize>,
    pub(super) part: Part,
}

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Null,
    Bool(bool),
    Integer(i64),
    Double(f64),
    Text(String),
    Name(String),
    Select(Box<Tree>, Word),
    Index(Box<Tree>, Box<Tree>),
    Call { on: Option<Box<Tree>>, name: Word, arguments: Vec<Tree> },
    List(Vec<Tree>),
    Unary(Unary, Box<Tree>),
    Binary(Binary, Box<Tree>, Box<Tree>),
    Conditional(Box<Tree>, Box<Tree>, Box<Tree>),
}

/// A word with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) at: Range<usize>,
    pub(super) text: String,
}
