//! What leaves of a response: the connection reads content before the client's socket, or its window over HTTP/2, lets it out.

use std::cell::{Cell, RefCell};

use tollgate_core::telemetry::AbortedBy;

use crate::content::{End, Watch};

/// The bytes of one response, from when the connection has read them until they are sent.
#[derive(Debug, Default)]
pub(super) struct Leaving {
    sent: Cell<u64>,
    /// Bytes that the connection has read, and neither sent nor dropped.
    held: Cell<usize>,
    /// Because of whom bytes were dropped that the connection had read.
    lost_by: Cell<Option<AbortedBy>>,
    /// How the content has ended, and who is told when nothing is held any more.
    ended: RefCell<Option<(Option<Watch>, End)>>,
}

impl Leaving {
    /// The connection has read these bytes.
    pub(super) fn begins(&self, count: usize) {
        self.held.set(self.held.get() + count);
    }

    /// These of them are sent; answers whether that ends the delivery.
    pub(super) fn left(&self, count: usize) -> bool {
        self.sent.set(self.sent.get() + count as u64);
        self.releases(count)
    }

    /// These of them are dropped; answers whether that ends the delivery.
    pub(super) fn lost(&self, count: usize, by: AbortedBy) -> bool {
        self.lost_by.set(Some(by));
        self.releases(count)
    }

    /// The connection reads no more: the content has ended so. Answers whether that ends the delivery.
    pub(super) fn ends(&self, watch: Option<Watch>, end: End) -> bool {
        self.ended.replace(Some((watch, end)));
        self.releases(0)
    }

    /// Whether the connection reads no more, and holds something still.
    pub(super) fn is_last(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// What is held does not count any more, because of this side.
    pub(super) fn gives_up(&self, by: AbortedBy) {
        self.lost_by.set(Some(by));
        self.tell();
    }

    fn releases(&self, count: usize) -> bool {
        self.held.set(self.held.get() - count);
        self.held.get() == 0 && self.tell()
    }

    fn tell(&self) -> bool {
        let Some((watch, end)) = self.ended.take() else { return false };
        if let Some(watch) = watch {
            let lost = self.lost_by.get().map_or(Ok(()), Err);
            watch.tell(self.sent.get(), end.and(lost));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::NativeContent;
    use tollgate_edge::ports::{Content, Delivery};

    #[track_caller]
    fn check(end: End, happens: impl FnOnce(&Leaving) -> bool, expected: Delivery) {
        let (mut content, delivery) = NativeContent::from_bytes("abc".into()).watched(false);
        let mut delivery = Box::pin(delivery);
        let leaving = Leaving::default();
        leaving.begins(3);
        assert!(!leaving.left(1));
        assert!(!leaving.ends(content.take_watch(), end));
        let mut poll = || delivery.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(poll().is_pending());
        assert!(happens(&leaving));
        assert_eq!(poll(), std::task::Poll::Ready(expected));
    }

    #[test]
    fn a_delivery_has_ended_when_everything_that_was_read_is_sent_or_dropped() {
        let aborted = |bytes, by| Delivery::Aborted { bytes, by };
        check(Ok(()), |leaving| leaving.left(2), Delivery::Complete { bytes: 3 });
        check(Ok(()), |leaving| leaving.lost(2, AbortedBy::Client), aborted(1, AbortedBy::Client));
        check(Err(AbortedBy::Upstream), |leaving| leaving.left(2), aborted(3, AbortedBy::Upstream));
        check(Err(AbortedBy::Upstream), |leaving| leaving.lost(2, AbortedBy::Client), aborted(1, AbortedBy::Upstream));
    }
}
