//! In-memory ports that count every call, with faults that cause the maximum of calls.

use std::cell::{Cell, RefCell};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use http::{HeaderMap, Response, StatusCode, Uri};
use tollgate_analysis::bounds::Usage;
use tollgate_core::bounds::CONFIG_FRESH_MS;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::cell::{CellKey, CellOperations, Operation, Outcome, Update};
use tollgate_core::fetch::{FetchAnswer, FetchBounds, FetchError, FetchRequest};
use tollgate_core::forward::{Outbound, UpstreamError};
use tollgate_core::operator::MetricsSnapshot;
use tollgate_core::secret::Secret;
use tollgate_core::telemetry::ExchangeRecord;
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::{Content, Copy, MemoryHost, MemorySignatures, SeededEntropy, VirtualClock};
use tollgate_edge::ports::{
    CounterFault, Counters, Fetch, Host, KeyPage, Records, ResponseCache, Secrets, Stored, TelemetrySink, Unavailable,
    Upstream, UpstreamCall, WriteFault,
};

/// A key and its value.
type Record = (String, Vec<u8>);

/// All ports; calls are counted in `usage`.
#[derive(Clone)]
pub(crate) struct CountingHost {
    pub(crate) inner: MemoryHost,
    pub(crate) usage: Rc<Cell<Usage>>,
    /// Whether credentials cannot be read.
    pub(crate) credentials_unavailable: bool,
    /// Whether records cannot be written.
    pub(crate) writes_fail: bool,
    /// Whether counters do not confirm the charges that they hold.
    pub(crate) confirmations_fail: bool,
    /// A bundle that is published while the first request loads its own; its pointer's key and value.
    pub(crate) publishes: Rc<RefCell<Option<Record>>>,
}

impl CountingHost {
    pub(crate) fn new(inner: MemoryHost) -> Self {
        let usage = Rc::default();
        let publishes = Rc::default();
        let (credentials_unavailable, writes_fail, confirmations_fail) = (false, false, false);
        Self { inner, usage, credentials_unavailable, writes_fail, confirmations_fail, publishes }
    }

    /// The same stores with a new count.
    pub(crate) fn with_new_count(&self) -> Self {
        Self { usage: Rc::default(), ..self.clone() }
    }

    fn add(&self, usage: Usage) {
        self.usage.set(self.usage.get().plus(usage));
    }
}

impl Records for CountingHost {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        // Like a real store: the result is not available immediately, so parallel reads overlap.
        once().await;
        let value = self.inner.records.read(key).await?;
        let is_first_of_bundle = key.contains(":part:") || self.publishes.borrow().is_some();
        let is_bundle = [":part:", ":manifest:", ":config:"].iter().any(|kind| key.contains(kind));
        let bundle_bytes = value.as_ref().filter(|_| is_bundle && is_first_of_bundle).map_or(0, Vec::len) as u64;
        self.add(Usage { record_reads: 1, bundle_bytes, ..Usage::default() });
        if key.contains(":manifest:")
            && let Some((key, value)) = self.publishes.take()
        {
            self.inner.records.put(key, value);
            // The configuration is read again after a reply only if it is not fresh any more.
            self.inner.clock.advance(CONFIG_FRESH_MS);
        }
        if self.credentials_unavailable && key.contains(":credential:") {
            return Err(Unavailable::new("unavailable"));
        }
        Ok(value)
    }

    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
        self.add(Usage { record_writes: 1, ..Usage::default() });
        if self.writes_fail {
            return Err(WriteFault::Unavailable(Unavailable::new("unavailable")));
        }
        self.inner.records.write(key, bytes, keep_s).await
    }

    // When a key was last used: once a day, which is in no bound.

    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), WriteFault> {
        self.inner.records.keep(key, bytes).await
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable> {
        self.inner.records.list(prefix, cursor, max).await
    }
}

impl Counters for CountingHost {
    /// Each cell has a separate owner, as on the platform with limits for calls.
    fn same_owner(&self, one: &CellKey, other: &CellKey) -> bool {
        one == other
    }

    async fn update(&self, update: &Update, now: Timestamp) -> Result<Outcome, CounterFault> {
        self.add(Usage { counter_calls: 1, ..Usage::default() });
        let confirms = |part: &CellOperations| part.operations.contains(&Operation::Confirm);
        if self.confirmations_fail && update.cells.iter().any(confirms) {
            return Err(CounterFault::Contended);
        }
        self.inner.counters.update(update, now).await
    }
}

