//! Requests to upstreams: pooled connections of one isolate, with HTTP/1.1 or HTTP/2, plain or TLS.

mod certificates;
mod connect;
mod error;
mod pool;
mod send;
mod stream;
mod timer;
mod tls;

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::CONNECTION;
use http::{Request, Response};
use hyper::body::Incoming;
use rustls::ClientConfig;
use tollgate_core::fetch::AddressRule;
use tollgate_core::forward::{Outbound, TrailerRules, UpstreamError};
use tollgate_edge::ports::{Content, Upstream, UpstreamCall};

use crate::content::{Copies, CopyBudget, Left, NativeContent, Outgoing, RequestFault, RequestState, UpstreamContent};
use crate::secrets::SecretSource;
use certificates::Certificates;
pub use certificates::{Fault as CertificateFault, check_certificate};
pub(crate) use certificates::{News, UsableCertificates};
pub(crate) use pool::Lease;
use pool::Pool;
pub(crate) use timer::Timer;
use timer::Timers;
pub use tls::{TrustError, client_config};

/// The upstream port of one isolate; clones share its connections.
///
/// A request is sent again, once, if that is safe: if it was not sent at all; if a pooled connection turns out to be
/// closed and the method is idempotent (RFC 9110, section 9.2.2); or if the upstream says that it did not process it (RFC
/// 9113, section 8.7). Its content must be in memory, or empty.
///
/// The request of a client that is gone is not sent; if it has been sent, the call ends.
#[derive(Clone, Debug)]
pub struct NativeUpstream {
    pool: Rc<Pool>,
    certificates: Rc<Certificates>,
    copies: Option<Copies>,
    timers: Timers,
}

impl NativeUpstream {
    /// The port with these settings of TLS, and certificates of the gateway from these secrets, or those that other isolates use.
    pub(crate) fn new(tls: Arc<ClientConfig>, secrets: SecretSource, usable: UsableCertificates) -> Self {
        let certificates = Rc::new(Certificates::new(tls, secrets, usable));
        Self { pool: Rc::new(Pool::to(AddressRule::Any)), certificates, copies: None, timers: Timers::default() }
    }

    /// Bounds the copies of its responses by a budget.
    pub(crate) fn with_copies(mut self, budget: Arc<CopyBudget>) -> Self {
        self.copies = Some(Rc::new(budget));
        self
    }

    /// A port with separate connections, for addresses that a rule allows.
    pub(crate) fn to(&self, addresses: AddressRule) -> Self {
        let (certificates, timers) = (Rc::clone(&self.certificates), self.timers.clone());
        Self { pool: Rc::new(Pool::to(addresses)), certificates, copies: None, timers }
    }

    /// Closes connections that have been idle for too long.
    pub(crate) fn drop_idle(&self) {
        self.pool.drop_idle();
    }

    /// Reads the gateway's certificates again that were used.
    pub(crate) fn renew_certificates(&self) {
        self.certificates.renew();
    }

    /// What operators should know of the gateway's certificates since this was last called.
    pub(crate) fn take_news(&self) -> Vec<News> {
        self.certificates.take_news()
    }
}

impl Upstream for NativeUpstream {
    type Content = NativeContent;

    async fn send(
        &self,
        outbound: &Outbound<'_>,
        content: NativeContent,
        call: &UpstreamCall<'_>,
    ) -> Result<Response<NativeContent>, UpstreamError> {
        // Empty content has no trailers.
        let rules = if content.is_empty() { None } else { outbound.trailer_rules() };
        let to_send = |content| {
            let mut request = Request::new(content);
            request.method_mut().clone_from(outbound.method());
            request.uri_mut().clone_from(outbound.target());
            *request.headers_mut() = outbound.sent().to_map();
            request
        };
        let client = content.request().cloned();
        let content = Outgoing::of(content.with_trailer_rules(rules));
        self.call(to_send(content), client, &to_send, call).await
    }
}

