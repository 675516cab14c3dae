//! Requests that the gateway itself makes: their form, which addresses they may reach, and how long answers are used.
//!
//! JWK Sets, introspection and external decisions come from services that the configuration names. Their answers are
//! small, bounded in bytes and time, and no redirect is followed, so that a server cannot send the gateway to another
//! address. [`AddressRule`] prevents a name under foreign control from reaching the network that the gateway runs in.

mod address;
mod lifetimes;

pub use address::{AddressRule, RefusedTarget};
pub use lifetimes::{Freshness, Lifetimes};

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use thiserror::Error;

use crate::forward::UpstreamError;

/// A request that the gateway itself makes. Its fields and its content may have secrets and tokens, and are not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL, `http` or `https`.
    pub url: Uri,
    /// The fields, without `Host` and `Content-Length`, which follow from the rest.
    pub fields: HeaderMap,
    /// The content; it must be small, because it is kept in memory.
    pub content: Bytes,
}

impl FetchRequest {
    /// A GET without fields.
    #[must_use]
    pub fn get(url: Uri) -> Self {
        Self { method: Method::GET, url, fields: HeaderMap::new(), content: Bytes::new() }
    }
}

impl fmt::Debug for FetchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchRequest").field("method", &self.method).field("url", &self.url).finish_non_exhaustive()
    }
}

/// The bounds of a request that the gateway itself makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchBounds {
    /// Timeout of the whole exchange, including content, in milliseconds.
    pub timeout_ms: u64,
    /// Maximum bytes of the answer's content, decoded.
    pub answer_bytes_max: u64,
    /// The addresses it may reach.
    pub addresses: AddressRule,
}

/// The answer to a [`FetchRequest`], with any status; a redirect is an answer like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchAnswer {
    /// The status.
    pub status: StatusCode,
    /// The fields; if the platform decoded the content, without `Content-Encoding` and `Content-Length`.
    pub fields: HeaderMap,
    /// The whole content.
    pub content: Bytes,
}

/// Why there is no answer. The texts are for logs and contain neither the URL nor the content of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
pub enum FetchError {
    /// It took longer than [`FetchBounds::timeout_ms`].
    #[error("no complete answer within the time allowed")]
    Timeout,
    /// It has more content than [`FetchBounds::answer_bytes_max`].
    #[error("the answer is larger than allowed")]
    TooLarge,
    /// The target must not be reached.
    #[error("the target is refused: {0}")]
    Refused(#[from] RefusedTarget),
    /// The content is encoded, although the request did not allow this.
    #[error("the answer's content is encoded")]
    Encoded,
    /// The content is not what was asked for.
    #[error("the answer is not what was asked for")]
    Unusable,
    /// The content was interrupted.
    #[error("the answer was interrupted")]
    Incomplete,
    /// There was no answer for another reason, which is told by its name in RFC 9209: whoever was asked is no upstream.
    #[error("no answer: {}", .0.proxy_status())]
    Failed(UpstreamError),
}

impl From<UpstreamError> for FetchError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::HttpResponseTimeout | UpstreamError::DnsTimeout | UpstreamError::ConnectionTimeout => {
                Self::Timeout
            }
            UpstreamError::HttpResponseIncomplete => Self::Incomplete,
            UpstreamError::DestinationIpProhibited => Self::Refused(RefusedTarget::Address),
            other => Self::Failed(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_asked_is_not_called_an_upstream() {
        for error in [
            UpstreamError::ConnectionRefused,
            UpstreamError::TlsCertificateError,
            UpstreamError::DnsError,
            UpstreamError::HttpProtocolError,
            UpstreamError::OwnCertificateMissing,
            UpstreamError::ProxyInternalError,
        ] {
            let told = FetchError::from(error).to_string();
            assert!(told.starts_with("no answer: ") && !told.contains("upstream"), "{told}");
        }
    }
}
