//! One exchange: on a pooled connection if there is one, otherwise on a new one.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Either;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;
use rustls::ClientConfig;
use tollgate_core::forward::UpstreamError;
use tollgate_edge::ports::Content;

use super::connect::connect;
use super::error;
use super::pool::{Lease, Origin, Pool, Sender};
use crate::content::NativeContent;

/// Sends the request and waits for the response's head.
pub(super) async fn exchange(
    pool: &Rc<Pool>,
    tls: &Arc<ClientConfig>,
    mut request: Request<NativeContent>,
    connect_timeout: Duration,
) -> Result<(Response<Incoming>, Lease), UpstreamError> {
    let origin = Origin::of(request.uri()).ok_or(UpstreamError::ProxyInternalError)?;
    while let Some(pooled) = pool.take(&origin) {
        let spare = spare(&request);
        match send_over(pooled, &origin, request).await {
            Ok(answer) => return Ok(answer),
            Err(Failure::Unsent(unsent)) => request = *unsent,
            Err(Failure::Sent(reason)) => match spare {
                Some(spare) if error::is_closed(&reason) => {
                    request = *spare;
                    break;
                }
                Some(_) | None => return Err(error::of_request(&reason)),
            },
        }
    }
    // Boxed, because it is large and rarely used; otherwise every request with a pooled connection would move it.
    let fresh = Box::pin(connect(pool, tls, &origin, connect_timeout)).await?;
    match send_over(fresh, &origin, request).await {
        Ok(answer) => Ok(answer),
        Err(Failure::Unsent(_)) => Err(UpstreamError::ConnectionTerminated),
        Err(Failure::Sent(reason)) => Err(error::of_request(&reason)),
    }
}

enum Failure {
    /// No byte of it was sent.
    Unsent(Box<Request<NativeContent>>),
    /// It was sent, at least partially.
    Sent(hyper::Error),
}

/// Passes the request to the connection immediately: the future that waits for the response holds no copy of it.
fn send_over(
    (mut sender, mut lease): (Sender, Lease),
    origin: &Origin,
    mut request: Request<NativeContent>,
) -> impl Future<Output = Result<(Response<Incoming>, Lease), Failure>> + use<> {
    let sent = match &mut sender {
        Sender::Http1(sender) => {
            fit_http1(&mut request, origin);
            Either::Left(sender.try_send_request(request))
        }
        Sender::Http2(sender) => {
            fit_http2(&mut request, origin);
            Either::Right(sender.try_send_request(request))
        }
    };
    async move {
        let response = sent.await.map_err(unsent_or_sent)?;
        lease.returns(sender);
        Ok((response, lease))
    }
}

fn unsent_or_sent(mut failure: TrySendError<Request<NativeContent>>) -> Failure {
    match failure.take_message() {
        Some(request) => Failure::Unsent(Box::new(request)),
        None => Failure::Sent(failure.into_error()),
    }
}

/// A copy of the request, if it is idempotent and sending it does not consume any content.
fn spare(request: &Request<NativeContent>) -> Option<Box<Request<NativeContent>>> {
    let repeatable = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    if !repeatable || !request.body().is_empty() {
        return None;
    }
    let mut spare = Request::new(NativeContent::empty());
    spare.method_mut().clone_from(request.method());
    spare.uri_mut().clone_from(request.uri());
    spare.headers_mut().clone_from(request.headers());
    Some(Box::new(spare))
}

/// Origin-form target, a Host field, the framing of the content, and `TE` as an option of this connection, as HTTP/1.1
/// requires (RFC 9112, sections 3.2 and 6; RFC 9110, section 10.1.4).
fn fit_http1(request: &mut Request<NativeContent>, origin: &Origin) {
    *request.version_mut() = Version::HTTP_11;
    if !request.headers().contains_key(HOST) {
        // A request that was prepared for a closed HTTP/2 connection has its host in the target.
        let authority = request.uri().authority().unwrap_or(&origin.authority);
        if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
            request.headers_mut().insert(HOST, host);
        }
    }
    let target = take_target(request);
    *request.uri_mut() = Uri::from(target);
    frame_http1(request);
    if request.headers().contains_key(TE) {
        request.headers_mut().insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// States the framing where hyper would send no content, or no length of none.
fn frame_http1(request: &mut Request<NativeContent>) {
    let has_length = request.headers().contains_key(CONTENT_LENGTH);
    let (name, value) = match *request.method() {
        _ if has_length => return,
        Method::GET | Method::HEAD if request.body().size_hint().exact().is_none() => (TRANSFER_ENCODING, "chunked"),
        // Servers expect content with these methods (RFC 9110, section 8.6).
        Method::POST | Method::PUT | Method::PATCH if request.body().is_empty() => (CONTENT_LENGTH, "0"),
        _ => return,
    };
    request.headers_mut().insert(name, HeaderValue::from_static(value));
}

/// Absolute target with the authority of the Host field, and no Host field, as HTTP/2 requires.
fn fit_http2(request: &mut Request<NativeContent>, origin: &Origin) {
    *request.version_mut() = Version::HTTP_2;
    let host = request.headers_mut().remove(HOST);
    let authority = host.and_then(|host| host.to_str().ok()?.parse().ok()).unwrap_or_else(|| origin.authority.clone());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(if origin.https { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = Some(authority);
    parts.path_and_query = Some(take_target(request));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    // HTTP/2 has its own framing, and no options of a connection; a known length is sent unchanged.
    request.headers_mut().remove(TRANSFER_ENCODING);
    request.headers_mut().remove(CONNECTION);
    if request.body().is_empty() {
        request.headers_mut().remove(CONTENT_LENGTH);
    }
}

fn take_target(request: &mut Request<NativeContent>) -> PathAndQuery {
    std::mem::take(request.uri_mut()).into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"))
}
