//! One isolate: a thread with its own runtime, ports and gateway state.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_core::client::ClientNetwork;
use tollgate_core::telemetry::event_line;
use tollgate_edge::ports::{Host, TelemetrySink};
use tollgate_edge::{Client, Freshness, Isolate};

use super::activity::{Activity, Timeouts};
use super::connection::serve_connection;
use super::connections::{Connections, Standing};
use super::conversation::{Http, Streams};
use super::state::StateParts;
use super::sweep::Sweep;
use super::tls::Tls;
use super::work::{Rests, Workers};
use super::{Listener, Listeners};
use crate::clock::SystemClock;
use crate::host::NativeHost;
use crate::local::{Signal, Tracker};
use crate::places::ExchangePlaces;

/// The parts from which an isolate's thread creates its state.
pub(super) struct IsolateParts {
    pub(super) state: StateParts,
    pub(super) listeners: Listeners,
    pub(super) connections: Arc<Connections>,
    pub(super) exchange_places: ExchangePlaces,
    /// Of refusals that are being delivered.
    pub(super) refusal_places: ExchangePlaces,
}

/// State shared by all connections of the isolate.
pub(super) struct Serving {
    gateway: String,
    pub(super) isolate: Rc<Isolate>,
    pub(super) host: NativeHost,
    pub(super) http: Http,
    pub(super) streams: Streams,
    pub(super) workers: Rc<Workers>,
    pub(super) rests: Rc<Rests>,
    timeouts: Timeouts,
    /// Those of all isolates.
    connections: Arc<Connections>,
    /// The connections of this isolate whose tasks have not ended.
    open: Tracker,
    pub(super) sweep: Rc<Sweep>,
    /// TLS at each address that has it.
    tls: Vec<Arc<Tls>>,
    /// Exchanges whose work has not ended.
    pub(super) exchanges: Tracker,
    /// Those of all isolates.
    pub(super) exchange_places: ExchangePlaces,
    /// Of refusals that are being delivered.
    pub(super) refusal_places: ExchangePlaces,
    pub(super) drain: Rc<Signal>,
    /// Given when the grace period is over, before connections are closed.
    pub(super) cut_off: Rc<Signal>,
    /// When each event was last logged.
    complaints: RefCell<HashMap<&'static str, Instant>>,
}

/// Serves until the stop signal, and then until open exchanges have ended or the grace period is over.
pub(super) async fn run(parts: IsolateParts, mut stop: watch::Receiver<bool>) {
    let settings = Arc::clone(&parts.state.settings);
    let drain = Rc::<Signal>::default();
    let streams = Streams::default();
    let (isolate, host) = parts.state.open(&drain);
    let cut_off = Rc::<Signal>::default();
    let serving = Rc::new(Serving {
        gateway: settings.gateway.clone(),
        isolate: Rc::new(isolate),
        host,
        http: Http::new(streams.clone()),
        streams,
        workers: Rc::new(Workers::new(&cut_off)),
        rests: Rc::default(),
        timeouts: Timeouts {
            head: settings.head_timeout,
            idle: settings.idle_timeout,
            unread: settings.unread_timeout,
        },
        connections: parts.connections,
        open: Tracker::default(),
        sweep: Rc::default(),
        tls: parts.listeners.iter().filter_map(|listener| listener.tls.clone()).collect(),
        exchanges: Tracker::default(),
        exchange_places: parts.exchange_places,
        refusal_places: parts.refusal_places,
        drain,
        cut_off,
        complaints: RefCell::default(),
    });
    let housekeeping = tokio::task::spawn_local(run_periodic_tasks(Rc::clone(&serving), settings.freshness));
    let (sweep, unread) = (Rc::clone(&serving.sweep), settings.unread_timeout);
    tokio::task::spawn_local(async move { sweep.run(unread).await });
    let rests = Rc::clone(&serving.rests);
    tokio::task::spawn_local(async move { rests.run().await });
    for listener in parts.listeners {
        let accepting = accept(Rc::clone(&serving), listener);
        tokio::task::spawn_local(accepting);
    }
    // An error means that the server was dropped, which is a reason to stop, too.
    let _ = stop.wait_for(|stop| *stop).await;
    housekeeping.abort();
    serving.drain.give();
    serving.sweep.connections.each(|activity| activity.standing.wake());
    end(&serving, settings.grace).await;
}

async fn end(serving: &Serving, grace: Duration) {
    let end = Instant::now() + grace;
    let ended = async {
        serving.open.below(1).await;
        serving.exchanges.below(1).await;
    };
    if tokio::time::timeout_at(end, ended).await.is_err() {
        // Exchanges that are still open are aborted; they are recorded as such.
        serving.cut_off.give();
        serving.sweep.connections.each(|activity| activity.standing.close());
        let _ = tokio::time::timeout(ABORT_MAX, serving.exchanges.below(1)).await;
    }
    serving.host.telemetry_sink().flush();
}

