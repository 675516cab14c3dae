//! The open connections of a server, bounded in total and for each client; the least useful is closed for a new one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Instant;

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;
use tollgate_core::client::ClientNetwork;

use crate::places::ExchangePlaces;

/// The open connections of all isolates.
#[derive(Debug)]
pub(crate) struct Connections {
    /// Locked when a connection is opened or closed.
    open: Mutex<Open>,
    bounds: Bounds,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    all: HashMap<u64, Arc<Standing>>,
    clients: HashMap<ClientNetwork, OfClient>,
    next: u64,
}

/// What one client has.
#[derive(Debug)]
struct OfClient {
    connections: usize,
    overloaded: ExchangePlaces,
}

/// The maximum number of connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) total: usize,
    pub(super) per_client: usize,
}

/// How useful a connection is, and how to end it, for all isolates; only its own isolate changes how useful it is.
#[derive(Debug)]
pub(super) struct Standing {
    /// Whom it is counted for.
    client: ClientNetwork,
    opened: Instant,
    /// The least is closed first: one that waits for a request, since these microseconds after it was opened; one that has
    /// received a part of a head or of a handshake ([`BEGINNING`]); one that has just sent a response ([`SENT`]); one with an
    /// exchange, or whose client has not taken a response yet ([`BUSY`]).
    usefulness: AtomicU64,
    closes: AtomicBool,
    task: AtomicWaker,
}

/// An open connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    connections: Arc<Connections>,
    number: u64,
    /// Those of all connections of its client, for answers that requests beyond the bound of the server get.
    pub(super) overloaded: ExchangePlaces,
}

