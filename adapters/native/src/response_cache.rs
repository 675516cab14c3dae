//! Stored responses in memory, shared by the isolates of one server.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Content, ResponseCache, Stored, Unavailable};

use crate::clock::SystemClock;
use crate::content::{ContentCopy, CopyBudget, NativeContent};
use crate::faults::{Faults, FaultyStore};

/// The response cache of one server, bounded in bytes and entries; clones are the same cache.
///
/// Recently used entries are kept: eviction gives each used entry a second chance. A look-up takes a shared lock of one
/// shard.
#[derive(Clone, Debug)]
pub struct NativeResponseCache {
    shards: Arc<[RwLock<Shard>]>,
    hasher: RandomState,
    copies: Arc<CopyBudget>,
    faults: Faults,
}

#[derive(Debug)]
struct Shard {
    entries: HashMap<CacheKey, Entry>,
    /// Keys in the order in which eviction visits them, with their entry's number; keys whose entry was removed are
    /// skipped.
    order: VecDeque<(CacheKey, u64)>,
    next_number: u64,
    bytes: usize,
    bytes_max: usize,
    entries_max: usize,
}

#[derive(Debug)]
struct Entry {
    meta: StoredMeta,
    content: Bytes,
    cost: usize,
    number: u64,
    used: AtomicBool,
}

impl NativeResponseCache {
    /// A cache of at most `bytes_max` bytes, including its overhead.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let shard = || Shard {
            entries: HashMap::new(),
            order: VecDeque::new(),
            next_number: 0,
            bytes: 0,
            bytes_max: bytes_max / SHARDS,
            entries_max: ENTRIES_MAX / SHARDS,
        };
        Self {
            shards: (0..SHARDS).map(|_| RwLock::new(shard())).collect(),
            hasher: RandomState::new(),
            copies: Arc::new(CopyBudget::new(bytes_max + bytes_max / COPIES_SHARE)),
            faults: Faults::default(),
        }
    }

    pub(crate) fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// The bytes that copies may hold: stored ones, and in addition those that are being collected or were evicted
    /// while they are sent.
    pub(crate) fn copies(&self) -> &Arc<CopyBudget> {
        &self.copies
    }

    /// Removes everything.
    pub fn clear(&self) {
        for shard in self.shards.iter() {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.entries.clear();
            shard.order.clear();
            shard.bytes = 0;
        }
    }

    /// The number of bytes and of entries.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.shards.iter().fold((0, 0), |(bytes, entries), shard| {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            (bytes + shard.bytes, entries + shard.entries.len())
        })
    }

    fn insert(&self, key: &CacheKey, meta: StoredMeta, content: Bytes, now: Timestamp) {
        let mut shard = self.shard(key).write().unwrap_or_else(PoisonError::into_inner);
        shard.insert(key, meta, content, now);
    }

    fn shard(&self, key: &CacheKey) -> &RwLock<Shard> {
        let index = self.hasher.hash_one(key) % SHARDS as u64;
        &self.shards[usize::try_from(index).unwrap_or(0)]
    }
}

impl ResponseCache for NativeResponseCache {
    type Content = NativeContent;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<NativeContent>>, Unavailable> {
        self.faults.check(FaultyStore::ResponseCache)?;
        let shard = self.shard(key).read().unwrap_or_else(PoisonError::into_inner);
        Ok(shard.entries.get(key).map(|entry| {
            entry.used.store(true, Ordering::Relaxed);
            Stored { meta: entry.meta.clone(), content: NativeContent::from_bytes(entry.content.clone()) }
        }))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<ContentCopy>) -> Result<(), Unavailable> {
        self.faults.check(FaultyStore::ResponseCache)?;
        let content = match content {
            None => Bytes::new(),
            Some(copy) => match copy.complete().await {
                Some(bytes) => bytes,
                None => return Ok(()),
            },
        };
        if meta.is_length_of_content(content.len() as u64) {
            self.insert(key, meta.clone(), content, SystemClock::now());
        }
        Ok(())
    }

    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        self.faults.check(FaultyStore::ResponseCache)?;
        let mut shard = self.shard(key).write().unwrap_or_else(PoisonError::into_inner);
        shard.touch(key, confirmed, renewed, SystemClock::now());
        Ok(())
    }
}

impl Shard {
    fn insert(&mut self, key: &CacheKey, meta: StoredMeta, content: Bytes, now: Timestamp) {
        if !meta.may_replace(self.entries.get(key).map(|entry| &entry.meta), now) {
            return;
        }
        self.remove(key);
        let cost = cost(&meta, &content);
        if cost > self.bytes_max {
            return;
        }
        while self.bytes + cost > self.bytes_max || self.entries.len() >= self.entries_max {
            if !self.evict_one(now) {
                return;
            }
        }
        self.next_number += 1;
        let entry = Entry { meta, content, cost, number: self.next_number, used: AtomicBool::new(false) };
        self.bytes += cost;
        self.order.push_back((key.clone(), entry.number));
        self.entries.insert(key.clone(), entry);
    }

    fn touch(&mut self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta, now: Timestamp) {
        let entry = self.entries.get(key).filter(|entry| entry.meta == *confirmed);
        if let Some(content) = entry.map(|entry| entry.content.clone()) {
            self.insert(key, renewed.clone(), content, now);
        }
    }

