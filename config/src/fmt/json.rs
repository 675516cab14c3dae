//! Writes a tree as JSON: two spaces, one member a line.

use serde_json::Value as Json;

use super::tree::{Child, Collection, Kind, Node};

/// The text of a document that was read from JSON, so it has no comments and no aliases.
pub(super) fn print(root: &Child<'_>) -> String {
    let mut out = String::new();
    node(&root.value, 0, &mut out);
    out.push('\n');
    out
}

fn node(node: &Node<'_>, indent: usize, out: &mut String) {
    match &node.kind {
        // Numbers stay as they are written.
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

/// Spaces of one level.
const INDENT: usize = 2;
