//! Parses the text of an OpenAPI or Overlay document into a tree with positions.
//!
//! These documents were written for other tools. So this parser accepts several things that the parser of the
//! configuration format refuses: tags, merge keys, words that were booleans in YAML 1.1. Only text that cannot be parsed
//! is an error.

mod duplicates;
mod write;
mod yaml;

pub(crate) use write::json_text;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{FileId, Position, Span};
use crate::source::{Entry, Limits, Node, Value, json, line};

/// The limits for a specification: the largest published ones have 50 MB and two million values.
pub(crate) const LIMITS: Limits = Limits { bytes: 64 << 20, depth: 256, nodes: 4_000_000, alias_bytes: 16 << 20 };

/// Parses a text into a tree; `None` if it cannot be parsed, which is reported.
///
/// `nodes` is the remaining number of values for all files of one specification.
pub(super) fn read(
    file: FileId,
    name: &str,
    text: &str,
    limits: &Limits,
    nodes: &mut usize,
    report: &mut Report,
) -> Option<Node> {
    let mut root = read_tree(file, name, text, limits, nodes, report)?;
    duplicates::remove(&mut root, report);
    keep_version(&mut root, text);
    Some(root)
}

/// Replaces a version that is written without quotes by its text: as numbers, `3.1` and `3.10` are equal.
fn keep_version(root: &mut Node, text: &str) {
    let Value::Map(entries) = &mut root.value else { return };
    for Entry { key, value } in entries {
        let is_number = matches!(value.value, Value::Integer(_) | Value::Float(_));
        if is_number
            && VERSION_KEYS.contains(&key.value.as_str())
            && let Some(written) = written(value.span, text)
        {
            value.value = Value::Text(written.to_owned());
        }
    }
}

/// The text of a value that is written on one line.
fn written(span: Span, text: &str) -> Option<&str> {
    let line = line(text.strip_prefix('\u{feff}').unwrap_or(text), span.start.line)?;
    let offset = |column: u32| {
        let before = usize::try_from(column.checked_sub(1)?).ok()?;
        line.char_indices().map(|(at, _)| at).chain([line.len()]).nth(before)
    };
    line.get(offset(span.start.column)?..offset(span.end.column)?).map(str::trim).filter(|text| !text.is_empty())
}

/// The keys whose values are the version of a document.
const VERSION_KEYS: &[&str] = &["openapi", "overlay", "swagger"];

fn read_tree(
    file: FileId,
    name: &str,
    text: &str,
    limits: &Limits,
    nodes: &mut usize,
    report: &mut Report,
) -> Option<Node> {
    let text_start = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() as u64 > limits.bytes {
        too_large(Span::beginning_of(file), "the file is too large", limits, report);
        return None;
    }
    let is_json = name.ends_with(".json");
    if is_json || text_start.trim_start().starts_with('{') {
        let mut remaining = *nodes;
        match json::read(file, text, limits, &mut remaining) {
            Ok(root) => {
                *nodes = remaining;
                return Some(root);
            }
            // A YAML file may also begin with a brace.
            Err(json::Refusal::Syntax { .. }) if !is_json => {}
            Err(refusal) => {
                refuse(file, refusal, limits, report);
                return None;
            }
        }
    }
    yaml::read(file, text, limits, nodes, report)
}

fn refuse(file: FileId, refusal: json::Refusal, limits: &Limits, report: &mut Report) {
    match refusal {
        json::Refusal::Syntax { at, what } => {
            let end = Position { column: at.column.saturating_add(1), ..at };
            report.push(
                Diagnostic::error(Code::Syntax, Span { file, start: at, end }, format!("invalid JSON: {what}"))
                    .why("the rest of the file cannot be parsed")
                    .fix("check the commas, quotes and brackets here and on the line above"),
            );
        }
        json::Refusal::TooLarge { at, what } => too_large(Span { file, start: at, end: at }, what, limits, report),
    }
}

fn too_large(span: Span, what: &str, limits: &Limits, report: &mut Report) {
    let Limits { bytes, depth, nodes, alias_bytes } = *limits;
    report.push(
        Diagnostic::error(Code::TooLarge, span, what)
            .why(format!(
                "the maximum for a specification is {} MiB per file, {nodes} values in total, {depth} nested levels and {} MiB \
                 repeated by aliases",
                bytes >> 20,
                alias_bytes >> 20
            ))
            .fix("split the specification into several, one for each API"),
    );
}
