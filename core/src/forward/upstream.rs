//! Settings of an upstream, and the URL that a request is sent to.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use minicbor::Encode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{IdentityField, UpstreamAuth};
use crate::codec::{self, Decode, Grammar};
use crate::route::{CanonicalPath, HostName};
use crate::secret::{SecretText, is_secret_name};

/// Settings of one upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct UpstreamSettings {
    /// The name it is referred to by.
    #[n(0)]
    pub name: String,
    /// Its URL.
    #[n(1)]
    pub url: UpstreamUrl,
    /// Timeout for connecting to it, in milliseconds.
    #[n(2)]
    pub connect_timeout_ms: u64,
    /// Fields set on every request to it, replacing the client's: name in lower case, value with secret references.
    #[serde(default)]
    #[cbor(n(3), skip_if = "codec::is_default")]
    pub fields: Vec<(String, SecretText)>,
    /// Fields that tell it who the caller is, replacing the client's, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cbor(n(4), skip_if = "codec::is_default")]
    pub identity: Vec<IdentityField>,
    /// How the gateway authenticates itself to it.
    #[serde(default, skip_serializing_if = "UpstreamAuth::is_none")]
    #[cbor(n(5), skip_if = "codec::is_default")]
    pub auth: UpstreamAuth,
    /// The certificate that the gateway presents to it (mutual TLS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(6)]
    pub certificate: Option<OwnCertificate>,
}

/// A certificate of the gateway, by the names under which each host has it bound: a secret, a binding, or not at all if the
/// platform chooses by the upstream's host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, Encode, Decode)]
#[serde(deny_unknown_fields)]
#[cbor(map)]
pub struct OwnCertificate {
    /// The certificate with its chain, and its key if [`Self::key`] is absent.
    #[n(0)]
    pub name: String,
    /// The private key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[n(1)]
    pub key: Option<String>,
}

impl OwnCertificate {
    /// The names of its secrets.
    pub fn secret_names(&self) -> impl Iterator<Item = &str> {
        [Some(&self.name), self.key.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// Whether the names are those of secrets.
    pub(crate) fn is_coherent(&self) -> bool {
        self.secret_names().all(is_secret_name)
    }
}

impl codec::Section for UpstreamSettings {
    const VERSION: u16 = 4;

    /// A reader that ignores these would forward what clients send in the fields that they set; one of version 2 does not know
    /// all of them, and one of version 3 presents no certificates.
    fn least_version(&self) -> u16 {
        if self.certificate.is_some() {
            return 4;
        }
        let asks_for_more = self.auth.server().is_some_and(|server| !server.resources.is_empty());
        let is_new = asks_for_more || matches!(self.auth, UpstreamAuth::TokenExchange(_) | UpstreamAuth::Aws(_));
        if is_new || self.identity.iter().any(IdentityField::is_new) {
            return 3;
        }
        if self.identity.is_empty() && self.auth.is_none() { 1 } else { 2 }
    }
}

/// An `http` or `https` URL without user information, query or fragment; its path is the prefix of forwarded paths.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UpstreamUrl {
    https: bool,
    authority: Authority,
    /// Without a trailing slash: empty or `/prefix`.
    prefix: String,
    /// Whether a slash follows the prefix.
    slash: bool,
}

/// Why a text is not a valid URL of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// Not an absolute URL.
    #[error("not an absolute URL such as https://pets.internal:8443")]
    Form,
    /// Another scheme than `http` or `https`.
    #[error("the scheme is neither http nor https")]
    Scheme,
    /// A user name or password.
    #[error("a user name or password in the URL is not allowed; use `headers` with a secret")]
    UserInfo,
    /// A query or fragment.
    #[error("a query or fragment in an upstream's URL is not allowed")]
    Query,
    /// An invalid host.
    #[error("the host is not valid")]
    Host,
    /// A path that breaks the rule for paths.
    #[error("the path is not valid")]
    Path,
}

impl UpstreamUrl {
    /// The URL for the rest of a canonical path, and a query: the path of this URL as it was written if the rest is
    /// empty, otherwise the rest after it.
    ///
    /// # Errors
    /// If the result is not a valid URI; with a canonical path and a query of a parsed request it always is.
    pub fn target(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let path = if path.is_empty() { self.slash() } else { path };
        let mut target = String::with_capacity(self.prefix.len() + path.len() + query.map_or(0, |q| q.len() + 1));
        target.push_str(&self.prefix);
        target.push_str(path);
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        let mut parts = Parts::default();
        parts.scheme = Some(if self.https { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(Bytes::from(target))?);
        Ok(Uri::from_parts(parts)?)
    }

    /// Host and port as written in the URL: the value of `Host`.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The host without the port; an IPv6 address has brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The port as written.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        let port = self.authority().rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
        port.and_then(|port| port.parse().ok())
    }

    /// The server, without the path, and the prefix of forwarded paths (empty or `/prefix`).
    #[must_use]
    pub fn parts(&self) -> (String, &str) {
        let default = if self.https { ":443" } else { ":80" };
        let authority = self.authority().strip_suffix(default).unwrap_or(self.authority());
        (format!("{}://{authority}", self.scheme()), &self.prefix)
    }

