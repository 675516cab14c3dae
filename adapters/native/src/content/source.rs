//! Sources of content.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Version};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tollgate_core::telemetry::AbortedBy;

use super::received::{BrokenOff, Received};
use super::{ContentError, CopyBudget, NativeContent, RequestState};
use crate::upstream::{Lease, Timer};

#[derive(Debug)]
pub(super) enum Source {
    Ended,
    Bytes(Bytes),
    Client(Box<Received>),
    Upstream(UpstreamContent),
    Nested(Box<NativeContent>),
    /// Content whose beginning was already read and comes first.
    Resumed(Bytes, Box<NativeContent>),
    /// Bytes, followed by trailers.
    Replayed(Bytes, Box<HeaderMap>),
}

/// A response's content, with its connection and its timeout.
#[derive(Debug)]
pub(crate) struct UpstreamContent {
    held: Rc<Held>,
    deadline: Option<Timer>,
    copies: Option<Copies>,
}

/// The budget of the isolate's copies; an `Rc`, because every response refers to it and few are copied.
pub(crate) type Copies = Rc<Arc<CopyBudget>>;

/// What occupies the upstream's connection. It can be dropped although nobody reads the content.
#[derive(Debug)]
struct Held {
    state: RefCell<State>,
    ends: Option<Instant>,
    /// The request that it answers, whose client may still be sending.
    answers: Option<RequestState>,
}

#[derive(Debug)]
enum State {
    /// Dropping the lease returns the connection to the pool.
    Open { incoming: Received, lease: Lease },
    /// All of it has been read.
    Ended,
    /// Its deadline has ended it, because of this side.
    Expired(AbortedBy),
}

/// The deadline of an upstream's content, for a task that does not read it.
#[derive(Debug)]
pub(crate) struct Deadline(Rc<Held>);

type Polled = Poll<Option<Result<Frame<Bytes>, ContentError>>>;

