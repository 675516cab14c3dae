//! The end of a connection whose client may still be sending.
//!
//! If a socket is closed while bytes are unread or arrive, the system resets the connection, and the client may lose
//! the response that it has not read yet (RFC 9112, section 9.6). So the sending side is closed first, and what still
//! arrives is discarded for a while.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, timeout_at};

use super::stream::ClientStream;

impl<S: AsyncRead + AsyncWrite + Unpin> ClientStream<S> {
    /// Whether bytes or the client's end are there to be read now.
    pub(super) async fn has_unread(&mut self) -> bool {
        let mut bytes = [0; 1];
        let mut buffer = ReadBuf::new(&mut bytes);
        poll_fn(|cx| {
            let polled = Pin::new(&mut *self).poll_read(cx, &mut buffer);
            Poll::Ready(matches!(polled, Poll::Ready(Ok(()))) && !buffer.filled().is_empty())
        })
        .await
    }

    /// Closes the sending side, and discards what the client still sends: until it closes its side, is silent, or has
    /// sent too much for too long.
    pub(crate) async fn linger(mut self) {
        let end = Instant::now() + LINGERING_MAX;
        // hyper has usually closed it already.
        let _ = timeout_at(end, poll_fn(|cx| Pin::new(&mut self).poll_shutdown(cx))).await;
        let mut bytes = vec![0; BLOCK_BYTES];
        let mut left = DISCARDED_BYTES_MAX;
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut bytes);
            let reading = poll_fn(|cx| Pin::new(&mut self).poll_read(cx, &mut buffer));
            match timeout_at(end.min(Instant::now() + SILENCE_MAX), reading).await {
                Ok(Ok(())) if !buffer.filled().is_empty() => left = left.saturating_sub(buffer.filled().len()),
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// What is discarded of one connection: more than the default limit of a request's content.
const DISCARDED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// nginx's `lingering_time`.
const LINGERING_MAX: Duration = Duration::from_secs(30);

/// How long the client may be silent meanwhile: longer than retransmissions take.
const SILENCE_MAX: Duration = Duration::from_secs(2);

const BLOCK_BYTES: usize = 64 * 1024;
