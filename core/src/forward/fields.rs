//! The fields of a forwarded message: what is removed and what is added (RFC 9110, section 7.6; RFC 7239).

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, FORWARDED, TE, TRANSFER_ENCODING, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Version, response};

use super::forwarded::{
    ClientFields, ForwardedFor, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, forwarded, forwarded_for, scheme,
};
use super::framing::frame_response;
use super::names::{Meaning, as_read, is_for_all_recipients, is_hop_by_hop, meaning};
use super::{Edits, Fate, Texts};

/// The name this gateway goes by in `Via`, `Cache-Status` and `Proxy-Status`.
pub const PSEUDONYM: &str = "tollgate";

/// Why it is not certain what a server behind the gateway makes of a forwarded request: nobody else may get its response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguity {
    /// A field in which some servers read another method.
    Method,
    /// A field whose name some servers read as that of another field.
    Spelling,
}

/// The edits of a request's fields for the upstream, and what is ambiguous about those that remain.
///
/// Removes hop-by-hop fields, the fields that `Connection` names, those that describe the client, and `Host`, which the
/// caller sets to the upstream's; also the spellings that CGI reads as one of the fields that the gateway sets or removes.
/// `fate` decides about the others, by their name and the name as it is read.
pub fn request_edits(
    edits: &mut Edits,
    texts: &mut Texts,
    received: &HeaderMap,
    client: &ForwardedFor<'_>,
    fate: impl Fn(&HeaderName, &str) -> Fate,
) -> Option<Ambiguity> {
    let mut ambiguity = None;
    let mut seen = Seen::default();
    for name in received.keys() {
        seen.note(name);
        let read = as_read(name.as_str());
        let is_plain = matches!(read, Cow::Borrowed(_));
        let meaning = meaning(&read, is_plain);
        if meaning == Meaning::NotForwarded || fate(name, &read) == Fate::Removed {
            edits.remove(name.clone());
        } else if meaning == Meaning::Method {
            ambiguity = Some(Ambiguity::Method);
        } else if !is_plain {
            ambiguity = ambiguity.or(Some(Ambiguity::Spelling));
        }
    }
    if seen.coding {
        edits.remove(CONTENT_LENGTH);
    }
    if seen.connection {
        remove_nominated(edits, received, |name| fate(name, &as_read(name.as_str())) == Fate::Kept);
    }
    if seen.te && accepts_trailers(received) {
        edits.set(TE, HeaderValue::from_static("trailers"));
    }
    tell_client(edits, texts, client);
    append_via(edits, received, &seen, client.version);
    ambiguity
}

/// Tells the upstream who the client is, in the fields that the configuration selects.
fn tell_client(edits: &mut Edits, texts: &mut Texts, client: &ForwardedFor<'_>) {
    if client.fields != ClientFields::XForwarded {
        edits.set_some(FORWARDED, texts.value(|text| forwarded(text, client)));
    }
    if client.fields != ClientFields::Forwarded {
        edits.set_some(X_FORWARDED_FOR, texts.value(|text| forwarded_for(text, client)));
        if !client.client_host.is_empty() {
            edits.set_some(X_FORWARDED_HOST, texts.of(client.client_host));
        }
        edits.set(X_FORWARDED_PROTO, HeaderValue::from_static(scheme(client.client_https)));
    }
}

/// The fields of a message that need more than their name: a look-up of each costs more than to notice them on the way.
#[derive(Debug, Default)]
struct Seen {
    coding: bool,
    connection: bool,
    length: bool,
    te: bool,
    via: bool,
}

impl Seen {
    fn note(&mut self, name: &HeaderName) {
        self.coding |= *name == TRANSFER_ENCODING;
        self.connection |= *name == CONNECTION;
        self.length |= *name == CONTENT_LENGTH;
        self.te |= *name == TE;
        self.via |= *name == VIA;
    }
}

/// The edits of a response's fields for the client.
pub fn response_edits(edits: &mut Edits, response: &response::Parts) {
    let received = &response.headers;
    let mut seen = Seen::default();
    for name in received.keys() {
        seen.note(name);
        if is_hop_by_hop(name.as_str()) {
            edits.remove(name.clone());
        }
    }
    if seen.connection {
        remove_nominated(edits, received, |_| false);
    }
    if seen.length {
        frame_response(edits, response.status, received);
    }
    append_via(edits, received, &seen, response.version);
}

