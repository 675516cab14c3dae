//! Overlays (OpenAPI Overlay Specification 1.0): changes to a document that do not change its file.

mod target;

use std::collections::HashMap;

use super::document::LIMITS;
use super::documents::{entries, get, text};
use super::reference::short;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::source::{Entry, Node, Value};
use target::{Unfound, Way};

/// Applies the actions of an overlay to a document, in their order.
///
/// Mistakes in the overlay are reported, and the valid actions are applied.
pub(super) fn apply(overlay: &Node, target: &mut Node, work: &mut usize, report: &mut Report) {
    let version = get(overlay, "overlay").map(|node| (text(node).unwrap_or_default(), node.span));
    match version {
        Some((version, _)) if is_version_1(version) => {}
        Some((_, span)) => {
            bad(span, "this version of overlays is not known", "write `overlay: 1.0.0`", report);
            return;
        }
        None => {
            bad(overlay.span, "this is not an overlay: it has no `overlay`", "begin it with `overlay: 1.0.0`", report);
            return;
        }
    }
    for Entry { key, .. } in entries(overlay) {
        if !OVERLAY_KEYS.contains(&key.value.as_str()) && !key.value.starts_with("x-") {
            let what = format!("an overlay has no key `{}`", short(&key.value));
            bad(key.span, &what, "an overlay has `overlay`, `info`, `extends` and `actions`", report);
        }
    }
    let Some(Node { value: Value::List(actions), .. }) = get(overlay, "actions") else {
        bad(overlay.span, "the overlay has no list of actions", "add `actions:` with a list", report);
        return;
    };
    if actions.is_empty() {
        bad(overlay.span, "the overlay has no actions", "add an action, or remove the overlay", report);
    }
    for action in actions {
        if apply_action(action, target, work, report).is_none() {
            return;
        }
    }
}

/// `None` when nothing more may be done.
fn apply_action(action: &Node, document: &mut Node, work: &mut usize, report: &mut Report) -> Option<()> {
    for Entry { key, .. } in entries(action) {
        if !ACTION_KEYS.contains(&key.value.as_str()) && !key.value.starts_with("x-") {
            let what = format!("an action has no key `{}`", short(&key.value));
            bad(key.span, &what, "an action has `target`, `description`, `update` and `remove`", report);
        }
    }
    let Some((target, span)) = get(action, "target").and_then(|node| Some((text(node)?, node.span))) else {
        bad(action.span, "the action has no `target`", "write a JSONPath expression: `target: $.info`", report);
        return Some(());
    };
    let removes = match get(action, "remove") {
        Some(Node { value: Value::Bool(remove), .. }) => *remove,
        None => false,
        Some(node) => {
            bad(node.span, "`remove` is neither true nor false", "write `remove: true`", report);
            return Some(());
        }
    };
    let update = get(action, "update");
    if !removes && update.is_none() {
        bad(action.span, "the action does nothing", "add `update:` or `remove: true`", report);
        return Some(());
    }
    let places = select(target, span, document, work, report)?;
    if removes {
        remove(document, &places);
        return Some(());
    }
    for place in &places {
        let node = find_mut(document, place)?;
        let update = update?;
        let size = update.measure();
        let left = work.checked_sub(size.nodes).filter(|_| place.len() + size.depth < LIMITS.depth);
        let Some(left) = left else {
            bad(span, "the overlay makes the document too large or too deep", "write less into it", report);
            return None;
        };
        *work = left;
        merge(node, update, span, report);
    }
    Some(())
}

/// The places of a target; `None` when nothing more may be done.
fn select(target: &str, span: Span, document: &Node, work: &mut usize, report: &mut Report) -> Option<Vec<Way>> {
    match target::places(target, document, work) {
        Ok(places) if places.is_empty() => {
            report.push(
                Diagnostic::warning(Code::OverlayTarget, span, format!("`{}` matches nothing", short(target)))
                    .why("the action does nothing")
                    .fix("correct the expression, or remove the action"),
            );
            Some(places)
        }
        Ok(places) => Some(places),
        Err(Unfound::Syntax(reason)) => {
            let what = format!("`{}` is not a JSONPath expression: {reason}", short(target));
            bad(span, &what, "write it as in RFC 9535: `$.paths['/pets'].get`", report);
            Some(Vec::new())
        }
        Err(Unfound::TooMuch) => {
            let what = format!("`{}` asks for more than can be looked at", short(target));
            bad(span, &what, "name the way to what is meant, without `..` and `$` inside of a filter", report);
            None
        }
    }
}

