//! Records and stored responses in Spin's key-value store.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use spin_sdk::key_value::{Error, Store};
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_edge::ports::{Clock, Content, KeyPage, Records, ResponseCache, Stored, Unavailable, WriteFault};
use tollgate_kv_schemas::{expiring, keys};

use crate::blocking::BlockingStore;
use crate::clock::SpinClock;
use crate::content::{ContentCopy, SpinContent};

/// The store for everything; spin.toml must list it in `key_value_stores`.
pub(crate) const STORE: &str = "default";

/// The store, opened on first use and kept open.
struct Opened {
    store: RefCell<Option<Rc<Store>>>,
    blocking: BlockingStore,
    /// Names the caller in errors.
    what: &'static str,
}

impl Opened {
    fn new(what: &'static str, blocking: BlockingStore) -> Self {
        Self { store: RefCell::default(), blocking, what }
    }

    async fn get(&self, key: String) -> Result<Option<Vec<u8>>, Unavailable> {
        self.blocking.call(self.what, async { self.store().await?.get(key).await }).await
    }

    async fn set(&self, key: String, value: Vec<u8>) -> Result<(), Unavailable> {
        self.blocking.call(self.what, async { self.store().await?.set(key, value).await }).await
    }

    /// The store lists all its keys, in no order: the smallest ones after the cursor are kept.
    ///
    /// That takes longer than a call on the way of a request, and does not tell whether those are slow.
    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable> {
        let failed = |error: Error| Unavailable::new(format!("{}: {error}", self.what));
        let store = self.store().await.map_err(failed)?;
        let mut all = store.get_keys().await;
        let mut next = BTreeSet::new();
        while let Some(key) = all.next().await {
            if key.starts_with(prefix) && cursor.is_none_or(|last| key.as_str() > last) {
                next.insert(key);
                if next.len() > max.saturating_add(1) {
                    next.pop_last();
                }
            }
        }
        all.result().await.map_err(failed)?;
        Ok(KeyPage::cut(next.into_iter().collect(), max))
    }

    async fn store(&self) -> Result<Rc<Store>, Error> {
        if let Some(store) = self.store.borrow().as_ref() {
            return Ok(Rc::clone(store));
        }
        let store = Rc::new(Store::open(STORE).await?);
        *self.store.borrow_mut() = Some(Rc::clone(&store));
        Ok(store)
    }
}

/// Records under their own keys; records that the gateway itself writes are in a fixed number of slots.
///
/// The store has no expiry and no bound, so such a record is stored with its expiry and its full key in front
/// ([`expiring`]), and overwrites the previous one in its slot.
pub struct SpinRecords {
    opened: Opened,
}

impl Records for SpinRecords {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        if !keys::is_written_at_edge(key) {
            return self.opened.get(key.to_owned()).await;
        }
        let value = self.opened.get(slot_of(key)).await?;
        Ok(value.and_then(|value| expiring::unwrap(key, value, SpinClock.now())))
    }

    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
        WriteFault::check(key, bytes)?;
        let end = SpinClock.now().plus_millis(u64::from(keep_s).saturating_mul(1_000));
        let value = expiring::wrap(key, end, bytes);
        Ok(self.opened.set(slot_of(key), value).await?)
    }

    async fn keep(&self, key: &str, bytes: &[u8]) -> Result<(), WriteFault> {
        WriteFault::check_kept(key, bytes)?;
        Ok(self.opened.set(key.to_owned(), bytes.to_vec()).await?)
    }

    async fn list(&self, prefix: &str, cursor: Option<&str>, max: usize) -> Result<KeyPage, Unavailable> {
        self.opened.list(prefix, cursor, max).await
    }
}

impl SpinRecords {
    pub(crate) fn new(blocking: BlockingStore) -> Self {
        Self { opened: Opened::new("records", blocking) }
    }
}

/// The slot of a record that the gateway writes: its key, truncated after the first digits of the name. So each kind,
/// and each action of the audit, has separate slots: many purges do not overwrite the audit of keys.
fn slot_of(key: &str) -> String {
    let (kind, name) = key.rsplit_once(':').unwrap_or((key, ""));
    let digits: String = name.chars().take(SLOT_DIGITS).collect();
    format!("{kind}:{digits}")
}

/// Stored responses in a fixed number of slots.
///
/// The store has no expiry and no bound, so a response overwrites the previous one in its slot. A slot contains the
/// response's full key, and is a miss for any other key.
pub struct SpinResponseCache {
    gateway: String,
    opened: Opened,
}

/// Number of hexadecimal digits of a key that select its slot: 4096 slots.
const SLOT_DIGITS: usize = 3;

impl SpinResponseCache {
    pub(crate) fn new(gateway: &str, blocking: BlockingStore) -> Self {
        Self { gateway: gateway.to_owned(), opened: Opened::new("response cache", blocking) }
    }

