//! Generations at the edge: with a store that answers late and caches misses, the newest readable one serves.

use std::collections::BTreeMap;
use std::rc::Rc;

use futures_executor::block_on;
use futures_util::future::join;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::SiteSettings;
use tollgate_edge::ports::{Clock as _, Records as _};
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, serve};
use tollgate_kv_schemas::{Bundle, Pointer, decode, encode, keys};

use crate::bench::{Bench, gateway, ok, on_any_host, request, route, site};

fn bench() -> Bench {
    Bench::with_freshness(Freshness::EachRequest, vec![route("/one", &["GET"])], ok(&[], "hello"))
}

/// The same stores, with a new isolate.
fn fresh(bench: &Bench) -> Bench {
    let isolate = Isolate::new(IsolateSettings { gateway: "acme".into(), freshness: Freshness::EachRequest });
    Bench { isolate: Rc::new(isolate), host: bench.host.clone() }
}

fn sites(path: &str) -> BTreeMap<HostPattern, SiteSettings> {
    on_any_host(site(vec![route(path, &["GET"])]))
}

fn bundle(path: &str) -> Bundle {
    Bundle::new(&gateway(), &sites(path))
}

fn remove(bench: &Bench, bundle: &Bundle, word: &str) {
    let named = bundle.content().iter().filter(|(key, _)| key.contains(word));
    named.for_each(|(key, _)| bench.host.records.remove(key));
}

fn restore(bench: &Bench, bundle: &Bundle) {
    bundle.content().iter().for_each(|(key, value)| bench.host.records.put(key.clone(), value.clone()));
}

impl Bench {
    async fn status(&self, path: &str) -> u16 {
        let client = Client { address: None, https: true, inside: false };
        serve(&self.isolate, &self.host, request("GET", path, &[], ""), client).await.reply.status().as_u16()
    }
}

#[track_caller]
fn serves(bench: &Bench, path: &str, status: u16) {
    let answer = bench.get(path, &[]);
    assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.content));
}

fn complaints(bench: &Bench, about: &str) -> usize {
    let lines = bench.host.sink.lines();
    lines.iter().filter(|line| line.contains("configuration-refused") && line.contains(about)).count()
}

#[test]
fn if_the_newest_cannot_be_read_a_new_isolate_serves_the_previous_generation() {
    for missing in [":part:", ":manifest:"] {
        let bench = bench();
        bench.publish(&sites("/two"));
        remove(&bench, &bundle("/two"), missing);
        let fresh = fresh(&bench);
        serves(&fresh, "/one", 200);
        serves(&fresh, "/two", 404);
        serves(&fresh, "/one", 200);
        assert_eq!(complaints(&fresh, "there is no"), 1, "{missing}");
        restore(&fresh, &bundle("/two"));
        serves(&fresh, "/two", 200);
        serves(&fresh, "/one", 404);
    }
}

#[test]
fn nothing_is_served_only_if_neither_generation_can_be_read() {
    for missing in [":part:", ":manifest:"] {
        let bench = bench();
        bench.publish(&sites("/two"));
        remove(&bench, &bundle("/one"), missing);
        remove(&bench, &bundle("/two"), missing);
        let fresh = fresh(&bench);
        serves(&fresh, "/one", 503);
        restore(&fresh, &bundle("/one"));
        serves(&fresh, "/one", 200);
    }
}

#[test]
fn the_previous_generation_serves_only_hosts_with_missing_parts() {
    let part = |path: &str| site(vec![route(path, &["GET"])]);
    let on = |host: &str, path: &str| (host.parse().unwrap(), part(path));
    let bench = bench();
    let before = [on("a.example", "/a1"), on("b.example", "/b1")].into();
    let after = [on("a.example", "/a2"), on("b.example", "/b2"), on("c.example", "/c2")].into();
    bench.publish(&before);
    bench.publish(&after);
    for (key, value) in Bundle::new(&gateway(), &after).content() {
        if ["/b2", "/c2"].iter().any(|path| String::from_utf8_lossy(value).contains(path)) {
            bench.host.records.remove(key);
        }
    }
    let fresh = fresh(&bench);
    let status = |host: &str, path: &str| fresh.get(path, &[("host", host)]).status;
    assert_eq!(status("a.example", "/a2"), 200);
    assert_eq!((status("b.example", "/b1"), status("b.example", "/b2")), (200, 404));
    assert_eq!(status("c.example", "/c2"), 503, "the one before does not know the host");
    assert_eq!(status("d.example", "/d"), 404);
}

