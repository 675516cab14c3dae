//! Writes a tree as JSON: indented by two spaces, with one member on each line.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::build;
use super::tree::{Child, Collection, Kind, Node};

/// The text of a document that was parsed from JSON, so it has no comments and no aliases.
pub(super) fn print(root: &Child<'_>) -> String {
    let mut out = String::new();
    node(&root.value, 0, &mut out);
    out.push('\n');
    out
}

fn node(node: &Node<'_>, indent: usize, out: &mut String) {
    match &node.kind {
        // Numbers are not changed.
        Kind::Plain { text, .. } => out.push_str(text),
        Kind::Quoted(text) => string(text, out),
        Kind::Block(block) => string(&block.text, out),
        Kind::Collection(members) => collection(members, indent, out),
        Kind::Empty | Kind::Alias(_) => out.push_str("null"),
    }
}

fn collection(collection: &Collection<'_>, indent: usize, out: &mut String) {
    let (open, close) = if collection.is_map { ('{', '}') } else { ('[', ']') };
    out.push(open);
    for (place, child) in collection.children.iter().enumerate() {
        out.push_str(if place > 0 { ",\n" } else { "\n" });
        pad(indent + INDENT, out);
        if let Some(key) = &child.key {
            string(&key.text, out);
            out.push_str(": ");
        }
        node(&child.value, indent + INDENT, out);
    }
    if !collection.children.is_empty() {
        out.push('\n');
        pad(indent, out);
    }
    out.push(close);
}

fn string(text: &str, out: &mut String) {
    out.push_str(&Json::from(text).to_string());
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// The number of spaces of one level.
const INDENT: usize = 2;

/// The text with JSON's pairs of surrogate escapes replaced by their characters, because YAML does not support such
/// pairs.
///
/// A lone surrogate becomes the replacement character, as in the parser. The caller's comparison detects a wrong change
/// outside of JSON strings.
pub(super) fn without_surrogate_pairs(text: &str) -> Cow<'_, str> {
    if !text.contains("\\ud") && !text.contains("\\uD") || build::build(text).is_some() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (character, length) = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
                (char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 12)
            }
            (Some(0xD800..=0xDFFF), _) => (Some(char::REPLACEMENT_CHARACTER), 6),
            _ => (None, escape.chars().take(2).map(char::len_utf8).sum()),
        };
        match character {
            Some(character) => out.push(character),
            None => out.push_str(&escape[..length]),
        }
        rest = &escape[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The code unit of an escape `\uXXXX` at the beginning of a text.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}
