//! Values of header fields with variables of other gateways: `$TOKEN`, `$http_host`, `{{ token }}`, `%REQ(X)%`.

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
