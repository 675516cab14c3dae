//! A client's stream, shared by hyper and its connection.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::activity::Activity;
use super::socket::{OverTcp, reset_on_drop};

/// A client's stream, which hyper uses and its connection keeps.
pub(crate) struct ClientStream<S> {
    stream: Rc<RefCell<S>>,
    /// What was read before, and comes first.
    ahead: Bytes,
    /// Is told that bytes have arrived.
    activity: Option<Rc<Activity>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ClientStream<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream: Rc::new(RefCell::new(stream)), ahead: Bytes::new(), activity: None }
    }

    /// The same stream, which tells the activity that bytes have arrived.
    pub(super) fn heard_by(mut self, activity: &Rc<Activity>) -> Self
    where
        S: OverTcp + 'static,
    {
        activity.is_over(&self.stream);
        self.activity = Some(Rc::clone(activity));
        self
    }

    /// The same stream, for hyper, which reads these bytes first.
    pub(crate) fn handle(&self, ahead: Bytes) -> Self {
        Self { stream: Rc::clone(&self.stream), ahead, activity: self.activity.clone() }
    }

    /// Returns when something can be read: bytes, or the client's end.
    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>
    where
        S: OverTcp,
    {
        self.stream.borrow().tcp().poll_read_ready(cx).map(drop)
    }

    /// Whether the client begins with the preface of HTTP/2, and what was read to know that.
    pub(super) async fn begins_http2(&mut self) -> Result<(bool, Bytes)> {
        let mut bytes = [0; HTTP2_PREFACE.len()];
        let mut buffer = ReadBuf::new(&mut bytes);
        loop {
            let before = buffer.filled().len();
            poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, &mut buffer)).await?;
            let read = buffer.filled();
            if read.len() == before || !HTTP2_PREFACE.starts_with(read) || read.len() == HTTP2_PREFACE.len() {
                return Ok((read == HTTP2_PREFACE, Bytes::copy_from_slice(read)));
            }
        }
    }

    /// Ends the connection with a reset.
    pub(super) fn reset(self)
    where
        S: OverTcp,
    {
        reset_on_drop(self.stream.borrow().tcp());
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        if !self.ahead.is_empty() {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.advance(count);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buffer);
        if let Some(activity) = &self.activity
            && buffer.filled().len() > before
        {
            activity.heard();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }
}

/// RFC 9113, section 3.4.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
