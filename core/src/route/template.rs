//! Path templates: `/pets/{id}`, `/files/{name}.json`, `/assets/{*rest}`.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::path::{CanonicalPath, PathError, encode_into};

/// A parsed path template; compares and prints as the text it was written as.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathTemplate {
    text: String,
    segments: Vec<Segment>,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this decoded text.
    Literal(String),
    /// Any one segment that is not empty, between a fixed beginning and end (either may be empty).
    Parameter {
        /// What the segment begins with.
        prefix: String,
        /// The parameter's name.
        name: String,
        /// What the segment ends with.
        suffix: String,
    },
    /// The rest of the path, of one segment or more; always last.
    Rest {
        /// The parameter's name.
        name: String,
    },
}

/// A path template that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// The literal parts break the rule for paths.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A brace without its partner, or a nested one.
    #[error("a `{{` or `}}` has no partner")]
    Brace,
    /// More than one parameter within a segment.
    #[error("a segment has at most one parameter")]
    TwoParameters,
    /// A name that is empty or has other characters than letters, digits, `_`, `-` and `.`.
    #[error("a parameter's name consists of letters, digits, `_`, `-` and `.`")]
    Name,
    /// The same name twice.
    #[error("a parameter's name appears twice")]
    DuplicateName,
    /// `{*rest}` that is not the whole last segment.
    #[error("`{{*name}}` stands alone in the last segment")]
    RestPlace,
}

impl PathTemplate {
    /// The segments, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The template as written: the value of `http.route`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The template with its parameter names left out: two templates of one shape match the same paths.
    #[must_use]
    pub fn shape(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        for segment in &self.segments {
            out.push('/');
            match segment {
                Segment::Literal(text) => encode_into(&mut out, text),
                Segment::Parameter { prefix, suffix, .. } => {
                    encode_into(&mut out, prefix);
                    out.push_str("{}");
                    encode_into(&mut out, suffix);
                }
                Segment::Rest { .. } => out.push_str("{*}"),
            }
        }
        out
    }

    /// A path that the template matches, for diagnostics.
    #[must_use]
    pub fn witness(&self) -> String {
        self.shape().replace("{*}", "a").replace("{}", "a")
    }

    /// This template below a base such as `/pets/v1` (itself a template without parameters).
    ///
    /// # Errors
    /// When the whole is no template.
    pub fn below(&self, base: &str) -> Result<Self, TemplateError> {
        let base = base.strip_suffix('/').unwrap_or(base);
        if self.text == "/" && !base.is_empty() { base.parse() } else { format!("{base}{}", self.text).parse() }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter { name, .. } | Segment::Rest { name } => Some(name.as_str()),
        })
    }
}

impl Segment {
    /// Order of specificity within one place of a path: the smallest is tried first.
    ///
    /// A literal before a parameter, a parameter with more fixed text before one with less, the rest of the path last.
    #[must_use]
    pub fn precedence(&self) -> (u8, Reverse<usize>) {
        match self {
            Self::Literal(_) => (0, Reverse(0)),
            Self::Parameter { prefix, suffix, .. } => (1, Reverse(prefix.len() + suffix.len())),
            Self::Rest { .. } => (2, Reverse(0)),
        }
    }

    fn parse(raw: &str, last: bool) -> Result<Self, TemplateError> {
        let Some(open) = raw.find('{') else {
            return if raw.contains('}') { Err(TemplateError::Brace) } else { literal(raw).map(Self::Literal) };
        };
        let close = raw[open..].find('}').ok_or(TemplateError::Brace)? + open;
        let (prefix, name, suffix) = (&raw[..open], &raw[open + 1..close], &raw[close + 1..]);
        if prefix.contains('}') || name.contains('{') {
            return Err(TemplateError::Brace);
        }
        if suffix.contains(['{', '}']) {
            return Err(if suffix.contains('{') { TemplateError::TwoParameters } else { TemplateError::Brace });
        }
        if let Some(name) = name.strip_prefix('*') {
            let alone = last && prefix.is_empty() && suffix.is_empty();
            return if alone { Ok(Self::Rest { name: parameter(name)? }) } else { Err(TemplateError::RestPlace) };
        }
        Ok(Self::Parameter { prefix: literal(prefix)?, name: parameter(name)?, suffix: literal(suffix)? })
    }
}

fn parameter(name: &str) -> Result<String, TemplateError> {
    let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    valid.then(|| name.to_owned()).ok_or(TemplateError::Name)
}

/// The decoded form of a literal; it must be a segment that a request could carry.
fn literal(raw: &str) -> Result<String, TemplateError> {
    let path = CanonicalPath::parse(format!("/{raw}").as_bytes())?;
    Ok(path.segments().first().cloned().unwrap_or_default())
}

impl FromStr for PathTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let rest = text.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        if text.len() > crate::bounds::TARGET_BYTES_MAX {
            return Err(PathError::TooLong.into());
        }
        let raw: Vec<&str> = rest.split('/').collect();
        if raw.len() > crate::bounds::PATH_SEGMENTS_MAX {
            return Err(PathError::TooManySegments.into());
        }
        let mut segments = Vec::with_capacity(raw.len());
        for (index, part) in raw.iter().enumerate() {
            let last = index + 1 == raw.len();
            if part.is_empty() && !last {
                return Err(PathError::EmptySegment.into());
            }
            segments.push(Segment::parse(part, last)?);
        }
        let template = Self { text: text.to_owned(), segments };
        let mut names: Vec<&str> = template.names().collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(TemplateError::DuplicateName);
        }
        Ok(template)
    }
}

impl TryFrom<String> for PathTemplate {
    type Error = TemplateError;

    fn try_from(text: String) -> Result<Self, TemplateError> {
        text.parse()
    }
}

impl From<PathTemplate> for String {
    fn from(template: PathTemplate) -> Self {
        template.text
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(text: &str, want: Result<&str, TemplateError>) {
        let got = text.parse::<PathTemplate>().map(|t| t.shape());
        assert_eq!(got.as_deref(), want.as_ref().map(|s| *s), "{text}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn templates_have_a_shape_without_names() {
        check("/", Ok("/"));
        check("/pets/{id}", Ok("/pets/{}"));
        check("/files/{name}.json", Ok("/files/{}.json"));
        check("/v1/{op}:cancel", Ok("/v1/{}:cancel"));
        check("/assets/{*rest}", Ok("/assets/{*}"));
        check("/a b/", Ok("/a%20b/"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn broken_templates_say_why() {
        check("pets", Err(PathError::NotAbsolute.into()));
        check("/{id", Err(TemplateError::Brace));
        check("/id}", Err(TemplateError::Brace));
        check("/{a}{b}", Err(TemplateError::TwoParameters));
        check("/{}", Err(TemplateError::Name));
        check("/{a}/{a}", Err(TemplateError::DuplicateName));
        check("/{*rest}/more", Err(TemplateError::RestPlace));
        check("/a//b", Err(PathError::EmptySegment.into()));
        check("/../a", Err(PathError::DotSegment.into()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_template_stands_below_a_base() {
        let below = |t: &str, base: &str| t.parse::<PathTemplate>().unwrap().below(base).unwrap().to_string();
        assert_eq!(below("/{id}", "/pets/v1"), "/pets/v1/{id}");
        assert_eq!(below("/", "/pets/v1"), "/pets/v1");
        assert_eq!(below("/", "/"), "/");
        assert_eq!(below("/a", ""), "/a");
    }
}