impl Connections {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { open: Mutex::default(), bounds, changed: Notify::new() }
    }

    /// Returns when a connection can be admitted: there is room, or one that can be closed.
    pub(super) async fn room(&self) {
        while !self.open().has_room(self.bounds.total) {
            let changed = self.changed.notified();
            // That a connection has become idle is not signalled.
            let _ = tokio::time::timeout(super::isolate::ACCEPT_PAUSE, changed).await;
        }
    }

    /// Admits a connection, and closes the least useful one if there are too many; `None` if all of its client have
    /// exchanges.
    pub(super) fn admit(self: &Arc<Self>, standing: &Arc<Standing>) -> Option<Admitted> {
        let mut open = self.open();
        let client = standing.client;
        if open.clients.get(&client).is_some_and(|of| of.connections >= self.bounds.per_client) {
            let number = open.least_useful(|other| other.client == client)?;
            open.close(number);
        }
        if open.all.len() >= self.bounds.total
            && let Some(number) = open.least_useful(|_| true)
        {
            open.close(number);
        }
        let number = open.next;
        open.next += 1;
        open.all.insert(number, Arc::clone(standing));
        let of_client = open.clients.entry(client).or_default();
        of_client.connections += 1;
        let overloaded = of_client.overloaded.clone();
        Some(Admitted { connections: Arc::clone(self), number, overloaded })
    }

    /// How many more connections there may be.
    pub(super) fn left(&self) -> usize {
        self.bounds.total.saturating_sub(self.open().all.len())
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing that holds the lock can panic half-way.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn has_room(&self, total: usize) -> bool {
        self.all.len() < total || self.least_useful(|_| true).is_some()
    }

    /// A connection without an exchange: the idle ones first, among them the one that waits longest.
    fn least_useful(&self, is_candidate: impl Fn(&Standing) -> bool) -> Option<u64> {
        let candidates = self.all.iter().filter(|(_, standing)| is_candidate(standing));
        let least = candidates.map(|(number, standing)| (standing.rank(), *number)).min()?;
        (least.0.0 != BUSY).then_some(least.1)
    }

    fn close(&mut self, number: u64) {
        if let Some(standing) = self.remove(number) {
            standing.close();
        }
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Standing>> {
        let standing = self.all.remove(&number)?;
        if let Some(of_client) = self.clients.get_mut(&standing.client) {
            of_client.connections -= 1;
            if of_client.connections == 0 {
                self.clients.remove(&standing.client);
            }
        }
        Some(standing)
    }
}

impl Default for OfClient {
    fn default() -> Self {
        Self { connections: 0, overloaded: ExchangePlaces::new(OVERLOADED_PER_CLIENT_MAX) }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.connections.open().remove(self.number);
        self.connections.changed.notify_waiters();
    }
}

impl Standing {
    /// That of a connection which is opened now.
    pub(super) fn of(client: ClientNetwork) -> Arc<Self> {
        Arc::new(Self {
            client,
            opened: Instant::now(),
            usefulness: AtomicU64::new(0),
            closes: AtomicBool::new(false),
            task: AtomicWaker::new(),
        })
    }

    /// It has an exchange.
    pub(super) fn busy(&self) {
        self.usefulness.store(BUSY, Ordering::Relaxed);
    }

    /// It has sent a response, and it is not known whether its client has taken it.
    pub(super) fn sent(&self, since: Instant) {
        self.usefulness.store(SENT | self.micros(since), Ordering::Relaxed);
    }

    /// It waits for a request, or for the rest of its head.
    pub(super) fn idle(&self, since: Instant, has_begun: bool) {
        let begun = if has_begun { BEGINNING } else { 0 };
        self.usefulness.store(begun | self.micros(since), Ordering::Relaxed);
    }

    /// It receives a head, or a handshake.
    pub(super) fn beginning(&self) {
        let before = self.usefulness.load(Ordering::Relaxed);
        self.usefulness.store(before | BEGINNING, Ordering::Relaxed);
    }

    fn micros(&self, since: Instant) -> u64 {
        let micros = since.saturating_duration_since(self.opened).as_micros();
        u64::try_from(micros).unwrap_or(TIME).min(TIME)
    }

    /// Comparable with those of other connections.
    fn rank(&self) -> (u64, Instant) {
        let usefulness = self.usefulness.load(Ordering::Relaxed);
        if usefulness == BUSY {
            return (BUSY, self.opened);
        }
        (usefulness & !TIME, self.opened + std::time::Duration::from_micros(usefulness & TIME))
    }

    /// Ends the connection.
    pub(super) fn close(&self) {
        self.closes.store(true, Ordering::Release);
        self.task.wake();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closes.load(Ordering::Acquire)
    }

    /// The connection's task is polled with this context: it learns of changes.
    pub(super) fn listen(&self, waker: &Waker) {
        self.task.register(waker);
    }

    /// The connection's task has something to see.
    pub(super) fn wake(&self) {
        self.task.wake();
    }

    /// Returns when the connection must end.
    pub(super) async fn closing(&self) {
        std::future::poll_fn(|cx: &mut Context<'_>| {
            self.listen(cx.waker());
            if self.is_closing() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

/// Answers that one client does not take, to requests beyond the bound of the server: 5 MB. Its connections could have 128
/// streams each.
const OVERLOADED_PER_CLIENT_MAX: usize = 1_024;

/// Of a connection that has received a part of a request's head; with the time since when it waits.
const BEGINNING: u64 = 1 << 61;

/// Of a connection that has sent a response, until the next look at what its client has taken.
const SENT: u64 = 1 << 62;

/// The bits of a time.
const TIME: u64 = BEGINNING - 1;

/// Of a connection with an exchange.
const BUSY: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(total: usize, per_client: usize) -> Arc<Connections> {
        Arc::new(Connections::new(Bounds { total, per_client }))
    }

    fn from(client: u8) -> Arc<Standing> {
        Standing::of(ClientNetwork::of([192, 0, 2, client].into()))
    }

    #[test]
    fn the_connection_that_is_idle_longest_is_closed_for_a_new_one() {
        let connections = connections(3, 3);
        let open = [from(1), from(2), from(3)];
        let _admitted = open.each_ref().map(|standing| connections.admit(standing).unwrap());
        open[0].beginning();
        open[1].busy();
        assert!(connections.admit(&from(4)).is_some());
        assert_eq!(open.each_ref().map(|standing| standing.is_closing()), [false, false, true]);
    }

    #[test]
    fn the_connection_that_has_just_sent_a_response_is_not_closed_before_idle_ones() {
        let connections = connections(3, 9);
        let open = [from(1), from(2), from(3)];
        let _admitted = open.each_ref().map(|standing| connections.admit(standing).unwrap());
        open[0].sent(open[0].opened);
        open[1].idle(Instant::now(), false);
        open[2].idle(open[2].opened, true);
        let mut newer = Vec::new();
        for closed in [[false, true, false], [false, true, true], [true; 3]] {
            let standing = from(4);
            standing.busy();
            newer.push(connections.admit(&standing).unwrap());
            assert_eq!(open.each_ref().map(|standing| standing.is_closing()), closed);
        }
    }

    #[test]
    fn of_connections_opened_at_different_times_the_one_that_waits_longest_is_closed() {
        let connections = connections(2, 2);
        let first = from(1);
        std::thread::sleep(std::time::Duration::from_millis(2));
        let second = from(2);
        let _admitted = [connections.admit(&first).unwrap(), connections.admit(&second).unwrap()];
        first.busy();
        std::thread::sleep(std::time::Duration::from_millis(2));
        first.idle(Instant::now(), false);
        assert!(connections.admit(&from(3)).is_some());
        assert_eq!((first.is_closing(), second.is_closing()), (false, true));
    }

    #[test]
    fn a_client_beyond_its_bound_loses_its_own_connections_only() {
        let connections = connections(100, 2);
        let (other, own) = (from(1), [from(2), from(2), from(2)]);
        let _other = connections.admit(&other).unwrap();
        let _own = own.each_ref().map(|standing| connections.admit(standing).unwrap());
        assert_eq!(own.each_ref().map(|standing| standing.is_closing()), [true, false, false]);
        own[1].busy();
        own[2].busy();
        assert!(connections.admit(&from(2)).is_none());
        assert!(connections.admit(&from(3)).is_some() && !other.is_closing());
    }

    #[test]
    fn ended_connections_make_room() {
        let connections = connections(100, 1);
        for _ in 0..3 {
            let standing = from(1);
            standing.busy();
            assert!(connections.admit(&standing).is_some());
        }
        assert_eq!((connections.left(), connections.open().clients.len()), (100, 0));
    }
}
