//! All ports of this host, for one isolate.

use std::net::IpAddr;
use std::rc::Rc;

use tollgate_core::authn::PeerCertificate;
use tollgate_edge::ports::Host;

use crate::clients::Clients;
use crate::clock::{SystemClock, SystemEntropy};
use crate::content::{NativeContent, RequestState};
use crate::counters::ChosenCounters;
use crate::fetch::NativeFetch;
use crate::response_cache::NativeResponseCache;
use crate::secrets::SecretSource;
use crate::signatures::NativeSignatures;
use crate::store::NativeRecords;
use crate::telemetry::NativeTelemetrySink;
use crate::upstream::NativeUpstream;

/// The ports of one isolate; clones are handles to the same.
#[derive(Clone, Debug)]
pub struct NativeHost {
    ports: Rc<Ports>,
}

#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) clock: SystemClock,
    pub(crate) entropy: SystemEntropy,
    pub(crate) records: NativeRecords,
    pub(crate) counters: ChosenCounters,
    pub(crate) response_cache: NativeResponseCache,
    pub(crate) fetch: NativeFetch,
    pub(crate) upstream: NativeUpstream,
    pub(crate) secrets: SecretSource,
    pub(crate) telemetry_sink: NativeTelemetrySink,
    pub(crate) clients: Clients,
}

impl NativeHost {
    pub(crate) fn new(ports: Ports) -> Self {
        Self { ports: Rc::new(ports) }
    }
}

impl Host for NativeHost {
    type Content = NativeContent;
    type Clock = SystemClock;
    type Entropy = SystemEntropy;
    type Records = NativeRecords;
    type Counters = ChosenCounters;
    type ResponseCache = NativeResponseCache;
    type Fetch = NativeFetch;
    type Upstream = NativeUpstream;
    type Secrets = SecretSource;
    type Signatures = NativeSignatures;
    type TelemetrySink = NativeTelemetrySink;

    fn clock(&self) -> &SystemClock {
        &self.ports.clock
    }

    fn entropy(&self) -> &SystemEntropy {
        &self.ports.entropy
    }

    fn records(&self) -> &NativeRecords {
        &self.ports.records
    }

    fn counters(&self) -> &ChosenCounters {
        &self.ports.counters
    }

    fn response_cache(&self) -> &NativeResponseCache {
        &self.ports.response_cache
    }

    fn fetch(&self) -> &NativeFetch {
        &self.ports.fetch
    }

    fn upstream(&self) -> &NativeUpstream {
        &self.ports.upstream
    }

    fn secrets(&self) -> &SecretSource {
        &self.ports.secrets
    }

    fn signatures(&self) -> &NativeSignatures {
        &NativeSignatures
    }

    fn telemetry_sink(&self) -> &NativeTelemetrySink {
        &self.ports.telemetry_sink
    }

    fn admits(&self, client: Option<IpAddr>, content: &NativeContent) -> bool {
        let Some(place) = self.ports.clients.place(client) else { return false };
        if let Some(request) = content.request() {
            request.keep(place);
        }
        true
    }

    fn client_certificate(&self, content: &NativeContent) -> Rc<PeerCertificate> {
        content.request().and_then(RequestState::certificate).map(Rc::clone).unwrap_or_default()
    }

    fn knows_http_version(&self) -> bool {
        true
    }
}
