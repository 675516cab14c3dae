//! Content on this host: hyper's bodies and bytes in memory, observed while they stream, not buffered.

mod copy;
mod outgoing;
mod received;
mod request;
mod source;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Version};
use http_body::{Body, Frame, SizeHint};
use thiserror::Error;
use tollgate_core::forward::{TrailerRules, filter_trailers};
use tollgate_core::telemetry::AbortedBy;
use tollgate_edge::ports::{Content, ContentFault, Delivery, Gathered, GatheredContent};

use crate::local::{Giver, handover};
pub use copy::ContentCopy;
pub(crate) use copy::CopyBudget;
use copy::CopySink;
pub(crate) use outgoing::Outgoing;
pub use received::BrokenOff;
use received::Received;
pub(crate) use request::{Left, RequestFault, RequestState, Waiting};
use source::Source;
pub(crate) use source::{Copies, Deadline, UpstreamContent};

/// The content of a request or response.
///
/// Frames are passed on as they arrive, including the trailers that may be forwarded; chunks are not copied. The reader sets the pace.
#[derive(Debug)]
pub struct NativeContent {
    source: Source,
    limit: Option<Limit>,
    /// Boxed, as other rare members: content is moved often.
    copy: Option<Box<CopySink>>,
    watch: Option<Watch>,
    /// How it ended, once it has.
    end: Option<End>,
    /// The request's state, if this is a request's content.
    request: Option<RequestState>,
    /// The rules for trailers, if this goes to an upstream.
    trailer_rules: Option<Arc<TrailerRules>>,
}