impl NativeUpstream {
    /// Sends a request unchanged; its target is an absolute URI.
    pub(crate) async fn exchange(
        &self,
        request: Request<NativeContent>,
        call: &UpstreamCall<'_>,
    ) -> Result<Response<NativeContent>, UpstreamError> {
        let mut head = Request::new(());
        head.method_mut().clone_from(request.method());
        head.uri_mut().clone_from(request.uri());
        head.headers_mut().clone_from(request.headers());
        let client = request.body().request().cloned();
        self.call(request.map(Outgoing::of), client, &|content| head.clone().map(|()| content), call).await
    }

    /// Sends a request for a client; `again` creates it once more, with this content.
    async fn call(
        &self,
        request: Request<Outgoing>,
        client: Option<RequestState>,
        again: &Again<'_>,
        call: &UpstreamCall<'_>,
    ) -> Result<Response<NativeContent>, UpstreamError> {
        let matters = |left: &Left| !(call.runs_to_end && *left == Left::ByClient);
        let has_left = || client.as_ref().and_then(RequestState::has_left).filter(matters);
        if let Some(left) = has_left() {
            return Err(unwanted(left));
        }
        let connect_timeout = Duration::from_millis(call.connect_timeout_ms);
        let mut deadline = call.timeout_ms.map(|ms| self.timers.start(Duration::from_millis(ms)));
        let trial = RefCell::default();
        let presented;
        let tls = match call.certificate {
            None => self.certificates.plain(),
            Some(own) => {
                presented = self.certificates.presenting(own)?;
                &presented
            }
        };
        let mut exchange = pin!(send::exchange(&self.pool, tls, request, again, connect_timeout, &trial));
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = exchange.as_mut().poll(cx) {
                return Poll::Ready(
                    answer.and_then(|answer| self.respond(answer, deadline.take(), client.as_ref(), cx)),
                );
            }
            if deadline.as_mut().is_some_and(|deadline| deadline.poll(cx).is_ready()) {
                if client.as_ref().is_some_and(RequestState::awaits_content) {
                    return Poll::Ready(Err(UpstreamError::RequestContentTimeout));
                }
                trial.borrow().as_ref().inspect(|trial| trial.timed_out());
                return Poll::Ready(Err(UpstreamError::HttpResponseTimeout));
            }
            has_left().map_or(Poll::Pending, |left| Poll::Ready(Err(unwanted(left))))
        });
        answer.await.map_err(|error| match client.as_ref().and_then(RequestState::fault) {
            Some(RequestFault::LimitExceeded) => UpstreamError::RequestContentTooLarge,
            Some(RequestFault::Interrupted) => UpstreamError::RequestContentBroken,
            None => error,
        })
    }

    /// The response, whose content ends at the deadline.
    fn respond(
        &self,
        (response, lease): (Response<Incoming>, Lease),
        deadline: Option<Timer>,
        client: Option<&RequestState>,
        cx: &mut Context<'_>,
    ) -> Result<Response<NativeContent>, UpstreamError> {
        let (head, incoming) = response.into_parts();
        let (copies, answers) = (self.copies.clone(), client.cloned());
        let content = UpstreamContent::begin((incoming, head.version), lease, deadline, copies, answers, cx)
            .map_err(|broken| error::of_content(&broken))?;
        let content = NativeContent::from_upstream(content);
        // Of HTTP/1.1, only content of unknown length has trailers.
        let has_rules =
            head.headers.contains_key(CONNECTION) && (content.length().is_none() || content.may_have_trailers());
        let rules = has_rules.then(|| Arc::new(TrailerRules::of(&head.headers, Vec::new())));
        Ok(Response::from_parts(head, content.with_trailer_rules(rules)))
    }
}

/// Creates a request once more, in the rare case that it is sent again.
type Again<'a> = dyn Fn(Outgoing) -> Request<Outgoing> + 'a;

/// The error of a call whose response nobody waits for.
const fn unwanted(left: Left) -> UpstreamError {
    match left {
        Left::ByClient => UpstreamError::ClientGone,
        Left::ByGateway => UpstreamError::GatewayStopped,
    }
}

#[cfg(test)]
mod tests;
