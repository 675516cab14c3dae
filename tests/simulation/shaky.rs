//! Reference ports with random delays and failures.

use http::{HeaderMap, StatusCode, Uri};
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::cell::{CellKey, Outcome, Update};
use tollgate_core::operator::MetricsSnapshot;
use tollgate_core::secret::Secret;
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{
    Content, Copy, MemoryCache, MemoryCounters, MemoryHost, MemoryRecords, MemorySecrets, MemorySignatures, MemorySink,
    ScriptedFetch, ScriptedUpstream, SeededEntropy, VirtualClock,
};
use tollgate_edge::ports::{
    Clock, CounterFault, Counters, Host, KeyPage, Records, ResponseCache, Secrets, Stored, TelemetrySink, Unavailable,
    WriteFault,
};

use crate::dice::Dice;

/// A port with delays and failures.
#[derive(Clone, Debug)]
pub(crate) struct Shaky<P> {
    pub(crate) port: P,
    trouble: Trouble,
}

/// The delays and failures of a store.
#[derive(Clone, Debug)]
struct Trouble {
    clock: VirtualClock,
    dice: Dice,
    fails_percent: u64,
}

impl Trouble {
    /// Waits for a random time, which sometimes exceeds all timeouts of stores.
    async fn wait(&self) {
        let ms = if self.fails_percent > 0 && self.dice.percent(2) { 60_000 } else { self.dice.below(12) };
        if ms > 0 {
            self.clock.sleep(ms).await;
        }
    }

    /// Every other time, the answer before the wait: what was true when it was asked for. So answers overtake each other,
    /// and the last one to arrive is not always the newest.
    async fn early<T>(&self, answer: impl Future<Output = T>) -> Option<T> {
        if self.dice.percent(50) { Some(answer.await) } else { None }
    }

    fn strike(&self) -> Result<(), Unavailable> {
        if self.dice.percent(self.fails_percent) { Err(Unavailable::new("failed by the simulation")) } else { Ok(()) }
    }
}

/// All ports of one host.
#[derive(Clone, Debug)]
pub(crate) struct ShakyHost {
    pub(crate) inner: MemoryHost,
    records: Shaky<MemoryRecords>,
    counters: Shaky<MemoryCounters>,
    cache: Shaky<MemoryCache>,
    secrets: Shaky<MemorySecrets>,
    sink: Shaky<MemorySink>,
}

impl ShakyHost {
    pub(crate) fn new(inner: MemoryHost, dice: &Dice, fails_percent: u64) -> Self {
        let trouble = Trouble { clock: inner.clock.clone(), dice: dice.clone(), fails_percent };
        Self {
            records: Shaky { port: inner.records.clone(), trouble: trouble.clone() },
            counters: Shaky { port: inner.counters.clone(), trouble: trouble.clone() },
            cache: Shaky { port: inner.cache.clone(), trouble: trouble.clone() },
            secrets: Shaky { port: inner.secrets.clone(), trouble: trouble.clone() },
            sink: Shaky { port: inner.sink.clone(), trouble },
            inner,
        }
    }
}

impl Records for Shaky<MemoryRecords> {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let early = self.trouble.early(self.port.read(key)).await;
        self.trouble.wait().await;
        self.trouble.strike()?;
        match early {
            Some(answer) => answer,
            None => self.port.read(key).await,
        }
    }

    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
        self.trouble.wait().await;
        self.trouble.strike()?;
        let written = self.port.write(key, bytes, keep_s).await;
        // It was written, and the answer is lost.
        self.trouble.strike()?;
        written
    }

    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), WriteFault> {
        self.trouble.wait().await;
        self.trouble.strike()?;
        self.port.keep(key, bytes).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable> {
        self.trouble.wait().await;
        self.trouble.strike()?;
        self.port.list(prefix, cursor, max).await
    }
}

impl Counters for Shaky<MemoryCounters> {
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        self.port.same_owner(one, other)
    }

    fn is_near(&self) -> bool {
        self.port.is_near()
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        self.trouble.wait().await;
        self.trouble.strike()?;
        let outcome = self.port.update(update, now).await;
        // The change was made, and the answer is lost.
        self.trouble.wait().await;
        self.trouble.strike()?;
        outcome
    }
}

impl ResponseCache for Shaky<MemoryCache> {
    type Content = Content;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<Content>>, Unavailable> {
        let early = self.trouble.early(self.port.look_up(key)).await;
        self.trouble.wait().await;
        self.trouble.strike()?;
        if let Some(answer) = early {
            return answer;
        }
        // A store may lose anything at any time.
        if self.trouble.fails_percent > 0 && self.trouble.dice.percent(5) {
            return Ok(None);
        }
        self.port.look_up(key).await
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<Copy>) -> Result<(), Unavailable> {
        self.trouble.wait().await;
        self.trouble.strike()?;
        // The work after the reply may be ended before the copy is complete.
        if content.is_some() && self.trouble.fails_percent > 0 && self.trouble.dice.percent(5) {
            return Ok(());
        }
        self.port.store(key, meta, content).await
    }

    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        self.trouble.wait().await;
        self.trouble.strike()?;
        self.port.touch(key, confirmed, renewed).await
    }
}

impl Secrets for Shaky<MemorySecrets> {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        let early = self.trouble.early(self.port.secret(name)).await;
        self.trouble.wait().await;
        self.trouble.strike()?;
        match early {
            Some(answer) => answer,
            None => self.port.secret(name).await,
        }
    }
}

impl TelemetrySink for Shaky<MemorySink> {
    fn log(&self, line: &str) {
        self.port.log(line);
    }

    fn record(&self, record: &ExchangeRecord) {
        self.port.record(record);
    }

    fn counted(&self) -> MetricsSnapshot {
        self.port.counted()
    }

    async fn post(&self, endpoint: &Uri, fields: HeaderMap, content: Vec<u8>) -> Result<StatusCode, Unavailable> {
        self.trouble.wait().await;
        self.trouble.strike()?;
        self.port.post(endpoint, fields, content).await
    }
}

impl Host for ShakyHost {
    type Content = Content;
    type Clock = VirtualClock;
    type Entropy = SeededEntropy;
    type Records = Shaky<MemoryRecords>;
    type Counters = Shaky<MemoryCounters>;
    type ResponseCache = Shaky<MemoryCache>;
    type Fetch = ScriptedFetch;
    type Upstream = ScriptedUpstream;
    type Secrets = Shaky<MemorySecrets>;
    type Signatures = MemorySignatures;
    type TelemetrySink = Shaky<MemorySink>;

    fn clock(&self) -> &VirtualClock {
        &self.inner.clock
    }
    fn entropy(&self) -> &SeededEntropy {
        &self.inner.entropy
    }
    fn records(&self) -> &Shaky<MemoryRecords> {
        &self.records
    }
    fn counters(&self) -> &Shaky<MemoryCounters> {
        &self.counters
    }
    fn response_cache(&self) -> &Shaky<MemoryCache> {
        &self.cache
    }
    fn fetch(&self) -> &ScriptedFetch {
        &self.inner.fetch
    }
    fn upstream(&self) -> &ScriptedUpstream {
        &self.inner.upstream
    }
    fn secrets(&self) -> &Shaky<MemorySecrets> {
        &self.secrets
    }
    fn signatures(&self) -> &MemorySignatures {
        &self.inner.signatures
    }
    fn telemetry_sink(&self) -> &Shaky<MemorySink> {
        &self.sink
    }
}
