//! The field `Forwarded` (RFC 7239, section 4).

use super::hop::Hop;

/// What one proxy says about the request that it received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Who sent it.
    pub(super) hop: Hop,
    /// The host that it was for.
    pub(super) host: Option<String>,
    /// Whether it was encrypted.
    pub(super) https: Option<bool>,
}

/// The elements of one line, in order; `None` if the line does not follow the grammar: then it is unclear where an
/// element begins, and an unclosed quote of the client could hide what a proxy added.
pub(super) fn elements(line: &str) -> Option<Vec<Element>> {
    let mut rest = line;
    let mut elements = Vec::new();
    loop {
        let (element, after) = element(rest)?;
        elements.extend(element);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(elements),
        }
    }
}

/// One element, none if it is empty (RFC 9110, section 5.6.1), and the text after it.
fn element(text: &str) -> Option<(Option<Element>, &str)> {
    let (mut hop, mut host, mut https) = (None, None, None);
    let mut rest = spaced(text);
    if rest.is_empty() || rest.starts_with(',') {
        return Some((None, rest));
    }
    loop {
        let (name, after) = token(rest)?;
        let (value, after) = value(after.strip_prefix('=')?)?;
        // A parameter is there once (section 4).
        let repeated = match name.to_ascii_lowercase().as_str() {
            "for" => hop.replace(node(&value)).is_some(),
            "host" => host.replace(value).is_some(),
            "proto" => https.replace(value).is_some(),
            _ => false,
        };
        if repeated {
            return None;
        }
        rest = spaced(after);
        match rest.strip_prefix(';') {
            Some(next) => rest = spaced(next),
            None => break,
        }
    }
    let https = https.and_then(|scheme| is_https(&scheme));
    Some((Some(Element { hop: hop.unwrap_or(Hop(None)), host, https }), rest))
}

/// Whether a scheme is `https`; `None` if it is no scheme of HTTP.
pub(super) fn is_https(scheme: &str) -> Option<bool> {
    if scheme.eq_ignore_ascii_case("https") {
        return Some(true);
    }
    scheme.eq_ignore_ascii_case("http").then_some(false)
}

/// A node (section 6): an address with a port or without; an IPv6 address is in brackets.
fn node(text: &str) -> Hop {
    if text.contains(':') && !text.starts_with('[') && text.matches(':').count() > 1 {
        return Hop(None);
    }
    // A port may be obfuscated, too (section 6.2).
    let (address, port) = text.rsplit_once(':').filter(|(_, port)| !port.contains(']')).unwrap_or((text, ""));
    if port.starts_with('_') { Hop::parse(address) } else { Hop::parse(text) }
}

fn spaced(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// RFC 9110, section 5.6.2.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_in = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let end = text.bytes().position(|b| !is_in(b)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A token or a quoted string (RFC 9110, section 5.6.4), and the text after it.
///
/// Some proxies write addresses with a port without quotes, so a token may contain `:`, `[` and `]` here.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ';', ' ', '\t', '"']).unwrap_or(text.len());
        let (value, rest) = text.split_at(end);
        return (!value.is_empty() && !rest.starts_with('"')).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(line: &str, want: Option<&[&str]>) {
        let hops = elements(line).map(|all| all.iter().map(|element| element.hop.0).collect::<Vec<_>>());
        assert_eq!(hops, want.map(|hops| hops.iter().map(|hop| hop.parse().ok()).collect()), "{line}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn elements_name_their_hop() {
        check("for=192.0.2.43, for=198.51.100.17", Some(&["192.0.2.43", "198.51.100.17"]));
        check("For=\"[2001:db8:cafe::17]:4711\"", Some(&["2001:db8:cafe::17"]));
        check("for=192.0.2.60;proto=http;by=203.0.113.43", Some(&["192.0.2.60"]));
        check("proto=https ; for=\"192.0.2.60:80\"", Some(&["192.0.2.60"]));
        check("for=\"192.0.2.60:_obfuscated\"", Some(&["192.0.2.60"]));
        check("for=\"[2001:db8::1]:_p\",for=192.0.2.1:80", Some(&["2001:db8::1", "192.0.2.1"]));
        check("for=unknown, for=_gazonk,proto=http", Some(&["unknown", "unknown", "unknown"]));
        check("for=\"2001:db8::1\"", Some(&["unknown"]));
        check(", ,for=192.0.2.1,", Some(&["192.0.2.1"]));
        check("for=\"192.0\\.2.1\"", Some(&["192.0.2.1"]));
        check("", Some(&[]));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_line_that_can_be_read_in_two_ways_is_not_read() {
        for line in [
            "for=\"192.0.2.1, for=198.51.100.17",
            "for=192.0.2.1;host=\", for=198.51.100.17;by=\"x\"",
            "for=192.0.2.1;for=192.0.2.2",
            "for=192.0.2.1 for=192.0.2.2",
            "for=a\"b\"",
            "for=",
            "for",
            "=a",
            "for =192.0.2.1",
            "for=\"192.0.2.1\\",
        ] {
            check(line, None);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn host_and_scheme_are_of_the_same_element() {
        let all = elements("for=192.0.2.1;host=\"a.test:8443\";proto=HTTPS, for=192.0.2.2;proto=ws").unwrap();
        let said: Vec<_> = all.iter().map(|element| (element.host.as_deref(), element.https)).collect();
        assert_eq!(said, [(Some("a.test:8443"), Some(true)), (None, None)]);
    }

    proptest! {
        #[test]
        fn what_a_client_sends_never_hides_what_a_proxy_adds(sent in "[a-z=;, \"\\\\.0-9]{0,40}", quoted: bool) {
            let added = if quoted { "for=\"[2001:db8::1]\"" } else { "for=192.0.2.1" };
            let line = format!("{sent}, {added}");
            if let Some(elements) = elements(&line) {
                let last = elements.last().and_then(|element| element.hop.0).map(|address| address.to_string());
                prop_assert_eq!(last.as_deref(), Some(if quoted { "2001:db8::1" } else { "192.0.2.1" }));
            }
        }
    }
}