/// Whether a field is part of a stored response: hop-by-hop fields are not, nor is the announcement of trailers, which
/// are not stored (RFC 9111, section 3.1).
#[must_use]
pub fn is_end_to_end(name: &HeaderName) -> bool {
    !is_hop_by_hop(name.as_str()) && name.as_str() != "trailer"
}

/// Whether the sender keeps trailers and passes them on (RFC 9110, section 10.1.4).
fn accepts_trailers(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(TE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    codings.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"trailers"))
}

/// The names in `Connection`.
pub(super) fn nominated(fields: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    let tokens = fields.get_all(CONNECTION).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    tokens.filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
}

/// Removes the fields that `Connection` declares as hop-by-hop.
fn remove_nominated(edits: &mut Edits, fields: &HeaderMap, kept: impl Fn(&HeaderName) -> bool) {
    let from = edits.len();
    for name in nominated(fields).filter(|name| fields.contains_key(name)) {
        let is_repeated = edits.as_slice()[from..].iter().any(|edit| *edit.name() == name);
        if !is_repeated && !is_for_all_recipients(name.as_str()) && !kept(&name) {
            edits.remove(name);
        }
    }
}

/// Adds this gateway to `Via`, under the name [`PSEUDONYM`].
fn append_via(edits: &mut Edits, received: &HeaderMap, seen: &Seen, version: Version) {
    let element = match version {
        Version::HTTP_09 => "0.9 tollgate",
        Version::HTTP_10 => "1.0 tollgate",
        Version::HTTP_2 => "2 tollgate",
        Version::HTTP_3 => "3 tollgate",
        _ => "1.1 tollgate",
    };
    if seen.via && edits.over(received).contains(VIA) {
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
    use std::net::IpAddr;

    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn client(earlier: &[Option<IpAddr>]) -> ForwardedFor<'_> {
        ForwardedFor {
            fields: ClientFields::Both,
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
        let fate = |name: &HeaderName, _: &str| if name == "x-version" { Fate::Kept } else { Fate::Forwarded };
        request_edits(&mut edits, &mut Texts::default(), received, client, fate);
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
            ("http2-settings", "AAMAAABk"),
            ("authorization", "kept"),
            ("transfer-encoding", "chunked"),
            ("keep-alive", "1"),
            ("expect", "100-continue"),
            ("x-kept", "1"),
        ]);
        let f = request_fields(&f, &client(&[]));
        for gone in
            ["connection", "x-gone", "upgrade", "http2-settings", "transfer-encoding", "keep-alive", "expect", "host"]
        {
            assert!(!f.contains_key(gone), "{gone}");
        }
        assert_eq!(f["te"], "trailers");
        let mut edits = Edits::default();
        let repeated = fields(&[("connection", "x-a, X-A, x-b, x-a"), ("x-a", "1")]);
        request_edits(&mut edits, &mut Texts::default(), &repeated, &client(&[]), |_, _| Fate::Forwarded);
        assert_eq!(edits.as_slice().iter().filter(|edit| edit.name() == "x-a").count(), 1);
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
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_length_beside_a_transfer_coding_is_removed() {
        let received = fields(&[("content-length", "5"), ("transfer-encoding", "chunked")]);
        assert!(!request_fields(&received, &client(&[])).contains_key("content-length"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_servers_may_read_otherwise_is_ambiguous() {
        let ambiguity = |lines: &[(&'static str, &str)]| {
            request_edits(&mut Edits::default(), &mut Texts::default(), &fields(lines), &client(&[]), |_, _| {
                Fate::Forwarded
            })
        };
        assert_eq!(ambiguity(&[("accept-language", "fr"), ("x_forwarded_for", "9.9.9.9")]), None);
        for name in ["accept_language", "if_none_match", "x.a"] {
            assert_eq!(ambiguity(&[(name, "fr")]), Some(Ambiguity::Spelling), "{name}");
        }
        for name in ["x-http-method-override", "x_http_method_override", "x-method-override", "x-http-method"] {
            assert_eq!(ambiguity(&[(name, "DELETE"), ("x_a", "1")]), Some(Ambiguity::Method), "{name}");
            assert_eq!(ambiguity(&[("x_a", "1"), (name, "DELETE")]), Some(Ambiguity::Method), "{name}");
        }
        let removed = |_: &HeaderName, _: &str| Fate::Removed;
        let came = fields(&[("accept_language", "fr")]);
        assert_eq!(
            request_edits(&mut Edits::default(), &mut Texts::default(), &came, &client(&[]), removed),
            None,
            "it is not forwarded"
        );
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
