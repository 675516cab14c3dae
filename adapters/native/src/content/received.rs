//! Content as hyper receives it, which ends only where its message ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;

/// The content of a received message.
///
/// Over HTTP/2 only `END_STREAM` completes it (RFC 9113, section 8.1), but hyper also reports its end if the stream is reset
/// with `NO_ERROR`, which is right after an early response and wrong in the middle of content.
#[derive(Debug)]
pub(super) struct Received {
    incoming: Incoming,
    is_http2: bool,
    /// What is left of the declared length.
    left: Option<u64>,
    /// Trailers end the stream.
    has_trailers: bool,
}

/// Why content broke off.
#[derive(Debug, Error)]
pub enum BrokenOff {
    /// The connection or the coding failed.
    #[error(transparent)]
    Failed(#[from] hyper::Error),
    /// The stream was reset without an error before its end.
    #[error("the stream was reset before its end")]
    Reset,
}

impl Received {
    pub(super) fn new(incoming: Incoming, version: Version) -> Self {
        let left = incoming.size_hint().exact();
        Self { incoming, is_http2: version == Version::HTTP_2, left, has_trailers: false }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let polled = Pin::new(&mut self.incoming).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                self.has_trailers |= frame.is_trailers();
            }
            Poll::Ready(None) if !self.is_complete() => return Poll::Ready(Some(Err(BrokenOff::Reset))),
            Poll::Ready(None | Some(Err(_))) | Poll::Pending => {}
        }
        polled.map_err(BrokenOff::Failed)
    }

    /// Whether an end that hyper reports is the message's.
    ///
    /// If a complete message and a reset arrive together, its state tells only the reset: then the declared length and
    /// trailers show that it is complete.
    fn is_complete(&self) -> bool {
        !self.is_http2 || self.has_trailers || self.left == Some(0) || self.incoming.is_end_stream()
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
