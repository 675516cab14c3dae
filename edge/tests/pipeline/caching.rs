use futures_util::future::join;
use http::Request;
use tollgate_core::cache::{CacheCredentials, CacheKey, Purge, Purges};
use tollgate_core::route::{HostName, Predicate, Subject, Test};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Clock;
use tollgate_edge::{Client, serve};
use tollgate_kv_schemas::{encode, keys};

use crate::bench::{Bench, KEYS, NOW, answer, cached, credential, key, ok, request, route};

const CC: &str = "cache-control";

fn bench(
    script: impl Fn(&Request<Content>) -> (u64, Result<http::Response<Content>, tollgate_core::forward::UpstreamError>)
    + 'static,
) -> Bench {
    Bench::new(vec![cached(route("/c", &["GET", "POST"]), CacheCredentials::Never)], script)
}

/// The Cache-Status without its key.
fn status(answer: &crate::bench::Answer) -> String {
    answer.field("cache-status").split("; key=").next().unwrap().to_owned()
}

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
fn a_stale_response_is_validated_and_kept_if_confirmed() {
    let bench = bench(|request| {
        let held = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"v1\"");
        let fields = [(CC, "max-age=1"), ("etag", "\"v1\"")];
        (0, Ok(if held { answer(304, &fields, "") } else { answer(200, &fields, "hello") }))
    });
    bench.get("/c", &[]);
    bench.host.clock.advance(2_000);
    let confirmed = bench.get("/c", &[]);
    assert_eq!((confirmed.status, status(&confirmed).as_str()), (200, "tollgate; fwd=stale; fwd-status=304; stored"));
    assert_eq!(&confirmed.content[..], b"hello");
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=1");
    let conditional = bench.get("/c", &[("if-none-match", "\"v1\"")]);
    assert_eq!((conditional.status, conditional.content.len()), (304, 0));
}

/// An upstream whose response is stale after a second, and which then confirms it with these fields.
fn confirming(update: &'static [(&'static str, &'static str)]) -> Bench {
    let bench = bench(move |request| {
        let held = request.headers().contains_key("if-none-match");
        let fields = [(CC, "max-age=1"), ("etag", "\"v1\""), ("x-n", "old")];
        (0, Ok(if held { answer(304, update, "") } else { answer(200, &fields, "hello") }))
    });
    bench.get("/c", &[]);
    bench.host.clock.advance(2_000);
    bench
}

#[test]
fn a_confirmation_that_may_not_be_stored_still_reaches_the_client() {
    for (name, value) in [(CC, "no-store"), ("set-cookie", "session=2")] {
        let update: &'static [_] = Box::leak(Box::new([(name, value), ("x-n", "new")]));
        let bench = confirming(update);
        for _ in 0..2 {
            let confirmed = bench.get("/c", &[]);
            assert_eq!((confirmed.status, &confirmed.content[..]), (200, &b"hello"[..]));
            assert_eq!((confirmed.field(name), confirmed.field("x-n")), (value, "new"));
            assert_eq!(status(&confirmed), "tollgate; fwd=stale; fwd-status=304");
        }
    }
}

#[test]
fn a_confirmation_is_as_old_as_it_says() {
    let bench = confirming(&[(CC, "max-age=60"), ("age", "30")]);
    assert_eq!(bench.get("/c", &[]).field("age"), "30");
    let hit = bench.get("/c", &[]);
    assert_eq!((status(&hit).as_str(), hit.field("age")), ("tollgate; hit; ttl=30", "30"));
}

#[test]
fn a_confirmation_of_another_version_changes_nothing() {
    let bench = confirming(&[(CC, "max-age=60"), ("etag", "\"v2\""), ("x-n", "new")]);
    for _ in 0..2 {
        let answered = bench.get("/c", &[]);
        assert_eq!((answered.field("etag"), answered.field("x-n"), answered.field("age")), ("\"v1\"", "old", "2"));
        assert_eq!(status(&answered), "tollgate; fwd=stale; fwd-status=304");
    }
}

#[test]
fn an_unsafe_method_takes_effect_though_the_clock_was_set_back_a_little() {
    let bench = bench(ok(&[(CC, "max-age=600")], "hello"));
    bench.get("/c", &[]);
    bench.host.clock.step_back(5_000);
    assert_eq!(bench.send(request("POST", "/c", &[], "x")).status, 200);
    assert!(status(&bench.get("/c", &[])).contains("fwd="));
}

#[test]
fn a_confirmed_response_is_renewed_for_conditional_requests() {
    let bench = bench(|request| {
        let held = request.headers().get("if-none-match").is_some_and(|tag| tag == "\"v1\"");
        let fields = [(CC, "max-age=1"), ("etag", "\"v1\""), ("vary", "accept")];
        (0, Ok(if held { answer(304, &fields, "") } else { answer(200, &fields, "hello") }))
    });
    bench.get("/c", &[]);
    bench.host.clock.advance(2_000);
    let has_it = bench.get("/c", &[("if-none-match", "\"v1\"")]);
    assert_eq!((has_it.status, status(&has_it).as_str()), (304, "tollgate; fwd=stale; fwd-status=304; stored"));
    let hit = bench.get("/c", &[]);
    assert_eq!((status(&hit).as_str(), &hit.content[..]), ("tollgate; hit; ttl=1", &b"hello"[..]));
}

