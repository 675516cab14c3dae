//! The content of a response, as hyper sends it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tollgate_core::telemetry::AbortedBy;

use super::activity::Busy;
use super::delivering::Delivering;
use super::sweep::Sweep;
use crate::content::{ContentError, NativeContent, Watch};

/// The content of a response; the connection is in use while it exists.
pub(super) struct Answer {
    pub(super) content: NativeContent,
    /// Whoever waits for the end of the delivery, over HTTP/2: to read the content is not to send it.
    pub(super) watch: Option<Watch>,
    pub(super) delivering: Rc<Delivering>,
    /// Watches over the delivery.
    pub(super) sweep: Rc<Sweep>,
    /// Whether only the end of the connection ends the response: HTTP/1.0 has no chunks.
    pub(super) ends_by_close: bool,
    pub(super) has_failed: bool,
    pub(super) _busy: Busy,
}

/// A piece of content. Over HTTP/2 the connection keeps it until the client's window lets it out: what is sent of it is the
/// client's progress, and only that was delivered.
pub(super) struct Piece {
    bytes: Bytes,
    stream: Option<Rc<Delivering>>,
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.sweep.deliveries.remove(&self.delivering);
        self.delivering.over();
        let activity = self.delivering.activity();
        if self.ends_by_close && (self.has_failed || !self.content.is_complete()) {
            activity.resets.set(true);
        }
        if activity.cut_off.is_given() {
            self.content.cut_off();
        }
        if let Some(watch) = self.watch.take() {
            self.delivering.leaving.ends(watch, self.content.end());
        }
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
        polled.map_ok(|frame| frame.map_data(|bytes| Piece::of(bytes, this.delivering.of_stream())))
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl Piece {
    fn of(bytes: Bytes, stream: Option<Rc<Delivering>>) -> Self {
        if let Some(stream) = &stream {
            stream.leaving.begins(bytes.len());
        }
        Self { bytes, stream }
    }

    fn leaves(&self, count: usize) {
        if let Some(stream) = &self.stream {
            stream.progressed();
            stream.leaving.left(count);
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream
            && self.bytes.has_remaining()
        {
            let by = if stream.activity().cut_off.is_given() { AbortedBy::Gateway } else { AbortedBy::Client };
            stream.leaving.lost(self.bytes.len(), by);
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
        self.leaves(count);
    }

    fn copy_to_bytes(&mut self, length: usize) -> Bytes {
        let bytes = self.bytes.copy_to_bytes(length);
        self.leaves(length);
        bytes
    }
}
