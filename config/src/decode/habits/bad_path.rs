//! Paths that are not valid here: without a slash, with a query, with matchers or types of other routers.

use tollgate_core::route::{PathTemplate, TemplateError};

use super::EXAMINED_BYTES_MAX;
use super::matcher;
use super::path::{changed, foreign};
use super::regex::{Matches, matches, parts};
use crate::decode::parsed::can_be_parameter;

/// What to write instead of a path that is refused.
pub(in crate::decode) fn fix(text: &str) -> String {
    let meant = (text.len() <= EXAMINED_BYTES_MAX).then(|| meant(text)).flatten();
    meant.unwrap_or_else(|| "write a path such as `/pets/{id}`, `/files/{name}.json` or `/assets/{*rest}`".to_owned())
}

fn meant(text: &str) -> Option<String> {
    match text {
        "" => return Some("write `/`".to_owned()),
        "*" | "**" => return Some("write `/{*rest}` for all paths".to_owned()),
        _ => {}
    }
    if text.trim() != text && is_path(text.trim()) {
        return Some(format!("write `{}`; for a blank of the path, `%20`", text.trim()));
    }
    let plain: Vec<&str> = text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
    if let Some(path) = Some(plain.join("/")).filter(|path| path != text && is_path(path)) {
        let escaped = text.replace(';', "%3B");
        return Some(format!("write `{path}`, with `matrix-parameters: true`; for the character itself, `{escaped}`"));
    }
    if let Some(fix) = matcher::fix(text) {
        return Some(fix);
    }
    if let Some(path) = text.strip_suffix("/?").filter(|path| is_path(path)) {
        return Some(format!("write two routes, `{path}` and `{path}/`"));
    }
    if let Some((path, query)) = text.split_once('?').filter(|(path, _)| is_path(path)) {
        return Some(format!("write `{path}` with `when: {{query: {{{}}}}}`", conditions(query)));
    }
    if let Some((path, _)) = text.split_once('#').filter(|(path, _)| is_path(path)) {
        return Some(format!("write `{path}`: a request has no fragment"));
    }
    let plain = text.replace("\\/", "/").replace("//", "/");
    if plain != text && is_path(&plain) {
        return Some(format!("write `{plain}`"));
    }
    let resolved = without_dots(text);
    if text.split('/').any(|segment| [".", ".."].contains(&segment)) && is_path(&resolved) {
        return Some(format!("write `{resolved}`"));
    }
    let absolute = format!("/{text}");
    if let Some(found) = foreign(&absolute).filter(|_| !text.starts_with('/')) {
        return Some(found.fix);
    }
    if !text.starts_with('/') && !text.contains('`') && is_path(&absolute) {
        return Some(format!("write `{absolute}`"));
    }
    let (repaired, note) = repaired(text);
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    (repaired != text && is_path(&repaired)).then(|| format!("write `{repaired}`{note}"))
}

/// The conditions for a query; a value that is written as a pattern stands for any, and several values for one of them.
fn conditions(query: &str) -> String {
    let mut all: Vec<(&str, Vec<&str>)> = Vec::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) if !values.contains(&value) => values.push(value),
            Some(_) => {}
            None => all.push((name, vec![value])),
        }
    }
    let mut unnamed = 0;
    let condition = |(name, values): (&str, Vec<&str>)| {
        unnamed += usize::from(!can_be_parameter(name));
        let name = match unnamed {
            _ if can_be_parameter(name) => name.to_owned(),
            1 => "NAME".to_owned(),
            number => format!("NAME{number}"),
        };
        format!("{}: {}", plain(&name.into()), condition(&values))
    };
    let all: Vec<String> = all.into_iter().map(condition).collect();
    if all.is_empty() { "NAME: present".to_owned() } else { all.join(", ") }
}

