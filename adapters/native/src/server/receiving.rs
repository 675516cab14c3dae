//! The content of the last request of a connection: whether it has ended, and whether it is certain where.

use std::cell::{Cell, RefCell};

use hyper::body::{Body, Incoming};

use crate::content::RequestState;

/// The content of the last request.
#[derive(Debug, Default)]
pub(super) struct Receiving {
    framing: Cell<Framing>,
    /// The request, if it is handled and has content.
    request: RefCell<Option<RequestState>>,
}

/// How a request says where its content ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Framing {
    /// It has none.
    #[default]
    Empty,
    /// With its length, or with the frames of its HTTP/2 stream.
    Certain,
    /// With its last chunk, and the trailers after it.
    Chunked,
}

impl Framing {
    pub(crate) fn of(content: &Incoming, is_http2: bool) -> Self {
        match content.size_hint().exact() {
            _ if content.is_end_stream() => Self::Empty,
            None if !is_http2 => Self::Chunked,
            None | Some(_) => Self::Certain,
        }
    }
}

impl Receiving {
    /// A request begins.
    pub(super) fn begin(&self, framing: Framing) {
        self.framing.set(framing);
        self.request.take();
    }

    /// It is handled with this state.
    pub(super) fn of(&self, request: &RequestState) {
        if self.framing.get() != Framing::Empty {
            self.request.replace(Some(request.clone()));
        }
    }

    /// Whether the client may still be sending it.
    pub(super) fn is_open(&self) -> bool {
        self.framing.get() != Framing::Empty && !self.is(RequestState::is_received)
    }

    /// Whether what follows is certainly the next request.
    ///
    /// hyper ends trailers at a blank line with CRLF, and drops what is before it and after one with a bare LF. Others end them
    /// there (RFC 9112, section 2.2), so what hyper reads next may be the content of a request that it dropped.
    pub(super) fn is_in_step(&self) -> bool {
        self.framing.get() != Framing::Chunked || self.is(RequestState::is_received_without_trailers)
    }

    /// Whether the next request is not going to be accepted, as far as that is known when the response is ready: its client can
    /// still be told.
    pub(super) fn is_last(&self) -> bool {
        !self.is_in_step() && !self.is(RequestState::awaits_content)
    }

    fn is(&self, has: fn(&RequestState) -> bool) -> bool {
        self.request.borrow().as_ref().is_some_and(has)
    }
}
