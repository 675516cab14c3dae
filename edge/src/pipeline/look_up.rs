//! look up: the response cache is asked, where the route has one and the request may use it.

use http::header::{AGE, CONTENT_LENGTH};
use http::{HeaderValue, Method, Response, StatusCode};
use tollgate_core::authn::Principal;
use tollgate_core::cache::{
    Assessment, Bypass, CacheOutcome, CacheSettings, Forwarded, Plan, Reading, StoredMeta, assess, not_modified, plan,
    primary_key, resource_key, variant_key,
};
use tollgate_core::forward::{Outbound, Reply};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::Timestamp;
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Answer, Changes, Exchange, Journal};
use crate::isolate::Isolate;
use crate::patience::within;
use crate::ports::{Clock, Content, Host, ResponseCache, Stored, Unavailable};
use crate::site::Site;

/// What the cache says.
pub(super) enum LookedUp<'a, C: Content> {
    /// Here is the response.
    Hit(Box<Answer<C>>),
    /// Forward; with a cache in use, this is how its response is stored.
    Forward(Option<Box<CacheUse<'a, C>>>),
}

/// How a forwarded request uses the cache.
pub(super) struct CacheUse<'a, C> {
    pub(super) reading: Reading,
    pub(super) settings: &'a CacheSettings,
    pub(super) why: Forwarded,
    /// A stored response to validate.
    pub(super) stale: Option<Stored<C>>,
    /// When the response was asked for: before the request was sent.
    pub(super) requested_at: Timestamp,
    /// When the index of the resource's variants was begun, if there is one.
    pub(super) index_since: Option<Timestamp>,
}

pub(super) async fn look_up<'a, H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &'a Exchange,
    outbound: &Outbound<'_>,
    principal: Option<&Principal>,
    journal: &mut Journal,
) -> Result<LookedUp<'a, H::Content>, Problem> {
    let consumer = principal.map(|p| p.consumer.as_str());
    if !outbound.method().is_safe() {
        journal.changes = changed_by(exchange, outbound, consumer);
    }
    let Some(settings) = &exchange.route().cache else { return Ok(LookedUp::Forward(None)) };
    let reading = match plan(settings, exchange.taken(exchange.route()), outbound, consumer) {
        Plan::Use(reading) => reading,
        Plan::Bypass(why) => {
            bypass(why, journal);
            return Ok(LookedUp::Forward(None));
        }
    };
    journal.resource = Some(reading.resource.clone());
    let Found { stored: found, why: missing, index_since } = match find(isolate, host, outbound, &reading).await {
        Ok(found) => found,
        Err(away) => {
            journal.decisions.note(Phase::LookUp, Verdict::OpenOnFailure, away.to_string());
            journal.cache = Some(forwarded(Forwarded::Bypass));
            return Ok(LookedUp::Forward(None));
        }
    };
    let now = host.clock().now();
    let cache_use =
        |why, stale| CacheUse { reading: reading.clone(), settings, why, stale, requested_at: now, index_since };
    let next = match found {
        None => cache_use(missing, None),
        Some(stored) => match assess(&stored.meta, &reading.control, now) {
            Assessment::Fresh { age_s, ttl_s } => {
                journal.decisions.note(Phase::LookUp, Verdict::Answer, format!("hit, fresh for {ttl_s} s"));
                journal.cache = Some(CacheOutcome::Hit { ttl_s });
                return Ok(LookedUp::Hit(Box::new(Answer::new(stored_response(exchange, stored, age_s)))));
            }
            Assessment::Stale => cache_use(Forwarded::Stale, Some(stored)),
            Assessment::Unwanted => cache_use(Forwarded::Request, Some(stored)),
            Assessment::Gone => cache_use(Forwarded::UriMiss, None),
        },
    };
    if reading.control.only_if_cached {
        journal.decisions.note(Phase::LookUp, Verdict::Refuse, "only-if-cached, and nothing usable is stored");
        let detail = "The request says only-if-cached, and no stored response can be used.";
        return Err(Problem::new(ProblemKind::NotStored, detail).logged("only-if-cached"));
    }
    journal.decisions.note(Phase::LookUp, Verdict::Pass, format!("fwd={}", next.why.as_str()));
    journal.cache = Some(forwarded(next.why));
    Ok(LookedUp::Forward(Some(Box::new(next))))
}

