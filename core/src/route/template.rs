//! Path templates: `/pets/{id}`, `/pets/{id:int}`, `/files/{name}.json`, `/assets/{*rest}`.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::parameter::ParameterType;
use super::path::{CanonicalPath, PathError, encode_into};
use crate::codec::{self, Grammar};

/// A parsed path template; compares and prints as the text it was written as.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathTemplate {
    text: String,
    /// The text without types, if it has some.
    untyped: Option<String>,
    segments: Vec<Segment>,
}

/// One segment of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// Exactly this decoded text.
    Literal(String),
    /// One segment: a value of the type between a fixed beginning and end (either may be empty).
    Parameter {
        /// The beginning of the segment.
        prefix: String,
        /// The parameter's name.
        name: String,
        /// The values it matches.
        of: ParameterType,
        /// The end of the segment.
        suffix: String,
    },
    /// The rest of the path, of one segment or more; always last.
    Rest {
        /// The parameter's name.
        name: String,
    },
}

/// How specific a segment is within its place of a path; the smallest is tried first.
///
/// A literal, then the types with the narrower before the wider, then any text; among parameters of one type the one
/// with more fixed text; the rest of the path last. A segment is never after another that matches all its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precedence {
    /// One text.
    Literal,
    /// One of so many values.
    OneOf {
        /// How many.
        values: usize,
        /// Bytes of fixed text around the value.
        fixed: Reverse<usize>,
    },
    /// A UUID.
    Uuid {
        /// Bytes of fixed text around the value.
        fixed: Reverse<usize>,
    },
    /// An integer.
    Int {
        /// Bytes of fixed text around the value.
        fixed: Reverse<usize>,
    },
    /// Any text.
    Any {
        /// Bytes of fixed text around the value.
        fixed: Reverse<usize>,
    },
    /// The rest of the path.
    Rest,
}

/// Why a text is not a path template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// The literal parts violate the rule for paths.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An unmatched or nested brace.
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
    /// The text after the colon of a parameter is not a type.
    #[error("a parameter's type is `int`, `uuid`, `bool`, or values as in `(open|closed)`")]
    Type,
    /// The same value twice in one list.
    #[error("a parameter's list has the same value twice")]
    DuplicateValue,
    /// A list of more than [`crate::bounds::ONE_OF_MAX`] values.
    #[error("a parameter's list has too many values")]
    TooManyValues,
    /// `{*rest}` that is not the whole last segment.
    #[error("`{{*name}}` stands alone in the last segment")]
    RestPlace,
    /// A `;`.
    #[error("`;` begins matrix parameters, which are no part of a template; write the character `;` as `%3B`")]
    Parameters,
}

impl PathTemplate {
    /// The segments, in order.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The template as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The template without the types of its parameters: the value of `http.route`.
    #[must_use]
    pub fn label(&self) -> &str {
        self.untyped.as_deref().unwrap_or(&self.text)
    }

