//! The files of a project and what is written in them, with the place of every node.

mod folder;
pub(crate) mod json;
mod layout;
mod loader;
mod node;
#[cfg(test)]
mod reader_tests;
mod scalar;
mod yaml;

use std::collections::HashMap;
use std::sync::OnceLock;

pub(crate) use folder::Folder;
pub(crate) use layout::Layout;
pub(crate) use loader::Loader;
pub use node::Spanned;
pub(crate) use node::{Entry, Measure, Node, Value};
pub(crate) use scalar::{resolve, yaml_1_1_boolean};
pub(crate) use yaml::read;

/// Which file of a project; a place in the compilation's list of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A place in a text; line and column are counted from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The character within the line.
    pub column: u32,
}

impl Position {
    /// The first character of a text.
    pub const START: Self = Self { line: 1, column: 1 };
}

/// A stretch of a file, from `start` to just before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first character.
    pub start: Position,
    /// The first character that no longer belongs to it.
    pub end: Position,
}

impl Span {
    /// The beginning of a file, for what is about the file as a whole.
    #[must_use]
    pub fn beginning_of(file: FileId) -> Self {
        Self { file, start: Position::START, end: Position::START }
    }

    /// The same place where files are at other places.
    pub(crate) fn moved(self, places: &[FileId]) -> Self {
        let place = usize::try_from(self.file.0).ok().and_then(|place| places.get(place));
        Self { file: place.copied().unwrap_or(self.file), ..self }
    }
}

/// The texts of a project, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    files: Vec<Text>,
}

/// A text with its name, and where its lines begin, once somebody asked for one: a specification has a million of them.
#[derive(Clone, Debug)]
struct Text {
    name: String,
    text: String,
    lines: OnceLock<Vec<usize>>,
}

impl Files {
    /// A map of no files.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a file by the name that diagnostics print.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(Text { name: name.into(), text: text.into(), lines: OnceLock::new() });
        id
    }

    /// Adds the files that are not there yet, by name and text; answers with the place of each.
    pub(crate) fn join(&mut self, others: &Self) -> Vec<FileId> {
        let id = |place: usize| FileId(u32::try_from(place).unwrap_or(u32::MAX));
        let named = |file: &Text| (file.name.clone(), file.text.clone());
        let mut known: HashMap<(String, String), FileId> =
            self.files.iter().enumerate().map(|(place, file)| (named(file), id(place))).collect();
        let mut places = Vec::with_capacity(others.files.len());
        for file in &others.files {
            let add = || self.add(file.name.as_str(), file.text.as_str());
            let place = *known.entry(named(file)).or_insert_with(add);
            places.push(place);
        }
        places
    }

    /// The name of a file.
    pub(crate) fn name(&self, id: FileId) -> &str {
        self.get(id).map_or("", |file| &file.name)
    }

    /// The text of a file.
    pub(crate) fn text(&self, id: FileId) -> &str {
        self.get(id).map_or("", |file| &file.text)
    }

    /// One line of a file, counted from 1, without its line break.
    pub(crate) fn line(&self, id: FileId, number: u32) -> Option<&str> {
        let Text { text, lines, .. } = self.get(id)?;
        let start = *lines.get_or_init(|| line_starts(text)).get(usize::try_from(number.checked_sub(1)?).ok()?)?;
        text[start..].split(['\n', '\r']).next()
    }

    fn get(&self, id: FileId) -> Option<&Text> {
        usize::try_from(id.0).ok().and_then(|index| self.files.get(index))
    }
}

/// Where the lines of a text begin.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = |at: &usize| match bytes[*at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    std::iter::once(0).chain((0..bytes.len()).filter(ends).map(|at| at + 1)).collect()
}

/// One line of a text, counted from 1, without its line break; YAML ends a line by CR alone too.
fn line(text: &str, number: u32) -> Option<&str> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    let mut rest = text;
    for _ in 0..index {
        let at = rest.find(['\n', '\r'])?;
        let width = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[at + width..];
    }
    Some(rest.split(['\n', '\r']).next().unwrap_or(rest))
}

/// How large a file may be and how deep its nesting.
///
/// The numbers are far above what people write and far below what could exhaust a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of one file.
    pub(crate) bytes: u64,
    /// Lists and mappings inside each other.
    pub(crate) depth: usize,
    /// Nodes of one file, those that aliases repeat included.
    pub(crate) nodes: usize,
    /// Bytes of text that aliases repeat.
    pub(crate) alias_bytes: usize,
}

impl Limits {
    /// The limits for a file that a person writes: 1,000 routes take about 100 KiB and 20,000 nodes.
    pub(crate) const AUTHORED: Self = Self { bytes: 4 << 20, depth: 64, nodes: 400_000, alias_bytes: 1 << 20 };
}

fn position_of(text: &str, byte: usize) -> Position {
    let before = &text[..text.floor_char_boundary(byte)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_by_any_of_the_breaks_that_yaml_knows() {
        let mut files = Files::new();
        let id = files.add("t", "a\nb\r\nc\rd");
        let lines: Vec<_> = (0..6).map(|n| files.line(id, n)).collect();
        assert_eq!(lines, [None, Some("a"), Some("b"), Some("c"), Some("d"), None]);
    }
}