/// The answer made of a stored response, or a 304 where the client already has it.
pub(super) fn stored_response<C: Content>(exchange: &Exchange, stored: Stored<C>, age_s: u64) -> Reply<C> {
    let received = &exchange.received;
    let mut fields = stored.meta.header_map();
    fields.insert(AGE, HeaderValue::from(age_s));
    let mut response = Response::new(C::empty());
    if stored.meta.status == StatusCode::OK && not_modified(&received.fields, &fields) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.headers_mut() = fields;
        return Reply::own(response);
    }
    if let Some(bytes) = stored.meta.content_bytes {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    *response.status_mut() = stored.meta.status_code();
    *response.headers_mut() = fields;
    if received.method != Method::HEAD {
        *response.body_mut() = stored.content;
    }
    Reply::own(response)
}

/// What is stored for a request.
struct Found<C> {
    stored: Option<Stored<C>>,
    /// Why it has to be forwarded, where nothing is stored.
    why: Forwarded,
    index_since: Option<Timestamp>,
}

async fn find<H: Host>(
    isolate: &Isolate,
    host: &H,
    outbound: &Outbound<'_>,
    reading: &Reading,
) -> Result<Found<H::Content>, Unavailable> {
    let cache = host.response_cache();
    let usable = |meta: &StoredMeta| !isolate.is_purged(&reading.resource, meta.requested_at);
    let nothing = Found { stored: None, why: Forwarded::UriMiss, index_since: None };
    let first = within(host, "the response cache", cache.look_up(&reading.primary)).await?;
    let Some(stored) = first.filter(|s| usable(&s.meta)) else { return Ok(nothing) };
    match &stored.meta.varies_on {
        None => Ok(Found { stored: Some(stored), ..nothing }),
        // It was changed, and nothing has been stored since.
        Some(names) if names.is_empty() => Ok(nothing),
        Some(names) => {
            let since = stored.meta.stored_at;
            let key = variant_key(&reading.primary, names, outbound);
            let variant = within(host, "the response cache", cache.look_up(&key)).await?;
            let stored = variant.filter(|v| usable(&v.meta) && v.meta.requested_at >= since);
            Ok(Found { stored, why: Forwarded::VaryMiss, index_since: Some(since) })
        }
    }
}

fn bypass(why: Bypass, journal: &mut Journal) {
    let (outcome, reason) = match why {
        Bypass::Method => (Forwarded::Method, "neither GET nor HEAD"),
        Bypass::Credentials => {
            (Forwarded::Bypass, "the request carries credentials, and the route does not say to cache those")
        }
        Bypass::Range => (Forwarded::Bypass, "the request asks for a range"),
        Bypass::NoStore => (Forwarded::Bypass, "the request says no-store"),
        Bypass::Content => (Forwarded::Bypass, "the request has content"),
    };
    journal.decisions.note(Phase::LookUp, Verdict::Skip, reason);
    journal.cache = Some(forwarded(outcome));
}

const fn forwarded(why: Forwarded) -> CacheOutcome {
    CacheOutcome::Forwarded { why, revalidated: false, stored: false }
}

/// What an unsafe method changes, should it succeed: what a GET for the same URL would be answered from.
fn changed_by(exchange: &Exchange, outbound: &Outbound<'_>, consumer: Option<&str>) -> Option<Changes> {
    let received = &exchange.received;
    let resource = outbound.resource();
    let resources = Site::resources(&exchange.sites, &received.host, &received.path, resource.query);
    if resources.is_empty() {
        return None;
    }
    let primary = exchange.route_of_get().and_then(|route| {
        let cache = route.cache.as_ref()?;
        let resource = resource_key(cache, resource);
        Some(primary_key(cache, exchange.taken(route), outbound, consumer, &resource))
    });
    Some(Changes { resources, primary })
}
