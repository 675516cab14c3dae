//! What [`ResponseCache`] and [`Content`] promise together.

use bytes::Bytes;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Content, ResponseCache};

/// Reads content to its end; the error says that it broke off.
pub(crate) trait Reader<C> {
    async fn read(&self, content: C) -> Result<Vec<u8>, String>;
}

pub(crate) fn key(number: u64) -> CacheKey {
    CacheKey::parse(&format!("{number:064x}")).expect("64 hexadecimal digits")
}

pub(crate) fn meta(now: Timestamp, status: u16) -> StoredMeta {
    StoredMeta {
        v: StoredMeta::VERSION,
        status,
        fields: vec![("content-type".into(), "text/plain".into()), ("x-two".into(), "1".into())],
        stored_at: now,
        initial_age_ms: 0,
        fresh_ms: 3_600_000,
        keep_ms: 3_600_000,
        content_bytes: None,
        varies_on: None,
    }
}

/// Sends content to a client while it is stored, as the pipeline does.
async fn store<R: ResponseCache>(
    cache: &R,
    reader: &impl Reader<R::Content>,
    key: &CacheKey,
    meta: &StoredMeta,
    content: R::Content,
    bytes_max: u64,
) -> Result<Vec<u8>, String> {
    let (for_client, copy) = content.tee(bytes_max);
    let (read, stored) = futures_util::future::join(reader.read(for_client), cache.store(key, meta, Some(copy))).await;
    stored.map_err(|away| away.to_string())?;
    read
}

/// What was stored is found again, with its metadata, under its own key alone.
pub(crate) async fn finds_what_was_stored<R: ResponseCache>(
    cache: &R,
    reader: &impl Reader<R::Content>,
    now: Timestamp,
) {
    assert!(cache.look_up(&key(1)).await.expect("the store answers").is_none());
    let content = vec![b'x'; 300_000];
    let meta = meta(now, 203);
    let sent = store(cache, reader, &key(1), &meta, R::Content::from_bytes(content.clone().into()), 1 << 20).await;
    assert_eq!(sent.as_deref(), Ok(content.as_slice()), "the client gets all of it");
    for _ in 0..2 {
        let found = cache.look_up(&key(1)).await.expect("the store answers").expect("it is stored");
        assert_eq!(found.meta, meta);
        assert_eq!(reader.read(found.content).await.as_deref(), Ok(content.as_slice()));
    }
    assert!(cache.look_up(&key(2)).await.expect("the store answers").is_none());
}

/// A later response replaces an earlier one, whole.
pub(crate) async fn replaces<R: ResponseCache>(cache: &R, reader: &impl Reader<R::Content>, now: Timestamp) {
    for text in ["a longer first one", "second"] {
        let content = R::Content::from_bytes(Bytes::from_static(text.as_bytes()));
        store(cache, reader, &key(3), &meta(now, 200), content, 1 << 20).await.expect("sent and stored");
        let found = cache.look_up(&key(3)).await.expect("the store answers").expect("it is stored");
        assert_eq!(reader.read(found.content).await.as_deref(), Ok(text.as_bytes()));
    }
}

/// An entry without content, such as the index of a response that varies, is one.
pub(crate) async fn stores_an_entry_without_content<R: ResponseCache>(
    cache: &R,
    reader: &impl Reader<R::Content>,
    now: Timestamp,
) {
    let index = StoredMeta { varies_on: Some(vec!["accept".into()]), ..meta(now, 200) };
    cache.store(&key(4), &index, None).await.expect("the store answers");
    let found = cache.look_up(&key(4)).await.expect("the store answers").expect("it is stored");
    assert_eq!(found.meta, index);
    assert_eq!(reader.read(found.content).await.as_deref(), Ok(&b""[..]));
}

/// Content past the bound reaches the client whole and the store not at all.
pub(crate) async fn gives_up_on_what_is_too_large<R: ResponseCache>(
    cache: &R,
    reader: &impl Reader<R::Content>,
    now: Timestamp,
) {
    let content = vec![b'y'; 10_000];
    let sent =
        store(cache, reader, &key(5), &meta(now, 200), R::Content::from_bytes(content.clone().into()), 9_999).await;
    assert_eq!(sent.as_deref(), Ok(content.as_slice()));
    assert!(cache.look_up(&key(5)).await.expect("the store answers").is_none());
}

/// Content that breaks off leaves nothing behind, and leaves alone what was there.
pub(crate) async fn keeps_nothing_of_what_breaks_off<R: ResponseCache>(
    cache: &R,
    reader: &impl Reader<R::Content>,
    now: Timestamp,
) {
    // A limit below the length makes content fail in the middle, on every platform.
    let broken = || R::Content::from_bytes(vec![b'z'; 10_000].into()).limited(5_000);
    let sent = store(cache, reader, &key(6), &meta(now, 200), broken(), 1 << 20).await;
    assert!(sent.is_err(), "the client sees that it broke off");
    assert!(cache.look_up(&key(6)).await.expect("the store answers").is_none());
}

/// A store that is away says so.
pub(crate) async fn away_is_an_answer<R: ResponseCache>(
    cache: &R,
    reader: &impl Reader<R::Content>,
    now: Timestamp,
    fail: impl Fn(bool),
) {
    let content = || R::Content::from_bytes(Bytes::from_static(b"kept"));
    store(cache, reader, &key(7), &meta(now, 200), content(), 1 << 20).await.expect("sent and stored");
    fail(true);
    assert!(cache.look_up(&key(7)).await.is_err());
    assert!(cache.store(&key(8), &meta(now, 200), None).await.is_err());
    fail(false);
    assert!(cache.look_up(&key(7)).await.expect("the store answers").is_some());
    assert!(cache.look_up(&key(8)).await.expect("the store answers").is_none());
}

/// Content within its limit passes it; an empty one is known to be empty.
pub(crate) async fn content_is_what_it_was_made_of<R: ResponseCache>(_: &R, reader: &impl Reader<R::Content>) {
    assert!(R::Content::empty().is_empty());
    assert_eq!(reader.read(R::Content::empty()).await.as_deref(), Ok(&b""[..]));
    let content = R::Content::from_bytes(Bytes::from_static(b"hello"));
    assert!(!content.is_empty());
    assert_eq!(reader.read(content.limited(5)).await.as_deref(), Ok(&b"hello"[..]));
    let cut = R::Content::from_bytes(Bytes::from_static(b"hello")).limited(4);
    assert!(reader.read(cut).await.is_err());
}
