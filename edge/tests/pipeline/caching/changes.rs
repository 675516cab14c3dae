//! Unsafe methods, purges, and responses that are in flight meanwhile.

use std::rc::Rc;

use futures_util::future::join;
use http::Request;
use tollgate_core::cache::{CacheCredentials, CacheKey, Purge, Purges};
use tollgate_core::route::HostName;
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Clock;
use tollgate_edge::{Client, Isolate, serve};
use tollgate_kv_schemas::{encode, keys};

use super::{CC, bench, is_hit, split, status};
use crate::bench::{Bench, KEYS, NOW, QUERY_KEYS, answer, cached, credential, key, ok, request, route};

#[test]
fn an_unsafe_method_takes_effect_though_the_clock_was_set_back_a_little() {
    let bench = bench(ok(&[(CC, "max-age=600")], "hello"));
    bench.get("/c", &[]);
    bench.host.clock.step_back(5_000);
    assert_eq!(bench.send(request("POST", "/c", &[], "x")).status, 200);
    assert!(status(&bench.get("/c", &[])).contains("fwd="));
}

#[test]
fn many_changes_of_other_resources_leave_most_stored_responses_alone() {
    let route = cached(route("/c/{id}", &[]), CacheCredentials::Never);
    let bench = Bench::new(vec![route], ok(&[(CC, "max-age=600")], "hello"));
    let hits = |bench: &Bench| (0..40).filter(|n| status(&bench.get(&format!("/c/{n}"), &[])).contains("hit")).count();
    assert_eq!((hits(&bench), hits(&bench)), (0, 40));
    for n in 0..1_100 {
        assert_eq!(bench.send(request("POST", &format!("/c/w{n}"), &[], "x")).status, 200);
    }
    assert!(hits(&bench) > 20, "a quarter of the buckets is affected");
    assert_eq!(bench.send(request("POST", "/c/1", &[], "x")).status, 200);
    assert!(!status(&bench.get("/c/1", &[])).contains("hit"));
}

#[test]
fn while_a_recorded_change_is_later_than_the_clock_nothing_is_told_as_stored() {
    let bench = bench(ok(&[(CC, "max-age=600")], "hello"));
    let other = Bench { isolate: bench.another_isolate(), host: bench.host.clone() };
    assert_eq!(bench.send(request("POST", "/c", &[], "x")).status, 200);
    bench.host.clock.step_back(5_000);
    assert_eq!(status(&other.get("/c", &[])), "tollgate; fwd=uri-miss");
    assert_eq!(status(&other.get("/c", &[])), "tollgate; fwd=uri-miss");
    bench.host.clock.advance(5_001);
    assert_eq!(status(&other.get("/c", &[])), "tollgate; fwd=uri-miss; stored");
    assert_eq!(status(&other.get("/c", &[])), "tollgate; hit; ttl=600");
}

/// Sends a request now and another one later; the requests overlap. Returns what the cache did for the first.
fn overtaking(bench: &Bench, one: Request<Content>, other: Request<Content>) -> String {
    let clock = &bench.host.clock;
    let exchange = |request| async {
        let client = Client { address: None, https: true, inside: false };
        let served = serve(&bench.isolate, &bench.host, request, client).await;
        let (parts, _content) = served.reply.into_response().into_parts();
        served.after.await;
        parts.headers.get("cache-status").map_or("", |text| text.to_str().unwrap()).to_owned()
    };
    let later = async {
        clock.sleep(100).await;
        exchange(other).await;
    };
    let told = clock.drive(join(exchange(one), later)).unwrap().0;
    told.split("; key=").next().unwrap().to_owned()
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
    let told = overtaking(&bench, request("GET", "/c", &[], ""), request("POST", "/c", &[], ""));
    assert_eq!(told, "tollgate; fwd=uri-miss", "it is not stored");
    for isolate in [Rc::clone(&bench.isolate), bench.another_isolate()] {
        let client = Client { address: None, https: true, inside: false };
        let served = serve(&isolate, &bench.host, request("GET", "/c", &[], ""), client);
        let status = bench.host.clock.drive(served).unwrap().reply.into_response().headers()["cache-status"].clone();
        assert!(status.to_str().unwrap().starts_with("tollgate; fwd=uri-miss"), "{status:?}");
    }
}

