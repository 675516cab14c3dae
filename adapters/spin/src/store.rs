//! Records and stored responses in Spin's key-value store.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use spin_sdk::key_value::{Error, Store};
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_edge::ports::{Content, Records, ResponseCache, Stored, Unavailable};

use crate::content::{ContentCopy, SpinContent};

/// The store everything is in; spin.toml must name it in `key_value_stores`.
pub(crate) const STORE: &str = "default";

/// The store, opened when it is first needed and kept open.
#[derive(Default)]
struct Opened(RefCell<Option<Rc<Store>>>);

impl Opened {
    async fn store(&self) -> Result<Rc<Store>, Error> {
        if let Some(store) = self.0.borrow().as_ref() {
            return Ok(Rc::clone(store));
        }
        let store = Rc::new(Store::open(STORE).await?);
        *self.0.borrow_mut() = Some(Rc::clone(&store));
        Ok(store)
    }
}

/// Records under their own keys.
#[derive(Default)]
pub struct SpinRecords {
    opened: Opened,
}

impl Records for SpinRecords {
    async fn read(&self, key: &str) -> Result<Option<Vec<u8>>, Unavailable> {
        let read = async { self.opened.store().await?.get(key).await };
        read.await.map_err(|error| Unavailable::new(format!("records: {error}")))
    }
}

/// Stored responses in a fixed number of slots.
///
/// The store has no expiry and no bound, so a response takes the place of whichever had its slot before. A slot holds
/// the response's whole key, and is a miss for any other.
pub struct SpinResponseCache {
    gateway: String,
    opened: Opened,
}

/// Hexadecimal digits of a key that name its slot: 4096 slots.
const SLOT_DIGITS: usize = 3;

impl SpinResponseCache {
    pub(crate) fn new(gateway: &str) -> Self {
        Self { gateway: gateway.to_owned(), opened: Opened::default() }
    }

    fn slot(&self, key: &CacheKey) -> String {
        let digits: String = key.as_str().chars().take(SLOT_DIGITS).collect();
        format!("{}:cache:{digits}", self.gateway)
    }
}

impl ResponseCache for SpinResponseCache {
    type Content = SpinContent;

    async fn look_up(&self, key: &CacheKey) -> Result<Option<Stored<SpinContent>>, Unavailable> {
        let slot = self.slot(key);
        let read = async { self.opened.store().await?.get(slot).await };
        let value = read.await.map_err(unavailable)?;
        Ok(value.and_then(|value| parse(key, value.into())))
    }

    async fn store(&self, key: &CacheKey, meta: &StoredMeta, content: Option<ContentCopy>) -> Result<(), Unavailable> {
        let content = match content {
            None => Bytes::new(),
            Some(copy) => match copy.whole().await {
                Some(content) => content,
                None => return Ok(()),
            },
        };
        let slot = self.slot(key);
        let value = value(key, meta, &content);
        let write = async { self.opened.store().await?.set(slot, value).await };
        write.await.map_err(unavailable)
    }
}

/// A slot's value: the key, the metadata, each on a line, then the content.
fn value(key: &CacheKey, meta: &StoredMeta, content: &[u8]) -> Vec<u8> {
    let head = format!("{}\n{}\n", key.as_str(), meta.to_text());
    [head.as_bytes(), content].concat()
}

/// Reads [`value`]; another key's value, or one of another form, is a miss.
fn parse(key: &CacheKey, mut value: Bytes) -> Option<Stored<SpinContent>> {
    let found = take_line(&mut value)?;
    if found != key.as_str() {
        return None;
    }
    let meta = take_line(&mut value)?;
    let meta = StoredMeta::from_text(std::str::from_utf8(&meta).ok()?)?;
    let content = SpinContent::from_bytes(value);
    Some(Stored { meta, content })
}

fn take_line(value: &mut Bytes) -> Option<Bytes> {
    let end = value.iter().position(|byte| *byte == b'\n')?;
    let line = value.split_to(end);
    let _ = value.split_to(1);
    Some(line)
}

#[expect(clippy::needless_pass_by_value, reason = "taken by map_err")]
fn unavailable(error: Error) -> Unavailable {
    Unavailable::new(format!("response cache: {error}"))
}

#[cfg(test)]
mod tests {
    use futures_executor::block_on;
    use futures_util::stream::StreamExt;
    use tollgate_core::time::Timestamp;

    use super::*;
    use crate::content::Step;

    fn key(last: char) -> CacheKey {
        CacheKey::parse(&format!("abc{}{last}", "0".repeat(60))).unwrap()
    }

    fn meta() -> StoredMeta {
        StoredMeta {
            v: StoredMeta::VERSION,
            status: 200,
            fields: vec![("x".into(), "1".into())],
            stored_at: Timestamp::from_millis(1),
            initial_age_ms: 0,
            fresh_ms: 2,
            keep_ms: 3,
            content_bytes: Some(4),
            varies_on: None,
        }
    }

    #[test]
    fn a_stored_response_comes_back_as_it_was() {
        let stored = parse(&key('1'), value(&key('1'), &meta(), b"a\nb\n").into()).unwrap();
        assert_eq!(stored.meta, meta());
        let mut steps = stored.content.0.into_steps();
        let Some(Ok(Step::Data(data))) = block_on(steps.next()) else {
            panic!("no content");
        };
        assert_eq!(data, "a\nb\n");
    }

    #[test]
    fn another_key_in_the_same_slot_is_a_miss() {
        let cache = SpinResponseCache::new("acme");
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
