//! Formats the files of a project in their canonical form, and keeps every comment. `tollgate fmt` uses it.
//!
//! A text is parsed to a lossless tree, comments are attached to the values to which they belong, keys are sorted in the
//! order of the format's tables, and the tree is printed. Lists are never reordered, and neither are mappings of names.
//! Bracketed collections stay bracketed if they fit on a line and have no comments inside.
//!
//! The result is parsed again and compared with the original. If a value would change or a comment would be lost, the
//! file is not formatted.

mod attach;
mod build;
mod json;
mod kinds;
mod lines;
mod order;
mod print;
mod scalar;
mod tree;

#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::de::IgnoredAny;

pub use kinds::{is_project_file, project_files};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::place::{FileId, Files, Position, Span};
use crate::source::{self, Folder, Limits, Loader, Node, Value};

/// A file before and after formatting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formatted {
    /// The text of the file.
    pub before: String,
    /// Its canonical form.
    pub after: String,
}

/// The canonical form of a text.
///
/// `name` is the file's path within its project: it determines the kind of file, and so the order of its keys, and
/// whether it is JSON. The keys of a file of unknown kind keep their order. The result ends with a line break,
/// has the same values and comments, and does not change if it is formatted again.
///
/// # Errors
/// If the compiler's parser does not accept the text, or it is YAML in a file named `.json`.
pub fn format_text(name: &str, text: &str) -> Result<String, Diagnostics> {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add(name, text);
    canonical(file, name, text, &mut report).ok_or_else(|| report.finish(files))
}

/// The canonical form of a file of the project in a folder; `name` is its path within it. Nothing is written.
///
/// # Errors
/// As [`format_text`], and if the file cannot be read or is outside the folder.
pub fn format_file(project: &Path, name: &str) -> Result<Formatted, Diagnostics> {
    let (mut loader, mut report) = (Loader::new(Folder::Disk(project.to_owned())), Report::default());
    let formatted = loader.load(name, &Limits::AUTHORED, &mut report).and_then(|file| {
        let before = loader.files().text(file).to_owned();
        let after = canonical(file, name, &before, &mut report)?;
        Some(Formatted { before, after })
    });
    formatted.ok_or_else(|| report.finish(loader.into_files()))
}

/// `None` if the text cannot be formatted, which is reported.
fn canonical(file: FileId, name: &str, text: &str, report: &mut Report) -> Option<String> {
    let root = source::read(file, text, &Limits::AUTHORED, report);
    let is_json = kinds::is_json(name);
    if is_json && !report.has_errors() {
        check_json(file, text, report);
    }
    let root = root.filter(|_| !report.has_errors())?;
    let text = &*json::without_surrogate_pairs(text);
    let formatted = write(name, text, is_json).filter(|formatted| has_same_content(&root, text, formatted));
    if formatted.is_none() {
        report.push(
            Diagnostic::error(Code::NotFormatted, Span::beginning_of(file), "the file cannot be formatted")
                .why("the formatted file would have other values, or would lose a comment")
                .fix("this is a bug in Tollgate: please report it with the file, which was not changed"),
        );
    }
    formatted
}

fn write(name: &str, text: &str, is_json: bool) -> Option<String> {
    let mut tree = build::build(text)?;
    let rest = attach::attach(&mut tree);
    if let Some(object) = kinds::object_of(name) {
        order::sort(&mut tree.root.value, object);
    }
    Some(if is_json { json::print(&tree.root) } else { print::print(&tree.root, &rest) })
}

/// Refuses YAML in a file named `.json`, because the parser accepts YAML there too.
fn check_json(file: FileId, text: &str, report: &mut Report) {
    let Err(error) = serde_json::from_str::<IgnoredAny>(text.trim_start_matches('\u{feff}')) else { return };
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).max(1);
    let start = Position { line: number(error.line()), column: number(error.column()) };
    let span = Span { file, start, end: Position { column: start.column.saturating_add(1), ..start } };
    report.push(
        Diagnostic::error(Code::NotJson, span, format!("invalid JSON: {error}"))
            .why("editors and other tools expect JSON in a file named `.json`")
            .fix("write the file as JSON, or rename it to `.yaml`"),
    );
}

fn has_same_content(root: &Node, text: &str, formatted: &str) -> bool {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add("", "");
    let again = source::read(file, formatted, &Limits::AUTHORED, &mut report);
    !report.has_errors()
        && again.is_some_and(|again| is_same(root, &again))
        && comments(text).is_some_and(|before| comments(formatted).is_some_and(|after| before == after))
}

/// The comments of a text, sorted.
fn comments(text: &str) -> Option<Vec<String>> {
    let tree = build::build(text)?;
    let mut comments: Vec<String> = tree.comments.iter().map(|comment| comment.text.to_owned()).collect();
    comments.sort_unstable();
    Some(comments)
}

/// Whether two trees are equal, except for positions and the order of keys.
fn is_same(one: &Node, other: &Node) -> bool {
    match (&one.value, &other.value) {
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Map(one), Value::Map(other)) => {
            let sorted = |entries: &[source::Entry]| {
                let mut places: Vec<usize> = (0..entries.len()).collect();
                places.sort_by(|a, b| entries[*a].key.value.cmp(&entries[*b].key.value));
                places
            };
            one.len() == other.len()
                && sorted(one).into_iter().zip(sorted(other)).all(|(a, b)| {
                    let (a, b) = (&one[a], &other[b]);
                    a.key.value == b.key.value && is_same(&a.value, &b.value)
                })
        }
        (Value::Float(one), Value::Float(other)) => one.to_bits() == other.to_bits(),
        (one, other) => one == other,
    }
}
