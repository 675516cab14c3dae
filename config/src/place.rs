//! Files (texts with names), and places in them, which all diagnostics refer to.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Serialize;

/// Identifies a file of a project: an index into the compilation's list of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A position in a text; lines and columns are counted from 1, columns in characters.
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

/// A range of a file, from `start` up to but excluding `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// The first character.
    pub start: Position,
    /// The first character after the range.
    pub end: Position,
}

impl Span {
    /// The beginning of a file, for findings about the file as a whole.
    #[must_use]
    pub fn beginning_of(file: FileId) -> Self {
        Self { file, start: Position::START, end: Position::START }
    }

    /// The same range in another list of files: `places` has the new id of each file.
    pub(crate) fn moved(self, places: &[FileId]) -> Self {
        let place = usize::try_from(self.file.0).ok().and_then(|place| places.get(place));
        Self { file: place.copied().unwrap_or(self.file), ..self }
    }
}

/// The files and folders that were read, by their paths in the project folder, each with a digest of its content.
///
/// Digests are comparable within one process only. Files and folders that do not exist are included, because a
/// compilation would read them if they did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    files: BTreeMap<String, Option<u64>>,
    folders: BTreeMap<String, Option<u64>>,
}

impl Inputs {
    /// The paths of the files.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The paths of the folders whose entries were listed; an empty path is the project folder.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.folders.keys().map(String::as_str)
    }

    /// The same with what another part of the project has read.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.files.extend(other.files);
        self.folders.extend(other.folders);
        self
    }

    /// The digest of a file; `None` if it could not be read.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<u64> {
        self.files.get(path).copied().flatten()
    }

    /// Sets the digest of a file; `None` for a file that cannot be read.
    pub fn set_file(&mut self, path: &str, digest: Option<u64>) {
        self.files.insert(path.to_owned(), digest);
    }

    /// Sets the digest of a folder's entries; `None` for a folder that cannot be listed.
    pub fn set_folder(&mut self, path: &str, digest: Option<u64>) {
        self.folders.insert(path.to_owned(), digest);
    }
}

/// The texts of a project, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    files: Vec<Text>,
    inputs: Inputs,
}

/// A text with its name, and the offsets of its lines, which are computed on first use: a specification can have a
/// million lines.
#[derive(Clone, Debug)]
struct Text {
    name: String,
    text: String,
    lines: OnceLock<Vec<usize>>,
}

impl Files {
    /// An empty list of files.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The same list, with what was read from the project's folder.
    pub(crate) fn with_inputs(self, inputs: Inputs) -> Self {
        Self { inputs, ..self }
    }

    /// What was read from the project's folder.
    pub(crate) fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Adds a file by the name that diagnostics print.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push(Text { name: name.into(), text: text.into(), lines: OnceLock::new() });
        id
    }

    /// Adds the files that are not in the list yet, compared by name and text; returns the id of each.
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

/// The offsets at which the lines of a text begin.
fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let ends = |at: &usize| match bytes[*at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    };
    std::iter::once(0).chain((0..bytes.len()).filter(ends).map(|at| at + 1)).collect()
}

/// A value and the place at which it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// The place.
    pub span: Span,
}

impl<T> Spanned<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// The start of a span, to be shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Place {
    /// The file's path in the project.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_break_of_yaml_ends_a_line() {
        let mut files = Files::new();
        let id = files.add("t", "a\nb\r\nc\rd");
        let lines: Vec<_> = (0..6).map(|n| files.line(id, n)).collect();
        assert_eq!(lines, [None, Some("a"), Some("b"), Some("c"), Some("d"), None]);
    }
}