fn find_mut<'n>(mut node: &'n mut Node, way: &[usize]) -> Option<&'n mut Node> {
    for place in way {
        node = match &mut node.value {
            Value::Map(entries) => &mut entries.get_mut(*place)?.value,
            Value::List(items) => items.get_mut(*place)?,
            _ => return None,
        };
    }
    Some(node)
}

/// Removes the places: all are marked before any is removed, so that positions stay valid.
fn remove(document: &mut Node, places: &[Way]) {
    for way in places {
        if let Some(node) = find_mut(document, way) {
            node.value = Value::Refused;
        }
    }
    if !places.is_empty() {
        sweep(document);
    }
}

/// Removes the marked nodes; the tree is not deeper than the reader's limit, so recursion is bounded.
fn sweep(node: &mut Node) {
    match &mut node.value {
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Refused => {}
        Value::List(items) => {
            items.retain(|item| item.value != Value::Refused);
            items.iter_mut().for_each(sweep);
        }
        Value::Map(entries) => {
            entries.retain(|entry| entry.value.value != Value::Refused);
            entries.iter_mut().for_each(|entry| sweep(&mut entry.value));
        }
    }
}

/// Merges an update into a target: mappings key by key, a list takes one more item, anything else is replaced.
fn merge(target: &mut Node, update: &Node, at: Span, report: &mut Report) {
    match (&mut target.value, &update.value) {
        (Value::Map(_), Value::Map(_)) => merge_value(target, update),
        (Value::List(items), _) => items.push(update.clone()),
        (Value::Map(_), _) => bad(
            update.span,
            "the target is a mapping, and the update is not",
            "write the keys to be merged into it",
            report,
        ),
        _ => bad(
            at,
            "the target is a single value, which nothing can be merged into",
            "target the mapping it is in, and give the key its new value",
            report,
        ),
    }
}

/// Within an update, keys are merged, lists are appended, and single values replace the old ones.
fn merge_value(target: &mut Node, update: &Node) {
    match (&mut target.value, &update.value) {
        (Value::Map(entries), Value::Map(updates)) => {
            let mut places: HashMap<String, usize> = HashMap::new();
            let indexed = entries.len().saturating_mul(updates.len()) > COMPARED_MAX;
            if indexed {
                places.extend(entries.iter().enumerate().map(|(place, entry)| (entry.key.value.clone(), place)));
            }
            for Entry { key, value } in updates {
                let place = if indexed {
                    places.get(&key.value).copied()
                } else {
                    entries.iter().position(|entry| entry.key.value == key.value)
                };
                match place.and_then(|place| entries.get_mut(place)) {
                    Some(entry) => merge_value(&mut entry.value, value),
                    None => entries.push(Entry { key: key.clone(), value: value.clone() }),
                }
            }
        }
        (Value::List(items), Value::List(more)) => items.extend(more.iter().cloned()),
        _ => *target = update.clone(),
    }
}

fn is_version_1(version: &str) -> bool {
    version.strip_prefix("1.0").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn bad(span: Span, what: &str, fix: &str, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::BadOverlay, span, what)
            .why("an overlay that is applied in part would publish what it was to hide")
            .fix(fix),
    );
}

/// The keys of an overlay.
const OVERLAY_KEYS: &[&str] = &["overlay", "info", "extends", "actions", "$schema"];

/// The keys of an action.
const ACTION_KEYS: &[&str] = &["target", "description", "update", "remove"];

