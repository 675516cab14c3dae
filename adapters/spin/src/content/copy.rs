//! Copies of content that passes, to be stored.

use std::cell::Cell;

use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::stream::{self, StreamExt};

use super::{Interrupted, Step, Steps};

pub(super) fn copied(steps: Steps, copying: Copying) -> Steps {
    stream::unfold((steps, copying), |(mut steps, mut copying)| async {
        let step = steps.next().await;
        copying.note(step.as_ref());
        Some((step?, (steps, copying)))
    })
    .boxed_local()
}

/// An unfinished copy; dropping it abandons it.
pub(super) struct Copying {
    done: Option<oneshot::Sender<Bytes>>,
    bytes: Vec<u8>,
    max: usize,
}

thread_local! {
    /// The bytes of all unfinished copies of this instance.
    static COPYING: Cell<usize> = const { Cell::new(0) };
}

/// The bytes that all unfinished copies may have: an instance answers 16 requests at once, and clients decide how fast
/// they read.
const COPYING_BYTES_MAX: usize = 16 * 1024 * 1024;

impl Copying {
    pub(super) fn new(done: oneshot::Sender<Bytes>, max_bytes: u64) -> Self {
        Self { done: Some(done), bytes: Vec::new(), max: usize::try_from(max_bytes).unwrap_or(usize::MAX) }
    }

    fn note(&mut self, step: Option<&Result<Step, Interrupted>>) {
        match step {
            Some(Ok(Step::Data(data))) if self.done.is_some() => {
                let fits = self.bytes.len() + data.len() <= self.max;
                if fits && COPYING.get() + data.len() <= COPYING_BYTES_MAX {
                    COPYING.set(COPYING.get() + data.len());
                    self.bytes.extend_from_slice(data);
                } else {
                    self.give_up();
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) => self.give_up(),
            None => {
                let bytes = self.take();
                if let Some(done) = self.done.take() {
                    let _ = done.send(bytes.into());
                }
            }
        }
    }

    fn give_up(&mut self) {
        self.done = None;
        self.take();
    }

    fn take(&mut self) -> Vec<u8> {
        let bytes = std::mem::take(&mut self.bytes);
        COPYING.set(COPYING.get() - bytes.len());
        bytes
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.take();
    }
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;

    use super::*;

    #[test]
    fn unfinished_copies_share_a_budget() {
        let copying = |bytes: usize| {
            let (sender, copy) = oneshot::channel();
            let mut copying = Copying::new(sender, u64::MAX);
            copying.note(Some(&Ok(Step::Data(vec![0; bytes].into()))));
            (copying, copy)
        };
        let (mut first, first_copy) = copying(COPYING_BYTES_MAX - 1);
        let (second, _) = copying(2);
        assert!(second.done.is_none() && first.done.is_some());
        first.note(None);
        assert_eq!(block_on(first_copy).unwrap().len(), COPYING_BYTES_MAX - 1);
        drop(copying(COPYING_BYTES_MAX));
        assert!(copying(COPYING_BYTES_MAX).0.done.is_some(), "nothing is counted any more");
    }
}