/// Why content was interrupted.
#[derive(Debug, Error)]
pub enum ContentError {
    /// It is longer than allowed.
    #[error("the content exceeded its limit")]
    LimitExceeded,
    /// The client disconnected, or sent invalid content.
    #[error("the client's content was interrupted: {0}")]
    Client(#[source] BrokenOff),
    /// The upstream disconnected, or sent invalid content.
    #[error("the upstream's content was interrupted: {0}")]
    Upstream(#[source] BrokenOff),
    /// The timeout of the exchange has expired.
    #[error("the upstream's content exceeded the timeout of the exchange")]
    Deadline,
}

impl From<&ContentError> for ContentFault {
    fn from(error: &ContentError) -> Self {
        match error {
            ContentError::LimitExceeded => Self::LimitExceeded,
            ContentError::Client(_) | ContentError::Upstream(_) | ContentError::Deadline => Self::Interrupted,
        }
    }
}

#[derive(Debug)]
struct Limit {
    left: u64,
}

/// Whoever waits for the end of the delivery.
#[derive(Debug)]
pub(crate) struct Watch {
    delivered: u64,
    told: Giver<Delivery>,
}

/// How content ended: all of it was read, or because of whom it was not.
pub(crate) type End = Result<(), AbortedBy>;

impl Watch {
    /// Tells how the delivery ended, and how many bytes were delivered.
    pub(crate) fn tell(self, bytes: u64, end: End) {
        let delivery = match end {
            Ok(()) => Delivery::Complete { bytes },
            Err(by) => Delivery::Aborted { bytes, by },
        };
        // There may be no receiver any more: a process that drains has dropped the work after the reply.
        let _ = self.told.give(delivery);
    }
}

impl NativeContent {
    /// The content of a request as hyper received it.
    pub(crate) fn from_client(incoming: hyper::body::Incoming, version: Version, request: RequestState) -> Self {
        let content = Received::new(incoming, version);
        let source = if content.is_end_stream() { Source::Ended } else { Source::Client(Box::new(content)) };
        let mut content = Self::of(source);
        content.request = Some(request);
        content
    }

    /// The empty content of a request.
    #[cfg(test)]
    pub(crate) fn of_request(request: RequestState) -> Self {
        let mut content = Self::of(Source::Ended);
        content.request = Some(request);
        content
    }

    pub(crate) fn from_upstream(content: UpstreamContent) -> Self {
        Self::of(Source::Upstream(content))
    }

    /// The state of the request that has this content, if it is a client's.
    pub(crate) const fn request(&self) -> Option<&RequestState> {
        self.request.as_ref()
    }

    /// The same content, with the rules for trailers that go to an upstream.
    pub(crate) fn with_trailer_rules(mut self, rules: Option<Arc<TrailerRules>>) -> Self {
        self.trailer_rules = rules;
        self
    }

    /// Whether trailers can follow content of a known length.
    pub(crate) fn may_have_trailers(&self) -> bool {
        self.source.may_have_trailers()
    }

    /// Whether all of it was read: a reader need not ask for the end of content with a declared length.
    pub(crate) fn is_complete(&self) -> bool {
        self.source.is_end_stream() || self.source.size_hint().exact() == Some(0)
    }

    /// The gateway ends its delivery.
    pub(crate) fn cut_off(&mut self) {
        if !self.is_complete() {
            self.abort(AbortedBy::Gateway);
        }
    }

    /// Whoever waits for the end of the delivery is told by the caller, who knows what the reader has done with the content.
    pub(crate) fn take_watch(&mut self) -> Option<Watch> {
        self.watch.take()
    }

    /// How the content ended, if it is not read any further.
    pub(crate) fn end(&self) -> End {
        self.end.unwrap_or_else(|| self.end_if(self.is_complete()))
    }

    /// The deadline of an upstream's content.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        self.source.deadline()
    }

    /// The same content once more, if that needs no bytes from a client.
    pub(crate) fn again(&self) -> Option<Self> {
        let mut again = Self::of(self.source.again()?);
        again.request.clone_from(&self.request);
        again.trailer_rules.clone_from(&self.trailer_rules);
        Some(again)
    }

    fn of(source: Source) -> Self {
        Self { source, limit: None, copy: None, watch: None, end: None, request: None, trailer_rules: None }
    }

    /// Content that is observed twice in the same way is wrapped in new content.
    fn nested(self) -> Self {
        let request = self.request.clone();
        let mut outer = Self::of(Source::Nested(Box::new(self)));
        outer.request = request;
        outer
    }

    /// The same content after its beginning was read: observers have seen the part that was read.
    fn resumed(self, beginning: Bytes) -> Self {
        let request = self.request.clone();
        let mut outer = Self::of(Source::Resumed(beginning, Box::new(self)));
        outer.request = request;
        outer
    }

    async fn next_frame(&mut self) -> Option<Result<Frame<Bytes>, ContentError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await
    }

    fn checked(&mut self, mut frame: Frame<Bytes>) -> Result<Frame<Bytes>, ContentError> {
        if let Some(trailers) = frame.trailers_mut() {
            filter_trailers(trailers, self.trailer_rules.as_deref());
        }
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        if let Some(limit) = &mut self.limit {
            limit.left = limit.left.checked_sub(length).ok_or(ContentError::LimitExceeded)?;
        }
        if let Some(watch) = &mut self.watch {
            watch.delivered += length;
        }
        if let (Some(sink), Some(data)) = (&mut self.copy, frame.data_ref())
            && sink.push(data).is_err()
        {
            self.copy = None;
        }
        Ok(frame)
    }

    fn failed(&mut self, error: &ContentError) {
        let (fault, by) = match error {
            ContentError::LimitExceeded => (RequestFault::LimitExceeded, AbortedBy::Client),
            ContentError::Client(_) => (RequestFault::Interrupted, AbortedBy::Client),
            ContentError::Upstream(_) => (RequestFault::Interrupted, self.source.broken_by()),
            ContentError::Deadline => {
                (RequestFault::Interrupted, self.source.expired_by().unwrap_or(AbortedBy::Upstream))
            }
        };
        if let Some(request) = &self.request {
            request.failed(fault);
        }
        self.source = Source::Ended;
        self.abort(by);
    }

    fn abort(&mut self, by: AbortedBy) {
        self.copy = None;
        self.tell(Err(by));
    }

