//! Parses YAML 1.2 as other tools write it: leniently if the meaning is clear, and with bounded work.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, ScalarStyle, Tag};

use super::too_large;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{FileId, Position, Span, Spanned};
use crate::source::{Entry, Events, Limits, Measure, Node, Value, error_at, events, position, resolve, syntax_fix};

/// Parses a text into a tree; `None` if it cannot be parsed, which is reported.
pub(super) fn read(file: FileId, text: &str, limits: &Limits, nodes: &mut usize, report: &mut Report) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader {
        events: events(text),
        text,
        file,
        limits,
        nodes,
        report,
        anchors: HashMap::new(),
        alias_bytes: 0,
        alias_nodes: 0,
    };
    reader.stream().ok()
}

/// Parsing cannot continue; the reason is in the report.
struct Stop;

struct Reader<'t, 'r> {
    events: Events<'t>,
    text: &'t str,
    file: FileId,
    limits: &'r Limits,
    nodes: &'r mut usize,
    report: &'r mut Report,
    anchors: HashMap<usize, (Node, Measure)>,
    alias_bytes: usize,
    alias_nodes: usize,
}

impl<'t> Reader<'t, '_> {
    fn stream(&mut self) -> Result<Node, Stop> {
        self.next()?; // the start of the stream
        let (event, span) = self.next()?;
        if event == Event::StreamEnd {
            self.report.push(
                Diagnostic::error(Code::EmptyFile, span, "the file is empty")
                    .why("an OpenAPI document must declare its version")
                    .fix("begin it with `openapi: 3.1.0`, or name another file"),
            );
            return Err(Stop);
        }
        let (event, span) = self.next()?;
        let root = self.node(event, span, 0)?;
        self.next()?; // the end of the document
        let (event, span) = self.next()?;
        if event != Event::StreamEnd {
            self.report.push(
                Diagnostic::warning(Code::SeveralDocuments, span, "a second document begins here")
                    .why("only the first document of a file is read")
                    .fix("move the second document to another file"),
            );
        }
        Ok(root)
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Stop> {
        self.count(1, span)?;
        match event {
            Event::Alias(anchor) => self.repeat(anchor, span, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| is_text_tag(&tag));
                let value = if is_text { Value::Text(text.into_owned()) } else { resolve(&text) };
                self.remember(anchor, Node { value, span })
            }
            Event::SequenceStart(anchor, _) => {
                let node = self.sequence(span, depth)?;
                self.remember(anchor, node)
            }
            Event::MappingStart(anchor, _) => {
                let node = self.mapping(span, depth)?;
                self.remember(anchor, node)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => self.syntax(span, "expected a value"),
        }
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Result<Node, Stop> {
        self.descend(start, depth)?;
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node { value: Value::List(items), span: start });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Result<Node, Stop> {
        self.descend(start, depth)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                add_missing(&mut entries, merged);
                return Ok(Node { value: Value::Map(entries), span: start });
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, _) if text == "<<");
            let key = self.key(event, span, depth)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            match key {
                Some(_) if is_merge => merge(value, &mut merged),
                Some(key) => entries.push(Entry { key, value }),
                None => {}
            }
        }
    }

    /// A key as it is written: `200:` and `"200":` are the same key, as they are in JSON.
    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Option<Spanned<String>>, Stop> {
        let key = match event {
            Event::Scalar(text, _, anchor, _) => {
                self.count(1, span)?;
                if anchor != 0 {
                    self.remember(anchor, Node { value: Value::Text(text.clone().into_owned()), span })?;
                }
                Some(text.into_owned())
            }
            event => match self.node(event, span, depth + 1)?.value {
                Value::Text(text) => Some(text),
                _ => None,
            },
        };
        if key.is_none() {
            self.report.push(
                Diagnostic::warning(Code::KeyNotText, span, "a key must be a string")
                    .why("JSON has no lists or mappings as keys, so this key is ignored")
                    .fix("write the key as a string"),
            );
        }
        Ok(key.map(|key| Spanned::new(key, span)))
    }

    fn remember(&mut self, anchor: usize, node: Node) -> Result<Node, Stop> {
        if anchor != 0 {
            let measure = node.measure();
            self.charge(measure, node.span)?;
            self.anchors.insert(anchor, (node.clone(), measure));
        }
        Ok(node)
    }

    fn repeat(&mut self, anchor: usize, span: Span, depth: usize) -> Result<Node, Stop> {
        let Some((_, measure)) = self.anchors.get(&anchor) else {
            self.report.push(
                Diagnostic::error(Code::EndlessAlias, span, "this alias is inside the value that it repeats")
                    .why("the value would be infinite")
                    .fix("use an anchor on a value that ends before this alias"),
            );
            return Err(Stop);
        };
        let measure = *measure;
        self.charge(measure, span)?;
        if measure.depth + depth > self.limits.depth {
            return self.too_large(span, "lists and mappings are nested too deeply");
        }
        Ok(self.anchors.get(&anchor).map_or(Node { value: Value::Refused, span }, |(node, _)| node.clone()))
    }

    fn descend(&mut self, span: Span, depth: usize) -> Result<(), Stop> {
        if depth < self.limits.depth {
            Ok(())
        } else {
            self.too_large(span, "lists and mappings are nested too deeply")
        }
    }

    fn charge(&mut self, measure: Measure, span: Span) -> Result<(), Stop> {
        self.alias_bytes = self.alias_bytes.saturating_add(measure.bytes);
        if self.alias_bytes > self.limits.alias_bytes {
            return self.too_large(span, "aliases repeat too much text");
        }
        self.alias_nodes = self.alias_nodes.saturating_add(measure.nodes);
        if self.alias_nodes > ALIAS_NODES_MAX {
            return self.too_large(span, "aliases repeat too many values");
        }
        self.count(measure.nodes, span)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        match self.nodes.checked_sub(nodes) {
            Some(remaining) => {
                *self.nodes = remaining;
                Ok(())
            }
            None => self.too_large(span, "the specification contains too many values"),
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Stop> {
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                Ok((event, Span { file: self.file, start: position(&span.start), end: position(&span.end) }))
            }
            Some(Err(error)) => {
                let start = error_at(self.text, &error);
                let end = Position { column: start.column.saturating_add(1), ..start };
                self.syntax(Span { file: self.file, start, end }, error.info())
            }
            None => self.syntax(Span::beginning_of(self.file), "unexpected end of file"),
        }
    }

    fn syntax<T>(&mut self, span: Span, what: &str) -> Result<T, Stop> {
        self.report.push(
            Diagnostic::error(Code::Syntax, span, format!("invalid YAML: {what}"))
                .why("the rest of the file cannot be parsed")
                .fix(syntax_fix(self.text, span.start, what)),
        );
        Err(Stop)
    }

    fn too_large<T>(&mut self, span: Span, what: &str) -> Result<T, Stop> {
        too_large(span, what, self.limits, self.report);
        Err(Stop)
    }
}

/// Merges the value of `<<`: a mapping, or a list of mappings in which the earlier ones have precedence.
fn merge(value: Node, merged: &mut Vec<Entry>) {
    match value.value {
        Value::Map(entries) => add_missing(merged, entries),
        Value::List(items) => items.into_iter().for_each(|item| {
            if let Value::Map(entries) = item.value {
                add_missing(merged, entries);
            }
        }),
        _ => {}
    }
}

/// Adds the entries whose keys do not exist yet.
fn add_missing(entries: &mut Vec<Entry>, more: Vec<Entry>) {
    if more.is_empty() {
        return;
    }
    let known: HashSet<String> = entries.iter().map(|entry| entry.key.value.clone()).collect();
    entries.extend(more.into_iter().filter(|entry| !known.contains(&entry.key.value)));
}

fn is_text_tag(tag: &Tag) -> bool {
    tag.handle == "tag:yaml.org,2002:" && tag.suffix == "str"
}

/// The maximum number of values that aliases may repeat, the same as for a file of a project. The limits for
/// specifications are larger because those contain much text, but a few lines of aliases must not use all of that.
const ALIAS_NODES_MAX: usize = 400_000;
