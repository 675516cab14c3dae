//! The content of a request as it is sent to an upstream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tollgate_edge::ports::Content;

use super::{ContentError, NativeContent};

/// The content of a request, `None` if it is empty, as usual. Small, because hyper moves the message about ten times.
#[derive(Debug)]
pub(crate) struct Outgoing(Option<Box<NativeContent>>);

impl Outgoing {
    pub(crate) fn of(content: NativeContent) -> Self {
        Self((!content.is_empty()).then(|| Box::new(content)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.is_end_stream()
    }

    /// Whether trailers can follow content of a known length.
    pub(crate) fn may_have_trailers(&self) -> bool {
        self.0.as_ref().is_some_and(|content| content.may_have_trailers())
    }

    /// The same content once more, if that needs no bytes from a client.
    pub(crate) fn again(&self) -> Option<Self> {
        match &self.0 {
            None => Some(Self(None)),
            Some(content) => Some(Self(Some(Box::new(content.again()?)))),
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        match &mut self.get_mut().0 {
            None => Poll::Ready(None),
            Some(content) => Pin::new(content.as_mut()).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|content| content.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |content| content.size_hint())
    }
}
