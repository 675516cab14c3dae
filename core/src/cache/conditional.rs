//! Conditional requests: validating a stored response, and answering a client's own condition (RFC 9110, section 13).

use http::header::{AGE, DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::list::{is_unclosed, members};
use super::values::{date, initial_age_ms, only};
use super::{CacheSettings, NotStored, StoredMeta, storable};
use crate::forward::{Edit, Fields, is_end_to_end};
use crate::time::Timestamp;

/// The edits by which a request asks whether a stored response is still valid: our validators replace the client's,
/// whose own condition is evaluated against the stored response later.
#[must_use]
pub fn validators(meta: &StoredMeta) -> [Edit; 2] {
    let fields = meta.header_map();
    [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)].map(|(from, to)| match only((&fields).into(), from) {
        Some(value) => Edit::Set(to, value.clone()),
        None => Edit::Remove(to),
    })
}

/// Whether a client's condition says that it already has the response with these fields, which arrived at an instant: answer
/// 304.
///
/// `If-None-Match` is compared weakly, and if it is present, `If-Modified-Since` is ignored (section 13.2.2). Without
/// `Last-Modified` the response is as old as its `Date`, or as its arrival (RFC 9111, section 4.3.2). A field with several
/// lines or values where one is required is no condition that holds.
#[must_use]
pub fn not_modified(request: &HeaderMap, response: &HeaderMap, arrived_at: Timestamp) -> bool {
    let response = Fields::from(response);
    if request.contains_key(IF_NONE_MATCH) {
        let current = only(response, ETAG).map(|tag| opaque_tag(tag.as_bytes()));
        let mut lines = request.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes);
        let is_any = request.get_all(IF_NONE_MATCH).iter().count() == 1 && request[IF_NONE_MATCH] == "*";
        let has = |line, current| !is_unclosed(line) && members(line, b',').any(|tag| opaque_tag(tag) == current);
        return is_any || current.is_some_and(|current| lines.any(|line| has(line, current)));
    }
    let Some(since) = date(request.into(), IF_MODIFIED_SINCE, arrived_at) else { return false };
    let modified = match (response.contains(LAST_MODIFIED), response.contains(DATE)) {
        (true, _) => date(response, LAST_MODIFIED, arrived_at),
        (false, true) => date(response, DATE, arrived_at),
        (false, false) => Some(arrived_at),
    };
    modified.is_some_and(|modified| modified <= since)
}

/// What a 304 makes of the stored response that it was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// Its fields are updated and its lifetime starts again.
    Renewed(StoredMeta),
    /// It is answered with updated fields, but what the 304 says is not stored.
    Once {
        /// The updated fields.
        fields: HeaderMap,
        /// Their age, in seconds.
        age_s: u64,
        /// Why they are not stored.
        why: NotStored,
    },
    /// It is answered as it is: the 304 has the validator of another response, and so updates none that is stored.
    Unchanged,
}

/// Applies the fields of a 304 to the stored response whose validators were sent (RFC 9111, section 4.3.4).
#[must_use]
pub fn confirm(
    settings: &CacheSettings,
    meta: &StoredMeta,
    update: Fields<'_>,
    requested_at: Timestamp,
    now: Timestamp,
) -> Confirmed {
    let mut fields = meta.header_map();
    if !is_of_same((&fields).into(), update) {
        return Confirmed::Unchanged;
    }
    let updated = || update.iter().filter(|(name, _)| is_end_to_end(name) && !describes_content(name));
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
    match storable(settings, meta.status_code(), Fields::from(&fields), requested_at, now) {
        Ok(fresh) => Confirmed::Renewed(StoredMeta { content_bytes: meta.content_bytes, ..fresh }),
        Err(why) => {
            let age_s = initial_age_ms(Fields::from(&fields), requested_at, now) / 1000;
            Confirmed::Once { fields, age_s, why }
        }
    }
}

/// Whether the validators of a 304 are those of the stored response.
///
/// A strong entity tag decides alone. Otherwise every validator must be that of the stored response. A 304 without any
/// answers the condition that was sent, which named one stored response: a 304 need not repeat `Last-Modified` (RFC 9110,
/// section 15.4.5).
fn is_of_same(stored: Fields<'_>, confirmed: Fields<'_>) -> bool {
    let is_same = |name: HeaderName, same: fn(&HeaderValue, &HeaderValue) -> bool| {
        let (ours, theirs) = (only(stored, name.clone()), only(confirmed, name));
        ours.zip(theirs).is_some_and(|(ours, theirs)| same(ours, theirs))
    };
    let has = |name| confirmed.contains(name);
    let has_strong = confirmed.get_all(ETAG).any(|tag| !is_weak(tag));
    let is_tag_same = !has(ETAG) || is_same(ETAG, is_same_tag);
    is_tag_same && (has_strong || !has(LAST_MODIFIED) || is_same(LAST_MODIFIED, |ours, theirs| ours == theirs))
}

