//! The lossless tree of a text: every value, key, anchor and comment with its position.

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
    /// Whether it is the first on its line.
    pub(super) alone: bool,
    pub(super) text: &'t str,
}

/// An item of a list, or an entry of a mapping; the root of a document is also a child.
#[derive(Debug)]
pub(super) struct Child<'t> {
    /// The beginning of its dash or key.
    pub(super) at: usize,
    pub(super) notes: Notes<'t>,
    /// The key; items of lists have none.
    pub(super) key: Option<Key<'t>>,
    pub(super) value: Node<'t>,
}

/// The comments and blank lines that belong to a child.
#[derive(Debug, Default)]
pub(super) struct Notes<'t> {
    /// Comments on separate lines before it.
    pub(super) lead: Vec<Note<'t>>,
    /// Whether a blank line is directly before it.
    pub(super) blank: bool,
    /// The comment after the key of a block that begins on the next line.
    pub(super) head: Option<&'t str>,
    /// The comment after it.
    pub(super) trail: Option<&'t str>,
}

/// A comment on a separate line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Note<'t> {
    pub(super) text: &'t str,
    /// Whether a blank line is before it.
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

/// `&name`; the parser's number distinguishes anchors with the same name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchor<'t> {
    pub(super) name: &'t str,
    pub(super) number: usize,
}

/// A value.
#[derive(Debug)]
pub(super) struct Node<'t> {
    pub(super) anchor: Option<Anchor<'t>>,
    /// Its beginning, after its anchor.
    pub(super) at: usize,
    /// The beginning of its content: different from `at` for block scalars, which begin with a header.
    pub(super) body: usize,
    pub(super) last_line: usize,
    pub(super) kind: Kind<'t>,
}

/// The kind of a value.
#[derive(Debug)]
pub(super) enum Kind<'t> {
    /// An empty scalar, which means `null`.
    Empty,
    Alias(Anchor<'t>),
    /// An unquoted scalar; `raw` is its original text, possibly over several lines, and empty if that cannot be kept.
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
    /// Its lines without their indentation.
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
    /// The position of the closing bracket.
    pub(super) close: usize,
    pub(super) children: Vec<Child<'t>>,
    /// Comments after the last child.
    pub(super) tail: Vec<Note<'t>>,
}

impl<'t> Node<'t> {
    /// The position of the first token, before which a comment could be.
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

/// The number of lines without the empty ones at the end.
pub(super) fn written(lines: &[&str]) -> usize {
    lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1)
}
