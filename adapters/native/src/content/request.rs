//! The state of a request that outlives the reader of its content.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use http_body::Frame;
use tollgate_core::authn::PeerCertificate;

use crate::clients::Place;
use crate::local::Signal;
use crate::places::{ExchangePlace, ExchangePlaces};

/// What happens to a request while it is forwarded; clones are the same state.
///
/// The reader of its content may be a connection that ignores the content's errors, and its client may disconnect.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestState(Rc<State>);

#[derive(Debug, Default)]
struct State {
    fault: Cell<Option<RequestFault>>,
    /// Whether the reader of its content waits for the client.
    awaits_content: Cell<bool>,
    /// Whether all of its content was received.
    is_received: Cell<bool>,
    /// Whether trailers were.
    has_trailers: Cell<bool>,
    /// Nobody waits for the response any more; the work of the request is polled then.
    left: Cell<bool>,
    /// Whether that is because the gateway ended the connection.
    was_cut_off: Cell<bool>,
    /// Its place among all requests of the server.
    of_server: RefCell<Option<ExchangePlace>>,
    /// Its place among the requests of its client.
    of_client: RefCell<Option<Place>>,
    /// The certificate that its client presented.
    certificate: Option<Rc<PeerCertificate>>,
}

/// The fault of a request's content, for callers that only see that its reader failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestFault {
    /// It is longer than allowed.
    LimitExceeded,
    /// It was interrupted or malformed.
    Interrupted,
}

/// Why nobody waits for a response any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The client is gone.
    ByClient,
    /// The gateway has stopped.
    ByGateway,
}

/// Waits for the response on behalf of the client; dropped before that, nobody waits for it.
#[derive(Debug)]
pub(crate) struct Waiting {
    request: Option<RequestState>,
    cut_off: Rc<Signal>,
}

impl RequestState {
    pub(crate) fn fault(&self) -> Option<RequestFault> {
        self.0.fault.get()
    }

    pub(super) fn failed(&self, fault: RequestFault) {
        self.0.fault.set(Some(fault));
    }

    /// Whether the reader of its content waits for the client to send more.
    pub(crate) fn awaits_content(&self) -> bool {
        self.0.awaits_content.get()
    }

    /// The reader of its content has asked for more, and got this.
    pub(super) fn polled<D, E>(&self, polled: &Poll<Option<Result<Frame<D>, E>>>) {
        self.0.awaits_content.set(polled.is_pending());
        if matches!(polled, Poll::Ready(Some(Ok(frame))) if frame.is_trailers()) {
            self.0.has_trailers.set(true);
        }
    }

    /// Whether all of its content was received.
    pub(crate) fn is_received(&self) -> bool {
        self.0.is_received.get()
    }

    /// Whether it was, and no trailers were.
    pub(crate) fn is_received_without_trailers(&self) -> bool {
        self.is_received() && !self.0.has_trailers.get()
    }

    pub(super) fn received(&self) {
        self.0.is_received.set(true);
    }

    /// Why nobody waits for its response, if nobody does.
    pub(crate) fn has_left(&self) -> Option<Left> {
        let by = if self.0.was_cut_off.get() { Left::ByGateway } else { Left::ByClient };
        self.0.left.get().then_some(by)
    }

    /// The state of a request that has this place in the server, of a client with this certificate.
    pub(crate) fn at(place: ExchangePlace, certificate: Option<&Rc<PeerCertificate>>) -> Self {
        let certificate = certificate.map(Rc::clone);
        Self(Rc::new(State { of_server: RefCell::new(Some(place)), certificate, ..State::default() }))
    }

    /// The certificate that its client presented.
    pub(crate) fn certificate(&self) -> Option<&Rc<PeerCertificate>> {
        self.0.certificate.as_ref()
    }

    /// Keeps the request's place among those of its client, until its work has ended.
    pub(crate) fn keep(&self, place: Place) {
        self.0.of_client.replace(Some(place));
    }

    /// The response is ready.
    ///
    /// A request without a place among those of its client gives up its place in the server: it was refused, and how long
    /// its client takes for the refusal must not matter to others. It gets a place among these instead; `false` if none is free.
    pub(crate) fn responded(&self, refusals: &ExchangePlaces) -> bool {
        if self.0.of_client.borrow().is_some() {
            return true;
        }
        let place = refusals.take();
        let has_place = place.is_some();
        self.0.of_server.replace(place);
        has_place
    }

    /// The work of the request has ended.
    pub(crate) fn ended(&self) {
        self.0.of_client.take();
        self.0.of_server.take();
    }

    /// A guard that the client's side holds until it has the response; `cut_off` is given before the gateway ends its
    /// connections.
    pub(crate) fn waiting(&self, cut_off: &Rc<Signal>) -> Waiting {
        Waiting { request: Some(self.clone()), cut_off: Rc::clone(cut_off) }
    }
}

impl Waiting {
    /// The response has arrived.
    pub(crate) fn answered(mut self) {
        self.request = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(request) = &self.request {
            request.0.was_cut_off.set(self.cut_off.is_given());
            request.0.left.set(true);
        }
    }
}
