//! Rules of other gateways in place of a path: ``PathPrefix(`/api`) && Method(`GET`)``, `prefix /api`, `path_beg /api`.

use super::path::{foreign, instead, paths_fix};

/// What to write instead of a rule; `None` for other texts.
pub(super) fn fix(text: &str) -> Option<String> {
    match calls(text) {
        Some(calls) => calls_fix(&calls),
        None => word_fix(text),
    }
}

/// A condition such as ``Method(`GET`, `POST`)``.
struct Call<'t> {
    /// The name in lowercase letters.
    name: String,
    arguments: Vec<&'t str>,
    is_negated: bool,
}

impl Call<'_> {
    /// The paths of a condition for paths, as they are written here.
    fn paths(&self) -> Vec<String> {
        if self.is_negated || !self.is_of_path() {
            return Vec::new();
        }
        self.arguments.iter().map(|path| path_fix(&self.name, path)).collect()
    }

    fn is_of_path(&self) -> bool {
        ["path", "prefix", "starts"].iter().any(|word| self.name.contains(word))
    }

    /// Where a condition that is not for paths is written here.
    fn place(&self) -> Option<String> {
        let name = self.name.as_str();
        match name {
            _ if self.is_negated => Some("there is no negation: write routes for what is meant".to_owned()),
            _ if self.is_of_path() => None,
            _ if name.starts_with("method") => {
                Some(format!("methods are written in the route: `methods: [{}]`", self.arguments.join(", ")))
            }
            _ if name.starts_with("host") => Some("hosts are listed in `hosts` of the API or the gateway".to_owned()),
            _ if name.starts_with("header") || name.starts_with("query") => {
                Some("fields and parameters are compared in `when` of the route".to_owned())
            }
            "clientip" => Some("addresses belong to a policy of kind `ip-filter`, which `guard` names".to_owned()),
            _ => Some(format!("`{name}` is not kept")),
        }
    }
}

/// The conditions of a rule; `None` for a text that is none.
fn calls(text: &str) -> Option<Vec<Call<'_>>> {
    let (mut all, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let bare = rest.trim_start_matches([' ', '!', '(']);
        let is_negated = rest[..rest.len() - bare.len()].contains('!');
        let (name, behind) = bare.split_once('(')?;
        let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let (inside, behind) = is_name.then(|| inside(behind))??;
        all.push(Call { name: name.to_ascii_lowercase(), arguments: arguments(inside), is_negated });
        rest = behind.trim_start_matches([' ', ')']);
        rest = if rest.is_empty() { rest } else { rest.strip_prefix("&&").or_else(|| rest.strip_prefix("||"))? };
    }
    (!all.is_empty()).then_some(all)
}

