//! Records and stored responses in Spin's key-value store.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use spin_sdk::key_value::{Error, Store};
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Clock, Content, KeyPage, Records, ResponseCache, Stored, Unavailable, WriteFault};
use tollgate_kv_schemas::{expiring, keys};

use crate::blocking::BlockingStore;
use crate::clock::SpinClock;
use crate::content::{ContentCopy, SpinContent};
use crate::slots::{Found, Held, Slots};

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

/// Records under their own keys; records that the gateway itself writes are in a fixed number of slots, except usage.
///
/// The store has no expiry and no bound, so such a record is stored with its expiry and its full key in front
/// ([`expiring`]), and overwrites the previous one in its slot. Batches of usage are kept until `tollgate usage compact` removes them.
pub struct SpinRecords {
    opened: Opened,
}

impl Records for SpinRecords {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        if keys::is_usage(key) {
            let value = self.opened.get(key.to_owned()).await?;
            return Ok(value.and_then(|value| expiring::unwrap(key, value, SpinClock.now())));
        }
        if !keys::is_written_at_edge(key) {
            return self.opened.get(key.to_owned()).await;
        }
        Ok(self.find(key).await?.value.flatten())
    }

    async fn write(&self, key: &str, bytes: &[u8], keep_s: u32) -> Result<(), WriteFault> {
        WriteFault::check(key, bytes)?;
        let end = SpinClock.now().plus_millis(u64::from(keep_s).saturating_mul(1_000));
        let value = expiring::wrap(key, end, bytes);
        // A batch of usage must not take the place of another one.
        let slot = if keys::is_usage(key) { key.to_owned() } else { self.find(key).await?.slot };
        Ok(self.opened.set(slot, value).await?)
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

    /// The record in the slots of its key: `None` inside if it has expired.
    async fn find(&self, key: &str) -> Result<Found<Option<Vec<u8>>>, Unavailable> {
        let read = |value: Vec<u8>| match expiring::key_and_end(&value) {
            Some((of, _)) if of == key.as_bytes() => Held::Own(expiring::unwrap(key, value, SpinClock.now())),
            Some((_, until)) => Held::Other { until },
            None => Held::Other { until: Timestamp::EPOCH },
        };
        slots_of(key).find(async |slot| self.opened.get(slot).await, read).await
    }
}

/// The slots of a record that the gateway writes are those of its kind, and for the audit of its action: many purges do
/// not overwrite the audit of keys.
fn slots_of(key: &str) -> Slots {
    let (kind, name) = key.rsplit_once(':').unwrap_or((key, ""));
    Slots::new(kind, name)
}

/// Stored responses in a fixed number of slots.
pub struct SpinResponseCache {
    gateway: String,
    opened: Opened,
}

impl SpinResponseCache {
    pub(crate) fn new(gateway: &str, blocking: BlockingStore) -> Self {
        Self { gateway: gateway.to_owned(), opened: Opened::new("response cache", blocking) }
    }
}

impl ResponseCache for SpinResponseCache {
    type Content = SpinContent;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<SpinContent>>, Unavailable> {
        let found = self.find(key).await?.value;
        Ok(found.map(|Response { meta, content }| Stored { meta, content: SpinContent::from_bytes(content) }))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<ContentCopy>) -> Result<(), Unavailable> {
        let content = match content {
            None => Bytes::new(),
            Some(copy) => match copy.whole().await {
                Some(content) => content,
                None => return Ok(()),
            },
        };
        let Found { value: stored, slot } = self.find(key).await?;
        let may_replace = meta.may_replace(stored.as_ref().map(|stored| &stored.meta), SpinClock.now());
        if may_replace && meta.is_length_of_content(content.len() as u64) {
            self.opened.set(slot, value(key, meta, &content)).await?;
        }
        Ok(())
    }

    async fn touch(&self, key: &CacheKey, confirmed: &StoredMeta, renewed: &StoredMeta) -> Result<(), Unavailable> {
        match self.find(key).await? {
            Found { value: Some(stored), slot } if stored.meta == *confirmed => {
                self.opened.set(slot, value(key, renewed, &stored.content)).await
            }
            Found { .. } => Ok(()),
        }
    }
}

/// A stored response.
struct Response {
    meta: StoredMeta,
    content: Bytes,
}

impl SpinResponseCache {
    async fn find(&self, key: &CacheKey) -> Result<Found<Response>, Unavailable> {
        let slots = Slots::new(&format!("{}:cache", self.gateway), key.as_str());
        slots.find(async |slot| self.opened.get(slot).await, |value| parse(key, value.into())).await
    }
}

/// A slot's value: the key, the metadata, each on a line, then the content.
fn value(key: &CacheKey, meta: &StoredMeta, content: &[u8]) -> Vec<u8> {
    let head = format!("{}\n{}\n", key.as_str(), meta.to_text());
    [head.as_bytes(), content].concat()
}

/// Parses a [`value`]. What cannot be parsed is of no use to any key.
fn parse(key: &CacheKey, mut value: Bytes) -> Held<Response> {
    let Some((of, meta)) = take_head(&mut value) else { return Held::Other { until: Timestamp::EPOCH } };
    if of == key.as_str() {
        Held::Own(Response { meta, content: value })
    } else {
        Held::Other { until: meta.stored_at.plus_millis(meta.keep_ms) }
    }
}

fn take_head(value: &mut Bytes) -> Option<(Bytes, StoredMeta)> {
    let key = take_line(value)?;
    let meta = take_line(value)?;
    let meta = StoredMeta::from_text(std::str::from_utf8(&meta).ok()?)?;
    Some((key, meta))
}

fn take_line(value: &mut Bytes) -> Option<Bytes> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let line = value.split_to(end);
    let _ = value.split_to(1);
    Some(line)
}

#[cfg(test)]
mod tests {
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

    fn own(held: Held<Response>) -> Option<Response> {
        match held {
            Held::Own(response) => Some(response),
            Held::Other { .. } => None,
        }
    }

    fn until(held: &Held<Response>) -> Option<Timestamp> {
        match held {
            Held::Own(_) => None,
            Held::Other { until } => Some(*until),
        }
    }

    #[test]
    fn a_stored_response_is_returned_unchanged() {
        let stored = own(parse(&key('1'), value(&key('1'), &meta(), b"a\nb\n").into())).unwrap();
        assert_eq!(stored.meta, meta());
        assert_eq!(stored.content, "a\nb\n");
    }

    #[test]
    fn the_response_of_another_key_tells_its_end() {
        let held = parse(&key('2'), value(&key('1'), &meta(), b"a").into());
        assert_eq!(until(&held), Some(Timestamp::from_millis(4)));
    }

    #[test]
    fn what_is_not_a_stored_response_is_of_no_use() {
        let cut = value(&key('1'), &meta(), b"")[..80].to_vec();
        for bytes in [&b""[..], b"\n", b"\n\n", b"abc", b"abc\n{}\n", &cut] {
            let held = parse(&key('1'), Bytes::copy_from_slice(bytes));
            assert_eq!(until(&held), Some(Timestamp::EPOCH));
        }
    }
}
