//! The requests of a path, also of one that has no template, such as `/files/{name}.{ext}` and `/files/{+path}`.

mod chars;
mod pieces;
mod within;

use tollgate_core::route::{CanonicalPath, PathTemplate};

pub use self::chars::FixedChars;
pub(super) use self::pieces::{Piece, pieces};

/// The decoded paths of requests: fixed characters, and values between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Symbol>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    Char(char),
    /// One character or more of a segment.
    Value,
    /// One character or more, also of several segments.
    Values,
}

impl Pattern {
    /// A path of OpenAPI, or of a URI template (RFC 6570), without the types of its values.
    pub(crate) fn new(path: &str) -> Self {
        let mut symbols = Vec::with_capacity(path.len());
        for piece in pieces(path) {
            match piece {
                Piece::Text(text) => symbols.extend(decoded(text).chars().map(Symbol::Char)),
                Piece::Value => symbols.push(Symbol::Value),
                Piece::Values => symbols.push(Symbol::Values),
            }
        }
        Self(symbols)
    }

    /// The requests of a template.
    pub(crate) fn of(template: &PathTemplate) -> Self {
        Self::new(template.label())
    }

    /// These requests below a base such as `/pets/v1`.
    pub(crate) fn below(&self, base: &str) -> Self {
        let base = base.strip_suffix('/').unwrap_or(base);
        if base.is_empty() {
            return self.clone();
        }
        let Self(mut symbols) = Self::new(base);
        if self.0 != [Symbol::Char('/')] {
            symbols.extend(&self.0);
        }
        Self(symbols)
    }

    /// A template that matches these requests and maybe others; `None` if no request can have such a path.
    pub(crate) fn template(&self) -> Option<PathTemplate> {
        let mut text = String::new();
        for (place, segment) in self.segments().enumerate() {
            text.push('/');
            if segment.contains(&Symbol::Values) {
                text.push_str("{*rest}");
                break;
            }
            let parts: Vec<&[Symbol]> = segment.split(|symbol| *symbol == Symbol::Value).collect();
            text.push_str(&parts.first().map_or_else(String::new, |prefix| encoded(prefix)));
            if let [_, .., suffix] = parts.as_slice() {
                text.push_str(&format!("{{p{place}}}{}", encoded(suffix)));
            }
        }
        text.parse().ok()
    }

    /// Whether a path is one of these.
    pub(crate) fn has(&self, path: &CanonicalPath) -> bool {
        let decoded = path.segments().flat_map(|segment| std::iter::once('/').chain(segment.chars()));
        self.takes(decoded.map(Symbol::Char))
    }

    /// Whether all of other requests are among these, but not all of these among them.
    pub(crate) fn is_wider_than(&self, other: &Self) -> bool {
        let has_all = |own: &Self, other: &Self| own.takes(other.0.iter().copied());
        has_all(self, other) && !has_all(other, self)
    }

    /// The fixed characters.
    pub(crate) fn chars(&self) -> impl Iterator<Item = char> {
        self.0.iter().filter_map(|symbol| match symbol {
            Symbol::Char(c) => Some(*c),
            Symbol::Value | Symbol::Values => None,
        })
    }

    /// The symbols of each segment.
    fn segments(&self) -> impl Iterator<Item = &[Symbol]> {
        self.0.get(1..).unwrap_or_default().split(|symbol| *symbol == Symbol::Char('/'))
    }

    /// Whether values can be chosen so that this is the other one, whatever its values are.
    fn takes(&self, other: impl Iterator<Item = Symbol>) -> bool {
        // The places in this pattern that can come next.
        let mut places = vec![false; self.0.len() + 1];
        places[0] = true;
        for symbol in other {
            let mut next = vec![false; places.len()];
            for (at, own) in self.0.iter().enumerate().filter(|(at, _)| places[*at]) {
                if own.takes(symbol) {
                    next[at + 1] = true;
                    next[at] |= !matches!(own, Symbol::Char(_));
                }
            }
            places = next;
        }
        places.last() == Some(&true)
    }
}

impl Symbol {
    fn takes(self, other: Self) -> bool {
        match self {
            Self::Char(_) => self == other,
            Self::Value => !matches!(other, Self::Char('/') | Self::Values),
            Self::Values => true,
        }
    }
}

/// The decoded form of a fixed text.
fn decoded(text: &str) -> String {
    let decoded = |part: &str| {
        let path = CanonicalPath::parse(format!("/{part}").as_bytes()).ok();
        path.and_then(|path| path.segments().next().map(str::to_owned)).unwrap_or_else(|| part.to_owned())
    };
    text.split('/').map(decoded).collect::<Vec<_>>().join("/")
}

