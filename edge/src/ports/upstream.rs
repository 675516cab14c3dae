use super::Content;
use http::Response;
use tollgate_core::forward::{Outbound, UpstreamError};

/// The way to upstreams.
///
/// Sends the request as [`Outbound::sent`] shows it: absolute URI, fields already fit for the upstream (hop-by-hop ones
/// gone, forwarding ones set). A platform that holds the client's own message beside the content applies
/// [`Outbound::edits`] to it; others send what came with the edits applied. Both are the same message. Never follows a
/// redirect, never decodes content, never retries, always verifies TLS. Content streams both ways without being gathered.
/// Dropping the future or the response ends the call.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Upstream {
    /// The platform's content.
    type Content: Content;

    /// Sends a request and returns the response's head, its content streaming.
    ///
    /// The response's fields are as the upstream sent them (1xx responses dropped).
    async fn send(
        &self,
        request: &Outbound<'_>,
        content: Self::Content,
        call: &UpstreamCall,
    ) -> Result<Response<Self::Content>, UpstreamError>;
}

/// The bounds of one call, enforced by the adapter, which has the means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamCall {
    /// Time for the connection (name, TCP, TLS), in milliseconds; platforms that hide connections cannot hold it.
    pub connect_timeout_ms: u64,
    /// Time for the whole exchange, content included, in milliseconds; past it the head is answered with
    /// [`UpstreamError::HttpResponseTimeout`], and content that is still streaming is broken off. `None` for streams.
    pub timeout_ms: Option<u64>,
}
