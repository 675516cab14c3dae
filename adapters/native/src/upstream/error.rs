//! What failed, in the words of RFC 9209.

use std::error::Error;
use std::io;

use tollgate_core::forward::UpstreamError;

/// A TCP connection that could not be made.
pub(super) fn of_connect(error: &io::Error) -> UpstreamError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => UpstreamError::ConnectionRefused,
        Kind::TimedOut => UpstreamError::ConnectionTimeout,
        // No local port or no file descriptor is left.
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
        _ => UpstreamError::TlsProtocolError,
    }
}

/// A request that got no response's head.
pub(super) fn of_request(error: &hyper::Error) -> UpstreamError {
    if error.is_parse() || error.is_parse_too_large() {
        UpstreamError::HttpProtocolError
    } else if error.is_user() {
        // The request's own content failed; where its limit was the reason, the caller knows.
        UpstreamError::ProxyInternalError
    } else if is_closed(error) {
        UpstreamError::ConnectionTerminated
    } else {
        // What is left speaks HTTP/2 wrongly, or refuses the stream.
        UpstreamError::HttpProtocolError
    }
}

/// Whether the connection went away, so that the same request may succeed on another one.
pub(super) fn is_closed(error: &hyper::Error) -> bool {
    error.is_incomplete_message()
        || error.is_closed()
        || error.is_canceled()
        || error.is_body_write_aborted()
        || io_reason(error).is_some()
}

fn io_reason(error: &hyper::Error) -> Option<&io::Error> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return Some(io);
        }
        source = inner.source();
    }
    None
}

/// Too many open files, in this process and in the system; the same numbers on Linux, macOS and the BSDs.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
