use std::cell::RefCell;
use std::fmt;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use http::{Request, Response};
use tollgate_core::forward::{Outbound, UpstreamError};

use super::{Content, VirtualClock};
use crate::ports::{Clock, Upstream, UpstreamCall};

/// The script of upstreams: a function from the request to a delay in milliseconds and an answer.
pub trait Script: Fn(&Request<Content>) -> (u64, Result<Response<Content>, UpstreamError>) {}

impl<F: Fn(&Request<Content>) -> (u64, Result<Response<Content>, UpstreamError>)> Script for F {}

/// Upstreams that answer by a script and store the requests that they received, each with the gateway's
/// [`OwnCertificate`](tollgate_core::forward::OwnCertificate) as an extension if one was presented.
#[derive(Clone)]
pub struct ScriptedUpstream {
    clock: VirtualClock,
    script: Rc<dyn Script>,
    received: Rc<RefCell<Vec<Request<Content>>>>,
}

impl ScriptedUpstream {
    /// Upstreams with this script.
    pub fn new(clock: VirtualClock, script: impl Script + 'static) -> Self {
        Self { clock, script: Rc::new(script), received: Rc::default() }
    }

    /// The requests received since the last call.
    pub fn take_received(&self) -> Vec<Request<Content>> {
        std::mem::take(&mut self.received.borrow_mut())
    }
}

impl fmt::Debug for ScriptedUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedUpstream").field("received", &self.received.borrow().len()).finish_non_exhaustive()
    }
}

impl Upstream for ScriptedUpstream {
    type Content = Content;

    async fn send(
        &self,
        outbound: &Outbound<'_>,
        content: Content,
        call: &UpstreamCall<'_>,
    ) -> Result<Response<Content>, UpstreamError> {
        if content.is_broken() {
            return Err(UpstreamError::RequestContentTooLarge);
        }
        let mut request = Request::new(content);
        request.method_mut().clone_from(outbound.method());
        request.uri_mut().clone_from(outbound.target());
        *request.headers_mut() = outbound.sent().to_map();
        if let Some(certificate) = call.certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let (delay_ms, answer) = (self.script)(&request);
        self.received.borrow_mut().push(request);
        let delay = pin!(async {
            if delay_ms > 0 {
                self.clock.sleep(delay_ms).await;
            }
        });
        let Some(timeout_ms) = call.timeout_ms else {
            delay.await;
            return answer;
        };
        match select(delay, pin!(self.clock.sleep(timeout_ms))).await {
            Either::Left(((), _)) => answer,
            Either::Right(((), _)) => Err(UpstreamError::HttpResponseTimeout),
        }
    }
}
