//! Browsers of a case: they keep cookies, say of their requests what browsers say, and go to the provider and back when a person logs in.

use std::cell::RefCell;
use std::collections::HashMap;

use http::header::{ACCEPT, COOKIE, HOST, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use tollgate_config::policy_tests::TestToken;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Content as _;

use super::issuer::Issuers;

/// The browsers of a case, by name.
#[derive(Default)]
pub(super) struct Browsers(RefCell<HashMap<String, Vec<Cookie>>>);

/// A cookie that only its host gets, as those of the gateway are.
struct Cookie {
    host: String,
    name: String,
    value: String,
    until: Timestamp,
}

impl Browsers {
    /// Adds what a browser adds to a request: its cookies for the host, and what it says of the request.
    pub(super) fn complete(&self, browser: &str, request: &mut Request<Content>, now: Timestamp) {
        let (host, method) = (host_of(request), request.method().clone());
        let is_page = method == Method::GET || method == Method::HEAD;
        let (accept, mode, site) =
            if is_page { ("text/html", "navigate", "none") } else { ("*/*", "cors", "same-origin") };
        let fields = request.headers_mut();
        for (name, value) in [(ACCEPT, accept), (FETCH_MODE, mode), (FETCH_SITE, site)] {
            fields.entry(name).or_insert(HeaderValue::from_static(value));
        }
        let known = self.0.borrow();
        let own = known.get(browser).into_iter().flatten().filter(|cookie| cookie.host == host && now < cookie.until);
        let pairs = own.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ");
        if let (false, Ok(value)) = (pairs.is_empty(), HeaderValue::try_from(pairs)) {
            fields.append(COOKIE, value);
        }
    }

    /// Keeps the cookies of a response, and forgets those that have ended.
    pub(super) fn keep(&self, browser: &str, request: &Request<Content>, fields: &HeaderMap, now: Timestamp) {
        let host = host_of(request);
        let mut all = self.0.borrow_mut();
        let jar = all.entry(browser.to_owned()).or_default();
        for line in fields.get_all(SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let age = parts.find_map(|part| part.strip_prefix("Max-Age="));
            let until = age
                .and_then(|age| age.parse().ok())
                .map_or(Timestamp::MAX, |age_s: u64| now.plus_millis(age_s.saturating_mul(1_000)));
            jar.retain(|cookie| cookie.host != host || cookie.name != name);
            jar.push(Cookie { host: host.clone(), name: name.to_owned(), value: value.to_owned(), until });
        }
        jar.retain(|cookie| now < cookie.until);
    }
}

/// The request with which a browser comes back from an issuer, if a response sends it there and the person with this ID token logs in.
pub(super) fn back(
    issuers: &Issuers,
    token: &TestToken,
    before: &Request<Content>,
    fields: &HeaderMap,
) -> Result<Option<Request<Content>>, String> {
    let Some(url) = location(fields) else { return Ok(None) };
    let Some(back) = issuers.log_in(token, url)? else { return Ok(None) };
    let target = back.parse::<Uri>().map_err(|error| format!("the redirect URI cannot be used: {error}"))?;
    if target.authority().map(http::uri::Authority::as_str) != Some(host_of(before).as_str()) {
        return Err("the redirect URI is for another host".to_owned());
    }
    page(before, &target).map(Some)
}

/// The request for the page to which a response leads on the same host.
pub(super) fn next(before: &Request<Content>, fields: &HeaderMap) -> Result<Option<Request<Content>>, String> {
    let Some(path) = location(fields).filter(|location| location.starts_with('/')) else { return Ok(None) };
    let target = path.parse::<Uri>().map_err(|error| format!("the redirect cannot be followed: {error}"))?;
    page(before, &target).map(Some)
}

/// A request of the same browser for a page of the same host.
fn page(before: &Request<Content>, target: &Uri) -> Result<Request<Content>, String> {
    let path = target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::builder().uri(path).header(HOST, host_of(before)).body(Content::empty());
    request.map_err(|error| error.to_string())
}

fn location(fields: &HeaderMap) -> Option<&str> {
    fields.get(LOCATION)?.to_str().ok()
}

fn host_of(request: &Request<Content>) -> String {
    request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned()
}

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
