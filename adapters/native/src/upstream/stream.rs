//! An upstream's HTTP/1.1 stream, whose response can be read although the upstream takes no more of the request.

use std::cell::Cell;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that takes and drops what cannot be sent any more.
///
/// An upstream may answer before it has read the request, and close the connection: then writing fails, but its response has
/// arrived (RFC 9112, section 9.5). hyper ends the exchange when writing fails, so that only reading may fail.
pub(super) struct UpstreamStream<S> {
    stream: S,
    cut: Cut,
}

/// Whether the upstream takes nothing any more; clones are the same state.
#[derive(Clone, Debug, Default)]
pub(super) struct Cut(Rc<Cell<bool>>);

impl Cut {
    pub(super) fn is_given(&self) -> bool {
        self.0.get()
    }

    /// What is left of a write, or of another attempt to send.
    fn unless_disconnected<T>(&self, sent: Result<T>, dropped: T) -> Result<T> {
        match sent {
            Err(error) if is_disconnect(&error) => {
                self.0.set(true);
                Ok(dropped)
            }
            sent => sent,
        }
    }
}

impl<S> UpstreamStream<S> {
    pub(super) fn new(stream: S) -> (Self, Cut) {
        let cut = Cut::default();
        (Self { stream, cut: cut.clone() }, cut)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for UpstreamStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        // The system has told the reset to the writer, so that it looks like the end of the response here.
        if self.cut.is_given() && buffer.filled().len() == before {
            return Poll::Ready(Err(Error::from(ErrorKind::ConnectionReset)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for UpstreamStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        if self.cut.is_given() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(self.cut.unless_disconnected(sent, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        if let [single] = bytes {
            // As for every request without content; the system's call for one piece is a little cheaper.
            return self.poll_write(cx, single);
        }
        let all = bytes.iter().map(|piece| piece.len()).sum();
        if self.cut.is_given() {
            return Poll::Ready(Ok(all));
        }
        let sent = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, bytes));
        Poll::Ready(self.cut.unless_disconnected(sent, all))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.cut.is_given() {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(self.cut.unless_disconnected(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Whether the peer takes nothing any more.
fn is_disconnect(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn what_was_answered_can_be_read_after_the_peer_is_gone() {
        let (near, mut far) = duplex(64);
        let (mut stream, cut) = UpstreamStream::new(near);
        stream.write_all(b"half").await.unwrap();
        far.write_all(b"no").await.unwrap();
        assert!(!cut.is_given());
        drop(far);
        stream.write_all(&[0; 200]).await.unwrap();
        stream.flush().await.unwrap();
        assert!(cut.is_given());
        let mut answered = Vec::new();
        let ended = stream.read_to_end(&mut answered).await;
        assert_eq!((&answered[..], ended.unwrap_err().kind()), (&b"no"[..], ErrorKind::ConnectionReset));
    }

    #[tokio::test]
    async fn an_end_without_unsent_bytes_is_an_end() {
        let (near, mut far) = duplex(64);
        let (mut stream, cut) = UpstreamStream::new(near);
        far.write_all(b"all").await.unwrap();
        drop(far);
        let mut answered = Vec::new();
        assert_eq!((stream.read_to_end(&mut answered).await.unwrap(), cut.is_given()), (3, false));
    }
}
