//! Parses a `$ref`: a file, and a place in it.

use std::borrow::Cow;

/// A parsed `$ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference<'t> {
    /// The file, relative to the file with the reference; `None` for the same file.
    pub(super) file: Option<Cow<'t, str>>,
    /// The place in the file.
    pub(super) place: Place<'t>,
}

/// A place in a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'t> {
    /// The path from the root: `#/a/b`, each part decoded. The whole document has no parts.
    Pointer(Vec<Cow<'t, str>>),
    /// `#name`, defined by an `$anchor` in the document. This is not supported.
    Anchor,
}

/// The reason why a `$ref` cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    Url,
    Outside,
    Absolute,
    Separator,
    NoText,
    NoFile(String),
    NoPlace(String),
    Anchor,
    Circular,
    TooLong,
}

impl Broken {
    /// What is wrong, why, and how to fix it.
    pub(super) fn describe(&self, text: &str) -> (String, &'static str, &'static str) {
        let text = short(text);
        match self {
            Self::Url => (
                format!("`{text}` is a URL, and URLs are not fetched"),
                "a project must compile without network access, and always with the same result",
                "save the document in the project folder, and refer to that file",
            ),
            Self::Outside => (
                format!("`{text}` leads outside the folder whose files are read"),
                "only files in the project folder are read; an import reads those in the current folder, or those beside and \
                 below a document that is elsewhere",
                "copy the file into that folder, or run `tollgate import openapi` in a folder that contains all files",
            ),
            Self::Absolute => (
                format!("`{text}` is an absolute path"),
                "a path is relative to the file with the reference, so that a project can be moved",
                "write the path from the file with the reference, such as `../common/ids.yaml`",
            ),
            Self::Separator => (
                format!("`{text}` contains a `\\`"),
                "a reference is part of a URL, in which folders are separated by `/`",
                "write `/` in place of `\\`",
            ),
            Self::NoText => (
                "`$ref` must be a string".to_owned(),
                "a reference consists of a file, a place in it, or both",
                "write a reference such as `#/components/parameters/id` or `common.yaml#/id`",
            ),
            Self::NoFile(reason) => (
                format!("`{text}` cannot be resolved: {reason}"),
                "the path is relative to the file with the reference",
                "correct the reference, or add the file",
            ),
            Self::NoPlace(part) => (
                format!("`{text}` cannot be resolved: `{}` does not exist", short(part)),
                "the document does not contain the referenced place",
                "correct the reference, or add the definition",
            ),
            Self::Anchor => (
                format!("`{text}` refers to an anchor"),
                "anchors are not supported; only paths from the root, `#/...`, are resolved",
                "write the path, such as `#/components/...`",
            ),
            Self::Circular => (
                format!("`{text}` is a circular reference"),
                "references that only refer to each other have no value",
                "replace one of them by the definition",
            ),
            Self::TooLong => (
                format!("`{text}` begins a chain of too many references"),
                "a chain of at most 64 references is resolved",
                "refer to the definition directly",
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

/// The path of a file to which another file refers, below the folder whose files are read.
pub(super) fn beside(file: &str, other: &str) -> Result<String, Broken> {
    if other.starts_with('/') {
        return Err(Broken::Absolute);
    }
    if other.contains('\\') {
        return Err(Broken::Separator);
    }
    if other.contains('\0') {
        return Err(Broken::NoFile("the name of a file has no such character".to_owned()));
    }
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in other.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or(Broken::Outside)?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
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

/// Whether it begins with a scheme of two or more letters (one letter is a Windows drive), or with an authority.
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
        let Place::Pointer(parts) = reference.place else { panic!("{text} is not a pointer") };
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
    fn urls_and_anchors_are_distinguished_from_files() {
        for url in ["https://example.com/a.yaml", "//example.com/a", "urn:x:y#/a", "file:///etc/passwd"] {
            assert_eq!(Reference::parse(url), Err(Broken::Url), "{url}");
        }
        assert_eq!(Reference::parse("#name").unwrap().place, Place::Anchor);
    }

    #[test]
    fn paths_are_relative_to_the_referring_file_and_never_outside() {
        for (file, other, expected) in [
            ("api/openapi.yaml", "common.yaml", Ok("api/common.yaml")),
            ("api/openapi.yaml", "./a//b.yaml", Ok("api/a/b.yaml")),
            ("api/openapi.yaml", "../common.yaml", Ok("common.yaml")),
            ("api/openapi.yaml", "../../common.yaml", Err(Broken::Outside)),
            ("openapi.yaml", "a/../../x.yaml", Err(Broken::Outside)),
            ("openapi.yaml", "/etc/passwd", Err(Broken::Absolute)),
            ("openapi.yaml", "..\\x.yaml", Err(Broken::Separator)),
        ] {
            assert_eq!(beside(file, other), expected.map(str::to_owned), "{file} {other}");
        }
    }
}
