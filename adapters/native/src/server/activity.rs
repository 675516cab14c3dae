//! The use of one client connection: its exchanges, and how long it has been idle.

use std::cell::{Cell, OnceCell, RefCell};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tollgate_core::client::ClientNetwork;
use tollgate_core::telemetry::AbortedBy;

use crate::content::{ContentError, NativeContent};
use crate::local::{Signal, Tracker};

use super::socket::{OverTcp, unacknowledged};

/// The use of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// Whom connections are counted for.
    pub(super) client: ClientNetwork,
    /// Exchanges whose work has not ended, also if the client has reset their streams.
    pub(super) exchanges: Tracker,
    /// Tells the connection to end now.
    pub(super) close: Signal,
    /// Tells the connection to accept no further requests.
    pub(super) retire: Signal,
    /// Whether the connection must end with a reset: its last response broke off, and nothing else would tell the client.
    pub(super) resets: Cell<bool>,
    /// Given before the gateway ends all connections.
    pub(super) cut_off: Rc<Signal>,
    /// The client's stream, while it is served.
    stream: RefCell<Option<ClientSocket>>,
    first_within: Duration,
    open: Cell<usize>,
    begun: Cell<u64>,
    /// Exchanges whose client left before the response.
    abandoned: Cell<u64>,
    /// When the last exchange ended, or the connection was opened.
    since: Cell<Instant>,
    /// Whether bytes have arrived since then: the head of a request, probably.
    has_heard: Cell<bool>,
    /// Whether the last request had content: the client may still be sending it.
    had_content: Cell<bool>,
}

/// A weak reference, because its connection is served through the activity.
struct ClientSocket(Weak<RefCell<dyn OverTcp>>);

impl std::fmt::Debug for ClientSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSocket")
    }
}

/// How useful a connection is: the least useful is closed first when there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// It waits for a request, since this instant.
    Idle(Instant),
    /// It has received a part of a request's head, or of a handshake, and began to wait at this instant.
    Beginning(Instant),
    /// It has an exchange.
    Busy,
}

impl Activity {
    pub(super) fn new(client: ClientNetwork, first_within: Duration, cut_off: &Rc<Signal>) -> Self {
        Self {
            client,
            exchanges: Tracker::default(),
            close: Signal::default(),
            retire: Signal::default(),
            resets: Cell::new(false),
            cut_off: Rc::clone(cut_off),
            stream: RefCell::new(None),
            first_within,
            open: Cell::new(0),
            begun: Cell::new(0),
            abandoned: Cell::new(0),
            since: Cell::new(Instant::now()),
            has_heard: Cell::new(false),
            had_content: Cell::new(false),
        }
    }

    /// Begins an exchange.
    pub(super) fn begin(self: &Rc<Self>, has_content: bool) -> Busy {
        self.open.set(self.open.get() + 1);
        self.begun.set(self.begun.get() + 1);
        self.had_content.set(has_content);
        Busy { activity: Rc::clone(self), is_answered: false }
    }

    /// When the idle timeout of the connection expires; `None` while it is in use.
    pub(super) fn idle_until(&self) -> Option<Instant> {
        let most = if self.begun.get() > 0 { IDLE_MAX } else { self.first_within };
        (self.open.get() == 0).then(|| self.since.get() + most)
    }

    pub(super) fn heard(&self) {
        self.has_heard.set(true);
    }

    pub(super) fn usefulness(&self) -> Use {
        match (self.open.get(), self.has_heard.get()) {
            (0, false) => Use::Idle(self.since.get()),
            (0, true) => Use::Beginning(self.since.get()),
            (_, _) => Use::Busy,
        }
    }

    /// Whether the client may still be sending the content of its last request.
    pub(super) fn may_be_receiving(&self) -> bool {
        self.had_content.get()
    }

    /// The connection is served over this stream.
    pub(super) fn is_over(&self, stream: &Rc<RefCell<impl OverTcp + 'static>>) {
        let stream: Weak<RefCell<_>> = Rc::downgrade(stream);
        self.stream.replace(Some(ClientSocket(stream)));
    }

    /// How many bytes the client has not acknowledged yet, if the system tells it.
    fn unacknowledged(&self) -> Option<i32> {
        let stream = self.stream.borrow().as_ref()?.0.upgrade()?;
        unacknowledged(stream.borrow().tcp())
    }

    /// A client that mostly resets its streams before their responses causes work for nothing (CVE-2023-44487).
    fn abandon(&self) {
        self.abandoned.set(self.abandoned.get() + 1);
        if self.abandoned.get() >= ABANDONED_MAX && self.abandoned.get() > self.begun.get() / 2 {
            self.retire.give();
        }
    }
}

/// An open exchange on a connection: from the request's head until the end of the response.
#[derive(Debug)]
pub(super) struct Busy {
    activity: Rc<Activity>,
    is_answered: bool,
}

