//! Content as hyper receives it, which ends only where its message ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use thiserror::Error;

use super::source::longer;

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
    /// Trailers end the message.
    has_trailers: bool,
    /// What was received before anyone read it.
    ahead: Option<Ahead>,
}

/// What comes next; small, because every response may have it.
#[derive(Debug)]
enum Ahead {
    Data(Bytes),
    Trailers(Box<HeaderMap>),
    End,
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
        Self { incoming, is_http2: version == Version::HTTP_2, left, has_trailers: false, ahead: None }
    }

    /// Receives the first frame, if it has arrived: it may already be the error that ends the content.
    pub(super) fn begin(&mut self, cx: &mut Context<'_>) -> Result<(), BrokenOff> {
        if self.is_end_stream() {
            return Ok(());
        }
        self.ahead = match self.receive(cx) {
            Poll::Ready(Some(frame)) => match frame?.into_data() {
                Ok(data) => Some(Ahead::Data(data)),
                Err(frame) => frame.into_trailers().ok().map(|trailers| Ahead::Trailers(Box::new(trailers))),
            },
            Poll::Ready(None) => Some(Ahead::End),
            Poll::Pending => None,
        };
        Ok(())
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.ahead.take() {
            None => self.receive(cx),
            Some(Ahead::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Ahead::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(*trailers)))),
            Some(Ahead::End) => {
                self.ahead = Some(Ahead::End);
                Poll::Ready(None)
            }
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
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

    /// Whether nothing is left to read. A reader may stop after the trailers, without asking for more.
    pub(super) fn is_end_stream(&self) -> bool {
        match self.ahead {
            Some(Ahead::Data(_) | Ahead::Trailers(_)) => false,
            Some(Ahead::End) => true,
            None => self.has_trailers || self.incoming.is_end_stream(),
        }
    }

    /// Whether trailers can follow content of a declared length: in HTTP/1.1 only chunked content has trailers.
    pub(super) const fn may_have_trailers(&self) -> bool {
        self.is_http2
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &self.ahead {
            Some(Ahead::Data(data)) => longer(&self.incoming.size_hint(), data.len() as u64),
            Some(Ahead::End) => SizeHint::with_exact(0),
            Some(Ahead::Trailers(_)) | None => self.incoming.size_hint(),
        }
    }
}
