//! The server: isolates on threads, the admin listener, start and stop.

mod activity;
mod answer;
mod connection;
mod connections;
mod conversation;
mod delivering;
mod exchange;
mod isolate;
mod leaving;
mod limits;
mod lingering;
mod listen;
mod receiving;
mod socket;
mod state;
mod stream;
mod sweep;
mod tls;
mod work;

use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use crate::admin::{Admin, AdminParts};
use crate::clock::SystemClock;
use crate::counters::ChosenCounters;
use crate::faults::Faults;
use crate::local::Tracker;
use crate::log::{LogHandle, LogWriter};
use crate::places::ExchangePlaces;
use crate::response_cache::NativeResponseCache;
use crate::settings::Settings;
use crate::stderr::report;
use crate::store::{NativeRecords, RecordStore, StoreError};
use crate::upstream::{TrustError, client_config};
use connections::{Bounds, Connections};
use isolate::IsolateParts;
pub use listen::ListenError;
pub(crate) use receiving::Framing;
pub(crate) use state::{Shared, StateParts};
pub(crate) use stream::ClientStream;
use tls::Tls;
pub use tls::TlsError;

/// A server that listens, and serves when it runs.
pub struct Server {
    settings: Arc<Settings>,
    addresses: Vec<SocketAddr>,
    admin_address: Option<SocketAddr>,
    isolates: Vec<(NativeRecords, Listeners)>,
    tls: Vec<Arc<Tls>>,
    admin: Option<(TcpListener, NativeRecords)>,
    shared: Shared,
    upstream_tls: Arc<ClientConfig>,
    log: Box<dyn Write + Send>,
}

type Listeners = Vec<Listener>;

/// A listening socket of one isolate.
struct Listener {
    socket: TcpListener,
    tls: Option<Arc<Tls>>,
    /// Whether callers that connect here are internal.
    inside: bool,
}

/// Builds a server.
pub struct ServerBuilder {
    settings: Settings,
    records: RecordStore,
    log: Box<dyn Write + Send>,
    faults: Faults,
}

/// Why a server cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The server cannot listen at an address.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// TLS with clients cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The authorities for upstreams cannot be read.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The record store or the counters' file cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The counters in Redis cannot be set up.
    #[error("the counters in Redis: {0}")]
    Counters(std::io::Error),
    /// The system provides no thread or no event queue.
    #[error("the system cannot create a thread or an event queue: {0}")]
    System(#[from] std::io::Error),
}

impl ServerBuilder {
    /// Writes the log there instead of to standard output; each write consists of complete lines.
    #[must_use]
    pub fn log_to(mut self, output: Box<dyn Write + Send>) -> Self {
        self.log = output;
        self
    }

    /// Makes stores fail by this handle, for tests.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Opens the server's resources and listens; connections wait until it runs.
    ///
    /// Raises the process's limit of open files to the maximum that the system allows.
    ///
    /// # Errors
    /// [`StartError`], whose text says how to fix it.
    pub fn bind(self) -> Result<Server, StartError> {
        limits::raise_open_files();
        let settings = self.settings;
        let isolates = settings.isolates.or_else(|| std::thread::available_parallelism().ok()).map_or(1, usize::from);
        let mut addresses = Vec::new();
        let mut listeners: Vec<Listeners> = (0..isolates).map(|_| Vec::new()).collect();
        let mut all_tls = Vec::new();
        for listen in &settings.listen {
            let tls = listen.tls.as_ref().map(Tls::open).transpose()?;
            all_tls.extend(tls.clone());
            let bound = listen::listen(listen.address, isolates)?;
            addresses.extend(bound.first().map(TcpListener::local_addr).transpose()?);
            for (all, socket) in listeners.iter_mut().zip(bound) {
                all.push(Listener { socket, tls: tls.clone(), inside: listen.inside });
            }
        }
        let admin = match &settings.admin {
            None => None,
            Some(admin) => listen::listen(admin.address, 1)?.pop(),
        };
        let admin_address = admin.as_ref().map(TcpListener::local_addr).transpose()?;
        let admin = admin
            .map(|listener| Ok::<_, StoreError>((listener, self.records.reader(self.faults.clone())?)))
            .transpose()?;
        let isolates = listeners
            .into_iter()
            .map(|l| Ok((self.records.reader(self.faults.clone())?, l)))
            .collect::<Result<_, StoreError>>()?;
        let upstream_tls = client_config(settings.upstream_authorities.as_deref())?;
        Ok(Server {
            shared: Shared::open(&settings, &self.faults)?,
            settings: Arc::new(settings),
            addresses,
            admin_address,
            isolates,
            tls: all_tls,
            admin,
            upstream_tls,
            log: self.log,
        })
    }
}

impl Server {
    /// A builder of a server that reads this store.
    #[must_use]
    pub fn builder(settings: Settings, records: RecordStore) -> ServerBuilder {
        ServerBuilder { settings, records, log: Box::new(std::io::stdout()), faults: Faults::default() }
    }

    /// The listening addresses, in the order of the settings, with the actual ports.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The admin listener's address.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// The response cache, for purges that do not use the admin listener.
    #[must_use]
    pub fn response_cache(&self) -> &NativeResponseCache {
        &self.shared.response_cache
    }

