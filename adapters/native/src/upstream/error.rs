//! Failures of upstreams as error types of RFC 9209.

use std::error::Error;
use std::io;

use tollgate_core::forward::UpstreamError;

use crate::content::BrokenOff;

/// A TCP connection that could not be opened.
pub(super) fn of_connect(error: &io::Error) -> UpstreamError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => UpstreamError::ConnectionRefused,
        Kind::TimedOut => UpstreamError::ConnectionTimeout,
        // No local port or no file descriptor is available.
        Kind::AddrNotAvailable | Kind::AddrInUse | Kind::OutOfMemory => UpstreamError::ConnectionLimitReached,
        Kind::ConnectionReset | Kind::ConnectionAborted => UpstreamError::ConnectionTerminated,
        _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) => UpstreamError::ConnectionLimitReached,
        _ => UpstreamError::DestinationUnavailable,
    }
}

/// A TLS handshake that failed.
pub(super) fn of_tls(error: &io::Error) -> UpstreamError {
    let reason = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match reason {
        Some(
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType
            | rustls::Error::InvalidCertRevocationList(_),
        ) => UpstreamError::TlsCertificateError,
        Some(rustls::Error::AlertReceived(_)) => UpstreamError::TlsAlertReceived,
        _ => UpstreamError::TlsProtocolError,
    }
}

/// A request without a response head.
pub(super) fn of_request(error: &hyper::Error) -> UpstreamError {
    if error.is_parse_too_large() {
        UpstreamError::HttpResponseHeaderSectionSize
    } else if error.is_parse() {
        UpstreamError::HttpProtocolError
    } else if error.is_user() {
        // The request's own content failed; the caller knows if its limit was the reason.
        UpstreamError::ProxyInternalError
    } else if error.is_timeout() {
        // Pings were not answered.
        UpstreamError::HttpResponseTimeout
    } else if is_refused(error) {
        UpstreamError::TlsAlertReceived
    } else if is_closed(error) || is_unprocessed(error) {
        UpstreamError::ConnectionTerminated
    } else {
        // In the remaining cases the upstream violates HTTP/2, or refuses the stream.
        UpstreamError::HttpProtocolError
    }
}

/// Content that is invalid, or breaks off, before any of it was read.
pub(super) fn of_content(broken: &BrokenOff) -> UpstreamError {
    let BrokenOff::Failed(error) = broken else { return UpstreamError::HttpResponseIncomplete };
    let is_invalid =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
    let violates = find::<h2::Error>(error).is_some_and(|error| !error.is_io());
    if violates || find(error).is_some_and(is_invalid) {
        UpstreamError::HttpProtocolError
    } else {
        UpstreamError::HttpResponseIncomplete
    }
}

/// Whether the upstream did not accept the gateway's certificate. In TLS 1.3 the handshake is complete for a client before the
/// server has seen the certificate, so the alert comes in place of a response (RFC 8446, section 4.4.2).
fn is_refused(error: &hyper::Error) -> bool {
    // h2 keeps only the text of the reason.
    let reason = match (find::<io::Error>(error), find::<h2::Error>(error).and_then(h2::Error::get_io)) {
        (Some(error), _) | (None, Some(error)) => error.to_string(),
        (None, None) => return false,
    };
    let alert = reason.rsplit_once("received fatal alert: ").map(|(_, alert)| alert);
    alert.is_some_and(|alert| REFUSALS.contains(&alert))
}

/// The alerts about a client's certificate (RFC 8446, section 6.2), as rustls names them.
const REFUSALS: [&str; 10] = [
    "AccessDenied",
    "BadCertificate",
    "CertificateExpired",
    "CertificateRequired",
    "CertificateRevoked",
    "CertificateUnknown",
    "DecryptError",
    "HandshakeFailure",
    "UnknownCA",
    "UnsupportedCertificate",
];

/// Whether the connection was lost, so that the same request may succeed on another one.
pub(super) fn is_closed(error: &hyper::Error) -> bool {
    error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || error.is_body_write_aborted()
        || find::<io::Error>(error).is_some()
        || find::<h2::Error>(error).is_some_and(h2::Error::is_io)
}

/// Whether the upstream says that it did not process the request, so that any request can be sent again: it refused the
/// stream, or its GOAWAY excludes the stream (RFC 9113, section 8.7).
pub(super) fn is_unprocessed(error: &hyper::Error) -> bool {
    find::<h2::Error>(error).is_some_and(|error| {
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        // h2 ends only the streams after the last one of a GOAWAY with this error.
        error.is_remote() && (refused || error.is_go_away())
    })
}

fn find<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    std::iter::successors(error.source(), |inner: &&(dyn Error + 'static)| (*inner).source())
        .find_map(|inner| inner.downcast_ref())
}

/// Too many open files, in this process or in the system; the numbers are equal on Linux, macOS and the BSDs.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
