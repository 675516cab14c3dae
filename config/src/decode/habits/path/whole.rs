//! Paths that are foreign as a whole, because of what is before them: `GET /users`, `~ ^/users`, `https://host/users`.

use super::meant::{EXAMPLE, routes_fix};
use super::{Foreign, translated};

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
    let path = ours(path);
    let fix = if is_all {
        format!("write `path: \"{path}\"`, and no `methods`")
    } else {
        format!("write `path: \"{path}\"` and `methods: [{first}]`")
    };
    Some(Foreign { part: first.to_owned(), fix })
}

/// A modifier of nginx, the `~` of Kong, or the beginning of a regular expression.
fn modifier(text: &str) -> Option<Foreign> {
    let modifier = MODIFIERS.iter().find(|modifier| text.starts_with(**modifier))?;
    let rest = text[modifier.len()..].trim_start();
    let fix = match *modifier {
        "=" => routes_fix(&routes(rest, false), false),
        "^~" => routes_fix(&routes(rest, true), false),
        _ => instead(rest.strip_prefix("(?i)").unwrap_or(rest)),
    };
    Some(Foreign { part: (*modifier).to_owned(), fix })
}

/// The longer ones first.
const MODIFIERS: &[&str] = &["!~*", "!~", "~*", "^~", "~", "=", "^"];

/// What to write instead of a regular expression for a whole path.
fn instead(regex: &str) -> String {
    let path = regex.trim_start_matches('^').replace("\\/", "/");
    if let Some(extensions) = extensions(&path) {
        let routes: Vec<String> = extensions.iter().map(|extension| format!("`/{{name}}.{extension}`")).collect();
        return format!("write one route for each extension and depth, such as {}", routes.join(", "));
    }
    routes_fix(&routes(path.trim_end_matches('$'), !path.ends_with('$')), false)
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
fn routes(path: &str, is_prefix: bool) -> Vec<String> {
    let Some(found) = translated(path) else { return Vec::new() };
    let mut routes = found.routes;
    if let ([path], true) = (routes.as_slice(), is_prefix) {
        let below = format!("{}/{{*rest}}", path.trim_end_matches('/'));
        routes.extend((!path.contains("{*")).then_some(below));
    }
    routes
}

/// A path before which a scheme and a host are written.
fn url(text: &str) -> Option<Foreign> {
    let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '{']))?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let path = if path.is_empty() { "/" } else { path };
    let fix = format!("write `{}`; hosts are listed in `hosts` of the API or the gateway", ours(path));
    Some(Foreign { part: format!("{scheme}://{host}"), fix })
}

/// The path as it is written here, if it stands for one route.
fn ours(path: &str) -> String {
    match routes(path, false).as_slice() {
        [path] => path.clone(),
        _ => EXAMPLE.to_owned(),
    }
}

/// The methods that some routers write before a path.
pub(super) const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The words that some routers write before a path for all methods.
const ALL_METHODS: &[&str] = &["ANY", "ALL"];

/// The maximum number of extensions that are shown.
const EXTENSIONS_MAX: usize = 8;
