//! The contract of [`ResponseCache`], together with the content it stores.

use bytes::Bytes;
use futures_util::future::join;
use tollgate_core::bounds::STORED_WITHIN_MS;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_edge::ports::{Clock, Content, Host, ResponseCache, Stored};

use crate::breach::{present, same_bytes};
use crate::stage::{Server, Store, set_unavailable};
use crate::upstream::stream;
use crate::{Breach, ContentOf, Outcome, Subject};

/// A stored response is found, with its metadata, under its own key only.
pub(crate) async fn finds_what_was_stored<S: Subject>(subject: &S) -> Outcome {
    absent(subject, 1).await?;
    let (content, meta) = (vec![b'x'; 300_000], meta(subject, 203));
    let sent = store(subject, 1, &meta, bytes::<S>(&content), 1 << 20).await?;
    same_bytes(&sent, &content, "what the client gets")?;
    for _ in 0..2 {
        let found = found(subject, 1).await?;
        ensure_eq!(found.meta, meta, "the metadata");
        same_bytes(&subject.read(found.content).await?, &content, "the stored content")?;
    }
    absent(subject, 2).await
}

/// A later response completely replaces an earlier one.
pub(crate) async fn replaces<S: Subject>(subject: &S) -> Outcome {
    for text in ["a longer first one", "second"] {
        store(subject, 3, &meta(subject, 200), bytes::<S>(text.as_bytes()), 1 << 20).await?;
        let found = found(subject, 3).await?;
        same_bytes(&subject.read(found.content).await?, text.as_bytes(), text)?;
    }
    Ok(())
}

/// An entry without content, such as the index of a response that varies, is stored, too.
pub(crate) async fn stores_an_entry_without_content<S: Subject>(subject: &S) -> Outcome {
    let index = StoredMeta { varies_on: Some(vec!["accept".into()]), ..meta(subject, 200) };
    subject.host().response_cache().store(&key(4)?, &index, None).await?;
    let found = found(subject, 4).await?;
    ensure_eq!(found.meta, index, "the metadata");
    same_bytes(&subject.read(found.content).await?, b"", "no content")
}

/// A stream of an upstream reaches the client and the store completely.
pub(crate) async fn stores_streams<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let content = stream(subject, &server, "chunks=5&every_ms=20").await?;
    let sent = store(subject, 9, &meta(subject, 200), content, 1 << 20).await?;
    ensure!(!sent.is_empty(), "the client gets nothing");
    same_bytes(&subject.read(found(subject, 9).await?.content).await?, &sent, "the stored content")
}

/// Bytes beyond the bound reach the client completely and are not stored.
pub(crate) async fn bytes_that_are_too_long_are_not_stored<S: Subject>(subject: &S) -> Outcome {
    let content = vec![b'y'; 10_000];
    let sent = store(subject, 5, &meta(subject, 200), bytes::<S>(&content), 9_999).await?;
    same_bytes(&sent, &content, "what the client gets")?;
    absent(subject, 5).await
}

/// A stream beyond the bound reaches the client completely and is not stored.
pub(crate) async fn a_stream_that_is_too_long_is_not_stored<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let content = stream(subject, &server, "size=200000").await?;
    let sent = store(subject, 10, &meta(subject, 200), content, 199_999).await?;
    ensure_eq!(sent.len(), 200_000, "the bytes the client gets");
    absent(subject, 10).await
}

/// Content that its upstream aborts is not stored.
pub(crate) async fn interrupted_content_is_not_stored<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    for query in ["size=100000&break=body", "chunks=9&break=body"] {
        let content = stream(subject, &server, query).await?;
        let sent = store(subject, 11, &meta(subject, 200), content, 1 << 20).await;
        ensure!(sent.is_err(), "{query}: complete for the client");
        absent(subject, 11).await?;
    }
    Ok(())
}

/// Content that fails at a limit is not stored.
pub(crate) async fn content_beyond_a_limit_is_not_stored<S: Subject>(subject: &S) -> Outcome {
    let content = bytes::<S>(&[b'z'; 10_000]).limited(5_000);
    let sent = store(subject, 6, &meta(subject, 200), content, 1 << 20).await;
    ensure!(sent.is_err(), "complete for the client");
    absent(subject, 6).await
}

