//! store: decides whether the response is stored; its content is copied to the cache while it streams to the client.

use http::{Method, Response, StatusCode};
use tollgate_core::bounds::STORED_CONTENT_BYTES_MAX;
use tollgate_core::cache::{Confirmed, NotStored, StoredMeta, confirm, storable, variant_key};
use tollgate_core::event::{Local, Phase, Reason, Verdict};
use tollgate_core::forward::{Outbound, Reply};
use tollgate_core::time::Timestamp;

use super::exchange::{Answer, Changes, Exchange, Journal, ToStore};
use super::look_up::{CacheUse, stored_response};
use crate::isolate::Isolate;
use crate::ports::{Clock, Content, Host, ResponseCache, Stored};
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
    let now = host.clock().now();
    if let Some(changes) = journal.changes.take()
        && (response.status().is_success() || response.status().is_redirection())
    {
        invalidate(isolate, host, changes, isolate.changed_at(now)).await;
    }
    let reply = Reply::of_upstream(response);
    let Some(mut cache) = cache else { return Answer::new(reply) };
    match cache.stale.take() {
        Some(stale) if reply.status() == StatusCode::NOT_MODIFIED => {
            confirmed(exchange, outbound, stale, &reply, &cache, now, journal)
        }
        _ => new_response(outbound, reply, &cache, now, journal),
    }
}

/// Invalidates the stored responses of a changed resource: in this isolate for all variants and consumers, in the
/// isolates that share its store for what the same client would read. It runs before the reply, so that the client
/// reads its own write.
async fn invalidate<H: Host>(isolate: &Isolate, host: &H, changes: Changes, now: Timestamp) {
    for resource in changes.resources {
        isolate.invalidate(resource, now);
    }
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
    stale: Stored<C>,
    confirmation: &Reply<C>,
    cache: &CacheUse<'_, C>,
    now: Timestamp,
    journal: &mut Journal,
) -> Answer<C> {
    let confirmed = confirm(cache.settings, &stale.meta, confirmation.fields(), cache.requested_at, now);
    let kept = matches!(confirmed, Confirmed::Renewed(_));
    journal.note(Phase::Store, Verdict::Pass, Reason::Confirmed { kept });
    let (fields, age_s, why) = match confirmed {
        Confirmed::Renewed(meta) => {
            let to_store = renewals(outbound, cache, &stale.meta, &meta);
            let reply = stored_response(exchange, stale, meta.header_map(), meta.initial_age_ms / 1000);
            return Answer { reply, to_store };
        }
        Confirmed::Once { fields, age_s, why } => (fields, age_s, why),
        Confirmed::Unchanged => (stale.meta.header_map(), stale.meta.age_ms(now) / 1000, NotStored::OtherValidator),
    };
    journal.note(Phase::Store, Verdict::Skip, Reason::NotStored { why });
    Answer::new(stored_response(exchange, stale, fields, age_s))
}

fn new_response<C: Content>(
    outbound: &Outbound<'_>,
    reply: Reply<C>,
    cache: &CacheUse<'_, C>,
    now: Timestamp,
    journal: &mut Journal,
) -> Answer<C> {
    let judged = if outbound.method() == Method::GET {
        storable(cache.settings, reply.status(), reply.fields(), cache.requested_at, now)
    } else {
        Err(NotStored::Status)
    };
    let meta = match judged {
        Ok(meta) => meta,
        Err(why) => {
            journal.note(Phase::Store, Verdict::Skip, Reason::NotStored { why });
            return Answer::new(reply);
        }
    };
    journal.note(Phase::Store, Verdict::Pass, Reason::Stored { fresh_s: Local(meta.fresh_ms / 1000) });
    let (reply, copy) = reply.observed(|content| content.tee(STORED_CONTENT_BYTES_MAX));
    Answer { reply, to_store: entries(outbound, cache, meta, copy) }
}

/// The entries to store: the response, and if it varies, the index of its variants.
fn entries<C: Content>(
    outbound: &Outbound<'_>,
    cache: &CacheUse<'_, C>,
    meta: StoredMeta,
    copy: C::Copy,
) -> Vec<ToStore<C>> {
    let primary = &cache.reading.primary;
    let Some(names) = meta.varies_on.clone() else {
        return vec![ToStore::Response { key: primary.clone(), meta, copy }];
    };
    let key = variant_key(primary, &names, outbound);
    let index = index(cache, &meta, names);
    vec![index, ToStore::Response { key, meta: StoredMeta { varies_on: None, ..meta }, copy }]
}

/// The entries to renew, with unchanged content: the response, and the index of its variants.
fn renewals<C: Content>(
    outbound: &Outbound<'_>,
    cache: &CacheUse<'_, C>,
    confirmed: &StoredMeta,
    renewed: &StoredMeta,
) -> Vec<ToStore<C>> {
    let (primary, confirmed, mut renewed) = (&cache.reading.primary, confirmed.clone(), renewed.clone());
    let Some(names) = renewed.varies_on.take() else {
        return vec![ToStore::Renewal { key: primary.clone(), confirmed, renewed }];
    };
    let key = variant_key(primary, &names, outbound);
    vec![index(cache, &renewed, names), ToStore::Renewal { key, confirmed, renewed }]
}

fn index<C: Content>(cache: &CacheUse<'_, C>, meta: &StoredMeta, names: Vec<String>) -> ToStore<C> {
    let meta = meta.index(names, cache.index_since.unwrap_or(meta.requested_at));
    ToStore::Index { key: cache.reading.primary.clone(), meta }
}
