//! Stored responses that an isolate keeps in memory for a moment, in front of a store that takes long to answer.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tollgate_core::bounds::{NEAR_BYTES_MAX, NEAR_CONTENT_BYTES_MAX, NEAR_MS};
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::time::MonotonicInstant;

use crate::ports::{Clock, Content, Gathered, GatheredContent, ResponseCache, Stored, Unavailable};

/// A store whose small responses are kept in memory for [`NEAR_MS`] after they were read from it.
///
/// Only what the store returned is kept. A write by this isolate takes effect at once, what other isolates write after
/// [`NEAR_MS`]. Freshness, variants, purges and changes are decided from the metadata, wherever it was read.
#[derive(Clone, Debug)]
pub struct NearCache<S, C> {
    store: S,
    clock: C,
    kept: Rc<NearResponses>,
}

impl<S, C> NearCache<S, C> {
    /// The store, with the responses that this isolate keeps.
    pub const fn new(store: S, clock: C, kept: Rc<NearResponses>) -> Self {
        Self { store, clock, kept }
    }
}

impl<S: ResponseCache, C: Clock> ResponseCache for NearCache<S, C> {
    type Content = S::Content;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<S::Content>>, Unavailable> {
        let now = self.clock.instant();
        if let Some((meta, content)) = self.kept.get(key, now) {
            return Ok(Some(Stored { meta, content: S::Content::replay(&content) }));
        }
        let writes = self.kept.writes.get();
        let Some(Stored { meta, content }) = self.store.look_up(key).await? else { return Ok(None) };
        if !is_small(&meta) {
            return Ok(Some(Stored { meta, content }));
        }
        match content.gather(NEAR_CONTENT_BYTES_MAX).await {
            Ok(Gathered::Complete(whole)) if meta.is_length_of_content(whole.bytes.len() as u64) => {
                let content = S::Content::replay(&whole);
                if self.kept.writes.get() == writes {
                    self.kept.put(key, Kept { meta: meta.clone(), content: whole, until: now.plus_millis(NEAR_MS) });
                }
                Ok(Some(Stored { meta, content }))
            }
            Ok(Gathered::TooLarge(content)) => Ok(Some(Stored { meta, content })),
            // The store dropped it meanwhile, or has something else.
            Ok(Gathered::Complete(_)) | Err(_) => Ok(None),
        }
    }

    async fn store(
        &self,
        key: &CacheKey,
        meta: &StoredMeta,
        content: Option<<S::Content as Content>::Copy>,
    ) -> Result<(), Unavailable> {
        let _written = self.kept.writing(key);
        self.store.store(key, meta, content).await
    }

    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        let _written = self.kept.writing(key);
        self.store.touch(key, confirmed, renewed).await
    }
}

/// Whether its content is small, or may be.
fn is_small(meta: &StoredMeta) -> bool {
    meta.content_bytes.is_none_or(|bytes| bytes <= NEAR_CONTENT_BYTES_MAX)
}

/// The responses that an isolate keeps.
#[derive(Debug, Default)]
pub struct NearResponses {
    kept: RefCell<HashMap<CacheKey, Kept>>,
    /// The bytes of all of them.
    bytes: Cell<usize>,
    /// The number of writes that began or ended. What was read while it changed may be from before a write.
    writes: Cell<u64>,
}

#[derive(Debug)]
struct Kept {
    meta: StoredMeta,
    content: GatheredContent,
    until: MonotonicInstant,
}

impl Kept {
    fn bytes(&self) -> usize {
        let fields: usize = self.meta.fields.iter().map(|(name, value)| name.len() + value.len() + FIELD_BYTES).sum();
        ENTRY_BYTES + fields + self.content.bytes.len()
    }
}

/// What an entry takes in addition to its fields and its content, and a field in addition to its text.
const ENTRY_BYTES: usize = 512;
const FIELD_BYTES: usize = 64;

impl NearResponses {
    fn get(&self, key: &CacheKey, now: MonotonicInstant) -> Option<(StoredMeta, GatheredContent)> {
        let kept = self.kept.borrow();
        let found = kept.get(key).filter(|found| now < found.until)?;
        Some((found.meta.clone(), found.content.clone()))
    }

    /// Keeps an entry. If all of them would exceed their bound, the others are dropped: none is kept for long.
    fn put(&self, key: &CacheKey, entry: Kept) {
        self.forget(key);
        let mut kept = self.kept.borrow_mut();
        if self.bytes.get() + entry.bytes() > NEAR_BYTES_MAX {
            kept.clear();
            self.bytes.set(0);
        }
        self.bytes.set(self.bytes.get() + entry.bytes());
        kept.insert(key.clone(), entry);
    }

    fn forget(&self, key: &CacheKey) {
        if let Some(entry) = self.kept.borrow_mut().remove(key) {
            self.bytes.set(self.bytes.get() - entry.bytes());
        }
    }

    /// Drops the entry now and when the write has ended, however it ends: it may have taken effect.
    fn writing<'k>(&'k self, key: &'k CacheKey) -> Writing<'k> {
        self.written(key);
        Writing { kept: self, key }
    }

    fn written(&self, key: &CacheKey) {
        self.writes.set(self.writes.get().wrapping_add(1));
        self.forget(key);
    }
}

