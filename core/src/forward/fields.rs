//! The fields of a forwarded message: what is removed and what is added (RFC 9110, section 7.6; RFC 7239).

use std::borrow::Cow;
use std::fmt::Write;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, FORWARDED, TE, TRANSFER_ENCODING, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version, response};

use super::Edits;
use super::framing::frame_response;

/// The name this gateway goes by in `Via`, `Cache-Status` and `Proxy-Status`.
pub const PSEUDONYM: &str = "tollgate";

/// The information about the client, and the connection from it, that the upstream gets.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedFor<'a> {
    /// The address of the connection's peer, if known.
    pub peer: Option<IpAddr>,
    /// The host that the peer asked for, with its port; empty if it named none.
    pub host: &'a str,
    /// Whether the connection was encrypted.
    pub https: bool,
    /// The hops before the peer that are trusted, the client first, `None` for an unknown one.
    pub earlier: &'a [Option<IpAddr>],
    /// The host that the client asked for, with its port: if there are no earlier hops, that of the peer.
    pub client_host: &'a str,
    /// Whether the client's connection was encrypted.
    pub client_https: bool,
    /// The HTTP version of the connection.
    pub version: Version,
}

/// The edits of a request's fields for the upstream.
///
/// Removes hop-by-hop fields, the fields that `Connection` names unless they are `kept`, and `Host`, which the caller
/// sets to the upstream's; also the spellings that CGI reads as one of the fields that the gateway sets or removes.
pub fn request_edits(
    edits: &mut Edits,
    received: &HeaderMap,
    client: &ForwardedFor<'_>,
    kept: impl Fn(&HeaderName) -> bool,
) {
    for name in received.keys() {
        let text = name.as_str();
        let is_of_this_hop = is_hop_by_hop(text) || matches!(text, "host" | "expect");
        if is_of_this_hop || is_client_claim(text) || is_disguised(text) {
            edits.remove(name.clone());
        }
    }
    if received.contains_key(TRANSFER_ENCODING) {
        edits.remove(CONTENT_LENGTH);
    }
    remove_nominated(edits, received, kept);
    if accepts_trailers(received) {
        edits.set(TE, HeaderValue::from_static("trailers"));
    }
    edits.set_text(FORWARDED, &forwarded(client));
    edits.set_text(X_FORWARDED_FOR, &forwarded_for(client));
    if !client.client_host.is_empty() {
        edits.set_text(X_FORWARDED_HOST, client.client_host);
    }
    edits.set(X_FORWARDED_PROTO, HeaderValue::from_static(scheme(client.client_https)));
    append_via(edits, received, client.version);
}

/// The edits of a response's fields for the client.
pub fn response_edits(edits: &mut Edits, response: &response::Parts) {
    let received = &response.headers;
    for name in received.keys().filter(|name| is_hop_by_hop(name.as_str())) {
        edits.remove(name.clone());
    }
    remove_nominated(edits, received, |_| false);
    frame_response(edits, response.status, received);
    append_via(edits, received, response.version);
}

/// Whether a field is part of a stored response: hop-by-hop fields are not, nor is the announcement of trailers, which
/// are not stored (RFC 9111, section 3.1).
#[must_use]
pub fn is_end_to_end(name: &HeaderName) -> bool {
    !is_hop_by_hop(name.as_str()) && name.as_str() != "trailer"
}

/// Removes the trailer fields that must not be forwarded: those that recipients need before the content, and those that
/// the gateway sets or removes in the head (RFC 9110, section 6.5.1).
pub fn filter_trailers(trailers: &mut HeaderMap) {
    let refused: Vec<HeaderName> = trailers.keys().filter(|name| !may_trail(name.as_str())).cloned().collect();
    for name in refused {
        trailers.remove(name);
    }
}

fn may_trail(name: &str) -> bool {
    let is_early = name.starts_with("content-")
        || name.starts_with("if-")
        || matches!(
            name,
            "age"
                | "authorization"
                | "cache-control"
                | "cookie"
                | "date"
                | "expect"
                | "expires"
                | "host"
                | "location"
                | "max-forwards"
                | "pragma"
                | "range"
                | "retry-after"
                | "set-cookie"
                | "trailer"
                | "vary"
                | "www-authenticate"
        );
    !(is_early || is_hop_by_hop(name) || is_client_claim(name) || is_ours(name) || is_disguised(name))
}

