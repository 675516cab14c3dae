//! Converts paths of OpenAPI to path templates of the router.

use std::collections::HashSet;
use std::fmt::Write;

use thiserror::Error;
use tollgate_core::route::{PathTemplate, TemplateError};

use super::narrowing::Narrowing;

/// The reason why a path cannot be routed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Unroutable {
    #[error("the path does not begin with `/`")]
    NotAbsolute,
    #[error("the path contains `?`, but a query is not part of a path")]
    Query,
    #[error("the path contains `#`, but a request has no fragment")]
    Fragment,
    #[error("a segment of the path has two parameters, so the end of the first is ambiguous")]
    TwoParameters,
    #[error("`{{{0}}}` is a parameter for several segments, which OpenAPI does not define")]
    Several(String),
    #[error("`{{{0}}}` is an expression of a URI template (RFC 6570), which OpenAPI does not define")]
    Expression(String),
    #[error("`{{{0}}}` has a regular expression, but in OpenAPI the text in braces is only a name")]
    Regex(String),
    #[error(transparent)]
    Template(#[from] TemplateError),
}

impl Unroutable {
    /// How to correct the path.
    pub(super) fn fix(&self) -> &'static str {
        match self {
            Self::NotAbsolute => "begin the path with `/`; an overlay can change it without editing the document",
            Self::Query => "define a route under `routes:` with `when: {query: ...}`",
            Self::Fragment => {
                "remove the `#` and the text after it; an overlay can change it without editing the document"
            }
            Self::TwoParameters => "define a route under `routes:` with one parameter for the whole segment",
            Self::Several(_) => "define a route under `routes:` whose last segment is `{*name}`",
            Self::Expression(text) => match text.chars().next() {
                Some('?' | '&') => {
                    "write the path without it: a query is no part of a path; list its parameters with `in: query`"
                }
                Some('#') => "write the path without it: a request has no fragment",
                Some(';') => "write the path without it, and set `matrix-parameters: true`",
                Some('.') => "write a dot and the parameter in its place, such as `.{name}`",
                _ => "write `/{name}` in its place, or define a route under `routes:` whose last segment is `{*name}`",
            },
            Self::Regex(_) => "write `{name}` in its place, and restrict its values in the `schema` of the parameter",
            Self::Template(_) => "correct the path, or define a route under `routes:`",
        }
    }
}

/// A path that can be routed.
#[derive(Clone, Debug)]
pub(super) struct RoutablePath {
    /// The texts before, between and after the parameters.
    texts: Vec<String>,
    /// The parameters: their names in the document and in templates.
    parameters: Vec<(String, String)>,
}

impl RoutablePath {
    pub(super) fn parse(path: &str) -> Result<Self, Unroutable> {
        if !path.starts_with('/') {
            return Err(Unroutable::NotAbsolute);
        }
        let (mut names, mut parsed) = (Names::default(), Self { texts: Vec::new(), parameters: Vec::new() });
        for piece in pieces(path)? {
            match piece {
                Piece::Text(text) => parsed.texts.push(text.to_owned()),
                Piece::Parameter(name) => parsed.parameters.push((name.to_owned(), names.safe(name))),
            }
        }
        parsed.plain().map_err(|error| match error {
            TemplateError::TwoParameters => Unroutable::TwoParameters,
            error => Unroutable::Template(error),
        })?;
        Ok(parsed)
    }

    /// The names of its parameters in the document.
    pub(super) fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|(written, _)| written.as_str())
    }

    /// The template, with each parameter restricted to its possible values.
    pub(super) fn template(&self, narrowings: &[Option<Narrowing>]) -> Result<PathTemplate, TemplateError> {
        let narrowed = self.text(|place, out| {
            let name = &self.parameters[place].1;
            // Writing to a string does not fail.
            let _ = match narrowings.get(place) {
                Some(Some(narrowing)) => write!(out, "{{{name}:{narrowing}}}"),
                _ => write!(out, "{{{name}}}"),
            };
        });
        // If the restricted form is not a valid template, the unrestricted one is safe: the upstream checks its
        // parameters.
        narrowed.parse().or_else(|_| self.plain())
    }

    fn plain(&self) -> Result<PathTemplate, TemplateError> {
        self.text(|place, out| out.extend(["{", &self.parameters[place].1, "}"])).parse()
    }

    fn text(&self, parameter: impl Fn(usize, &mut String)) -> String {
        let mut out = String::new();
        for (place, text) in self.texts.iter().enumerate() {
            out.push_str(text);
            if place < self.parameters.len() {
                parameter(place, &mut out);
            }
        }
        out
    }
}

enum Piece<'t> {
    Text(&'t str),
    Parameter(&'t str),
}

fn pieces(path: &str) -> Result<Vec<Piece<'_>>, Unroutable> {
    let mut pieces = Vec::new();
    let mut rest = path;
    while let Some(open) = rest.find('{') {
        let (before, tail) = rest.split_at(open);
        let close = tail.find('}').ok_or(TemplateError::Brace)?;
        let name = &tail[1..close];
        pieces.push(Piece::Text(literal(before)?));
        if let Some(reason) = not_a_name(name) {
            return Err(reason);
        }
        if name.is_empty() || name.contains(['{', '/']) {
            return Err(TemplateError::Brace.into());
        }
        pieces.push(Piece::Parameter(name));
        rest = &tail[close + 1..];
    }
    pieces.push(Piece::Text(literal(rest)?));
    Ok(pieces)
}