fn condition(values: &[&str]) -> String {
    let is_value =
        |value: &&str| !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if !values.iter().all(is_value) {
        return "present".to_owned();
    }
    match values {
        [value] => serde_json::Value::from(*value).to_string(),
        values => serde_json::json!(values).to_string().replace("\",\"", "\", \""),
    }
}

/// A name without quotes, if YAML needs none.
fn plain(name: &serde_json::Value) -> String {
    let text = name.as_str().unwrap_or_default();
    let is_plain = text.len() > 3
        || (text.starts_with(|c: char| c.is_ascii_alphabetic()) && !["y", "n", "no", "on"].contains(&text));
    if is_plain && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        text.to_owned()
    } else {
        name.to_string()
    }
}

/// The path without the segments `.` and `..`.
fn without_dots(text: &str) -> String {
    let mut all: Vec<&str> = Vec::new();
    for segment in text.split('/') {
        match segment {
            "." => {}
            ".." if all.len() > 1 => {
                all.pop();
            }
            segment => all.push(segment),
        }
    }
    if all.len() == 1 { "/".to_owned() } else { all.join("/") }
}

fn is_path(text: &str) -> bool {
    text.parse::<PathTemplate>().is_ok() && !text.contains(['?', '#'])
}

/// The path with other names and types of its parameters, and what it matches otherwise.
fn repaired(text: &str) -> (String, Option<String>) {
    let (mut out, mut names, mut note) = (String::new(), Vec::new(), None);
    for (place, piece) in text.split('{').enumerate() {
        let Some((inside, behind)) = piece.split_once('}').filter(|_| place > 0) else {
            out.push_str(if place > 0 { "{" } else { "" });
            out.push_str(piece);
            continue;
        };
        // The rest of the path is its end.
        let bare = if behind.is_empty() { inside } else { inside.trim_start_matches('*') };
        note = note.or_else(|| if bare == inside { None } else { changed(&Matches::Rest, inside, false) });
        out.push_str(&parameter(bare, &mut names, &mut note));
        out.push_str(behind);
    }
    if out.parse::<PathTemplate>() == Err(TemplateError::TwoParameters) {
        let path = out.split('/').map(one_parameter).collect::<Vec<_>>().join("/");
        return (path, Some("a segment has at most one parameter, and it matches any text".to_owned()));
    }
    (out, note)
}

/// A segment with one parameter in place of several: `{from}-{to}` is `{from-to}`.
fn one_parameter(segment: &str) -> String {
    let (Some(start), Some(end)) = (segment.find('{'), segment.rfind('}').filter(|_| segment.matches('{').count() > 1))
    else {
        return segment.to_owned();
    };
    let names = segment[start..=end].split('{').filter_map(|piece| piece.split_once('}'));
    let names: Vec<&str> = names.map(|(inside, _)| inside.split(':').next().unwrap_or_default()).collect();
    format!("{}{{{}}}{}", &segment[..start], names.join("-"), &segment[end + 1..])
}

/// The words in `{a|b}` and `{v1,v2}`, which stand for one of them; `{id,int}` is a name with a type.
fn words(inside: &str) -> Option<String> {
    let is_word =
        |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let all: Vec<&str> = inside.split(['|', ',']).collect();
    let is_list =
        all.len() > 1 && all.iter().all(is_word) && matches!(matches(all[1]), Matches::Any | Matches::Pattern);
    is_list.then(|| all.join("|"))
}