    /// The end was reached, or the content is dropped: observers get the number of bytes.
    fn ended(&mut self, complete: bool) {
        if let Some(sink) = self.copy.take()
            && complete
        {
            sink.finish();
        }
        self.tell(self.end_if(complete));
    }

    fn end_if(&self, complete: bool) -> End {
        if complete { Ok(()) } else { Err(self.source.expired_by().unwrap_or(AbortedBy::Client)) }
    }

    fn tell(&mut self, end: End) {
        let end = *self.end.get_or_insert(end);
        if let Some(watch) = self.watch.take() {
            let bytes = watch.delivered;
            watch.tell(bytes, end);
        }
    }
}

impl Drop for NativeContent {
    // hyper drops a body without polling for its end when the declared length has passed, and after trailers. Over HTTP/2
    // the end of the stream may then still arrive in a separate frame.
    fn drop(&mut self) {
        if let (Some(request), Source::Client(content)) = (&self.request, &self.source)
            && content.is_end_stream()
        {
            request.received();
        }
        if self.copy.is_some() || self.watch.is_some() {
            self.ended(self.is_complete());
        }
    }
}

impl Body for NativeContent {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let this = self.get_mut();
        let polled = this.source.poll_frame(cx);
        if let Some(request) = &this.request {
            request.polled(&polled);
        }
        let Some(polled) = ready!(polled) else {
            if let Some(request) = &this.request {
                request.received();
            }
            this.ended(true);
            return Poll::Ready(None);
        };
        let checked = polled.and_then(|frame| this.checked(frame));
        if let Err(error) = &checked {
            this.failed(error);
        }
        Poll::Ready(Some(checked))
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl Content for NativeContent {
    type Copy = ContentCopy;

    fn empty() -> Self {
        Self::of(Source::Ended)
    }

    fn from_bytes(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self::of(Source::Bytes(bytes))
    }

    fn is_empty(&self) -> bool {
        self.source.is_end_stream()
    }

    fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    fn limited(self, max_bytes: u64) -> Self {
        if self.limit.is_some() {
            return self.nested().limited(max_bytes);
        }
        let mut limited = self;
        limited.limit = Some(Limit { left: max_bytes });
        limited.request.get_or_insert_default();
        limited
    }

    fn tee(self, max_bytes: u64) -> (Self, ContentCopy) {
        if self.copy.is_some() {
            return self.nested().tee(max_bytes);
        }
        let (sink, copy) = CopySink::new(max_bytes, self.source.copies());
        let mut teed = self;
        teed.copy = Some(Box::new(sink));
        (teed, copy)
    }

    async fn gather(mut self, bytes_max: u64) -> Result<Gathered<Self>, ContentFault> {
        if self.size_hint().lower() > bytes_max {
            return Ok(Gathered::TooLarge(self));
        }
        let (mut bytes, mut trailers) = (BytesMut::new(), None);
        while let Some(frame) = self.next_frame().await {
            match frame.map_err(|error| ContentFault::from(&error))?.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
            if bytes.len() as u64 > bytes_max {
                return Ok(Gathered::TooLarge(self.resumed(bytes.freeze())));
            }
        }
        Ok(Gathered::Complete(GatheredContent { bytes: bytes.freeze(), trailers }))
    }

    fn replay(whole: &GatheredContent) -> Self {
        match &whole.trailers {
            None => Self::from_bytes(whole.bytes.clone()),
            Some(trailers) => Self::of(Source::Replayed(whole.bytes.clone(), Box::new(HeaderMap::clone(trailers)))),
        }
    }

    fn watched(self, _: bool) -> (Self, impl Future<Output = Delivery> + 'static) {
        let mut watched = if self.watch.is_some() { self.nested() } else { self };
        let (told, delivery) = handover();
        watched.watch = Some(Watch { delivered: 0, told });
        let never_told = Delivery::Aborted { bytes: 0, by: AbortedBy::Client };
        (watched, async move { delivery.await.unwrap_or(never_told) })
    }
}

#[cfg(test)]
mod tests;
