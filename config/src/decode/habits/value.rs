//! Values with variables of other gateways (`$TOKEN`, `{{ token }}`, `%REQ(X)%`), and conditions that are patterns there.

/// The first variable of another gateway.
pub(in crate::decode) fn unresolved(text: &str) -> Option<&str> {
    let found = dollar(text).or_else(|| between(text, "{{", "}}")).or_else(|| between(text, "%REQ(", "%"));
    let found =
        found.or_else(|| between(text, "<%", "%>")).or_else(|| BRACED.iter().find_map(|open| between(text, open, "}")));
    let is_name =
        |inside: &str| !inside.is_empty() && inside.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let whole = |open, close| text.strip_prefix(open)?.strip_suffix(close);
    let is_whole = whole("{", "}").is_some_and(is_name) || whole("%", "%").is_some_and(is_name);
    found.or(is_whole.then_some(text))
}

/// The beginnings of variables of Caddy, Kong and others.
const BRACED: &[&str] = &[
    "{$",
    "{http.",
    "{env.",
    "{env:",
    "{request.",
    "{vars.",
    "{vault://",
    "{vault:",
    "{file.",
    "{file:",
    "{secret:",
    "{secrets.",
];

/// Whether a scope is written as a pattern or as several scopes.
pub(in crate::decode) fn is_scope_pattern(text: &str) -> bool {
    text.contains(['*', '|', ',']) || text.starts_with(['!', '-', '+'])
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

/// What to write instead of a value that is compared with that of a request, but is written as a pattern.
pub(crate) fn pattern(text: &str) -> Option<String> {
    let is_regex = text.starts_with(['^', '~'])
        || (text.len() > 1 && text.ends_with('$'))
        || [".*", ".+", "\\d", "\\w", "[0-9]", "[a-z]", "(?"].iter().any(|part| text.contains(part))
        || is_slashed(text)
        || (text.len() > 1 && (text.starts_with('*') || text.ends_with('*')) && !text.contains('/'));
    let one = "write each value as an item of a list: values are compared as a whole";
    match text {
        "*" | ".*" | ".+" | "**" => Some("write `present` for any value".to_owned()),
        "!" | "!*" | "^$" => Some("write `absent` for no value".to_owned()),
        _ if is_regex => Some(one.to_owned()),
        _ if text.contains('|') && !text.contains(' ') => Some(list(text, '|').unwrap_or_else(|| one.to_owned())),
        _ => None,
    }
}

/// What to write instead of a single value that has another meaning elsewhere; in a list it is what is compared.
pub(crate) fn single(text: &str) -> Option<String> {
    let word: String = text.chars().filter(|c| c.is_ascii_alphabetic()).collect::<String>().to_ascii_lowercase();
    let as_value = |fix: &str| Some(format!("{fix}, or `[{}]` for this value", serde_json::Value::from(text)));
    match word.as_str() {
        "present" if text != "present" => as_value("write `present` for any value"),
        "absent" if text != "absent" => as_value("write `absent` for no value"),
        "exists" | "exist" | "isset" | "defined" | "notempty" | "notnull" | "isnotnull" | "nonempty" => {
            as_value("write `present` for any value")
        }
        "missing" | "notexists" | "notexist" | "notset" | "unset" | "undefined" | "isnull" | "notpresent" => {
            as_value("write `absent` for no value")
        }
        _ if ["==", ">", "<", "=~", "~="].iter().any(|sign| text.starts_with(sign)) => {
            as_value("write the value alone, because values are compared for equality")
        }
        _ if text.len() > 1 && (text.starts_with('!') || text.starts_with("not ")) => {
            as_value("there is no negation: write the route for this value, and a second route without the condition")
        }
        _ => list(text, ',').and_then(|fix| as_value(&fix)),
    }
}

/// Why a single value of a field is not what clients usually send, and what to write instead.
pub(crate) fn part_of_field(field: &str, value: &str) -> Option<(&'static str, String)> {
    let quoted = serde_json::Value::from(value);
    match field {
        "accept" | "accept-language" | "accept-encoding" | "accept-charset" if !value.contains([',', ';', '*']) => {
            Some((
                "values are compared as a whole, and clients send several with weights, such as `a, b;q=0.8`",
                format!("write `present`, or `[{quoted}]` for exactly this value"),
            ))
        }
        "cookie" | "user-agent" => Some((
            "values are compared as a whole, and clients send more than this in the field",
            format!("write `present`, or `[{quoted}]` for exactly this value"),
        )),
        "content-type" if !value.contains(';') => Some((
            "values are compared as a whole, and clients may add parameters",
            format!(
                "write the list `[{quoted}, {}]`, or `[{quoted}]`",
                serde_json::Value::from(format!("{value}; charset=utf-8"))
            ),
        )),
        "accept" | "accept-language" | "accept-encoding" | "accept-charset" | "date" => None,
        // Clients send such a value if they write the same list, in the same order.
        _ => list(&value.replace(", ", ","), ',').filter(|_| value.contains(", ")).map(|fix| {
            (
                "values are compared as a whole, and one of several values is a list",
                format!("{fix}, or `[{quoted}]` for this value"),
            )
        }),
    }
}

/// `/v2/` and `/v2/i`, regular expressions of JavaScript and others.
fn is_slashed(text: &str) -> bool {
    let inner = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/'));
    inner.is_some_and(|(inner, flags)| {
        !inner.is_empty() && !inner.contains('/') && flags.bytes().all(|b| b"gimsuy".contains(&b))
    })
}

/// The list of the values between separators.
fn list(text: &str, separator: char) -> Option<String> {
    let values: Vec<&str> = text.split(separator).collect();
    let is_value =
        |value: &&str| !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let quoted =
        || values.iter().map(|value| serde_json::Value::from(*value).to_string()).collect::<Vec<_>>().join(", ");
    (values.len() > 1 && values.iter().all(is_value)).then(|| format!("write the list `[{}]`", quoted()))
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
        for text in ["*", "v2*", "*v2", ".*", "^v2", "~v2", "v2$", "2.*", "\\d+", "[0-9]+", "a|b"] {
            assert!(pattern(text).is_some(), "{text}");
        }
        for text in ["/v2/", "/^v2/i", "/v[0-9]/"] {
            assert!(pattern(text).is_some(), "{text}");
        }
        assert_eq!(pattern("a|b"), Some("write the list `[\"a\", \"b\"]`".to_owned()));
        for text in ["/a", "/a/b/", "a/b", "//", "/"] {
            assert_eq!(pattern(text), None, "{text}");
        }
        for text in ["", "2", "v2", "text/*", "*/*", "a.b", "application/json", "$", "a b | c", "%2A", "(a)"] {
            assert_eq!(pattern(text), None, "{text}");
        }
    }

    #[test]
    fn single_values_of_another_meaning_are_found() {
        for (text, meant) in [
            ("exists", "write `present` for any value, or `[\"exists\"]`"),
            ("not-present", "write `absent` for no value, or `[\"not-present\"]`"),
            ("!foo", "there is no negation"),
            ("Present", "write `present` for any value"),
            (">=2", "write the value alone"),
            ("a,b", "write the list `[\"a\", \"b\"]`, or `[\"a,b\"]`"),
        ] {
            assert!(single(text).is_some_and(|fix| fix.contains(meant)), "{text}: {:?}", single(text));
        }
        for text in ["", "a", "any", "none", "gzip, br", "a,", "!", "nothing", "text/html"] {
            assert_eq!(single(text), None, "{text}");
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
            ("a {http.request.host}", "{http.request.host}"),
            ("{$.request.header.x}", "{$.request.header.x}"),
            ("<% x %>", "<% x %>"),
            ("Bearer {vault://env/x}", "{vault://env/x}"),
            ("a {file.secret.txt}", "{file.secret.txt}"),
            ("{token}", "{token}"),
            ("%TOKEN%", "%TOKEN%"),
        ] {
            assert_eq!(unresolved(text), Some(found), "{text}");
        }
        for text in [
            "",
            "Bearer ${secret.TOKEN}",
            "$5",
            "a$b",
            "100%",
            "{a b}",
            "{}",
            "50%-60%",
            "$",
            "{{",
            "%REQ(",
            "$(",
            "é$é",
        ] {
            assert_eq!(unresolved(text), None, "{text}");
        }
    }
}