/// A parameter with a valid name that is not used yet: `{id,int}` and `{id<int>}` are `{id:int}`.
fn parameter(inside: &str, names: &mut Vec<String>, note: &mut Option<String>) -> String {
    let rest = inside.strip_prefix('*');
    let inside = rest.unwrap_or(inside);
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && !"_-.".contains(c)).unwrap_or(inside.len());
    let (name, of) = inside.split_at(end);
    let name = if name.is_empty() { "name" } else { name };
    let numbered = (2..).map(|number| format!("{name}{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !names.contains(name)).unwrap_or_default();
    names.push(free.clone());
    match (rest, of.strip_prefix(':')) {
        (Some(_), _) => format!("{{*{free}}}"),
        (None, Some(of)) => format!("{{{free}:{of}}}"),
        (None, None) if of.is_empty() => format!("{{{free}}}"),
        (None, None) if words(inside).is_some() => Matches::OneOf(words(inside).unwrap_or_default()).parameter("name"),
        (None, None) => {
            let of = of.trim_matches([',', '<', '>', '|', ' ', ';']);
            let (before, of, behind) = parts(of);
            let found = matches(of);
            *note = note.take().or_else(|| changed(&found, of, before.is_empty() && behind.is_empty()));
            format!("{before}{}{behind}", found.parameter(&free))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_paths_have_a_suggestion() {
        for (path, meant) in [
            ("users/{id}", "write `/users/{id}`"),
            ("", "write `/`"),
            ("*", "write `/{*rest}`"),
            ("/users?id=1&a", "write `/users` with `when: {query: {id: \"1\", a: present}}`"),
            ("/users?id=1&id=2", "`when: {query: {id: [\"1\", \"2\"]}}`"),
            ("/users?id=1&id=1", "`when: {query: {id: \"1\"}}`"),
            ("/users?id=1&id={x}", "`when: {query: {id: present}}`"),
            ("/users?a b=1&c d=2", "`when: {query: {NAME: \"1\", NAME2: \"2\"}}`"),
            ("/users?", "`when: {query: {NAME: present}}`"),
            ("/users?y=*&x-a={b}", "{\"y\": present, \"x-a\": present}"),
            ("/users/{a|b}", "write `/users/{name:(a|b)}`"),
            ("/api/{v1,v2}/x", "write `/api/{name:(v1|v2)}/x`"),
            ("*.php", "write `/{name}.php`"),
            ("prefix /x", "write two routes, `/x` and `/x/{*rest}`"),
            ("/a/../b", "write `/b`"),
            ("/a/./b", "write `/a/b`"),
            ("/users/?", "two routes, `/users` and `/users/`"),
            ("/users#a", "write `/users`:"),
            ("/a/{id}/{id}", "write `/a/{id}/{id2}`"),
            (
                "/x/{id}.{format}",
                "write `/x/{id-format}`; a segment has at most one parameter, and it matches any text",
            ),
            ("/x/{id<alpha>}", "write `/x/{id}`; the parameter matches any text, because `alpha` is not kept"),
            ("/flights/v{from:int}-{to}.json", "write `/flights/v{from-to}.json`"),
            ("/a;v=1", "write `/a`, with `matrix-parameters: true`; for the character itself, `/a%3Bv=1`"),
            ("/a;v=1/b;w", "write `/a/b`, with `matrix-parameters: true`"),
            ("/users ", "write `/users`; for a blank of the path, `%20`"),
            ("/users/{userId<int>}", "write `/users/{userId:int}`"),
            ("/users/{id,int}", "write `/users/{id:int}`"),
            ("PathPrefix(`/api`)", "write two routes, `/api` and `/api/{*rest}`"),
            ("regex:/x", "write two routes, `/x` and `/x/{*rest}`"),
            ("Path(`/x`) && Method(`GET`)", "write `/x`"),
            ("Host(`a`)", "write a path such as"),
            ("/users?{q}", "`when: {query: {NAME: present}}`"),
            ("/a/{*rest}/b", "write `/a/{rest}/b`; the parameter matches text without a slash"),
            ("\\/a", "write `/a`"),
            ("/a//b", "write `/a/b`"),
            ("/a/..", "write `/`"),
            ("/a/%zz", "write a path such as"),
            ("/a/{", "write a path such as"),
        ] {
            assert!(fix(path).contains(meant), "{path}: {}", fix(path));
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z/{}<>:,*?#`() é]{0,24}") {
            let _ = fix(&text);
        }
    }
}