/// Whether the sender keeps trailers and passes them on (RFC 9110, section 10.1.4).
fn accepts_trailers(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(TE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// Whether servers that build the names of variables from those of fields (CGI, RFC 3875, section 4.1.18; WSGI) read the
/// first as the second, which is in lower case: for them `-` is `_`, and for some so is every character that is neither
/// letter nor digit.
#[must_use]
pub fn reads_as(name: &str, field: &str) -> bool {
    let same =
        |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric());
    name.len() == field.len() && name.bytes().zip(field.bytes()).all(same)
}

/// Whether it is another spelling of a field that the gateway sets, derives or removes, in the sense of [`reads_as`].
fn is_disguised(name: &str) -> bool {
    let Cow::Owned(plain) = as_read(name) else { return false };
    let is_framing = matches!(plain.as_str(), "content-length" | "content-type");
    is_framing || is_ours(&plain) || is_hop_by_hop(&plain) || is_client_claim(&plain)
}

/// Fields that the gateway sets in every request, other than those of [`is_client_claim`].
fn is_ours(name: &str) -> bool {
    matches!(name, "traceparent" | "tracestate" | "via" | "x-request-id")
}

/// RFC 9110, section 7.6.1, and fields of older proxies.
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
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Fields with which a request describes earlier hops, or itself. The gateway writes those that are trusted again.
///
/// Servers and frameworks believe the others too, and `Proxy` becomes the variable `HTTP_PROXY` of CGI programs.
fn is_client_claim(name: &str) -> bool {
    if let Some(name) = name.strip_prefix("x-") {
        return name.starts_with("forwarded")
            || matches!(
                name,
                "real-ip" | "client-ip" | "cluster-client-ip" | "envoy-external-address" | "original-forwarded-for"
            )
            || matches!(name, "original-url" | "rewrite-url" | "host" | "original-host" | "http-host-override")
            || matches!(name, "scheme" | "url-scheme");
    }
    matches!(
        name,
        "forwarded"
            | "forwarded-for"
            | "true-client-ip"
            | "cf-connecting-ip"
            | "fastly-client-ip"
            | "front-end-https"
            | "proxy"
    )
}

/// Whether servers read in this field which URL the client used: the response may depend on it although its `Vary` does not
/// say so.
#[must_use]
pub fn tells_url(name: &str) -> bool {
    let name = as_read(name);
    match name.strip_prefix("x-") {
        Some(rest) => {
            rest.strip_prefix("forwarded-").is_some_and(|part| part != "for")
                || matches!(rest, "host" | "http-host-override" | "original-host" | "original-url" | "rewrite-url")
                || matches!(rest, "scheme" | "url-scheme")
        }
        None => matches!(name.as_ref(), "forwarded" | "front-end-https"),
    }
}

/// Whether servers read in this field a method that applies instead of the request's.
#[must_use]
pub fn overrides_method(name: &str) -> bool {
    matches!(as_read(name).as_ref(), "x-http-method-override" | "x-http-method" | "x-method-override")
}

/// The plain spelling of a name, in the sense of [`reads_as`]; owned if the name has another.
fn as_read(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect())
}

/// Whether a field is for all recipients, so that `Connection` cannot remove it (RFC 9110, section 7.6.1): without it the
/// message would have another meaning, or be stored or used where it must not be.
fn is_for_all_recipients(name: &str) -> bool {
    const OTHERS: [&str; 14] = [
        "host",
        "authorization",
        "cookie",
        "set-cookie",
        "range",
        "cache-control",
        "pragma",
        "age",
        "date",
        "expires",
        "vary",
        "etag",
        "last-modified",
        "location",
    ];
    name.starts_with("content-") || name.starts_with("if-") || OTHERS.contains(&name)
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Removes the fields that `Connection` declares as hop-by-hop.
fn remove_nominated(edits: &mut Edits, fields: &HeaderMap, kept: impl Fn(&HeaderName) -> bool) {
    let tokens = fields.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let names = tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok());
    for name in names.filter(|name| fields.contains_key(name)) {
        if !is_for_all_recipients(name.as_str()) && !kept(&name) {
            edits.remove(name);
        }
    }
}

