use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use bytes::Bytes;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::secret::Secret;
use tollgate_core::time::MonotonicInstant;
use tollgate_kv_schemas::{Bundle, Publication};

use super::{Content, Copy, Fault, VirtualClock};
use crate::ports::{Clock, Content as _, KeyPage, Records, ResponseCache, Secrets, Stored, Unavailable, WriteFault};

/// Records in memory. Records that the gateway writes have an expiry, and one write per second for each key, like
/// Workers KV.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords {
    records: Rc<RefCell<HashMap<String, Vec<u8>>>>,
    written: Rc<RefCell<HashMap<String, Written>>>,
    /// When each record that an operator keeps was last written.
    kept: Rc<RefCell<HashMap<String, MonotonicInstant>>>,
    clock: VirtualClock,
    /// The records to read if `records` has none under the key.
    base: Rc<HashMap<String, Vec<u8>>>,
    /// The generation that was published last.
    generation: Rc<Cell<u64>>,
    /// How many records were kept.
    pub keeps: Rc<Cell<u64>>,
    /// Makes reading and writing fail.
    pub fault: Fault,
    /// Makes reading eventually consistent.
    pub memory: ReadMemory,
    late: Rc<RefCell<HashMap<String, u64>>>,
}

/// The read cache of an eventually consistent store. While it is on, the first result of reading a key, a value or a
/// miss, is returned until it is forgotten. Workers KV does this for up to a minute.
#[derive(Clone, Debug, Default)]
pub struct ReadMemory(Rc<RefCell<Option<Remembered>>>);

/// The cached results.
type Remembered = HashMap<String, Option<Vec<u8>>>;

impl ReadMemory {
    /// Turns it on, empty, or off.
    pub fn set(&self, on: bool) {
        self.0.replace(on.then(HashMap::new));
    }

    /// Clears it: the next read of each key returns the stored value.
    pub fn forget(&self) {
        self.0.borrow_mut().iter_mut().for_each(HashMap::clear);
    }

    fn answer(&self, key: &str, stored: Option<Vec<u8>>) -> Option<Vec<u8>> {
        match &mut *self.0.borrow_mut() {
            Some(remembered) => remembered.entry(key.to_owned()).or_insert(stored).clone(),
            None => stored,
        }
    }
}

/// A record that the gateway wrote.
#[derive(Debug)]
struct Written {
    bytes: Vec<u8>,
    // By the store's own clock, which is independent of the gateway's and does not step back with it.
    at: MonotonicInstant,
    until: MonotonicInstant,
}

impl MemoryRecords {
    /// An empty store with this clock.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// The same store with these initial records; several stores can share them, and writes to one store are not
    /// visible in the others.
    #[must_use]
    pub fn over(self, base: Rc<HashMap<String, Vec<u8>>>) -> Self {
        Self { base, ..self }
    }

    /// Writes a record.
    pub fn put(&self, key: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.records.borrow_mut().insert(key.into(), value.into());
    }

    /// Publishes a bundle as the next generation.
    ///
    /// A pointer that cannot be read is replaced, with the generation after the last one published here.
    pub fn publish(&self, bundle: &Bundle) {
        let key = bundle.pointer_key();
        let stored = self.stored(&key);
        let publication = Publication::begin(bundle, stored.as_deref())
            .or_else(|_| Publication::replacing(bundle, self.generation.get()))
            .expect("generations are published here one by one, so they do not become too large");
        publication.content().iter().for_each(|(key, value)| self.put(key.clone(), value.clone()));
        // There is no other publisher, so the pointer has not changed.
        if let Ok(pointer) = publication.pointer(stored.as_deref()) {
            self.put(key, pointer);
        }
        self.generation.set(publication.generation());
    }

    /// Answers reads of this record so many milliseconds late, with what was stored when they were asked.
    pub fn delay(&self, key: impl Into<String>, ms: u64) {
        self.late.borrow_mut().insert(key.into(), ms);
    }

    fn stored(&self, key: &str) -> Option<Vec<u8>> {
        self.records.borrow().get(key).or_else(|| self.base.get(key)).cloned()
    }

    /// Removes a written record; initial records remain.
    pub fn remove(&self, key: &str) {
        self.records.borrow_mut().remove(key);
    }
}

