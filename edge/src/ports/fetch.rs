use std::pin::pin;

use futures_util::future::{Either, select};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method};
use tollgate_core::fetch::{FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::forward::Outbound;

use super::{Clock, Content, Gathered, Upstream, UpstreamCall};

/// Requests of the gateway's own: JWK Sets, introspection, external decisions.
///
/// Each is bounded in time and bytes, verifies TLS and follows no redirect: a redirect is an answer. The rule for addresses
/// holds for what the URL says on every host ([`tollgate_core::fetch::AddressRule::check_url`]); a host that resolves
/// names itself asks the rule about each resolved address before it connects, so that a name which leads inside is
/// refused. Where the platform resolves names (Workers, Spin), it is the platform that keeps them from leading inside.
///
/// An answer that is late, too large or broken off is an error, never a shorter answer: whoever answers could otherwise
/// hide the end of a list of keys. A wrong answer cannot be told from a right one here; who reads it verifies it.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Fetch {
    /// Sends the request and returns the whole answer.
    async fn fetch(&self, request: &FetchRequest, bounds: &FetchBounds) -> Result<FetchAnswer, FetchError>;
}

/// [`Fetch::fetch`] over a way to upstreams, for hosts that have no other.
///
/// The way has to ask the rule about addresses itself, where it resolves names.
///
/// # Errors
/// When there is no complete answer within the bounds.
pub async fn fetch_over<U: Upstream>(
    upstream: &U,
    clock: &impl Clock,
    request: &FetchRequest,
    bounds: &FetchBounds,
) -> Result<FetchAnswer, FetchError> {
    bounds.addresses.check_url(&request.url)?;
    let exchange = pin!(exchange(upstream, request, bounds));
    match select(exchange, pin!(clock.sleep(bounds.timeout_ms))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => Err(FetchError::Timeout),
    }
}

async fn exchange<U: Upstream>(
    upstream: &U,
    request: &FetchRequest,
    bounds: &FetchBounds,
) -> Result<FetchAnswer, FetchError> {
    // The time for the whole is kept by who calls this: a second timer would break off content at the same moment.
    let call = UpstreamCall { connect_timeout_ms: bounds.timeout_ms, timeout_ms: None };
    let fields = fields_of(request);
    let sent = Outbound::new(&request.method, request.url.clone(), &fields, !request.content.is_empty());
    let answer = upstream.send(&sent, Content::from_bytes(request.content.clone()), &call).await?;
    let (head, content) = answer.into_parts();
    if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(FetchError::Encoded);
    }
    match content.gather(bounds.answer_bytes_max).await {
        Ok(Gathered::Whole(whole)) => {
            Ok(FetchAnswer { status: head.status, fields: head.headers, content: whole.bytes })
        }
        Ok(Gathered::TooLarge(_)) => Err(FetchError::TooLarge),
        Err(_) => Err(FetchError::Incomplete),
    }
}

fn fields_of(request: &FetchRequest) -> HeaderMap {
    let mut fields = request.fields.clone();
    fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if let Some(host) = request.url.authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok()) {
        fields.insert(HOST, host);
    }
    if !request.content.is_empty() || request.method == Method::POST {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(request.content.len()));
    }
    fields
}