/// The text up to the closing parenthesis, which is not in quotes, and the text behind it.
fn inside(text: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let end = text.char_indices().find_map(|(at, c)| {
        match (quote, c) {
            (None, ')') => return Some(at),
            (None, '`' | '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        None
    })?;
    Some((&text[..end], &text[end + 1..]))
}

fn arguments(inside: &str) -> Vec<&str> {
    match inside.chars().find(|c| ['`', '"', '\''].contains(c)) {
        Some(quote) => inside.split(quote).skip(1).step_by(2).collect(),
        None => inside.split(',').map(str::trim).filter(|argument| !argument.is_empty()).collect(),
    }
}

fn calls_fix(calls: &[Call<'_>]) -> Option<String> {
    let mut parts: Vec<String> = calls.iter().flat_map(Call::paths).collect();
    if parts.is_empty() {
        parts.push("write a path such as `/pets/{id}`".to_owned());
    }
    for place in calls.iter().filter_map(Call::place) {
        if !parts.contains(&place) {
            parts.push(place);
        }
    }
    let is_known = |call: &Call<'_>| call.is_of_path() || KNOWN.iter().any(|known| call.name.starts_with(known));
    let is_rule = calls.iter().any(is_known);
    is_rule.then(|| parts.join("; "))
}

/// `prefix /api`, `path_beg /api`, `regex:^/api`, `location = /api`, `get /api`.
fn word_fix(text: &str) -> Option<String> {
    let (word, path) = text.split_once([' ', ':', '\t'])?;
    let path = path.trim().trim_matches(['`', '"', '\'']);
    let is_word = !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-');
    if !is_word || path.starts_with("//") || !path.contains('/') {
        return None;
    }
    if let Some(found) = foreign(&format!("{} {path}", word.to_ascii_uppercase())) {
        return Some(found.fix);
    }
    let word = word.to_ascii_lowercase();
    if path.starts_with('/') || is_regex(&word) {
        return Some(path_fix(&word, path));
    }
    foreign(path).map(|found| found.fix)
}

/// What to write instead of the path of a condition with a name.
fn path_fix(name: &str, path: &str) -> String {
    if is_regex(name) {
        return instead(path);
    }
    let is_prefix = ["prefix", "beg", "start", "location"].iter().any(|word| name.contains(word));
    paths_fix(path, is_prefix)
}

fn is_regex(name: &str) -> bool {
    name.contains("reg")
}

/// The beginnings of the names of other conditions.
const KNOWN: &[&str] = &["method", "host", "header", "query", "clientip"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_its_paths_and_a_place_for_each_other_condition() {
        for (text, meant) in [
            ("Path(`/x`)", "write `/x`"),
            ("PathPrefix(`/api/`)", "write two routes, `/api/` and `/api/{*rest}` for all paths below it"),
            (
                "PathPrefix(`/admin`)",
                "write two routes, `/admin` and `/admin/{*rest}` for all paths below it; two more, `/admin{name}` and \
                 `/admin{name}/{*rest}`, if paths such as `/admin-2` are meant, too",
            ),
            ("Prefix(`/x/`)", "write two routes, `/x/` and `/x/{*rest}` for all paths below it"),
            (
                "starts_with(http.request.uri.path, \"/x/\")",
                "write two routes, `/x/` and `/x/{*rest}` for all paths below it",
            ),
            ("prefix /x/", "write two routes, `/x/` and `/x/{*rest}` for all paths below it"),
            ("path_beg /x/", "write two routes, `/x/` and `/x/{*rest}` for all paths below it"),
            ("prefix:/x/", "write two routes, `/x/` and `/x/{*rest}` for all paths below it"),
            ("exact /x", "write `/x`"),
            ("location = /x", "write `/x`"),
            ("regex:^/x$", "write `/x`"),
            ("get /x", "write `path: \"/x\"` and `methods: [GET]`"),
            ("PathRegexp(`^/a/[0-9]+$`)", "write `/a/{id:int}`"),
            ("Path(`/a`) || Path(`/b`)", "write `/a`; write `/b`"),
            ("Path(`/a`, `/b`)", "write `/a`; write `/b`"),
            (
                "Path(`/x`) && Method(`GET`, `POST`)",
                "write `/x`; methods are written in the route: `methods: [GET, POST]`",
            ),
            (
                "Host(`a.example`) && (Path(`/x`) || Path(`/y`))",
                "write `/x`; write `/y`; hosts are listed in `hosts` of the API or the gateway",
            ),
            (
                "Host(`a.example`)",
                "write a path such as `/pets/{id}`; hosts are listed in `hosts` of the API or the gateway",
            ),
            ("Path(`/x`) && !Query(`a`, `b`)", "write `/x`; there is no negation: write routes for what is meant"),
            (
                "Path(`/x`) && Headers(`A`, `b`)",
                "write `/x`; fields and parameters are compared in `when` of the route",
            ),
        ] {
            assert_eq!(fix(text).as_deref(), Some(meant), "{text}");
        }
        for text in ["", "/x", "users", "f(x)", "a b", "Path(`/x`) x", "a:b", "x://y"] {
            assert_eq!(fix(text), None, "{text}");
        }
    }
}