/// The limit for comparing keys pair by pair when mappings are merged.
const COMPARED_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::document::{self, json_text};
    use crate::place::{FileId, Files};

    fn tree(text: &str) -> Node {
        document::read(FileId::default(), "t.yaml", text, &LIMITS, &mut 100_000, &mut Report::default()).unwrap()
    }

    fn applied(document: &str, actions: &str) -> (String, Vec<Code>) {
        let (mut report, mut target) = (Report::default(), tree(document));
        let overlay = tree(&format!("overlay: 1.0.0\ninfo: {{title: t, version: 1.0.0}}\nactions: {actions}"));
        apply(&overlay, &mut target, &mut 100_000, &mut report);
        (json_text(&target), report.finish(Files::new()).iter().map(|found| found.code).collect())
    }

    #[track_caller]
    fn check(document: &str, actions: &str, expected: &str) {
        assert_eq!(applied(document, actions), (expected.to_owned(), vec![]), "{actions}");
    }

    #[test]
    fn updates_merge_append_and_replace() {
        check("{a: {b: 1}}", "[{target: $.a, update: {b: 2, c: 3}}]", r#"{"a":{"b":2,"c":3}}"#);
        check("{a: {b: [1]}}", "[{target: $.a, update: {b: [2, 3]}}]", r#"{"a":{"b":[1,2,3]}}"#);
        check("{a: [1]}", "[{target: $.a, update: {x: 1}}]", r#"{"a":[1,{"x":1}]}"#);
        check("{a: {b: {c: 1}}}", "[{target: $, update: {a: {b: {d: 2}}}}]", r#"{"a":{"b":{"c":1,"d":2}}}"#);
        check("{a: {b: [1]}}", "[{target: $.a, update: {b: none}}]", r#"{"a":{"b":"none"}}"#);
    }

    #[test]
    fn removals_take_out_what_is_selected_and_nothing_else() {
        check("{a: 1, b: 2}", "[{target: $.a, remove: true}]", r#"{"b":2}"#);
        check("{a: [0, 1, 2, 3]}", "[{target: '$.a[0, 2]', remove: true}]", r#"{"a":[1,3]}"#);
        check("{a: {x: {h: 1}, y: {h: 2}, z: 3}}", "[{target: $..h, remove: true}]", r#"{"a":{"x":{},"y":{},"z":3}}"#);
        check("{a: 1}", "[{target: $.a, remove: true, update: {b: 1}}]", "{}");
    }

    #[test]
    fn actions_apply_one_after_the_other() {
        check(
            "{a: {}}",
            "[{target: $.a, update: {b: {}}}, {target: $.a.b, update: {c: 1}}, {target: $.a.b.c, remove: true}]",
            r#"{"a":{"b":{}}}"#,
        );
    }

    #[test]
    fn mistakes_are_told_and_the_other_actions_applied() {
        let second = "{target: $, update: {b: 1}}]";
        for (first, code) in [
            ("[{target: $.zz, update: {}}, ", Code::OverlayTarget),
            ("[{target: a.b, update: {}}, ", Code::BadOverlay),
            ("[{target: $.a}, ", Code::BadOverlay),
            ("[{update: {}}, ", Code::BadOverlay),
            ("[{target: $.a, update: {x: 1}}, ", Code::BadOverlay),
            ("[{target: $, update: 1}, ", Code::BadOverlay),
            ("[{target: $.a, remove: maybe}, ", Code::BadOverlay),
            ("[{target: $, update: {}, copy: $.a}, ", Code::BadOverlay),
        ] {
            let (document, codes) = applied("{a: 1}", &format!("{first}{second}"));
            assert_eq!((document.as_str(), codes), (r#"{"a":1,"b":1}"#, vec![code]), "{first}");
        }
    }

    #[test]
    fn an_overlay_of_another_version_is_not_applied() {
        for overlay in ["overlay: 2.0.0\nactions: [{target: $.a, remove: true}]", "actions: []", "[]", "1"] {
            let (mut report, mut target) = (Report::default(), tree("{a: 1}"));
            apply(&tree(overlay), &mut target, &mut 1_000, &mut report);
            assert!(report.has_errors(), "{overlay}");
            assert_eq!(json_text(&target), r#"{"a":1}"#);
        }
    }

    #[test]
    fn a_document_cannot_be_made_deeper_than_it_may_be() {
        let deep = format!("{}1{}", "{a: ".repeat(200), "}".repeat(200));
        let way = "a.".repeat(199);
        let (_, codes) = applied(
            &deep,
            &format!(
                "[{{target: $.{way}a, remove: true}}, {{target: $.{}, update: {deep}}}]",
                way.trim_end_matches('.')
            ),
        );
        assert_eq!(codes, [Code::BadOverlay]);
    }
}
