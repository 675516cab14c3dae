//! Values of another type than that of their key: a text in place of a list, and words for yes and no.

use super::{habits, mistyped};
use crate::diagnostic::{Code, Report, listed};
use crate::schema::texts::PERCENT;
use crate::schema::{Key, List, Shape, TextRule};
use crate::source::{Node, Value};

/// Reports a text or boolean where the only shape of a key is a list; returns whether it is one.
pub(super) fn report_in_place_of_list(key: &Key, node: &Node, report: &mut Report) -> bool {
    let Shape::List(List { of, .. }) = key.shape else { return false };
    let text = match &node.value {
        Value::Text(text) => text.clone(),
        Value::Bool(boolean) => boolean.to_string(),
        _ => return false,
    };
    let fix = match of {
        Shape::Ruled(rule) | Shape::AnyOf([Shape::Ruled(rule), ..]) => habits::list::fix(Some(*rule), &text),
        Shape::Text => habits::list::fix(None, &text),
        _ => "write a list: each item begins with `- `".to_owned(),
    };
    mistyped::<()>(node, "a list", &fix, report);
    true
}

/// Changes what to write instead of refused booleans, and of words that some parsers take for booleans, to what the shape
/// of a value allows; `examples` are those of its key.
pub(super) fn amend(shape: Shape, examples: &[&str], node: &Node, report: &mut Report) {
    match (&node.value, shape) {
        (Value::Refused, _) => {
            if let Some((word, boolean)) = report.yaml_1_1_boolean(node.span) {
                report.amend(node.span, Code::Yaml11Boolean, of_word(shape, examples, &word, boolean));
            }
        }
        (Value::Bool(boolean), _) if !accepts_boolean(shape) && accepts_none(shape) => {
            report.amend(node.span, Code::WrongType, of_state(shape, examples, *boolean));
        }
        (_, Shape::Ruled(rule)) if rule.name == PERCENT.name => {
            let fix = share(node).map(|share| format!("write `{share}`: a share is in percent"));
            report.amend(node.span, Code::WrongType, fix);
        }
        (_, Shape::List(List { of: Shape::Ruled(rule), .. })) if rule.name == PERCENT.name && share(node).is_some() => {
            let fix = share(node).map(|share| format!("write the list `[{share}]`: shares are in percent"));
            report.amend(node.span, Code::WrongType, fix);
        }
        (Value::List(items), _) if accepts_none(shape) => {
            for item in items {
                if report.yaml_1_1_boolean(item.span).is_some_and(|(_, boolean)| !boolean) {
                    report.amend(item.span, Code::Yaml11Boolean, Some("write `none` in place of the list".to_owned()));
                }
            }
        }
        (Value::List(items), Shape::List(list)) => items.iter().for_each(|item| amend(list.of, &[], item, report)),
        (Value::Map(entries), Shape::Named(named)) => {
            entries.iter().for_each(|entry| amend(named.of, &[], &entry.value, report));
        }
        _ => {}
    }
}

/// The share that a number means.
fn share(node: &Node) -> Option<String> {
    match &node.value {
        Value::Integer(number) => habits::unit::percent(&number.to_string()),
        // With its point.
        Value::Float(number) => habits::unit::percent(&format!("{number:?}")),
        _ => None,
    }
}

/// What to write instead of a word such as `off`; `None` if the value may be of any type.
fn of_word(shape: Shape, examples: &[&str], word: &str, boolean: bool) -> Option<String> {
    if accepts_boolean(shape) {
        return Some(format!("write `{boolean}`"));
    }
    if accepts_none(shape) {
        return of_state(shape, examples, boolean);
    }
    match shape {
        Shape::Anything => None,
        Shape::Text => Some(format!("write `\"{word}\"`: the value is a string")),
        Shape::Ruled(rule) if is_valid(rule, word) => Some(format!("write `\"{word}\"`: the value is a string")),
        Shape::Word(words) => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            let meant = habits::word::fix(if boolean { "true" } else { "false" }, &words);
            Some(meant.map_or_else(|| format!("write one of {}", listed(words.into_iter())), str::to_owned))
        }
        Shape::AnyOf([first, ..]) if examples.is_empty() => of_word(*first, &[], word, boolean),
        _ => such_as(shape, examples).or_else(|| Some("remove it, or write a value of the type of the key".to_owned())),
    }
}

/// What to write for "on" or "off" where `none` is allowed.
fn of_state(shape: Shape, examples: &[&str], boolean: bool) -> Option<String> {
    if boolean { such_as(shape, examples) } else { Some("write `none`".to_owned()) }
}

fn such_as(shape: Shape, examples: &[&str]) -> Option<String> {
    let of_shape = match shape {
        Shape::Ruled(rule) => rule.examples,
        Shape::Quantity(quantity) => quantity.examples(),
        _ => &[],
    };
    let example = examples.first().or(of_shape.first());
    example.map(|example| format!("write a value such as `{}`", example.trim_matches('"')))
}

fn is_valid(rule: &TextRule, word: &str) -> bool {
    regex_lite::Regex::new(rule.pattern).is_ok_and(|pattern| pattern.is_match(word))
}

fn accepts_boolean(shape: Shape) -> bool {
    match shape {
        Shape::Boolean => true,
        Shape::AnyOf(shapes) => shapes.iter().any(|shape| accepts_boolean(*shape)),
        _ => false,
    }
}

fn accepts_none(shape: Shape) -> bool {
    shape.words().iter().any(|(word, _)| *word == "none")
}
