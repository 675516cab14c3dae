//! The host: all ports of one Worker.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::authn::PeerCertificate;
use tollgate_core::client::Location;
use tollgate_core::telemetry::Metrics;
use tollgate_edge::ports::Host;
use tollgate_edge::{NearCache, NearResponses};
use worker::Env;

use crate::content::WorkerContent;
use crate::lifetime::Lifetime;
use crate::ports::{
    CacheApi, FetchUpstream, KvRecords, ObjectCounters, WebCrypto, WorkerClock, WorkerEntropy, WorkerFetch,
    WorkerSecrets, WorkerTelemetry,
};
use crate::{certificate, platform};

/// The ports for one request, with the bindings in its `env`.
#[derive(Clone, Debug)]
pub struct CloudflareHost(Rc<Ports>);

#[derive(Debug)]
struct Ports {
    clock: WorkerClock,
    entropy: WorkerEntropy,
    records: KvRecords,
    counters: ObjectCounters,
    response_cache: NearCache<CacheApi, WorkerClock>,
    fetch: WorkerFetch,
    upstream: FetchUpstream,
    secrets: WorkerSecrets,
    telemetry_sink: WorkerTelemetry,
    /// That of the request's exchange.
    lifetime: Option<Lifetime>,
}

/// What the ports of all requests of an isolate share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared {
    /// The metrics, if the operator endpoint is on.
    pub(crate) counts: Option<Rc<RefCell<Metrics>>>,
    /// Its copies of stored responses.
    pub(crate) near: Rc<NearResponses>,
}

impl CloudflareHost {
    /// The ports outside of a request, whose stored keys begin with the gateway's name.
    #[must_use]
    pub fn new(env: &Env, gateway: &str) -> Self {
        Self::of_request(env, &gateway.into(), Shared::default(), None)
    }

    /// The ports of one request.
    pub(crate) fn of_request(env: &Env, gateway: &Rc<str>, shared: Shared, lifetime: Option<Lifetime>) -> Self {
        let env = Rc::new(env.clone());
        Self(Rc::new(Ports {
            clock: WorkerClock,
            entropy: WorkerEntropy,
            records: KvRecords(Rc::clone(&env)),
            counters: ObjectCounters { env: Rc::clone(&env), gateway: Rc::clone(gateway) },
            response_cache: NearCache::new(CacheApi { gateway: Rc::clone(gateway) }, WorkerClock, shared.near),
            fetch: WorkerFetch,
            upstream: FetchUpstream(Rc::clone(&env)),
            secrets: WorkerSecrets(env),
            telemetry_sink: WorkerTelemetry { counts: shared.counts },
            lifetime,
        }))
    }
}

impl Host for CloudflareHost {
    type Content = WorkerContent;
    type Clock = WorkerClock;
    type Entropy = WorkerEntropy;
    type Records = KvRecords;
    type Counters = ObjectCounters;
    type ResponseCache = NearCache<CacheApi, WorkerClock>;
    type Fetch = WorkerFetch;
    type Upstream = FetchUpstream;
    type Secrets = WorkerSecrets;
    type Signatures = WebCrypto;
    type TelemetrySink = WorkerTelemetry;

    fn clock(&self) -> &WorkerClock {
        &self.0.clock
    }

    fn entropy(&self) -> &WorkerEntropy {
        &self.0.entropy
    }

    fn records(&self) -> &KvRecords {
        &self.0.records
    }

    fn counters(&self) -> &ObjectCounters {
        &self.0.counters
    }

    fn response_cache(&self) -> &NearCache<CacheApi, WorkerClock> {
        &self.0.response_cache
    }

    fn fetch(&self) -> &WorkerFetch {
        &self.0.fetch
    }

    fn upstream(&self) -> &FetchUpstream {
        &self.0.upstream
    }

    fn secrets(&self) -> &WorkerSecrets {
        &self.0.secrets
    }

    fn signatures(&self) -> &WebCrypto {
        &WebCrypto
    }

    fn telemetry_sink(&self) -> &WorkerTelemetry {
        &self.0.telemetry_sink
    }

    fn client_certificate(&self, content: &WorkerContent) -> Rc<PeerCertificate> {
        let said = content.request().and_then(|(request, _)| platform::client_certificate(&request));
        said.map(|said| Rc::new(certificate::read(&said))).unwrap_or_default()
    }

    fn client_location(&self, content: &WorkerContent) -> Location {
        let said = content.request().and_then(|(request, _)| platform::client_location(&request));
        let said = said.as_deref().and_then(|said| said.split_once(' '));
        said.map(|(country, asn)| Location::new(country, asn)).unwrap_or_default()
    }

    fn joins_lines(&self) -> bool {
        true
    }

    fn run_to_end(&self) {
        if let Some(lifetime) = &self.0.lifetime {
            lifetime.extend();
        }
    }
}
