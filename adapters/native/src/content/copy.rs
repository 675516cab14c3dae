//! The copy of content that streams to a client, collected for the response cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

/// The bytes that all copies of a server may hold: those that are being collected, and stored ones for as long as
/// anything refers to them, even if they were evicted.
#[derive(Debug)]
pub(crate) struct CopyBudget {
    used: AtomicUsize,
    max: usize,
}

/// A part of the budget, returned when it is dropped.
#[derive(Debug, Default)]
struct Share {
    budget: Option<Arc<CopyBudget>>,
    bytes: usize,
}

/// A copy that fills while the content streams.
#[derive(Debug)]
pub struct ContentCopy {
    complete: oneshot::Receiver<(Vec<Bytes>, Share)>,
}

impl CopyBudget {
    pub(crate) const fn new(max: usize) -> Self {
        Self { used: AtomicUsize::new(0), max }
    }

    #[cfg(test)]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

impl Share {
    fn of(budget: Option<Arc<CopyBudget>>) -> Self {
        Self { budget, bytes: 0 }
    }

    /// Adds bytes to the share; `false` if the budget is used up.
    fn grow(&mut self, bytes: usize) -> bool {
        let Some(budget) = &self.budget else { return true };
        let before = budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
        before + bytes <= budget.max
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(budget) = &self.budget {
            budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

/// Bytes of the budget.
struct Budgeted {
    bytes: BytesMut,
    _share: Share,
}

impl AsRef<[u8]> for Budgeted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl ContentCopy {
    /// Waits for the end; `None` if the content was interrupted or dropped, or exceeded the copy's bound or the budget.
    ///
    /// The chunks are joined here, once and after the reply: a received chunk may keep a whole read buffer alive, which
    /// the cache's bound in bytes would not count.
    pub(crate) async fn complete(self) -> Option<Bytes> {
        let (chunks, share) = self.complete.await.ok()?;
        let mut bytes = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
        chunks.iter().for_each(|chunk| bytes.extend_from_slice(chunk));
        Some(Bytes::from_owner(Budgeted { bytes, _share: share }))
    }
}

/// The receiver of the content's chunks.
#[derive(Debug)]
pub(super) struct CopySink {
    chunks: Vec<Bytes>,
    left: u64,
    share: Share,
    complete: oneshot::Sender<(Vec<Bytes>, Share)>,
}

/// The content exceeds the bound of its copy, or the budget of all copies.
pub(super) struct TooLong;

impl CopySink {
    pub(super) fn new(max_bytes: u64, budget: Option<Arc<CopyBudget>>) -> (Self, ContentCopy) {
        let (sender, receiver) = oneshot::channel();
        let sink = Self { chunks: Vec::new(), left: max_bytes, share: Share::of(budget), complete: sender };
        (sink, ContentCopy { complete: receiver })
    }

    pub(super) fn push(&mut self, chunk: &Bytes) -> Result<(), TooLong> {
        self.left = self.left.checked_sub(chunk.len() as u64).ok_or(TooLong)?;
        if !self.share.grow(chunk.len()) {
            return Err(TooLong);
        }
        self.chunks.push(chunk.clone());
        Ok(())
    }

    pub(super) fn finish(self) {
        // The cache may have stopped waiting; then the copy is not needed.
        let _ = self.complete.send((self.chunks, self.share));
    }
}
