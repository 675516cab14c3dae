//! Host names in requests, and the host patterns of routes.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::codec::{self, Grammar};
use crate::json::{FromJson, Unfit, Value, form};

/// The host a request is for: lower case, without port and without a trailing dot.
///
/// A registered name or an IP address literal (RFC 3986, section 3.2.2), at most 253 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

/// Why a text is not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Empty, or longer than 253 bytes.
    #[error("a host has 1 to 253 characters")]
    Length,
    /// A character that is not allowed in host names.
    #[error("a host consists of letters, digits, hyphens and dots, or is an IP address")]
    Character,
    /// The port is not a number up to 65535.
    #[error("the port is not a number up to 65535")]
    Port,
    /// A URL.
    #[error("this is a URL; give the host name alone, such as `api.example.com`")]
    Url,
    /// A `*` that is not the whole first label.
    #[error("a wildcard is the whole first label: `*.example.com`, or `*` alone")]
    Wildcard,
}

impl HostName {
    /// Reads the host of an authority (`name`, `name:port`, `[::1]:port`), without user information.
    ///
    /// # Errors
    /// If it is not a host with an optional port.
    pub fn from_authority(authority: &str) -> Result<Self, HostError> {
        Self::with_port(authority).map(|(host, _)| host)
    }

    /// Reads the host and the port of an authority; an empty port is none.
    ///
    /// # Errors
    /// If it is not a host with an optional port.
    pub fn with_port(authority: &str) -> Result<(Self, Option<u16>), HostError> {
        let (host, port) = split_port(authority)?;
        let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = match (port, port.parse()) {
            ("", _) => None,
            (_, Ok(port)) if is_number => Some(port),
            _ => return Err(if authority.contains("://") { HostError::Url } else { HostError::Port }),
        };
        Ok((if host.starts_with('[') { Self::ipv6(host) } else { Self::name(host) }?, port))
    }

    /// The authority in its one spelling: the host, and the port unless it is the default of the scheme. `None` if it is
    /// the host alone.
    #[must_use]
    pub fn authority(&self, port: Option<u16>, https: bool) -> Option<String> {
        let default = if https { 443 } else { 80 };
        port.filter(|port| *port != default).map(|port| format!("{self}:{port}"))
    }

    /// The host of a request that names none, which only HTTP/1.0 allows: no pattern but `*` matches it.
    #[must_use]
    pub const fn absent() -> Self {
        Self(String::new())
    }

    /// Whether the request named no host.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        self.0.is_empty()
    }

    /// The host as text, an IPv6 address in brackets; empty if the request named none.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn ipv6(host: &str) -> Result<Self, HostError> {
        let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).ok_or(HostError::Character)?;
        let address: std::net::Ipv6Addr = inner.parse().map_err(|_| HostError::Character)?;
        Ok(Self(format!("[{address}]")))
    }

    fn name(host: &str) -> Result<Self, HostError> {
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.is_empty() || host.len() > 253 {
            return Err(HostError::Length);
        }
        let mut label_bytes = 0;
        for byte in host.bytes() {
            match byte {
                b'.' if label_bytes > 0 => label_bytes = 0,
                byte if is_label_byte(byte) && label_bytes < LABEL_BYTES_MAX => label_bytes += 1,
                _ => return Err(HostError::Character),
            }
        }
        if label_bytes == 0 { Err(HostError::Character) } else { Ok(Self(host.to_ascii_lowercase())) }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The hosts of a route. Ordered by precedence: the smallest is the most specific.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HostPattern {
    /// One host.
    Exact(HostName),
    /// `*.suffix`: every host with at least one label before the suffix.
    Wildcard(HostName),
    /// `*`: every host.
    Any,
}

impl HostPattern {
    /// Whether the pattern matches the host.
    #[must_use]
    pub fn matches(&self, host: &HostName) -> bool {
        match self {
            Self::Exact(name) => name == host,
            Self::Wildcard(suffix) => is_below(host.as_str(), suffix.as_str()),
            Self::Any => true,
        }
    }

    /// Whether this pattern matches every host that `other` matches.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (_, Self::Any) | (Self::Exact(_), Self::Wildcard(_)) => false,
            (_, Self::Exact(host)) => self.matches(host),
            (Self::Wildcard(a), Self::Wildcard(b)) => a == b || is_below(b.as_str(), a.as_str()),
        }
    }

    /// The patterns that can match a host, most specific first: the keys to look up in a table of patterns.
    pub fn candidates(host: &HostName) -> impl Iterator<Item = String> + '_ {
        let name = host.as_str();
        let suffixes = name.match_indices('.').map(|(dot, _)| format!("*{}", &name[dot..]));
        std::iter::once(name.to_owned()).chain(suffixes).chain(std::iter::once("*".to_owned()))
    }

    fn precedence(&self) -> (u8, Reverse<usize>, &str) {
        match self {
            Self::Exact(name) => (0, Reverse(0), name.as_str()),
            Self::Wildcard(suffix) => (1, Reverse(suffix.as_str().len()), suffix.as_str()),
            Self::Any => (2, Reverse(0), ""),
        }
    }
}

/// The host of a valid authority, without the brackets of an IPv6 address, and its port or that of the scheme.
#[must_use]
pub fn host_and_port(authority: &str, https: bool) -> (&str, u16) {
    let default = if https { 443 } else { 80 };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().unwrap_or(default)),
        Some(_) | None => (authority, default),
    };
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

