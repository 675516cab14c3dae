use bytes::Bytes;
use http::HeaderMap;
use thiserror::Error;
use tollgate_core::telemetry::AbortedBy;

/// The content of a message, as a stream of the platform.
///
/// It passes through unchanged unless the pipeline calls one of these methods. An adapter's type may contain trailers,
/// server-sent events or an upgraded connection in addition to the bytes.
///
/// Content is an I/O object of one request and must not be used by another: on Workers reading it there fails. Requests
/// share bytes only.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Content: Sized + 'static {
    /// A copy of the content, filled while the content streams; see [`Content::tee`].
    type Copy: 'static;

    /// No content.
    fn empty() -> Self;

    /// Complete content: problems and other responses that the gateway generates.
    fn from_bytes(bytes: Bytes) -> Self;

    /// The fields of the received message that its adapter left out.
    ///
    /// An adapter whose platform copies messages may leave out fields that are usually not read
    /// ([`tollgate_core::forward::UNREAD_IN_REQUESTS`], [`tollgate_core::forward::UNREAD_IN_RESPONSES`]), as long as the
    /// bounds for fields cannot be exceeded and `Connection` names none of them. The pipeline asks for them before it reads
    /// one. Elsewhere nothing is left out.
    fn left_out(&self) -> HeaderMap {
        HeaderMap::new()
    }

    /// Whether it is empty. If a GET or HEAD request does not declare whether it has content, the adapter reads the
    /// beginning first: the cache depends on this, and a client must not be able to hide content from it.
    fn is_empty(&self) -> bool;

    /// Its length in bytes, if it is known without reading it and without the message's fields.
    fn length(&self) -> Option<u64>;

    /// The same content, which fails when more than `max_bytes` have passed; the rest is not read.
    ///
    /// Called only if the length is not declared. If the limit is exceeded while an upstream reads the content, the
    /// adapter's [`super::Upstream::send`] returns [`tollgate_core::forward::UpstreamError::RequestContentTooLarge`].
    #[must_use]
    fn limited(self, max_bytes: u64) -> Self;

    /// Splits the content into one for the client and a copy for the cache, which is abandoned beyond `max_bytes`.
    ///
    /// The copy does not delay the client's content, except as far as the platform's own tee does.
    fn tee(self, max_bytes: u64) -> (Self, Self::Copy);

    /// Reads the content into memory, for a policy that must see all of it.
    ///
    /// Called only if a policy asks for it: everything else streams. Content that is longer than `bytes_max` can still
    /// be read from its beginning; at most `bytes_max` and one chunk of it are held in memory.
    ///
    /// # Errors
    /// [`ContentFault`] if it is interrupted or exceeds a limit before that.
    async fn gather(self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault>;

    /// Creates content from gathered bytes, as often as needed: to forward it, and to send it again.
    #[must_use]
    fn replay(whole: &GatheredContent) -> Self;

    /// Observes the delivery to the client; the future resolves when the content was delivered or aborted.
    ///
    /// On a platform whose streams do not pass through the gateway it is [`Delivery::Unobserved`] immediately, unless the bytes
    /// have to be counted. Also the content of a request can be counted, on its way to the upstream.
    fn watched(self, is_counted: bool) -> (Self, impl Future<Output = Delivery> + 'static);
}

/// Adds the fields that the adapter left out.
pub(crate) fn complete(fields: &mut HeaderMap, left_out: HeaderMap) {
    for (name, value) in left_out {
        if let Some(name) = name {
            fields.entry(name).or_insert(value);
        }
    }
}

/// The result of [`Content::gather`].
#[derive(Debug)]
pub enum Gathered<C> {
    /// All of it.
    Complete(GatheredContent),
    /// The same content, which can still be read from its beginning.
    TooLarge(C),
}

/// Content in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatheredContent {
    /// The bytes.
    pub bytes: Bytes,
    /// The trailers, if it had some and the platform exposes them.
    pub trailers: Option<HeaderMap>,
}

/// Why content could not be gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ContentFault {
    /// It is longer than [`Content::limited`] allows.
    #[error("the content exceeded its limit")]
    LimitExceeded,
    /// The sender aborted it.
    #[error("the content was interrupted")]
    Interrupted,
}

/// How the delivery of a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All of it was passed to the connection.
    Complete {
        /// Bytes of content delivered.
        bytes: u64,
    },
    /// It was ended before the end of the content.
    Aborted {
        /// Bytes of content delivered until then.
        bytes: u64,
        /// Who ended it.
        by: AbortedBy,
    },
    /// The platform's streams do not pass through the gateway.
    Unobserved,
}
