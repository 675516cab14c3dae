//! Whether two URLs are those of one resource (RFC 3986, sections 6.2.2 and 6.2.3).

/// Whether a URL is that of a request, as its client sees it. Query and fragment are ignored (RFC 9449, section 4.3).
pub(super) fn is_url_of(url: &str, https: bool, authority: &str, path: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (own_authority, own_path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let own_path = if own_path.is_empty() { "/" } else { own_path };
    let (expected, port) = if https { ("https", ":443") } else { ("http", ":80") };
    let without_port = |authority: &'_ str| {
        let end = [port, ":"].into_iter().find_map(|port| authority.strip_suffix(port).map(str::len));
        end.unwrap_or(authority.len())
    };
    let (own, other) = (&own_authority[..without_port(own_authority)], &authority[..without_port(authority)]);
    !own.is_empty()
        && scheme.eq_ignore_ascii_case(expected)
        && own.eq_ignore_ascii_case(other)
        && Characters(own_path.as_bytes()).eq(Characters(path.as_bytes()))
}

/// The characters of a path: each with whether it is escaped and stays so, because it would mean something else without.
struct Characters<'p>(&'p [u8]);

impl Iterator for Characters<'_> {
    type Item = (u8, bool);

    fn next(&mut self) -> Option<(u8, bool)> {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (digit(high), digit(low))
        {
            self.0 = rest;
            let byte = high << 4 | low;
            let is_unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            return Some((byte, !is_unreserved));
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some((*first, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn urls_are_compared_in_their_normal_form() {
        let is_same = |url: &str| is_url_of(url, true, "api.example.com", "/pets/a%2Fb");
        for same in [
            "https://api.example.com/pets/a%2Fb",
            "HTTPS://API.Example.COM/pets/a%2fb",
            "https://api.example.com:443/pets/a%2Fb",
            "https://api.example.com:/%70ets/a%2Fb",
            "https://api.example.com/pets/a%2Fb?x=1#y",
            "https://api.example.com/pets/a%2Fb#y?",
        ] {
            assert!(is_same(same), "{same}");
        }
        for other in [
            "",
            "/pets/a%2Fb",
            "http://api.example.com/pets/a%2Fb",
            "https://api.example.com:8443/pets/a%2Fb",
            "https://api.example.com.evil.example/pets/a%2Fb",
            "https://u@api.example.com/pets/a%2Fb",
            "https://api.example.com/Pets/a%2Fb",
            "https://api.example.com/pets/a/b",
            "https://api.example.com/pets/a%2Fb/",
            "https:///pets/a%2Fb",
        ] {
            assert!(!is_same(other), "{other}");
        }
        assert!(is_url_of("http://[::1]:8080", false, "[::1]:8080", "/"));
        assert!(is_url_of("http://a:80/", false, "a", "/") && !is_url_of("http://a:443/", false, "a", "/"));
        assert!(!is_url_of("https://a/%2", true, "a", "/%25"));
    }

    proptest! {
        #[test]
        fn no_url_panics(url in "[a-z:/%?#.@0-9\u{e9}]{0,30}") {
            let _ = is_url_of(&url, true, "a", "/");
            let _ = is_url_of("https://a/", true, &url, &url);
        }
    }
}
