//! Outbound HTTP: the rule of `allowed_outbound_hosts`, then a client with pooled connections; Wasmtime's own for TLS.
//!
//! Certificates are verified against the Mozilla roots. As in Spin a refused or failed connection is
//! `connection-refused`, a failed handshake `tls-protocol-error`, and whatever breaks after that
//! `HTTP-protocol-error`, also on a pooled connection that the upstream has closed meanwhile. Unlike in Spin,
//! connections with TLS are not reused.

use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::{CONNECTION, HOST};
use http::uri::Scheme;
use http::{HeaderName, Request, Response};
use http_body_util::BodyExt;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, ForbiddenHeaderFilter, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use crate::guest::Shared;

/// Outbound HTTP of one instance.
pub(crate) struct Outbound {
    pub shared: Arc<Shared>,
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io), Error>> + Send>;

impl WasiHttpHooks for Outbound {
    /// Spin keeps `Connection` from the component and passes every other field, hop-by-hop ones included.
    fn forbidden_header_filter(&mut self) -> ForbiddenHeaderFilter {
        Arc::new(|name: &HeaderName| *name == CONNECTION)
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _consumed: Io,
    ) -> Sending {
        let uri = request.uri();
        let allowed = self.shared.app.allowed_hosts.allow(
            uri.scheme_str().unwrap_or_default(),
            uri.host().unwrap_or_default(),
            uri.port_u16(),
        );
        let shared = Arc::clone(&self.shared);
        Box::new(async move {
            if !allowed {
                return Err(Error::HttpRequestDenied);
            }
            if request.uri().scheme() == Some(&Scheme::HTTP) {
                let response = shared.upstreams.send(request, options.unwrap_or_default()).await?;
                return Ok((response, Box::new(async { Ok(()) }) as Io));
            }
            let (response, io) = default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(io) as Io))
        })
    }
}

/// The pooled connections of all instances, by connect timeout.
#[derive(Debug, Default)]
pub(crate) struct Upstreams(Mutex<HashMap<Duration, Pooled>>);

type Pooled = Client<HttpConnector, WasiBody>;

/// Spin's timeouts if the component sets none.
const TIMEOUT: Duration = Duration::from_secs(600);

impl Upstreams {
    /// As in Spin the timeout for the first byte begins before the connection is made.
    async fn send(&self, mut request: Request<WasiBody>, options: RequestOptions) -> Result<Response<WasiBody>, Error> {
        request.headers_mut().remove(HOST);
        let response = self.client(options.connect_timeout.unwrap_or(TIMEOUT)).request(request);
        let response = timeout(options.first_byte_timeout.unwrap_or(TIMEOUT), response)
            .await
            .map_err(|_| Error::ConnectionReadTimeout)?
            .map_err(|error| error_of(&error))?;
        Ok(response.map(|content| content.map_err(|_| Error::HttpProtocolError).boxed_unsync()))
    }

    fn client(&self, connect_timeout: Duration) -> Pooled {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || {
            let mut connector = HttpConnector::new();
            connector.set_connect_timeout(Some(connect_timeout));
            Client::builder(TokioExecutor::new()).build(connector)
        };
        clients.entry(connect_timeout).or_insert_with(new).clone()
    }
}

/// Spin distinguishes errors of connecting only.
fn error_of(error: &legacy::Error) -> Error {
    if !error.is_connect() {
        return Error::HttpProtocolError;
    }
    let mut source = error.source();
    while let Some(reason) = source {
        if let Some(io) = reason.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::TimedOut
        {
            return Error::ConnectionTimeout;
        }
        if reason.to_string().starts_with("dns error") {
            return Error::DnsError { rcode: None, info_code: None };
        }
        source = reason.source();
    }
    Error::ConnectionRefused
}

/// The parsed `allowed_outbound_hosts`: only what one of its entries names is allowed.
///
/// Address blocks (`10.0.0.0/8`) and `self` are not supported and refused at the start.
#[derive(Debug, Default)]
pub(crate) struct AllowedHosts {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// `None` allows any scheme.
    scheme: Option<String>,
    host: HostRule,
    port: PortRule,
}

