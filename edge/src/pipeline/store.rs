//! store: decides whether the response is stored; its content is copied to the cache while it streams to the client.

use http::{Method, Response, StatusCode};
use tollgate_core::bounds::STORED_CONTENT_BYTES_MAX;
use tollgate_core::cache::{CacheKey, Confirmed, NotStored, StoredMeta, confirm, storable};
use tollgate_core::event::{Local, Phase, Reason, Verdict};
use tollgate_core::forward::{Outbound, Reply};
use tollgate_core::time::Timestamp;

use super::exchange::{Answer, Changes, Exchange, Journal, ToStore};
use super::look_up::{CacheUse, stored_response};
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::ports::{Content, Host, ResponseCache, Stored, complete};
use crate::timeout::within;

/// The answer: the upstream's response, or the stored one that the upstream confirmed.
pub(super) async fn store<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    outbound: &Outbound<'_>,
    response: Response<H::Content>,
    cache: Option<CacheUse<'_, H::Content>>,
    journal: &mut Journal,
) -> Answer<H::Content> {
    changed(isolate, host, response.status(), journal).await;
    match cache {
        None => Answer::new(Reply::of_upstream(response)),
        Some(cache) => of_cached_route(isolate, host, exchange, outbound, response, cache, journal),
    }
}

/// Invalidates what the request has changed, if its response says that it has.
pub(super) async fn changed<H: Host>(isolate: &Isolate, host: &H, status: StatusCode, journal: &mut Journal) {
    if let Some(changes) = journal.changes.take()
        && (status.is_success() || status.is_redirection())
    {
        let now = isolate.changed_at(isolate.time(host.clock()));
        rare(invalidate(isolate, host, changes, now)).await;
    }
}

/// The answer of a route that is cached.
#[inline(never)]
fn of_cached_route<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    outbound: &Outbound<'_>,
    mut response: Response<H::Content>,
    mut cache: CacheUse<'_, H::Content>,
    journal: &mut Journal,
) -> Answer<H::Content> {
    let now = isolate.time(host.clock());
    let left_out = response.body().left_out();
    complete(response.headers_mut(), left_out);
    let has_content = !response.body().is_empty();
    // Before the content is copied: the copy of content that is dropped would be incomplete.
    let reply = Reply::of_upstream(response).as_status_allows(has_content, H::Content::empty);
    let arrival = Arrival { now, is_outdated: isolate.is_purged(&cache.reading.resource, cache.requested_at) };
    match cache.stale.take() {
        Some((key, stored)) if reply.status() == StatusCode::NOT_MODIFIED => {
            let age_ms = stored.meta.age_ms(isolate.time_since(stored.meta.stored_at, now));
            let stale = Stale { key, stored, age_ms };
            confirmed(exchange, outbound, stale, &reply, &cache, arrival, journal)
        }
        _ => new_response(outbound, reply, &cache, arrival, journal),
    }
}

/// The arrival of a response.
#[derive(Clone, Copy)]
struct Arrival {
    now: Timestamp,
    /// Whether this isolate knows that the resource was changed or purged after the request was sent.
    is_outdated: bool,
}

/// A stored response that was validated.
struct Stale<C> {
    key: CacheKey,
    stored: Stored<C>,
    age_ms: u64,
}

/// Invalidates the stored responses of a changed resource: in this isolate for all variants and consumers, in the
/// isolates that share its store for what the same client would read. It runs before the reply, so that the client
/// reads its own write.
async fn invalidate<H: Host>(isolate: &Isolate, host: &H, changes: Changes, now: Timestamp) {
    changes.resources.iter().for_each(|resource| isolate.invalidate(resource, now));
    let Some(primary) = changes.primary else { return };
    let nothing = StoredMeta::nothing(now);
    // While the cache is unavailable, it answers nothing; when it is available again, lifetimes bound the time that an
    // outdated response is used.
    let _ = within(host, "the response cache", host.response_cache().store(&primary, &nothing, None)).await;
}

