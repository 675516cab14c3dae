use bytes::Bytes;
use http::HeaderMap;
use thiserror::Error;

/// The content of a message as the platform streams it.
///
/// It passes through untouched unless the pipeline asks for one of these. Nothing here rules out an upgraded connection,
/// trailers or server-sent events: an adapter's type may carry them beside the bytes.
///
/// Content is an I/O object of one request and never reaches another: on Workers reading it there would fail. What requests
/// share of it is bytes.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Content: Sized + 'static {
    /// A second reading of the content, filled while the first one streams; see [`Content::tee`].
    type Copy: 'static;

    /// No content.
    fn empty() -> Self;

    /// Content that is all here: problems and other answers of the gateway's own.
    fn from_bytes(bytes: Bytes) -> Self;

    /// Whether there is none. Where a GET or HEAD request does not declare whether it has content, the adapter reads the
    /// beginning before it answers: the cache decides by this, and a client must not be able to hide content from it.
    fn is_empty(&self) -> bool;

    /// The same content, failing once more than `max_bytes` have passed; what follows is not read.
    ///
    /// Called only where the length is not declared. When the limit is hit while an upstream reads the content, the
    /// adapter's [`super::Upstream::send`] answers [`tollgate_core::forward::UpstreamError::RequestContentTooLarge`].
    #[must_use]
    fn limited(self, max_bytes: u64) -> Self;

    /// Splits the content into one for the client and a copy for the cache, which gives up past `max_bytes`.
    ///
    /// The client's branch is never held up by the copy beyond what the platform's own tee does.
    fn tee(self, max_bytes: u64) -> (Self, Self::Copy);

    /// Reads the content into memory, for a policy that must see all of it.
    ///
    /// Called only where a policy asks for it: everything else streams. Of content longer than `bytes_max` nothing is lost,
    /// it still reads from its beginning; at most `bytes_max` and one chunk of it are held.
    ///
    /// # Errors
    /// [`ContentFault`] when it breaks off or passes a limit before either is known.
    async fn gather(self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault>;

    /// Content made of what was gathered, as often as it is needed: to forward it, and to send it again.
    #[must_use]
    fn replay(whole: &Whole) -> Self;

    /// Watches the delivery to the client; the future resolves once the content has been delivered or given up.
    ///
    /// A platform whose streams pass through untouched answers [`Delivery::Unobserved`] at once.
    fn watched(self) -> (Self, impl Future<Output = Delivery> + 'static);
}

/// What [`Content::gather`] came to.
#[derive(Debug)]
pub enum Gathered<C> {
    /// All of it.
    Whole(Whole),
    /// The same content, unread as far as its reader can tell.
    TooLarge(C),
}

/// Content that is all here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whole {
    /// The bytes.
    pub bytes: Bytes,
    /// The trailers, where it had some and the platform shows them.
    pub trailers: Option<HeaderMap>,
}

/// Why content could not be gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ContentFault {
    /// More came than [`Content::limited`] allows.
    #[error("the content passed its limit")]
    PassedLimit,
    /// Whoever sends it broke off.
    #[error("the content broke off")]
    Broken,
}

/// How the delivery of a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// All of it was handed to the connection.
    Complete {
        /// Bytes of content delivered.
        bytes: u64,
    },
    /// The client went away, or the upstream broke off, before the end.
    Aborted {
        /// Bytes of content delivered until then.
        bytes: u64,
        /// Whether the upstream, not the client, broke off.
        by_upstream: bool,
    },
    /// The platform streams past the gateway.
    Unobserved,
}