struct Writing<'k> {
    kept: &'k NearResponses,
    key: &'k CacheKey,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.kept.written(self.key);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_channel::oneshot;
    use futures_executor::block_on;
    use futures_util::future::join;
    use tollgate_core::time::Timestamp;

    use super::*;
    use crate::memory::{Content as MemoryContent, MemoryCache, VirtualClock};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    struct Bench {
        clock: VirtualClock,
        store: MemoryCache,
        near: NearCache<Held, VirtualClock>,
    }

    /// A store whose next answer to a look-up can be held back.
    #[derive(Clone)]
    struct Held {
        store: MemoryCache,
        until: Rc<RefCell<Option<oneshot::Receiver<()>>>>,
    }

    impl ResponseCache for Held {
        type Content = MemoryContent;

        async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<MemoryContent>>, Unavailable> {
            let found = self.store.look_up(key).await;
            let until = self.until.take();
            if let Some(until) = until {
                let _ = until.await;
            }
            found
        }

        async fn store(
            &self,
            key: &CacheKey,
            meta: &StoredMeta,
            content: Option<<MemoryContent as Content>::Copy>,
        ) -> Result<(), Unavailable> {
            self.store.store(key, meta, content).await
        }

        async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
            self.store.touch(key, confirmed, renewed).await
        }
    }

    impl Bench {
        fn new() -> Self {
            let clock = VirtualClock::at(NOW);
            let store = MemoryCache::new(clock.clone());
            let held = Held { store: store.clone(), until: Rc::default() };
            Self { near: NearCache::new(held, clock.clone(), Rc::default()), clock, store }
        }

        /// Stores a response of so many bytes, as another isolate does.
        fn store_elsewhere(&self, number: u8, bytes: usize) -> StoredMeta {
            let meta = StoredMeta { content_bytes: Some(bytes as u64), varies_on: None, ..StoredMeta::nothing(NOW) };
            let (_, copy) = MemoryContent::from_bytes(Bytes::from(vec![b'x'; bytes])).tee(u64::MAX);
            block_on(self.store.store(&key(number), &meta, Some(copy))).unwrap();
            meta
        }

        fn look_up(&self, number: u8) -> Result<Option<usize>, Unavailable> {
            let found = block_on(self.near.look_up(&key(number)))?;
            Ok(found.map(|found| found.content.bytes().len()))
        }
    }

    fn key(number: u8) -> CacheKey {
        CacheKey::parse(&format!("{number:064x}")).unwrap()
    }

    #[test]
    fn a_small_response_is_read_once_for_a_moment() {
        let bench = Bench::new();
        bench.store_elsewhere(1, 5);
        assert_eq!(bench.look_up(1).unwrap(), Some(5));
        bench.store.fault.set(true);
        assert_eq!(bench.look_up(1).unwrap(), Some(5));
        bench.clock.advance(NEAR_MS);
        bench.look_up(1).unwrap_err();
    }

    #[test]
    fn what_another_isolate_writes_is_seen_after_a_moment() {
        let bench = Bench::new();
        bench.store_elsewhere(1, 5);
        bench.look_up(1).unwrap();
        block_on(bench.store.store(&key(1), &StoredMeta::nothing(NOW), None)).unwrap();
        assert_eq!(bench.look_up(1).unwrap(), Some(5));
        bench.clock.advance(NEAR_MS);
        assert_eq!(bench.look_up(1).unwrap(), Some(0), "the change");
    }

    #[test]
    fn a_write_of_this_isolate_takes_effect_at_once() {
        let bench = Bench::new();
        let meta = bench.store_elsewhere(1, 5);
        bench.look_up(1).unwrap();
        let renewed = StoredMeta { fresh_ms: 7, ..meta.clone() };
        block_on(bench.near.touch(&key(1), &meta, &renewed)).unwrap();
        assert_eq!(block_on(bench.near.look_up(&key(1))).unwrap().unwrap().meta, renewed);
        block_on(bench.near.store(&key(1), &StoredMeta::nothing(NOW), None)).unwrap();
        assert_eq!(bench.look_up(1).unwrap(), Some(0));
    }

    #[test]
    fn what_was_read_before_a_write_is_not_kept() {
        let bench = Bench::new();
        bench.store_elsewhere(1, 5);
        let (release, until) = oneshot::channel();
        bench.near.store.until.replace(Some(until));
        let (first, nothing) = (key(1), StoredMeta::nothing(NOW));
        let write = async {
            bench.near.store(&first, &nothing, None).await.unwrap();
            release.send(()).unwrap();
        };
        let (found, ()) = block_on(join(bench.near.look_up(&first), write));
        assert_eq!(found.unwrap().unwrap().content.bytes().len(), 5);
        assert_eq!(bench.look_up(1).unwrap(), Some(0));
    }

    #[test]
    fn large_responses_are_not_kept() {
        let bench = Bench::new();
        let bytes = usize::try_from(NEAR_CONTENT_BYTES_MAX).unwrap() + 1;
        bench.store_elsewhere(1, bytes);
        assert_eq!(bench.look_up(1).unwrap(), Some(bytes));
        bench.store.fault.set(true);
        bench.look_up(1).unwrap_err();
    }

    #[test]
    fn the_bytes_of_all_are_bounded() {
        let bench = Bench::new();
        let each = usize::try_from(NEAR_CONTENT_BYTES_MAX).unwrap();
        for number in 0..=u8::MAX {
            bench.store_elsewhere(number, each);
            assert_eq!(bench.look_up(number).unwrap(), Some(each));
            assert!(bench.near.kept.bytes.get() <= NEAR_BYTES_MAX);
        }
        let kept = bench.near.kept.kept.borrow();
        assert_eq!(bench.near.kept.bytes.get(), kept.values().map(Kept::bytes).sum::<usize>());
        assert!(kept.contains_key(&key(u8::MAX)) && kept.len() < 200);
    }
}
