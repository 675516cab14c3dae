//! Diagnostics as text for people and as JSON for tools.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use serde_json::{Value, json};

use super::{Diagnostic, Related, Severity};
use crate::place::{Files, Span};

pub(super) fn text(files: &Files, list: &[Diagnostic], omitted: usize, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in list {
        out.push_str(&renderer.render(&[group(files, diagnostic)]));
        out.push_str("\n\n");
    }
    if omitted > 0 {
        out.push_str(&format!("{omitted} more findings are not shown: fix these first\n\n"));
    }
    out.push_str(&summary(list));
    out
}

pub(super) fn json(files: &Files, list: &[Diagnostic]) -> Value {
    list.iter()
        .map(|d| {
            json!({
                "code": d.code.id(),
                "severity": d.severity,
                "location": location(files, d.span),
                "what": d.what,
                "why": d.why,
                "fix": d.fix,
                "related": d.related.iter().map(|r| related(files, r)).collect::<Vec<_>>(),
            })
        })
        .collect()
}

fn related(files: &Files, related: &Related) -> Value {
    json!({ "location": location(files, related.span), "label": related.label })
}

fn location(files: &Files, span: Span) -> Value {
    json!({
        "file": files.name(span.file),
        "line": span.start.line,
        "column": span.start.column,
        "endLine": span.end.line,
        "endColumn": span.end.column,
    })
}

fn group<'a>(files: &'a Files, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = level.primary_title(printable(&diagnostic.what)).id(diagnostic.code.id()).element(excerpt(
        files,
        diagnostic.span,
        None,
    ));
    for related in &diagnostic.related {
        group = group.element(excerpt(files, related.span, Some(&related.label)));
    }
    if !diagnostic.why.is_empty() {
        group = group.element(Level::NOTE.with_name(Some("why")).message(printable(&diagnostic.why)));
    }
    if !diagnostic.fix.is_empty() {
        group = group.element(Level::HELP.with_name(Some("fix")).message(printable(&diagnostic.fix)));
    }
    group
}

/// The line on which a span begins; of a span over several lines, only the part on the first line is marked.
fn excerpt<'a>(files: &'a Files, span: Span, label: Option<&'a str>) -> Element<'a> {
    let name = files.name(span.file);
    let line_number = usize::try_from(span.start.line).unwrap_or(usize::MAX);
    let Some(line) = files.line(span.file, span.start.line) else {
        return Origin::path(name).line(line_number).into();
    };
    let start = byte_of(line, span.start.column);
    let end = if span.end.line == span.start.line { byte_of(line, span.end.column) } else { line.trim_end().len() };
    let (start, end, line) = window(line, start, end.max(start));
    let kind = if label.is_some() { AnnotationKind::Context } else { AnnotationKind::Primary };
    Snippet::source(line).path(name).line_start(line_number).annotation(kind.span(start..end).label(label)).into()
}

/// Cuts a line that is too long to print to a part around the span.
fn window(line: &str, start: usize, end: usize) -> (usize, usize, &str) {
    if line.len() <= EXCERPT_BYTES_MAX {
        return (start, end, line);
    }
    let from = line.floor_char_boundary(start.saturating_sub(EXCERPT_BYTES_MAX / 4));
    let to = line.floor_char_boundary(from.saturating_add(EXCERPT_BYTES_MAX).min(line.len()));
    let piece = &line[from..to];
    (start - from, (end - from).min(piece.len()), piece)
}

fn byte_of(line: &str, column: u32) -> usize {
    let characters = usize::try_from(column.saturating_sub(1)).unwrap_or(usize::MAX);
    // A fast path: a minified document has one line, which can be very long.
    if line.as_bytes().get(..characters).is_some_and(<[u8]>::is_ascii) {
        return characters;
    }
    line.char_indices().nth(characters).map_or(line.len(), |(at, _)| at)
}

/// The text without control characters, which a terminal would execute.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn summary(list: &[Diagnostic]) -> String {
    let errors = list.iter().filter(|d| d.severity == Severity::Error).count();
    let warnings = list.len() - errors;
    let count = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => String::new(),
        (0, _) => format!("{}\n", count(warnings, "warning")),
        (_, 0) => format!("{}\n", count(errors, "error")),
        (_, _) => format!("{}, {}\n", count(errors, "error"), count(warnings, "warning")),
    }
}

/// Of a line that is longer, only the part around the span is shown.
const EXCERPT_BYTES_MAX: usize = 200;
