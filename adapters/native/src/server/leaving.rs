//! What leaves of a response over HTTP/2: the connection reads content before the client's window lets it out.

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
    /// Who is told when nothing is held any more.
    ended: RefCell<Option<(Watch, End)>>,
}

impl Leaving {
    /// The connection has read these bytes.
    pub(super) fn begins(&self, count: usize) {
        self.held.set(self.held.get() + count);
    }

    /// These of them are sent.
    pub(super) fn left(&self, count: usize) {
        self.sent.set(self.sent.get() + count as u64);
        self.releases(count);
    }

    /// These of them are dropped.
    pub(super) fn lost(&self, count: usize, by: AbortedBy) {
        self.lost_by.set(Some(by));
        self.releases(count);
    }

    /// The connection reads no more: the content has ended so.
    pub(super) fn ends(&self, watch: Watch, end: End) {
        self.ended.replace(Some((watch, end)));
        self.releases(0);
    }

    fn releases(&self, count: usize) {
        self.held.set(self.held.get() - count);
        if self.held.get() == 0
            && let Some((watch, end)) = self.ended.take()
        {
            let lost = self.lost_by.get().map_or(Ok(()), Err);
            watch.tell(self.sent.get(), end.and(lost));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::NativeContent;
    use tollgate_edge::ports::{Content, Delivery};

    #[track_caller]
    fn check(end: End, happens: impl FnOnce(&Leaving), expected: Delivery) {
        let (mut content, delivery) = NativeContent::from_bytes("abc".into()).watched();
        let mut delivery = Box::pin(delivery);
        let leaving = Leaving::default();
        leaving.begins(3);
        leaving.left(1);
        leaving.ends(content.take_watch().unwrap(), end);
        let mut poll = || delivery.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(poll().is_pending());
        happens(&leaving);
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