impl ResponseCache for CountingHost {
    type Content = Content;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<Content>>, Unavailable> {
        let found = self.inner.cache.look_up(key).await?;
        let found_bytes = found.as_ref().map_or(0, |stored| stored.content.bytes().len()) as u64;
        self.add(Usage { cache_look_ups: 1, found_bytes, ..Usage::default() });
        Ok(found)
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<Copy>) -> Result<(), Unavailable> {
        self.inner.cache.store(key, meta, content).await?;
        let stored = self.inner.cache.look_up(key).await?;
        let copied_bytes = stored.map_or(0, |stored| stored.content.bytes().len()) as u64;
        self.add(Usage { cache_stores: 1, copied_bytes, ..Usage::default() });
        Ok(())
    }

    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        self.inner.cache.touch(key, confirmed, renewed).await?;
        // As on platforms where metadata cannot be changed separately: the content is written again.
        let stored = self.inner.cache.look_up(key).await?;
        let copied_bytes = stored.map_or(0, |stored| stored.content.bytes().len()) as u64;
        self.add(Usage { cache_stores: 1, copied_bytes, ..Usage::default() });
        Ok(())
    }
}

impl Fetch for CountingHost {
    async fn fetch(&self, request: &FetchRequest, bounds: &FetchBounds) -> Result<FetchAnswer, FetchError> {
        self.add(Usage { fetches: 1, ..Usage::default() });
        self.inner.fetch.fetch(request, bounds).await
    }
}

impl Upstream for CountingHost {
    type Content = Content;

    async fn send(
        &self,
        request: &Outbound<'_>,
        content: Content,
        call: &UpstreamCall<'_>,
    ) -> Result<Response<Content>, UpstreamError> {
        self.add(Usage { upstream_attempts: 1, ..Usage::default() });
        self.inner.upstream.send(request, content, call).await
    }
}

impl Secrets for CountingHost {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        self.add(Usage { secret_reads: 1, ..Usage::default() });
        self.inner.secrets.secret(name).await
    }
}

impl TelemetrySink for CountingHost {
    fn log(&self, _: &str) {}

    fn record(&self, _: &ExchangeRecord) {}

    fn counted(&self) -> MetricsSnapshot {
        self.inner.sink.counted()
    }

    async fn post(&self, _: &Uri, _: HeaderMap, _: Vec<u8>) -> Result<StatusCode, Unavailable> {
        self.add(Usage { export_posts: 1, ..Usage::default() });
        Ok(StatusCode::SERVICE_UNAVAILABLE)
    }
}

impl Host for CountingHost {
    type Content = Content;
    type Clock = VirtualClock;
    type Entropy = SeededEntropy;
    type Records = Self;
    type Counters = Self;
    type ResponseCache = Self;
    type Fetch = Self;
    type Upstream = Self;
    type Secrets = Self;
    type Signatures = MemorySignatures;
    type TelemetrySink = Self;

    fn clock(&self) -> &VirtualClock {
        &self.inner.clock
    }
    fn entropy(&self) -> &SeededEntropy {
        &self.inner.entropy
    }
    fn records(&self) -> &Self {
        self
    }
    fn counters(&self) -> &Self {
        self
    }
    fn response_cache(&self) -> &Self {
        self
    }
    fn fetch(&self) -> &Self {
        self
    }
    fn upstream(&self) -> &Self {
        self
    }
    fn secrets(&self) -> &Self {
        self
    }
    fn signatures(&self) -> &MemorySignatures {
        &self.inner.signatures
    }
    fn telemetry_sink(&self) -> &Self {
        self
    }
}

/// Runs a future to completion; the clock advances while it waits.
pub(crate) fn run<T>(clock: &VirtualClock, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = poll(future.as_mut()) {
            return done;
        }
        clock.advance(TICK_MS);
    }
}

/// Polls a future until it waits for the clock.
pub(crate) fn poll<T>(mut future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut context = Context::from_waker(&waker);
    while woken.0.swap(false, Ordering::Relaxed) {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Poll::Ready(done);
        }
    }
    Poll::Pending
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Pending once.
async fn once() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

const TICK_MS: u64 = 100;
