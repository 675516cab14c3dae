//! Names of header fields as in other gateways: `$http_x_api_key`, `X-*`, `+X-Name`, `:authority`.

/// What to write instead of the name of a field that is refused.
pub(in crate::decode) fn fix(name: &str) -> String {
    let known = match name.to_ascii_lowercase().as_str() {
        "host" | ":authority" => "remove it: hosts are set in `hosts`, and an upstream gets the host of its URL",
        ":method" => "remove it: methods are set in `methods` of a route",
        ":path" => "remove it: paths are set in `path` of a route",
        _ if is_plain(name) => "remove it: it belongs to one connection, or the gateway sets it",
        _ => "use letters, digits and hyphens",
    };
    match name.split_once(':') {
        Some((name, _)) if is_plain(name) => format!("write only the name, `{name}`"),
        _ => known.to_owned(),
    }
}

/// What to write instead of a valid name that was probably not meant, because no client sends it.
pub(in crate::decode) fn unmeant(name: &str) -> Option<String> {
    let variable =
        ["$http_", "$sent_http_", "$upstream_http_", "HTTP_"].iter().find_map(|from| name.strip_prefix(from));
    let bare = name.trim_start_matches(['+', '-', '!', '$', '~']);
    if is_no_name(name) {
        return Some("remove the key or item: this word is read as the name of a field".to_owned());
    }
    match variable.map(|name| name.replace('_', "-")) {
        Some(written) if is_plain(&written) => Some(format!("write `{written}`")),
        _ if name.contains('*') => Some("write the whole name of each field: it is no pattern".to_owned()),
        _ if bare.len() < name.len() && is_plain(bare) => Some(format!("write `{bare}`")),
        _ => None,
    }
}

/// Whether a name is a word that means no name elsewhere.
pub(in crate::decode) fn is_no_name(name: &str) -> bool {
    ["none", "null", "false", "nil", "off", "disabled"].contains(&name.to_ascii_lowercase().as_str())
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_gateways_have_the_name_that_was_meant() {
        for (name, meant) in [
            ("$http_x_api_key", "write `x-api-key`"),
            ("HTTP_X_API_KEY", "write `X-API-KEY`"),
            ("X-*", "no pattern"),
            ("*", "no pattern"),
            ("+X-Name", "write `X-Name`"),
            ("-X-Name", "write `X-Name`"),
            ("none", "remove the key or item"),
            ("False", "remove the key or item"),
        ] {
            assert!(unmeant(name).is_some_and(|fix| fix.contains(meant)), "{name}: {:?}", unmeant(name));
        }
        for name in ["X-API-Key", "x_api_key", "X.Y", "a", "x-http_y"] {
            assert_eq!(unmeant(name), None, "{name}");
        }
        for (name, meant) in [
            ("Host", "hosts are set in `hosts`"),
            (":authority", "hosts are set in `hosts`"),
            (":method", "`methods` of a route"),
            ("X-Name: ", "write only the name, `X-Name`"),
            ("Connection", "belongs to one connection"),
            ("a b", "letters, digits and hyphens"),
        ] {
            assert!(fix(name).contains(meant), "{name}: {}", fix(name));
        }
    }
}
