//! The use of one client connection: its exchanges, and how long it has been idle.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::connections::Standing;
use super::receiving::{Framing, Receiving};
use super::socket::{OverTcp, unacknowledged};
use super::sweep::Placed;
use super::tls::Peer;
use crate::local::{Signal, Tracker};
use crate::places::ExchangePlaces;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For a request's head.
    pub(super) head: Duration,
    /// For the next request.
    pub(super) idle: Duration,
    /// For the next byte of a response.
    pub(super) unread: Duration,
}

/// The use of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    /// How useful it is among all connections, and how to end it.
    pub(super) standing: Arc<Standing>,
    /// For answers that requests beyond the bound of the server get: those of all connections of the client.
    pub(super) overloaded: ExchangePlaces,
    /// Exchanges whose work has not ended, also if the client has reset their streams.
    pub(super) exchanges: Tracker,
    /// Whether the connection must end with a reset: its last response broke off, and nothing else would tell the client.
    pub(super) resets: Cell<bool>,
    /// Given before the gateway ends all connections.
    pub(super) cut_off: Rc<Signal>,
    /// Whether the connection accepts no further requests.
    retires: Cell<bool>,
    /// When it was told to end because it was idle, or left a response unread.
    leaves: Cell<Option<Instant>>,
    /// The client, if it has presented a certificate.
    peer: OnceCell<Peer>,
    /// The client's stream, while it is served.
    stream: RefCell<Option<ClientSocket>>,
    timeouts: Timeouts,
    open: Cell<usize>,
    begun: Cell<u64>,
    /// Exchanges whose client left before the response.
    abandoned: Cell<u64>,
    /// When the client had taken the last response, or the connection was opened.
    since: Cell<Instant>,
    /// Until it is known that the client has taken the last response.
    taking: Cell<Option<Taking>>,
    /// Whether bytes have arrived since then: the head of a request, probably.
    has_heard: Cell<bool>,
    /// When that was noticed.
    heard_at: Cell<Option<Instant>>,
    /// Over HTTP/2, bytes are not necessarily a request.
    is_http2: Cell<bool>,
    /// The content of the last request.
    pub(super) receiving: Receiving,
    /// Whether its conversation is dropped until the client sends something.
    sleeps: Cell<bool>,
    place: Cell<usize>,
}

/// What a client has not acknowledged yet, and since when it has acknowledged nothing of that.
#[derive(Clone, Copy, Debug)]
struct Taking {
    unacknowledged: Option<i32>,
    since: Instant,
}

/// A weak reference, because its connection is served through the activity.
struct ClientSocket(Weak<RefCell<dyn OverTcp>>);

impl std::fmt::Debug for ClientSocket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientSocket")
    }
}

impl Placed for Activity {
    fn place(&self) -> &Cell<usize> {
        &self.place
    }
}

impl Activity {
    pub(super) fn new(
        standing: Arc<Standing>,
        overloaded: ExchangePlaces,
        timeouts: Timeouts,
        cut_off: &Rc<Signal>,
    ) -> Self {
        Self {
            standing,
            overloaded,
            exchanges: Tracker::default(),
            resets: Cell::new(false),
            cut_off: Rc::clone(cut_off),
            retires: Cell::new(false),
            leaves: Cell::new(None),
            peer: OnceCell::new(),
            stream: RefCell::new(None),
            timeouts,
            open: Cell::new(0),
            begun: Cell::new(0),
            abandoned: Cell::new(0),
            since: Cell::new(Instant::now()),
            taking: Cell::new(None),
            has_heard: Cell::new(false),
            heard_at: Cell::new(None),
            is_http2: Cell::new(false),
            receiving: Receiving::default(),
            sleeps: Cell::new(false),
            place: Cell::new(0),
        }
    }

    /// Who the client is, when its handshake is complete.
    pub(super) fn presents(&self, peer: Option<Peer>) {
        if let Some(peer) = peer {
            let _ = self.peer.set(peer);
        }
    }

    /// The client, if it has presented a certificate.
    pub(super) fn peer(&self) -> Option<&Peer> {
        self.peer.get()
    }

    /// Ends the connection if the client's certificate is no longer accepted: it was revoked, or its authority is not trusted
    /// any more.
    pub(super) fn verify_again(&self) {
        if self.peer().is_some_and(|peer| !peer.is_accepted()) {
            self.standing.close();
        }
    }

    /// Begins an exchange.
    pub(super) fn begin(self: &Rc<Self>, content: Framing, is_http2: bool) -> Busy {
        self.standing.busy();
        self.open.set(self.open.get() + 1);
        self.begun.set(self.begun.get() + 1);
        self.receiving.begin(content);
        self.sleeps.set(false);
        self.is_http2.set(is_http2);
        Busy { activity: Rc::clone(self), is_answered: false }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.get() == 0
    }