    /// The template without its parameter names: two templates of one shape match the same paths.
    #[must_use]
    pub fn shape(&self) -> String {
        let mut out = String::with_capacity(self.text.len());
        for segment in &self.segments {
            out.push('/');
            match segment {
                Segment::Literal(text) => encode_into(&mut out, text),
                Segment::Parameter { prefix, of, suffix, .. } => {
                    encode_into(&mut out, prefix);
                    push_type(&mut out, of);
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
        let mut out = String::with_capacity(self.text.len());
        for segment in &self.segments {
            out.push('/');
            encode_into(&mut out, &segment.example());
        }
        out
    }

    /// This template below a base such as `/pets/v1` (itself a template without parameters).
    ///
    /// # Errors
    /// If the result is not a template.
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
    /// How specific it is.
    #[must_use]
    pub fn precedence(&self) -> Precedence {
        let (of, fixed) = match self {
            Self::Literal(_) => return Precedence::Literal,
            Self::Rest { .. } => return Precedence::Rest,
            Self::Parameter { prefix, of, suffix, .. } => (of, Reverse(prefix.len() + suffix.len())),
        };
        match of {
            ParameterType::OneOf(values) => Precedence::OneOf { values: values.len(), fixed },
            ParameterType::Uuid => Precedence::Uuid { fixed },
            ParameterType::Int => Precedence::Int { fixed },
            ParameterType::Any => Precedence::Any { fixed },
        }
    }

    /// The parameter's value in a decoded segment of a path, if this segment matches it; a rest matches all.
    #[must_use]
    pub fn value_of<'t>(&self, text: &'t str) -> Option<&'t str> {
        match self {
            Self::Literal(literal) => (literal == text).then_some(""),
            Self::Parameter { prefix, of, suffix, .. } => between(text, prefix, of, suffix),
            Self::Rest { .. } => Some(text),
        }
    }

    /// A decoded segment that it matches.
    #[must_use]
    pub fn example(&self) -> String {
        match self {
            Self::Literal(text) => text.clone(),
            Self::Parameter { prefix, of, suffix, .. } => format!("{prefix}{}{suffix}", of.example()),
            Self::Rest { .. } => "a".to_owned(),
        }
    }

    fn parse(raw: &str, last: bool) -> Result<Self, TemplateError> {
        // Most names are one of these, and a bundle has thousands.
        if is_plain(raw) {
            return Ok(Self::Literal(raw.to_owned()));
        }
        if let Some(name) = raw.strip_prefix('{').and_then(|raw| raw.strip_suffix('}')).filter(|name| is_name(name)) {
            let (prefix, suffix) = (String::new(), String::new());
            return Ok(Self::Parameter { prefix, name: name.to_owned(), of: ParameterType::Any, suffix });
        }
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
        let (name, of) = match name.split_once(':') {
            Some((name, of)) => (name, ParameterType::parse(of)?),
            None => (name, ParameterType::Any),
        };
        Ok(Self::Parameter { prefix: literal(prefix)?, name: parameter(name)?, of, suffix: literal(suffix)? })
    }
}

/// The value between a fixed beginning and end, if the type takes it.
pub(super) fn between<'t>(text: &'t str, prefix: &str, of: &ParameterType, suffix: &str) -> Option<&'t str> {
    let value = text.strip_prefix(prefix)?.strip_suffix(suffix)?;
    of.takes(value).then_some(value)
}

fn push_type(out: &mut String, of: &ParameterType) {
    match of {
        ParameterType::Any => out.push_str("{}"),
        ParameterType::Int => out.push_str("{:int}"),
        ParameterType::Uuid => out.push_str("{:uuid}"),
        ParameterType::OneOf(values) => {
            out.push_str("{:(");
            for (place, value) in values.iter().enumerate() {
                if place > 0 {
                    out.push('|');
                }
                encode_into(out, value);
            }
            out.push_str(")}");
        }
    }
}

/// The text without the types after colons in braces, if it has some.
fn without_types(text: &str, segments: &[Segment]) -> Option<String> {
    let is_typed = |segment: &Segment| match segment {
        Segment::Parameter { of, .. } => *of != ParameterType::Any,
        Segment::Literal(_) | Segment::Rest { .. } => false,
    };
    if !segments.iter().any(is_typed) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    for (place, piece) in text.split('{').enumerate() {
        let Some((inside, behind)) = piece.split_once('}').filter(|_| place > 0) else {
            out.push_str(piece);
            continue;
        };
        let name = inside.split_once(':').map_or(inside, |(name, _)| name);
        out.extend(["{", name, "}", behind]);
    }
    Some(out)
}