    /// Serves until `shutdown` resolves, then finishes open exchanges within the grace period, and returns.
    ///
    /// # Errors
    /// [`StartError::System`] if the threads cannot be started.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), StartError> {
        let Self { isolates, admin, log, .. } = self;
        let log = LogWriter::start(log)?;
        let common = Common { settings: self.settings, shared: self.shared, upstream_tls: self.upstream_tls };
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(Connections::new(Bounds {
            total: common.settings.connections_max,
            per_client: common.settings.connections_per_client_max,
        }));
        let exchange_places = ExchangePlaces::new(common.settings.exchanges_max);
        let refusal_places = ExchangePlaces::new(common.settings.exchanges_max);
        let mut ended = Vec::new();
        for (number, (records, listeners)) in isolates.into_iter().enumerate() {
            let state = common.state(records, log.handle());
            let (connections, exchange_places) = (Arc::clone(&connections), exchange_places.clone());
            let refusal_places = refusal_places.clone();
            let parts = IsolateParts { state, listeners, connections, exchange_places, refusal_places };
            let stopped = stopped.clone();
            let name = format!("tollgate-{number}");
            ended.push(on_thread(name, move || isolate::run(parts, stopped))?);
        }
        // Stops after the isolates: their last charges are persisted, too, and health checks are answered until the
        // end.
        let (stop_background, background_stopped) = watch::channel(false);
        let background = Background {
            counters: common.shared.counters.clone(),
            tls: self.tls,
            admin: admin.map(|(listener, records)| AdminParts {
                listener,
                state: common.state(records, log.handle()),
                stopping: stopped,
            }),
        };
        let background = on_thread("tollgate-background".into(), move || background.keep(background_stopped))?;
        shutdown.await;
        let _ = stop.send(true);
        for isolate in ended {
            // The panic of an isolate was reported on standard error; the others stop normally.
            let _ = isolate.await;
        }
        let _ = stop_background.send(true);
        let _ = background.await;
        let finishing = tokio::task::spawn_blocking(move || log.finish(LOG_MAX));
        if !finishing.await.map_err(std::io::Error::other)? {
            report("the last lines of the log are lost, because its reader does not read".into());
        }
        Ok(())
    }
}

/// Runs the future on a new thread with its own runtime; the receiver resolves when it has ended.
fn on_thread<F: Future<Output = ()>>(
    name: String,
    work: impl FnOnce() -> F + Send + 'static,
) -> std::io::Result<oneshot::Receiver<()>> {
    let (done, ended) = oneshot::channel::<()>();
    let runtime = move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .event_interval(TASKS_BETWEEN_EVENTS)
            .build_local(tokio::runtime::LocalOptions::default())
    };
    std::thread::Builder::new().name(name).spawn(move || {
        match runtime() {
            Ok(runtime) => {
                runtime.block_on(work());
                // DNS look-ups may still run on other threads; they are not awaited.
                runtime.shutdown_background();
            }
            Err(error) => report(format!("a thread cannot create its event queue: {error}")),
        }
        drop(done);
    })?;
    Ok(ended)
}

/// How many tasks run before the system is asked for events: twice tokio's default, for half as many calls under load, and still
/// less than a millisecond.
const TASKS_BETWEEN_EVENTS: u32 = 128;

/// State shared by the threads of a server.
struct Common {
    settings: Arc<Settings>,
    shared: Shared,
    upstream_tls: Arc<ClientConfig>,
}

impl Common {
    fn state(&self, records: NativeRecords, log: LogHandle) -> StateParts {
        StateParts {
            settings: Arc::clone(&self.settings),
            shared: self.shared.clone(),
            records,
            upstream_tls: Arc::clone(&self.upstream_tls),
            log,
        }
    }
}

/// The work that a server has only once, on a separate thread: the admin listener, the files of counters and of TLS.
struct Background {
    counters: ChosenCounters,
    tls: Vec<Arc<Tls>>,
    admin: Option<AdminParts>,
}

impl Background {
    async fn keep(self, mut stop: watch::Receiver<bool>) {
        let calls = Tracker::default();
        let admin = self.admin.map(|parts| tokio::task::spawn_local(Admin::serve(parts, calls.clone())));
        let mut ticks = tokio::time::interval(PERSIST_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = ticks.tick() => {
                    persist(&self.counters);
                    self.tls.iter().for_each(|tls| reload(tls));
                }
            }
        }
        if let Some(admin) = admin {
            admin.abort();
        }
        // A call of an operator that has begun is finished and audited.
        let _ = tokio::time::timeout(CALLS_MAX, calls.below(1)).await;
        persist(&self.counters);
    }
}

fn persist(counters: &ChosenCounters) {
    // The gateway continues: the changes stay marked, and are written when the file can be written.
    if let Err(error) = counters.persist(SystemClock::now()) {
        report(format!("counters are not persisted: {error}"));
    }
}

/// Reads the files of TLS again if they have changed. Open connections go on; those of clients whose certificates are no longer
/// accepted are ended by their isolates.
fn reload(tls: &Tls) {
    match tls.reload() {
        None => {}
        Some(Ok(changed)) => {
            let names: Vec<String> = changed.iter().map(|path| path.display().to_string()).collect();
            report(format!("files of TLS have changed and are in use: {}", names.join(", ")));
        }
        Some(Err(error)) => report(format!("the files of TLS have changed, and the earlier ones stay in use: {error}")),
    }
}

/// How long calls of operators may take after the isolates have ended; most take milliseconds.
const CALLS_MAX: Duration = Duration::from_secs(10);

/// How long the reader of the log may take for its last lines.
const LOG_MAX: Duration = Duration::from_secs(2);

/// The charges that may be lost if the process is killed: those of one second. The files of TLS are checked as often.
const PERSIST_INTERVAL: Duration = Duration::from_secs(1);