    fn slot(&self, key: &CacheKey) -> String {
        let digits: String = key.as_str().chars().take(SLOT_DIGITS).collect();
        format!("{}:cache:{digits}", self.gateway)
    }
}

impl ResponseCache for SpinResponseCache {
    type Content = SpinContent;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<SpinContent>>, Unavailable> {
        let found = self.get(key).await?;
        Ok(found.map(|Slot { meta, content }| Stored { meta, content: SpinContent::from_bytes(content) }))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<ContentCopy>) -> Result<(), Unavailable> {
        let content = match content {
            None => Bytes::new(),
            Some(copy) => match copy.whole().await {
                Some(content) => content,
                None => return Ok(()),
            },
        };
        let stored = self.get(key).await?;
        let may_replace = meta.may_replace(stored.as_ref().map(|stored| &stored.meta), SpinClock.now());
        if may_replace && meta.is_length_of_content(content.len() as u64) {
            self.set(key, meta, &content).await?;
        }
        Ok(())
    }

    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        match self.get(key).await? {
            Some(stored) if stored.meta == *confirmed => self.set(key, renewed, &stored.content).await,
            Some(_) | None => Ok(()),
        }
    }
}

/// The value of a slot for a key.
struct Slot {
    meta: StoredMeta,
    content: Bytes,
}

impl SpinResponseCache {
    async fn get(&self, key: &CacheKey) -> Result<Option<Slot>, Unavailable> {
        let value = self.opened.get(self.slot(key)).await?;
        Ok(value.and_then(|value| parse(key, value.into())))
    }

    async fn set(&self, key: &CacheKey, meta: &StoredMeta, content: &[u8]) -> Result<(), Unavailable> {
        self.opened.set(self.slot(key), value(key, meta, content)).await
    }
}

/// A slot's value: the key, the metadata, each on a line, then the content.
fn value(key: &CacheKey, meta: &StoredMeta, content: &[u8]) -> Vec<u8> {
    let head = format!("{}\n{}\n", key.as_str(), meta.to_text());
    [head.as_bytes(), content].concat()
}

/// Parses a [`value`]; the value of another key, or any other value, is a miss.
fn parse(key: &CacheKey, mut value: Bytes) -> Option<Slot> {
    let found = take_line(&mut value)?;
    if found != key.as_str() {
        return None;
    }
    let meta = take_line(&mut value)?;
    let meta = StoredMeta::from_text(std::str::from_utf8(&meta).ok()?)?;
    Some(Slot { meta, content: value })
}

fn take_line(value: &mut Bytes) -> Option<Bytes> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let line = value.split_to(end);
    let _ = value.split_to(1);
    Some(line)
}

#[cfg(test)]
mod tests {
    use tollgate_core::time::Timestamp;

    use super::*;

    fn key(last: char) -> CacheKey {
        CacheKey::parse(&format!("abc{}{last}", "0".repeat(60))).unwrap()
    }

    fn meta() -> StoredMeta {
        StoredMeta {
            v: StoredMeta::VERSION,
            status: 200,
            fields: vec![("x".into(), "1".into())],
            stored_at: Timestamp::from_millis(1),
            requested_at: Timestamp::EPOCH,
            initial_age_ms: 0,
            fresh_ms: 2,
            keep_ms: 3,
            content_bytes: Some(4),
            varies_on: None,
        }
    }

    #[test]
    fn a_stored_response_is_returned_unchanged() {
        let stored = parse(&key('1'), value(&key('1'), &meta(), b"a\nb\n").into()).unwrap();
        assert_eq!(stored.meta, meta());
        assert_eq!(stored.content, "a\nb\n");
    }

    #[test]
    fn records_of_the_gateway_have_a_bounded_number_of_slots() {
        assert_eq!(slot_of(&format!("acme:fetched:{}", key('1').as_str())), "acme:fetched:abc");
        assert_eq!(slot_of("acme:fetched:"), "acme:fetched:");
        assert_eq!(slot_of("acme:audit:key.new:abcdef"), "acme:audit:key.new:abc", "each action has slots of its own");
    }

    #[test]
    fn another_key_in_the_same_slot_is_a_miss() {
        let cache = SpinResponseCache::new("acme", BlockingStore::default());
        assert_eq!(cache.slot(&key('1')), "acme:cache:abc");
        assert_eq!(cache.slot(&key('1')), cache.slot(&key('2')));
        assert!(parse(&key('2'), value(&key('1'), &meta(), b"a").into()).is_none());
    }

    #[test]
    fn what_is_not_a_stored_response_is_a_miss() {
        for bytes in ["", "\n", "\n\n", "abc", "abc\n{}\n"] {
            assert!(parse(&key('1'), Bytes::from_static(bytes.as_bytes())).is_none());
        }
        let cut = &value(&key('1'), &meta(), b"")[..80];
        assert!(parse(&key('1'), cut.to_vec().into()).is_none());
    }
}
