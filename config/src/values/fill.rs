//! Replaces references by values.

use super::{Values, report_undeclared};
use crate::decode::in_kebab_case;
use crate::diagnostic::{Code, Diagnostic, Report, closest};
use crate::place::{Span, Spanned};
use crate::source::{Node, Value};

impl Values<'_> {
    /// Replaces references in the root of a project, except in its declarations.
    pub(crate) fn fill_project(&mut self, root: &mut Node, report: &mut Report) {
        if let Value::Map(entries) = &mut root.value {
            for entry in entries.iter_mut().filter(|entry| entry.key.value != "values") {
                self.fill(&mut entry.value, report);
            }
        }
    }

    /// Replaces references in a tree; it is not deeper than [`crate::source::Limits::depth`], so recursion is bounded.
    pub(crate) fn fill(&mut self, node: &mut Node, report: &mut Report) {
        match &mut node.value {
            Value::Text(text) => {
                let Some(reference) = reference(text) else { return };
                node.value = self.value(&reference, node.span, report);
            }
            Value::List(items) => items.iter_mut().for_each(|item| self.fill(item, report)),
            Value::Map(entries) => entries.iter_mut().for_each(|entry| self.fill(&mut entry.value, report)),
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Refused => {}
        }
    }

    fn value(&mut self, reference: &Reference<'_>, span: Span, report: &mut Report) -> Value {
        let name = match reference {
            Reference::Whole(name) => *name,
            Reference::Within(name) => {
                report_within(name, span, report);
                return Value::Refused;
            }
            Reference::Unknown { word, meant, rest } => {
                let name = if *meant == "secret" {
                    rest.clone()
                } else {
                    in_kebab_case(rest).unwrap_or_else(|| "name".to_owned())
                };
                let is_known = *meant == "secret" || !self.is_complete || self.given.contains_key(name.as_str());
                report_unknown(word, &format!("${{{meant}.{name}}}"), is_known, span, report);
                return Value::Refused;
            }
        };
        let Some(given) = self.given.get(name) else {
            if self.is_complete {
                let known = self.declared.iter().map(|(name, _)| name.value.as_str());
                let written = |name: &str| format!("${{value.{name}}}");
                report_undeclared(&Spanned::new(name.to_owned(), span), known, written, report);
            }
            return Value::Refused;
        };
        self.used[given.place] = true;
        let Some(node) = &given.node else { return Value::Refused };
        let Some(remaining) = self.nodes_remaining.checked_sub(given.size) else {
            report.push(
                Diagnostic::error(Code::TooLarge, span, "references repeat values too often")
                    .why("the total size of the values at all references is limited")
                    .fix("use shorter lists as values, or fewer references"),
            );
            return Value::Refused;
        };
        self.nodes_remaining = remaining;
        report.substituted(span, Spanned::new(name.to_owned(), node.span));
        placed_at(node, span).value
    }
}

/// A string that refers to a value, or looks like such a reference.
enum Reference<'t> {
    /// The string is exactly `${value.NAME}`.
    Whole(&'t str),
    /// The string contains `${value.NAME}` and other text.
    Within(&'t str),
    /// The string is exactly `${WORD.NAME}`, with an unknown word.
    Unknown { word: String, meant: &'static str, rest: String },
}

fn reference(text: &str) -> Option<Reference<'_>> {
    let start = text.find("${")?;
    if let Some(at) = text.find("${value.") {
        let rest = &text[at + "${value.".len()..];
        let (name, behind) = rest.split_once('}').unwrap_or((rest, ""));
        let is_whole = at == 0 && behind.is_empty() && rest.len() > name.len();
        return Some(if is_whole { Reference::Whole(name) } else { Reference::Within(name) });
    }
    let inner = text.strip_prefix("${")?.strip_suffix('}')?;
    // Expressions of GitHub Actions have two braces.
    let doubled = inner.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).map(str::trim);
    let (word, rest) = doubled.unwrap_or(inner).split_once('.')?;
    if start > 0 || (word == "secret" && doubled.is_none()) {
        return None;
    }
    let meant = closest(word, ["value", "secret"].into_iter()).unwrap_or("value");
    let meant = if meant == "secret" { "secret" } else { "value" };
    Some(Reference::Unknown { word: word.to_owned(), meant, rest: rest.to_owned() })
}

fn report_within(name: &str, span: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::ValueWithinText, span, format!("`${{value.{name}}}` is part of a longer string"))
            .why(
                "a reference replaces a whole setting, because a string that is assembled from parts cannot be checked",
            )
            .fix("assign the whole string as the value, and write only the reference here"),
    );
}

fn report_unknown(word: &str, meant: &str, is_known: bool, span: Span, report: &mut Report) {
    let fix = if is_known {
        format!("did you mean `{meant}`?")
    } else {
        format!("declare a value under `values:` of the project, and refer to it, as `{meant}`")
    };
    report.push(
        Diagnostic::error(Code::UndeclaredValue, span, format!("`${{{word}...}}` is not a valid reference"))
            .why("`${value.NAME}` refers to a value of the project, and `${secret.NAME}` to a secret of the host")
            .fix(fix),
    );
}

/// The tree with the place of a reference.
fn placed_at(node: &Node, span: Span) -> Node {
    let value = match &node.value {
        Value::List(items) => Value::List(items.iter().map(|item| placed_at(item, span)).collect()),
        value => value.clone(),
    };
    Node { value, span }
}
