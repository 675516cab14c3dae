//! What a thread needs to be an isolate: ports and gateway state, made on the thread that uses them.

use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;
use tollgate_edge::{Isolate, IsolateSettings};

use crate::clock::{SystemClock, SystemEntropy};
use crate::counters::NativeCounters;
use crate::host::{NativeHost, Ports};
use crate::local::Drain;
use crate::log::{IsolateLog, LogHandle};
use crate::response_cache::NativeResponseCache;
use crate::settings::Settings;
use crate::store::NativeRecords;
use crate::telemetry::{NativeTelemetrySink, SharedMetrics};
use crate::upstream::NativeUpstream;

/// What the isolates of a server share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) counters: NativeCounters,
    pub(crate) response_cache: NativeResponseCache,
    pub(crate) metrics: SharedMetrics,
}

/// What can be handed to the thread.
#[derive(Debug)]
pub(crate) struct StateParts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) shared: Shared,
    pub(crate) records: NativeRecords,
    pub(crate) upstream_tls: Arc<ClientConfig>,
    pub(crate) log: LogHandle,
}

impl StateParts {
    /// The state itself, which stays on this thread.
    pub(crate) fn open(self, drain: &Rc<Drain>) -> (Isolate, NativeHost) {
        let upstream = NativeUpstream::new(self.upstream_tls);
        let log = IsolateLog::new(self.log);
        let telemetry_sink = NativeTelemetrySink::new(log, self.shared.metrics, upstream.clone());
        let host = NativeHost::new(Ports {
            clock: SystemClock::until(drain),
            entropy: SystemEntropy::default(),
            records: self.records,
            counters: self.shared.counters,
            response_cache: self.shared.response_cache,
            upstream,
            secrets: self.settings.secrets.clone(),
            telemetry_sink,
        });
        let isolate = Isolate::new(IsolateSettings {
            gateway: self.settings.gateway.clone(),
            freshness: self.settings.freshness,
        });
        (isolate, host)
    }
}
