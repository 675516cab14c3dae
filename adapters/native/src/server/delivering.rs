//! The delivery of one response: whether its client takes it, and how to end it.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;
use tollgate_core::telemetry::AbortedBy;

use super::activity::Activity;
use super::leaving::Leaving;
use super::sweep::Placed;
use crate::content::Deadline;

/// The delivery of one response.
#[derive(Debug)]
pub(super) struct Delivering {
    activity: Rc<Activity>,
    /// The task that sends the response, if the connection has others.
    pub(super) stream: OnceCell<AbortHandle>,
    /// How often the connection has asked for content, or has sent some of it over HTTP/2.
    steps: Cell<u64>,
    /// Whether the connection waits for content.
    is_waiting: Cell<bool>,
    is_over: Cell<bool>,
    /// What has left of it, over HTTP/2.
    pub(super) leaving: Leaving,
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
    pub(super) fn on(activity: &Rc<Activity>) -> Self {
        Self {
            activity: Rc::clone(activity),
            stream: OnceCell::new(),
            steps: Cell::new(0),
            is_waiting: Cell::new(false),
            is_over: Cell::new(false),
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

    /// The delivery begins; its content has this deadline.
    pub(super) fn begins(&self, deadline: Option<Deadline>) {
        self.deadline.replace(deadline);
    }

    /// The delivery of a stream, whose progress is what is sent of it.
    pub(super) fn of_stream(self: &Rc<Self>) -> Option<Rc<Self>> {
        self.stream.get().map(|_| Rc::clone(self))
    }

    /// The connection has asked for content, and may have to wait for it.
    pub(super) fn asked(&self, waits: bool) {
        self.is_waiting.set(waits);
        self.progressed();
    }

    pub(super) fn progressed(&self) {
        self.steps.set(self.steps.get() + 1);
    }

    pub(super) fn over(&self) {
        self.is_over.set(true);
        self.deadline.take();
    }

    /// Ends the delivery if it takes too long: the deadline applies whether or not the client takes the content, and a
    /// client that takes nothing for the time of `unread` gets no more.
    pub(super) fn check(&self, now: Instant, unread: Duration) {
        match self.expired.get() {
            None => self.expire(now),
            // A client that reads is told by its connection before that.
            Some(since) if now >= since + EXPIRY_NOTICED_MAX => self.cut(),
            Some(_) => {}
        }
        let last = self.last.get().unwrap_or(Check { progress: None, next: now + unread });
        if now < last.next {
            return self.last.set(Some(last));
        }
        let mut progress = last.progress;
        if self.has_stalled(&mut progress) {
            self.cut();
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

    /// Ends the delivery, unless it is over: the HTTP/2 stream, or the connection.
    fn cut(&self) {
        match self.stream.get() {
            _ if self.is_over.get() => {}
            Some(task) => task.abort(),
            None => self.activity.standing.close(),
        }
    }
}

/// How long a connection may take to notice that its content has ended.
const EXPIRY_NOTICED_MAX: Duration = Duration::from_secs(1);