/// The upstream answered 304: the answer is the stored response with the updated fields, and if it may be stored, its
/// lifetime starts again.
fn confirmed<C: Content>(
    exchange: &Exchange,
    outbound: &Outbound<'_>,
    stale: Stale<C>,
    confirmation: &Reply<C>,
    cache: &CacheUse<'_, C>,
    Arrival { now, is_outdated }: Arrival,
    journal: &mut Journal,
) -> Answer<C> {
    let Stale { key, stored, age_ms } = stale;
    let confirmed = confirm(cache.settings, &stored.meta, confirmation.fields(), cache.requested_at, now);
    let to_store = match &confirmed {
        Confirmed::Renewed(meta) if !is_outdated => renewals(outbound, cache, key, &stored.meta, meta),
        Confirmed::Renewed(_) | Confirmed::Once { .. } | Confirmed::Unchanged => None,
    };
    journal.note(Phase::Store, Verdict::Pass, Reason::Confirmed { kept: to_store.is_some() });
    let (fields, age_s, why) = match confirmed {
        Confirmed::Renewed(meta) => {
            // With another `Vary` it has another key, under which its content is not stored.
            let why = if is_outdated { NotStored::Outdated } else { NotStored::Varies };
            (meta.header_map(), meta.initial_age_ms / 1000, why)
        }
        Confirmed::Once { fields, age_s, why } => (fields, age_s, why),
        Confirmed::Unchanged => (stored.meta.header_map(), age_ms / 1000, NotStored::OtherValidator),
    };
    if to_store.is_none() {
        journal.note(Phase::Store, Verdict::Skip, Reason::NotStored { why });
    }
    Answer { reply: stored_response(exchange, stored, fields, age_s), to_store: to_store.unwrap_or_default() }
}

fn new_response<C: Content>(
    outbound: &Outbound<'_>,
    reply: Reply<C>,
    cache: &CacheUse<'_, C>,
    arrival: Arrival,
    journal: &mut Journal,
) -> Answer<C> {
    let meta = match judge(outbound, &reply, cache, arrival) {
        Ok(meta) => meta,
        Err(why) => {
            journal.note(Phase::Store, Verdict::Skip, Reason::NotStored { why });
            return Answer::new(reply);
        }
    };
    let length = meta.content_bytes.or_else(|| reply.content().length());
    let whole = Local(length.is_some_and(|bytes| bytes <= STORED_CONTENT_BYTES_MAX));
    journal.note(Phase::Store, Verdict::Pass, Reason::Stored { fresh_s: Local(meta.fresh_ms / 1000), whole });
    let (reply, copy) = reply.observed(|content| content.tee(STORED_CONTENT_BYTES_MAX));
    Answer { reply, to_store: entries(outbound, cache, meta, copy) }
}

fn judge<C>(
    outbound: &Outbound<'_>,
    reply: &Reply<C>,
    cache: &CacheUse<'_, C>,
    Arrival { now, is_outdated }: Arrival,
) -> Result<StoredMeta, NotStored> {
    if outbound.method() != Method::GET {
        return Err(NotStored::Status);
    }
    if is_outdated {
        return Err(NotStored::Outdated);
    }
    let meta = storable(cache.settings, reply.status(), reply.fields(), cache.requested_at, now)?;
    if meta.may_replace(cache.change.as_ref(), now) { Ok(meta) } else { Err(NotStored::Outdated) }
}

/// The entries to store: the response, and if it varies, the index of its variants.
fn entries<C: Content>(
    outbound: &Outbound<'_>,
    cache: &CacheUse<'_, C>,
    mut meta: StoredMeta,
    copy: C::Copy,
) -> Vec<ToStore<C>> {
    let primary = &cache.reading.primary;
    let Some(names) = cache.reading.varies_on(meta.varies_on.take().as_deref()) else {
        return vec![ToStore::Response { key: primary.clone(), meta, copy }];
    };
    let key = cache.reading.variant(&names, outbound, CacheKey::digest);
    vec![index(cache, &meta, names), ToStore::Response { key, meta, copy }]
}

/// The entries to renew, with unchanged content: the response, and the index of its variants. `None` if the renewed response
/// has another key than the stored one.
fn renewals<C: Content>(
    outbound: &Outbound<'_>,
    cache: &CacheUse<'_, C>,
    key: CacheKey,
    confirmed: &StoredMeta,
    renewed: &StoredMeta,
) -> Option<Vec<ToStore<C>>> {
    let (reading, confirmed, mut renewed) = (&cache.reading, confirmed.clone(), renewed.clone());
    let names = reading.varies_on(renewed.varies_on.take().as_deref());
    let own = names
        .as_ref()
        .map_or_else(|| reading.primary.clone(), |names| reading.variant(names, outbound, CacheKey::digest));
    if own != key {
        return None;
    }
    let index = names.map(|names| index(cache, &renewed, names));
    Some(index.into_iter().chain([ToStore::Renewal { key, confirmed, renewed }]).collect())
}

fn index<C: Content>(cache: &CacheUse<'_, C>, meta: &StoredMeta, names: Vec<String>) -> ToStore<C> {
    let meta = meta.index(names, cache.index_since.unwrap_or(meta.requested_at));
    ToStore::Index { key: cache.reading.primary.clone(), meta }
}
