//! The content of a response, as hyper sends it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::delivering::Delivering;
use crate::content::{ContentError, NativeContent};

/// The content of a response.
pub(super) struct Answer {
    pub(super) content: NativeContent,
    pub(super) delivering: Rc<Delivering>,
    /// Whether only the end of the connection ends the response: HTTP/1.0 has no chunks.
    pub(super) ends_by_close: bool,
    pub(super) has_failed: bool,
}

/// A piece of content. The connection keeps it until the client's socket takes it, and its window over HTTP/2: what is sent of
/// it is the client's progress, and only that was delivered.
pub(super) struct Piece {
    bytes: Bytes,
    delivering: Rc<Delivering>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let activity = self.delivering.activity();
        if self.ends_by_close && (self.has_failed || !self.content.is_complete()) {
            activity.resets.set(true);
        }
        if activity.cut_off.is_given() {
            self.content.cut_off();
        }
        // To read the content is not to send it: what was read, and is not sent yet, ends the delivery.
        self.delivering.is_read(self.content.take_watch(), self.content.end());
    }
}

impl Body for Answer {
    type Data = Piece;
    type Error = ContentError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, ContentError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.content).poll_frame(cx);
        this.delivering.asked(polled.is_pending());
        this.has_failed |= matches!(polled, Poll::Ready(Some(Err(_))));
        polled.map_ok(|frame| frame.map_data(|bytes| Piece::of(bytes, &this.delivering)))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl Piece {
    fn of(bytes: Bytes, delivering: &Rc<Delivering>) -> Self {
        delivering.begins(bytes.len());
        Self { bytes, delivering: Rc::clone(delivering) }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.bytes.has_remaining() {
            self.delivering.lost(self.bytes.len());
        }
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.delivering.left(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        let bytes = self.bytes.copy_to_bytes(length);
        self.delivering.left(length);
        bytes
    }
}
