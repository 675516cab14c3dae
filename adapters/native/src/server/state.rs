//! The state of an isolate: ports and gateway state, created on the thread that uses them.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rustls::ClientConfig;
use tollgate_edge::{Isolate, IsolateSettings};

use super::StartError;
use crate::clients::{ClientCounts, Clients};
use crate::clock::{SystemClock, SystemEntropy};
use crate::counters::{ChosenCounters, NativeCounters, RedisCounters};
use crate::faults::Faults;
use crate::fetch::NativeFetch;
use crate::host::{NativeHost, Ports};
use crate::local::Signal;
use crate::log::LogHandle;
use crate::response_cache::NativeResponseCache;
use crate::settings::Settings;
use crate::store::{NativeRecords, RecordStore};
use crate::telemetry::{Counted, NativeTelemetrySink, SharedMetrics};
use crate::upstream::{NativeUpstream, UsableCertificates, client_config};

/// State shared by the isolates of a server.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) counters: ChosenCounters,
    pub(crate) response_cache: NativeResponseCache,
    pub(crate) metrics: SharedMetrics,
    pub(crate) overloaded: Arc<AtomicU64>,
    /// The requests of each client that are handled at once.
    pub(crate) clients: Arc<ClientCounts>,
    pub(crate) certificates: UsableCertificates,
}

impl Shared {
    pub(super) fn open(settings: &Settings, faults: &Faults) -> Result<Self, StartError> {
        let most = settings.counter_partitions_max;
        let counters = match (&settings.counters_redis, &settings.counters_file) {
            (Some(redis), _) => ChosenCounters::Redis(
                RedisCounters::start(&settings.gateway, redis, &settings.secrets).map_err(StartError::Counters)?,
            ),
            (None, None) => ChosenCounters::Embedded(NativeCounters::in_memory(most)),
            (None, Some(path)) => {
                let counters = NativeCounters::in_file(path, &settings.gateway, most, SystemClock::now())?;
                ChosenCounters::Embedded(counters)
            }
        };
        let response_cache = NativeResponseCache::new(settings.response_cache_bytes_max);
        Ok(Self {
            counters: counters.with_faults(faults.clone()),
            response_cache: response_cache.with_faults(faults.clone()),
            metrics: SharedMetrics::default(),
            overloaded: Arc::default(),
            clients: Arc::new(ClientCounts::new(settings.exchanges_per_client_max)),
            certificates: UsableCertificates::default(),
        })
    }
}

/// The parts that can be sent to the thread.
#[derive(Debug)]
pub(crate) struct StateParts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) shared: Shared,
    pub(crate) records: NativeRecords,
    pub(crate) upstream_tls: Arc<ClientConfig>,
    pub(crate) log: LogHandle,
}

impl StateParts {
    /// Creates the state, which stays on this thread.
    pub(crate) fn open(self, drain: &Rc<Signal>) -> (Isolate, NativeHost) {
        let Shared { counters, response_cache, metrics, overloaded, clients, certificates } = self.shared;
        let upstream = NativeUpstream::new(self.upstream_tls, self.settings.secrets.clone(), certificates);
        let upstream = upstream.with_copies(Arc::clone(response_cache.copies()));
        let counted = Counted {
            metrics,
            counters: counters.clone(),
            response_cache: response_cache.clone(),
            log: self.log,
            overloaded,
        };
        let telemetry_sink = NativeTelemetrySink::new(counted, upstream.clone());
        let clock = SystemClock::until(drain);
        let host = NativeHost::new(Ports {
            fetch: NativeFetch::new(&upstream, clock.clone()),
            clock,
            entropy: SystemEntropy::default(),
            records: self.records,
            counters,
            response_cache,
            upstream,
            secrets: self.settings.secrets.clone(),
            telemetry_sink,
            clients: Clients::of(clients),
        });
        let isolate = Isolate::new(IsolateSettings {
            gateway: self.settings.gateway.clone(),
            freshness: self.settings.freshness,
        });
        let isolate = isolate.with_room_for_parts(PARTS_REMEMBERED_BYTES).with_operator(self.settings.operator.clone());
        (isolate, host)
    }
}

/// Size of the parts that a thread keeps: those of 300,000 routes, because a process has more memory than a Worker's
/// isolate.
const PARTS_REMEMBERED_BYTES: usize = 32 * 1024 * 1024;

impl NativeHost {
    /// The ports of one isolate without a server, for tests of the ports; its log is discarded.
    ///
    /// # Errors
    /// [`StartError`] if a store or the certificate authorities for upstreams cannot be opened.
    pub fn unserved(settings: &Settings, records: &RecordStore, faults: Faults) -> Result<Self, StartError> {
        let parts = StateParts {
            settings: Arc::new(settings.clone()),
            shared: Shared::open(settings, &faults)?,
            records: records.reader(faults)?,
            upstream_tls: client_config(settings.upstream_authorities.as_deref())?,
            log: LogHandle::discarding(),
        };
        Ok(parts.open(&Rc::default()).1)
    }
}
