//! Writes a tree as canonical YAML.

use super::scalar;
use super::tree::{Anchor, BlockScalar, Child, Collection, Key, Kind, Node, Note, written};

/// The text of a document; `rest` are the comments at the end.
pub(super) fn print(root: &Child<'_>, rest: &[Note<'_>]) -> String {
    let mut printer = Printer { out: String::new(), opened: true };
    printer.root(root);
    printer.notes(rest, 0);
    printer.out
}

struct Printer {
    out: String,
    /// Whether no blank line may follow: the last line opened a block, or nothing is written yet.
    opened: bool,
}

impl Printer {
    fn root(&mut self, root: &Child<'_>) {
        self.notes(&root.notes.lead, 0);
        self.blank(root.notes.blank);
        if let Kind::Collection(collection) = &root.value.kind
            && (!collection.flow || self.on_one_line(&root.value).is_none())
        {
            if let Some(anchor) = root.value.anchor {
                self.out.push('&');
                self.out.push_str(anchor.name);
                self.end_line(None);
            }
            self.opened = true;
            self.children(collection, 0, false);
            self.notes(&as_note(root.notes.trail), 0);
            return;
        }
        self.value(root, 0);
    }

    /// The children of a block; if `inline`, the first begins on the line of a dash.
    fn children(&mut self, collection: &Collection<'_>, indent: usize, inline: bool) {
        for (place, child) in collection.children.iter().enumerate() {
            if place > 0 || !inline {
                self.notes(&child.notes.lead, indent);
                self.blank(child.notes.blank);
                self.pad(indent);
            }
            match &child.key {
                Some(key) => self.key(key, indent),
                None => self.out.push('-'),
            }
            self.value(child, indent);
        }
        self.notes(&collection.tail, indent);
    }

    fn key(&mut self, key: &Key<'_>, indent: usize) {
        let written = key_text(key, false);
        // Longer keys need an explicit key indicator (YAML 1.2.2, section 7.4.3).
        if written.len() > KEY_BYTES_MAX {
            self.out.push_str("? ");
            self.out.push_str(&written);
            self.out.push('\n');
            self.pad(indent);
        } else {
            self.out.push_str(&written);
        }
        self.out.push(':');
    }

    /// The value after a key or a dash, to the end of its last line.
    fn value(&mut self, child: &Child<'_>, indent: usize) {
        let Child { key, value, notes, .. } = child;
        if let Kind::Collection(collection) = &value.kind
            && (!collection.flow || self.on_one_line(value).is_none())
        {
            self.block(child, collection, indent);
            return;
        }
        let at_root = key.is_none() && (self.out.is_empty() || self.out.ends_with('\n'));
        let mut line = String::new();
        if let Some(anchor) = value.anchor {
            push_word(&mut line, &anchor_text(anchor));
        }
        let mut further: Vec<&str> = Vec::new();
        match &value.kind {
            // An empty document is not written.
            Kind::Empty if at_root => push_word(&mut line, "null"),
            Kind::Empty => {}
            Kind::Alias(anchor) => push_word(&mut line, &format!("*{}", anchor.name)),
            Kind::Plain { raw, text }
                if raw.contains(['\n', '\r']) && scalar::is_plain(&text.replace('\n', " "), false) =>
            {
                let mut lines = breaks(raw).map(|line| line.trim_matches([' ', '\t']));
                push_word(&mut line, lines.next().unwrap_or_default());
                further = lines.collect();
            }
            Kind::Plain { text, .. } => push_word(&mut line, &scalar::plain(text, false)),
            Kind::Quoted(text) => push_word(&mut line, &scalar::text(text)),
            Kind::Block(block) => match block_header(block) {
                Some(header) => {
                    push_word(&mut line, &header);
                    further = block_lines(block);
                }
                None => push_word(&mut line, &scalar::text(&block.text)),
            },
            Kind::Collection(_) => push_word(&mut line, &self.on_one_line(value).unwrap_or_default()),
        }
        if !line.is_empty() && !at_root {
            self.out.push(' ');
        }
        self.out.push_str(&line);
        let trail_at_header = matches!(value.kind, Kind::Block(_));
        if further.is_empty() || trail_at_header {
            self.end_line(notes.trail);
        } else {
            self.out.push('\n');
        }
        self.further(&further, indent + INDENT);
        // A blank line would become part of a scalar that keeps trailing lines.
        self.opened = trail_at_header && further.last().is_some_and(|line| line.is_empty());
        if !further.is_empty() && !trail_at_header {
            self.out.pop();
            self.end_line(notes.trail);
        }
    }

    fn block(&mut self, child: &Child<'_>, collection: &Collection<'_>, indent: usize) {
        let Child { key, value, notes, .. } = child;
        if let Some(anchor) = value.anchor {
            push_word(&mut self.out, &anchor_text(anchor));
        }
        if key.is_some() {
            self.end_line(notes.head.or(notes.trail));
            self.opened = true;
            self.children(collection, indent + INDENT, false);
            return;
        }
        if value.anchor.is_some() {
            self.end_line(None);
            self.opened = true;
        } else {
            self.out.push(' ');
        }
        self.children(collection, indent + INDENT, value.anchor.is_none());
        self.notes(&as_note(notes.trail), indent + INDENT);
    }

