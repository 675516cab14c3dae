//! What is stored, for how long it is used, and when the cache is bypassed.

use http::Request;
use tollgate_core::cache::{CacheKey, StoredMeta};
use tollgate_edge::memory::Content;
use tollgate_edge::ports::ResponseCache;

use super::{CC, bench, status};
use crate::bench::{Bench, NOW, answer, ok, request, route};

#[test]
fn a_miss_is_stored_and_used_until_stale() {
    let bench = bench(ok(&[(CC, "max-age=10"), ("connection", "x-gone"), ("x-gone", "1")], "hello"));
    let miss = bench.get("/c", &[]);
    assert_eq!(status(&miss), "tollgate; fwd=uri-miss; stored");
    bench.host.clock.advance(4_000);
    let hit = bench.get("/c", &[]);
    assert_eq!(
        (status(&hit).as_str(), hit.field("age"), &hit.content[..]),
        ("tollgate; hit; ttl=6", "4", &b"hello"[..])
    );
    assert_eq!((hit.field("content-length"), hit.fields.get("x-gone")), ("", None));
    assert_ne!(hit.field("x-request-id"), miss.field("x-request-id"));
    let head = bench.send(request("HEAD", "/c", &[], ""));
    assert_eq!((status(&head).as_str(), head.content.len()), ("tollgate; hit; ttl=6", 0));
    bench.host.clock.advance(6_000);
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; fwd=uri-miss; stored");
    assert_eq!(bench.host.upstream.take_received().len(), 2);
}

#[test]
fn a_get_with_content_does_not_use_the_cache_whatever_it_declares() {
    let bench = bench(ok(&[(CC, "max-age=10")], "hello"));
    for version in [http::Version::HTTP_11, http::Version::HTTP_2] {
        let mut with_content = request("GET", "/c", &[], "evil");
        *with_content.version_mut() = version;
        assert_eq!(status(&bench.send(with_content)), "tollgate; fwd=bypass");
    }
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; fwd=uri-miss; stored");
}

#[test]
fn an_unavailable_cache_is_only_a_bypass() {
    let bench = bench(ok(&[(CC, "max-age=100")], "hello"));
    bench.host.cache.fault.set(true);
    let answer = bench.get("/c", &[]);
    assert_eq!((answer.status, status(&answer).as_str()), (200, "tollgate; fwd=bypass"));
}

#[test]
fn interrupted_content_is_not_stored() {
    let bench = bench(|_| {
        let mut response = answer(200, &[(CC, "max-age=100")], "");
        *response.body_mut() = Content::breaking_after("hel");
        (0, Ok(response))
    });
    let answer = bench.get("/c", &[]);
    assert_eq!(answer.record.aborted_by, Some(tollgate_core::telemetry::AbortedBy::Upstream));
    assert!(bench.host.cache.is_empty());
}

#[test]
fn only_if_cached_is_honoured() {
    let bench = bench(ok(&[(CC, "max-age=100")], "hello"));
    let refused = bench.get("/c", &[(CC, "only-if-cached")]);
    assert_eq!((refused.status, refused.problem().as_str()), (504, "not-stored"));
    bench.get("/c", &[]);
    assert_eq!(bench.get("/c", &[(CC, "only-if-cached")]).status, 200);
    // Also where the cache is bypassed or unavailable: the request must not be forwarded.
    bench.host.upstream.take_received();
    for bypass in [("range", "bytes=0-1"), ("authorization", "Basic QTpC"), ("cookie", "a=b"), (CC, "no-store")] {
        let refused = bench.get("/c", &[(CC, "only-if-cached"), bypass]);
        assert_eq!((refused.status, refused.problem().as_str()), (504, "not-stored"), "{bypass:?}");
    }
    assert!(bench.host.upstream.take_received().is_empty());
}

#[test]
fn a_method_override_is_not_answered_for_others() {
    let bench = bench(|request| {
        let status = if request.headers().contains_key("x-http-method-override") { 405 } else { 200 };
        (0, Ok(answer(status, &[(CC, "max-age=60")], "")))
    });
    let overridden = bench.get("/c", &[("x-http-method-override", "PUT")]);
    assert_eq!((overridden.status, status(&overridden).as_str()), (405, "tollgate; fwd=bypass"));
    assert_eq!(bench.get("/c", &[]).status, 200);
}

#[test]
fn a_response_is_as_old_as_the_time_since_its_request() {
    let bench = bench(|_| (700, Ok(answer(200, &[(CC, "max-age=10"), ("age", "1")], "hello"))));
    bench.get("/c", &[]);
    bench.host.clock.advance(300);
    let hit = bench.get("/c", &[]);
    assert_eq!((status(&hit).as_str(), hit.field("age")), ("tollgate; hit; ttl=8", "2"));
}

#[test]
fn only_what_is_known_to_be_stored_is_told_as_stored() {
    let broken = bench(|_| {
        let mut response = answer(200, &[(CC, "max-age=100")], "");
        *response.body_mut() = Content::breaking_after("hel");
        (0, Ok(response))
    });
    assert_eq!(status(&broken.get("/c", &[])), "tollgate; fwd=uri-miss");
    for (name, value) in [("content-length", "5000000"), ("set-cookie", "a=b"), ("cache-control", "no-store")] {
        let bench = bench(move |_| (0, Ok(answer(200, &[(CC, "max-age=100"), (name, value)], "hello"))));
        for _ in 0..2 {
            assert_eq!(status(&bench.get("/c", &[])), "tollgate; fwd=uri-miss", "{name}: {value}");
        }
        assert!(bench.host.cache.is_empty());
    }
}