impl Busy {
    /// The head of the response is ready.
    pub(super) fn answered(&mut self) {
        self.is_answered = true;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let activity = &self.activity;
        activity.open.set(activity.open.get() - 1);
        activity.since.set(Instant::now());
        activity.has_heard.set(false);
        if !self.is_answered {
            activity.abandon();
        }
    }
}

/// The delivery of one response: whether its client takes it, and how to end it.
#[derive(Debug)]
pub(super) struct Delivering {
    activity: Rc<Activity>,
    /// The task that sends the response, if the connection has others.
    pub(super) stream: OnceCell<AbortHandle>,
    /// How often the connection has asked for content.
    asked: Cell<u64>,
    /// Whether the connection waits for content.
    is_waiting: Cell<bool>,
    is_over: Cell<bool>,
}

/// How far a client has taken a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    asked: u64,
    unacknowledged: Option<i32>,
}

impl Delivering {
    pub(super) fn on(activity: &Rc<Activity>) -> Self {
        Self {
            activity: Rc::clone(activity),
            stream: OnceCell::new(),
            asked: Cell::new(0),
            is_waiting: Cell::new(false),
            is_over: Cell::new(false),
        }
    }

    /// Because of whom it is late.
    pub(super) fn late_by(&self) -> AbortedBy {
        if self.is_waiting.get() { AbortedBy::Upstream } else { AbortedBy::Client }
    }

    /// Whether the client has taken nothing since `before`, which becomes the current progress.
    ///
    /// The connection does not ask for content while its client takes none. A client of HTTP/1.1 that reads slowly is known
    /// by what it acknowledges: the system takes more bytes at once than it may read in a minute.
    pub(super) fn has_stalled(&self, before: &mut Option<Progress>) -> bool {
        let is_alone = self.stream.get().is_none();
        let unacknowledged = is_alone.then(|| self.activity.unacknowledged()).flatten();
        let now = Progress { asked: self.asked.get(), unacknowledged };
        let waits_for_client = match unacknowledged {
            Some(bytes) => bytes > 0,
            None => !self.is_waiting.get(),
        };
        before.replace(now) == Some(now) && waits_for_client
    }

    /// Ends the delivery, unless it is over: the HTTP/2 stream, or the connection.
    pub(super) fn cut(&self) {
        match self.stream.get() {
            _ if self.is_over.get() => {}
            Some(task) => task.abort(),
            None => self.activity.close.give(),
        }
    }
}

/// The content of a response; the connection is in use while it exists.
pub(super) struct Answer {
    pub(super) content: NativeContent,
    pub(super) delivering: Rc<Delivering>,
    /// Whether only the end of the connection ends the response: HTTP/1.0 has no chunks.
    pub(super) ends_by_close: bool,
    pub(super) has_failed: bool,
    pub(super) _busy: Busy,
}

impl Drop for Answer {
    fn drop(&mut self) {
        let activity = &self.delivering.activity;
        self.delivering.is_over.set(true);
        if self.ends_by_close && (self.has_failed || !self.content.is_complete()) {
            activity.resets.set(true);
        }
        if activity.cut_off.is_given() {
            self.content.cut_off();
        }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = ContentError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ContentError>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.content).poll_frame(cx);
        this.delivering.asked.set(this.delivering.asked.get() + 1);
        this.delivering.is_waiting.set(polled.is_pending());
        this.has_failed |= matches!(polled, Poll::Ready(Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

/// How long a connection may stay open without a request; below the 350 s of cloud load balancers, as nginx's 75 s is.
const IDLE_MAX: Duration = Duration::from_secs(75);

/// Exchanges that a client may abandon on one connection while they are more than half of its exchanges: more than a
/// page of a browser cancels.
const ABANDONED_MAX: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_abandons_most_of_its_exchanges_is_asked_to_leave() {
        let abandoned = |share: u64| {
            let activity =
                Rc::new(Activity::new(ClientNetwork::of([192, 0, 2, 1].into()), Duration::ZERO, &Rc::default()));
            for number in 0..3 * ABANDONED_MAX {
                let mut exchange = activity.begin(false);
                if number % share == 0 {
                    exchange.answered();
                }
            }
            activity.retire.is_given()
        };
        assert!(abandoned(3));
        assert!(!abandoned(2));
    }

    #[test]
    fn idle_connections_are_less_useful_than_those_that_receive_a_head() {
        let activity = Rc::new(Activity::new(ClientNetwork::of([192, 0, 2, 1].into()), Duration::ZERO, &Rc::default()));
        let idle = activity.usefulness();
        activity.heard();
        let beginning = activity.usefulness();
        let exchange = activity.begin(false);
        assert!(idle < beginning && beginning < activity.usefulness());
        drop(exchange);
        assert!(matches!(activity.usefulness(), Use::Idle(_)));
    }
}
