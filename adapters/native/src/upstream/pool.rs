//! The connections of one isolate.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use http::Uri;
use http::uri::{Authority, Scheme};
use hyper::client::conn::{http1, http2};
use rustc_hash::FxBuildHasher;
use std::time::Duration;
use tokio::time::Instant;
use tollgate_core::fetch::AddressRule;
use tollgate_core::forward::UpstreamError;

use super::stream::Cut;
use crate::content::Outgoing;

/// Idle connections by origin, and the number of open ones.
#[derive(Debug)]
pub(crate) struct Pool {
    shelves: RefCell<HashMap<Origin, Rc<Shelf>, FxBuildHasher>>,
    open: Rc<Cell<usize>>,
    /// The rule for addresses of its connections.
    pub(super) addresses: AddressRule,
    pub(super) pings: Pings,
}

/// The pings of HTTP/2 connections with open streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pings {
    /// How long a connection may be silent before it is pinged.
    pub(super) interval: Duration,
    /// The timeout of the answer.
    pub(super) timeout: Duration,
}

/// The key of connections in the pool.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(super) https: bool,
    pub(super) authority: Authority,
    /// The number of the certificate that the gateway presents; 0 for none.
    certificate: u32,
}

/// The connections to one origin.
#[derive(Debug, Default)]
struct Shelf {
    /// Last in, first out, so that unused connections become idle and are closed.
    exclusive: RefCell<Vec<Idle>>,
    shared: RefCell<Vec<SharedConnection>>,
}

#[derive(Debug)]
struct Idle {
    sender: Exclusive,
    since: Instant,
}

/// A connection that exchanges use one after another.
#[derive(Debug)]
pub(super) struct Exclusive {
    pub(super) sender: http1::SendRequest<Outgoing>,
    pub(super) cut: Cut,
}

#[derive(Clone, Debug)]
pub(super) struct SharedConnection {
    sender: http2::SendRequest<Outgoing>,
    health: Rc<Health>,
}

/// The use of a connection that exchanges share.
#[derive(Debug)]
struct Health {
    in_flight: Cell<usize>,
    last_used: Cell<Instant>,
    /// When a response last arrived.
    heard: Cell<Instant>,
    /// Whether new requests use other connections; those in flight go on.
    benched: Cell<bool>,
}

/// A request on a connection, from its sending to its response.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    health: Rc<Health>,
    sent: Instant,
}

/// A connection for one request.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(Exclusive),
    Http2(http2::SendRequest<Outgoing>),
}

/// The lease of a connection by one exchange; dropping it returns the connection to the pool.
#[derive(Debug)]
pub(crate) struct Lease(Hold);

#[derive(Debug)]
enum Hold {
    Exclusive { sender: Option<Exclusive>, shelf: Rc<Shelf> },
    Shared { connection: SharedConnection, sent: Instant },
}

/// Counts an open connection while it exists.
#[derive(Debug)]
pub(super) struct OpenConnection(Rc<Cell<usize>>);

impl Pool {
    /// A pool without connections, for addresses that a rule allows.
    pub(super) fn to(addresses: AddressRule) -> Self {
        Self { shelves: RefCell::default(), open: Rc::default(), addresses, pings: PINGS }
    }

    /// A connection that can accept a request now, if there is one.
    pub(super) fn take(&self, origin: &Origin) -> Option<(Sender, Lease)> {
        let shelves = self.shelves.borrow();
        let shelf = shelves.get(origin)?;
        match shelf.take_exclusive() {
            Some(sender) => Some((Sender::Http1(sender), Lease::of(Rc::clone(shelf)))),
            None => Some(shelf.choose_shared()?.lease()),
        }
    }

    /// The lease of a new connection for one request at a time; [`Lease::returns`] gives it the sender to return.
    pub(super) fn exclusive_lease(&self, origin: &Origin) -> Lease {
        Lease::of(self.shelf(origin))
    }

    /// Adds a new HTTP/2 connection, and leases a stream of it.
    pub(super) fn share(&self, origin: &Origin, sender: http2::SendRequest<Outgoing>) -> (Sender, Lease) {
        let shared = SharedConnection { sender, health: Rc::default() };
        self.shelf(origin).shared.borrow_mut().push(shared.clone());
        shared.lease()
    }

    fn shelf(&self, origin: &Origin) -> Rc<Shelf> {
        Rc::clone(self.shelves.borrow_mut().entry(origin.clone()).or_default())
    }

    /// Counts a connection that will be opened, unless there are too many.
    pub(super) fn open_one(&self) -> Result<OpenConnection, UpstreamError> {
        if self.open.get() >= CONNECTIONS_MAX {
            return Err(UpstreamError::ConnectionLimitReached);
        }
        self.open.set(self.open.get() + 1);
        Ok(OpenConnection(Rc::clone(&self.open)))
    }

    /// Drops connections that have been idle for [`IDLE_MAX`], and closed ones.
    pub(super) fn drop_idle(&self) {
        self.shelves.borrow_mut().retain(|_, shelf| {
            let (mut exclusive, mut shared) = (shelf.exclusive.borrow_mut(), shelf.shared.borrow_mut());
            exclusive.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < IDLE_MAX);
            shared.retain(|shared| {
                let health = &shared.health;
                let idle = health.in_flight.get() == 0 && health.last_used.get().elapsed() >= IDLE_MAX;
                !shared.sender.is_closed() && !health.benched.get() && !idle
            });
            // Those that are leased will be returned.
            !exclusive.is_empty() || !shared.is_empty() || Rc::strong_count(shelf) > 1
        });
    }
}

