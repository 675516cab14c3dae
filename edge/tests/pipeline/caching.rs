use std::rc::Rc;

use futures_util::future::join;
use http::Request;
use tollgate_core::cache::{CacheCredentials, CacheKey, Purge, Purges, StoredMeta};
use tollgate_core::route::{HostName, Predicate, Subject, Test};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::{Clock, Content as _, ResponseCache};
use tollgate_edge::{Client, Isolate, serve};
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
    for isolate in [Rc::clone(&bench.isolate), bench.another_isolate()] {
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
    // Also where the cache is bypassed or unavailable: the request must not be forwarded.
    bench.host.upstream.take_received();
    for bypass in [("range", "bytes=0-1"), ("authorization", "Basic QTpC"), ("cookie", "a=b"), (CC, "no-store")] {
        let refused = bench.get("/c", &[(CC, "only-if-cached"), bypass]);
        assert_eq!((refused.status, refused.problem().as_str()), (504, "not-stored"), "{bypass:?}");
    }
    assert!(bench.host.upstream.take_received().is_empty());
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

/// Clients that differ in what the upstream is told of their URL, and the responses that the upstream makes of it.
#[test]
fn what_the_upstream_is_told_of_the_url_separates_clients() {
    let bench = bench(|request| {
        let told =
            ["x-forwarded-proto", "x-forwarded-host"].map(|name| request.headers()[name].to_str().unwrap().to_owned());
        let mut response = answer(200, &[(CC, "max-age=60")], "");
        *response.body_mut() = Content::from_bytes(told.join("://").into());
        (0, Ok(response))
    });
    let get = |https, host: &'static str| {
        let sent = request("GET", "/c", &[("host", host)], "");
        let answer = bench.send_by(Client { address: None, https, inside: false }, sent);
        (status(&answer).starts_with("tollgate; hit"), String::from_utf8(answer.content.to_vec()).unwrap())
    };
    let urls = [
        (true, "api.example.com", "https://api.example.com"),
        (true, "api.example.com:1", "https://api.example.com:1"),
        (false, "api.example.com", "http://api.example.com"),
        (false, "api.example.com:443", "http://api.example.com:443"),
    ];
    for (https, host, told) in urls {
        assert_eq!(get(https, host), (false, told.to_owned()));
    }
    let spellings = [(true, "API.Example.com.:443", urls[0].2), (false, "api.example.com:080", urls[2].2)];
    for (https, host, told) in urls.into_iter().chain(spellings) {
        assert_eq!(get(https, host), (true, told.to_owned()), "{host}");
    }
}

