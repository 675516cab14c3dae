//! The fields of a forwarded message: what is taken off, what is put on (RFC 9110, section 7.6; RFC 7239).

use std::collections::HashSet;
use std::net::IpAddr;

use http::header::{CONNECTION, EXPECT, FORWARDED, HOST, TE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// The name this gateway goes by in `Via`, `Cache-Status` and `Proxy-Status`.
pub const PSEUDONYM: &str = "tollgate";

/// What is told to the upstream of the client's own connection.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedFor<'a> {
    /// The client's address, where known.
    pub address: Option<IpAddr>,
    /// The host the client asked for, with its port.
    pub host: &'a str,
    /// Whether the client's connection was encrypted.
    pub https: bool,
    /// Whether what the client says of earlier hops is believed and kept.
    pub trusted: bool,
    /// The HTTP version of the client's connection.
    pub version: Version,
}

/// Makes a request's fields fit for the upstream, in place.
///
/// Hop-by-hop fields go, and those that `Connection` names; `Host` is left for the caller to set to the upstream's.
pub fn request_fields(fields: &mut HeaderMap, client: &ForwardedFor<'_>) {
    let trailers = fields.get_all(TE).iter().any(|v| v.as_bytes().eq_ignore_ascii_case(b"trailers"));
    strip_hop_by_hop(fields);
    fields.remove(EXPECT);
    fields.remove(HOST);
    if trailers {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    if !client.trusted {
        for name in CLIENT_CLAIMS {
            fields.remove(name);
        }
    }
    append_list(fields, FORWARDED, &forwarded_element(client));
    let address = client.address.map(|a| a.to_string());
    append_list(fields, HeaderName::from_static(X_FORWARDED_FOR), address.as_deref().unwrap_or("unknown"));
    set_absent(fields, X_FORWARDED_HOST, client.host);
    set_absent(fields, X_FORWARDED_PROTO, if client.https { "https" } else { "http" });
    append_list(fields, VIA, &via(client.version));
}

/// Makes a response's fields fit for the client, in place.
pub fn response_fields(fields: &mut HeaderMap, version: Version) {
    strip_hop_by_hop(fields);
    append_list(fields, VIA, &via(version));
}

/// Whether a field is for the far end; the others are for one connection only and are not stored or forwarded.
#[must_use]
pub fn is_end_to_end(name: &HeaderName) -> bool {
    !HOP_BY_HOP.contains(&name.as_str())
}

/// RFC 9110, section 7.6.1, and what older proxies invented.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-authentication-info",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a client may claim of earlier hops, believed only where the configuration says so.
const CLIENT_CLAIMS: [&str; 10] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
];

/// Fields that `Connection` cannot take off: without them the message would mean something else.
const NEVER_NOMINATED: [&str; 7] =
    ["host", "content-length", "content-type", "content-encoding", "cache-control", "authorization", "cookie"];

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_HOST: &str = "x-forwarded-host";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";

fn strip_hop_by_hop(fields: &mut HeaderMap) {
    if fields.contains_key(CONNECTION) {
        let nominated: HashSet<HeaderName> = fields
            .get_all(CONNECTION)
            .iter()
            .flat_map(|line| line.as_bytes().split(|b| *b == b','))
            .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
            .filter(|name| !NEVER_NOMINATED.contains(&name.as_str()))
            .collect();
        for name in nominated {
            fields.remove(name);
        }
    }
    for name in HOP_BY_HOP {
        fields.remove(name);
    }
}

/// One element of `Forwarded` (RFC 7239, section 4): addresses in IPv6 and hosts with a port are quoted.
fn forwarded_element(client: &ForwardedFor<'_>) -> String {
    let node = match client.address {
        Some(IpAddr::V4(address)) => address.to_string(),
        Some(IpAddr::V6(address)) => format!("\"[{address}]\""),
        None => "unknown".to_owned(),
    };
    let proto = if client.https { "https" } else { "http" };
    format!("for={node};host=\"{}\";proto={proto}", client.host)
}

fn via(version: Version) -> String {
    let version = match version {
        Version::HTTP_09 => "0.9",
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        Version::HTTP_3 => "3",
        _ => "1.1",
    };
    format!("{version} {PSEUDONYM}")
}

/// Adds an element to a list field, in one line with what is there.
fn append_list(fields: &mut HeaderMap, name: HeaderName, element: &str) {
    let mut line: Vec<u8> = Vec::new();
    for value in fields.get_all(&name) {
        line.extend(value.as_bytes());
        line.extend(b", ");
    }
    line.extend(element.as_bytes());
    if let Ok(value) = HeaderValue::from_bytes(&line) {
        fields.insert(name, value);
    }
}

fn set_absent(fields: &mut HeaderMap, name: &'static str, value: &str) {
    if !fields.contains_key(name)
        && let Ok(value) = HeaderValue::from_str(value)
    {
        fields.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn client(trusted: bool) -> ForwardedFor<'static> {
        ForwardedFor {
            address: Some("192.0.2.1".parse().unwrap()),
            host: "api.example.com:8443",
            https: true,
            trusted,
            version: Version::HTTP_2,
        }
    }

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn hop_by_hop_fields_go_and_what_connection_names_with_them() {
        let mut f = fields(&[
            ("connection", "close, X-Gone, host, authorization"),
            ("x-gone", "1"),
            ("te", "trailers"),
            ("upgrade", "h2c"),
            ("authorization", "kept"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "1"),
            ("expect", "100-continue"),
            ("x-kept", "1"),
        ]);
        request_fields(&mut f, &client(false));
        for gone in ["connection", "x-gone", "upgrade", "transfer-encoding", "keep-alive", "expect", "host"] {
            assert!(!f.contains_key(gone), "{gone}");
        }
        assert_eq!(f["te"], "trailers");
        assert_eq!(f["authorization"], "kept");
        assert_eq!(f["x-kept"], "1");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_a_client_claims_of_earlier_hops_is_replaced_unless_trusted() {
        let claims = [
            ("forwarded", "for=9.9.9.9"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "http"),
            ("x-real-ip", "9.9.9.9"),
        ];
        let mut f = fields(&claims);
        request_fields(&mut f, &client(false));
        assert_eq!(f["forwarded"], "for=192.0.2.1;host=\"api.example.com:8443\";proto=https");
        assert_eq!(
            (&f["x-forwarded-for"], &f["x-forwarded-proto"], f.get("x-real-ip")),
            (&"192.0.2.1".parse().unwrap(), &"https".parse().unwrap(), None)
        );
        assert_eq!(f["via"], "2 tollgate");
        let mut f = fields(&claims);
        request_fields(&mut f, &client(true));
        assert_eq!(f["x-forwarded-for"], "9.9.9.9, 192.0.2.1");
        assert_eq!(f["x-forwarded-proto"], "http");
    }
}
