//! From where a credential may be used: client addresses, hosts of the gateway, and web pages.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::header::{ORIGIN, REFERER};
use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::guard::Networks;
use crate::json::{FromJson, Unfit, Value, form};
use crate::route::{HostError, HostName, HostPattern};

/// From where a credential may be used. An empty list restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJson)]
pub struct Restrictions {
    /// The networks of its clients.
    #[serde(default, skip_serializing_if = "Networks::is_empty")]
    pub addresses: Networks,
    /// The hosts of the gateway at which it is accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostPattern>,
    /// The origins of the web pages that may send it.
    ///
    /// Browsers state the origin truthfully, other programs send what they like: this keeps a key that web pages contain
    /// from use on other web pages, and is no protection otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrers: Vec<OriginPattern>,
}

/// Which restriction a request does not meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restricted {
    /// The client's address, or it is not known.
    Address,
    /// The request's host.
    Host,
    /// The web page that sent the request, or the request names none.
    Referrer,
}

/// Origins (RFC 6454) of web pages: one, or those of all subdomains, as in `https://*.example.com`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OriginPattern {
    https: bool,
    host: HostPattern,
    /// Absent if it is the default of the scheme.
    port: Option<u16>,
}

/// Why a text is no pattern of origins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OriginError {
    /// It has no scheme, or that of another protocol.
    #[error("it does not begin with https:// or http://")]
    Scheme,
    /// It has something after host and port.
    #[error("an origin ends after the host and port: it has no path, query or user name")]
    Path,
    /// Its host is not valid.
    #[error(transparent)]
    Host(#[from] HostError),
    /// It would match every host.
    #[error("`*` alone would match every web page")]
    Any,
}

impl Restrictions {
    /// Whether they restrict nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.addresses.is_empty() && self.hosts.is_empty() && self.referrers.is_empty()
    }

    /// Checks a request of a client at an address, for a host, with these fields.
    ///
    /// # Errors
    /// The first restriction that it does not meet.
    pub fn check(&self, address: Option<IpAddr>, host: &HostName, fields: &HeaderMap) -> Result<(), Restricted> {
        let is_inside = |address| self.addresses.longest(address).is_some();
        if !self.addresses.is_empty() && !address.is_some_and(is_inside) {
            return Err(Restricted::Address);
        }
        if !self.hosts.is_empty() && !self.hosts.iter().any(|pattern| pattern.matches(host)) {
            return Err(Restricted::Host);
        }
        if !self.referrers.is_empty() && !self.allows_page(fields) {
            return Err(Restricted::Referrer);
        }
        Ok(())
    }

    /// Whether the page that sent the request is allowed; `Origin` decides where there is one, since pages cannot leave it
    /// out of requests to other origins.
    fn allows_page(&self, fields: &HeaderMap) -> bool {
        let name = if fields.contains_key(ORIGIN) { ORIGIN } else { REFERER };
        let mut lines = fields.get_all(name).iter();
        let (Some(line), None) = (lines.next(), lines.next()) else { return false };
        let origin = HeaderValue::to_str(line).ok().and_then(Page::parse);
        origin.is_some_and(|page| self.referrers.iter().any(|pattern| pattern.matches(&page)))
    }
}

/// The origin of a web page.
struct Page {
    https: bool,
    host: HostName,
    port: Option<u16>,
}

impl Page {
    /// The origin of a URL; `null`, which a page without one sends, has none.
    fn parse(url: &str) -> Option<Self> {
        let (https, rest) = scheme(url)?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (host, port) = HostName::with_port(authority).ok()?;
        Some(Self { https, host, port: not_default(port, https) })
    }
}

impl OriginPattern {
    fn matches(&self, page: &Page) -> bool {
        self.https == page.https && self.port == page.port && self.host.matches(&page.host)
    }
}

fn scheme(url: &str) -> Option<(bool, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let https = scheme.eq_ignore_ascii_case("https");
    (https || scheme.eq_ignore_ascii_case("http")).then_some((https, rest))
}

fn not_default(port: Option<u16>, https: bool) -> Option<u16> {
    port.filter(|port| *port != if https { 443 } else { 80 })
}

impl FromJson for OriginPattern {
    fn blank() -> Self {
        Self { https: true, host: HostPattern::Any, port: None }
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        form::parse(self, &value)
    }
}

