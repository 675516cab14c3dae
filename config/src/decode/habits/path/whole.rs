//! Paths that are foreign as a whole, because of what is before them: `GET /users`, `~ ^/users`, `https://host/users`.

use super::meant::{EXAMPLE, longer, routes_fix};
use super::{Foreign, Translated, translated};

pub(super) fn foreign(text: &str) -> Option<Foreign> {
    method(text).or_else(|| modifier(text)).or_else(|| url(text))
}

/// A method before the path.
fn method(text: &str) -> Option<Foreign> {
    let (first, rest) = text.split_once([' ', '\t'])?;
    let path = rest.trim_start();
    let is_all = ALL_METHODS.contains(&first);
    if !(is_all || METHODS.contains(&first)) || !path.starts_with('/') {
        return None;
    }
    let (path, notes) = ours(path);
    let fix = if is_all {
        format!("write `path: \"{path}\"`, and no `methods`{notes}")
    } else {
        format!("write `path: \"{path}\"` and `methods: [{first}]`{notes}")
    };
    Some(Foreign { part: first.to_owned(), fix })
}

/// A modifier of nginx, the `~` of Kong, or the beginning of a regular expression.
fn modifier(text: &str) -> Option<Foreign> {
    let modifier = MODIFIERS.iter().find(|modifier| text.starts_with(**modifier))?;
    let rest = text[modifier.len()..].trim_start();
    let fix = match *modifier {
        "=" => paths_fix(rest, false),
        "^~" => paths_fix(rest, true),
        _ => instead(rest.strip_prefix("(?i)").unwrap_or(rest)),
    };
    Some(Foreign { part: (*modifier).to_owned(), fix })
}

/// The longer ones first.
const MODIFIERS: &[&str] = &["!~*", "!~", "~*", "^~", "~", "=", "^"];

/// What to write instead of a path of another router, which may be a prefix of those that are meant.
pub(in crate::decode::habits) fn paths_fix(path: &str, is_prefix: bool) -> String {
    let Translated { routes, notes, .. } = routes(path, is_prefix);
    routes_fix(&routes, &notes)
}

/// What to write instead of a regular expression for a whole path.
pub(in crate::decode::habits) fn instead(regex: &str) -> String {
    let path = regex.trim_start_matches('^').replace("\\/", "/");
    if let Some(extensions) = extensions(&path) {
        let routes: Vec<String> = extensions.iter().map(|extension| format!("`/{{name}}.{extension}`")).collect();
        return format!("write one route for each extension and depth, such as {}", routes.join(", "));
    }
    paths_fix(path.trim_end_matches('$'), !path.ends_with('$'))
}

/// The extensions in `\.(png|jpg)$`.
fn extensions(regex: &str) -> Option<Vec<&str>> {
    let regex = regex.strip_prefix(".*").or_else(|| regex.strip_prefix("/.*")).unwrap_or(regex);
    let extensions = regex.strip_prefix("\\.")?.strip_suffix('$')?;
    let inner = extensions.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(extensions);
    let all: Vec<&str> = inner.strip_prefix("?:").unwrap_or(inner).split('|').collect();
    let is_extension = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
    (all.len() <= EXTENSIONS_MAX && all.iter().all(is_extension)).then_some(all)
}

/// The routes for a path, with those for the paths below it if it is a prefix.
fn routes(path: &str, is_prefix: bool) -> Translated {
    let mut found = translated(path).unwrap_or_default();
    if let ([path], true) = (found.routes.as_slice(), is_prefix) {
        let below = format!("{}/{{*rest}}", path.trim_end_matches('/'));
        if !path.contains("{*") {
            found.notes.extend(longer(path));
            found.routes.push(below);
        }
    }
    found
}

/// A path before which a scheme and a host are written.
fn url(text: &str) -> Option<Foreign> {
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '{']))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let (path, notes) = ours(path);
    let fix = format!("write `{path}`; hosts are listed in `hosts` of the API or the gateway{notes}");
    Some(Foreign { part: format!("{scheme}://{host}"), fix })
}

/// The path as it is written here, if it stands for one route, and what it matches otherwise.
fn ours(path: &str) -> (String, String) {
    let Translated { routes, notes, .. } = routes(path, false);
    match routes.as_slice() {
        [path] => (path.clone(), notes.iter().map(|note| format!("; {note}")).collect()),
        _ => (EXAMPLE.to_owned(), String::new()),
    }
}

/// The methods that some routers write before a path.
pub(super) const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The words that some routers write before a path for all methods.
const ALL_METHODS: &[&str] = &["ANY", "ALL"];

/// The maximum number of extensions that are shown.
const EXTENSIONS_MAX: usize = 8;
