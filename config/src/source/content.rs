//! What a file that is not read probably is, by the keys at its root.

/// A kind of file of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Routes or other settings of an API.
    Api,
    Test,
    Fixtures,
    Plans,
    Policies,
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

/// The same for a file of a folder in which files of other programs are: it has the `format` of a project's files.
pub(super) fn of_format(text: &str) -> Option<Content> {
    if has_key(text, "format") { of(text) } else { None }
}

/// Whether a mapping has a key. In JSON it may be a key below the root, so the project's `format` is required, too.
fn has_key(text: &str, key: &str) -> bool {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with('{') {
        return ["format", key].iter().all(|key| has_flow_key(text, key));
    }
    text.lines().any(|line| begins_with_key(line, key))
}

/// Whether a text begins with a key, which may be in quotes and have blanks behind it.
fn begins_with_key(text: &str, key: &str) -> bool {
    let quote = text.chars().next().filter(|c| ['"', '\''].contains(c));
    let bare = quote.map_or(text, |quote| &text[quote.len_utf8()..]);
    let behind = bare.strip_prefix(key).and_then(|rest| quote.map_or(Some(rest), |quote| rest.strip_prefix(quote)));
    behind.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(':'))
}

/// Whether a key is somewhere in a text with braces.
fn has_flow_key(text: &str, key: &str) -> bool {
    text.match_indices(key).any(|(at, _)| {
        let before = text[..at].chars().next_back().unwrap_or(' ');
        let start = if ['"', '\''].contains(&before) { at - 1 } else { at };
        let is_first = start < at || before.is_whitespace() || ['{', ','].contains(&before);
        is_first && begins_with_key(&text[start..], key)
    })
}

const KINDS: &[(&[&str], Content)] = &[
    (&["cases", "invariants"], Content::Test),
    (&["consumers"], Content::Fixtures),
    (&["plans"], Content::Plans),
    (&["routes", "operations", "upstream", "upstreams", "base", "authn"], Content::Api),
    (&["policies"], Content::Policies),
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
            ("format: 1\n\"cases\": []\n", Some(Content::Test)),
            ("'cases' : []\n", Some(Content::Test)),
            ("cases : []\n", Some(Content::Test)),
            ("\u{feff}cases: []\n", Some(Content::Test)),
            ("{format: 1, cases: []}", Some(Content::Test)),
            ("{\n  \"format\" : 1,\n  \"cases\" : []\n}", Some(Content::Test)),
            ("{format: 1, showcases: []}", None),
            ("'cases\": []\n", None),
            ("policies:\n", Some(Content::Policies)),
            ("policies:\nroutes:\n", Some(Content::Api)),
            ("", None),
        ] {
            assert_eq!(of(text), kind, "{text}");
        }
    }
}
