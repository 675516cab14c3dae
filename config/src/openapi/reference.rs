//! Parses a `$ref`: a file, and a place in it.

use std::borrow::Cow;

/// A parsed `$ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference<'t> {
    /// The file, relative to the one that refers to it; `None` for the same file.
    pub(super) file: Option<Cow<'t, str>>,
    /// The place in the file.
    pub(super) place: Place<'t>,
}

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'t> {
    /// The path from the root: `#/a/b`, each part decoded. The whole document has no parts.
    Pointer(Vec<Cow<'t, str>>),
    /// `#name`, which an `$anchor` in the document defines.
    Anchor,
}

/// Why a `$ref` is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Url,
    Outside,
    NoText,
    NoFile(String),
    NoPlace(String),
    Anchor,
    Circular,
    TooLong,
}

impl Broken {
    /// What is wrong, why, and how to fix it.
    pub(super) fn told(&self, text: &str) -> (String, &'static str, &'static str) {
        let text = short(text);
        match self {
            Self::Url => (
                format!("`{text}` is a URL, which is not fetched"),
                "a project compiles without a network, and means the same tomorrow",
                "save what it refers to in the project folder, and refer to that file",
            ),
            Self::Outside => (
                format!("`{text}` leads outside the project folder"),
                "nothing outside the project folder is read",
                "copy the file into the project folder",
            ),
            Self::NoText => (
                "a `$ref` is not text".to_owned(),
                "a reference is a file, a place in it, or both",
                "write it as in `#/components/parameters/id` or `common.yaml#/id`",
            ),
            Self::NoFile(reason) => (
                format!("`{text}` leads nowhere: {reason}"),
                "the file is looked for beside the file that refers to it",
                "correct the reference, or add the file",
            ),
            Self::NoPlace(part) => (
                format!("`{text}` leads nowhere: there is no `{}`", short(part)),
                "what it refers to is not in the document",
                "correct the reference, or define what it refers to",
            ),
            Self::Anchor => (
                format!("`{text}` refers to an anchor"),
                "only places that are written as a path from the root, `#/...`, are looked up",
                "write the path: `#/components/...`",
            ),
            Self::Circular => (
                format!("`{text}` leads back to itself"),
                "references that only refer to each other never arrive at anything",
                "let one of them say what is meant",
            ),
            Self::TooLong => (
                format!("`{text}` leads from reference to reference too often"),
                "a chain of references is followed 64 times",
                "refer to what is meant directly",
            ),
        }
    }
}

impl<'t> Reference<'t> {
    pub(super) fn parse(text: &'t str) -> Result<Self, Broken> {
        let (file, fragment) = text.split_once('#').unwrap_or((text, ""));
        if is_url(file) {
            return Err(Broken::Url);
        }
        let file = (!file.is_empty()).then(|| percent_decoded(file));
        let fragment = percent_decoded(fragment);
        let place = match fragment.strip_prefix('/') {
            Some(_) => Place::Pointer(parts(&fragment)),
            None if fragment.is_empty() => Place::Pointer(Vec::new()),
            None => Place::Anchor,
        };
        Ok(Self { file, place })
    }
}

/// The name of a file that another one refers to; `None` if it is outside the root folder of names.
pub(super) fn beside(file: &str, other: &str) -> Option<String> {
    if other.starts_with('/') || other.contains(['\\', '\0']) {
        return None;
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in other.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The parts of a JSON pointer (RFC 6901).
fn parts<'t>(pointer: &Cow<'t, str>) -> Vec<Cow<'t, str>> {
    let unescaped = |part: &str| part.replace("~1", "/").replace("~0", "~");
    match pointer {
        Cow::Borrowed(pointer) => pointer
            .split('/')
            .skip(1)
            .map(|part| if part.contains('~') { Cow::Owned(unescaped(part)) } else { Cow::Borrowed(part) })
            .collect(),
        Cow::Owned(pointer) => pointer.split('/').skip(1).map(|part| Cow::Owned(unescaped(part))).collect(),
    }
}

/// A scheme of two letters or more (one letter is a drive), or an authority.
fn is_url(file: &str) -> bool {
    let scheme = file.split_once(':').map(|(scheme, _)| scheme);
    let is_scheme = |scheme: &str| {
        scheme.len() >= 2
            && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    file.starts_with("//") || scheme.is_some_and(is_scheme)
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        let code = code.filter(|_| byte == b'%').and_then(|pair| u8::from_str_radix(pair, 16).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(out).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The text, or its beginning if it is too long to print.
pub(super) fn short(text: &str) -> Cow<'_, str> {
    if text.len() <= SHOWN_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}...", &text[..text.floor_char_boundary(SHOWN_BYTES_MAX)]))
}

/// The maximum length of a quoted text of a document.
const SHOWN_BYTES_MAX: usize = 120;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, file: Option<&str>, pointer: &[&str]) {
        let reference = Reference::parse(text).unwrap();
        let Place::Pointer(parts) = reference.place else { panic!("{text} is no pointer") };
        assert_eq!((reference.file.as_deref(), parts), (file, pointer.iter().map(|p| Cow::Borrowed(*p)).collect()));
    }

    #[test]
    fn references_name_a_file_a_place_or_both() {
        check("#/components/parameters/id", None, &["components", "parameters", "id"]);
        check("#/paths/~1pets~1%7Bid%7D/get", None, &["paths", "/pets/{id}", "get"]);
        check("common.yaml", Some("common.yaml"), &[]);
        check("../a%20b.yaml#/x~0y", Some("../a b.yaml"), &["x~y"]);
        check("#", None, &[]);
        check("%zz.yaml#/%", Some("%zz.yaml"), &["%"]);
    }

    #[test]
    fn urls_and_anchors_are_told_apart_from_files() {
        for url in ["https://example.com/a.yaml", "//example.com/a", "urn:x:y#/a", "file:///etc/passwd"] {
            assert_eq!(Reference::parse(url), Err(Broken::Url), "{url}");
        }
        assert_eq!(Reference::parse("#name").unwrap().place, Place::Anchor);
    }

    #[test]
    fn files_are_beside_the_file_that_names_them_and_never_outside() {
        for (file, other, expected) in [
            ("api/openapi.yaml", "common.yaml", Some("api/common.yaml")),
            ("api/openapi.yaml", "./a//b.yaml", Some("api/a/b.yaml")),
            ("api/openapi.yaml", "../common.yaml", Some("common.yaml")),
            ("api/openapi.yaml", "../../common.yaml", None),
            ("openapi.yaml", "a/../../x.yaml", None),
            ("openapi.yaml", "/etc/passwd", None),
            ("openapi.yaml", "..\\x.yaml", None),
        ] {
            assert_eq!(beside(file, other).as_deref(), expected, "{file} {other}");
        }
    }
}
