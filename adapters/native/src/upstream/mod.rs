//! Requests to upstreams: pooled connections of one isolate, with HTTP/1.1 or HTTP/2, plain or TLS.

mod connect;
mod error;
mod pool;
mod send;
mod tls;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::{Request, Response};
use rustls::ClientConfig;
use tollgate_core::fetch::AddressRule;
use tollgate_core::forward::{Outbound, UpstreamError};
use tollgate_edge::ports::{Upstream, UpstreamCall};

use crate::content::{NativeContent, RequestFault, UpstreamContent};
pub(crate) use pool::Lease;
use pool::Pool;
pub use tls::{TrustError, client_config};

/// The upstream port of one isolate; clones share its connections.
///
/// If a pooled connection turns out to be closed, the request is sent again if that is safe: if it was not sent at all,
/// or if it has no content and an idempotent method (RFC 9110, section 9.2.2).
#[derive(Clone, Debug)]
pub struct NativeUpstream {
    pool: Rc<Pool>,
    tls: Arc<ClientConfig>,
}

impl NativeUpstream {
    pub(crate) fn new(tls: Arc<ClientConfig>) -> Self {
        Self { pool: Rc::new(Pool::to(AddressRule::Any)), tls }
    }

    /// A port with separate connections, for addresses that a rule allows.
    pub(crate) fn to(&self, addresses: AddressRule) -> Self {
        Self { pool: Rc::new(Pool::to(addresses)), tls: Arc::clone(&self.tls) }
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn drop_idle(&self) {
        self.pool.drop_idle();
    }
}

impl Upstream for NativeUpstream {
    type Content = NativeContent;

    async fn send(
        &self,
        outbound: &Outbound<'_>,
        content: NativeContent,
        call: &UpstreamCall,
    ) -> Result<Response<NativeContent>, UpstreamError> {
        let mut request = Request::new(content);
        request.method_mut().clone_from(outbound.method());
        request.uri_mut().clone_from(outbound.target());
        *request.headers_mut() = outbound.sent().to_map();
        self.exchange(request, call).await
    }
}

impl NativeUpstream {
    /// Sends a request unchanged; its target is an absolute URI.
    pub(crate) async fn exchange(
        &self,
        request: Request<NativeContent>,
        call: &UpstreamCall,
    ) -> Result<Response<NativeContent>, UpstreamError> {
        let fault = request.body().fault();
        let connect_timeout = Duration::from_millis(call.connect_timeout_ms);
        let mut deadline = call.timeout_ms.map(|ms| Box::pin(tokio::time::sleep(Duration::from_millis(ms))));
        let mut exchange = pin!(send::exchange(&self.pool, &self.tls, request, connect_timeout));
        let answer = poll_fn(|cx| match (exchange.as_mut().poll(cx), &mut deadline) {
            (Poll::Pending, Some(deadline)) => {
                deadline.as_mut().poll(cx).map(|()| Err(UpstreamError::HttpResponseTimeout))
            }
            (answer, _) => answer,
        });
        match answer.await {
            Ok((response, lease)) => {
                Ok(response
                    .map(|incoming| NativeContent::from_upstream(UpstreamContent::new(incoming, lease, deadline))))
            }
            Err(error) => Err(match fault.and_then(|cell| cell.get()) {
                Some(RequestFault::LimitExceeded) => UpstreamError::RequestContentTooLarge,
                Some(RequestFault::Interrupted) => UpstreamError::RequestContentBroken,
                None => error,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
