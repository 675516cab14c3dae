//! Failures of upstreams: RFC 9209 proxy error types, and the status that the client gets for each.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why an upstream gave no usable response.
///
/// Each is a proxy error type of RFC 9209, section 2.3, with the name that it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamError {
    /// The upstream's name took too long to resolve.
    #[error("resolving the upstream's name took too long")]
    DnsTimeout,
    /// The upstream's name does not resolve.
    #[error("the upstream's name cannot be resolved")]
    DnsError,
    /// The platform does not allow this gateway to call that destination.
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
    /// The connection was closed before the response was complete.
    #[error("the upstream closed the connection before its response was complete")]
    ConnectionTerminated,
    /// The platform has no free connection.
    #[error("no free connection to the upstream")]
    ConnectionLimitReached,
    /// The TLS handshake failed.
    #[error("TLS with the upstream failed")]
    TlsProtocolError,
    /// The upstream's certificate is not valid for its name.
    #[error("the upstream's certificate is not trusted")]
    TlsCertificateError,
    /// The upstream ended the TLS handshake with an alert, such as that it does not accept the gateway's own certificate.
    #[error("the upstream refused TLS with the gateway")]
    TlsAlertReceived,
    /// The certificate that the gateway should present is not bound on this host.
    #[error("the gateway's own certificate for the upstream is missing")]
    OwnCertificateMissing,
    /// The certificate that the gateway should present cannot be used, such as that its key is another one's.
    #[error("the gateway's own certificate for the upstream cannot be used")]
    OwnCertificateUnusable,
    /// The response did not arrive in time.
    #[error("the upstream did not answer in time")]
    HttpResponseTimeout,
    /// The response ended early.
    #[error("the upstream's response is incomplete")]
    HttpResponseIncomplete,
    /// The upstream's response is not valid HTTP.
    #[error("the upstream's response is not valid HTTP")]
    HttpProtocolError,
    /// The status code is not that of a final response.
    #[error("the status of the upstream's response is not between 200 and 599")]
    HttpResponseStatus,
    /// The response states its length in two ways, or not as a number.
    #[error("the upstream's response does not state one length")]
    HttpResponseLength,
    /// The response has a transfer coding other than `chunked`, which the gateway does not ask for.
    #[error("the upstream's response has a transfer coding other than chunked")]
    HttpResponseTransferCoding,
    /// The response has too many fields, or they are too large.
    #[error("the upstream's response has too many fields, or they are too large")]
    HttpResponseHeaderSectionSize,
    /// The client's content exceeded its limit while it was being forwarded.
    #[error("the request's content exceeded the limit while it was forwarded")]
    RequestContentTooLarge,
    /// The client's content was interrupted, or its chunked coding is invalid.
    #[error("the request's content is incomplete")]
    RequestContentBroken,
    /// The client did not send all of its content before the timeout.
    #[error("the client did not send the request's content in time")]
    RequestContentTimeout,
    /// The client disconnected, or reset its stream, before the response's head; the call was ended, or not made.
    #[error("the client is gone")]
    ClientGone,
    /// The gateway stopped before the response's head.
    #[error("the gateway stopped")]
    GatewayStopped,
    /// Any failure that the platform does not distinguish.
    #[error("the upstream could not be called")]
    ProxyInternalError,
}

impl UpstreamError {
    /// Whether the upstream may have received the request, or a part of it. Where the platform does not tell, it may have.
    #[must_use]
    pub const fn may_have_arrived(self) -> bool {
        match self {
            Self::DnsTimeout
            | Self::DnsError
            | Self::DestinationIpProhibited
            | Self::DestinationUnavailable
            | Self::ConnectionRefused
            | Self::ConnectionTimeout
            | Self::ConnectionLimitReached
            | Self::TlsProtocolError
            | Self::TlsCertificateError
            | Self::TlsAlertReceived
            | Self::OwnCertificateMissing
            | Self::OwnCertificateUnusable => false,
            Self::ConnectionTerminated
            | Self::HttpResponseTimeout
            | Self::HttpResponseIncomplete
            | Self::HttpProtocolError
            | Self::HttpResponseStatus
            | Self::HttpResponseLength
            | Self::HttpResponseTransferCoding
            | Self::HttpResponseHeaderSectionSize
            | Self::RequestContentTooLarge
            | Self::RequestContentBroken
            | Self::RequestContentTimeout
            | Self::ClientGone
            | Self::GatewayStopped
            | Self::ProxyInternalError => true,
        }
    }

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
            Self::TlsAlertReceived => "tls_alert_received",
            Self::OwnCertificateMissing | Self::OwnCertificateUnusable => "proxy_configuration_error",
            Self::HttpResponseTimeout => "http_response_timeout",
            Self::HttpResponseIncomplete => "http_response_incomplete",
            Self::HttpProtocolError | Self::HttpResponseStatus | Self::HttpResponseLength => "http_protocol_error",
            Self::HttpResponseTransferCoding => "http_response_transfer_coding",
            Self::HttpResponseHeaderSectionSize => "http_response_header_section_size",
            Self::RequestContentTooLarge
            | Self::RequestContentBroken
            | Self::RequestContentTimeout
            | Self::ClientGone => "http_request_error",
            Self::GatewayStopped | Self::ProxyInternalError => "proxy_internal_error",
        }
    }

    /// The status that the client gets: 504 for timeouts, 413, 400 or 408 for its own content, 503 without the
    /// gateway's own certificate, 502 for the rest. If the client
    /// is gone or the gateway has stopped, it is in the log only.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::DnsTimeout | Self::ConnectionTimeout | Self::HttpResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::RequestContentTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::RequestContentBroken => StatusCode::BAD_REQUEST,
            Self::RequestContentTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ClientGone => CLIENT_GONE,
            Self::GatewayStopped | Self::OwnCertificateMissing | Self::OwnCertificateUnusable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::DnsError
            | Self::ConnectionLimitReached
            | Self::DestinationIpProhibited
            | Self::DestinationUnavailable
            | Self::ConnectionRefused
            | Self::ConnectionTerminated
            | Self::TlsProtocolError
            | Self::TlsCertificateError
            | Self::TlsAlertReceived
            | Self::HttpResponseIncomplete
            | Self::HttpProtocolError
            | Self::HttpResponseStatus
            | Self::HttpResponseLength
            | Self::HttpResponseTransferCoding
            | Self::HttpResponseHeaderSectionSize
            | Self::ProxyInternalError => StatusCode::BAD_GATEWAY,
        }
    }
}

/// nginx's status for a request whose client closed the connection first; it is never sent.
pub(crate) const CLIENT_GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};
