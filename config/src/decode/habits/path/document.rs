//! Paths of OpenAPI documents in the syntax of routers: there a parameter is a whole segment, and its type is in a schema.

use tollgate_core::route::{ParameterType, PathTemplate, Segment};

use super::super::EXAMINED_BYTES_MAX;
use super::{Foreign, Translated, escaped, is_literal, is_plain, translated};
use crate::diagnostic::listed;

/// Finds the syntax of a router in a path of an OpenAPI document, also that of this one: a type or a rest.
pub(crate) fn foreign_in_document(text: &str) -> Option<Foreign> {
    if text.len() > EXAMINED_BYTES_MAX || is_plain(text) {
        return None;
    }
    let Translated { routes, part, notes } = translated(text)?;
    let part = part.or_else(|| typed(text))?;
    let fix = std::iter::once(fix(&routes)).chain(notes).collect::<Vec<_>>().join("; ");
    let fix = if is_literal(text, &part) {
        format!("{fix}; for these characters themselves, write `{}`", escaped(&part))
    } else {
        fix
    };
    Some(Foreign { part, fix })
}

/// The first parameter with signs of a type or of an expression in its name.
fn typed(path: &str) -> Option<String> {
    let inside = |piece: &'_ str| piece.find('}').map(|end| piece[..end].to_owned());
    let names = path.split('{').skip(1).filter_map(inside);
    names.into_iter().find(|name| name.contains(SIGNS)).map(|name| format!("{{{name}}}"))
}

/// Characters that names of parameters do not have.
const SIGNS: &[char] = &[':', '=', '?', '(', '*', '|', '[', '\\', '<', '^', '$', '!', '+'];

/// What to write instead, for the routes that were meant.
fn fix(routes: &[String]) -> String {
    let meant: Vec<PathTemplate> = routes.iter().filter_map(|route| route.parse().ok()).collect();
    let is_rest = |path: &&PathTemplate| matches!(path.segments().last(), Some(Segment::Rest { .. }));
    let (rests, paths): (Vec<&PathTemplate>, Vec<&PathTemplate>) = meant.iter().partition(is_rest);
    let mut told = Vec::new();
    match paths.as_slice() {
        [] if rests.is_empty() => {
            told.push(
                "write a path such as `/users/{id}`, and the type of `id` in the `schema` of the parameter".to_owned(),
            );
        }
        [] => {}
        [path] => told.push(format!("write `{}`", path.label())),
        all => told.push(format!("write a path for each of {}", listed(all.iter().map(|path| path.label())))),
    }
    if let Some((name, schema)) = paths.iter().flat_map(|path| path.segments()).find_map(schema) {
        told.push(format!("give the parameter `{name}` the `schema: {schema}`"));
    }
    if !rests.is_empty() {
        let paths = listed(rests.iter().map(|path| path.as_str()));
        told.push(format!(
            "define a route with the path {paths} under `routes:`, because a parameter of OpenAPI is one segment"
        ));
    }
    told.join("; ")
}

/// The name of a parameter with a type, and its schema.
fn schema(segment: &Segment) -> Option<(&str, String)> {
    let Segment::Parameter { name, of, .. } = segment else { return None };
    let schema = match of {
        ParameterType::Any => return None,
        ParameterType::Int => "{type: integer}".to_owned(),
        ParameterType::Uuid => "{type: string, format: uuid}".to_owned(),
        ParameterType::OneOf(values) if values.iter().eq(["false", "true"]) => "{type: boolean}".to_owned(),
        ParameterType::OneOf(values) => {
            let values: Vec<String> = values.iter().map(|value| serde_json::json!(value).to_string()).collect();
            format!("{{type: string, enum: [{}]}}", values.join(", "))
        }
    };
    Some((name, schema))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_a_path_of_openapi_and_a_schema() {
        for (path, part, fix) in [
            ("/users/:id", ":id", "write `/users/{id}`; for these characters themselves, write `%3Aid`"),
            (
                "/users/<int:id>",
                "<int:id>",
                "write `/users/{id}`; give the parameter `id` the `schema: {type: integer}`",
            ),
            (
                "/users/{id:int}",
                "{id:int}",
                "write `/users/{id}`; give the parameter `id` the `schema: {type: integer}`",
            ),
            (
                "/users/{id:uuid}",
                "{id:uuid}",
                "write `/users/{id}`; give the parameter `id` the `schema: {type: string, format: uuid}`",
            ),
            (
                "/{v:(v1|v2)}/status",
                "{v:(v1|v2)}",
                "write `/{v}/status`; give the parameter `v` the `schema: {type: string, enum: [\"v1\", \"v2\"]}`",
            ),
            ("/a/{b:bool}", "{b:bool}", "write `/a/{b}`; give the parameter `b` the `schema: {type: boolean}`"),
            ("/users/{id?}", "{id?}", "write a path for each of `/users` and `/users/{id}`"),
            ("/users/{id=7}", "{id=7}", "write `/users/{id}`"),
            ("/files/{path:.+\\.pdf}", "{path:.+\\.pdf}", "write `/files/{path}.pdf`"),
            ("/a/{user:id}", "{user:id}", "write `/a/{user}`"),
            ("/a/{id(x)}", "{id(x)}", "write a path such as `/users/{id}`"),
            ("/files/*", "*", "define a route with the path `/files/{*rest}` under `routes:`"),
            ("/users/[...slug]", "[...slug]", "define a route with the path `/users/{*slug}` under `routes:`"),
        ] {
            let found = foreign_in_document(path).expect(path);
            assert_eq!(found.part, part, "{path}");
            assert!(found.fix.starts_with(fix), "{path}: {}", found.fix);
        }
        for path in ["/users/{user id}", "/users/{id}.json", "/a/{é}", "/users/{id}:cancel", "/$metadata"] {
            assert_eq!(foreign_in_document(path), None, "{path}");
        }
    }
}
