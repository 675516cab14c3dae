//! The parser of YAML and JSON: events of the scanner become a bounded tree of values with positions.
//!
//! Stricter than YAML 1.2 to avoid surprises: keys are unique; tags, several documents, merge keys and the booleans and
//! numbers of YAML 1.1 are refused. Valid JSON has a separate parser, which builds the same trees.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, ScalarStyle, ScanError};

use super::json;
use super::node::Measure;
use super::scan::{Events, error_at, events, position, syntax_fix};
use super::{Entry, Limits, Node, Value, scalar};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{FileId, Position, Span, Spanned};

/// Parses a text into a tree; `None` if it cannot be parsed, which is reported.
///
/// Individual mistakes (a duplicate key, a tag) are reported, and parsing continues.
pub(crate) fn read(file: FileId, text: &str, limits: &Limits, report: &mut Report) -> Option<Node> {
    if let Some(root) = valid_json(file, text, limits) {
        return Some(root);
    }
    let mut reader =
        Reader { events: events(text), text, file, limits, report, anchors: HashMap::new(), nodes: 0, alias_bytes: 0 };
    if text.len() as u64 > limits.bytes {
        return reader.too_large(Span::beginning_of(file), "the file is too large").ok();
    }
    reader.stream().ok()
}

/// The tree of a text that is valid JSON: JSON has escapes that the scanner does not support, pairs of surrogates. For
/// any other text, the YAML parser reports what is wrong.
fn valid_json(file: FileId, text: &str, limits: &Limits) -> Option<Node> {
    let start = text.trim_start_matches('\u{feff}').trim_start();
    if !start.starts_with(['{', '[']) || text.len() as u64 > limits.bytes {
        return None;
    }
    let mut nodes = limits.nodes;
    let root = json::read(file, text, limits, &mut nodes).ok()?;
    has_unique_keys(&root).then_some(root)
}

fn has_unique_keys(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Refused => true,
        Value::List(items) => items.iter().all(has_unique_keys),
        Value::Map(entries) => {
            let keys: HashSet<&str> = entries.iter().map(|entry| entry.key.value.as_str()).collect();
            keys.len() == entries.len() && entries.iter().all(|entry| has_unique_keys(&entry.value))
        }
    }
}

/// Parsing cannot continue; the reason is in the report.
struct Stop;

type Placed<'t> = (Event<'t>, Span);

struct Reader<'t, 'r> {
    events: Events<'t>,
    text: &'t str,
    file: FileId,
    limits: &'r Limits,
    report: &'r mut Report,
    /// Finished nodes by anchor; an anchor that is missing is still being parsed.
    anchors: HashMap<usize, (Node, Measure)>,
    nodes: usize,
    alias_bytes: usize,
}