/// The text of a template for fixed characters.
fn encoded(symbols: &[Symbol]) -> String {
    let mut out = String::new();
    for symbol in symbols {
        match symbol {
            Symbol::Char(c) if c.is_ascii_alphanumeric() || "-_.~".contains(*c) => out.push(*c),
            Symbol::Char(c) => {
                c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(&format!("%{byte:02X}")));
            }
            Symbol::Value | Symbol::Values => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_the_requests_of_a_path_without_a_template() {
        for (path, template, has, has_not) in [
            (
                "/f/{name}.{ext}",
                "/f/{p1}",
                &["/f/a.b", "/f/a.b.c", "/f/..a"][..],
                &["/f/a", "/f/.b", "/f/a.", "/g/a.b", "/f/a.b/c"][..],
            ),
            ("/f/a{x}b{y}c", "/f/a{p1}c", &["/f/a1b2c", "/f/abb2c"], &["/f/abc", "/f/a1c", "/f/a1bc"]),
            ("/f/{x}{y}", "/f/{p1}", &["/f/ab"], &["/f/a"]),
            ("/f/{+path}", "/f/{*rest}", &["/f/a", "/f/a/b"], &["/f", "/f/", "/g/a"]),
            ("/{proxy+}/x", "/{*rest}", &["/a/x", "/a/b/x"], &["/a", "/x", "/a/b"]),
            ("/a{p*}b/{x}", "/{*rest}", &["/a1b/x", "/a1/2b/x"], &["/ab/x", "/a1b"]),
            ("/a{/b}{.c}", "/a/{p1}", &["/a/b.c"], &["/a", "/a/b"]),
            ("/a{/b*}", "/a/{*rest}", &["/a/b", "/a/b/c"], &["/a"]),
            ("f/{id", "/f/{p1}", &["/f/a"], &["/f"]),
            ("/f/{id:[a-z]{2}}", "/f/{p1}", &["/f/a"], &["/f", "/f/a/b"]),
            ("/f/x}", "/f/x%7D", &["/f/x%7D"], &["/f/x"]),
            ("/f?v=1", "/f", &["/f"], &["/g"]),
            (
                "/é/f(a='{x}',b='{y}')",
                "/%C3%A9/f%28a%3D%27{p1}%27%29",
                &["/%C3%A9/f(a='1',b='2')"],
                &["/%C3%A9/f(a='1')"],
            ),
        ] {
            let pattern = Pattern::new(path);
            assert_eq!(pattern.template().as_ref().map(PathTemplate::as_str), Some(template), "{path}");
            let is_for = |request: &str| pattern.has(&CanonicalPath::parse(request.as_bytes()).unwrap());
            has.iter().for_each(|request| assert!(is_for(request), "{path} {request}"));
            has_not.iter().for_each(|request| assert!(!is_for(request), "{path} {request}"));
        }
    }

    #[test]
    fn a_pattern_is_below_a_base() {
        for (path, base, expected) in
            [("/{x}.{y}", "/v1", "/v1/{x}.{y}"), ("/#a", "/v1", "/v1"), ("/#a", "", "/"), ("/{p+}", "/v1/", "/v1/{p+}")]
        {
            assert_eq!(Pattern::new(path).below(base), Pattern::new(expected), "{path} {base}");
        }
    }

    #[test]
    fn a_pattern_is_wider_than_one_whose_requests_it_has() {
        for (wide, narrow, is_wider) in [
            ("/f/{x}.{y}", "/f/{p}.pdf", true),
            ("/f/{x}.{y}", "/f/{x}.{y}.{z}", true),
            ("/f/{x}.{y}", "/f/a.b", true),
            ("/f/{x}.{y}", "/f/v{a}", false),
            ("/f/{x}.{y}", "/f/{a}", false),
            ("/f/{x}.{y}", "/f/{p+}.{y}", false),
            ("/f/{a}", "/f/{x}.{y}", true),
            ("/{p+}/admin", "/{a}/{b}/admin", true),
            ("/{p+}/admin", "/{a}/{b}", false),
            ("/{p+}", "/{p+}/admin", true),
            ("/{a}/{b}", "/{p+}/b", false),
            ("/{a}/{b}", "/{x}/{y}", false),
        ] {
            assert_eq!(Pattern::new(wide).is_wider_than(&Pattern::new(narrow)), is_wider, "{wide} {narrow}");
        }
    }
}