    /// Whether the connection accepts no further requests.
    pub(super) fn retires(&self) -> bool {
        self.retires.get()
    }

    /// Ends the connection if it has been idle for too long, waits for the rest of a head, or leaves a response unread.
    pub(super) fn check(&self, now: Instant) {
        if !self.is_idle() || self.is_taking(now) {
            return;
        }
        if self.has_heard.get() && self.heard_at.get().is_none() {
            self.heard_at.set(Some(now));
        }
        self.rest(now);
        let is_first = self.begun.get() == 0;
        let head = self.heard_at.get().filter(|_| !is_first && !self.is_http2.get());
        let until = match (head, self.leaves.get()) {
            (Some(heard), _) => heard + self.timeouts.head,
            (None, Some(leaves)) => leaves.max(self.since.get()) + CLOSING_MAX,
            (None, None) => self.since.get() + if is_first { self.timeouts.head } else { self.timeouts.idle },
        };
        if now < until {
            return;
        }
        // Nothing was asked for, or it was not asked completely: there is no request to wait for.
        if is_first || head.is_some() || self.leaves.get().is_some() {
            self.standing.close();
        } else {
            self.leave(now);
        }
    }

    /// An HTTP/1.1 connection that has been idle for a while falls asleep, if everything has left hyper's buffers.
    fn rest(&self, now: Instant) {
        let has_pause = self.begun.get() > 0 && now >= self.since.get() + AWAKE;
        let is_quiet = !self.has_heard.get() && !self.sleeps.get() && !self.is_http2.get() && !self.receiving.is_open();
        if has_pause && is_quiet && self.unacknowledged() == Some(0) {
            self.sleeps.set(true);
            self.standing.wake();
        }
    }

    /// Whether the client has not taken the last response yet, which only its system knows. If it has acknowledged nothing for
    /// too long, the connection is closed.
    fn is_taking(&self, now: Instant) -> bool {
        let Some(before) = self.taking.get() else { return false };
        let Some(left) = self.unacknowledged().filter(|left| *left > 0) else {
            self.taking.set(None);
            if before.unacknowledged.is_some() {
                self.since.set(now);
            }
            self.standing.idle(self.since.get().into_std(), self.has_heard.get());
            return false;
        };
        if before.unacknowledged.is_none_or(|before| left < before) {
            self.taking.set(Some(Taking { unacknowledged: Some(left), since: now }));
            self.standing.busy();
        } else if now >= before.since + self.timeouts.unread {
            self.standing.close();
        }
        true
    }

    /// Bytes have arrived.
    pub(super) fn heard(&self) {
        if self.is_idle() && !self.has_heard.replace(true) {
            self.standing.beginning();
        }
    }

    /// Whether nothing is said over the connection, so that the state of its conversation can be dropped. Asked after hyper has
    /// found nothing to do.
    pub(super) fn falls_asleep(&self) -> bool {
        self.sleeps.get() && self.is_idle()
    }

    /// The conversation begins again, perhaps because the client had sent the beginning of a head together with its last request,
    /// or before the end of the response.
    pub(super) fn wakes(&self, has_begun: bool) {
        self.sleeps.set(false);
        if has_begun {
            self.has_heard.set(true);
            self.heard_at.set(Some(self.since.get()));
            self.standing.beginning();
        }
    }

    /// The connection is served over this stream.
    pub(super) fn is_over(&self, stream: &Rc<RefCell<impl OverTcp + 'static>>) {
        let stream: Weak<RefCell<_>> = Rc::downgrade(stream);
        self.stream.replace(Some(ClientSocket(stream)));
    }

    /// How many bytes the client has not acknowledged yet, if the system tells it.
    pub(super) fn unacknowledged(&self) -> Option<i32> {
        let stream = self.stream.borrow().as_ref()?.0.upgrade()?;
        unacknowledged(stream.borrow().tcp())
    }

    /// A client that mostly resets its streams before their responses causes work for nothing (CVE-2023-44487).
    fn abandon(&self) {
        self.abandoned.set(self.abandoned.get() + 1);
        if self.abandoned.get() >= ABANDONED_MAX && self.abandoned.get() > self.begun.get() / 2 {
            self.retire();
        }
    }

    /// The connection ends as soon as it is idle.
    pub(super) fn leave(&self, now: Instant) {
        self.leaves.set(self.leaves.get().or(Some(now)));
        self.retire();
    }

    fn retire(&self) {
        self.retires.set(true);
        self.standing.wake();
    }
}