/// Accepts connections at one address until the isolate stops.
async fn accept(serving: Rc<Serving>, listener: Listener) {
    let Listener { socket, tls, inside } = listener;
    let Ok(listener) = tokio::net::TcpListener::from_std(socket) else {
        return;
    };
    let converse = |(stream, peer): (TcpStream, SocketAddr)| {
        let standing = Standing::of(ClientNetwork::of(peer.ip()));
        // A client whose connections are all in use gets no further one.
        let Some(admitted) = serving.connections.admit(&standing) else {
            return serving.complain("connections-full", "one client has too many connections in use");
        };
        // Inherited from the listener on Linux; if neither works, responses may wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        let client = Client { address: Some(peer.ip()), https: tls.is_some(), inside };
        let activity =
            Rc::new(Activity::new(standing, admitted.overloaded.clone(), serving.timeouts, &serving.cut_off));
        serving.sweep.connections.add(Rc::clone(&activity));
        let held = (admitted, serving.open.track());
        let (serving, tls) = (Rc::clone(&serving), tls.clone());
        // Called in the task: a future that is captured and then awaited would have its kilobytes twice.
        tokio::task::spawn_local(async move {
            serve_connection(&serving, &activity, stream, client, tls).await;
            serving.sweep.connections.remove(&activity);
            drop(held);
        });
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = serving.drain.given() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                tokio::select! {
                    () = serving.drain.given() => {}
                    () = serving.connections.room() => {}
                }
                converse(accepted);
            }
            Err(error) => {
                // Probably too many open files; some will be closed.
                serving.complain("accept-failed", &error.to_string());
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Connections that were already established are served, too.
    for _ in 0..serving.connections.left() {
        match tokio::time::timeout(Duration::ZERO, listener.accept()).await {
            Ok(Ok(accepted)) => converse(accepted),
            Ok(Err(_)) | Err(_) => break,
        }
    }
}

impl Serving {
    fn tls_generations(&self) -> Vec<u64> {
        self.tls.iter().map(|tls| tls.generation()).collect()
    }

    /// Logs what operators should know of the gateway's own certificates.
    fn tell_of_certificates(&self) {
        for news in self.host.upstream().take_news() {
            let line = event_line(SystemClock::now(), news.level, news.event, &self.gateway, |line| {
                line.text("certificate", &news.certificate);
                line.text("reason", &news.reason);
            });
            self.host.telemetry_sink().log(&line);
        }
    }

    /// Logs that a bound is reached or that the system refuses something, at intervals while that persists.
    pub(super) fn complain(&self, event: &'static str, reason: &str) {
        let mut complaints = self.complaints.borrow_mut();
        if complaints.get(event).is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            complaints.insert(event, Instant::now());
            let line = event_line(SystemClock::now(), "warn", event, &self.gateway, |line| line.text("reason", reason));
            self.host.telemetry_sink().log(&line);
        }
    }
}

/// Runs periodic tasks: checks for new configuration, closes idle connections and those of clients whose certificates were revoked.
async fn run_periodic_tasks(serving: Rc<Serving>, freshness: Freshness) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = None;
    let mut tls_seen = serving.tls_generations();
    for tick in 0u64.. {
        ticks.tick().await;
        let tls_now = serving.tls_generations();
        if tls_now != tls_seen {
            tls_seen = tls_now;
            serving.sweep.connections.each(Activity::verify_again);
        }
        if tick % IDLE_TICKS == 0 {
            serving.host.upstream().drop_idle();
            serving.host.upstream().renew_certificates();
            serving.host.fetch().drop_idle();
            serving.workers.drop_unused();
        }
        serving.tell_of_certificates();
        let version = serving.host.records().version();
        if freshness == Freshness::Cached && (version != seen || tick % REFRESH_TICKS == 0) {
            seen = version;
            serving.isolate.refresh(&serving.host).await;
        }
    }
}

/// The interval of checks whether anything was written to the record store; a check costs some microseconds.
const TICK: Duration = Duration::from_millis(500);

/// Every 10 s: a failed refresh is retried although nothing was written since.
const REFRESH_TICKS: u64 = 20;

/// Every 5 s.
const IDLE_TICKS: u64 = 10;

/// The interval at which the same problem is logged.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// How long aborted exchanges may take to be recorded.
const ABORT_MAX: Duration = Duration::from_secs(1);

/// The delay after a connection could not be accepted.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
