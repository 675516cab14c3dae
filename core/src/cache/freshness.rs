//! Whether a stored response may be used, and whether a new one may be stored (RFC 9111, sections 3 and 4).

use http::header::{AGE, CONTENT_LENGTH, DATE, ETAG, EXPIRES, LAST_MODIFIED, SET_COOKIE, VARY};
use http::{HeaderName, StatusCode};

use super::values::{date, declared_length, initial_age_ms, only};
use super::{CacheControl, CacheSettings, NotStored, StoredMeta};
use crate::bounds::{
    CLOCK_SKEW_MS, STORED_CONTENT_BYTES_MAX, STORED_FIELDS_BYTES_MAX, STORED_WITHIN_MS, VARY_NAMES_MAX,
};
use crate::field_name::TRACEPARENT;
use crate::forward::{Fields, is_end_to_end};
use crate::order;
use crate::time::Timestamp;

/// Whether and how a stored response can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assessment {
    /// It may be used without validation.
    Fresh {
        /// Its age, in whole seconds.
        age_s: u64,
        /// How long it stays fresh, in whole seconds.
        ttl_s: u64,
    },
    /// It must be validated first.
    Stale,
    /// The client requires validation.
    Unwanted,
    /// It has expired and must not be used.
    Gone,
}

/// Assesses a stored response for a request with these directives.
#[must_use]
pub fn assess(meta: &StoredMeta, request: &CacheControl, now: Timestamp) -> Assessment {
    if meta.is_gone(now) {
        return Assessment::Gone;
    }
    let age_ms = meta.age_ms(now);
    let fresh_left_ms = meta.stored_at.plus_millis(meta.fresh_ms).millis_since(now);
    let too_old = request.max_age.is_some_and(|s| age_ms > s.saturating_mul(1000));
    let ends_too_soon = request.min_fresh.is_some_and(|s| fresh_left_ms < s.saturating_mul(1000));
    // A clock was set back, or another machine's clock is ahead: the age is unknown.
    let is_from_the_future = meta.stored_at > now.plus_millis(CLOCK_SKEW_MS);
    if fresh_left_ms == 0 || is_from_the_future {
        Assessment::Stale
    } else if request.no_cache || too_old || ends_too_soon {
        Assessment::Unwanted
    } else {
        Assessment::Fresh { age_s: age_ms / 1000, ttl_s: fresh_left_ms / 1000 }
    }
}

/// The metadata to store for a response that was requested at one instant and arrived at another, or why it is not
/// stored.
///
/// # Errors
/// If the response must not be stored.
pub fn storable(
    settings: &CacheSettings,
    status: StatusCode,
    fields: Fields<'_>,
    requested_at: Timestamp,
    now: Timestamp,
) -> Result<StoredMeta, NotStored> {
    if now > requested_at.plus_millis(STORED_WITHIN_MS) {
        return Err(NotStored::Outdated);
    }
    let control = CacheControl::of(fields);
    if control.no_store || control.private {
        return Err(NotStored::Forbidden);
    }
    let lifetime_ms = lifetime_ms(settings, &control, fields, now);
    let by_upstream = settings.ttl_ms.is_none() && lifetime_ms.is_some();
    let more: &[u16] = if by_upstream { &STORED_IF_UPSTREAM_SAYS } else { &[] };
    if !STORED_STATUSES.contains(&status.as_u16()) && !more.contains(&status.as_u16()) {
        return Err(NotStored::Status);
    }
    if fields.contains(SET_COOKIE) {
        return Err(NotStored::SetCookie);
    }
    let content_bytes = declared_length(fields)?;
    if content_bytes.is_some_and(|bytes| bytes > STORED_CONTENT_BYTES_MAX) {
        return Err(NotStored::TooLarge);
    }
    let initial_age_ms = initial_age_ms(fields, requested_at, now);
    let has_validator = [ETAG, LAST_MODIFIED].into_iter().any(|name| only(fields, name).is_some());
    // A configured lifetime begins when the response was requested, the upstream's when it was created.
    let used_ms = if settings.ttl_ms.is_some() { now.millis_since(requested_at) } else { initial_age_ms };
    let fresh_ms = lifetime_ms.unwrap_or(0).saturating_sub(used_ms);
    if fresh_ms == 0 && !has_validator {
        return Err(NotStored::NoLifetime);
    }
    let keep_ms = fresh_ms.saturating_add(if has_validator { VALIDATION_KEEP_MS } else { 0 });
    let varies_on = vary_names(fields)?;
    let fields = stored_fields(fields, now)?;
    let status = status.as_u16();
    let v = StoredMeta::VERSION;
    let stored_at = now;
    Ok(StoredMeta {
        v,
        status,
        fields,
        stored_at,
        requested_at,
        initial_age_ms,
        fresh_ms,
        keep_ms,
        content_bytes,
        varies_on,
    })
}