/// The hops in the form of `Forwarded` (RFC 7239, section 4): IPv6 addresses, and hosts with a port, are quoted.
fn forwarded(client: &ForwardedFor<'_>) -> String {
    let mut text = String::with_capacity(client.host.len() + ELEMENT_BYTES_USUAL * (client.earlier.len() + 1));
    for (at, hop) in client.earlier.iter().enumerate() {
        push_node(&mut text, *hop);
        if at == 0 {
            push_target(&mut text, client.client_host, client.client_https);
        }
        text.push_str(", ");
    }
    push_node(&mut text, client.peer);
    push_target(&mut text, client.host, client.https);
    text
}

fn push_node(text: &mut String, address: Option<IpAddr>) {
    // Writing to a String does not fail.
    let _ = match address {
        Some(IpAddr::V4(address)) => write!(text, "for={address}"),
        Some(IpAddr::V6(address)) => write!(text, "for=\"[{address}]\""),
        None => write!(text, "for=unknown"),
    };
}

fn push_target(text: &mut String, host: &str, https: bool) {
    if !host.is_empty() {
        for part in [";host=\"", host, "\""] {
            text.push_str(part);
        }
    }
    text.push_str(";proto=");
    text.push_str(scheme(https));
}

/// The hops in the form of `X-Forwarded-For`.
fn forwarded_for(client: &ForwardedFor<'_>) -> String {
    let mut text = String::with_capacity(ADDRESS_BYTES_USUAL * (client.earlier.len() + 1));
    for (at, hop) in client.earlier.iter().chain([&client.peer]).enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        // Writing to a String does not fail.
        let _ = match hop {
            Some(address) => write!(text, "{address}"),
            None => write!(text, "unknown"),
        };
    }
    text
}

const fn scheme(https: bool) -> &'static str {
    if https { "https" } else { "http" }
}

/// Capacity of an element of `Forwarded`, without its host.
const ELEMENT_BYTES_USUAL: usize = 48;

/// Capacity of an element of `X-Forwarded-For`.
const ADDRESS_BYTES_USUAL: usize = 18;

/// Adds this gateway to `Via`, under the name [`PSEUDONYM`].
fn append_via(edits: &mut Edits, received: &HeaderMap, version: Version) {
    let element = match version {
        Version::HTTP_09 => "0.9 tollgate",
        Version::HTTP_10 => "1.0 tollgate",
        Version::HTTP_2 => "2 tollgate",
        Version::HTTP_3 => "3 tollgate",
        _ => "1.1 tollgate",
    };
    if edits.over(received).contains(VIA) {
        append_list(edits, received, VIA, element.to_owned());
    } else {
        edits.set(VIA, HeaderValue::from_static(element));
    }
}

