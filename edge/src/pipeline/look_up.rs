//! look up: reads the response cache, if the route has one and the request may use it.

use std::pin::pin;

use http::header::{AGE, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use tollgate_core::authn::Principal;
use tollgate_core::cache::{
    Assessment, CacheKey, CacheSettings, Caller, Forwarded, Plan, Reading, StoredMeta, assess, not_modified, plan,
    primary_key, resource_key,
};
use tollgate_core::event::{Local, Phase, Reason, Verdict};
use tollgate_core::forward::{Outbound, Reply, has_no_content};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::RecordError;

use super::exchange::{Answer, Changes, Exchange, Journal};
use super::outbound::target;
use super::step::Step;
use super::upstream_auth::exchanged;
use crate::apart::apart;
use crate::isolate::Isolate;
use crate::ports::{Content, Host, ResponseCache, Stored, Unavailable};
use crate::problems::unusable_page;
use crate::site::Site;
use crate::timeout::within;

/// How a forwarded request uses the cache.
pub(super) struct CacheUse<'a, C> {
    pub(super) reading: Reading,
    pub(super) settings: &'a CacheSettings,
    /// A stored response to validate, and its key.
    pub(super) stale: Option<(CacheKey, Stored<C>)>,
    /// When the response was requested: before the request was sent.
    pub(super) requested_at: Timestamp,
    /// When the index of the resource's variants was created, if there is one.
    pub(super) index_since: Option<Timestamp>,
    /// The entry that records a change of the resource, if nothing was stored since.
    pub(super) change: Option<StoredMeta>,
}

pub(super) async fn look_up<'a, H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &'a Exchange,
    outbound: &Outbound<'_>,
    principal: Option<&Principal>,
    journal: &mut Journal,
) -> Step<Option<Box<CacheUse<'a, H::Content>>>, H::Content> {
    if !outbound.method().is_safe() {
        let changes = changed_by(exchange, outbound).map_err(|error| unusable_page(&error, &exchange.site));
        journal.changes = changes.map_err(|problem| journal.refused(Phase::LookUp, problem))?;
    }
    match &exchange.route().cache {
        None => Ok(None),
        Some(settings) => apart(pin!(stored(isolate, host, exchange, settings, outbound, principal, journal))).await,
    }
}

/// The answer, if it is stored; otherwise how the cache is used.
async fn stored<'a, H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &'a Exchange,
    settings: &'a CacheSettings,
    outbound: &Outbound<'_>,
    principal: Option<&Principal>,
    journal: &mut Journal,
) -> Step<Option<Box<CacheUse<'a, H::Content>>>, H::Content> {
    let caller = principal
        .filter(|p| !p.is_anonymous)
        .map(|p| Caller { consumer: p.consumer.as_str(), exchanged: exchanged(exchange, p).map(|(_, text)| text) });
    let reading = match plan(settings, exchange.taken(), outbound, caller, isolate.cache_keys(host)) {
        Plan::Use(reading) => reading,
        Plan::Bypass { why, only_if_cached } => {
            may_forward(only_if_cached, journal)?;
            journal.note(Phase::LookUp, Verdict::Skip, Reason::CacheBypass { why });
            return Ok(None);
        }
    };
    journal.resource = Some(reading.resource.clone());
    let Found { stored: found, why: missing, index_since, change } = match find(isolate, host, outbound, &reading).await
    {
        Ok(found) => found,
        Err(error) => {
            may_forward(reading.control.only_if_cached, journal)?;
            let text = Local(error.0.into());
            journal.note(Phase::LookUp, Verdict::OpenOnFailure, Reason::CacheUnavailable { text });
            return Ok(None);
        }
    };
    let now = isolate.time(host.clock());
    let (why, stale) = match found {
        None => (missing, None),
        Some((key, stored)) => {
            match assess(&stored.meta, &reading.control, isolate.time_since(stored.meta.stored_at, now)) {
                Assessment::Fresh { age_s, ttl_s } => {
                    journal.note(Phase::LookUp, Verdict::Answer, Reason::CacheHit { ttl_s: Local(ttl_s) });
                    let fields = stored.meta.header_map();
                    return Err(Answer::new(stored_response(exchange, stored, fields, age_s)).into());
                }
                Assessment::Stale => (Forwarded::Stale, Some((key, stored))),
                Assessment::Unwanted => (Forwarded::Request, Some((key, stored))),
                Assessment::Gone => (Forwarded::UriMiss, None),
            }
        }
    };
    may_forward(reading.control.only_if_cached, journal)?;
    journal.note(Phase::LookUp, Verdict::Pass, Reason::CacheForward { why });
    Ok(Some(Box::new(CacheUse { reading, settings, stale, requested_at: now, index_since, change })))
}