/// Final status codes that a cache may store (RFC 9110, section 15.1), without partial content.
const STORED_STATUSES: [u16; 9] = [200, 203, 204, 300, 301, 308, 404, 405, 410];

/// Final status codes that are stored only if the upstream sets the lifetime, not with a configured lifetime.
const STORED_IF_UPSTREAM_SAYS: [u16; 6] = [302, 303, 307, 414, 451, 501];

/// How long a stale response with a validator is kept for revalidation.
const VALIDATION_KEEP_MS: u64 = 3_600_000;

fn lifetime_ms(settings: &CacheSettings, control: &CacheControl, fields: Fields<'_>, now: Timestamp) -> Option<u64> {
    if control.no_cache {
        return Some(0);
    }
    let from_control = || control.s_maxage.or(control.max_age).map(|s| s.saturating_mul(1000));
    let from_expires = || {
        // An `Expires` that is not one date means: already stale (RFC 9111, section 5.3).
        let Some(end) = date(fields, EXPIRES, now) else { return fields.contains(EXPIRES).then_some(0) };
        Some(end.millis_since(date(fields, DATE, now).unwrap_or(now)))
    };
    settings.ttl_ms.or_else(from_control).or_else(from_expires).map(|ms| ms.min(LIFETIME_MS_MAX))
}

/// A year: nobody relies on more, and every store can represent it.
const LIFETIME_MS_MAX: u64 = 365 * 24 * 60 * 60 * 1_000;

fn vary_names(fields: Fields<'_>) -> Result<Option<Vec<String>>, NotStored> {
    let mut names = Vec::new();
    for line in fields.get_all(VARY) {
        let line = line.to_str().map_err(|_| NotStored::NotText)?;
        names.extend(line.split(',').map(|n| n.trim().to_ascii_lowercase()).filter(|n| !n.is_empty()));
    }
    let names = order::each_once(names);
    // `*` is a token too, and what is no token may stand for any field. The gateway sends another `traceparent` with each request,
    // so a response that depends on it is for one request.
    let selects = |name: &String| name != "*" && name != TRACEPARENT && HeaderName::from_bytes(name.as_bytes()).is_ok();
    if names.len() > VARY_NAMES_MAX || !names.iter().all(selects) {
        return Err(NotStored::Varies);
    }
    Ok((!names.is_empty()).then_some(names))
}

/// The fields to store. A response without `Date` was created when it arrived (RFC 9110, section 6.6.1).
fn stored_fields(fields: Fields<'_>, now: Timestamp) -> Result<Vec<(String, String)>, NotStored> {
    let mut bytes = 0;
    let mut stored = Vec::new();
    let kept = fields.iter().filter(|(name, _)| is_end_to_end(name) && *name != AGE && *name != CONTENT_LENGTH);
    for (name, value) in kept {
        let text = value.to_str().map_err(|_| NotStored::NotText)?;
        // As JSON: quotation marks are escaped.
        bytes += name.as_str().len() + text.len() + text.matches(['"', '\\', '\t']).count() + LINE_BYTES;
        if bytes > STORED_FIELDS_BYTES_MAX {
            return Err(NotStored::TooLarge);
        }
        stored.push((name.as_str().to_owned(), text.to_owned()));
    }
    if !fields.contains(DATE) {
        stored.push((DATE.as_str().to_owned(), now.to_http_date()));
    }
    Ok(stored)
}

