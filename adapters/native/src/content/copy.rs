//! The copy of content that streams to a client, collected for the response cache.

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

/// A copy that fills while the content streams.
#[derive(Debug)]
pub struct ContentCopy {
    complete: oneshot::Receiver<Vec<Bytes>>,
}

impl ContentCopy {
    /// Waits for the end; `None` if the content was interrupted or dropped, or exceeded the copy's bound.
    ///
    /// The chunks are joined here, once and after the reply: a received chunk may keep a whole read buffer alive, which
    /// the cache's bound in bytes would not count.
    pub(crate) async fn complete(self) -> Option<Bytes> {
        let chunks = self.complete.await.ok()?;
        let mut joined = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
        chunks.iter().for_each(|chunk| joined.extend_from_slice(chunk));
        Some(joined.freeze())
    }
}

/// The receiver of the content's chunks.
#[derive(Debug)]
pub(super) struct CopySink {
    chunks: Vec<Bytes>,
    left: u64,
    complete: oneshot::Sender<Vec<Bytes>>,
}

/// The content exceeds the bound of its copy.
pub(super) struct TooLong;

impl CopySink {
    pub(super) fn new(max_bytes: u64) -> (Self, ContentCopy) {
        let (sender, receiver) = oneshot::channel();
        let sink = Self { chunks: Vec::new(), left: max_bytes, complete: sender };
        (sink, ContentCopy { complete: receiver })
    }

    pub(super) fn push(&mut self, chunk: &Bytes) -> Result<(), TooLong> {
        self.left = self.left.checked_sub(chunk.len() as u64).ok_or(TooLong)?;
        self.chunks.push(chunk.clone());
        Ok(())
    }

    pub(super) fn finish(self) {
        // The cache may have stopped waiting; then the copy is not needed.
        let _ = self.complete.send(self.chunks);
    }
}