    /// What follows the prefix if nothing of the request's path remains: a slash or nothing.
    #[must_use]
    pub fn slash(&self) -> &'static str {
        if self.slash || self.prefix.is_empty() { "/" } else { "" }
    }

    fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// Whether connections to it are encrypted.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }
}

impl FromStr for UpstreamUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once(':').ok_or(UrlError::Form)?;
        let rest = rest.strip_prefix("//").ok_or(UrlError::Form)?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return Err(UrlError::Scheme);
        }
        if rest.contains(['?', '#']) {
            return Err(UrlError::Query);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        HostName::from_authority(authority).map_err(|_| UrlError::Host)?;
        let (prefix, slash) = path.strip_suffix('/').map_or((path, false), |prefix| (prefix, !prefix.is_empty()));
        let prefix = match prefix {
            "" => String::new(),
            written if written.ends_with('/') => return Err(UrlError::Path),
            written => CanonicalPath::parse(written.as_bytes()).map_err(|_| UrlError::Path)?.as_str().to_owned(),
        };
        let authority = authority.to_ascii_lowercase().parse().map_err(|_| UrlError::Host)?;
        Ok(Self { https, authority, prefix, slash })
    }
}

impl Grammar for UpstreamUrl {
    const NAME: &str = "upstream-url";
    const VERSION: u16 = 1;
}

codec::as_text!(
    UpstreamUrl,
    Self { https: true, authority: Authority::from_static("host"), prefix: String::new(), slash: false }
);

impl TryFrom<String> for UpstreamUrl {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<UpstreamUrl> for String {
    fn from(url: UpstreamUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = if self.slash { "/" } else { "" };
        write!(f, "{}://{}{}{slash}", self.scheme(), self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[track_caller]
    fn check(url: &str, path: &str, query: Option<&str>, want: &str) {
        let url: UpstreamUrl = url.parse().unwrap();
        assert_eq!(url.target(path, query).unwrap().to_string(), want);
        assert_eq!(url.to_string().parse::<UpstreamUrl>(), Ok(url));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_forwarded_path_is_appended_to_the_upstreams_path() {
        check("http://a:80", "", None, "http://a:80/");
        check("http://a", "/b", Some("c=d"), "http://a/b?c=d");
        check("HTTPS://A.example/base/", "/b", None, "https://a.example/base/b");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_reader_that_does_not_know_who_is_told_of_callers_refuses_the_section() {
        use super::super::Attribute;
        use crate::codec::Section;
        let identity =
            vec![IdentityField { name: http::HeaderName::from_static("x-plan"), tells: Attribute::Plan.into() }];
        let (name, url) = ("pets".to_owned(), "http://a".parse().unwrap());
        let (fields, auth) = (vec![], UpstreamAuth::None);
        let plain =
            UpstreamSettings { name, url, connect_timeout_ms: 1, fields, identity: vec![], auth, certificate: None };
        let told = UpstreamSettings { identity, ..plain.clone() };
        let password = SecretText::parse("${secret.A}").unwrap();
        let known = UpstreamSettings { auth: UpstreamAuth::Basic("gateway".into(), password), ..plain.clone() };
        let name = http::HeaderName::from_static("x-org");
        let claim = IdentityField { name, tells: Attribute::Claim(vec!["org".into()]).into() };
        let claims = UpstreamSettings { identity: vec![claim], ..plain.clone() };
        let own = OwnCertificate { name: "PETS".into(), key: None };
        let presenting = UpstreamSettings { certificate: Some(own), ..plain.clone() };
        let all = [plain, told, known, claims, presenting];
        assert_eq!(all.each_ref().map(UpstreamSettings::least_version), [1, 2, 2, 3, 4]);
        for settings in all {
            let stored = minicbor::to_vec(&settings).unwrap();
            assert_eq!(UpstreamSettings::read(4, &mut codec::Reader::new(&stored)).unwrap(), settings);
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_path_below_that_of_the_upstream_can_be_reached() {
        check("https://a/base", "", None, "https://a/base");
        check("https://a/base/", "", Some("q"), "https://a/base/?q");
        for url in ["https://a/base", "https://a/base/"] {
            check(url, "/", None, "https://a/base/");
            check(url, "/b/", None, "https://a/base/b/");
        }
        assert_eq!("http://a//".parse::<UpstreamUrl>(), Err(UrlError::Path));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn the_port_is_the_one_in_the_url() {
        let port = |text: &str| text.parse::<UpstreamUrl>().unwrap().port();
        assert_eq!(port("http://a:0/b"), Some(0));
        assert_eq!(port("http://[::1]:8080"), Some(8080));
        assert_eq!((port("http://[::1]"), port("https://a"), port("http://a:/b")), (None, None, None));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn urls_with_credentials_query_or_fragment_are_refused() {
        let error = |text: &str| text.parse::<UpstreamUrl>().unwrap_err();
        assert_eq!(error("a.example"), UrlError::Form);
        assert_eq!(error("ftp://a"), UrlError::Scheme);
        assert_eq!(error("http://u:p@a"), UrlError::UserInfo);
        assert_eq!(error("http://a/?q"), UrlError::Query);
        assert_eq!(error("http://"), UrlError::Host);
        assert_eq!(error("http://a:99999"), UrlError::Host);
        assert_eq!(error("http://a/../b"), UrlError::Path);
    }
}
