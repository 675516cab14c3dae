//! The delivery of one response: whether its client takes it, and how to end it.
//!
//! It ends when the connection has handed everything that it read of the response to the client's socket, or has dropped it.
//! Until then the connection is in use, and the client has to take something from time to time.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tollgate_core::telemetry::AbortedBy;

use super::activity::{Activity, Busy};
use super::leaving::Leaving;
use super::sweep::{Placed, Sweep};
use crate::content::{Deadline, End, Watch};
use crate::places::ExchangePlace;

/// The delivery of one response.
#[derive(Debug)]
pub(super) struct Delivering {
    activity: Rc<Activity>,
    /// The connection is in use until the delivery is over.
    busy: RefCell<Option<Busy>>,
    /// Of an answer to a request beyond the bound of the server, until the client has taken it.
    overloaded: RefCell<Option<ExchangePlace>>,
    /// Watches over the delivery.
    sweep: Rc<Sweep>,
    /// The task that sends the response, if the connection has others.
    pub(super) stream: OnceCell<AbortHandle>,
    /// How often the connection has asked for content, or has sent some of it.
    steps: Cell<u64>,
    /// Whether the connection waits for content.
    is_waiting: Cell<bool>,
    /// What has left of it.
    leaving: Leaving,
    deadline: RefCell<Option<Deadline>>,
    /// When the deadline has ended the content.
    expired: Cell<Option<Instant>>,
    /// The progress at the last check, and when the next one is.
    last: Cell<Option<Check>>,
    place: Cell<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Check {
    progress: Option<Progress>,
    next: Instant,
}

/// How far a client has taken a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    steps: u64,
    unacknowledged: Option<i32>,
}

impl Placed for Delivering {
    fn place(&self) -> &Cell<usize> {
        &self.place
    }
}

impl Delivering {
    pub(super) fn on(activity: &Rc<Activity>, busy: Busy, sweep: &Rc<Sweep>) -> Self {
        Self {
            activity: Rc::clone(activity),
            busy: RefCell::new(Some(busy)),
            overloaded: RefCell::default(),
            sweep: Rc::clone(sweep),
            stream: OnceCell::new(),
            steps: Cell::new(0),
            is_waiting: Cell::new(false),
            leaving: Leaving::default(),
            deadline: RefCell::new(None),
            expired: Cell::new(None),
            last: Cell::new(None),
            place: Cell::new(0),
        }
    }

    pub(super) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The head of the response is ready.
    pub(super) fn answered(&self) {
        if let Some(busy) = &mut *self.busy.borrow_mut() {
            busy.answered();
        }
    }

    /// The response is the answer to a request beyond the bound of the server; `false` if the client has too many of these.
    pub(super) fn is_overloaded(&self) -> bool {
        let place = self.activity.overloaded.take();
        let has_place = place.is_some();
        self.overloaded.replace(place);
        has_place
    }

    /// The delivery begins; its content has this deadline.
    pub(super) fn begin(self: &Rc<Self>, deadline: Option<Deadline>) {
        self.deadline.replace(deadline);
        self.sweep.deliveries.add(Rc::clone(self));
    }

    /// The connection has asked for content, and may have to wait for it.
    pub(super) fn asked(&self, waits: bool) {
        self.is_waiting.set(waits);
        self.progressed();
    }

    /// The connection has read these bytes.
    pub(super) fn begins(&self, count: usize) {
        self.leaving.begins(count);
    }

    /// These bytes are sent.
    pub(super) fn left(&self, count: usize) {
        self.progressed();
        if self.leaving.left(count) {
            self.over();
        }
    }

    /// These bytes are dropped with their connection, or with their stream.
    pub(super) fn lost(&self, count: usize) {
        let by = if self.activity.cut_off.is_given() { AbortedBy::Gateway } else { AbortedBy::Client };
        if self.leaving.lost(count, by) {
            self.over();
        }
    }

    /// The connection reads no more of the content, which has ended so.
    pub(super) fn is_read(&self, watch: Option<Watch>, end: End) {
        self.is_waiting.set(false);
        self.deadline.take();
        if self.leaving.ends(watch, end) {
            self.over();
        }
    }

    fn progressed(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    fn over(&self) {
        self.sweep.deliveries.remove(self);
        self.busy.take();
        self.overloaded.take();
    }

    /// Ends the delivery if it takes too long: the deadline applies whether or not the client takes the content, and a
    /// client that takes nothing for the time of `unread` gets no more.
    pub(super) fn check(&self, now: Instant, unread: Duration) {
        match self.expired.get() {
            None => self.expire(now),
            // A client that reads is told by its connection before that.
            Some(since) if now >= since + EXPIRY_NOTICED_MAX => self.cut(now),
            Some(_) => {}
        }
        let last = self.last.get().unwrap_or(Check { progress: None, next: now + unread });
        if now < last.next {
            return self.last.set(Some(last));
        }
        let mut progress = last.progress;
        if self.has_stalled(&mut progress) {
            self.cut(now);
        }
        self.last.set(Some(Check { progress, next: now + unread }));
    }

    fn expire(&self, now: Instant) {
        let deadline = self.deadline.borrow();
        if let Some(deadline) = deadline.as_ref().filter(|deadline| deadline.instant().is_some_and(|ends| ends <= now))
        {
            deadline.expire(self.late_by());
            self.expired.set(Some(now));
        }
    }

    /// Because of whom it is late.
    fn late_by(&self) -> AbortedBy {
        if self.is_waiting.get() { AbortedBy::Upstream } else { AbortedBy::Client }
    }

    /// Whether the client has taken nothing since `before`, which becomes the current progress.
    ///
    /// The connection does not ask for content while its client takes none. Of a client that reads slowly, progress is any
    /// byte: over HTTP/2 what its window lets out, over HTTP/1.1 what it acknowledges, because the system takes more bytes
    /// at once than it may read in a minute.
    fn has_stalled(&self, before: &mut Option<Progress>) -> bool {
        let is_alone = self.stream.get().is_none();
        let unacknowledged = is_alone.then(|| self.activity.unacknowledged()).flatten();
        let now = Progress { steps: self.steps.get(), unacknowledged };
        let waits_for_client = match unacknowledged {
            Some(bytes) => bytes > 0,
            None => !self.is_waiting.get(),
        };
        before.replace(now) == Some(now) && waits_for_client
    }

    /// Ends the delivery: the HTTP/2 stream, or the connection.
    fn cut(&self, now: Instant) {
        match self.stream.get() {
            _ if self.busy.borrow().is_none() => {}
            // Everything is read, so the task has ended, and only the end of the connection can end what is left.
            Some(_) if self.leaving.is_last() => {
                self.activity.leave(now);
                self.leaving.gives_up(AbortedBy::Client);
                self.over();
            }
            Some(task) => task.abort(),
            None => self.activity.standing.close(),
        }
    }
}

/// How long a connection may take to notice that its content has ended.
const EXPIRY_NOTICED_MAX: Duration = Duration::from_secs(1);