impl Shelf {
    fn take_exclusive(&self) -> Option<Exclusive> {
        let mut exclusive = self.exclusive.borrow_mut();
        for at in (0..exclusive.len()).rev() {
            let sender = &exclusive[at].sender;
            // One that is neither closed nor ready is still finishing its last exchange.
            if sender.is_closed() {
                exclusive.remove(at);
            } else if sender.is_ready() {
                return Some(exclusive.remove(at).sender);
            }
        }
        None
    }

    fn choose_shared(&self) -> Option<SharedConnection> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|shared| !shared.sender.is_closed() && !shared.health.benched.get());
        shared.iter().find(|shared| shared.health.in_flight.get() < STREAMS_MAX).cloned()
    }

    fn put_back(&self, sender: Exclusive) {
        let mut exclusive = self.exclusive.borrow_mut();
        if exclusive.len() < IDLE_PER_ORIGIN_MAX {
            let since = Instant::now();
            exclusive.push(Idle { sender, since });
        }
    }
}

impl Exclusive {
    /// Whether it can accept no further request.
    fn is_closed(&self) -> bool {
        self.cut.is_given() || self.sender.is_closed()
    }

    fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }
}

impl SharedConnection {
    fn lease(self) -> (Sender, Lease) {
        self.health.in_flight.set(self.health.in_flight.get() + 1);
        let sender = Sender::Http2(self.sender.clone());
        (sender, Lease(Hold::Shared { connection: self, sent: Instant::now() }))
    }
}

impl Default for Health {
    fn default() -> Self {
        let now = Instant::now();
        Self { in_flight: Cell::new(0), last_used: Cell::new(now), heard: Cell::new(now), benched: Cell::new(false) }
    }
}

impl Trial {
    /// The request's time is over. If nothing was heard since it was sent, the connection may be dead.
    pub(super) fn timed_out(&self) {
        if self.health.heard.get() <= self.sent {
            self.bench();
        }
    }

    /// New requests use other connections.
    pub(super) fn bench(&self) {
        self.health.benched.set(true);
    }
}

impl Lease {
    fn of(shelf: Rc<Shelf>) -> Self {
        Self(Hold::Exclusive { sender: None, shelf })
    }

    /// The trial of a connection that other requests would use, too.
    pub(super) fn trial(&self) -> Option<Trial> {
        match &self.0 {
            Hold::Exclusive { .. } => None,
            Hold::Shared { connection, sent } => Some(Trial { health: Rc::clone(&connection.health), sent: *sent }),
        }
    }

    /// The head of the response has arrived.
    pub(super) fn heard(&mut self) {
        if let Hold::Shared { connection, sent } = &mut self.0 {
            *sent = Instant::now();
            connection.health.heard.set(*sent);
        }
    }

    /// The content did not end in time.
    pub(crate) fn timed_out(&self) {
        if let Some(trial) = self.trial() {
            trial.timed_out();
        }
    }

    /// Gives the lease the sender to return.
    pub(super) fn returns(&mut self, used: Sender) {
        if let (Hold::Exclusive { sender, .. }, Sender::Http1(used)) = (&mut self.0, used) {
            *sender = Some(used);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        match &mut self.0 {
            Hold::Exclusive { sender, shelf } => {
                if let Some(sender) = sender.take()
                    && !sender.is_closed()
                {
                    shelf.put_back(sender);
                }
            }
            Hold::Shared { connection, .. } => {
                let health = &connection.health;
                health.in_flight.set(health.in_flight.get() - 1);
                health.last_used.set(Instant::now());
            }
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Letters of another case are only another key: to ignore their case takes longer than the rest of the look-up.
impl PartialEq for Origin {
    fn eq(&self, other: &Self) -> bool {
        self.https == other.https
            && self.certificate == other.certificate
            && self.authority.as_str() == other.authority.as_str()
    }
}

impl Eq for Origin {}

impl Hash for Origin {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.authority.as_str().hash(state);
    }
}

impl Origin {
    /// The origin of an absolute URI, for connections on which the gateway presents this certificate.
    pub(super) fn of(uri: &Uri, certificate: u32) -> Option<Self> {
        let https = match uri.scheme()? {
            scheme if *scheme == Scheme::HTTPS => true,
            scheme if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        let authority = uri.authority()?.clone();
        Some(Self { https, authority, certificate })
    }

    /// The host's name or address, without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
    }

    pub(super) fn port(&self) -> u16 {
        let default = if self.https { 443 } else { 80 };
        self.authority.port_u16().unwrap_or(default)
    }
}

/// Common servers close idle connections after 5 s to 75 s; a longer timeout would often race with their closing.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Idle connections kept for the next burst; nginx documents 32 for each worker as typical.
const IDLE_PER_ORIGIN_MAX: usize = 256;

/// Open connections of one isolate: far below the number of file descriptors (often 65,536 per process) and local
/// ports.
const CONNECTIONS_MAX: usize = 8_192;

/// Servers of gRPC tolerate few pings without data, so there are none while no stream is open.
const PINGS: Pings = Pings { interval: Duration::from_secs(30), timeout: Duration::from_secs(10) };

/// Concurrent streams on one HTTP/2 connection: what RFC 9113, section 6.5.2, recommends that every server allows.
const STREAMS_MAX: usize = 100;
