//! One isolate: a thread with its own runtime, ports and gateway state.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tollgate_edge::ports::{Host, TelemetrySink};
use tollgate_edge::{Client, Freshness, Isolate};

use super::connection::{http, serve_connection};
use super::state::StateParts;
use super::{Listener, Listeners};
use crate::host::NativeHost;
use crate::local::{Drain, LocalExecutor, Tracker};

/// The parts from which an isolate's thread creates its state.
pub(super) struct IsolateParts {
    pub(super) state: StateParts,
    pub(super) listeners: Listeners,
    pub(super) connections_max: usize,
}

/// State shared by all connections of the isolate.
pub(super) struct Serving {
    pub(super) isolate: Rc<Isolate>,
    pub(super) host: NativeHost,
    pub(super) http: auto::Builder<LocalExecutor>,
    pub(super) head_timeout: Duration,
    pub(super) connections: Tracker,
    pub(super) exchanges: Tracker,
    pub(super) drain: Rc<Drain>,
}

/// Serves until the stop signal, and then until open exchanges have ended or the grace period is over.
pub(super) async fn run(parts: IsolateParts, mut stop: watch::Receiver<bool>) {
    let settings = Arc::clone(&parts.state.settings);
    let drain = Rc::<Drain>::default();
    let (isolate, host) = parts.state.open(&drain);
    let serving = Rc::new(Serving {
        isolate: Rc::new(isolate),
        host,
        http: http(settings.head_timeout),
        head_timeout: settings.head_timeout,
        connections: Tracker::default(),
        exchanges: Tracker::default(),
        drain,
    });
    let housekeeping = tokio::task::spawn_local(run_periodic_tasks(Rc::clone(&serving), settings.freshness));
    for listener in parts.listeners {
        let accepting = accept(Rc::clone(&serving), listener, parts.connections_max);
        tokio::task::spawn_local(accepting);
    }
    // An error means that the server was dropped, which is a reason to stop, too.
    let _ = stop.wait_for(|stop| *stop).await;
    housekeeping.abort();
    serving.drain.begin();
    end(&serving, settings.grace).await;
}

async fn end(serving: &Serving, grace: Duration) {
    let end = Instant::now() + grace;
    // Exchanges that are still open are aborted; their grace period is over.
    let _ = tokio::time::timeout_at(end, async {
        serving.connections.below(1).await;
        serving.exchanges.below(1).await;
    })
    .await;
    serving.host.telemetry_sink().flush();
}

/// Accepts connections at one address until the isolate stops.
async fn accept(serving: Rc<Serving>, listener: Listener, connections_max: usize) {
    let Listener { socket, tls, inside } = listener;
    let Ok(listener) = tokio::net::TcpListener::from_std(socket) else {
        return;
    };
    let converse = |(stream, peer): (TcpStream, SocketAddr)| {
        // Inherited from the listener on Linux; if neither works, responses may wait for acknowledgements.
        let _ = stream.set_nodelay(true);
        let tracking = serving.connections.track();
        let client = Client { address: Some(peer.ip()), https: tls.is_some(), inside };
        let conversation = serve_connection(Rc::clone(&serving), stream, client, tls.clone());
        tokio::task::spawn_local(async move {
            conversation.await;
            drop(tracking);
        });
    };
    let mut complaint = Complaint::default();
    loop {
        let next = async {
            serving.connections.below(connections_max).await;
            listener.accept().await
        };
        tokio::select! {
            biased;
            () = serving.drain.started() => break,
            accepted = next => match accepted {
                Ok(accepted) => converse(accepted),
                Err(error) => {
                    complaint.about(&serving.host, &error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Connections that were already established are served, too.
    for _ in serving.connections.count()..connections_max {
        match tokio::time::timeout(Duration::ZERO, listener.accept()).await {
            Ok(Ok(accepted)) => converse(accepted),
            Ok(Err(_)) | Err(_) => break,
        }
    }
}

/// Logs that connections cannot be accepted, at intervals while the problem persists.
#[derive(Default)]
struct Complaint {
    last: Option<Instant>,
}

impl Complaint {
    /// Probably too many open files; some will be closed.
    fn about(&mut self, host: &NativeHost, error: &std::io::Error) {
        if self.last.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.last = Some(Instant::now());
            let line = json!({"level": "warn", "event": "accept-failed", "reason": error.to_string()});
            host.telemetry_sink().log(&line.to_string());
        }
    }
}

/// Runs periodic tasks: checks for new configuration, closes idle connections.
async fn run_periodic_tasks(serving: Rc<Serving>, freshness: Freshness) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut seen = None;
    for tick in 0u64.. {
        ticks.tick().await;
        if tick % IDLE_TICKS == 0 {
            serving.host.upstream().drop_idle();
            serving.host.fetch().drop_idle();
        }
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

/// The delay after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
