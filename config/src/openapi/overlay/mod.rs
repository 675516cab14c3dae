//! Overlays (OpenAPI Overlay Specification 1.0): changes to a document without editing its file.

mod target;

use std::collections::HashMap;

use super::document::LIMITS;
use super::documents::{entries, get, text};
use super::reference::short;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::Span;
use crate::source::{Entry, Node, Value};
use target::{SelectError, TreePath};

/// Applies the actions of an overlay to a document, in their order.
///
/// Mistakes in the overlay are reported, and the valid actions are applied.
pub(super) fn apply(overlay: &Node, target: &mut Node, work: &mut usize, report: &mut Report) {
    let version = get(overlay, "overlay").map(|node| (text(node).unwrap_or_default(), node.span));
    match version {
        Some((version, _)) if is_version_1(version) => {}
        Some((_, span)) => {
            bad(span, "the overlay version is not supported", "write `overlay: 1.0.0`", report);
            return;
        }
        None => {
            bad(
                overlay.span,
                "the file is not an overlay: it has no key `overlay`",
                "add `overlay: 1.0.0` if it is one",
                report,
            );
            return;
        }
    }
    for Entry { key, .. } in entries(overlay) {
        if !OVERLAY_KEYS.contains(&key.value.as_str()) && !key.value.starts_with("x-") {
            let what = format!("unknown key `{}` in an overlay", short(&key.value));
            bad(
                key.span,
                &what,
                "remove it; the keys of an overlay are `overlay`, `info`, `extends` and `actions`",
                report,
            );
        }
    }
    let Some(Node { value: Value::List(actions), .. }) = get(overlay, "actions") else {
        bad(overlay.span, "the overlay has no list `actions`", "add `actions:` with a list of actions", report);
        return;
    };
    if actions.is_empty() {
        bad(overlay.span, "the list `actions` is empty", "add an action, or remove the overlay", report);
    }
    for action in actions {
        if apply_action(action, target, work, report).is_none() {
            return;
        }
    }
}

/// Applies one action; `None` if no further action may be applied.
fn apply_action(action: &Node, document: &mut Node, work: &mut usize, report: &mut Report) -> Option<()> {
    for Entry { key, .. } in entries(action) {
        if !ACTION_KEYS.contains(&key.value.as_str()) && !key.value.starts_with("x-") {
            let what = format!("unknown key `{}` in an action", short(&key.value));
            bad(
                key.span,
                &what,
                "remove it; the keys of an action are `target`, `description`, `update` and `remove`",
                report,
            );
        }
    }
    let Some((target, span)) = get(action, "target").and_then(|node| Some((text(node)?, node.span))) else {
        bad(action.span, "the action has no `target`", "add a JSONPath expression, such as `target: $.info`", report);
        return Some(());
    };
    let removes = match get(action, "remove") {
        Some(Node { value: Value::Bool(remove), .. }) => *remove,
        None => false,
        Some(node) => {
            bad(node.span, "`remove` must be `true` or `false`", "write `remove: true`", report);
            return Some(());
        }
    };
    let update = get(action, "update");
    if !removes && update.is_none() {
        bad(action.span, "the action has neither `update` nor `remove: true`", "add one of them", report);
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
        let remaining = work.checked_sub(size.nodes).filter(|_| place.len() + size.depth < LIMITS.depth);
        let Some(remaining) = remaining else {
            bad(
                span,
                "the overlay makes the document too large or too deeply nested",
                "reduce the content of the updates",
                report,
            );
            return None;
        };
        *work = remaining;
        merge(node, update, span, report);
    }
    Some(())
}

/// The places of a target; `None` if no further action may be applied.
fn select(target: &str, span: Span, document: &Node, work: &mut usize, report: &mut Report) -> Option<Vec<TreePath>> {
    match target::places(target, document, work) {
        Ok(places) if places.is_empty() => {
            report.push(
                Diagnostic::warning(Code::OverlayTarget, span, format!("`{}` matches nothing", short(target)))
                    .why("the action has no effect")
                    .fix("correct the expression, or remove the action"),
            );
            Some(places)
        }
        Ok(places) => Some(places),
        Err(SelectError::Syntax(reason)) => {
            let what = format!("`{}` is not a JSONPath expression: {reason}", short(target));
            bad(span, &what, "write an expression of RFC 9535, such as `$.paths['/pets'].get`", report);
            Some(Vec::new())
        }
        Err(SelectError::TooMuch) => {
            let what = format!("`{}` would visit too many nodes of the document", short(target));
            bad(
                span,
                &what,
                "write the path to the target explicitly, without `..`, and without `$` in a filter",
                report,
            );
            None
        }
    }
}

fn find_mut<'n>(mut node: &'n mut Node, path: &[usize]) -> Option<&'n mut Node> {
    for place in path {
        node = match &mut node.value {
            Value::Map(entries) => &mut entries.get_mut(*place)?.value,
            Value::List(items) => items.get_mut(*place)?,
            _ => return None,
        };
    }
    Some(node)
}

/// Removes the places: all are marked before any is removed, so that positions stay valid.
fn remove(document: &mut Node, places: &[TreePath]) {
    for path in places {
        if let Some(node) = find_mut(document, path) {
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

/// Merges an update into a target: mappings are merged by key, and to a list one item is appended. Other targets are
/// refused.
fn merge(target: &mut Node, update: &Node, at: Span, report: &mut Report) {
    match (&mut target.value, &update.value) {
        (Value::Map(_), Value::Map(_)) => merge_value(target, update),
        (Value::List(items), _) => items.push(update.clone()),
        (Value::Map(_), _) => bad(
            update.span,
            "the target is a mapping, but the update is not",
            "write a mapping with the keys to merge",
            report,
        ),
        _ => bad(
            at,
            "the target is a single value, into which nothing can be merged",
            "set the target to the mapping that contains it, and set the key in the update",
            report,
        ),
    }
}

/// Merges values within an update: mappings are merged by key, lists are appended, and other values are replaced.
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
            .why("an overlay that is applied only partly could publish what it should hide")
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
    fn removals_remove_only_the_selected_places() {
        check("{a: 1, b: 2}", "[{target: $.a, remove: true}]", r#"{"b":2}"#);
        check("{a: [0, 1, 2, 3]}", "[{target: '$.a[0, 2]', remove: true}]", r#"{"a":[1,3]}"#);
        check("{a: {x: {h: 1}, y: {h: 2}, z: 3}}", "[{target: $..h, remove: true}]", r#"{"a":{"x":{},"y":{},"z":3}}"#);
        check("{a: 1}", "[{target: $.a, remove: true, update: {b: 1}}]", "{}");
    }

    #[test]
    fn actions_are_applied_in_order() {
        check(
            "{a: {}}",
            "[{target: $.a, update: {b: {}}}, {target: $.a.b, update: {c: 1}}, {target: $.a.b.c, remove: true}]",
            r#"{"a":{"b":{}}}"#,
        );
    }

    #[test]
    fn mistakes_are_reported_and_the_other_actions_applied() {
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
    fn an_overlay_cannot_exceed_the_nesting_limit() {
        let deep = format!("{}1{}", "{a: ".repeat(200), "}".repeat(200));
        let path = "a.".repeat(199);
        let (_, codes) = applied(
            &deep,
            &format!(
                "[{{target: $.{path}a, remove: true}}, {{target: $.{}, update: {deep}}}]",
                path.trim_end_matches('.')
            ),
        );
        assert_eq!(codes, [Code::BadOverlay]);
    }
}