/// Whether the tag of a 304 names the response with the stored tag: a strong one names only what has the same strong tag.
fn is_same_tag(stored: &HeaderValue, confirmed: &HeaderValue) -> bool {
    stored == confirmed || (is_weak(confirmed) && opaque_tag(stored.as_bytes()) == opaque_tag(confirmed.as_bytes()))
}

fn is_weak(tag: &HeaderValue) -> bool {
    tag.as_bytes().starts_with(b"W/")
}

/// Whether a field says how the content of its own message is to be read: that of a 304 is not about the stored content
/// (RFC 9111, section 3.2; RFC 9530, section 2).
fn describes_content(name: &HeaderName) -> bool {
    matches!(name.as_str(), "content-length" | "content-encoding" | "content-range" | "content-digest")
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
        let arrived_at = Timestamp::from_rfc3339("1994-11-06T08:49:38Z").unwrap();
        assert_eq!(not_modified(&fields(request), &fields(response), arrived_at), want, "{request:?} {response:?}");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_condition_holds_when_the_client_has_the_current_response() {
        check(&[("if-none-match", "\"a\", W/\"b\"")], &[("etag", "\"b\"")], true);
        check(&[("if-none-match", "*")], &[("etag", "\"b\"")], true);
        check(&[("if-none-match", "*")], &[], true);
        check(&[("if-none-match", "\"a\", *")], &[("etag", "\"b\"")], false);
        check(&[("if-none-match", "*"), ("if-none-match", "\"a\"")], &[("etag", "\"b\"")], false);
        check(&[("if-none-match", "\"a\""), ("if-none-match", "\"b\"")], &[("etag", "\"b\"")], true);
        check(&[("if-none-match", "W/\"a,b\", \"c\"")], &[("etag", "\"a,b\"")], true);
        check(&[("if-none-match", "\"a,\"b\"")], &[("etag", "\"b\"")], false);
        check(&[("if-none-match", "\"a,*,b\"")], &[("etag", "\"b\"")], false);
        check(&[("if-none-match", "\"b\"")], &[("etag", "\"b\""), ("etag", "\"c\"")], false);
        check(&[("if-none-match", "\"a\"")], &[("etag", "\"b\"")], false);
        let (old, new) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        check(&[("if-modified-since", new)], &[("last-modified", old)], true);
        check(&[("if-modified-since", old)], &[("last-modified", new)], false);
        check(&[("if-modified-since", new)], &[("date", new)], true);
        check(&[("if-modified-since", old)], &[("date", new)], false);
        check(&[("if-modified-since", new)], &[("last-modified", "yesterday"), ("date", old)], false);
        check(&[("if-modified-since", "Sunday, 06-Nov-94 08:49:38 GMT")], &[("last-modified", old)], true);
        check(&[("if-modified-since", new), ("if-modified-since", new)], &[("last-modified", old)], false);
        check(&[("if-modified-since", new)], &[], true);
        check(&[("if-modified-since", old)], &[], false);
        check(
            &[("if-none-match", "\"a\""), ("if-modified-since", new)],
            &[("etag", "\"b\""), ("last-modified", old)],
            false,
        );
        check(&[], &[("etag", "\"b\"")], false);
    }

    fn confirmed(stored: &[(&'static str, &str)], update: &[(&'static str, &str)]) -> Confirmed {
        let settings =
            CacheSettings { ttl_ms: None, vary: vec![], credentials: CacheCredentials::Never, key_query: None };
        let stored = fields(stored);
        let old = storable(&settings, StatusCode::OK, (&stored).into(), Timestamp::EPOCH, Timestamp::EPOCH).unwrap();
        confirm(&settings, &old, (&fields(update)).into(), LATER, LATER)
    }

    const LATER: Timestamp = Timestamp::from_millis(5_000);
    const STORED: [(&str, &str); 3] = [("cache-control", "max-age=1"), ("etag", "\"a\""), ("x-n", "1")];

    #[wasm_bindgen_test(unsupported = test)]
    fn a_304_begins_the_lifetime_anew_and_updates_fields() {
        let update = [("cache-control", "max-age=9"), ("x-n", "2"), ("content-length", "0"), ("age", "3")];
        let Confirmed::Renewed(new) = confirmed(&STORED, &update) else { panic!("it may be stored") };
        assert_eq!((new.stored_at, new.fresh_ms, new.initial_age_ms), (LATER, 6_000, 3_000));
        assert_eq!(new.header_map().get("x-n").unwrap(), "2");
        assert_eq!(new.header_map().get("etag").unwrap(), "\"a\"");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_304_that_may_not_be_stored_still_updates_the_answer() {
        for (name, value, want) in [
            ("cache-control", "no-store", NotStored::Forbidden),
            ("set-cookie", "session=2", NotStored::SetCookie),
            ("vary", "*", NotStored::Varies),
        ] {
            let update = [(name, value), ("x-n", "2"), ("age", "30")];
            let Confirmed::Once { fields, age_s, why } = confirmed(&STORED, &update) else {
                panic!("{name} is stored")
            };
            assert_eq!((age_s, why), (30, want));
            assert_eq!(
                (&fields[name], &fields["x-n"]),
                (&HeaderValue::from_static(value), &HeaderValue::from_static("2"))
            );
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_304_with_another_validator_updates_nothing() {
        for (stored, confirming, is_same) in [
            ("\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("W/\"a\"", "W/\"a\"", true),
            ("W/\"a\"", "\"a\"", false),
            ("\"a\"", "\"b\"", false),
            ("\"a\"", "W/\"b\"", false),
        ] {
            let found = confirmed(&[("cache-control", "max-age=1"), ("etag", stored)], &[("etag", confirming)]);
            assert_eq!(found != Confirmed::Unchanged, is_same, "{stored} {confirming}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn every_weak_validator_of_a_304_must_be_the_stored_one() {
        let (old, new) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
        let (dated, tagged) = ([("last-modified", old)], [("etag", "W/\"a\""), ("last-modified", old)]);
        for (stored, confirming, is_same) in [
            (&dated[..], &[][..], true),
            (&dated, &[("last-modified", old)], true),
            (&dated, &[("last-modified", new)], false),
            (&dated, &[("last-modified", old), ("last-modified", new)], false),
            (&dated, &[("etag", "\"b\""), ("last-modified", old)], false),
            (&dated, &[("etag", "W/\"b\""), ("last-modified", old)], false),
            (&tagged, &[], true),
            (&tagged, &[("last-modified", old)], true),
            (&tagged, &[("last-modified", new)], false),
            (&tagged, &[("etag", "W/\"a\""), ("last-modified", new)], false),
            (&tagged, &[("etag", "W/\"b\""), ("last-modified", old)], false),
            (&tagged, &[("etag", "W/\"a\""), ("etag", "W/\"b\"")], false),
            (&[("etag", "\"a\""), ("last-modified", old)], &[("etag", "\"a\""), ("last-modified", new)], true),
            (&[("etag", "\"a\"")], &[("last-modified", old)], false),
        ] {
            let stored = [&[("cache-control", "max-age=1")], stored].concat();
            let found = confirmed(&stored, confirming);
            assert_eq!(found != Confirmed::Unchanged, is_same, "{stored:?} {confirming:?}");
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_304_does_not_say_how_to_read_the_stored_content() {
        let stored = [("cache-control", "max-age=1"), ("etag", "\"a\""), ("content-encoding", "gzip")];
        let about_content = ["content-encoding", "content-range", "content-digest", "content-length"];
        for control in ["max-age=9", "no-store"] {
            let update: Vec<_> = about_content.map(|name| (name, "x")).into_iter().collect();
            let more = [("cache-control", control), ("content-type", "text/plain"), ("content-language", "fr")];
            let fields = match confirmed(&stored, &[&update[..], &more].concat()) {
                Confirmed::Renewed(meta) => meta.header_map(),
                Confirmed::Once { fields, .. } => fields,
                Confirmed::Unchanged => panic!("it is confirmed"),
            };
            assert_eq!(
                (&fields["content-type"], &fields["content-language"]),
                (&"text/plain".parse().unwrap(), &"fr".parse().unwrap())
            );
            assert_eq!(fields["content-encoding"], "gzip");
            assert!(about_content[1..].iter().all(|name| !fields.contains_key(*name)), "{fields:?}");
        }
    }
}
