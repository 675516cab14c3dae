//! The files of a project and what is written in them, with the place of every node.

mod node;
#[cfg(test)]
mod reader_tests;
mod scalar;
mod yaml;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use node::Spanned;
pub(crate) use node::{Entry, Node, Value};
pub(crate) use yaml::read;

use crate::diagnostic::{Code, Diagnostic, Report};

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
}

/// The texts of a project, in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    files: Vec<(String, String)>,
}

impl Files {
    /// A map of no files.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a file by the name that diagnostics print.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        self.files.push((name.into(), text.into()));
        id
    }

    /// The name of a file.
    pub(crate) fn name(&self, id: FileId) -> &str {
        self.get(id).map_or("", |(name, _)| name)
    }

    /// The text of a file.
    pub(crate) fn text(&self, id: FileId) -> &str {
        self.get(id).map_or("", |(_, text)| text)
    }

    /// One line of a file, counted from 1, without its line break.
    pub(crate) fn line(&self, id: FileId, number: u32) -> Option<&str> {
        self.get(id).and_then(|(_, text)| line(text, number))
    }

    fn get(&self, id: FileId) -> Option<&(String, String)> {
        usize::try_from(id.0).ok().and_then(|index| self.files.get(index))
    }
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

/// Reads a file of the project folder `root` into `files`; `None` when it cannot be read, which is then reported.
///
/// `name` is relative to the folder. A link that leads outside the folder is refused.
pub(crate) fn load(root: &Path, name: &str, files: &mut Files, report: &mut Report) -> Option<FileId> {
    let bytes = match read_bounded(root, name) {
        Ok(bytes) => bytes,
        Err(reason) => {
            let at = Span::beginning_of(files.add(name, ""));
            report.push(
                Diagnostic::error(Code::UnreadableFile, at, format!("`{name}` cannot be read: {reason}"))
                    .why("the project cannot be compiled without it")
                    .fix(format!(
                        "see that {} is a readable file inside the project folder",
                        root.join(name).display()
                    )),
            );
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(files.add(name, text)),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let at = position_of(&text, valid);
            let file = files.add(name, text);
            let span = Span { file, start: at, end: Position { column: at.column + 1, ..at } };
            report.push(
                Diagnostic::error(Code::NotUtf8, span, format!("`{name}` is not UTF-8"))
                    .why("the format is UTF-8 everywhere, so that a file means the same on every machine")
                    .fix("save the file as UTF-8"),
            );
            None
        }
    }
}

fn read_bounded(root: &Path, name: &str) -> Result<Vec<u8>, String> {
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let path = root.join(name).canonicalize().map_err(|error| error.to_string())?;
    if !path.starts_with(&root) {
        return Err("it is a link that leads outside the project folder".to_owned());
    }
    // Asked before it is opened: to open a pipe waits for its other end.
    if !path.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(&path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(Limits::AUTHORED.bytes + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > Limits::AUTHORED.bytes {
        return Err(format!("it is larger than {} MiB", Limits::AUTHORED.bytes >> 20));
    }
    Ok(bytes)
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

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_project_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir(&project).unwrap();
        std::fs::write(folder.path().join("outside.yaml"), "a: 1").unwrap();
        std::os::unix::fs::symlink("../outside.yaml", project.join("tollgate.yaml")).unwrap();
        let (mut files, mut report) = (Files::new(), Report::default());
        assert_eq!(load(&project, "tollgate.yaml", &mut files, &mut report), None);
        assert!(report.finish(files).to_string().contains("outside the project folder"));
    }

    #[test]
    fn a_file_that_is_not_utf8_is_refused_at_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.yaml"), b"a: 1\nb: \xff\n").unwrap();
        let (mut files, mut report) = (Files::new(), Report::default());
        assert_eq!(load(folder.path(), "t.yaml", &mut files, &mut report), None);
        let found = report.finish(files);
        assert_eq!(found.iter().next().unwrap().span.start, Position { line: 2, column: 4 });
    }
}