#[derive(Debug)]
enum HostRule {
    Any,
    /// Any host below a domain; the domain with its leading dot.
    Below(String),
    Exactly(String),
}

#[derive(Debug)]
enum PortRule {
    Any,
    Default,
    Between(RangeInclusive<u16>),
}

impl AllowedHosts {
    pub(crate) fn parse(entries: &[String]) -> Result<Self, String> {
        let entries = entries
            .iter()
            .map(|entry| {
                Entry::parse(entry)
                    .ok_or_else(|| format!("allowed_outbound_hosts has {entry:?}, which this host does not support"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Whether a request to the destination is allowed; without a port, the scheme's default port is used.
    pub(crate) fn allow(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        let default = default_port(scheme);
        self.entries.iter().any(|entry| {
            entry.scheme.as_deref().is_none_or(|only| only == scheme)
                && entry.host.covers(&host.to_ascii_lowercase())
                && entry.port.covers(port.or(default), default)
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('/') {
            return None;
        }
        // Colons of an address in brackets do not separate the port.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, PortRule::parse(port)?),
            _ => (rest, PortRule::Default),
        };
        Some(Self { scheme: (scheme != "*").then(|| scheme.to_owned()), host: HostRule::parse(host)?, port })
    }
}

impl HostRule {
    fn parse(host: &str) -> Option<Self> {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix('*') {
            Some("") => Some(Self::Any),
            Some(domain) => domain.starts_with('.').then(|| Self::Below(domain.to_owned())),
            None if host.is_empty() || host == "self" => None,
            None => Some(Self::Exactly(host)),
        }
    }

    fn covers(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Below(domain) => host.ends_with(domain.as_str()),
            Self::Exactly(only) => only == host,
        }
    }
}

impl PortRule {
    fn parse(port: &str) -> Option<Self> {
        if port == "*" {
            return Some(Self::Any);
        }
        let (first, last) = match port.split_once("..") {
            // Spin's range excludes its end.
            Some((first, end)) => (first.parse().ok()?, end.parse::<u16>().ok()?.checked_sub(1)?),
            None => (port.parse().ok()?, port.parse().ok()?),
        };
        Some(Self::Between(first..=last))
    }

    fn covers(&self, port: Option<u16>, default: Option<u16>) -> bool {
        match self {
            Self::Any => true,
            Self::Default => port.is_some() && port == default,
            Self::Between(ports) => port.is_some_and(|port| ports.contains(&port)),
        }
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(entry: &str, url: (&str, &str, Option<u16>), allowed: bool) {
        let hosts = AllowedHosts::parse(&[entry.to_owned()]).unwrap();
        assert_eq!(hosts.allow(url.0, url.1, url.2), allowed, "{entry} {url:?}");
    }

    #[test]
    fn only_what_an_entry_names_is_allowed() {
        check("https://a.example", ("https", "a.example", None), true);
        check("https://a.example", ("https", "A.example", Some(443)), true);
        check("https://a.example", ("https", "a.example", Some(8443)), false);
        check("https://a.example", ("http", "a.example", None), false);
        check("https://a.example", ("https", "b.example", None), false);
        check("https://*.example:*", ("https", "a.example", Some(9)), true);
        check("https://*.example:*", ("https", "example", Some(9)), false);
        check("*://*:*", ("http", "127.0.0.1", Some(9)), true);
        check("http://127.0.0.1:*", ("http", "127.0.0.1", Some(9)), true);
        check("http://[::1]:80..82", ("http", "[::1]", Some(81)), true);
        check("http://[::1]:80..82", ("http", "[::1]", Some(82)), false);
        check("http://[::1]", ("http", "[::1]", None), true);
    }

    #[test]
    fn what_is_not_understood_is_refused_at_the_start() {
        for entry in ["example.com", "http://self", "http://10.0.0.0/8", "http://*x", "http://a:b"] {
            assert!(AllowedHosts::parse(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }
}