fn literal(text: &str) -> Result<&str, Unroutable> {
    match text.find(['?', '#', '}']).map(|at| &text[at..=at]) {
        Some("?") => Err(Unroutable::Query),
        Some("#") => Err(Unroutable::Fragment),
        Some(_) => Err(TemplateError::Brace.into()),
        None => Ok(text),
    }
}

/// Why the text in braces is an expression of a URI template (RFC 6570), or of another tool, and not a name.
fn not_a_name(text: &str) -> Option<Unroutable> {
    let short = || super::reference::short(text).into_owned();
    let of = text.split_once(':').map(|(_, of)| of);
    if text.starts_with(['#', '.', '/', ';', '?', '&']) {
        Some(Unroutable::Expression(short()))
    } else if of.is_some_and(|of| !SEVERAL.contains(&of) && (of.ends_with(['*', '+']) || of.contains('{'))) {
        Some(Unroutable::Regex(short()))
    } else if text.starts_with(['+', '*']) || text.ends_with(['*', '+']) {
        Some(Unroutable::Several(short()))
    } else {
        None
    }
}

/// Types of parameters for several segments in other tools.
const SEVERAL: &[&str] = &["*", "**", ".*", ".+", "(.*)", "(.+)"];

/// Converts names of parameters for templates: in OpenAPI they may contain any characters.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
}

impl Names {
    fn safe(&mut self, name: &str) -> String {
        let is_safe = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let safe: String = name.chars().map(|c| if is_safe(c) { c } else { '_' }).collect();
        if safe == name || self.taken.insert(safe.clone()) {
            self.taken.insert(safe.clone());
            return safe;
        }
        // Two names that differ only in replaced characters.
        let numbered = (2..).map(|number| format!("{safe}{number}")).find(|name| !self.taken.contains(name));
        let numbered = numbered.unwrap_or(safe);
        self.taken.insert(numbered.clone());
        numbered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: impl Into<Result<&'static str, Unroutable>>) {
        let expected = expected.into();
        let found = RoutablePath::parse(path).map(|path| path.template(&[]).unwrap());
        assert_eq!(found.as_ref().map(PathTemplate::as_str), expected.as_ref().map(|text| *text), "{path}");
    }

    #[test]
    fn paths_become_templates() {
        check("/pets/{petId}", Ok("/pets/{petId}"));
        check("/apis/", Ok("/apis/"));
        check("/2010-04-01/Accounts/{Sid}.json", Ok("/2010-04-01/Accounts/{Sid}.json"));
        check("/a/{user id}/{user:id}", Ok("/a/{user_id}/{user_id2}"));
        check("/a/{é}", Ok("/a/{_}"));
    }

    #[test]
    fn paths_that_cannot_be_routed_have_a_reason() {
        check("pets", Err(Unroutable::NotAbsolute));
        check("", Err(Unroutable::NotAbsolute));
        check("/#X-Amz-Target=a", Err(Unroutable::Fragment));
        check("/a?b=c", Err(Unroutable::Query));
        check("/a/{x}{y}", Err(Unroutable::TwoParameters));
        check("/a/f(a='{x}',b='{y}')", Err(Unroutable::TwoParameters));
        check("/a/{x", Err(TemplateError::Brace.into()));
        check("/a/x}", Err(TemplateError::Brace.into()));
        check("/a/{}", Err(TemplateError::Brace.into()));
        check("/a/{x}/{x}", Err(TemplateError::DuplicateName.into()));
        check("/{proxy+}", Err(Unroutable::Several("proxy+".to_owned())));
        check("/{+path}", Err(Unroutable::Several("+path".to_owned())));
        check("/{path:.*}", Err(Unroutable::Several("path:.*".to_owned())));
        check("/a{?q}", Err(Unroutable::Expression("?q".to_owned())));
        check("/a{/b}", Err(Unroutable::Expression("/b".to_owned())));
        check("/a/{id:[0-9]+}", Err(Unroutable::Regex("id:[0-9]+".to_owned())));
        check("/a/{id:[a-z]{2}}", Err(Unroutable::Regex("id:[a-z]{2".to_owned())));
    }

    #[test]
    fn what_is_told_about_an_expression_is_of_its_kind() {
        for (path, told) in [
            ("/a{?page,size}", "without it: a query"),
            ("/a?b={b}{&c}", "with `when: {query"),
            ("/a/{id:[0-9]+}", "in the `schema`"),
            ("/a{;b}", "`matrix-parameters: true`"),
            ("/a{.b}", "`.{name}`"),
            ("/a/{b*}", "whose last segment is `{*name}`"),
        ] {
            let reason = RoutablePath::parse(path).expect_err(path);
            assert!(reason.fix().contains(told), "{path}: {}", reason.fix());
        }
    }
}