/// An unavailable store returns an error.
pub(crate) async fn unavailable_is_an_error<S: Subject>(subject: &S) -> Outcome {
    let (cache, meta) = (subject.host().response_cache(), meta(subject, 200));
    store(subject, 7, &meta, bytes::<S>(b"kept"), 1 << 20).await?;
    set_unavailable(subject, Store::ResponseCache, true).await?;
    ensure!(cache.look_up(&key(7)?).await.is_err(), "found while the store was unavailable");
    ensure!(cache.store(&key(8)?, &meta, None).await.is_err(), "stored while the store was unavailable");
    set_unavailable(subject, Store::ResponseCache, false).await?;
    found(subject, 7).await?;
    absent(subject, 8).await
}

/// A slow response does not replace the response to a later request, nor an entry that was changed meanwhile.
pub(crate) async fn never_replaces_a_newer_entry<S: Subject>(subject: &S) -> Outcome {
    let newer = meta(subject, 200);
    let older = StoredMeta { requested_at: newer.requested_at.minus_millis(5_000), ..newer.clone() };
    store(subject, 12, &newer, bytes::<S>(b"newer"), 1 << 20).await?;
    let sent = store(subject, 12, &older, bytes::<S>(b"older"), 1 << 20).await?;
    same_bytes(&sent, b"older", "what the client gets")?;
    same_bytes(&subject.read(found(subject, 12).await?.content).await?, b"newer", "what is stored")?;
    let nothing = StoredMeta::nothing(newer.requested_at);
    subject.host().response_cache().store(&key(13)?, &nothing, None).await?;
    store(subject, 13, &older, bytes::<S>(b"older"), 1 << 20).await?;
    ensure_eq!(found(subject, 13).await?.meta, nothing, "what was changed");
    Ok(())
}

/// A response without content is stored although nobody reads its content: it is replaced where the status allows none.
pub(crate) async fn stores_a_response_without_content<S: Subject>(subject: &S) -> Outcome {
    let (for_client, copy) = ContentOf::<S>::empty().tee(1 << 20);
    drop(for_client);
    let meta = StoredMeta { content_bytes: Some(0), ..meta(subject, 204) };
    subject.host().response_cache().store(&key(19)?, &meta, Some(copy)).await?;
    let found = found(subject, 19).await?;
    ensure_eq!(found.meta, meta, "the metadata");
    same_bytes(&subject.read(found.content).await?, b"", "no content")
}

/// Content of another length than announced is not stored, whether it arrives as bytes or as a stream.
pub(crate) async fn content_of_another_length_is_not_stored<S: Subject>(subject: &S) -> Outcome {
    for announced in [0, 4, 6] {
        let meta = StoredMeta { content_bytes: Some(announced), ..meta(subject, 200) };
        store(subject, 16, &meta, bytes::<S>(b"hello"), 1 << 20).await?;
        absent(subject, 16).await?;
    }
    let meta = StoredMeta { content_bytes: Some(5), ..meta(subject, 200) };
    store(subject, 16, &meta, bytes::<S>(b"hello"), 1 << 20).await?;
    ensure_eq!(found(subject, 16).await?.meta, meta, "the metadata");
    Ok(())
}

/// A response whose copy is complete long after its request is not stored: a change of it may be forgotten by then.
pub(crate) async fn a_late_response_is_not_stored<S: Subject>(subject: &S) -> Outcome {
    let late = |meta: StoredMeta| {
        let requested_at = meta.requested_at.minus_millis(STORED_WITHIN_MS + 10_000);
        StoredMeta { requested_at, ..meta }
    };
    store(subject, 17, &late(meta(subject, 200)), bytes::<S>(b"late"), 1 << 20).await?;
    absent(subject, 17).await?;
    let index = StoredMeta { varies_on: Some(vec!["accept".into()]), ..late(meta(subject, 200)) };
    subject.host().response_cache().store(&key(17)?, &index, None).await?;
    absent(subject, 17).await
}

