//! What a file that is not read probably is, by the keys at its root.

/// A kind of file of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Routes or other settings of an API.
    Api,
    Test,
    Fixtures,
    Plans,
}

/// The kind of a file with this text; `None` for other documents, such as those of OpenAPI,
/// and for project files.
pub(super) fn of(text: &str) -> Option<Content> {
    if ["openapi", "swagger", "overlay", "gateway"].iter().any(|key| has_key(text, key)) {
        return None;
    }
    let is_of = |(keys, _): &&(&[&str], Content)| keys.iter().any(|key| has_key(text, key));
    KINDS.iter().find(is_of).map(|(_, kind)| *kind)
}

/// Whether a mapping has a key. In JSON it may be a key below the root, so the project's `format` is required, too.
fn has_key(text: &str, key: &str) -> bool {
    if text.trim_start().starts_with('{') {
        return ["format", key].iter().all(|key| text.contains(&format!("\"{key}\"")));
    }
    text.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
}

const KINDS: &[(&[&str], Content)] = &[
    (&["cases", "invariants"], Content::Test),
    (&["consumers"], Content::Fixtures),
    (&["plans"], Content::Plans),
    (&["routes", "operations", "upstream", "upstreams", "policies", "base", "authn"], Content::Api),
];

/// The size of a file up to which it is examined.
pub(super) const EXAMINED_BYTES_MAX: u64 = 256 << 10;

/// The number of files of a folder that are examined.
pub(super) const EXAMINED_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_recognized_by_its_keys() {
        for (text, kind) in [
            ("format: 1\ncases:\n  - name: a\n", Some(Content::Test)),
            ("{\"format\": 1, \"cases\": []}", Some(Content::Test)),
            ("{\"routes\": []}", None),
            ("consumers:\n", Some(Content::Fixtures)),
            ("routes:\n  - path: /a\n", Some(Content::Api)),
            ("openapi: 3.1.0\nroutes:\n", None),
            ("  routes:\n", None),
            ("routes_of_others: 1\n", None),
            ("# routes:\n", None),
            ("", None),
        ] {
            assert_eq!(of(text), kind, "{text}");
        }
    }
}