/// Adds an element to a list field, in one line with the existing elements.
fn append_list(edits: &mut Edits, received: &HeaderMap, name: HeaderName, element: String) {
    let mut line: Vec<u8> = Vec::new();
    for value in edits.over(received).get_all(&name) {
        line.extend(value.as_bytes());
        line.extend(b", ");
    }
    if line.is_empty() {
        line = element.into_bytes();
    } else {
        line.extend(element.as_bytes());
    }
    if let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(line)) {
        edits.set(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn client(earlier: &[Option<IpAddr>]) -> ForwardedFor<'_> {
        ForwardedFor {
            peer: Some("192.0.2.1".parse().unwrap()),
            host: "api.example.com:8443",
            https: true,
            earlier,
            client_host: if earlier.is_empty() { "api.example.com:8443" } else { "www.example.com" },
            client_https: earlier.is_empty(),
            version: Version::HTTP_2,
        }
    }

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    fn request_fields(received: &HeaderMap, client: &ForwardedFor<'_>) -> HeaderMap {
        let mut edits = Edits::default();
        request_edits(&mut edits, received, client, |name| name == "x-version");
        edits.over(received).to_map()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn hop_by_hop_fields_and_those_connection_names_are_removed() {
        let f = fields(&[
            ("connection", "close, X-Gone, host, authorization, x-version"),
            ("x-gone", "1"),
            ("x-version", "2"),
            ("te", "gzip;q=0.5, Trailers"),
            ("upgrade", "h2c"),
            ("authorization", "kept"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "1"),
            ("expect", "100-continue"),
            ("x-kept", "1"),
        ]);
        let f = request_fields(&f, &client(&[]));
        for gone in ["connection", "x-gone", "upgrade", "transfer-encoding", "keep-alive", "expect", "host"] {
            assert!(!f.contains_key(gone), "{gone}");
        }
        assert_eq!(f["te"], "trailers");
        assert_eq!((&f["authorization"], &f["x-version"]), (&"kept".parse().unwrap(), &"2".parse().unwrap()));
        assert_eq!(f["x-kept"], "1");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn spellings_that_cgi_reads_as_a_field_of_the_gateway_are_removed() {
        let disguised = [
            ("x_forwarded_for", "9.9.9.9"),
            ("x-forwarded_for", "9.9.9.9"),
            ("x.forwarded.proto", "http"),
            ("x_real_ip", "9.9.9.9"),
            ("x_request_id", "1"),
            ("proxy_authorization", "Basic x"),
            ("content_length", "9"),
        ];
        for earlier in [&[][..], &[None]] {
            let mut received = fields(&disguised);
            received.insert("x_other", HeaderValue::from_static("kept"));
            let sent = request_fields(&received, &client(earlier));
            assert!(disguised.iter().all(|(name, _)| !sent.contains_key(*name)), "{sent:?}");
            assert_eq!(sent["x_other"], "kept");
        }
        assert!(reads_as("X_Api.Key", "x-api-key") && reads_as("x-api-key", "x-api-key"));
        assert!(!reads_as("xaapi-key", "x-api-key") && !reads_as("x-api-key-", "x-api-key"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_length_beside_a_transfer_coding_is_removed() {
        let received = fields(&[("content-length", "5"), ("transfer-encoding", "chunked")]);
        assert!(!request_fields(&received, &client(&[])).contains_key("content-length"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn trailers_contain_nothing_that_belongs_to_the_head() {
        let mut trailers = fields(&[
            ("grpc-status", "0"),
            ("x-checksum", "1"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x_forwarded_for", "9.9.9.9"),
            ("x-request-id", "1"),
            ("authorization", "Bearer x"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("host", "a"),
        ]);
        filter_trailers(&mut trailers);
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-checksum"]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_client_that_names_no_host_has_none_in_forwarded() {
        let client = ForwardedFor { host: "", client_host: "", ..client(&[]) };
        let sent = request_fields(&HeaderMap::new(), &client);
        assert_eq!(sent["forwarded"], "for=192.0.2.1;proto=https");
        assert!(!sent.contains_key("x-forwarded-host"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn claims_about_earlier_hops_are_replaced_by_those_that_are_trusted() {
        let f = fields(&[
            ("forwarded", "for=9.9.9.9"),
            ("x-forwarded-for", "9.9.9.9"),
            ("x-forwarded-proto", "ftp"),
            ("x-forwarded-port", "1"),
            ("x-real-ip", "9.9.9.9"),
            ("x-original-url", "/admin"),
            ("true-client-ip", "9.9.9.9"),
            ("x-forwarded", "for=9.9.9.9"),
            ("x-host", "h"),
            ("proxy", "http://9.9.9.9"),
        ]);
        let peers = request_fields(&f, &client(&[]));
        assert_eq!(peers["forwarded"], "for=192.0.2.1;host=\"api.example.com:8443\";proto=https");
        assert_eq!(peers["x-forwarded-for"], "192.0.2.1");
        assert_eq!(
            (&peers["x-forwarded-host"], &peers["x-forwarded-proto"]),
            (&"api.example.com:8443".parse().unwrap(), &"https".parse().unwrap())
        );
        let gone =
            ["x-real-ip", "x-original-url", "x-forwarded-port", "true-client-ip", "x-forwarded", "x-host", "proxy"];
        for gone in gone {
            assert!(!peers.contains_key(gone), "{gone}");
        }
        assert_eq!(peers["via"], "2 tollgate");
        let hops = [Some("2001:db8::1".parse().unwrap()), None];
        let trusted = request_fields(&f, &client(&hops));
        let clients = "for=\"[2001:db8::1]\";host=\"www.example.com\";proto=http, for=unknown, ";
        assert_eq!(trusted["forwarded"], format!("{clients}for=192.0.2.1;host=\"api.example.com:8443\";proto=https"));
        assert_eq!(trusted["x-forwarded-for"], "2001:db8::1, unknown, 192.0.2.1");
        assert_eq!(
            (&trusted["x-forwarded-host"], &trusted["x-forwarded-proto"]),
            (&"www.example.com".parse().unwrap(), &"http".parse().unwrap())
        );
    }
}
