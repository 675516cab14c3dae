//! All ports of one instance, and the implementation of the small ones.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Uri};
use spin_sdk::variables;
use spin_sdk::wasip3::random::random::get_random_bytes;
use tollgate_core::fetch::{FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::forward::Outbound;
use tollgate_core::jose::{SignatureCheck, SigningKey};
use tollgate_core::operator::{MetricsScope, MetricsSnapshot};
use tollgate_core::secret::Secret;
use tollgate_core::telemetry::{ExchangeRecord, Metrics};
use tollgate_edge::NearCache;
use tollgate_edge::ports::{
    Content, Entropy, Fetch, Host, Secrets, Signatures, TelemetrySink, Unavailable, Upstream, UpstreamCall, fetch_over,
};
use wasip2::cli::stdout::{OutputStream, get_stdout};

use crate::blocking::BlockingStore;
use crate::clock::SpinClock;
use crate::content::SpinContent;
use crate::counters::{ChosenCounters, RedisCounters, SpinCounters};
use crate::store::{SpinRecords, SpinResponseCache};
use crate::upstream::SpinUpstream;

/// The ports of one component instance; clones share them.
#[derive(Clone)]
pub struct SpinHost(Rc<Ports>);

struct Ports {
    store: BlockingStore,
    clock: SpinClock,
    entropy: SpinEntropy,
    records: SpinRecords,
    counters: ChosenCounters,
    cache: NearCache<SpinResponseCache, SpinClock>,
    fetch: SpinFetch,
    upstream: SpinUpstream,
    secrets: SpinSecrets,
    sink: SpinTelemetrySink,
}

impl SpinHost {
    /// Creates ports whose stored keys begin with the gateway's name; `counts` says whether exchanges are counted, `redis` is the
    /// address of the server that keeps counters, if it is not the key-value store.
    pub fn new(gateway: &str, counts: bool, redis: Option<&str>) -> Self {
        let store = BlockingStore::default();
        let counters = match redis {
            Some(address) => ChosenCounters::Redis(Box::new(RedisCounters::new(gateway, address))),
            None => ChosenCounters::KeyValue(SpinCounters::new(gateway, store.clone())),
        };
        Self(Rc::new(Ports {
            clock: SpinClock,
            entropy: SpinEntropy::default(),
            records: SpinRecords::new(store.clone()),
            counters,
            cache: NearCache::new(SpinResponseCache::new(gateway, store.clone()), SpinClock, Rc::default()),
            fetch: SpinFetch,
            upstream: SpinUpstream,
            secrets: SpinSecrets,
            sink: SpinTelemetrySink { counts: counts.then(RefCell::default), output: OnceCell::new() },
            store,
        }))
    }

    /// The number of calls to the store that requests of this instance have made.
    pub(crate) fn store_calls(&self) -> u64 {
        self.0.store.calls()
    }
}

impl Host for SpinHost {
    type Content = SpinContent;
    type Clock = SpinClock;
    type Entropy = SpinEntropy;
    type Records = SpinRecords;
    type Counters = ChosenCounters;
    type ResponseCache = NearCache<SpinResponseCache, SpinClock>;
    type Fetch = SpinFetch;
    type Upstream = SpinUpstream;
    type Secrets = SpinSecrets;
    type Signatures = SpinSignatures;
    type TelemetrySink = SpinTelemetrySink;

    fn clock(&self) -> &SpinClock {
        &self.0.clock
    }
    fn entropy(&self) -> &SpinEntropy {
        &self.0.entropy
    }
    fn records(&self) -> &SpinRecords {
        &self.0.records
    }
    fn counters(&self) -> &ChosenCounters {
        &self.0.counters
    }
    fn response_cache(&self) -> &NearCache<SpinResponseCache, SpinClock> {
        &self.0.cache
    }
    fn fetch(&self) -> &SpinFetch {
        &self.0.fetch
    }
    fn upstream(&self) -> &SpinUpstream {
        &self.0.upstream
    }
    fn secrets(&self) -> &SpinSecrets {
        &self.0.secrets
    }
    fn signatures(&self) -> &SpinSignatures {
        &SpinSignatures
    }
    fn telemetry_sink(&self) -> &SpinTelemetrySink {
        &self.0.sink
    }
}

/// The host's random bytes, read in blocks: a request needs a few for its ids. Bytes are returned once.
#[derive(Default)]
pub struct SpinEntropy(RefCell<Vec<u8>>);

/// The ids of 20 requests; most instances serve more.
const BLOCK_BYTES: u64 = 1024;

impl Entropy for SpinEntropy {
    fn fill(&self, mut buffer: &mut [u8]) {
        let mut block = self.0.borrow_mut();
        while !buffer.is_empty() {
            if block.is_empty() {
                // The host may return fewer bytes than requested, but at least one.
                *block = get_random_bytes(BLOCK_BYTES);
            }
            let (filled, rest) = buffer.split_at_mut(block.len().min(buffer.len()));
            let left = block.len() - filled.len();
            filled.copy_from_slice(&block.split_off(left));
            buffer = rest;
        }
    }
}

/// Signatures, in software: the host offers none.
pub struct SpinSignatures;

impl Signatures for SpinSignatures {
    async fn verifies(&self, check: &SignatureCheck<'_>) -> Result<bool, Unavailable> {
        Ok(tollgate_signatures::verifies(check))
    }

    async fn signs(&self, key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Unavailable> {
        tollgate_signatures::sign(key, message).ok_or_else(|| Unavailable::new("the private key cannot be used"))
    }

    async fn seals(&self, key: &[u8; 32], nonce: &[u8; 12], content: &[u8]) -> Result<Vec<u8>, Unavailable> {
        tollgate_signatures::seal(key, nonce, content).ok_or_else(|| Unavailable::new("the content is too long"))
    }

    const HASHES_PASSWORDS: bool = true;

    /// A component has one thread: the other requests of the instance wait.
    async fn is_password(&self, hash: &str, password: &str) -> Result<bool, Unavailable> {
        Ok(tollgate_signatures::is_password(hash, password))
    }

    async fn opens(&self, key: &[u8; 32], nonce: &[u8; 12], sealed: &[u8]) -> Result<Option<Vec<u8>>, Unavailable> {
        Ok(tollgate_signatures::open(key, nonce, sealed))
    }
}

/// Requests that the gateway itself makes, over outbound HTTP.
///
/// Spin resolves names, so only `allowed_outbound_hosts` in spin.toml prevents access to a name with an internal
/// address.
pub struct SpinFetch;

impl Fetch for SpinFetch {
    async fn fetch(&self, request: &FetchRequest, bounds: &FetchBounds) -> Result<FetchAnswer, FetchError> {
        Box::pin(fetch_over(&SpinUpstream, &SpinClock, request, bounds)).await
    }
}

/// Secrets from the component's variables: `PETS_TOKEN` is the variable `pets_token`.
pub struct SpinSecrets;

impl Secrets for SpinSecrets {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        match variables::get(name.to_ascii_lowercase()).await {
            Ok(value) => Ok(Some(Secret::new(value))),
            Err(variables::Error::Undefined(_) | variables::Error::InvalidName(_)) => Ok(None),
            // The provider's own text may reveal where the secret is stored, so it is omitted.
            Err(variables::Error::Provider(_) | variables::Error::Other(_)) => {
                Err(Unavailable::new("secrets: the variable provider failed"))
            }
        }
    }
}

/// The component's standard output, which Spin writes to its logs, and outbound HTTP for batches.
///
/// Each instance counts separately, and only if the operator endpoint can be asked; it lives for seconds, so use OTLP
/// for all instances.
pub struct SpinTelemetrySink {
    counts: Option<RefCell<Metrics>>,
    output: OnceCell<OutputStream>,
}

/// Timeout of one export.
const EXPORT_TIMEOUT_MS: u64 = 10_000;

/// The interface takes so much at once.
const WRITE_BYTES_MAX: usize = 4096;

impl TelemetrySink for SpinTelemetrySink {
    /// One call of the host for each line, where `println!` makes three. It waits until the host has taken the line: that of an
    /// instance's last request would be lost otherwise.
    fn log(&self, line: &str) {
        let output = self.output.get_or_init(get_stdout);
        let line = format!("{line}\n");
        // There is nobody to tell if the host takes no more.
        let _ = line.as_bytes().chunks(WRITE_BYTES_MAX).try_for_each(|part| output.blocking_write_and_flush(part));
    }

    fn record(&self, record: &ExchangeRecord) {
        if let Some(counts) = &self.counts {
            counts.borrow_mut().observe(record);
        }
    }

    fn counted(&self) -> MetricsSnapshot {
        let metrics = self.counts.as_ref().map(|counts| counts.borrow().clone()).unwrap_or_default();
        MetricsSnapshot { scope: MetricsScope::Isolate, metrics, gauges: Vec::new() }
    }

    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable> {
        let request = Outbound::new(&Method::POST, endpoint.clone(), &fields, true);
        let content = SpinContent::from_bytes(Bytes::from(content));
        let call = UpstreamCall {
            connect_timeout_ms: EXPORT_TIMEOUT_MS,
            timeout_ms: Some(EXPORT_TIMEOUT_MS),
            certificate: None,
            runs_to_end: false,
        };
        match SpinUpstream.send(&request, content, &call).await {
            Ok(response) => Ok(response.status()),
            Err(error) => Err(Unavailable::new(format!("telemetry: {error}"))),
        }
    }
}