impl Source {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Self::Ended => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let piece = piece(bytes);
                if bytes.is_empty() {
                    *self = Self::Ended;
                }
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Self::Client(content) => content.poll_frame(cx).map_err(ContentError::Client),
            Self::Upstream(content) => content.poll_frame(cx),
            Self::Nested(content) => Pin::new(content.as_mut()).poll_frame(cx),
            Self::Resumed(beginning, rest) if beginning.is_empty() => Pin::new(rest.as_mut()).poll_frame(cx),
            Self::Resumed(bytes, _) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Replayed(bytes, trailers) if bytes.is_empty() => {
                let trailers = std::mem::take(trailers.as_mut());
                *self = Self::Ended;
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Self::Replayed(bytes, _) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
        }
    }

    /// The deadline of an upstream's content.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::Upstream(content) => content.held.ends.map(|_| Deadline(Rc::clone(&content.held))),
            Self::Nested(content) | Self::Resumed(_, content) => content.deadline(),
            Self::Ended | Self::Bytes(_) | Self::Client(_) | Self::Replayed(..) => None,
        }
    }

    /// Because of whom the deadline of an upstream's content has ended it, if it has.
    pub(super) fn expired_by(&self) -> Option<AbortedBy> {
        match self {
            Self::Upstream(content) => content.held.expired_by(),
            Self::Nested(content) | Self::Resumed(_, content) => content.source.expired_by(),
            Self::Ended | Self::Bytes(_) | Self::Client(_) | Self::Replayed(..) => None,
        }
    }

    /// Because of whom an upstream's content broke off.
    pub(super) fn broken_by(&self) -> AbortedBy {
        match self {
            Self::Upstream(content) => content.held.broken_by(),
            Self::Nested(content) | Self::Resumed(_, content) => content.source.broken_by(),
            Self::Ended | Self::Bytes(_) | Self::Client(_) | Self::Replayed(..) => AbortedBy::Upstream,
        }
    }

    /// Whether trailers can follow content of a known length.
    pub(super) fn may_have_trailers(&self) -> bool {
        match self {
            Self::Client(content) => content.may_have_trailers() && !content.is_end_stream(),
            Self::Upstream(content) => content.held.may_have_trailers(),
            Self::Nested(content) | Self::Resumed(_, content) => content.source.may_have_trailers(),
            Self::Replayed(..) => true,
            Self::Ended | Self::Bytes(_) => false,
        }
    }

    /// The budget of copies of an upstream's content.
    pub(super) fn copies(&self) -> Option<Arc<CopyBudget>> {
        match self {
            Self::Upstream(content) => content.copies.as_deref().cloned(),
            Self::Nested(content) | Self::Resumed(_, content) => content.source.copies(),
            Self::Ended | Self::Bytes(_) | Self::Client(_) | Self::Replayed(..) => None,
        }
    }

    /// The same source once more, if all of it is in memory.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Ended => Some(Self::Ended),
            Self::Bytes(bytes) => Some(Self::Bytes(bytes.clone())),
            Self::Replayed(bytes, trailers) => Some(Self::Replayed(bytes.clone(), trailers.clone())),
            Self::Client(_) | Self::Upstream(_) | Self::Nested(_) | Self::Resumed(..) => None,
        }
    }

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Ended => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Client(content) => content.is_end_stream(),
            Self::Upstream(content) => content.held.is_end_stream(),
            Self::Nested(content) => content.is_end_stream(),
            Self::Resumed(beginning, rest) => beginning.is_empty() && rest.is_end_stream(),
            Self::Replayed(..) => false,
        }
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ended => SizeHint::with_exact(0),
            Self::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Client(incoming) => incoming.size_hint(),
            Self::Upstream(content) => content.held.size_hint(),
            Self::Nested(content) => content.size_hint(),
            Self::Resumed(beginning, rest) => longer(&rest.size_hint(), beginning.len() as u64),
            Self::Replayed(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

pub(super) fn longer(hint: &SizeHint, bytes: u64) -> SizeHint {
    let mut longer = SizeHint::new();
    longer.set_lower(hint.lower().saturating_add(bytes));
    if let Some(upper) = hint.upper().and_then(|upper| upper.checked_add(bytes)) {
        longer.set_upper(upper);
    }
    longer
}

/// The next piece of content in memory.
///
/// It is short, so that a client that stops reading is noticed before the end, and the last one of several is copied:
/// a connection that keeps it for a slow client must not keep all of the content.
fn piece(bytes: &mut Bytes) -> Bytes {
    if bytes.len() <= PIECE_BYTES {
        return std::mem::take(bytes);
    }
    let piece = bytes.split_to(PIECE_BYTES);
    if bytes.len() <= PIECE_BYTES {
        *bytes = Bytes::copy_from_slice(bytes);
    }
    piece
}

/// The usual size of a socket's buffer: larger pieces are not sent faster.
const PIECE_BYTES: usize = 128 * 1024;

impl UpstreamContent {
    /// Begins to receive the content.
    ///
    /// # Errors
    /// If what has arrived together with the head is already invalid: the client can still be told.
    pub(crate) fn begin(
        (incoming, version): (hyper::body::Incoming, Version),
        lease: Lease,
        deadline: Option<Timer>,
        copies: Option<Copies>,
        answers: Option<RequestState>,
        cx: &mut Context<'_>,
    ) -> Result<Self, BrokenOff> {
        let ends = deadline.as_ref().and_then(Timer::end);
        let mut incoming = Received::new(incoming, version);
        incoming.begin(cx)?;
        let state = if incoming.is_end_stream() { State::Ended } else { State::Open { incoming, lease } };
        let held = Rc::new(Held { state: RefCell::new(state), ends, answers });
        Ok(Self { held, deadline, copies })
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        // Polled first, so that content without pauses is aborted too; the timer was started with the request.
        if self.deadline.as_ref().is_some_and(Timer::has_ended) && !self.held.is_end_stream() {
            return self.held.expired();
        }
        if let Poll::Ready(frame) = self.held.poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if let Some(deadline) = &mut self.deadline {
            ready!(deadline.poll(cx));
            return self.held.expired();
        }
        Poll::Pending
    }
}

impl Held {
    fn poll_frame(&self, cx: &mut Context<'_>) -> Polled {
        let mut state = self.state.borrow_mut();
        let State::Open { incoming, .. } = &mut *state else {
            let expired = matches!(*state, State::Expired(_));
            return Poll::Ready(expired.then_some(Err(ContentError::Deadline)));
        };
        let polled = incoming.poll_frame(cx).map_err(ContentError::Upstream);
        if matches!(polled, Poll::Ready(None)) || incoming.is_end_stream() {
            *state = State::Ended;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        matches!(*self.state.borrow(), State::Ended)
    }

    fn size_hint(&self) -> SizeHint {
        match &*self.state.borrow() {
            State::Open { incoming, .. } => incoming.size_hint(),
            State::Ended => SizeHint::with_exact(0),
            State::Expired(_) => SizeHint::default(),
        }
    }

    fn may_have_trailers(&self) -> bool {
        matches!(&*self.state.borrow(), State::Open { incoming, .. } if incoming.may_have_trailers())
    }

    fn expired_by(&self) -> Option<AbortedBy> {
        match &*self.state.borrow() {
            State::Expired(by) => Some(*by),
            State::Open { .. } | State::Ended => None,
        }
    }

    /// An upstream that answers early breaks off, too, when the client's content does.
    fn broken_by(&self) -> AbortedBy {
        let client = self.answers.as_ref().and_then(RequestState::fault);
        client.map_or(AbortedBy::Upstream, |_| AbortedBy::Client)
    }

    /// The reader waits for the upstream when the deadline expires.
    fn expired(&self) -> Polled {
        self.expire(AbortedBy::Upstream);
        Poll::Ready(Some(Err(ContentError::Deadline)))
    }

    /// Frees the connection to the upstream, unless all of the content has been read. An upstream that waits for the
    /// client's content is not late.
    fn expire(&self, by: AbortedBy) {
        let waits_for_client = self.answers.as_ref().is_some_and(RequestState::awaits_content);
        let by = if waits_for_client { AbortedBy::Client } else { by };
        let mut state = self.state.borrow_mut();
        if let State::Open { lease, .. } = &*state {
            if by == AbortedBy::Upstream {
                lease.timed_out();
            }
            *state = State::Expired(by);
        }
    }
}

impl Deadline {
    /// When the content must have ended.
    pub(crate) fn instant(&self) -> Option<Instant> {
        self.0.ends
    }

    /// Ends the content, because of this side, unless all of it has been read.
    pub(crate) fn expire(&self, by: AbortedBy) {
        self.0.expire(by);
    }
}