    fn further(&mut self, lines: &[&str], indent: usize) {
        for line in lines {
            if !line.is_empty() {
                self.pad(indent);
                self.out.push_str(line);
            }
            self.out.push('\n');
        }
    }

    /// A bracketed collection, if it fits on the current line.
    fn on_one_line(&self, node: &Node<'_>) -> Option<String> {
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        let before = self.out[line..].chars().count() + 1 + node.anchor.map_or(0, |anchor| anchor.name.len() + 2);
        let mut flow = Flow { out: String::new(), room: WIDTH.saturating_sub(before) };
        flow.kind(node)?;
        Some(flow.out)
    }

    fn notes(&mut self, notes: &[Note<'_>], indent: usize) {
        for note in notes {
            self.blank(note.blank);
            self.pad(indent);
            self.out.push_str(note.text);
            self.out.push('\n');
        }
    }

    fn blank(&mut self, wanted: bool) {
        if wanted && !self.opened {
            self.out.push('\n');
        }
        self.opened = false;
    }

    fn pad(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn end_line(&mut self, comment: Option<&str>) {
        if let Some(comment) = comment {
            self.out.push_str("  ");
            self.out.push_str(comment);
        }
        self.out.push('\n');
        self.opened = false;
    }
}

/// Writes a bracketed collection while there is room on the line.
struct Flow {
    out: String,
    room: usize,
}

impl Flow {
    fn node(&mut self, node: &Node<'_>) -> Option<()> {
        if let Some(anchor) = node.anchor {
            self.push(&anchor_text(anchor))?;
            self.push(" ")?;
        }
        self.kind(node)
    }

    fn kind(&mut self, node: &Node<'_>) -> Option<()> {
        match &node.kind {
            Kind::Empty => self.push("null"),
            Kind::Alias(anchor) => self.push(&format!("*{}", anchor.name)),
            Kind::Plain { text, .. } => self.push(&scalar::plain(text, true)),
            Kind::Quoted(text) => self.push(&scalar::text(text)),
            Kind::Block(_) => None,
            Kind::Collection(collection) => self.collection(collection),
        }
    }

    fn collection(&mut self, collection: &Collection<'_>) -> Option<()> {
        let (open, close) = if collection.is_map { ("{", "}") } else { ("[", "]") };
        self.push(open)?;
        for (place, child) in collection.children.iter().enumerate() {
            if place > 0 {
                self.push(", ")?;
            }
            let notes = &child.notes;
            if !notes.lead.is_empty() || notes.head.is_some() || notes.trail.is_some() {
                return None;
            }
            if let Some(key) = &child.key {
                self.push(&key_text(key, true))?;
                self.push(": ")?;
            }
            self.node(&child.value)?;
        }
        self.push(close)?;
        collection.tail.is_empty().then_some(())
    }

    fn push(&mut self, text: &str) -> Option<()> {
        self.room = self.room.checked_sub(text.chars().count())?;
        self.out.push_str(text);
        Some(())
    }
}

fn key_text(key: &Key<'_>, in_flow: bool) -> String {
    let text = if key.quoted { scalar::text(&key.text) } else { scalar::plain_key(&key.text, in_flow) };
    key.anchor.map_or_else(|| text.to_string(), |anchor| format!("{} {text}", anchor_text(anchor)))
}

fn anchor_text(anchor: Anchor<'_>) -> String {
    format!("&{}", anchor.name)
}

/// `|` or `>` with the required indicators for indentation and the end; `None` if all lines are empty.
fn block_header(block: &BlockScalar<'_>) -> Option<String> {
    let first = block.lines.iter().find(|line| !line.is_empty())?;
    // If the first line begins with a space, it does not determine the indentation.
    let indent = if first.starts_with([' ', '\t']) { "2" } else { "" };
    let end = match block.text.len() - block.text.trim_end_matches('\n').len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    Some(format!("{}{indent}{end}", block.mark))
}

fn block_lines<'t>(block: &BlockScalar<'t>) -> Vec<&'t str> {
    let ends = block.text.len() - block.text.trim_end_matches('\n').len();
    let mut lines: Vec<&str> = block.lines[..written(&block.lines)].to_vec();
    lines.extend(std::iter::repeat_n("", ends.saturating_sub(1)));
    lines
}

fn breaks(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

fn push_word(line: &mut String, word: &str) {
    if !line.is_empty() && !line.ends_with('\n') {
        line.push(' ');
    }
    line.push_str(word);
}

fn as_note(comment: Option<&str>) -> Vec<Note<'_>> {
    comment.map(|text| Note { text, blank: false }).into_iter().collect()
}

/// The number of spaces of one level.
const INDENT: usize = 2;

/// The maximum width of a line with brackets.
const WIDTH: usize = 120;

/// The maximum length in bytes of a key without an explicit indicator; YAML allows 1,024 characters.
const KEY_BYTES_MAX: usize = 1000;