/// An open exchange on a connection: from the request's head until all of the response is handed to the client's socket.
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
        activity.has_heard.set(false);
        activity.heard_at.set(None);
        if activity.is_idle() {
            let now = Instant::now();
            activity.since.set(now);
            activity.taking.set(Some(Taking { unacknowledged: None, since: now }));
            activity.standing.sent(now.into_std());
        }
        if !self.is_answered {
            activity.abandon();
        }
    }
}

/// How long an idle connection keeps its buffers: to allocate them takes less than a thousandth of that.
const AWAKE: Duration = Duration::from_secs(1);

/// Timeout for closing an idle connection.
const CLOSING_MAX: Duration = Duration::from_secs(5);

/// Exchanges that a client may abandon on one connection while they are more than half of its exchanges: more than a
/// page of a browser cancels.
const ABANDONED_MAX: u64 = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::client::ClientNetwork;

    const TIMEOUTS: Timeouts =
        Timeouts { head: Duration::from_secs(30), idle: Duration::from_secs(75), unread: Duration::from_secs(60) };

    fn activity() -> Rc<Activity> {
        let standing = Standing::of(ClientNetwork::of([192, 0, 2, 1].into()));
        Rc::new(Activity::new(standing, ExchangePlaces::new(1), TIMEOUTS, &Rc::default()))
    }

    #[test]
    fn a_client_that_abandons_most_of_its_exchanges_is_asked_to_leave() {
        let abandoned = |share: u64| {
            let activity = activity();
            for number in 0..3 * ABANDONED_MAX {
                let mut exchange = activity.begin(Framing::Empty, true);
                if number % share == 0 {
                    exchange.answered();
                }
            }
            activity.retires()
        };
        assert!(abandoned(3));
        assert!(!abandoned(2));
    }

    /// Checks the connection every second for three minutes; answers after how many it is asked to leave, and closed.
    fn ends(activity: &Activity) -> [Option<u64>; 2] {
        let begun = activity.since.get();
        let mut ends = [None; 2];
        for second in 0..180 {
            activity.check(begun + Duration::from_secs(second));
            for (end, is_given) in ends.iter_mut().zip([activity.retires(), activity.standing.is_closing()]) {
                *end = end.or(is_given.then_some(second));
            }
        }
        ends
    }

    #[test]
    fn a_first_request_and_every_head_have_the_heads_time_and_idle_connections_more() {
        assert_eq!(ends(&activity()), [None, Some(30)], "no request");
        let served = |is_http2: bool, hears: bool| {
            let activity = activity();
            drop(activity.begin(Framing::Empty, is_http2));
            if hears {
                activity.heard();
            }
            activity
        };
        assert_eq!(ends(&served(false, false)), [Some(75), Some(80)], "idle");
        assert_eq!(ends(&served(false, true)), [None, Some(30)], "a part of a head");
        assert_eq!(ends(&served(true, true)), [Some(75), Some(80)], "a frame of HTTP/2");
        let busy = activity();
        let _exchange = busy.begin(Framing::Empty, false);
        assert_eq!(ends(&busy), [None, None], "in use");
    }

    /// A connection that has sent a response, of which its client has not read anything.
    #[cfg(target_os = "linux")]
    async fn sent() -> (tokio::net::TcpStream, Rc<RefCell<tokio::net::TcpStream>>, Rc<Activity>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        let server = Rc::new(RefCell::new(accepted.unwrap().0));
        let activity = activity();
        activity.is_over(&server);
        let exchange = activity.begin(Framing::Empty, false);
        while server.borrow().try_write(&[0; 64 * 1024]).is_ok() {}
        drop(exchange);
        (client.unwrap(), server, activity)
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_connection_is_idle_from_when_its_client_has_taken_the_response() {
        use tokio::io::AsyncReadExt;
        let (mut client, server, activity) = sent().await;
        let begun = Instant::now();
        let check = |second: u64| {
            activity.check(begun + Duration::from_secs(second));
            (activity.retires(), activity.standing.is_closing())
        };
        let mut block = vec![0; 200_000];
        for second in [0, 50, 100, 150] {
            assert_eq!(check(second), (false, false), "{second}: it reads slowly");
            client.read_exact(&mut block).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(check(200), (false, false));
        while unacknowledged(&server.borrow()) != Some(0) {
            let _ = tokio::time::timeout(Duration::from_millis(50), client.read(&mut block)).await;
        }
        assert_eq!([201, 275, 277].map(check), [(false, false), (false, false), (true, false)]);
        assert_eq!(check(282), (true, true), "idle since 201");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_client_that_takes_nothing_of_a_response_is_cut_off() {
        let (_client, _server, activity) = sent().await;
        let begun = Instant::now();
        for (second, closes) in [(0, false), (59, false), (61, true)] {
            activity.check(begun + Duration::from_secs(second));
            assert_eq!((activity.retires(), activity.standing.is_closing()), (false, closes), "{second}");
        }
    }
}