impl Ord for HostPattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.precedence().cmp(&other.precedence())
    }
}

impl PartialOrd for HostPattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for HostPattern {
    type Err = HostError;

    fn from_str(text: &str) -> Result<Self, HostError> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(suffix) = text.strip_prefix("*.") {
            return HostName::name(suffix).map(Self::Wildcard);
        }
        if text.contains('*') {
            return Err(HostError::Wildcard);
        }
        if text.starts_with('[') { HostName::ipv6(text) } else { HostName::name(text) }.map(Self::Exact)
    }
}

impl Grammar for HostPattern {
    const NAME: &str = "host-pattern";
    const VERSION: u16 = 1;
}

impl FromJson for HostPattern {
    fn blank() -> Self {
        Self::Any
    }

    fn take(&mut self, value: Value) -> Result<(), Unfit> {
        form::parse(self, &value)
    }
}

codec::as_text!(HostPattern, Self::Any);

impl TryFrom<String> for HostPattern {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        text.parse()
    }
}

impl From<HostPattern> for String {
    fn from(pattern: HostPattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Wildcard(suffix) => write!(f, "*.{suffix}"),
            Self::Any => f.write_str("*"),
        }
    }
}

/// RFC 1035, section 2.3.4.
const LABEL_BYTES_MAX: usize = 63;

fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// Letters, digits, hyphens; also underscores, which are used in internal networks.
fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

fn split_port(authority: &str) -> Result<(&str, &str), HostError> {
    if authority.starts_with('[') {
        let end = authority.find(']').ok_or(HostError::Character)? + 1;
        let (host, rest) = authority.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if rest.is_empty() => Ok((host, "")),
            None => Err(HostError::Character),
        };
    }
    Ok(match authority.bytes().position(|byte| byte == b':') {
        Some(colon) => (&authority[..colon], &authority[colon + 1..]),
        None => (authority, ""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(authority: &str, want: Result<&str, HostError>) {
        assert_eq!(
            HostName::from_authority(authority).as_ref().map(HostName::as_str),
            want.as_ref().map(|s| *s),
            "{authority}"
        );
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_host_is_one_name_however_it_is_written() {
        check("API.Example.com:8443", Ok("api.example.com"));
        check("api.example.com.", Ok("api.example.com"));
        check("127.0.0.1:80", Ok("127.0.0.1"));
        check("[0:0::1]:80", Ok("[::1]"));
        check("", Err(HostError::Length));
        check("a..b", Err(HostError::Character));
        check("user@host", Err(HostError::Character));
        check("a/b", Err(HostError::Character));
        check("a:b", Err(HostError::Port));
        check("a:80:80", Err(HostError::Port));
        check("a:+80", Err(HostError::Port));
        check("[::1", Err(HostError::Character));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_authority_has_one_spelling() {
        for (written, https, want) in [
            ("API.example.com.:443", true, "api.example.com"),
            ("api.example.com:", true, "api.example.com"),
            ("api.example.com:080", false, "api.example.com"),
            ("api.example.com:80", true, "api.example.com:80"),
            ("[0:0::1]:08443", true, "[::1]:8443"),
        ] {
            let (host, port) = HostName::with_port(written).unwrap();
            assert_eq!(host.authority(port, https).as_deref().unwrap_or(host.as_str()), want, "{written}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn patterns_are_ordered_from_the_most_specific() {
        let mut patterns: Vec<HostPattern> =
            ["*", "*.com", "*.example.com", "api.example.com"].iter().map(|p| p.parse().unwrap()).collect();
        let sorted: Vec<_> = patterns.iter().rev().cloned().collect();
        patterns.sort();
        assert_eq!(patterns, sorted);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_matching_pattern_is_a_candidate_in_order_of_precedence() {
        let host = HostName::from_authority("a.b.example.com").unwrap();
        let all: Vec<_> = HostPattern::candidates(&host).collect();
        assert_eq!(all, ["a.b.example.com", "*.b.example.com", "*.example.com", "*.com", "*"]);
        assert!(all.iter().all(|p| p.parse::<HostPattern>().unwrap().matches(&host)));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_request_without_a_host_matches_only_the_pattern_for_every_host() {
        let host = HostName::absent();
        let all: Vec<_> = HostPattern::candidates(&host).filter_map(|text| text.parse::<HostPattern>().ok()).collect();
        assert_eq!(all, [HostPattern::Any]);
        assert!(all[0].matches(&host) && !"*.example.com".parse::<HostPattern>().unwrap().matches(&host));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_authority_has_a_host_and_a_port() {
        for (authority, https, want) in [
            ("a.test", true, ("a.test", 443)),
            ("a.test", false, ("a.test", 80)),
            ("a.test:8443", false, ("a.test", 8443)),
            ("[2001:db8::1]", true, ("2001:db8::1", 443)),
            ("[2001:db8::1]:81", true, ("2001:db8::1", 81)),
        ] {
            assert_eq!(host_and_port(authority, https), want, "{authority}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_wildcard_never_matches_its_bare_suffix_or_a_lookalike() {
        let pattern: HostPattern = "*.example.com".parse().unwrap();
        for host in ["example.com", "badexample.com", "example.com.evil.org"] {
            assert!(!pattern.matches(&HostName::from_authority(host).unwrap()), "{host}");
        }
        assert!("a.*.com".parse::<HostPattern>().is_err());
    }
}