impl Records for MemoryRecords {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        self.fault.check("the record store")?;
        let now = self.clock.instant();
        let written = self.written.borrow().get(key).filter(|written| now < written.until).map(|w| w.bytes.clone());
        let answer = self.memory.answer(key, written.or_else(|| self.stored(key)));
        let late_ms = self.late.borrow().get(key).copied();
        if let Some(ms) = late_ms {
            self.clock.sleep(ms).await;
        }
        Ok(answer)
    }

    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
        WriteFault::check(key, bytes)?;
        self.fault.check("the record store")?;
        let (now, mut written) = (self.clock.instant(), self.written.borrow_mut());
        if written.get(key).is_some_and(|last| now.millis_since(last.at) < WRITE_INTERVAL_MS) {
            return Err(WriteFault::TooOften);
        }
        let until = now.plus_millis(u64::from(keep_s).saturating_mul(1_000));
        written.insert(key.to_owned(), Written { bytes: bytes.to_vec(), at: now, until });
        Ok(())
    }

    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), WriteFault> {
        WriteFault::check_kept(key, bytes)?;
        self.fault.check("the record store")?;
        let (now, mut kept) = (self.clock.instant(), self.kept.borrow_mut());
        if kept.get(key).is_some_and(|last| now.millis_since(*last) < WRITE_INTERVAL_MS) {
            return Err(WriteFault::TooOften);
        }
        kept.insert(key.to_owned(), now);
        self.keeps.set(self.keeps.get() + 1);
        self.put(key, bytes);
        Ok(())
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable> {
        self.fault.check("the record store")?;
        let (records, written) = (self.records.borrow(), self.written.borrow());
        let all = records.keys().chain(self.base.keys()).chain(written.keys());
        let is_next = |key: &&String| key.starts_with(prefix) && cursor.is_none_or(|last| key.as_str() > last);
        let next: BTreeSet<&String> = all.filter(is_next).collect();
        Ok(KeyPage::cut(next.into_iter().take(max + 1).cloned().collect(), max))
    }
}

/// How long Workers KV asks to wait between two writes of a key.
const WRITE_INTERVAL_MS: u64 = 1_000;

/// Stored responses in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryCache {
    entries: Rc<RefCell<HashMap<CacheKey, (StoredMeta, Bytes)>>>,
    clock: VirtualClock,
    /// Makes looking up and storing fail.
    pub fault: Fault,
    /// How long storing takes: the copy is complete long after the reply, and others are stored meanwhile.
    pub delay_ms: Rc<Cell<u64>>,
}

impl MemoryCache {
    /// An empty store with this clock.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// How many entries are stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Whether nothing is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl ResponseCache for MemoryCache {
    type Content = Content;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<Content>>, Unavailable> {
        self.fault.check("the response cache")?;
        let found = self.entries.borrow().get(key).cloned();
        Ok(found.map(|(meta, bytes)| Stored { meta, content: Content::from_bytes(bytes) }))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<Copy>) -> Result<(), Unavailable> {
        self.fault.check("the response cache")?;
        let bytes = match content {
            None => Bytes::new(),
            Some(Copy(Some(bytes))) => bytes,
            Some(Copy(None)) => return Ok(()),
        };
        let delay_ms = self.delay_ms.get();
        if delay_ms > 0 {
            self.clock.sleep(delay_ms).await;
        }
        let mut entries = self.entries.borrow_mut();
        let stored = entries.get(key).map(|(stored, _)| stored);
        if meta.may_replace(stored, self.clock.now()) && meta.is_length_of_content(bytes.len() as u64) {
            entries.insert(key.clone(), (meta.clone(), bytes));
        }
        Ok(())
    }

    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        self.fault.check("the response cache")?;
        if let Some((meta, _)) = self.entries.borrow_mut().get_mut(key).filter(|(meta, _)| meta == confirmed) {
            meta.clone_from(renewed);
        }
        Ok(())
    }
}

/// Secrets in memory.
#[derive(Clone, Debug, Default)]
pub struct MemorySecrets {
    secrets: Rc<RefCell<HashMap<String, Secret>>>,
    clock: VirtualClock,
    late_ms: Rc<Cell<u64>>,
    /// Makes reading fail.
    pub fault: Fault,
}

impl MemorySecrets {
    /// No secrets, with this clock.
    #[must_use]
    pub fn new(clock: VirtualClock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Answers reads so many milliseconds late, with what was stored when they were asked.
    pub fn delay(&self, ms: u64) {
        self.late_ms.set(ms);
    }

    /// Withdraws a secret.
    pub fn remove(&self, name: &str) {
        self.secrets.borrow_mut().remove(name);
    }

    /// Sets a secret.
    pub fn put(&self, name: impl Into<String>, value: impl Into<String>) {
        self.secrets.borrow_mut().insert(name.into(), Secret::new(value.into()));
    }
}

impl Secrets for MemorySecrets {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, Unavailable> {
        self.fault.check("the secret store")?;
        let found = self.secrets.borrow().get(name).cloned();
        let late_ms = self.late_ms.get();
        if late_ms > 0 {
            self.clock.sleep(late_ms).await;
        }
        Ok(found)
    }
}
