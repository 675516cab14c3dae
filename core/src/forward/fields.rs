//! The fields of a forwarded message: what is taken off, what is put on (RFC 9110, section 7.6; RFC 7239).

use std::net::IpAddr;

use http::header::{CONNECTION, FORWARDED, TE, VIA};
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

/// The fields of the forwarded request, made from the client's in one pass.
///
/// Hop-by-hop fields are left out, and those that `Connection` names; so is `Host`, which the caller sets to the
/// upstream's.
#[must_use]
pub fn request_fields(received: &HeaderMap, client: &ForwardedFor<'_>) -> HeaderMap {
    let nominated = nominated(received);
    let mut fields = HeaderMap::with_capacity(received.len() + FIELDS_ADDED);
    for (name, value) in received {
        let text = name.as_str();
        let dropped = is_hop_by_hop(text)
            || matches!(text, "host" | "expect")
            || (!client.trusted && is_client_claim(text))
            || nominated.contains(name);
        if !dropped {
            fields.append(name.clone(), value.clone());
        }
    }
    if received.get_all(TE).iter().any(|v| v.as_bytes().eq_ignore_ascii_case(b"trailers")) {
        fields.insert(TE, HeaderValue::from_static("trailers"));
    }
    append_list(&mut fields, FORWARDED, &forwarded_element(client));
    let address = client.address.map(|a| a.to_string());
    append_list(&mut fields, X_FORWARDED_FOR, address.as_deref().unwrap_or("unknown"));
    set_absent(&mut fields, X_FORWARDED_HOST, client.host);
    set_absent(&mut fields, X_FORWARDED_PROTO, if client.https { "https" } else { "http" });
    append_list(&mut fields, VIA, &via(client.version));
    fields
}

/// Makes a response's fields fit for the client, in place.
pub fn response_fields(fields: &mut HeaderMap, version: Version) {
    strip_hop_by_hop(fields);
    append_list(fields, VIA, &via(version));
}

/// Whether a field is for the far end; the others are for one connection only and are not stored or forwarded.
#[must_use]
pub fn is_end_to_end(name: &HeaderName) -> bool {
    !is_hop_by_hop(name.as_str())
}

/// RFC 9110, section 7.6.1, and what older proxies invented.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-authentication-info"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// What a client may claim of earlier hops, believed only where the configuration says so.
fn is_client_claim(name: &str) -> bool {
    name == "forwarded"
        || name.starts_with("x-forwarded-")
        || matches!(name, "x-real-ip" | "x-original-url" | "x-rewrite-url")
}

/// Fields that `Connection` cannot take off: without them the message would mean something else.
const NEVER_NOMINATED: [&str; 7] =
    ["host", "content-length", "content-type", "content-encoding", "cache-control", "authorization", "cookie"];

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Room for what the gateway puts on: the fields above, `Via`, `Host`, the request id and the trace.
const FIELDS_ADDED: usize = 10;

/// The fields that `Connection` names as belonging to this connection only.
fn nominated(fields: &HeaderMap) -> Vec<HeaderName> {
    fields
        .get_all(CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|b| *b == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| !NEVER_NOMINATED.contains(&name.as_str()))
        .collect()
}

fn strip_hop_by_hop(fields: &mut HeaderMap) {
    let mut dropped = nominated(fields);
    dropped.extend(fields.keys().filter(|name| is_hop_by_hop(name.as_str())).cloned());
    for name in dropped {
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
    if !fields.contains_key(&name) {
        return set_absent(fields, name, element);
    }
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

fn set_absent(fields: &mut HeaderMap, name: HeaderName, value: &str) {
    if !fields.contains_key(&name)
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
        let f = fields(&[
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
        let f = request_fields(&f, &client(false));
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
        let f = fields(&claims);
        let f = request_fields(&f, &client(false));
        assert_eq!(f["forwarded"], "for=192.0.2.1;host=\"api.example.com:8443\";proto=https");
        assert_eq!(
            (&f["x-forwarded-for"], &f["x-forwarded-proto"], f.get("x-real-ip")),
            (&"192.0.2.1".parse().unwrap(), &"https".parse().unwrap(), None)
        );
        assert_eq!(f["via"], "2 tollgate");
        let f = fields(&claims);
        let f = request_fields(&f, &client(true));
        assert_eq!(f["x-forwarded-for"], "9.9.9.9, 192.0.2.1");
        assert_eq!(f["x-forwarded-proto"], "http");
    }
}