/// Sends a request now and another one later; the requests overlap.
fn overtaking(bench: &Bench, one: Request<Content>, other: Request<Content>) {
    let clock = &bench.host.clock;
    let exchange = |request| async {
        let client = Client { address: None, https: true, inside: false };
        let served = serve(&bench.isolate, &bench.host, request, client).await;
        served.after.await;
    };
    let later = async {
        clock.sleep(100).await;
        exchange(other).await;
    };
    clock.drive(join(exchange(one), later)).unwrap();
}

#[test]
fn a_slow_response_does_not_replace_one_to_a_later_request() {
    let bench = bench(|request| {
        let slow = request.headers().contains_key("x-slow");
        (if slow { 500 } else { 10 }, Ok(answer(200, &[(CC, "max-age=10")], if slow { "old" } else { "new" })))
    });
    bench.host.clock.advance(1);
    overtaking(&bench, request("GET", "/c", &[("x-slow", "1")], ""), request("GET", "/c", &[], ""));
    let hit = bench.get("/c", &[]);
    assert_eq!((status(&hit).as_str(), &hit.content[..]), ("tollgate; hit; ttl=9", &b"new"[..]));
}

#[test]
fn a_response_requested_before_a_change_is_not_used() {
    let bench = bench(|request| {
        let delay_ms = if request.method() == "GET" { 500 } else { 10 };
        (delay_ms, Ok(answer(200, &[(CC, "max-age=10"), ("vary", "accept")], "content")))
    });
    overtaking(&bench, request("GET", "/c", &[], ""), request("POST", "/c", &[], ""));
    for isolate in [std::rc::Rc::clone(&bench.isolate), bench.another_isolate()] {
        let client = Client { address: None, https: true, inside: false };
        let served = serve(&isolate, &bench.host, request("GET", "/c", &[], ""), client);
        let status = bench.host.clock.drive(served).unwrap().reply.into_response().headers()["cache-status"].clone();
        assert!(status.to_str().unwrap().starts_with("tollgate; fwd=uri-miss"), "{status:?}");
    }
}

#[test]
fn variants_are_separate() {
    let bench = bench(|request| {
        let french = request.headers().get("accept-language").is_some_and(|l| l == "fr");
        (
            0,
            Ok(answer(
                200,
                &[(CC, "max-age=10"), ("vary", "Accept-Language")],
                if french { "bonjour" } else { "hello" },
            )),
        )
    });
    let get = |language: &str| bench.get("/c", &[("accept-language", language)]);
    assert_eq!(status(&get("fr")), "tollgate; fwd=uri-miss; stored");
    assert_eq!(status(&get("en")), "tollgate; fwd=vary-miss; stored");
    let (french, english) = (get("fr"), get("en"));
    assert_eq!((&french.content[..], &english.content[..]), (&b"bonjour"[..], &b"hello"[..]));
    assert_eq!(
        (status(&french).as_str(), status(&english).as_str()),
        ("tollgate; hit; ttl=10", "tollgate; hit; ttl=10")
    );
}

#[test]
fn requests_with_credentials_bypass_unless_the_route_allows_them() {
    let keyed = |path: &str, credentials| {
        cached(RouteSettings { authn: vec![vec![KEYS]], ..route(path, &["GET"]) }, credentials)
    };
    let routes = vec![keyed("/never", CacheCredentials::Never), keyed("/own", CacheCredentials::PerConsumer)];
    let bench = Bench::new(routes, ok(&[(CC, "max-age=10")], "hello"));
    bench.add(&key(), &credential());
    let get = |target: &str| status(&bench.get(target, &[("x-api-key", key().expose())]));
    assert_eq!((get("/never").as_str(), get("/never").as_str()), ("tollgate; fwd=bypass", "tollgate; fwd=bypass"));
    assert_eq!(
        (get("/own").as_str(), get("/own").as_str()),
        ("tollgate; fwd=uri-miss; stored", "tollgate; hit; ttl=10")
    );
}

#[test]
fn purged_and_changed_resources_are_fetched_again() {
    let bench = bench(ok(&[(CC, "max-age=100")], "hello"));
    let miss = bench.get("/c", &[]);
    let resource = miss.field("cache-status").split("key=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=100");
    let mut purges = Purges::default();
    purges.add(Purge { resource: CacheKey::parse(&resource), at: NOW });
    bench.host.records.put(keys::purges("acme"), encode(&purges));
    futures_executor::block_on(bench.isolate.refresh(&bench.host));
    bench.host.clock.advance(1);
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; fwd=uri-miss; stored");
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=100");
    bench.send(request("POST", "/c", &[], "x"));
    bench.host.clock.advance(1);
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; fwd=uri-miss; stored", "an unsafe method invalidates");
}

