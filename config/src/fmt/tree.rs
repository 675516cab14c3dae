//! A text as a tree that forgets nothing: every value, key, anchor and comment with the place it was written.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::lines::Lines;

/// A document.
pub(super) struct Tree<'t> {
    pub(super) root: Child<'t>,
    /// Comments that are not attached to anything yet, in the order of the text.
    pub(super) comments: VecDeque<Comment<'t>>,
    pub(super) lines: Lines<'t>,
}

/// A comment, from its `#` to the end of its line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comment<'t> {
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) column: usize,
    /// Whether nothing stands before it on its line.
    pub(super) alone: bool,
    pub(super) text: &'t str,
}

/// An item of a list, or an entry of a mapping; the root of a document is one, too.
#[derive(Debug)]
pub(super) struct Child<'t> {
    /// Where its dash or its key begins.
    pub(super) at: usize,
    pub(super) notes: Notes<'t>,
    /// The key; items of lists have none.
    pub(super) key: Option<Key<'t>>,
    pub(super) value: Node<'t>,
}

/// The comments and blank lines that belong to a child.
#[derive(Debug, Default)]
pub(super) struct Notes<'t> {
    /// Comments on lines of their own before it.
    pub(super) lead: Vec<Note<'t>>,
    /// Whether a blank line stands directly before it.
    pub(super) blank: bool,
    /// The comment behind the key of a block that begins on the next line.
    pub(super) head: Option<&'t str>,
    /// The comment behind it.
    pub(super) trail: Option<&'t str>,
}

/// A comment on a line of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note<'t> {
    pub(super) text: &'t str,
    /// Whether a blank line stands before it.
    pub(super) blank: bool,
}

/// A key of a mapping.
#[derive(Debug)]
pub(super) struct Key<'t> {
    pub(super) anchor: Option<Anchor<'t>>,
    pub(super) text: Cow<'t, str>,
    pub(super) quoted: bool,
    pub(super) end: usize,
}

/// `&name`; the parser's number tells anchors of one name apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor<'t> {
    pub(super) name: &'t str,
    pub(super) number: usize,
}

/// A value.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) anchor: Option<Anchor<'t>>,
    /// Where it begins, behind its anchor.
    pub(super) at: usize,
    /// Where its content begins: other than `at` for block scalars, which begin with a header.
    pub(super) body: usize,
    pub(super) last_line: usize,
    pub(super) kind: Kind<'t>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind<'t> {
    /// Nothing is written, which means `null`.
    Empty,
    Alias(Anchor<'t>),
    /// An unquoted scalar; `raw` is as it was written, perhaps over several lines, and empty if that cannot be kept.
    Plain {
        text: Cow<'t, str>,
        raw: &'t str,
    },
    Quoted(Cow<'t, str>),
    Block(BlockScalar<'t>),
    Collection(Collection<'t>),
}

/// A literal (`|`) or folded (`>`) scalar.
#[derive(Debug)]
pub(super) struct BlockScalar<'t> {
    pub(super) mark: char,
    pub(super) text: Cow<'t, str>,
    /// Its lines without the indentation that is not part of them.
    pub(super) lines: Vec<&'t str>,
}

/// A list or a mapping.
#[derive(Debug)]
pub(super) struct Collection<'t> {
    pub(super) is_map: bool,
    /// Whether it is written with brackets.
    pub(super) flow: bool,
    /// The column that comments at the end of a block must reach to belong to it.
    pub(super) column: usize,
    /// Where the closing bracket is.
    pub(super) close: usize,
    pub(super) children: Vec<Child<'t>>,
    /// Comments behind the last child.
    pub(super) tail: Vec<Note<'t>>,
}

impl<'t> Node<'t> {
    /// The place of the first thing that a comment could stand before.
    pub(super) fn leaf(&self) -> usize {
        match &self.kind {
            Kind::Collection(collection) => collection.children.first().map_or(self.at, Child::leaf),
            Kind::Empty | Kind::Alias(_) | Kind::Plain { .. } | Kind::Quoted(_) | Kind::Block(_) => self.at,
        }
    }
}

impl Child<'_> {
    fn leaf(&self) -> usize {
        if self.key.is_some() { self.at } else { self.value.leaf() }
    }
}

/// How many lines there are without the empty ones at the end.
pub(super) fn written(lines: &[&str]) -> usize {
    lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1)
}
