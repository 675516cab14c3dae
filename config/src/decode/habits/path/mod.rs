//! Paths in the syntax of other routers: `/users/:id`, `/users/*`, `/users/[0-9]+`, `~ ^/users`.

mod document;
mod meant;
mod optional;
mod segment;
mod whole;

pub(crate) use document::foreign_in_document;
pub(super) use meant::changed;
pub(super) use whole::{instead, paths_fix};

use meant::{Meant, routes_fix};
use tollgate_core::route::PathTemplate;

use super::EXAMINED_BYTES_MAX;

/// A path in the syntax of another router.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// The part that has another meaning there.
    pub(crate) part: String,
    /// What to write instead.
    pub(crate) fix: String,
}

/// Finds the syntax of another router in a path; `None` for a path without any.
pub(crate) fn foreign(text: &str) -> Option<Foreign> {
    if text.len() > EXAMINED_BYTES_MAX || is_plain(text) || is_plain_before_query(text) {
        return None;
    }
    if let Some(foreign) = whole::foreign(text) {
        return Some(foreign);
    }
    let Translated { routes, part, notes } = translated(text)?;
    let (part, fix) = (part?, routes_fix(&routes, &notes));
    let fix = if is_literal(text, &part) {
        format!("{fix}; for these characters themselves, write `{}`", escaped(&part))
    } else {
        fix
    };
    Some(Foreign { part, fix })
}

/// Whether a part of a path can have been meant as it is written: the text is a path here, too.
fn is_literal(text: &str, part: &str) -> bool {
    !part.contains('{') && text.parse::<PathTemplate>().is_ok() && !text.contains(['?', '#'])
}

/// The paths that were probably meant by one in the syntax of another router; none if it has no such syntax.
pub(crate) fn meant_paths(text: &str) -> Vec<String> {
    if text.len() > EXAMINED_BYTES_MAX || is_plain(text) {
        return Vec::new();
    }
    translated(text).filter(|found| found.part.is_some()).map(|found| found.routes).unwrap_or_default()
}

/// What to write instead of a route that is written as a text: `/users`, `GET /users`.
pub(crate) fn route_fix(text: &str) -> String {
    let (method, path) = text.split_once([' ', '\t']).map_or(("", text), |(method, path)| (method, path.trim_start()));
    match (method, meant::is_path(path) && foreign(path).is_none() && !path.contains('"')) {
        ("", true) => format!("write `{{path: \"{path}\"}}`"),
        (method, true) if whole::METHODS.contains(&method) => {
            format!("write `{{path: \"{path}\", methods: [{method}]}}`")
        }
        _ => "write `path:` and `methods:`, one on each line".to_owned(),
    }
}

/// What to write instead of a base that is no prefix: the segments before the first parameter.
pub(in crate::decode) fn base_fix(text: &str) -> String {
    let path = text.trim_start_matches(['^', '~', '=', ' ']);
    let path = path.split_once("://").map_or(path, |(_, rest)| &rest[rest.find('/').unwrap_or(rest.len())..]);
    let routes = translated(path).map(|found| found.routes).unwrap_or_default();
    let literal = |route: &String| {
        let literal: Vec<&str> = route.split('/').take_while(|segment| !segment.contains('{')).collect();
        literal.join("/")
    };
    let mut bases: Vec<String> = routes.iter().map(literal).collect();
    bases.dedup();
    match bases.as_slice() {
        [base] if base.starts_with('/') => {
            format!("write `{base}`, and the rest in the paths of the routes")
        }
        [_, _, ..] => "write one API for each base".to_owned(),
        _ => "write a base such as `/pets/v1`, or remove it".to_owned(),
    }
}

/// Whether a path has only characters that have no other meaning in any router.
fn is_plain(text: &str) -> bool {
    text.starts_with('/') && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.%".contains(&b))
}

/// Whether a plain path is followed by a query, whose signs are no part of the path: `/users?page=*`.
fn is_plain_before_query(text: &str) -> bool {
    text.split_once('?').is_some_and(|(path, query)| is_plain(path) && query.contains('=') && !query.contains('/'))
}

/// A path with what was probably meant by it.
#[derive(Default)]
struct Translated {
    /// The routes as they are written here; empty if it is not known what was meant.
    routes: Vec<String>,
    /// The first part in the syntax of another router.
    part: Option<String>,
    /// What they match otherwise than in the other router.
    notes: Vec<String>,
}

/// Translates a path that begins with a slash.
fn translated(text: &str) -> Option<Translated> {
    let is_anchored = text.len() > 1 && text.ends_with('$') && !text.ends_with("/$");
    let body = if is_anchored { &text[..text.len() - 1] } else { text };
    body.starts_with('/').then_some(())?;
    let (ways, group) = optional::ways(body);
    let meant: Vec<Meant> = ways.iter().map(|way| Meant::of(way)).collect();
    let mut routes: Vec<String> = Vec::new();
    for route in meant.iter().flat_map(Meant::routes) {
        if !routes.contains(&route) {
            routes.push(route);
        }
    }
    let is_clear = meant.iter().all(|meant| !meant.routes().is_empty());
    routes.truncate(if is_clear && routes.len() <= ROUTES_SHOWN_MAX { ROUTES_SHOWN_MAX } else { 0 });
    let part = group.or_else(|| meant.iter().find_map(|meant| meant.part.clone()));
    let part = part.or_else(|| is_anchored.then(|| "$".to_owned()));
    let mut notes = meant.into_iter().map(|meant| meant.notes).find(|notes| !notes.is_empty()).unwrap_or_default();
    if part.as_deref().is_some_and(|part| ["/?(.*)", "/?.*"].contains(&part)) {
        notes.extend(routes.first().and_then(|path| meant::longer(path)));
    }
    Some(Translated { routes, part, notes })
}

/// A text with percent-encoded characters, which stands for itself.
fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        ':' | '*' | '$' | '<' | '>' | '[' | ']' | '(' | ')' | '|' | '^' | '+' | '?' | '{' | '}' | '~' | '=' | ' ' => {
            format!("%{:02X}", u32::from(c))
        }
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// The maximum number of routes that are shown as what was meant by one path.
const ROUTES_SHOWN_MAX: usize = 8;

#[cfg(test)]
mod tests;
