//! What the upstream is told of the client, as `Forwarded` (RFC 7239) and as `X-Forwarded-For`.

use std::fmt::Write;
use std::net::IpAddr;

use crate::codec::Decode;
use http::header::FORWARDED;
use http::{HeaderName, Version};
use minicbor::Encode;
use serde::{Deserialize, Serialize};

use crate::text::decimal;

/// The fields that tell upstreams who the client is, and which URL it used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
#[cbor(index_only)]
pub enum ClientFields {
    /// `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto`, which more servers and frameworks read.
    #[default]
    #[n(0)]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    #[n(1)]
    Forwarded,
    /// All of them.
    #[n(2)]
    Both,
}

impl ClientFields {
    /// The word in configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XForwarded => "x-forwarded",
            Self::Forwarded => "forwarded",
            Self::Both => "both",
        }
    }
}

/// The information about the client, and the connection from it, that the upstream gets.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedFor<'a> {
    /// The fields in which it is told.
    pub fields: ClientFields,
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

/// The fields that tell the upstream which URL the client used: a response may depend on them although its `Vary` does not
/// say so. A client's own are not forwarded.
pub const URL_FIELDS: [HeaderName; 3] = [FORWARDED, X_FORWARDED_HOST, X_FORWARDED_PROTO];

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The hops in the form of `Forwarded` (RFC 7239, section 4): IPv6 addresses, and hosts with a port, are quoted.
pub(super) fn forwarded(text: &mut String, client: &ForwardedFor<'_>) {
    for (at, hop) in client.earlier.iter().enumerate() {
        push_node(text, *hop);
        if at == 0 {
            push_target(text, client.client_host, client.client_https);
        }
        text.push_str(", ");
    }
    push_node(text, client.peer);
    push_target(text, client.host, client.https);
}

fn push_node(text: &mut String, address: Option<IpAddr>) {
    let is_quoted = matches!(address, Some(IpAddr::V6(_)));
    text.push_str(if is_quoted { "for=\"[" } else { "for=" });
    push_address(text, address);
    text.push_str(if is_quoted { "]\"" } else { "" });
}

fn push_address(text: &mut String, address: Option<IpAddr>) {
    match address {
        Some(IpAddr::V4(address)) => {
            for (at, octet) in address.octets().into_iter().enumerate() {
                text.push_str(if at > 0 { "." } else { "" });
                decimal(text, octet.into());
            }
        }
        // Writing to a String does not fail.
        Some(IpAddr::V6(address)) => drop(write!(text, "{address}")),
        None => text.push_str("unknown"),
    }
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
pub(super) fn forwarded_for(text: &mut String, client: &ForwardedFor<'_>) {
    for (at, hop) in client.earlier.iter().chain([&client.peer]).enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        push_address(text, *hop);
    }
}

pub(super) const fn scheme(https: bool) -> &'static str {
    if https { "https" } else { "http" }
}
