//! Paths with parts that may be absent, and alternatives: `/users(/:id)?`, `/users{/:id}`, `/users[/{id}]`, `/a|/b`.

use super::meant::is_name;
use super::segment::has_parameter;
use crate::decode::habits::regex::{Matches, matches};

/// The paths for which one path stands in another router, and the first part that makes them several.
pub(super) fn ways(path: &str) -> (Vec<String>, Option<String>) {
    let end = BELOW.iter().find(|end| path.strip_suffix(**end).is_some_and(|above| above.len() > 1));
    let path = end.map_or_else(|| path.to_owned(), |end| format!("{}(/.*)?", &path[..path.len() - end.len()]));
    let alternatives = alternatives(&path);
    let mut part = end.map(|end| (*end).to_owned()).or_else(|| (alternatives.len() > 1).then(|| "|".to_owned()));
    let mut open: Vec<String> = alternatives.into_iter().rev().collect();
    let mut ways = Vec::new();
    while let Some(path) = open.pop() {
        match group(&path).filter(|_| ways.len() + open.len() < WAYS_MAX) {
            Some(group) => {
                part.get_or_insert_with(|| group.text.to_owned());
                open.extend(group.paths.into_iter().rev());
            }
            None => ways.push(if path.is_empty() { "/".to_owned() } else { path }),
        }
    }
    (ways, part)
}

/// The usual ways to write all paths below a path, and the path itself.
const BELOW: &[&str] = &["(/|$)(.*)", "(/|$).*", "(?:/|$)(.*)", "/?(.*)", "/?.*", "(?:/.*)?", "(/.+)?", "(|/.*)"];

/// The paths between the `|` outside of all brackets, if they are paths.
fn alternatives(path: &str) -> Vec<String> {
    let (mut all, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 && path[at + 1..].trim_start_matches('^').starts_with('/') => {
                all.push(path[start..at].to_owned());
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(path[start..].to_owned());
    if all.len() > 1 {
        all.iter_mut().for_each(|path| *path = path.trim_start_matches('^').trim_end_matches('$').to_owned());
    }
    all
}

/// A part of a path in brackets that makes it several paths.
struct Group<'p> {
    text: &'p str,
    /// The path without the part, if it may be absent, and the path with it, if it is part of a path here.
    paths: Vec<String>,
}

/// The first such part of a path.
fn group(path: &str) -> Option<Group<'_>> {
    if let Some(group) = absent(path) {
        return Some(group);
    }
    let mut at = 0;
    while let Some(found) = path[at..].find(['{', '[', '(']) {
        let start = at + found;
        let end = start + closed(&path[start..])?;
        if let Some((inners, is_asked)) = inners(&path[..start], &path[start..end], &path[end..]) {
            let end = end + usize::from(is_asked);
            let (before, behind) = (&path[..start], &path[end..]);
            let join = |inner: &String| format!("{before}{inner}{behind}").replace("//", "/");
            let paths = inners.iter().map(join).collect();
            return Some(Group { text: &path[start..end], paths });
        }
        at = end;
    }
    None
}

/// The first segment that is a parameter which may be absent: `:id?`, `{id?}`, `<id>?`, and `:path*` at the end.
fn absent(path: &str) -> Option<Group<'_>> {
    let mut start = 0;
    path.split('/').find_map(|segment| {
        let (from, end) = (start, start + segment.len());
        start = end + 1;
        let (before, behind) = (path[..from].strip_suffix('/')?, &path[end..]);
        let is_last = behind.is_empty();
        let present = match segment.strip_prefix(':') {
            Some(name) => {
                let (bare, is_many) = name
                    .strip_suffix('?')
                    .map(|bare| (bare, false))
                    .or(name.strip_suffix('*').map(|bare| (bare, true)))?;
                let is_whole = is_name(bare) && (is_last || !is_many);
                is_whole.then(|| if is_many { format!("{{*{bare}}}") } else { format!(":{bare}") })?
            }
            None => {
                let bare = segment.strip_suffix("?}").map(|bare| format!("{bare}}}"));
                let bare = bare.filter(|bare| bare.starts_with('{') && !bare.contains('('));
                bare.or_else(|| {
                    segment.strip_suffix('?').filter(|s| s.starts_with('<') && s.ends_with('>')).map(str::to_owned)
                })?
            }
        };
        let paths = vec![format!("{before}{behind}"), format!("{before}/{present}{behind}")];
        Some(Group { text: segment, paths })
    })
}

/// What a part in brackets stands for, one after the other, and whether a `?` behind it belongs to it; `None` if it is
/// something else.
fn inners(before: &str, group: &str, behind: &str) -> Option<(Vec<String>, bool)> {
    let inner = &group[1..group.len() - 1];
    let is_asked = behind.starts_with('?');
    match group.chars().next()? {
        '{' => match inner.chars().next()? {
            // URI templates (RFC 6570) have queries, fragments and matrix parameters.
            '?' | '&' | '#' | ';' => Some((vec![String::new()], false)),
            '/' | '.' if !inner.starts_with("..") => Some((vec![String::new(), named(inner)], is_asked)),
            _ => Some((vec![resource(inner)?], false)),
        },
        '[' => inner.starts_with('/').then(|| (vec![String::new(), inner.to_owned()], is_asked)),
        _ => {
            let is_of_parameter =
                before.rsplit(['/', '-', '.']).next().is_some_and(|last| last.contains(':') && !last.ends_with('}'));
            let body = inner.strip_prefix("?:").unwrap_or(inner);
            if let Some(words) = words(before, group, behind).filter(|_| !is_of_parameter) {
                return Some((words, false));
            }
            let is_optional = is_asked && !is_of_parameter && !body.starts_with('?');
            let is_bare = body.starts_with('/') || body.starts_with(".:");
            (is_optional || is_bare).then(|| (vec![String::new(), body.to_owned()], is_asked))
        }
    }
}

/// The words in parentheses beside a parameter, because a segment has at most one: `*.(jpg|png)`.
fn words(before: &str, group: &str, behind: &str) -> Option<Vec<String>> {
    let segment = [before.rsplit('/').next(), behind.split('/').next()];
    let is_beside = segment.into_iter().flatten().any(has_parameter) && !behind.starts_with(['?', '*', '+']);
    match matches(group) {
        Matches::OneOf(words) if is_beside => Some(words.split('|').map(str::to_owned).collect()),
        Matches::OneOf(_) | Matches::Int | Matches::Uuid | Matches::Rest | Matches::Any | Matches::Pattern => None,
    }
}

/// `/:id` and `/id`, which is a parameter in URI templates.
fn named(inner: &str) -> String {
    let (sign, name) = inner.split_at(1);
    if is_name(name) { format!("{sign}{{{name}}}") } else { inner.to_owned() }
}

/// The segments of a resource name: `name=shelves/*` is `shelves/:name`.
fn resource(inner: &str) -> Option<String> {
    let (name, pattern) = inner.split_once('=').filter(|(name, pattern)| is_name(name) && pattern.contains('/'))?;
    let segment = |segment: &str| match segment {
        "*" => format!(":{name}"),
        "**" => format!(":{name}*"),
        text => text.to_owned(),
    };
    Some(pattern.split('/').map(segment).collect::<Vec<_>>().join("/"))
}

/// The end of what the first bracket opens.
fn closed(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.bytes().enumerate().find_map(|(at, byte)| {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        (depth == 0).then_some(at + 1)
    })
}

/// The maximum number of paths for one path: three parts that may be absent.
const WAYS_MAX: usize = 8;
