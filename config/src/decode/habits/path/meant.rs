//! The path that was probably meant, segment by segment.

use tollgate_core::route::PathTemplate;

use super::segment::{Piece, Token, pieces};
use crate::decode::habits::regex::{Matches, is_any_integer, matches, parts};
use crate::diagnostic::listed;

/// A path as it is written here.
#[derive(Default)]
pub(super) struct Meant {
    segments: Vec<String>,
    names: Vec<String>,
    /// Whether the last segment may be absent.
    is_optional: bool,
    /// Whether paths below it are meant, too.
    is_prefix: bool,
    /// Whether it is not known what was meant.
    is_unclear: bool,
    /// What the path matches otherwise than in the other router.
    pub(super) notes: Vec<String>,
    /// The first part in the syntax of another router.
    pub(super) part: Option<String>,
}

impl Meant {
    /// Translates a path that begins with a slash and has no part that may be absent.
    pub(super) fn of(path: &str) -> Self {
        let mut meant = Self::default();
        let segments = segments(path.strip_prefix('/').unwrap_or(path));
        for (place, segment) in segments.iter().enumerate() {
            meant.take(segment, place + 1 == segments.len());
        }
        if let ([path, _], true) = (meant.routes().as_slice(), meant.is_prefix) {
            meant.notes.extend(longer(path));
        }
        meant
    }

    /// The routes for the path; none if it is not known what was meant.
    pub(super) fn routes(&self) -> Vec<String> {
        let path = format!("/{}", self.segments.join("/"));
        if self.is_unclear || !is_path(&path) {
            return Vec::new();
        }
        if self.is_optional {
            let shorter = &self.segments[..self.segments.len().saturating_sub(1)];
            return vec![format!("/{}", shorter.join("/")), path];
        }
        let below = self.is_prefix.then(|| format!("{}/{{*rest}}", path.trim_end_matches('/')));
        std::iter::once(path).chain(below.filter(|below| is_path(below))).collect()
    }

    fn take(&mut self, text: &str, is_last: bool) {
        let mut pieces = pieces(text);
        let Some(foreign) = pieces.iter().find(|piece| piece.is_foreign) else {
            // Names of written parameters must not be used again.
            self.names.extend(pieces.iter().filter_map(|piece| piece.token.name().map(str::to_owned)));
            self.segments.push(text.to_owned());
            return;
        };
        self.part.get_or_insert_with(|| foreign.raw.to_owned());
        if !is_last {
            pieces.iter_mut().for_each(Piece::keep_segment);
        }
        self.is_unclear |= pieces.iter().any(|piece| matches!(piece.token, Token::Unclear));
        self.is_prefix |= pieces.iter().any(|piece| matches!(piece.token, Token::Below));
        self.is_optional |= is_last && pieces.iter().any(|piece| piece.token.is_optional());
        let written = self.written(&pieces, is_last);
        self.segments.push(written);
    }

    /// A segment as it is written here: fixed text, one parameter, fixed text.
    fn written(&mut self, pieces: &[Piece<'_>], is_last: bool) -> String {
        let is_parameter = |piece: &Piece<'_>| matches!(piece.token, Token::Parameter { .. });
        let fixed = |pieces: &[Piece<'_>]| pieces.iter().map(|piece| piece.token.text()).collect::<String>();
        let (Some(first), Some(last)) = (pieces.iter().position(is_parameter), pieces.iter().rposition(is_parameter))
        else {
            return fixed(pieces);
        };
        let (before, behind) = (fixed(&pieces[..first]), fixed(&pieces[last + 1..]));
        let is_alone = is_last && before.is_empty() && behind.is_empty();
        let parameter = match &pieces[first].token {
            Token::Parameter { name, of, .. } if first == last => self.parameter(name, of, is_alone),
            _ => {
                let names = pieces[first..=last].iter().filter_map(|piece| piece.token.name());
                let joined = names.filter(|name| is_name(name)).collect::<Vec<_>>().join("-");
                self.notes.push("a segment has at most one parameter, and it matches any text".to_owned());
                self.parameter(&joined, "", is_alone)
            }
        };
        format!("{before}{parameter}{behind}")
    }

    /// A parameter that matches about the same as a regular expression or a type of another router.
    fn parameter(&mut self, name: &str, of: &str, is_alone: bool) -> String {
        let (before, of, behind) = parts(of);
        let is_alone = is_alone && before.is_empty() && behind.is_empty();
        let found = if of.is_empty() { Matches::Any } else { matches(of) };
        self.notes.extend(changed(&found, of, is_alone));
        let found = if found == Matches::Rest && !is_alone { Matches::Any } else { found };
        let name = if is_name(name) { name } else { found.name() };
        let numbered = (2..).map(|number| format!("{name}{number}"));
        let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !self.names.contains(name));
        let name = free.unwrap_or_default();
        self.names.push(name.clone());
        format!("{before}{}{behind}", found.parameter(&name))
    }
}

/// What a parameter matches otherwise than the regular expression or type that it replaces.
pub(in crate::decode::habits) fn changed(found: &Matches, of: &str, is_alone: bool) -> Option<String> {
    match found {
        Matches::Pattern if of == "number" => {
            Some("the parameter matches any text; for integers, give it the type `int`".to_owned())
        }
        Matches::Pattern => Some(format!("the parameter matches any text, because `{of}` is not kept")),
        Matches::Int if !is_any_integer(of) => {
            Some(format!("the parameter matches any integer, because `{of}` is not kept"))
        }
        // In the middle of a path, `*` alone is one segment elsewhere, too.
        Matches::Rest if !is_alone && of != "*" => Some("the parameter matches text without a slash".to_owned()),
        Matches::Int | Matches::Uuid | Matches::OneOf(_) | Matches::Rest | Matches::Any => None,
    }
}

/// The segments of a path; a slash in brackets is not the end of a segment.
fn segments(path: &str) -> Vec<&str> {
    let (mut all, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, byte) in path.bytes().enumerate() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            b'/' if depth == 0 => {
                all.push(&path[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    all.push(&path[start..]);
    all
}

/// What to write: these routes.
pub(super) fn routes_fix(routes: &[String], notes: &[String]) -> String {
    let fix = match routes {
        [] => return format!("write paths such as `{EXAMPLE}`, one route for each"),
        [path] => match path.strip_suffix("/{*rest}") {
            Some(above) if !above.is_empty() => {
                format!("write `{path}`, which matches the paths below `{above}` and not `{above}` itself")
            }
            _ => format!("write `{path}`"),
        },
        [path, below] if below.ends_with("/{*rest}") => {
            format!("write two routes, `{path}` and `{below}` for all paths below it")
        }
        [one, other] => format!("write two routes, `{one}` and `{other}`"),
        all => format!("write one route for each of {}", listed(all.iter().map(String::as_str))),
    };
    std::iter::once(fix.as_str()).chain(notes.iter().map(String::as_str)).collect::<Vec<_>>().join("; ")
}

/// The routes for paths whose last segment begins with that of a path: a prefix of text matches them, too.
pub(super) fn longer(path: &str) -> Option<String> {
    let last = path.rsplit('/').next().unwrap_or_default();
    (!last.is_empty() && !last.contains('{')).then(|| {
        format!("two more, `{path}{{name}}` and `{path}{{name}}/{{*rest}}`, if paths such as `{path}-2` are meant, too")
    })
}

pub(super) fn is_path(text: &str) -> bool {
    text.parse::<PathTemplate>().is_ok() && !text.contains(['?', '#'])
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

pub(super) const EXAMPLE: &str = "/users/{id}";
