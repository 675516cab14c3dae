//! What can go wrong with an upstream: RFC 9209 proxy error types, and the answer each one owes the client.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why an upstream gave no usable response.
///
/// Each is a proxy error type of RFC 9209, section 2.3, and is spelt as there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamError {
    /// The upstream's name took too long to resolve.
    #[error("the upstream's name took too long to resolve")]
    DnsTimeout,
    /// The upstream's name does not resolve.
    #[error("the upstream's name does not resolve")]
    DnsError,
    /// The platform does not let this gateway call that destination.
    #[error("the platform refuses calls to the upstream's address")]
    DestinationIpProhibited,
    /// No route to the upstream's address.
    #[error("the upstream's address cannot be reached")]
    DestinationUnavailable,
    /// The upstream refused the connection.
    #[error("the upstream refused the connection")]
    ConnectionRefused,
    /// The connection took longer than the connect timeout.
    #[error("the connection to the upstream took too long")]
    ConnectionTimeout,
    /// The connection closed before the response was whole.
    #[error("the upstream closed the connection before its response was complete")]
    ConnectionTerminated,
    /// The platform has no connection left.
    #[error("no connection to the upstream is free")]
    ConnectionLimitReached,
    /// TLS could not be agreed upon.
    #[error("TLS with the upstream failed")]
    TlsProtocolError,
    /// The upstream's certificate does not prove its name.
    #[error("the upstream's certificate is not trusted")]
    TlsCertificateError,
    /// The response did not come in time.
    #[error("the upstream did not answer in time")]
    HttpResponseTimeout,
    /// The response ended early.
    #[error("the upstream's response is incomplete")]
    HttpResponseIncomplete,
    /// What the upstream sent is not HTTP.
    #[error("the upstream's response is not valid HTTP")]
    HttpProtocolError,
    /// The client's content passed its limit while it was being forwarded.
    #[error("the request's content passed the limit while it was forwarded")]
    RequestContentTooLarge,
    /// The client's content broke off or is no valid chunked coding.
    #[error("the request's content is not whole")]
    RequestContentBroken,
    /// Anything the platform does not tell apart.
    #[error("the upstream could not be called")]
    ProxyInternalError,
}

impl UpstreamError {
    /// The error type as written in a `Proxy-Status` field (RFC 9209, section 2.3).
    #[must_use]
    pub const fn proxy_status(self) -> &'static str {
        match self {
            Self::DnsTimeout => "dns_timeout",
            Self::DnsError => "dns_error",
            Self::DestinationIpProhibited => "destination_ip_prohibited",
            Self::DestinationUnavailable => "destination_unavailable",
            Self::ConnectionRefused => "connection_refused",
            Self::ConnectionTimeout => "connection_timeout",
            Self::ConnectionTerminated => "connection_terminated",
            Self::ConnectionLimitReached => "connection_limit_reached",
            Self::TlsProtocolError => "tls_protocol_error",
            Self::TlsCertificateError => "tls_certificate_error",
            Self::HttpResponseTimeout => "http_response_timeout",
            Self::HttpResponseIncomplete => "http_response_incomplete",
            Self::HttpProtocolError => "http_protocol_error",
            Self::RequestContentTooLarge | Self::RequestContentBroken => "http_request_error",
            Self::ProxyInternalError => "proxy_internal_error",
        }
    }

    /// The status the client gets: 504 for what took too long, 413 or 400 for its own content, 502 for the rest.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::DnsTimeout | Self::ConnectionTimeout | Self::HttpResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RequestContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestContentBroken => StatusCode::BAD_REQUEST,
            Self::DnsError
            | Self::ConnectionLimitReached
            | Self::DestinationIpProhibited
            | Self::DestinationUnavailable
            | Self::ConnectionRefused
            | Self::ConnectionTerminated
            | Self::TlsProtocolError
            | Self::TlsCertificateError
            | Self::HttpResponseIncomplete
            | Self::HttpProtocolError
            | Self::ProxyInternalError => StatusCode::BAD_GATEWAY,
        }
    }
}
