//! How much of content was delivered, and who ended it.

use futures_channel::oneshot;
use futures_util::stream::{self, StreamExt};
use tollgate_core::telemetry::AbortedBy;
use tollgate_edge::ports::Delivery;

use super::{Interrupted, Step, Steps};

pub(super) fn watched(steps: Steps, watch: Watch) -> Steps {
    stream::unfold((steps, watch), |(mut steps, mut watch)| async {
        let step = steps.next().await;
        watch.note(step.as_ref());
        Some((step?, (steps, watch)))
    })
    .boxed_local()
}

/// Counts the delivered bytes; dropped before the end, it reports that the client disconnected.
pub(crate) struct Watch {
    tell: Option<oneshot::Sender<Delivery>>,
    bytes: u64,
}

impl Watch {
    pub(super) fn new(tell: oneshot::Sender<Delivery>) -> Self {
        let tell = Some(tell);
        Self { tell, bytes: 0 }
    }

    /// The delivery of content in memory has ended, with so many bytes not taken.
    pub(crate) fn note_written(&mut self, bytes: usize, rest: usize) {
        self.bytes = (bytes - rest) as u64;
        if rest == 0 {
            self.end(Delivery::Complete { bytes: self.bytes });
        }
    }

    /// Nobody observes the delivery.
    pub(super) fn forget(mut self) {
        self.tell = None;
    }

    fn note(&mut self, step: Option<&Result<Step, Interrupted>>) {
        let bytes = self.bytes;
        match step {
            Some(Ok(Step::Data(data))) => self.bytes += data.len() as u64,
            Some(Ok(Step::Trailers(_))) => {}
            Some(Err(_)) => self.end(Delivery::Aborted { bytes, by: AbortedBy::Upstream }),
            None => self.end(Delivery::Complete { bytes }),
        }
    }

    pub(super) fn end(&mut self, delivery: Delivery) {
        if let Some(tell) = self.tell.take() {
            let _ = tell.send(delivery);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.end(Delivery::Aborted { bytes: self.bytes, by: AbortedBy::Client });
    }
}