#[test]
fn content_of_another_length_than_declared_is_not_stored() {
    for length in ["3", "9"] {
        let bench = bench(move |_| (0, Ok(answer(200, &[(CC, "max-age=100"), ("content-length", length)], "hello"))));
        bench.get("/c", &[]);
        assert!(bench.host.cache.is_empty(), "{length}");
    }
}

#[test]
fn a_status_without_content_has_none_from_the_upstream_and_from_the_cache() {
    let bench = bench(ok204());
    for expected in ["tollgate; fwd=uri-miss; stored", "tollgate; hit; ttl=100"] {
        let answered = bench.get("/c", &[]);
        assert_eq!((answered.status, status(&answered).as_str()), (204, expected));
        assert!(answered.content.is_empty() && !answered.fields.contains_key("content-length"), "{answered:?}");
    }
    let reset = Bench::new(vec![route("/c", &["GET"])], |_| (0, Ok(answer(205, &[("content-length", "5")], "hello"))));
    let answered = reset.get("/c", &[]);
    assert!(answered.content.is_empty() && !answered.fields.contains_key("content-length"), "{answered:?}");
}

fn ok204() -> impl Fn(&Request<Content>) -> (u64, Result<http::Response<Content>, tollgate_core::forward::UpstreamError>)
{
    |_| (0, Ok(answer(204, &[(CC, "max-age=100"), ("content-length", "0")], "")))
}

/// What is stored is found by its key alone: the reference store is no kinder than the others.
#[test]
fn the_reference_store_refuses_what_every_store_refuses() {
    let bench = bench(ok(&[], ""));
    let key = CacheKey::parse(&"ab".repeat(32)).unwrap();
    let store = |meta: &StoredMeta| bench.host.clock.drive(bench.host.cache.store(&key, meta, None)).unwrap().unwrap();
    let meta = StoredMeta { varies_on: None, ..StoredMeta::nothing(NOW) };
    store(&StoredMeta { content_bytes: Some(1), ..meta.clone() });
    store(&StoredMeta { requested_at: NOW.minus_millis(1_000_000), ..meta.clone() });
    assert!(bench.host.cache.is_empty());
    store(&meta);
    assert_eq!(bench.host.cache.len(), 1);
}

/// `Connection` names what belongs to the connection only, and these fields never do (RFC 9110, section 7.6.1).
#[test]
fn a_field_that_decides_about_storing_applies_though_connection_names_it() {
    for (name, value) in [
        ("vary", "*"),
        ("set-cookie", "a=b"),
        (CC, "no-store"),
        ("age", "100"),
        ("pragma", "no-cache"),
        ("date", "Fri, 15 Jan 2027 07:00:00 GMT"),
    ] {
        let by_date = ("expires", "Fri, 15 Jan 2027 09:00:00 GMT");
        let lifetime = if name == "pragma" { by_date } else { (CC, "max-age=100") };
        let bench = bench(move |_| (0, Ok(answer(200, &[lifetime, (name, value), ("connection", name)], "hello"))));
        for _ in 0..2 {
            let answered = bench.get("/c", &[]);
            assert_eq!(status(&answered), "tollgate; fwd=uri-miss", "{name}");
            assert!(answered.fields.get_all(name).iter().any(|line| line == value), "{name}");
        }
        assert!(bench.host.cache.is_empty(), "{name}");
    }
    let kept = [("etag", "\"v1\""), ("content-encoding", "gzip"), ("content-range", "bytes 0-1/2")];
    let named = ("connection", "etag, Content-Encoding, content-range");
    let bench = bench(move |_| (0, Ok(answer(200, &[&kept[..], &[(CC, "max-age=9"), named]].concat(), "hello"))));
    for expected in ["tollgate; fwd=uri-miss; stored", "tollgate; hit; ttl=9"] {
        let answered = bench.get("/c", &[]);
        assert_eq!(status(&answered), expected);
        assert_eq!(kept.map(|(name, _)| answered.field(name)), kept.map(|(_, value)| value));
    }
}

#[test]
fn a_field_that_decides_about_the_cache_applies_though_the_clients_connection_names_it() {
    let bench = bench(ok(&[(CC, "max-age=100")], "hello"));
    for (name, value) in [("authorization", "Basic QTpC"), ("cookie", "a=b"), ("range", "bytes=0-1"), (CC, "no-store")]
    {
        assert_eq!(status(&bench.get("/c", &[(name, value), ("connection", name)])), "tollgate; fwd=bypass", "{name}");
        assert_eq!(bench.host.upstream.take_received()[0].headers()[name], value);
    }
    let plain = route("/c", &["PUT"]);
    let bench = Bench::new(vec![plain], ok(&[], ""));
    for (name, value) in [("if-match", "\"v1\""), ("content-range", "bytes 0-1/5"), ("if-unmodified-since", "x")] {
        bench.send(request("PUT", "/c", &[(name, value), ("connection", name)], "x"));
        assert_eq!(bench.host.upstream.take_received()[0].headers()[name], value);
    }
}