#[test]
fn a_confirmation_requested_before_a_change_is_not_told_as_stored() {
    let bench = bench(|request| {
        let held = request.headers().contains_key("if-none-match");
        let delay_ms = if held { 500 } else { 10 };
        (delay_ms, Ok(answer(if held { 304 } else { 200 }, &[(CC, "max-age=1"), ("etag", "\"v1\"")], "")))
    });
    bench.get("/c", &[]);
    bench.host.clock.advance(2_000);
    let told = overtaking(&bench, request("GET", "/c", &[], ""), request("POST", "/c", &[], ""));
    assert_eq!(told, "tollgate; fwd=stale; fwd-status=304");
    assert!(!is_hit(&bench, &bench.isolate, &[]));
}

#[test]
fn a_url_has_the_same_resources_with_and_without_an_api_key() {
    let keyed = RouteSettings { authn: vec![vec![QUERY_KEYS]], ..route("/c", &["GET"]) };
    let bench = Bench::new(vec![cached(keyed, CacheCredentials::Shared)], ok(&[(CC, "max-age=60")], "hello"));
    bench.add(&key(), &credential());
    let with_key = format!("a=1&k={}", key().expose());
    let told = bench.get(&format!("/c?{with_key}"), &[]).field("cache-status").to_owned();
    let name = HostName::from_authority("api.example.com").unwrap();
    let path = tollgate_core::route::CanonicalPath::parse(b"/c").unwrap();
    for query in [with_key.as_str(), "a=1"] {
        let found =
            futures_executor::block_on(bench.isolate.resources(&bench.host, &name, &path, Some(query))).unwrap();
        assert!(found.len() == 1 && told.contains(found[0].as_str()), "{told} {found:?}");
    }
}

/// RFC 9111, section 4.4, requires the target URI only. A URL with matrix parameters is another URL, as one with another
/// query is.
#[test]
fn a_change_of_a_url_leaves_those_with_other_parameters_as_they_are() {
    let plain = cached(route("/c/{name}", &["GET", "POST"]), CacheCredentials::Never);
    let routes = vec![RouteSettings { matrix_parameters: true, ..plain }];
    let bench = Bench::new(routes, ok(&[(CC, "max-age=60")], "hello"));
    let targets = ["/c/a", "/c/a;v=1", "/c/a?v=1", "/c/a;v=1?v=1"];
    let get = |target: &str| status(&bench.get(target, &[])).starts_with("tollgate; hit");
    assert_eq!(targets.map(get), [false; 4]);
    for changed in targets {
        assert_eq!(targets.map(get), [true; 4]);
        bench.host.clock.advance(1);
        assert_eq!(bench.send(request("POST", changed, &[], "")).status, 200);
        bench.host.clock.advance(1);
        assert_eq!(targets.map(get), targets.map(|target| target != changed), "{changed}");
    }
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
fn a_purge_or_change_of_a_url_affects_all_its_routes() {
    let bench = Bench::new(split(), ok(&[(CC, "max-age=60")], "hello"));
    let get = |fields: &[(&str, &str)]| status(&bench.get("/c?v=2", fields));
    let fill = || [get(&[]), get(&[("x-v", "2")])];
    fill();
    let name = HostName::from_authority("api.example.com").unwrap();
    let path = tollgate_core::route::CanonicalPath::parse(b"/c").unwrap();
    let keys_of = bench.isolate.resources(&bench.host, &name, &path, Some("v=2"));
    let resources = futures_executor::block_on(keys_of).unwrap();
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