/// The punctuation of one field in the stored form.
const LINE_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheCredentials;
    use http::HeaderMap;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn settings(ttl_ms: Option<u64>) -> CacheSettings {
        CacheSettings { ttl_ms, vary: vec![], credentials: CacheCredentials::Never, key_query: None }
    }

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[track_caller]
    fn check(ttl_ms: Option<u64>, status: u16, pairs: &[(&'static str, &str)], want: Result<(u64, u64), NotStored>) {
        let got = storable(
            &settings(ttl_ms),
            StatusCode::from_u16(status).unwrap(),
            Fields::from(&fields(pairs)),
            Timestamp::EPOCH,
            Timestamp::from_millis(1),
        );
        assert_eq!(got.map(|m| (m.fresh_ms, m.keep_ms)), want, "{status} {pairs:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_may_be_stored_and_for_how_long() {
        let cc = "cache-control";
        check(None, 200, &[(cc, "max-age=60")], Ok((59_999, 59_999)));
        check(None, 200, &[(cc, "max-age=60, s-maxage=5")], Ok((4_999, 4_999)));
        check(None, 200, &[(cc, "max-age=60"), ("age", "20")], Ok((39_999, 39_999)));
        check(None, 200, &[(cc, "max-age=60"), ("etag", "\"a\"")], Ok((59_999, 3_659_999)));
        check(None, 200, &[(cc, "no-cache"), ("etag", "\"a\"")], Ok((0, 3_600_000)));
        check(
            None,
            200,
            &[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("expires", "Sun, 06 Nov 1994 08:50:37 GMT")],
            Ok((59_999, 59_999)),
        );
        check(
            None,
            200,
            &[("date", "Sunday, 06-Nov-94 08:49:37 GMT"), ("expires", "Sun Nov  6 08:50:37 1994")],
            Ok((59_999, 59_999)),
        );
        let twice = [("expires", "Sun, 06 Nov 2094 08:50:37 GMT"), ("expires", "Sun, 06 Nov 2094 08:50:37 GMT")];
        check(None, 200, &twice, Err(NotStored::NoLifetime));
        let year_ms = 31_536_000_000;
        check(None, 200, &[(cc, "max-age=99999999999999999999")], Ok((year_ms - 1, year_ms - 1)));
        check(None, 200, &[("expires", "Fri, 31 Dec 9999 23:59:59 GMT")], Ok((year_ms - 1, year_ms - 1)));
        check(None, 200, &[("expires", "0")], Err(NotStored::NoLifetime));
        check(None, 200, &[], Err(NotStored::NoLifetime));
        check(Some(9_000), 200, &[], Ok((8_999, 8_999)));
        check(Some(9_000), 200, &[(cc, "max-age=1")], Ok((8_999, 8_999)));
        check(Some(9_000), 200, &[(cc, "private")], Err(NotStored::Forbidden));
        check(Some(9_000), 200, &[(cc, "no-store")], Err(NotStored::Forbidden));
        check(None, 302, &[(cc, "max-age=60")], Ok((59_999, 59_999)));
        check(Some(9_000), 302, &[], Err(NotStored::Status));
        check(None, 302, &[("etag", "\"a\"")], Err(NotStored::Status));
        check(Some(9_000), 500, &[], Err(NotStored::Status));
        check(Some(9_000), 206, &[], Err(NotStored::Status));
        check(Some(9_000), 200, &[("set-cookie", "a=b")], Err(NotStored::SetCookie));
        for vary in
            ["*", "Accept, *", "Accept-Language; Accept", "\"Accept-Language\"", "Accept Cookie", "a=b", "Traceparent"]
        {
            check(Some(9_000), 200, &[("vary", vary)], Err(NotStored::Varies));
        }
        check(Some(9_000), 200, &[("content-length", "99999999")], Err(NotStored::TooLarge));
        check(Some(9_000), 200, &[("x", &"\"".repeat(6_200))], Err(NotStored::TooLarge));
        check(Some(9_000), 200, &[("content-length", "5"), ("content-length", "6")], Err(NotStored::Length));
        check(Some(9_000), 200, &[("content-length", "5, 6")], Err(NotStored::Length));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_is_as_old_as_its_date_or_its_age_says() {
        let made = Timestamp::from_rfc3339("1994-11-06T08:49:37Z").unwrap();
        let now = made.plus_millis(30_900);
        for (age, want_ms) in [("0", 30_000), ("50", 10_000), ("x", 30_000)] {
            let fields = fields(&[("cache-control", "max-age=60"), ("date", &made.to_http_date()), ("age", age)]);
            assert_eq!(
                storable(&settings(None), StatusCode::OK, Fields::from(&fields), now, now).unwrap().fresh_ms,
                want_ms,
                "{age}"
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_is_older_by_the_time_that_its_exchange_took() {
        let at = Timestamp::from_millis;
        for ttl_ms in [None, Some(60_000)] {
            let fields = fields(&[("cache-control", "max-age=60")]);
            let meta =
                storable(&settings(ttl_ms), StatusCode::OK, Fields::from(&fields), at(1_000), at(6_000)).unwrap();
            assert_eq!((meta.initial_age_ms, meta.fresh_ms), (5_000, 55_000), "{ttl_ms:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_that_arrives_too_late_is_not_stored() {
        let (fields, at) = (fields(&[("cache-control", "max-age=86400")]), Timestamp::from_millis);
        let stored = |arrived| storable(&settings(None), StatusCode::OK, Fields::from(&fields), at(1_000), at(arrived));
        assert!(stored(1_000 + STORED_WITHIN_MS).is_ok());
        assert_eq!(stored(1_001 + STORED_WITHIN_MS), Err(NotStored::Outdated));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn only_end_to_end_fields_are_stored() {
        let meta = storable(
            &settings(Some(1)),
            StatusCode::OK,
            Fields::from(&fields(&[
                ("x-a", "1"),
                ("connection", "close"),
                ("age", "0"),
                ("transfer-encoding", "chunked"),
                ("vary", "B, a"),
                ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ])),
            Timestamp::EPOCH,
            Timestamp::EPOCH,
        )
        .unwrap();
        let names: Vec<&str> = meta.fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-a", "vary", "date"]);
        assert_eq!(meta.varies_on, Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn fresh_until_its_lifetime_ends_and_kept_no_longer_than_it_says() {
        let meta = storable(
            &settings(None),
            StatusCode::OK,
            Fields::from(&fields(&[("cache-control", "max-age=10"), ("etag", "\"x\"")])),
            Timestamp::from_millis(5_000),
            Timestamp::from_millis(5_000),
        )
        .unwrap();
        let at = |ms, directives: &str| {
            assess(&meta, &CacheControl::of(&fields(&[("cache-control", directives)])), Timestamp::from_millis(ms))
        };
        assert_eq!(at(5_000, ""), Assessment::Fresh { age_s: 0, ttl_s: 10 });
        assert_eq!(at(14_999, ""), Assessment::Fresh { age_s: 9, ttl_s: 0 });
        assert_eq!(at(15_000, ""), Assessment::Stale);
        assert_eq!(at(9_000, "max-age=3"), Assessment::Unwanted);
        assert_eq!(at(9_000, "no-cache"), Assessment::Unwanted);
        assert_eq!(at(9_000, "min-fresh=7"), Assessment::Unwanted);
        assert_eq!(at(5_000 + 3_610_000, ""), Assessment::Gone);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_response_from_the_future_is_not_believed_to_be_fresh() {
        let now = Timestamp::from_millis(1_000_000);
        let stored = |stored_at| {
            let fields = fields(&[("cache-control", "max-age=10")]);
            storable(&settings(None), StatusCode::OK, Fields::from(&fields), stored_at, stored_at).unwrap()
        };
        let judged = |meta| assess(&meta, &CacheControl::default(), now);
        assert!(matches!(judged(stored(now.plus_millis(CLOCK_SKEW_MS))), Assessment::Fresh { age_s: 0, .. }));
        assert_eq!(judged(stored(now.plus_millis(CLOCK_SKEW_MS + 1))), Assessment::Stale);
    }
}