fn parameter(name: &str) -> Result<String, TemplateError> {
    is_name(name).then(|| name.to_owned()).ok_or(TemplateError::Name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// Whether the text is the same in encoded and decoded form at any position of a segment.
fn is_plain(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// The decoded form of a literal, which must be a segment that a request can contain.
fn literal(raw: &str) -> Result<String, TemplateError> {
    if is_plain(raw) {
        return Ok(raw.to_owned());
    }
    decoded(raw)
}

/// The decoded form of one segment without matrix parameters.
pub(super) fn decoded(raw: &str) -> Result<String, TemplateError> {
    let path = CanonicalPath::parse(format!("/{raw}").as_bytes())?;
    if path.has_parameters() {
        return Err(TemplateError::Parameters);
    }
    Ok(path.segments().next().unwrap_or_default().to_owned())
}

impl FromStr for PathTemplate {
    type Err = TemplateError;

    fn from_str(text: &str) -> Result<Self, TemplateError> {
        let rest = text.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        if text.len() > crate::bounds::TARGET_BYTES_MAX {
            return Err(PathError::TooLong.into());
        }
        let count = 1 + rest.bytes().filter(|byte| *byte == b'/').count();
        if count > crate::bounds::PATH_SEGMENTS_MAX {
            return Err(PathError::TooManySegments.into());
        }
        let mut segments = Vec::with_capacity(count);
        for (index, part) in rest.split('/').enumerate() {
            let last = index + 1 == count;
            if part.is_empty() && !last {
                return Err(PathError::EmptySegment.into());
            }
            segments.push(Segment::parse(part, last)?);
        }
        let template = Self { text: text.to_owned(), untyped: without_types(text, &segments), segments };
        // There are few, so comparing each pair takes less time than sorting them.
        let is_twice = |(place, name)| template.names().skip(place + 1).any(|other| other == name);
        if template.names().enumerate().any(is_twice) {
            return Err(TemplateError::DuplicateName);
        }
        Ok(template)
    }
}

impl Grammar for PathTemplate {
    const NAME: &str = "path-template";
    const VERSION: u16 = 1;
}

codec::as_text!(PathTemplate, Self { text: String::new(), untyped: None, segments: Vec::new() });

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
        check("/a%3Bb", Ok("/a%3Bb"));
        check("/pets/{id:int}", Ok("/pets/{:int}"));
        check("/pets/{id:uuid}.json", Ok("/pets/{:uuid}.json"));
        check("/jobs/v{on:bool}", Ok("/jobs/v{:(false|true)}"));
        check("/jobs/{state:(open|half%20open|closed)}", Ok("/jobs/{:(closed|half%20open|open)}"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_label_has_no_types() {
        let label = |text: &str| text.parse::<PathTemplate>().unwrap().label().to_owned();
        assert_eq!(label("/pets/{id}"), "/pets/{id}");
        assert_eq!(label("/{a:int}/x{b:(p|q)}y/{c}:z/{*rest}"), "/{a}/x{b}y/{c}:z/{*rest}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_narrower_segment_is_tried_first() {
        let order = [
            "a",
            "{x:(a)}",
            "b{x:bool}",
            "{x:bool}",
            "{x:(a|b|c)}",
            "{x:uuid}.json",
            "{x:uuid}",
            "v{x:int}",
            "{x:int}",
            "{x}.json",
            "v{x}",
            "{x}",
            "{*x}",
        ];
        let precedence = |text: &&str| {
            let template: PathTemplate = format!("/{text}").parse().unwrap();
            template.segments()[0].precedence()
        };
        assert!(order.iter().map(precedence).is_sorted_by(|a, b| a < b));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_example_is_taken() {
        for text in ["/", "/a b/{x}.json/{y:int}", "/{x:uuid}/a{y:(p%7Cq|r)}b/{*z}"] {
            let template: PathTemplate = text.parse().unwrap();
            let path = CanonicalPath::parse(template.witness().as_bytes()).unwrap();
            let taken = |(segment, text): (&Segment, &str)| segment.value_of(text).is_some();
            assert!(template.segments().iter().zip(path.segments()).all(taken), "{text}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn broken_templates_say_why() {
        check("pets", Err(PathError::NotAbsolute.into()));
        check("/{id", Err(TemplateError::Brace));
        check("/id}", Err(TemplateError::Brace));
        check("/{a}{b}", Err(TemplateError::TwoParameters));
        check("/{}", Err(TemplateError::Name));
        check("/{a}/{a}", Err(TemplateError::DuplicateName));
        check("/{a:integer}", Err(TemplateError::Type));
        check("/{:int}", Err(TemplateError::Name));
        check("/{a:(x/y)}", Err(TemplateError::Brace));
        check("/{*rest}/more", Err(TemplateError::RestPlace));
        check("/a//b", Err(PathError::EmptySegment.into()));
        check("/../a", Err(PathError::DotSegment.into()));
        check("/a;b", Err(TemplateError::Parameters));
        check("/{a};v=1", Err(TemplateError::Parameters));
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
