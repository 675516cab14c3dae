//! The files of a project and their contents, with the position of every node.

mod content;
mod digest;
mod folder;
pub(crate) mod json;
mod layout;
mod loader;
mod node;
#[cfg(test)]
mod reader_tests;
mod scalar;
mod scan;
mod unread;
mod yaml;

use crate::place::Position;

pub(crate) use folder::Folder;
pub(crate) use layout::Layout;
pub(crate) use loader::Loader;
pub(crate) use node::{Entry, Measure, Node, Value};
pub(crate) use scalar::{resolve, yaml_1_1_boolean};
pub(crate) use scan::{Events, error_at, events, position, syntax_fix};
pub(crate) use yaml::read;

/// One line of a text, counted from 1, without its line break; in YAML, CR alone also ends a line.
pub(crate) fn line(text: &str, number: u32) -> Option<&str> {
    let index = usize::try_from(number.checked_sub(1)?).ok()?;
    let mut rest = text;
    for _ in 0..index {
        let at = rest.find(['\n', '\r'])?;
        let width = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[at + width..];
    }
    Some(rest.split(['\n', '\r']).next().unwrap_or(rest))
}

/// The suffixes of the names of test files.
pub(crate) const TEST_ENDINGS: [&str; 3] = [".test.yaml", ".test.yml", ".test.json"];

/// The limits for the size and nesting of a file.
///
/// They are far above the size of real files and far below what could exhaust a machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The size of one file in bytes.
    pub(crate) bytes: u64,
    /// The nesting depth of lists and mappings.
    pub(crate) depth: usize,
    /// The number of nodes of one file, including those that aliases repeat.
    pub(crate) nodes: usize,
    /// The number of bytes of text that aliases repeat.
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