    fn remove(&mut self, key: &CacheKey) -> bool {
        let Some(entry) = self.entries.remove(key) else {
            return false;
        };
        self.bytes -= entry.cost;
        if self.order.len() > 2 * self.entries.len() + ORDER_SLACK {
            let entries = &self.entries;
            self.order.retain(|(key, number)| entries.get(key).is_some_and(|e| e.number == *number));
        }
        true
    }

    /// Visits entries in turn until one is evicted; `false` if there is none.
    fn evict_one(&mut self, now: Timestamp) -> bool {
        while let Some((key, number)) = self.order.pop_front() {
            let Some(entry) = self.entries.get(&key).filter(|e| e.number == number) else {
                continue;
            };
            if entry.used.swap(false, Ordering::Relaxed) && !entry.meta.is_gone(now) {
                self.order.push_back((key, number));
                continue;
            }
            self.bytes -= entry.cost;
            self.entries.remove(&key);
            return true;
        }
        false
    }
}

fn cost(meta: &StoredMeta, content: &Bytes) -> usize {
    let fields: usize = meta.fields.iter().map(|(name, value)| name.len() + value.len() + FIELD_BYTES).sum();
    content.len() + fields + ENTRY_BYTES
}

/// Few enough that one shard can hold a large response, and enough that isolates rarely use the same shard.
const SHARDS: usize = 8;

/// More small responses than fit into 64 MiB.
const ENTRIES_MAX: usize = 131_072;

/// The default bound: half of the memory of a small container.
pub(crate) const BYTES_MAX: usize = 64 * 1024 * 1024;

/// The bytes of copies that are not stored: a quarter of the cache, by default four responses of the largest size.
const COPIES_SHARE: usize = 4;

/// The overhead of an entry, without content and fields: two keys of 64 digits, the maps' slots, the metadata.
const ENTRY_BYTES: usize = 512;

/// How many keys of removed entries the order may hold in addition to the number of entries.
const ORDER_SLACK: usize = 64;

/// The headers of two strings and the overhead of their allocations.
const FIELD_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> CacheKey {
        CacheKey::parse(&format!("{n:064x}")).unwrap()
    }

    fn meta() -> StoredMeta {
        StoredMeta {
            v: StoredMeta::VERSION,
            status: 200,
            fields: vec![("content-type".into(), "text/plain".into())],
            stored_at: Timestamp::from_millis(1_000),
            requested_at: Timestamp::from_millis(1_000),
            initial_age_ms: 0,
            fresh_ms: 60_000,
            keep_ms: 60_000,
            content_bytes: None,
            varies_on: None,
        }
    }

    fn insert(cache: &NativeResponseCache, n: usize, bytes: usize) {
        let now = Timestamp::from_millis(2_000);
        cache.insert(&key(n), meta(), Bytes::from(vec![b'x'; bytes]), now);
    }

    async fn holds(cache: &NativeResponseCache, n: usize) -> bool {
        cache.look_up(&key(n)).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn never_exceeds_its_bound_in_bytes() {
        let cache = NativeResponseCache::new(1024 * 1024);
        for n in 0..2_000 {
            insert(&cache, n, 4_000);
            assert!(cache.size().0 <= 1024 * 1024);
        }
        let (bytes, entries) = cache.size();
        assert!(bytes > 900_000 && entries > 190, "{bytes} {entries}");
        assert!(holds(&cache, 1_999).await && !holds(&cache, 0).await);
    }

    #[tokio::test]
    async fn used_entries_are_kept_longer_than_unused_ones() {
        let cache = NativeResponseCache::new(1024 * 1024);
        for n in 0..3_000 {
            insert(&cache, n, 4_000);
            assert!(holds(&cache, 0).await, "lost at {n}");
        }
    }

    #[tokio::test]
    async fn storing_an_entry_repeatedly_keeps_the_order_short() {
        let cache = NativeResponseCache::new(1024 * 1024);
        (0..10_000).for_each(|_| insert(&cache, 7, 100));
        let shard = cache.shard(&key(7)).read().unwrap();
        assert!(shard.entries.len() == 1 && shard.order.len() <= ORDER_SLACK + 3);
    }

    #[tokio::test]
    async fn clearing_removes_everything() {
        let cache = NativeResponseCache::new(1024 * 1024);
        insert(&cache, 2, 100);
        cache.clear();
        assert_eq!(cache.size(), (0, 0));
        assert!(!holds(&cache, 2).await);
    }

    #[tokio::test]
    async fn a_response_larger_than_a_shard_is_not_stored() {
        let cache = NativeResponseCache::new(1024 * 1024);
        insert(&cache, 1, 100);
        insert(&cache, 1, 200_000);
        assert_eq!(cache.size(), (0, 0));
    }

    #[tokio::test]
    async fn only_a_complete_copy_is_stored() {
        let cache = NativeResponseCache::new(1024 * 1024);
        let (client, copy) = NativeContent::from_bytes(Bytes::from_static(b"abc")).tee(10);
        drop(client);
        cache.store(&key(1), &meta(), Some(copy)).await.unwrap();
        assert!(!holds(&cache, 1).await);
        let now = SystemClock::now();
        let meta = StoredMeta { stored_at: now, requested_at: now, ..meta() };
        cache.store(&key(2), &meta, None).await.unwrap();
        assert!(holds(&cache, 2).await);
    }
}
