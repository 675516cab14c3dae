//! Builds the tree of a text from the parser's events.
//!
//! The parser drops comments, but its events have the start of every value. Between values there are only spaces,
//! indicators, anchors and comments, so comments are found by scanning these ranges.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use saphyr_parser::{Event, ScalarStyle};

use super::lines::Lines;
use super::tree::{Anchor, BlockScalar, Child, Collection, Comment, Key, Kind, Node, Notes, Tree, written};
use crate::source::{Events, events};

/// Builds the tree of a text that the compiler's parser accepts; `None` if this parser does not accept it.
pub(super) fn build(text: &str) -> Option<Tree<'_>> {
    let mut builder = Builder {
        events: events(text),
        text,
        offsets: Offsets::of(text),
        lines: Lines::new(text),
        cursor: 0,
        comments: VecDeque::new(),
    };
    let root = builder.document()?;
    let Builder { comments, lines, .. } = builder;
    Some(Tree { root, comments, lines })
}

struct Builder<'t> {
    events: Events<'t>,
    text: &'t str,
    offsets: Offsets,
    lines: Lines<'t>,
    /// The position up to which the text was scanned.
    cursor: usize,
    comments: VecDeque<Comment<'t>>,
}

/// The position of a node.
#[derive(Clone, Copy)]
struct Place {
    /// Its position if nothing is written.
    empty_at: usize,
    /// The column of the block around it.
    column: Option<usize>,
    in_flow: bool,
}

