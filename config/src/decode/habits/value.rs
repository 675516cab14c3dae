//! Values with variables of other gateways (`$TOKEN`, `{{ token }}`, `%REQ(X)%`), and conditions that are patterns there.

/// The first variable of another gateway.
pub(in crate::decode) fn unresolved(text: &str) -> Option<&str> {
    dollar(text).or_else(|| between(text, "{{", "}}")).or_else(|| between(text, "%REQ(", "%"))
}

/// `$NAME` or `$(name)`; references in braces are parsed elsewhere.
fn dollar(text: &str) -> Option<&str> {
    text.match_indices('$').find_map(|(at, _)| {
        let rest = &text[at + 1..];
        let end = match rest.strip_prefix('(') {
            Some(inside) => inside.find(')')? + 2,
            None => rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        let is_name =
            end >= NAME_BYTES_MIN && rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '(');
        is_name.then(|| &text[at..at + 1 + end])
    })
}

/// Whether a value that is compared with that of a request is written as a pattern, and what to write instead.
pub(crate) fn pattern(text: &str) -> Option<&'static str> {
    let is_regex = text.starts_with(['^', '~'])
        || (text.len() > 1 && text.ends_with('$'))
        || [".*", ".+", "\\d", "\\w", "[0-9]", "[a-z]", "(?"].iter().any(|part| text.contains(part));
    match text {
        "*" | ".*" | ".+" | "**" => Some("write `present` for any value"),
        "!" | "!*" | "^$" => Some("write `absent` for no value"),
        _ if is_regex => Some("write each value as an item of a list: values are compared as a whole"),
        _ if text.contains('|') && !text.contains(' ') => {
            Some("write each value as an item of a list, such as `[a, b]`")
        }
        _ => None,
    }
}

fn between<'t>(text: &'t str, open: &str, close: &str) -> Option<&'t str> {
    let start = text.find(open)?;
    let end = start + open.len() + text[start + open.len()..].find(close)?;
    Some(&text[start..end + close.len()])
}

/// Shorter names are probably prices or parts of other texts.
const NAME_BYTES_MIN: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_other_gateways_are_found() {
        for text in ["*", ".*", "^v2", "~v2", "v2$", "2.*", "\\d+", "[0-9]+", "a|b"] {
            assert!(pattern(text).is_some(), "{text}");
        }
        for text in ["", "2", "v2", "text/*", "*/*", "a.b", "application/json", "$", "a b | c", "%2A", "(a)"] {
            assert_eq!(pattern(text), None, "{text}");
        }
    }

    #[test]
    fn variables_of_other_gateways_are_found() {
        for (text, found) in [
            ("Bearer $TOKEN", "$TOKEN"),
            ("$http_host", "$http_host"),
            ("a $(headers.x) b", "$(headers.x)"),
            ("{{ token }}", "{{ token }}"),
            ("%REQ(X-Id)%", "%REQ(X-Id)%"),
        ] {
            assert_eq!(unresolved(text), Some(found), "{text}");
        }
        for text in ["", "Bearer ${secret.TOKEN}", "$5", "a$b", "100%", "{a}", "$", "{{", "%REQ(", "$(", "é$é"] {
            assert_eq!(unresolved(text), None, "{text}");
        }
    }
}
