//! Requests of the gateway's own: what one is, which addresses it may reach, and how long its answer holds.
//!
//! JWK Sets, introspection and external decisions come from services that the configuration names. Their answers are small,
//! bounded in bytes and time, and no redirect is followed: whoever answers must not be able to send the gateway elsewhere.
//! [`AddressRule`] keeps a name that somebody else controls from leading into the network the gateway runs in.

mod address;
mod lifetimes;

pub use address::{AddressRule, RefusedTarget};
pub use lifetimes::{Freshness, Lifetimes};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use thiserror::Error;

use crate::forward::UpstreamError;

/// A request of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The method.
    pub method: Method,
    /// The absolute URL, `http` or `https`.
    pub url: Uri,
    /// The fields, without `Host` and `Content-Length`, which follow from the rest.
    pub fields: HeaderMap,
    /// The content; small, as it is kept whole.
    pub content: Bytes,
}

impl FetchRequest {
    /// A GET without fields.
    #[must_use]
    pub fn get(url: Uri) -> Self {
        Self { method: Method::GET, url, fields: HeaderMap::new(), content: Bytes::new() }
    }
}

/// What a request of the gateway's own may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchBounds {
    /// Time for the whole exchange, content included, in milliseconds.
    pub timeout_ms: u64,
    /// Bytes of the answer's content, decoded.
    pub answer_bytes_max: u64,
    /// The addresses it may reach.
    pub addresses: AddressRule,
}

/// The answer to a [`FetchRequest`], whatever its status; a redirect is an answer like any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchAnswer {
    /// The status.
    pub status: StatusCode,
    /// The fields; where the platform decoded the content, without `Content-Encoding` and `Content-Length`.
    pub fields: HeaderMap,
    /// The whole content.
    pub content: Bytes,
}

/// Why there is no answer. The texts are for logs and name neither the URL nor what was sent.
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
    /// The content is encoded, though the request asked for it as it is.
    #[error("the answer's content is encoded")]
    Encoded,
    /// The content broke off.
    #[error("the answer broke off")]
    Incomplete,
    /// There was no answer for another reason.
    #[error("no answer: {0}")]
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