impl<'t> Builder<'t> {
    fn document(&mut self) -> Option<Child<'t>> {
        self.next()?;
        let (event, span) = self.next()?;
        if event == Event::DocumentStart(true) {
            self.directives(span.start);
            self.cursor = span.end;
        }
        let (event, span) = self.next()?;
        let place = Place { empty_at: self.cursor, column: None, in_flow: false };
        let value = self.node(event, span, place)?;
        self.look(self.text.len());
        Some(Child { at: value.at, notes: Notes::default(), key: None, value })
    }

    fn node(&mut self, event: Event<'t>, span: Range<usize>, place: Place) -> Option<Node<'t>> {
        match event {
            Event::Alias(number) => {
                self.look(span.start);
                self.cursor = span.end;
                let name = self.text.get(span.start + 1..span.end)?;
                Some(self.leaf(None, span, Kind::Alias(Anchor { name, number })))
            }
            Event::Scalar(text, style, number, _) => self.scalar(text, style, number, span, place),
            Event::SequenceStart(number, _) => self.collection(false, number, span, place),
            Event::MappingStart(number, _) => self.collection(true, number, span, place),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => None,
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        number: usize,
        span: Range<usize>,
        place: Place,
    ) -> Option<Node<'t>> {
        let anchor = self.anchor(number, span.start)?;
        if style == ScalarStyle::Plain && text.is_empty() {
            let at = if anchor.is_some() { self.cursor } else { place.empty_at };
            return Some(self.leaf(anchor, at..at, Kind::Empty));
        }
        if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return self.block_scalar(anchor, text, span.end, place.column);
        }
        self.look(span.start);
        self.look_past_blanks(span.end);
        let end = self.quoted_end(style).unwrap_or(span.end);
        let span = self.cursor..end;
        self.cursor = end;
        let kind = if style == ScalarStyle::Plain {
            let raw = self.text.get(span.clone())?;
            let raw = if self.comments_within(&span) { "" } else { raw };
            Kind::Plain { text, raw }
        } else {
            Kind::Quoted(text)
        };
        Some(self.leaf(anchor, span, kind))
    }

    /// Records comments between the lines of a plain scalar, which the parser allows after a tab.
    fn comments_within(&mut self, span: &Range<usize>) -> bool {
        let (first, last) = (self.lines.line(span.start), self.lines.line(span.end));
        let before = self.comments.len();
        for line in first + 1..=last {
            let text = self.lines.text(line);
            let blanks = text.len() - text.trim_start_matches([' ', '\t']).len();
            if text[blanks..].starts_with('#') {
                self.comment(self.lines.start(line) + blanks);
            }
        }
        self.cursor = span.end;
        self.comments.len() > before
    }

    /// The closing quote of a scalar that begins at the cursor: the end reported by the parser includes what follows.
    fn quoted_end(&self, style: ScalarStyle) -> Option<usize> {
        let rest = self.text.get(self.cursor + 1..)?;
        let mut at = 0;
        loop {
            at += rest.get(at..)?.find(['"', '\'', '\\'])?;
            let escape = match (style, rest.as_bytes()[at]) {
                (ScalarStyle::DoubleQuoted, b'\\') => true,
                (ScalarStyle::SingleQuoted, b'\'') if rest[at + 1..].starts_with('\'') => true,
                (ScalarStyle::DoubleQuoted, b'"') | (ScalarStyle::SingleQuoted, b'\'') => {
                    return Some(self.cursor + 1 + at + 1);
                }
                (ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted, _) => false,
                (ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded, _) => return None,
            };
            at += if escape { 1 + rest[at + 1..].chars().next().map_or(0, char::len_utf8) } else { 1 };
        }
    }

    fn leaf(&self, anchor: Option<Anchor<'t>>, span: Range<usize>, kind: Kind<'t>) -> Node<'t> {
        let last_line = self.lines.line(span.end);
        Node { anchor, at: span.start, body: span.start, last_line, kind }
    }

    fn block_scalar(
        &mut self,
        anchor: Option<Anchor<'t>>,
        text: Cow<'t, str>,
        end: usize,
        column: Option<usize>,
    ) -> Option<Node<'t>> {
        let at = self.find(&['|', '>'])?;
        let header_line = self.lines.line(at);
        let header = self.lines.text(header_line).get(self.lines.column_bytes(at)..)?;
        let body = self.lines.start(header_line + 1);
        self.cursor = at + 1;
        self.look(body);
        self.cursor = end.max(body);
        let past = self.past_block(end);
        let raw: Vec<&str> = (header_line + 1..past).map(|line| self.lines.text(line)).collect();
        let mark = header.chars().next()?;
        let given = header.chars().skip(1).take(2).find_map(|c| c.to_digit(10)).map(|d| d as usize);
        let indent = given.map_or_else(|| indentation(&raw), |given| column.unwrap_or(0) + given);
        let lines: Vec<&str> = raw.iter().map(|line| without_indent(line, indent)).collect();
        let kept = if text.ends_with("\n\n") { lines.len() } else { written(&lines) };
        let last_line = header_line + kept;
        Some(Node { anchor, at, body, last_line, kind: Kind::Block(BlockScalar { mark, text, lines }) })
    }

    /// The line after a block scalar; its reported end may be within the indentation of a following comment.
    fn past_block(&self, end: usize) -> usize {
        let line = self.lines.line(end);
        let begun = self.text.get(self.lines.start(line)..end).unwrap_or_default();
        let belongs = !begun.is_empty() && (end == self.text.len() || !begun.trim_matches(' ').is_empty());
        line + usize::from(belongs)
    }

    fn collection(&mut self, is_map: bool, number: usize, span: Range<usize>, place: Place) -> Option<Node<'t>> {
        let anchor = self.anchor(number, span.start)?;
        // A block begins at its first value, which may be a bracket; but then its span is empty.
        let from = if anchor.is_some() { Some(self.cursor) } else { (!span.is_empty()).then_some(span.start) };
        let bracket = from.and_then(|from| self.bracket(if is_map { '{' } else { '[' }, from));
        let opened = bracket.is_some();
        if let Some(bracket) = bracket {
            self.look(bracket);
            self.cursor = bracket + 1;
        }
        // A pair within a list's brackets, `[a: 1]`, has no separate brackets.
        let flow = opened || place.in_flow;
        let mut collection = Collection { is_map, flow, column: 0, close: 0, children: Vec::new(), tail: Vec::new() };
        let end = if is_map { self.entries(&mut collection)? } else { self.items(&mut collection, place)? };
        collection.close = end.start;
        if opened {
            collection.close = self.find(&[if is_map { '}' } else { ']' }])?;
            self.cursor = collection.close + 1;
        }
        let at = bracket.or(collection.children.first().map(|child| child.at)).unwrap_or(span.end);
        let last_line = self.lines.line(collection.close);
        Some(Node { anchor, at, body: at, last_line, kind: Kind::Collection(collection) })
    }

    /// The position of the bracket that opens a collection, if any; comments may be between it and an anchor.
    fn bracket(&self, bracket: char, from: usize) -> Option<usize> {
        let mut rest = self.text.get(from..)?;
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\n', '\r']);
            if !rest.starts_with('#') {
                return rest.starts_with(bracket).then(|| self.text.len() - rest.len());
            }
            rest = &rest[rest.find(['\n', '\r'])?..];
        }
    }

    fn items(&mut self, list: &mut Collection<'t>, around: Place) -> Option<Range<usize>> {
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Some(span);
            }
            let dash = if list.flow { None } else { Some(self.find(&['-'])?) };
            let column = dash.map(|dash| self.lines.column(dash));
            if let Some(column) = column.filter(|_| list.children.is_empty()) {
                // A list may have the indentation of its key; what follows at that depth is not part of it.
                list.column = if around.column == Some(column) { column + 1 } else { column };
            }
            if let Some(dash) = dash {
                self.cursor = dash + 1;
            }
            let value = self.node(event, span, Place { empty_at: self.cursor, column, in_flow: list.flow })?;
            let at = dash.unwrap_or(value.at);
            list.children.push(Child { at, notes: Notes::default(), key: None, value });
        }
    }

    fn entries(&mut self, map: &mut Collection<'t>) -> Option<Range<usize>> {
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Some(span);
            }
            let (at, key) = self.key(event, span)?;
            if map.children.is_empty() && !map.flow {
                map.column = self.lines.column(at);
            }
            let (event, span) = self.next()?;
            let place = Place { empty_at: key.end, column: (!map.flow).then_some(map.column), in_flow: map.flow };
            let value = self.node(event, span, place)?;
            map.children.push(Child { at, notes: Notes::default(), key: Some(key), value });
        }
    }

    fn key(&mut self, event: Event<'t>, span: Range<usize>) -> Option<(usize, Key<'t>)> {
        let Event::Scalar(text, style, number, _) = event else { return None };
        if style == ScalarStyle::Plain && text.is_empty() && number == 0 {
            let at = span.start.max(self.cursor);
            self.look(at);
            return Some((at, Key { anchor: None, text, quoted: true, end: at }));
        }
        let headed = number == 0 && matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let at = if headed { self.find(&['|', '>'])? } else { span.start };
        self.look(at);
        let node = self.scalar(text, style, number, span, Place { empty_at: at, column: None, in_flow: false })?;
        let quoted = !matches!(node.kind, Kind::Plain { .. });
        let text = match node.kind {
            Kind::Plain { text, .. } | Kind::Quoted(text) | Kind::Block(BlockScalar { text, .. }) => text,
            Kind::Empty => Cow::Borrowed(""),
            Kind::Alias(_) | Kind::Collection(_) => return None,
        };
        Some((at, Key { anchor: node.anchor, text, quoted, end: self.cursor }))
    }

    /// The anchor at a position.
    fn anchor(&mut self, number: usize, at: usize) -> Option<Option<Anchor<'t>>> {
        if number == 0 {
            return Some(None);
        }
        self.look(at);
        let name = self.text.get(at..)?.strip_prefix('&')?;
        let end = name.find([' ', '\t', '\n', '\r', ',', '[', ']', '{', '}']).unwrap_or(name.len());
        self.cursor = at + 1 + end;
        Some(Some(Anchor { name: &name[..end], number }))
    }

    /// Scans the text between two values for comments, up to a position.
    fn look(&mut self, end: usize) {
        while let Some(hash) = self.text.get(self.cursor..end).and_then(|gap| gap.find('#')) {
            self.comment(self.cursor + hash);
        }
        self.cursor = self.cursor.max(end);
    }

    /// The same where a directive is possible, in which a `#` within a word is not a comment.
    fn directives(&mut self, end: usize) {
        while let Some(hash) = self.text.get(self.cursor..end).and_then(|gap| gap.find('#')) {
            let at = self.cursor + hash;
            let line = self.lines.text(self.lines.line(at));
            let before = self.text.as_bytes().get(at.wrapping_sub(1));
            if line.starts_with('%') && before.is_some_and(|b| !b.is_ascii_whitespace()) {
                self.cursor = at + 1;
            } else {
                self.comment(at);
            }
        }
        self.cursor = self.cursor.max(end);
    }

    /// Skips spaces and comments.
    fn look_past_blanks(&mut self, end: usize) {
        while let Some(rest) = self.text.get(self.cursor..end) {
            let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
            self.cursor += blanks;
            if !rest[blanks..].starts_with('#') {
                return;
            }
            self.comment(self.cursor);
        }
    }

    /// The next of some indicators outside of comments.
    fn find(&mut self, indicators: &[char]) -> Option<usize> {
        loop {
            let rest = self.text.get(self.cursor..)?;
            let at = self.cursor + rest.find(|c| c == '#' || indicators.contains(&c))?;
            if !self.text[at..].starts_with('#') {
                self.cursor = at;
                return Some(at);
            }
            self.comment(at);
        }
    }

    fn comment(&mut self, at: usize) {
        let line = self.lines.line(at);
        let before = &self.text[self.lines.start(line)..at];
        let rest = &self.text[at..];
        let text = &rest[..rest.find(['\n', '\r']).unwrap_or(rest.len())];
        self.cursor = at + text.len();
        self.comments.push_back(Comment {
            at,
            line,
            column: before.chars().count(),
            alone: before.chars().all(|c| matches!(c, ' ' | '\t' | '\u{feff}')),
            text: text.trim_end(),
        });
    }

    fn next(&mut self) -> Option<(Event<'t>, Range<usize>)> {
        let (event, span) = self.events.next_event()?.ok()?;
        Some((event, self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index())))
    }
}

/// The indentation of the first non-empty line.
fn indentation(lines: &[&str]) -> usize {
    let written = lines.iter().find(|line| !line.trim_matches(' ').is_empty());
    written.map_or(usize::MAX, |line| line.len() - line.trim_start_matches(' ').len())
}

fn without_indent(line: &str, indent: usize) -> &str {
    let blanks = line.len() - line.trim_start_matches(' ').len();
    &line[blanks.min(indent)..]
}

/// Converts the parser's character offsets to byte offsets.
enum Offsets {
    Ascii(usize),
    Table(Vec<u32>),
}

impl Offsets {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::Ascii(text.len());
        }
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self::Table(text.char_indices().map(|(at, _)| offset(at)).chain([offset(text.len())]).collect())
    }

    fn byte(&self, character: usize) -> usize {
        match self {
            Self::Ascii(length) => character.min(*length),
            Self::Table(table) => table.get(character).or(table.last()).map_or(0, |at| *at as usize),
        }
    }
}
