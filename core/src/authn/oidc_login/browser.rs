//! What the fields of a request say of the browser that sent it.

use http::header::{ACCEPT, ORIGIN, UPGRADE};
use http::{HeaderMap, HeaderName, Method};

/// `Sec-Fetch-Mode` (Fetch Metadata Request Headers, section 2.2).
const MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
/// `Sec-Fetch-Site` (section 2.4).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a person opens a page, so that a redirect to the provider is of use: scripts and programs get a 401.
#[must_use]
pub fn is_navigation(method: &Method, fields: &HeaderMap) -> bool {
    let takes_html = || {
        let accepted = fields.get(ACCEPT).and_then(|value| value.to_str().ok());
        accepted.is_some_and(|types| types.split(',').any(|one| one.trim_ascii().starts_with("text/html")))
    };
    // Browsers without these fields say that they take HTML.
    let navigates = fields.get(MODE).map_or_else(takes_html, |mode| mode == "navigate");
    (*method == Method::GET || *method == Method::HEAD) && navigates && !fields.contains_key(UPGRADE)
}

/// Whether a request with a session cannot have been caused by another site: it only reads, or it comes from a page of this origin
/// (`https://host`). Browsers say that truthfully; a request that says nothing is refused.
#[must_use]
pub fn is_same_origin(method: &Method, fields: &HeaderMap, origin: impl FnOnce() -> String) -> bool {
    // A handshake of a WebSocket is a GET.
    if method.is_safe() && !fields.contains_key(UPGRADE) {
        return true;
    }
    is_caused_here(fields, &origin())
}

/// Whether a request says that a page of this origin, or the person, caused it.
#[must_use]
pub fn is_caused_here(fields: &HeaderMap, origin: &str) -> bool {
    let mut sites = fields.get_all(SITE).iter();
    match (sites.next(), sites.next()) {
        (Some(site), None) => site == "same-origin" || site == "none",
        (Some(_), Some(_)) => false,
        (None, _) => {
            let mut origins = fields.get_all(ORIGIN).iter();
            matches!((origins.next(), origins.next()), (Some(own), None) if own == origin)
        }
    }
}

/// Where a browser goes after the login: the path and query that it asked for, if they are short and a browser cannot take them for
/// another host; otherwise the beginning.
#[must_use]
pub fn return_target(path_and_query: &str) -> &str {
    let is_path = path_and_query.starts_with('/') && !path_and_query[1..].starts_with(['/', '\\']);
    let is_plain = path_and_query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain && path_and_query.len() <= TARGET_BYTES_MAX { path_and_query } else { "/" }
}

/// It is, encrypted, in a URL of the provider: many take 2,048 bytes only.
const TARGET_BYTES_MAX: usize = 768;

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        fields
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_person_who_opens_a_page_is_told_from_scripts() {
        let is = |method: Method, lines: &[(&'static str, &'static str)]| is_navigation(&method, &fields(lines));
        let html = ("accept", "text/html,application/xhtml+xml;q=0.9");
        assert!(is(Method::GET, &[html]) && is(Method::GET, &[("sec-fetch-mode", "navigate")]));
        assert!(is(Method::HEAD, &[("accept", "application/json, text/html;q=0.5")]));
        for (method, lines) in [
            (Method::GET, &[][..]),
            (Method::GET, &[("accept", "*/*")]),
            (Method::GET, &[("accept", "application/json")]),
            (Method::GET, &[html, ("sec-fetch-mode", "cors")]),
            (Method::GET, &[html, ("upgrade", "websocket")]),
            (Method::POST, &[html, ("sec-fetch-mode", "navigate")]),
        ] {
            assert!(!is(method.clone(), lines), "{method} {lines:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn other_sites_cannot_cause_requests_that_change_something() {
        let own = "https://portal.example.com";
        let is = |method: Method, lines: &[(&'static str, &'static str)]| {
            is_same_origin(&method, &fields(lines), || own.to_owned())
        };
        assert!(is(Method::GET, &[]) && is(Method::GET, &[("sec-fetch-site", "cross-site")]));
        for lines in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://portal.example.com")],
        ] {
            assert!(is(Method::POST, lines), "{lines:?}");
        }
        for lines in [
            &[][..],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://portal.example.com")],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")],
            &[("origin", "https://portal.example.com.evil.test")],
            &[("origin", "http://portal.example.com")],
            &[("origin", "null")],
            &[("origin", "https://portal.example.com"), ("origin", "https://portal.example.com")],
        ] {
            assert!(!is(Method::POST, lines), "{lines:?}");
            let mut socket = fields(lines);
            socket.insert(UPGRADE, HeaderValue::from_static("websocket"));
            assert!(!is_same_origin(&Method::GET, &socket, || own.to_owned()), "{lines:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_browser_returns_to_this_host_only() {
        for own in ["/", "/a", "/a/b?c=d&e=%20", "/a?u=https://evil.test"] {
            assert_eq!(return_target(own), own);
        }
        let long = format!("/{}", "a".repeat(1_024));
        for other in
            ["", "a", "//evil.test", "/\\evil.test", "https://evil.test", "/a\\b", "/a b", "/\u{e4}", "/a\r\nb", &long]
        {
            assert_eq!(return_target(other), "/", "{other}");
        }
    }
}