/// The comparison with the stored entry is made when the copy is complete, not when it begins.
pub(crate) async fn a_copy_that_takes_time_does_not_replace_a_change<S: Subject>(subject: &S) -> Outcome {
    let server = Server::start(subject).await?;
    let content = stream(subject, &server, "chunks=5&every_ms=100").await?;
    let (older, cache) = (meta(subject, 200), subject.host().response_cache());
    let nothing = StoredMeta::nothing(older.requested_at.plus_millis(20));
    let change = async {
        subject.host().clock().sleep(150).await;
        cache.store(&key(18)?, &nothing, None).await.map_err(Breach::from)
    };
    let (sent, changed) = join(store(subject, 18, &older, content, 1 << 20), change).await;
    changed?;
    ensure!(!sent?.is_empty(), "the client gets nothing");
    ensure_eq!(found(subject, 18).await?.meta, nothing, "what was changed");
    Ok(())
}

/// A confirmed response has its new metadata and unchanged content.
pub(crate) async fn touch_renews_only_the_metadata<S: Subject>(subject: &S) -> Outcome {
    let (content, confirmed) = (vec![b'x'; 300_000], meta(subject, 200));
    store(subject, 14, &confirmed, bytes::<S>(&content), 1 << 20).await?;
    let renewed = renewed(&confirmed);
    subject.host().response_cache().touch(&key(14)?, &confirmed, &renewed).await?;
    let found = found(subject, 14).await?;
    ensure_eq!(found.meta, renewed, "the metadata");
    same_bytes(&subject.read(found.content).await?, &content, "the content")
}

/// If another entry than the confirmed one is stored, or none, nothing is changed.
pub(crate) async fn touch_changes_nothing_else<S: Subject>(subject: &S) -> Outcome {
    let (confirmed, cache) = (meta(subject, 200), subject.host().response_cache());
    cache.touch(&key(15)?, &confirmed, &renewed(&confirmed)).await?;
    absent(subject, 15).await?;
    let other = StoredMeta { fields: vec![("etag".into(), "\"other\"".into())], ..confirmed.clone() };
    store(subject, 15, &other, bytes::<S>(b"other"), 1 << 20).await?;
    cache.touch(&key(15)?, &confirmed, &renewed(&confirmed)).await?;
    ensure_eq!(found(subject, 15).await?.meta, other, "the metadata");
    Ok(())
}

fn renewed(confirmed: &StoredMeta) -> StoredMeta {
    let fields = vec![("x-new".into(), "1".into())];
    let requested_at = confirmed.requested_at.plus_millis(20);
    StoredMeta { fields, requested_at, stored_at: requested_at, fresh_ms: 7_200_000, ..confirmed.clone() }
}

/// Sends content to a client while it is stored, like the pipeline; returns what the client received.
async fn store<S: Subject>(
    subject: &S,
    number: u64,
    meta: &StoredMeta,
    content: ContentOf<S>,
    bytes_max: u64,
) -> Result<Vec<u8>, Breach> {
    let (for_client, copy) = content.tee(bytes_max);
    let key = key(number)?;
    let storing = subject.host().response_cache().store(&key, meta, Some(copy));
    let (read, stored) = join(subject.read(for_client), storing).await;
    let read = read?;
    stored?;
    Ok(read)
}

async fn found<S: Subject>(subject: &S, number: u64) -> Result<Stored<ContentOf<S>>, Breach> {
    present(subject.host().response_cache().look_up(&key(number)?).await?, "the entry")
}

async fn absent<S: Subject>(subject: &S, number: u64) -> Outcome {
    let found = subject.host().response_cache().look_up(&key(number)?).await?;
    ensure!(found.is_none(), "entry {number} is there");
    Ok(())
}

/// A key whose slot, if the store has slots, differs from that of every other number.
fn key(number: u64) -> Result<CacheKey, Breach> {
    present(CacheKey::parse(&format!("{number:03x}{number:061x}")), "a key")
}

fn meta<S: Subject>(subject: &S, status: u16) -> StoredMeta {
    StoredMeta {
        v: StoredMeta::VERSION,
        status,
        fields: vec![("content-type".into(), "text/plain".into()), ("x-two".into(), "é".into())],
        stored_at: subject.host().clock().now(),
        requested_at: subject.host().clock().now(),
        initial_age_ms: 0,
        fresh_ms: 3_600_000,
        keep_ms: 3_600_000,
        content_bytes: None,
        varies_on: None,
    }
}

fn bytes<S: Subject>(content: &[u8]) -> ContentOf<S> {
    ContentOf::<S>::from_bytes(Bytes::copy_from_slice(content))
}
