//! Sources of content.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use super::{ContentError, NativeContent};
use crate::upstream::Lease;

#[derive(Debug)]
pub(super) enum Source {
    Ended,
    Bytes(Bytes),
    Client(Incoming),
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
    incoming: Incoming,
    /// Returns the connection to the pool when the content has been read or dropped.
    _lease: Lease,
    deadline: Option<Pin<Box<Sleep>>>,
}

type Polled = Poll<Option<Result<Frame<Bytes>, ContentError>>>;

impl Source {
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Self::Ended => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Ended;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Client(incoming) => Pin::new(incoming).poll_frame(cx).map_err(ContentError::Client),
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

    pub(super) fn is_end_stream(&self) -> bool {
        match self {
            Self::Ended => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Client(incoming) => incoming.is_end_stream(),
            Self::Upstream(content) => content.incoming.is_end_stream(),
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
            Self::Upstream(content) => content.incoming.size_hint(),
            Self::Nested(content) => content.size_hint(),
            Self::Resumed(beginning, rest) => longer(&rest.size_hint(), beginning.len() as u64),
            Self::Replayed(bytes, _) => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

fn longer(hint: &SizeHint, bytes: u64) -> SizeHint {
    let mut longer = SizeHint::new();
    longer.set_lower(hint.lower().saturating_add(bytes));
    if let Some(upper) = hint.upper().and_then(|upper| upper.checked_add(bytes)) {
        longer.set_upper(upper);
    }
    longer
}

impl UpstreamContent {
    pub(crate) fn new(incoming: Incoming, lease: Lease, deadline: Option<Pin<Box<Sleep>>>) -> Self {
        Self { incoming, _lease: lease, deadline }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Polled {
        // Polled first, so that content without pauses is aborted too; the timer was started with the request.
        if self.deadline.as_ref().is_some_and(|d| d.is_elapsed()) {
            return Poll::Ready(Some(Err(ContentError::Deadline)));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame.map(|f| f.map_err(ContentError::Upstream)));
        }
        if let Some(deadline) = &mut self.deadline {
            ready!(deadline.as_mut().poll(cx));
            return Poll::Ready(Some(Err(ContentError::Deadline)));
        }
        Poll::Pending
    }
}
