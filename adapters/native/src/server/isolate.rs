//! One isolate: a thread with a runtime, ports and gateway state of its own.

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

/// What an isolate's thread is given to start with.
pub(super) struct IsolateParts {
    pub(super) state: StateParts,
    pub(super) listeners: Listeners,
    pub(super) connections_max: usize,
}

/// What every connection of the isolate shares.
pub(super) struct Serving {
    pub(super) isolate: Rc<Isolate>,
    pub(super) host: NativeHost,
    pub(super) http: auto::Builder<LocalExecutor>,
    pub(super) head_timeout: Duration,
    pub(super) connections: Tracker,
    pub(super) exchanges: Tracker,
    pub(super) drain: Rc<Drain>,
}

/// Serves until told to stop, and then until what is open has ended or the grace is over.
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
    // An error says that the server is gone, which is a reason to stop, too.
    let _ = stop.wait_for(|stop| *stop).await;
    housekeeping.abort();
    serving.drain.begin();
    end(&serving, settings.grace).await;
}

async fn end(serving: &Serving, grace: Duration) {
    let end = Instant::now() + grace;
    // What is still open then is cut off; it has had its time.
    let _ = tokio::time::timeout_at(end, async {
        serving.connections.below(1).await;
        serving.exchanges.below(1).await;
    })
    .await;
    serving.host.telemetry_sink().flush();
}

/// Accepts connections at one address until the isolate ends.
async fn accept(serving: Rc<Serving>, listener: Listener, connections_max: usize) {
    let Listener { socket, tls, inside } = listener;
    let Ok(listener) = tokio::net::TcpListener::from_std(socket) else {
        return;
    };
    let converse = |(stream, peer): (TcpStream, SocketAddr)| {
        // Inherited from the listener on Linux; where neither works, answers may wait for acknowledgements.
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
            () = serving.drain.begun() => break,
            accepted = next => match accepted {
                Ok(accepted) => converse(accepted),
                Err(error) => {
                    complaint.about(&serving.host, &error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    // Who has connected already is answered, too.
    for _ in serving.connections.count()..connections_max {
        match tokio::time::timeout(Duration::ZERO, listener.accept()).await {
            Ok(Ok(accepted)) => converse(accepted),
            Ok(Err(_)) | Err(_) => break,
        }
    }
}

/// Tells the log that connections cannot be accepted, now and then while that lasts.
#[derive(Default)]
struct Complaint {
    last: Option<Instant>,
}

impl Complaint {
    /// Too many open files, most likely; some will be closed.
    fn about(&mut self, host: &NativeHost, error: &std::io::Error) {
        if self.last.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.last = Some(Instant::now());
            let line = json!({"level": "warn", "event": "accept-failed", "reason": error.to_string()});
            host.telemetry_sink().log(&line.to_string());
        }
    }
}

/// Runs periodic tasks: notices new configuration, closes idle connections.
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
        if freshness == Freshness::Behind && (version != seen || tick % REFRESH_TICKS == 0) {
            seen = version;
            serving.isolate.refresh(&serving.host).await;
        }
    }
}

/// How often the record store is asked whether anything was written; asking costs some microseconds.
const TICK: Duration = Duration::from_millis(500);

/// Every 10 s: a refresh that failed is tried again though nothing was written since.
const REFRESH_TICKS: u64 = 20;

/// Every 5 s.
const IDLE_TICKS: u64 = 10;

/// How often the same trouble is told.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(10);

/// How long no connection is accepted after one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