#[test]
fn only_the_parameters_of_the_key_reach_the_upstream() {
    let mut route = cached(route("/c", &["GET", "POST"]), CacheCredentials::Never);
    route.cache.as_mut().unwrap().key_query = Some(vec!["q".into()]);
    let bench = Bench::new(vec![route], ok(&[(CC, "max-age=60")], "hello"));
    let forwarded = |method: &str, target: &str| {
        bench.send(request(method, target, &[("cookie", "a=b")], ""));
        bench.host.upstream.take_received()[0].uri().path_and_query().unwrap().to_string()
    };
    assert_eq!(forwarded("GET", "/c?evil=1&%71=2&q=1"), "/base/c?%71=2&q=1");
    assert_eq!(forwarded("GET", "/c?evil=1"), "/base/c");
    assert_eq!(forwarded("HEAD", "/c?evil=1&q=1"), "/base/c?q=1");
    assert_eq!(forwarded("POST", "/c?evil=1&q=1"), "/base/c?evil=1&q=1");
    bench.host.clock.advance(1);
    let get = |target: &str| status(&bench.get(target, &[]));
    assert_eq!(get("/c?q=1&evil=1"), "tollgate; fwd=uri-miss; stored");
    assert_eq!(get("/c?evil=2&q=1"), "tollgate; hit; ttl=60");
    assert_eq!(get("/c?q=1&%71=2"), "tollgate; fwd=uri-miss; stored");
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

/// Serves a request, and whether its response is a hit, without the work after the reply.
fn is_hit(bench: &Bench, isolate: &Rc<Isolate>, fields: &[(&str, &str)]) -> bool {
    let client = Client { address: None, https: true, inside: false };
    let served = serve(isolate, &bench.host, request("GET", "/c", fields, ""), client);
    let reply = bench.host.clock.drive(served).unwrap().reply;
    reply.into_response().headers()["cache-status"].to_str().unwrap().starts_with("tollgate; hit")
}

#[test]
fn a_copy_that_is_complete_after_a_change_or_a_purge_is_not_used() {
    let slow = || {
        bench(|request| {
            let delay_ms = if request.method() == "GET" { 200 } else { 10 };
            (delay_ms, Ok(answer(200, &[(CC, "max-age=1000000")], "content")))
        })
    };
    // The copies take longer than the entry of the change is kept.
    for copy_ms in [0, 1_000, 600_000] {
        let bench = slow();
        bench.host.cache.delay_ms.set(copy_ms);
        overtaking(&bench, request("GET", "/c", &[], ""), request("POST", "/c", &[], ""));
        bench.host.clock.advance(700_000);
        for isolate in [Rc::clone(&bench.isolate), bench.another_isolate()] {
            assert!(!is_hit(&bench, &isolate, &[]), "{copy_ms}");
        }
    }
    let bench = slow();
    bench.host.cache.delay_ms.set(1_000);
    let purge = Purge { resource: None, at: bench.host.clock.now().plus_millis(100) };
    overtaking(&bench, request("GET", "/c", &[], ""), request("OPTIONS", "/c", &[], ""));
    bench.host.records.put(keys::purges("acme"), encode(&Purges::from_iter([purge])));
    for isolate in [Rc::clone(&bench.isolate), bench.another_isolate()] {
        futures_executor::block_on(isolate.refresh(&bench.host));
        assert!(!is_hit(&bench, &isolate, &[]));
    }
}

#[test]
fn a_change_by_one_consumer_reaches_the_stored_responses_of_others() {
    let mut own = cached(
        RouteSettings { authn: vec![vec![KEYS]], ..route("/c", &["GET", "POST"]) },
        CacheCredentials::PerConsumer,
    );
    own.cache.as_mut().unwrap().vary = vec!["accept-language".into()];
    let bench = Bench::new(vec![own], ok(&[(CC, "max-age=60")], "hello"));
    let keys = [[1; 32], [2; 32]].map(|seed| tollgate_core::authn::ApiKey::generate("dev", &seed).unwrap());
    for (key, consumer) in keys.iter().zip(["one", "other"]) {
        bench.add(key, &tollgate_core::authn::Credential { consumer: consumer.into(), ..credential() });
    }
    let other = Bench { isolate: bench.another_isolate(), host: bench.host.clone() };
    let get = |key: usize, language: &str| {
        status(&other.get("/c", &[("x-api-key", keys[key].expose()), ("accept-language", language)]))
    };
    let all = [(0, "fr"), (0, "en"), (1, "fr")];
    for expected in ["tollgate; fwd=uri-miss; stored", "tollgate; hit; ttl=60"] {
        assert_eq!(all.map(|(key, language)| get(key, language)), [expected; 3]);
    }
    bench.host.clock.advance(1_000);
    assert_eq!(bench.send(request("POST", "/c", &[("x-api-key", keys[0].expose())], "x")).status, 200);
    bench.host.clock.advance(1);
    assert_eq!(all.map(|(key, language)| get(key, language)), ["tollgate; fwd=uri-miss; stored"; 3]);
}

#[test]
fn a_confirmation_to_head_is_kept_too() {
    let bench = confirming(&[(CC, "max-age=60"), ("etag", "\"v1\"")]);
    let head = bench.send(request("HEAD", "/c", &[], ""));
    assert_eq!(status(&head), "tollgate; fwd=stale; fwd-status=304; stored");
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=60");
}

#[test]
fn a_confirmation_that_changes_what_the_response_varies_on_is_not_told_as_stored() {
    let bench = confirming(&[(CC, "max-age=60"), ("vary", "accept")]);
    for _ in 0..2 {
        assert_eq!(status(&bench.get("/c", &[])), "tollgate; fwd=stale; fwd-status=304");
    }
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

#[test]
fn while_the_record_of_purges_cannot_be_read_nothing_stored_is_used() {
    let bench = bench(ok(&[(CC, "max-age=100000")], "hello"));
    bench.get("/c", &[]);
    assert_eq!(status(&bench.get("/c", &[])), "tollgate; hit; ttl=100000");
    let refresh = |isolate: &Isolate| futures_executor::block_on(isolate.refresh(&bench.host));
    for unreadable in ["", "{", "{\"kind\":\"purges\",\"v\":9,\"data\":[]}"] {
        bench.host.records.put(keys::purges("acme"), unreadable);
        refresh(&bench.isolate);
        for isolate in [Rc::clone(&bench.isolate), bench.another_isolate()] {
            assert!(!is_hit(&bench, &isolate, &[]), "{unreadable}");
        }
    }
    let logged = bench.host.sink.lines().iter().filter(|line| line.contains("the record of purges")).count();
    assert!(logged > 0, "nothing is logged");
    // While the store is away, the purges that were read before apply.
    bench.host.records.put(keys::purges("acme"), encode(&Purges::default()));
    refresh(&bench.isolate);
    bench.host.records.fault.set(true);
    refresh(&bench.isolate);
    assert!(is_hit(&bench, &bench.isolate, &[]));
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_younger_and_no_purge_is_lost() {
    let bench = bench(ok(&[(CC, "max-age=7200")], "hello"));
    bench.get("/c", &[]);
    bench.host.clock.advance(5_400_000);
    assert_eq!(bench.get("/c", &[]).field("age"), "5400");
    bench.host.clock.step_back(3_600_000);
    bench.host.clock.advance(1_700_000);
    assert_eq!(bench.get("/c", &[]).field("age"), "7100");
    bench.host.clock.advance(100_000);
    assert!(!is_hit(&bench, &bench.isolate, &[]), "it is stale, whatever the clock shows");

    let bench = self::bench(ok(&[(CC, "max-age=720000")], "hello"));
    bench.get("/c", &[]);
    bench.host.clock.step_back(3_600_000);
    assert_eq!(bench.send(request("POST", "/c", &[], "x")).status, 200);
    bench.host.clock.advance(3_600_001);
    for isolate in [Rc::clone(&bench.isolate), bench.another_isolate()] {
        assert!(!is_hit(&bench, &isolate, &[]), "it was changed");
    }
}

#[test]
fn conditions_of_clients_are_evaluated_on_stored_responses() {
    let date = "Fri, 15 Jan 2027 08:00:00 GMT";
    let bench = bench(ok(&[(CC, "max-age=60")], "hello"));
    bench.get("/c", &[]);
    for (name, value, want) in [
        ("if-none-match", "*", 304),
        ("if-none-match", "\"a\", *", 200),
        ("if-modified-since", date, 304),
        ("if-modified-since", "Friday, 15-Jan-27 08:00:00 GMT", 304),
        ("if-modified-since", "Fri, 15 Jan 2027 07:59:59 GMT", 200),
    ] {
        let answered = bench.get("/c", &[(name, value)]);
        assert_eq!((answered.status, status(&answered).as_str()), (want, "tollgate; hit; ttl=60"), "{name}: {value}");
        assert_eq!(answered.field("date"), date);
    }
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
