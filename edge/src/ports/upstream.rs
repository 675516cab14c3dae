use super::Content;
use http::Response;
use tollgate_core::forward::{Outbound, OwnCertificate, UpstreamError};

/// Requests to upstreams.
///
/// Sends the request of [`Outbound::sent`]: an absolute URI, and the fields for the upstream (hop-by-hop ones removed,
/// forwarding ones set). A platform that still has the client's own message applies [`Outbound::edits`] to it; others
/// send the received fields with the edits applied. Both result in the same message. It never follows a redirect, never
/// decodes content, and always verifies TLS. It does not retry, except that a request may be sent once more if it [is
/// repeatable](Outbound::is_repeatable) and its connection turns out to be closed, or if the upstream says that it did
/// not process it (RFC 9113, section 8.7). Content streams both ways and is not buffered. Dropping the future or the
/// response ends the call.
///
/// If the platform shows that the client of the request is gone, the call is not made, or ends:
/// [`UpstreamError::ClientGone`]. If the timeout expires while the platform waits for the client's content, the client is
/// the one who is late: [`UpstreamError::RequestContentTimeout`].
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Upstream {
    /// The platform's content.
    type Content: Content;

    /// Sends a request and returns the head of the response with its streaming content.
    ///
    /// The response's fields are as the upstream sent them (1xx responses dropped), except those that its content
    /// [leaves out](Content::left_out).
    async fn send(
        &self,
        request: &Outbound<'_>,
        content: Self::Content,
        call: &UpstreamCall<'_>,
    ) -> Result<Response<Self::Content>, UpstreamError>;
}

/// The bounds of one call, enforced by the adapter, and what it presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamCall<'c> {
    /// Timeout for connecting (name, TCP, TLS), in milliseconds; platforms that hide connections cannot enforce it.
    pub connect_timeout_ms: u64,
    /// Timeout of the whole exchange, including content, in milliseconds. When it expires before the head, the result
    /// is [`UpstreamError::HttpResponseTimeout`], or [`UpstreamError::RequestContentTimeout`]; content that is still
    /// streaming is aborted. `None` for streams.
    pub timeout_ms: Option<u64>,
    /// The certificate to present in the TLS handshake. A connection on which another one was presented, or none, is never
    /// used, and the other way round. If the host does not have it, the call is not made:
    /// [`UpstreamError::OwnCertificateMissing`], or [`UpstreamError::OwnCertificateUnusable`]. A platform that itself chooses
    /// certificates by the upstream's host ignores it.
    pub certificate: Option<&'c OwnCertificate>,
    /// Whether the call goes on to its response when the client has gone, as far as the request's content has arrived: what is
    /// counted as in flight is in flight at the upstream.
    pub runs_to_end: bool,
}