/// Refuses a request that must not be forwarded (RFC 9111, section 5.2.1.7).
fn may_forward(only_if_cached: bool, journal: &mut Journal) -> Result<(), Problem> {
    if !only_if_cached {
        return Ok(());
    }
    let detail = "The request has only-if-cached, and no stored response can be used.";
    Err(journal.refused(Phase::LookUp, Problem::new(ProblemKind::NotStored, detail, Reason::OnlyIfCached)))
}

impl<C> CacheUse<'_, C> {
    /// The stored response that has to be validated.
    pub(super) fn stale(&self) -> Option<&StoredMeta> {
        self.stale.as_ref().map(|(_, stored)| &stored.meta)
    }
}

/// The answer with a stored response, with these fields instead of the stored ones, or a 304 if the client already has
/// it.
pub(super) fn stored_response<C: Content>(
    exchange: &Exchange,
    stored: Stored<C>,
    mut fields: HeaderMap,
    age_s: u64,
) -> Reply<C> {
    let received = &exchange.received;
    fields.insert(AGE, HeaderValue::from(age_s));
    let mut response = Response::new(C::empty());
    let status = stored.meta.status_code();
    if status.is_success() && not_modified(&received.fields, &fields, stored.meta.stored_at) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.headers_mut() = fields;
        return Reply::own(response);
    }
    if let Some(bytes) = stored.meta.content_bytes {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    *response.status_mut() = status;
    *response.headers_mut() = fields;
    if received.method != Method::HEAD && !has_no_content(status) {
        *response.body_mut() = stored.content;
    }
    Reply::own(response)
}

/// The stored response for a request.
struct Found<C> {
    /// The response and its key.
    stored: Option<(CacheKey, Stored<C>)>,
    /// Why the request has to be forwarded, if nothing is stored.
    why: Forwarded,
    index_since: Option<Timestamp>,
    change: Option<StoredMeta>,
}

async fn find<H: Host>(
    isolate: &Isolate,
    host: &H,
    outbound: &Outbound<'_>,
    reading: &Reading,
) -> Result<Found<H::Content>, Unavailable> {
    if let Some(unknown) = isolate.config.why_purges_are_unknown() {
        return Err(Unavailable::new(unknown));
    }
    let cache = host.response_cache();
    let usable = |meta: &StoredMeta| !isolate.is_purged(&reading.resource, meta.requested_at);
    let nothing = Found { stored: None, why: Forwarded::UriMiss, index_since: None, change: None };
    let first = within(host, "the response cache", cache.look_up(&reading.primary)).await?;
    let Some(stored) = first.filter(|s| usable(&s.meta)) else { return Ok(nothing) };
    match &stored.meta.varies_on {
        None => Ok(Found { stored: Some((reading.primary.clone(), stored)), ..nothing }),
        // The resource was changed, and nothing has been stored since.
        Some(names) if names.is_empty() => Ok(Found { change: Some(stored.meta), ..nothing }),
        Some(names) => {
            let since = stored.meta.stored_at;
            let key = reading.variant(names, outbound, isolate.cache_keys(host));
            let variant = within(host, "the response cache", cache.look_up(&key)).await?;
            let stored =
                variant.filter(|v| usable(&v.meta) && v.meta.requested_at >= since).map(|stored| (key, stored));
            // Whether others have stored responses is not this client's concern.
            let why = if *names == reading.selecting { Forwarded::UriMiss } else { Forwarded::VaryMiss };
            Ok(Found { stored, why, index_since: Some(since), ..nothing })
        }
    }
}

/// The stored responses that an unsafe method invalidates if it succeeds: those that a GET for the same URL would use.
fn changed_by(exchange: &Exchange, outbound: &Outbound<'_>) -> Result<Option<Changes>, RecordError> {
    let received = &exchange.received;
    let resource = outbound.resource();
    let resources = Site::resources(&exchange.sites, &received.host, &received.path, resource.query)?;
    if resources.is_empty() {
        return Ok(None);
    }
    let primary = exchange.route_of_get()?.and_then(|(site, selected)| {
        let route = selected.route();
        let cache = route.cache.as_ref()?;
        let target = target(exchange, site, route, &Method::GET).ok()?;
        let resource = resource_key(cache, resource, CacheKey::digest);
        Some(primary_key(
            cache,
            selected.taken(received.client.inside),
            &target,
            outbound.fields(),
            &resource,
            CacheKey::digest,
        ))
    });
    Ok(Some(Changes { resources, primary }))
}