impl<'t> Reader<'t, '_> {
    fn stream(&mut self) -> Result<Node, Stop> {
        self.next()?; // the start of the stream
        let (event, span) = self.next()?;
        if event == Event::StreamEnd {
            return self.empty(span);
        }
        let (event, span) = self.next()?;
        let root = self.node(event, span, 0)?;
        self.next()?; // the end of the document
        let (event, span) = self.next()?;
        if event != Event::StreamEnd {
            self.report.push(
                Diagnostic::error(Code::SeveralDocuments, span, "a second document begins here")
                    .why("only one document is read from a file, so the second would be ignored")
                    .fix("remove the `---` or `...`, or move the second document to another file"),
            );
        }
        Ok(root)
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, Stop> {
        self.count(1, span)?;
        match event {
            Event::Alias(anchor) => self.repeat(anchor, span, depth),
            Event::Scalar(text, style, anchor, tag) => {
                let node = if tag.is_some() { self.refuse_tag(span) } else { self.scalar(&text, style, span) };
                self.remember(anchor, node)
            }
            Event::SequenceStart(anchor, tag) => {
                let node = self.sequence(span, depth)?;
                let node = if tag.is_some() { self.refuse_tag(span) } else { node };
                self.remember(anchor, node)
            }
            Event::MappingStart(anchor, tag) => {
                let node = self.mapping(span, depth)?;
                let node = if tag.is_some() { self.refuse_tag(span) } else { node };
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
        let mut seen: HashMap<String, Span> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Node { value: Value::Map(entries), span: start });
            }
            let key = self.key(event, span, depth)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Some(key) = key else { continue };
            match seen.get(&key.value) {
                Some(first) => self.duplicate(&key, *first),
                None => {
                    seen.insert(key.value.clone(), key.span);
                    entries.push(Entry { key, value });
                }
            }
        }
    }

    /// A key as it is written: `200:` and `"200":` are the same key, as they are in JSON.
    fn key(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Option<Spanned<String>>, Stop> {
        self.count(1, span)?;
        if let Event::Scalar(text, style, anchor, tag) = event {
            self.remember(anchor, Node { value: Value::Text(text.clone().into_owned()), span })?;
            if tag.is_some() {
                self.refuse_tag(span);
                return Ok(None);
            }
            return Ok(self.plain_key(&text, style, span).then(|| Spanned::new(text.into_owned(), span)));
        }
        // Parse the value, so that the mapping continues after it.
        self.node(event, span, depth + 1)?;
        self.report.push(
            Diagnostic::error(Code::KeyNotText, span, "a key must be a string")
                .why("JSON has no lists, mappings or aliases as keys")
                .fix("write the key as a string"),
        );
        Ok(None)
    }

    fn plain_key(&mut self, text: &str, style: ScalarStyle, span: Span) -> bool {
        if style != ScalarStyle::Plain {
            return true;
        }
        if text == "<<" {
            self.report.push(
                Diagnostic::error(Code::MergeKey, span, "`<<` is a merge key only in YAML 1.1")
                    .why("YAML 1.2 has no merge keys, so other tools read this mapping differently")
                    .fix("repeat the keys here, or set the common keys on a higher level"),
            );
            return false;
        }
        if scalar::yaml_1_1_boolean(text).is_some() {
            self.yaml_1_1(text, span, &format!("write `\"{text}\"`: a key is a string"));
            return false;
        }
        true
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Node {
        if style != ScalarStyle::Plain {
            return Node { value: Value::Text(text.to_owned()), span };
        }
        if scalar::yaml_1_1_boolean(text).is_some() {
            let boolean = scalar::yaml_1_1_boolean(text).unwrap_or_default();
            self.yaml_1_1(text, span, &format!("write `{boolean}` for the boolean, or `\"{text}\"` for the string"));
            return Node { value: Value::Refused, span };
        }
        if scalar::is_yaml_1_1_number(text) {
            self.yaml_1_1_number(text, span);
            return Node { value: Value::Refused, span };
        }
        Node { value: scalar::resolve(text), span }
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
            return Ok(Node { value: Value::Refused, span });
        };
        let measure = *measure;
        self.charge(measure, span)?;
        if measure.depth + depth > self.limits.depth {
            return self.too_large(span, "lists and mappings are nested too deeply");
        }
        // The repeated value keeps its positions: a mistake in it must be fixed where it is written.
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
        self.count(measure.nodes, span)
    }

    fn count(&mut self, nodes: usize, span: Span) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes <= self.limits.nodes { Ok(()) } else { self.too_large(span, "the file contains too many values") }
    }

    fn next(&mut self) -> Result<Placed<'t>, Stop> {
        match self.events.next_event() {
            Some(Ok((event, span))) => {
                let span = Span { file: self.file, start: position(&span.start), end: position(&span.end) };
                Ok((event, span))
            }
            Some(Err(error)) => self.scan_error(&error),
            None => self.syntax(Span::beginning_of(self.file), "unexpected end of file"),
        }
    }

    fn scan_error<T>(&mut self, error: &ScanError) -> Result<T, Stop> {
        let start = error_at(self.text, error);
        let span = Span { file: self.file, start, end: Position { column: start.column.saturating_add(1), ..start } };
        match error.info() {
            // The scanner has its own limit for `[[[[`, which it checks before it returns events.
            "recursion limit exceeded" => self.too_large(span, "lists and mappings are nested too deeply"),
            info => self.syntax(span, info),
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

    fn empty(&mut self, span: Span) -> Result<Node, Stop> {
        self.report.push(
            Diagnostic::error(Code::EmptyFile, span, "the file is empty")
                .why("every file must declare the version of its format")
                .fix("begin it with `format: 1`"),
        );
        Err(Stop)
    }

    fn too_large<T>(&mut self, span: Span, what: &str) -> Result<T, Stop> {
        let Limits { bytes, depth, nodes, alias_bytes } = *self.limits;
        self.report.push(
            Diagnostic::error(Code::TooLarge, span, what)
                .why(format!(
                    "the maximum for a file is {bytes} bytes, {nodes} values, {depth} nested levels and {alias_bytes} bytes repeated by aliases"
                ))
                .fix("split the file into several files, or reduce its content"),
        );
        Err(Stop)
    }

    fn duplicate(&mut self, key: &Spanned<String>, first: Span) {
        self.report.push(
            Diagnostic::error(Code::DuplicateKey, key.span, format!("duplicate key `{}`", key.value))
                .why("parsers of YAML and JSON disagree on which of the two values applies")
                .fix("remove one of them")
                .related(first, "first defined here"),
        );
    }

    fn yaml_1_1(&mut self, text: &str, span: Span, fix: &str) {
        let boolean = scalar::yaml_1_1_boolean(text).unwrap_or_default();
        self.report.refuse_yaml_1_1_boolean(span, text, boolean);
        self.report.push(
            Diagnostic::error(
                Code::Yaml11Boolean,
                span,
                format!("`{text}` is a boolean in YAML 1.1 and a string in YAML 1.2"),
            )
            .why("other tools may read another value")
            .fix(fix),
        );
    }

    fn yaml_1_1_number(&mut self, text: &str, span: Span) {
        self.report.push(
            Diagnostic::error(
                Code::Yaml11Number,
                span,
                format!("`{text}` has different values in YAML 1.1 and YAML 1.2"),
            )
            .why("other tools may read another value")
            .fix(format!(
                "write the number in decimal digits without separators or leading zeros, or `\"{text}\"` for the string"
            )),
        );
    }

    fn refuse_tag(&mut self, span: Span) -> Node {
        self.report.push(
            Diagnostic::error(Code::Tag, span, "YAML tags are not allowed")
                .why("the key decides the type of its value, and JSON has no tags")
                .fix("remove the tag, which begins with `!`"),
        );
        Node { value: Value::Refused, span }
    }
}
