//! One exchange: on a pooled connection if there is one, otherwise on a new one.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::Either;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;
use tollgate_core::forward::UpstreamError;

use super::certificates::Tls;
use super::connect::connect;
use super::pool::{Lease, Origin, Pool, Sender, Trial};
use super::{Again, error};
use crate::content::Outgoing;

/// Sends the request and waits for the response's head. `again` creates it once more; `trial` is the shared connection that
/// is being used.
pub(super) async fn exchange(
    pool: &Rc<Pool>,
    tls: &Tls,
    mut request: Request<Outgoing>,
    again: &Again<'_>,
    connect_timeout: Duration,
    trial: &RefCell<Option<Trial>>,
) -> Result<(Response<Incoming>, Lease), UpstreamError> {
    let origin = Origin::of(request.uri(), tls.number).ok_or(UpstreamError::ProxyInternalError)?;
    let is_idempotent = is_idempotent(request.method());
    let mut resent = Resent::NotYet;
    loop {
        let pooled = if resent == Resent::OnNewConnection { None } else { pool.take(&origin) };
        let is_pooled = pooled.is_some();
        let (sender, lease) = match pooled {
            Some(pooled) => pooled,
            // Boxed, because it is large and rarely used; otherwise every request with a pooled connection would move it.
            None => Box::pin(connect(pool, tls, &origin, connect_timeout)).await?,
        };
        // A new HTTP/1.1 connection neither was closed meanwhile nor refuses a request unprocessed.
        let may_fail = match &sender {
            Sender::Http1(_) => is_pooled && is_idempotent,
            Sender::Http2(_) => true,
        };
        // The same content, if sending it consumes none of a client.
        let spare = if may_fail && resent == Resent::NotYet { request.body().again() } else { None };
        let used = lease.trial();
        trial.borrow_mut().clone_from(&used);
        let reason = match send_over((sender, lease), &origin, request).await {
            Ok(answer) => return Ok(answer),
            Err(Failure::Unsent(unsent)) if is_pooled => {
                request = *unsent;
                continue;
            }
            Err(Failure::Unsent(_)) => return Err(UpstreamError::ConnectionTerminated),
            Err(Failure::Sent(reason)) => reason,
        };
        let unprocessed = error::is_unprocessed(&reason);
        if unprocessed && let Some(used) = used {
            used.bench();
        }
        match spare {
            Some(content) if unprocessed => (request, resent) = (again(content), Resent::OnAny),
            Some(content) if is_pooled && is_idempotent && error::is_closed(&reason) => {
                (request, resent) = (again(content), Resent::OnNewConnection);
            }
            Some(_) | None => return Err(error::of_request(&reason)),
        }
    }
}

/// Whether a request that was sent may be sent again: once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resent {
    /// It was not sent yet.
    NotYet,
    /// It is sent again, on a pooled connection or a new one.
    OnAny,
    /// It is sent again, on a new connection.
    OnNewConnection,
}

enum Failure {
    /// No byte of it was sent.
    Unsent(Box<Request<Outgoing>>),
    /// It was sent, at least partially.
    Sent(hyper::Error),
}

/// Passes the request to the connection immediately: the future that waits for the response holds no copy of it.
fn send_over(
    (mut sender, mut lease): (Sender, Lease),
    origin: &Origin,
    mut request: Request<Outgoing>,
) -> impl Future<Output = Result<(Response<Incoming>, Lease), Failure>> + use<> {
    let sent = match &mut sender {
        Sender::Http1(exclusive) => {
            fit_http1(&mut request, origin);
            Either::Left(exclusive.sender.try_send_request(request))
        }
        Sender::Http2(sender) => {
            fit_http2(&mut request, origin);
            Either::Right(sender.try_send_request(request))
        }
    };
    async move {
        let response = sent.await.map_err(unsent_or_sent)?;
        lease.heard();
        lease.returns(sender);
        Ok((response, lease))
    }
}

fn unsent_or_sent(mut failure: TrySendError<Request<Outgoing>>) -> Failure {
    match failure.take_message() {
        Some(request) => Failure::Unsent(Box::new(request)),
        None => Failure::Sent(failure.into_error()),
    }
}

/// RFC 9110, section 9.2.2.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE)
}

/// Origin-form target, a Host field, the framing of the content, and `TE` as an option of this connection, as HTTP/1.1
/// requires (RFC 9112, sections 3.2 and 6; RFC 9110, section 10.1.4).
fn fit_http1(request: &mut Request<Outgoing>, origin: &Origin) {
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

/// States the framing where hyper would send no content, no length of none, or no trailers: only chunked content has them
/// (RFC 9112, section 7.1.2).
fn frame_http1(request: &mut Request<Outgoing>) {
    if request.body().may_have_trailers() && request.headers().contains_key(TRAILER) {
        request.headers_mut().remove(CONTENT_LENGTH);
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        return;
    }
    let (name, value) = match *request.method() {
        Method::GET | Method::HEAD if request.body().size_hint().exact().is_none() => (TRANSFER_ENCODING, "chunked"),
        // Servers expect content with these methods (RFC 9110, section 8.6).
        Method::POST | Method::PUT | Method::PATCH if request.body().is_empty() => (CONTENT_LENGTH, "0"),
        _ => return,
    };
    if !request.headers().contains_key(CONTENT_LENGTH) {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

/// Absolute target with the authority of the Host field, and no Host field, as HTTP/2 requires.
fn fit_http2(request: &mut Request<Outgoing>, origin: &Origin) {
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

fn take_target(request: &mut Request<Outgoing>) -> PathAndQuery {
    std::mem::take(request.uri_mut()).into_parts().path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"))
}