#[test]
fn a_change_reaches_isolates_that_share_the_store_and_all_variants() {
    let uncached = route("/c", &["POST"]);
    let script = ok(&[(CC, "max-age=100"), ("vary", "accept-language")], "hello");
    let bench = Bench::new(vec![cached(route("/c", &["GET"]), CacheCredentials::Never), uncached], script);
    let other = Bench { isolate: bench.another_isolate(), host: bench.host.clone() };
    let get = |bench: &Bench, language: &str| status(&bench.get("/c", &[("accept-language", language)]));
    assert_eq!(
        (get(&bench, "fr").as_str(), get(&bench, "en").as_str()),
        ("tollgate; fwd=uri-miss; stored", "tollgate; fwd=vary-miss; stored")
    );
    assert_eq!(
        (get(&other, "fr").as_str(), get(&other, "en").as_str()),
        ("tollgate; hit; ttl=100", "tollgate; hit; ttl=100")
    );
    bench.host.clock.advance(1_000);
    bench.send(request("POST", "/c", &[], "x"));
    bench.host.clock.advance(1_000);
    assert_eq!(get(&other, "fr"), "tollgate; fwd=uri-miss; stored");
    assert_eq!(get(&other, "en"), "tollgate; fwd=vary-miss; stored");
    assert_eq!(
        (get(&other, "fr").as_str(), get(&bench, "en").as_str()),
        ("tollgate; hit; ttl=100", "tollgate; hit; ttl=100")
    );
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
    assert_eq!(answer.record.aborted_by_upstream, Some(true));
    assert!(bench.host.cache.is_empty());
}

#[test]
fn only_if_cached_is_honoured() {
    let bench = bench(ok(&[(CC, "max-age=100")], "hello"));
    let refused = bench.get("/c", &[(CC, "only-if-cached")]);
    assert_eq!((refused.status, refused.problem().as_str()), (504, "not-stored"));
    bench.get("/c", &[]);
    assert_eq!(bench.get("/c", &[(CC, "only-if-cached")]).status, 200);
}

/// Routes of one URL: without predicates, with a header field, with a query parameter that is not part of the key.
fn split() -> Vec<RouteSettings> {
    let when = |of: Subject| vec![Predicate { of, test: Test::OneOf(vec!["2".into()]) }];
    let plain = cached(route("/c", &["GET"]), CacheCredentials::Never);
    let mut by_query = RouteSettings { when: when(Subject::Query("v".into())), ..plain.clone() };
    by_query.cache.as_mut().unwrap().key_query = Some(vec![]);
    let by_field = RouteSettings { when: when(Subject::Header("x-v".into())), ..plain.clone() };
    let both = RouteSettings { when: [by_field.when.clone(), by_query.when.clone()].concat(), ..plain.clone() };
    vec![plain, by_field, by_query, both, route("/c", &["POST"])]
}

#[test]
fn routes_that_share_a_url_do_not_share_stored_responses() {
    let bench = Bench::new(split(), ok(&[(CC, "max-age=60")], "hello"));
    let get = |target: &str, fields: &[(&str, &str)]| status(&bench.get(target, fields));
    let requests: [(&str, &[(&str, &str)]); 4] =
        [("/c", &[]), ("/c", &[("x-v", "2")]), ("/c?v=2", &[]), ("/c?v=2", &[("x-v", "2")])];
    for (target, fields) in requests {
        assert_eq!(get(target, fields), "tollgate; fwd=uri-miss; stored", "{target} {fields:?}");
    }
    for (target, fields) in requests {
        assert_eq!(get(target, fields), "tollgate; hit; ttl=60", "{target} {fields:?}");
    }
    // Without the value that the route requires, the URL has the plain route, whose key contains the whole query.
    assert_eq!(get("/c?v=3", &[]), "tollgate; fwd=uri-miss; stored");
}

#[test]
fn a_purge_or_change_of_a_url_affects_all_its_routes() {
    let bench = Bench::new(split(), ok(&[(CC, "max-age=60")], "hello"));
    let get = |fields: &[(&str, &str)]| status(&bench.get("/c?v=2", fields));
    let fill = || [get(&[]), get(&[("x-v", "2")])];
    fill();
    let name = HostName::from_authority("api.example.com").unwrap();
    let path = tollgate_core::route::CanonicalPath::parse(b"/c").unwrap();
    let keys_of = bench.isolate.resources(&bench.host, &name, &path, Some("v=2"));
    let resources = futures_executor::block_on(keys_of);
    assert_eq!(resources.len(), 2, "one with the whole query, one without");
    let mut purges = Purges::default();
    for resource in resources {
        purges.add(Purge { resource: Some(resource), at: NOW });
    }
    bench.host.records.put(keys::purges("acme"), encode(&purges));
    futures_executor::block_on(bench.isolate.refresh(&bench.host));
    bench.host.clock.advance(1_000);
    let missed = "tollgate; fwd=uri-miss; stored";
    assert_eq!(fill(), [missed, missed]);
    assert_eq!(fill(), ["tollgate; hit; ttl=60", "tollgate; hit; ttl=60"]);
    assert_eq!(bench.send(request("POST", "/c?v=2", &[], "")).status, 200);
    bench.host.clock.advance(1);
    assert_eq!(fill(), [missed, missed]);
}
