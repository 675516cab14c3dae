//! Names of fields: those of one hop, those that describe the client, those that the gateway sets, and their spellings.

use std::borrow::Cow;

/// What a request's field means to the servers behind the gateway, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is of this hop, describes the client, or is a disguise of a field that the gateway sets, derives or removes.
    NotForwarded,
    /// Some servers read in it a method that applies instead of the request's.
    Method,
    /// Nothing that concerns the gateway.
    Other,
}

/// Fields of requests that the gateway does not read, unless the configuration names them or the route is cached. They say
/// nothing about the client's identity, the connection, or the framing of the message.
pub const UNREAD_IN_REQUESTS: [&str; 17] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "dnt",
    "pragma",
    "priority",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "sec-fetch-user",
    "upgrade-insecure-requests",
    "user-agent",
];

/// Fields of responses that the gateway does not read, unless the route is cached.
pub const UNREAD_IN_RESPONSES: [&str; 16] = [
    "accept-ranges",
    "age",
    "cache-control",
    "content-encoding",
    "content-language",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "pragma",
    "referrer-policy",
    "strict-transport-security",
    "vary",
    "x-content-type-options",
    "x-frame-options",
];

/// The meaning of a field of a request, by its name [as it is read](as_read); `is_plain` says whether it was sent so.
pub(super) fn meaning(name: &str, is_plain: bool) -> Meaning {
    if is_hop_by_hop(name) || is_client_claim(name) || matches!(name, "host" | "expect") {
        return Meaning::NotForwarded;
    }
    if !is_plain && (is_ours(name) || matches!(name, "content-length" | "content-type")) {
        return Meaning::NotForwarded;
    }
    if matches!(name, "x-http-method-override" | "x-http-method" | "x-method-override") {
        return Meaning::Method;
    }
    Meaning::Other
}

/// Whether the gateway removes this field from requests, or writes it itself, whatever the configuration says.
#[must_use]
pub fn is_never_forwarded(name: &str) -> bool {
    let name = as_read(name);
    name != "host" && (meaning(&name, true) == Meaning::NotForwarded || is_ours(&name) && name != "via")
}

/// The name as it is read by servers that build names of variables from those of fields (CGI, RFC 3875, section 4.1.18;
/// WSGI): for them `-` is `_`, and for some so is every character that is neither letter nor digit. Owned if the name has
/// another spelling. Two fields are the same to such a server if they have the same name here.
pub(super) fn as_read(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|byte| READ_AS_SENT[usize::from(byte)]) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect())
}

/// The characters that all servers read as they were sent.
const READ_AS_SENT: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte: u8 = 0;
    while byte < 0x80 {
        all[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    all
};

/// RFC 9110, section 7.6.1, and fields of older proxies.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
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
            || matches!(
                name,
                "original-url"
                    | "original-uri"
                    | "original-method"
                    | "rewrite-url"
                    | "host"
                    | "original-host"
                    | "http-host-override"
            )
            || matches!(name, "scheme" | "url-scheme");
    }
    matches!(
        name,
        "forwarded"
            | "forwarded-for"
            | "client-cert"
            | "client-cert-chain"
            | "client-ip"
            | "true-client-ip"
            | "cf-connecting-ip"
            | "fastly-client-ip"
            | "front-end-https"
            | "proxy"
    )
}

/// Fields that the gateway sets in requests or responses, other than those of [`is_client_claim`].
fn is_ours(name: &str) -> bool {
    matches!(
        name,
        "cache-status"
            | "proxy-status"
            | "ratelimit"
            | "ratelimit-policy"
            | "traceparent"
            | "tracestate"
            | "via"
            | "x-request-id"
    )
}

/// Whether a field may be in the trailers of a forwarded message, by its name [as it is read](as_read).
///
/// Those that recipients need before the content, and those that the gateway sets or removes in the head, may not (RFC
/// 9110, section 6.5.1).
pub(super) fn may_trail(name: &str, is_plain: bool) -> bool {
    let is_early = ["access-control-", "content-", "if-", "sec-"].iter().any(|prefix| name.starts_with(prefix))
        || matches!(
            name,
            "age"
                | "alt-svc"
                | "authorization"
                | "cache-control"
                | "cookie"
                | "date"
                | "expires"
                | "last-modified"
                | "link"
                | "location"
                | "max-forwards"
                | "origin"
                | "pragma"
                | "range"
                | "retry-after"
                | "set-cookie"
                | "strict-transport-security"
                | "trailer"
                | "vary"
                | "www-authenticate"
        );
    !is_early && !is_ours(name) && meaning(name, is_plain) == Meaning::Other
}

/// Whether a field is for all recipients, so that `Connection` cannot remove it (RFC 9110, section 7.6.1): without it the
/// message would have another meaning, or be stored or used where it must not be.
pub(super) fn is_for_all_recipients(name: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn spellings_are_read_as_one_name() {
        for name in ["x-api-key", "x_api_key", "x.api-key", "x~api|key"] {
            assert_eq!(as_read(name), "x-api-key");
        }
        assert!(matches!(as_read("x-api-key"), Cow::Borrowed(_)));
        for other in ["xaapi-key", "x-api-key-", "x--api-key"] {
            assert_ne!(as_read(other), "x-api-key");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_field_of_the_gateway_is_only_forwarded_under_its_own_name() {
        for name in ["x_request_id", "trace.parent", "content_length", "content_type"] {
            let expected = if name == "trace.parent" { Meaning::Other } else { Meaning::NotForwarded };
            assert_eq!(meaning(&as_read(name), false), expected, "{name}");
        }
        for name in ["x-request-id", "traceparent", "content-length", "content-type", "via"] {
            assert_eq!(meaning(name, true), Meaning::Other, "{name}");
        }
    }
}