#[test]
fn a_store_that_caches_misses_and_answers_late_causes_no_outage() {
    let bench = bench();
    let fresh = fresh(&bench);
    fresh.host.records.memory.set(true);
    serves(&fresh, "/one", 200);
    // The part was read too early: the store caches the miss.
    let two = bundle("/two");
    let (part, _) = &two.content()[0];
    assert_eq!(block_on(fresh.host.records.read(part)), Ok(None));
    fresh.publish(&sites("/two"));
    serves(&fresh, "/one", 200);
    fresh.host.records.memory.forget();
    assert_eq!(block_on(fresh.host.records.read(&keys::active("acme"))).unwrap().map(|_| ()), Some(()));
    serves(&fresh, "/two", 200);
    fresh.publish(&sites("/three"));
    serves(&fresh, "/two", 200);
    fresh.host.records.memory.forget();
    serves(&fresh, "/three", 200);
}

#[test]
fn a_generation_that_is_loaded_late_does_not_replace_a_newer_one() {
    let bench = bench();
    let one = bundle("/one");
    let (manifest, _) = one.content().iter().find(|(key, _)| key.contains(":manifest:")).unwrap();
    bench.host.records.delay(manifest.clone(), 500);
    let late = async { bench.status("/one").await };
    let meanwhile = async {
        bench.host.clock.sleep(100).await;
        bench.publish(&sites("/two"));
        bench.status("/two").await
    };
    assert_eq!(bench.host.clock.drive(join(late, meanwhile)).unwrap().1, 200);
    serves(&bench, "/two", 200);
}

#[test]
fn a_pointer_with_a_smaller_generation_is_refused_until_it_is_newer_again() {
    let bench = bench();
    let first = block_on(bench.host.records.read(&keys::active("acme"))).unwrap().unwrap();
    bench.publish(&sites("/two"));
    serves(&bench, "/two", 200);
    let second = block_on(bench.host.records.read(&keys::active("acme"))).unwrap().unwrap();
    bench.host.records.put(keys::active("acme"), first);
    serves(&bench, "/two", 200);
    serves(&bench, "/one", 404);
    assert_eq!(complaints(&bench, "the pointer has generation 1, but 2 was read before"), 1);
    bench.host.records.put(keys::active("acme"), second);
    serves(&bench, "/two", 200);
}

/// The pointer with another kind in the needs of its newest generation.
fn needing(bench: &Bench, need: &str) {
    let key = keys::active("acme");
    let stored = block_on(bench.host.records.read(&key)).unwrap().unwrap();
    let mut pointer: Pointer = decode(&stored).unwrap();
    pointer.newest.needs.push(need.parse().unwrap());
    bench.host.records.put(key, encode(&pointer));
}

#[test]
fn unknown_needs_are_refused_by_name_and_the_previous_generation_serves() {
    let bench = bench();
    serves(&bench, "/one", 200);
    bench.publish(&sites("/two"));
    needing(&bench, "jwt@900");
    let fresh = fresh(&bench);
    for isolate in [&bench, &fresh] {
        serves(isolate, "/one", 200);
        serves(isolate, "/two", 404);
    }
    assert_eq!(complaints(&bench, "this program does not know jwt@900"), 2, "each isolate logs it once");
    bench.publish(&sites("/three"));
    serves(&bench, "/three", 200);
}

#[test]
fn skipped_generations_are_replaced_by_the_newest_readable_one() {
    let bench = bench();
    serves(&bench, "/one", 200);
    bench.publish(&sites("/two"));
    bench.publish(&sites("/three"));
    remove(&bench, &bundle("/three"), ":manifest:");
    serves(&bench, "/two", 200);
}

#[test]
fn a_rollback_is_a_newer_generation_of_an_older_bundle() {
    let bench = bench();
    for path in ["/one", "/two", "/one"] {
        bench.publish(&sites(path));
        serves(&bench, path, 200);
    }
    assert_eq!(complaints(&bench, ""), 0);
}

#[test]
fn missing_parts_are_retried_after_the_reply() {
    let bench = Bench::new(vec![route("/one", &["GET"])], ok(&[], "hello"));
    bench.publish(&sites("/two"));
    let two = bundle("/two");
    remove(&bench, &two, ":part:");
    serves(&bench, "/one", 200);
    restore(&bench, &two);
    serves(&bench, "/one", 200);
    bench.host.clock.advance(10_000);
    serves(&bench, "/one", 200);
    bench.host.records.fault.set(true);
    serves(&bench, "/two", 200);
}