impl FromStr for OriginPattern {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (https, authority) = scheme(text).ok_or(OriginError::Scheme)?;
        if authority.contains(['/', '?', '#', '@']) {
            return Err(OriginError::Path);
        }
        // The port of `*.name:8443` is read as that of `name:8443`.
        let wildcard = authority.strip_prefix("*.");
        if authority == "*" || authority.starts_with("*:") {
            return Err(OriginError::Any);
        }
        let (host, port) = HostName::with_port(wildcard.unwrap_or(authority))?;
        let host = if wildcard.is_some() { HostPattern::Wildcard(host) } else { HostPattern::Exact(host) };
        Ok(Self { https, host, port: not_default(port, https) })
    }
}

impl TryFrom<String> for OriginPattern {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<OriginPattern> for String {
    fn from(pattern: OriginPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn restrictions(text: &str) -> Restrictions {
        serde_json::from_str(text).unwrap()
    }

    #[track_caller]
    fn check(restrictions: &str, address: &str, host: &str, fields: &[(&str, &str)], want: Result<(), Restricted>) {
        let mut lines = HeaderMap::new();
        for (name, value) in fields {
            lines.append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        let host = HostName::from_authority(host).unwrap();
        let checked =
            super::Restrictions::check(&self::restrictions(restrictions), address.parse().ok(), &host, &lines);
        assert_eq!(checked, want, "{restrictions} {address} {fields:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_accepted_only_from_its_networks() {
        let of = r#"{"addresses":["192.0.2.0/24","2001:db8::/32"]}"#;
        check(of, "192.0.2.7", "a.test", &[], Ok(()));
        check(of, "::ffff:192.0.2.7", "a.test", &[], Ok(()));
        check(of, "2001:db8::1", "a.test", &[], Ok(()));
        check(of, "198.51.100.1", "a.test", &[], Err(Restricted::Address));
        check(of, "unknown", "a.test", &[], Err(Restricted::Address));
        check("{}", "unknown", "a.test", &[], Ok(()));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_accepted_only_at_its_hosts() {
        let of = r#"{"hosts":["api.example.com","*.eu.example.com"]}"#;
        check(of, "", "API.example.com", &[], Ok(()));
        check(of, "", "a.eu.example.com", &[], Ok(()));
        check(of, "", "eu.example.com", &[], Err(Restricted::Host));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_key_is_accepted_only_from_its_web_pages() {
        let of = r#"{"referrers":["https://app.example.com","https://*.shop.test:8443"]}"#;
        let page = |name, value, want| check(of, "", "a.test", &[(name, value)], want);
        page("origin", "https://app.example.com", Ok(()));
        page("origin", "https://app.example.com:443", Ok(()));
        page("referer", "https://APP.example.com/a?b=https://evil.test", Ok(()));
        page("referer", "https://a.shop.test:8443/", Ok(()));
        for (name, value) in [
            ("origin", "null"),
            ("origin", "http://app.example.com"),
            ("origin", "https://app.example.com:8443"),
            ("origin", "https://app.example.com.evil.test"),
            ("origin", "https://app.example.com@evil.test"),
            ("origin", "https://evil.test#app.example.com"),
            ("referer", "https://evil.test/https://app.example.com"),
            ("referer", "https://shop.test:8443/"),
            ("referer", ""),
        ] {
            page(name, value, Err(Restricted::Referrer));
        }
        check(of, "", "a.test", &[], Err(Restricted::Referrer));
        let both = [("origin", "https://evil.test"), ("referer", "https://app.example.com/")];
        check(of, "", "a.test", &both, Err(Restricted::Referrer));
        let twice = [("origin", "https://app.example.com"), ("origin", "https://evil.test")];
        check(of, "", "a.test", &twice, Err(Restricted::Referrer));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_origin_has_one_spelling() {
        for (text, spelled) in [
            ("https://App.example.com:443", "https://app.example.com"),
            ("HTTP://*.example.com:8080", "http://*.example.com:8080"),
            ("http://[::1]:80", "http://[::1]"),
        ] {
            assert_eq!(text.parse::<OriginPattern>().unwrap().to_string(), spelled);
        }
        for (text, error) in [
            ("app.example.com", OriginError::Scheme),
            ("ftp://app.example.com", OriginError::Scheme),
            ("https://app.example.com/", OriginError::Path),
            ("https://user@app.example.com", OriginError::Path),
            ("https://*", OriginError::Any),
        ] {
            assert_eq!(text.parse::<OriginPattern>(), Err(error), "{text}");
        }
        assert!(matches!("https://a.*.com".parse::<OriginPattern>(), Err(OriginError::Host(_))));
    }
}
