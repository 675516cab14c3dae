use std::pin::pin;

use futures_util::future::{Either, select};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, HOST};
use http::{HeaderMap, HeaderValue, Method};
use tollgate_core::fetch::{FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::forward::Outbound;

use super::{Clock, Content, Gathered, Upstream, UpstreamCall};

/// Requests that the gateway itself makes: JWK Sets, introspection, external decisions.
///
/// Each is bounded in time and bytes, verifies TLS and follows no redirect: a redirect is an answer. On every host the
/// address rule is applied to the URL ([`tollgate_core::fetch::AddressRule::check_url`]). A host that resolves names
/// itself also applies the rule to each resolved address before it connects, so that a name with an internal address is
/// refused. If the platform resolves names (Workers, Spin), the platform prevents access to internal addresses.
///
/// An answer that is late, too large or interrupted is an error, never a shorter answer: otherwise the end of a list of
/// keys could be suppressed. The port cannot detect a wrong answer; its reader verifies it.
#[expect(async_fn_in_trait, reason = "ports carry no Send bound: an isolate stays on its thread")]
pub trait Fetch {
    /// Sends the request and returns the complete answer.
    async fn fetch(&self, request: &FetchRequest, bounds: &FetchBounds) -> Result<FetchAnswer, FetchError>;
}

/// [`Fetch::fetch`] by means of [`Upstream`], for hosts without another implementation.
///
/// If it resolves names, it has to apply the address rule itself.
///
/// # Errors
/// If there is no complete answer within the bounds.
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
    // The caller applies the timeout of the whole request: a second timer would abort the content at the same moment.
    let call =
        UpstreamCall { connect_timeout_ms: bounds.timeout_ms, timeout_ms: None, certificate: None, runs_to_end: false };
    let fields = fields_of(request);
    let sent = Outbound::new(&request.method, request.url.clone(), &fields, !request.content.is_empty());
    let answer = upstream.send(&sent, Content::from_bytes(request.content.clone()), &call).await?;
    let (head, content) = answer.into_parts();
    if head.headers.get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return Err(FetchError::Encoded);
    }
    match content.gather(bounds.answer_bytes_max).await {
        Ok(Gathered::Complete(whole)) => {
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
