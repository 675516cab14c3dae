//! Conditional requests: validating a stored response, and answering a client's own condition (RFC 9110, section 13).

use http::header::{AGE, CONTENT_LENGTH, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName};

use super::{CacheSettings, StoredMeta, storable};
use crate::forward::{Edit, Fields, is_end_to_end};
use crate::time::Timestamp;

/// The edits by which a request asks whether a stored response is still valid: our validators replace the client's,
/// whose own condition is evaluated against the stored response later.
#[must_use]
pub fn validators(meta: &StoredMeta) -> [Edit; 2] {
    let fields = meta.header_map();
    [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)].map(|(from, to)| match fields.get(from) {
        Some(value) => Edit::Set(to, value.clone()),
        None => Edit::Remove(to),
    })
}

/// Whether a client's condition says that it already has the response with these fields: answer 304.
///
/// `If-None-Match` is compared weakly, and if it is present, `If-Modified-Since` is ignored (section 13.2.2).
#[must_use]
pub fn not_modified(request: &HeaderMap, response: &HeaderMap) -> bool {
    if request.contains_key(IF_NONE_MATCH) {
        let Some(current) = response.get(ETAG).map(|v| opaque_tag(v.as_bytes())) else {
            return false;
        };
        return request
            .get_all(IF_NONE_MATCH)
            .iter()
            .flat_map(|line| line.as_bytes().split(|b| *b == b','))
            .any(|tag| tag.trim_ascii() == b"*" || opaque_tag(tag.trim_ascii()) == current);
    }
    let date =
        |fields: &HeaderMap, name: HeaderName| fields.get(name)?.to_str().ok().and_then(Timestamp::from_http_date);
    match (date(request, IF_MODIFIED_SINCE), date(response, LAST_MODIFIED)) {
        (Some(since), Some(modified)) => modified <= since,
        _ => false,
    }
}

/// The stored response after the upstream's 304 confirmed it: its fields are updated, its lifetime starts again
/// (RFC 9111, section 4.3.4). `None` if the 304 forbids storing it.
#[must_use]
pub fn freshen(
    settings: &CacheSettings,
    meta: &StoredMeta,
    update: Fields<'_>,
    requested_at: Timestamp,
    now: Timestamp,
) -> Option<StoredMeta> {
    let mut fields = meta.header_map();
    let updated = || update.iter().filter(|(name, _)| is_end_to_end(name) && *name != CONTENT_LENGTH);
    for (name, _) in updated() {
        fields.remove(name);
    }
    for (name, value) in updated() {
        fields.append(name, value.clone());
    }
    // The age of the old response is irrelevant for one that was just confirmed.
    for name in [AGE, DATE].into_iter().filter(|name| !update.contains(name)) {
        fields.remove(name);
    }
    let fresh = storable(settings, meta.status_code(), Fields::from(&fields), requested_at, now).ok()?;
    Some(StoredMeta { content_bytes: meta.content_bytes, ..fresh })
}

/// An entity tag without its weakness mark.
fn opaque_tag(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::CacheCredentials;
    use http::StatusCode;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap())).collect()
    }

    #[track_caller]
    fn check(request: &[(&'static str, &str)], response: &[(&'static str, &str)], want: bool) {
        assert_eq!(not_modified(&fields(request), &fields(response)), want, "{request:?} {response:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_condition_holds_when_the_client_has_the_current_response() {
        check(&[("if-none-match", "\"a\", W/\"b\"")], &[("etag", "\"b\"")], true);
        check(&[("if-none-match", "*")], &[("etag", "\"b\"")], true);
        check(&[("if-none-match", "\"a\"")], &[("etag", "\"b\"")], false);
        let (old, new) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        check(&[("if-modified-since", new)], &[("last-modified", old)], true);
        check(&[("if-modified-since", old)], &[("last-modified", new)], false);
        check(
            &[("if-none-match", "\"a\""), ("if-modified-since", new)],
            &[("etag", "\"b\""), ("last-modified", old)],
            false,
        );
        check(&[], &[("etag", "\"b\"")], false);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_304_begins_the_lifetime_anew_and_updates_fields() {
        let settings =
            CacheSettings { ttl_ms: None, vary: vec![], credentials: CacheCredentials::Never, key_query: None };
        let old = storable(
            &settings,
            StatusCode::OK,
            Fields::from(&fields(&[("cache-control", "max-age=1"), ("etag", "\"a\""), ("x-n", "1")])),
            Timestamp::EPOCH,
            Timestamp::EPOCH,
        )
        .unwrap();
        let now = Timestamp::from_millis(5_000);
        let new = freshen(
            &settings,
            &old,
            Fields::from(&fields(&[("cache-control", "max-age=9"), ("x-n", "2"), ("content-length", "0")])),
            now,
            now,
        )
        .unwrap();
        assert_eq!((new.stored_at, new.fresh_ms), (now, 9_000));
        assert_eq!(new.header_map().get("x-n").unwrap(), "2");
        assert_eq!(new.header_map().get("etag").unwrap(), "\"a\"");
        let update = fields(&[("cache-control", "no-store")]);
        assert!(freshen(&settings, &old, Fields::from(&update), now, now).is_none());
    }
}
