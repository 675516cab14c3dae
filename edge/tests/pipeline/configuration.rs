use std::collections::BTreeMap;
use std::rc::Rc;

use futures_executor::block_on;
use tollgate_core::bounds::CONFIG_FRESH_MS;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{RouteSettings, SiteSettings};
use tollgate_edge::ports::{Clock as _, Records as _};
use tollgate_edge::{Freshness, Isolate, IsolateSettings};
use tollgate_kv_schemas::{Bundle, keys};

use crate::bench::{Bench, gateway, ok, on_any_host, route, site};

fn bench() -> Bench {
    Bench::with_freshness(Freshness::EachRequest, vec![route("/old", &["GET"])], ok(&[], "hello"))
}

/// Truncates the records of a bundle whose keys contain this word.
fn damage_records(bench: &Bench, sites: &BTreeMap<HostPattern, SiteSettings>, word: &str) {
    for (key, _) in Bundle::new(&gateway(), sites).records.iter().filter(|(key, _)| key.contains(word)) {
        let value = block_on(bench.host.records.read(key)).unwrap().unwrap();
        bench.host.records.put(key.clone(), &value[..value.len() / 2]);
    }
}

fn sites(path: &str) -> BTreeMap<HostPattern, SiteSettings> {
    on_any_host(site(vec![route(path, &["GET"])]))
}

#[test]
fn without_a_publication_503_says_how_to_publish() {
    let bench = bench();
    bench.host.records.remove(&keys::active("acme"));
    let answer = bench.get("/old", &[]);
    assert_eq!((answer.status, answer.problem().as_str(), answer.field("retry-after")), (503, "no-configuration", "5"));
    assert!(String::from_utf8_lossy(&answer.content).contains("tollgate publish"));
}

#[test]
fn an_edit_takes_effect_with_the_next_request() {
    let bench = bench();
    assert_eq!(bench.get("/old", &[]).status, 200);
    bench.publish(&sites("/new"));
    assert_eq!((bench.get("/new", &[]).status, bench.get("/old", &[]).status), (200, 404));
}

#[test]
fn the_last_valid_bundle_stays_active_after_any_number_of_broken_ones() {
    let bench = bench();
    assert_eq!(bench.get("/old", &[]).status, 200);
    for (n, damage) in ["part", "manifest", "active", "part"].iter().enumerate() {
        bench.publish(&sites(&format!("/new{n}")));
        damage_records(&bench, &sites(&format!("/new{n}")), damage);
        assert_eq!(bench.get("/old", &[]).status, 200, "{damage}");
    }
    let complaints = bench.host.sink.lines().iter().filter(|l| l.contains("configuration-refused")).count();
    assert!((3..=5).contains(&complaints), "each is logged once: {complaints}");
    bench.publish(&sites("/mended"));
    assert_eq!(bench.get("/mended", &[]).status, 200);
}

#[test]
fn a_newer_format_is_refused_by_name_and_the_last_valid_bundle_stays_active() {
    let bench = bench();
    bench.get("/old", &[]);
    bench.host.records.put(keys::active("acme"), r#"{"kind":"pointer","v":9,"data":{"surprise":true}}"#);
    assert_eq!(bench.get("/old", &[]).status, 200);
    assert!(bench.host.sink.lines().iter().any(|line| line.contains("version 9")));
}

#[test]
fn the_record_store_may_be_unavailable_after_a_bundle_is_loaded() {
    let bench = bench();
    bench.host.records.fault.set(true);
    let before = bench.get("/old", &[]);
    assert_eq!((before.status, before.problem().as_str()), (503, "store-unavailable"));
    bench.host.records.fault.set(false);
    assert_eq!(bench.get("/old", &[]).status, 200);
    bench.host.records.fault.set(true);
    assert_eq!(bench.get("/old", &[]).status, 200);
}

#[test]
fn outside_development_the_pointer_is_read_after_the_reply_only() {
    let bench = Bench::new(vec![route("/old", &["GET"])], ok(&[], "hello"));
    bench.get("/old", &[]);
    bench.publish(&sites("/new"));
    assert_eq!(bench.get("/old", &[]).status, 200, "remembered");
    bench.host.clock.advance(10_000);
    assert_eq!(bench.get("/old", &[]).status, 200, "served by what is there, read again behind it");
    assert_eq!(bench.get("/old", &[]).status, 404);
}

#[test]
fn a_host_has_its_own_part() {
    let bench = bench();
    let part = |path: &str| site(vec![route(path, &["GET"])]);
    let sites = [("api.example.com", part("/exact")), ("*.example.com", part("/wildcard"))];
    bench.publish(&sites.map(|(host, part)| (host.parse().unwrap(), part)).into());
    assert_eq!(bench.get("/exact", &[]).status, 200);
    assert_eq!(bench.get("/wildcard", &[("host", "B.example.com:443")]).status, 200);
    assert_eq!(bench.get("/exact", &[("host", "b.example.com")]).status, 404);
    assert_eq!(bench.get("/wildcard", &[]).status, 200, "what the host's own part does not have, a wider one may");
    let elsewhere = bench.get("/exact", &[("host", "example.org")]);
    assert_eq!((elsewhere.status, elsewhere.problem().as_str()), (404, "route-not-found"));
}

#[test]
fn hosts_are_served_if_few_of_their_parts_fit_into_memory() {
    let isolate = Isolate::new(IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached });
    let bench = Bench { isolate: Rc::new(isolate.with_room_for_parts(1_000)), ..bench() };
    let host = |n: usize| format!("t{n}.example.com");
    let part = |n: usize| (host(n).parse().unwrap(), site(vec![route(&format!("/{n}"), &["GET"])]));
    bench.publish(&(0..300).map(part).collect());
    for n in (0..300).chain([7, 7, 299, 0]) {
        let fields = [("host", host(n))];
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert_eq!(bench.get(&format!("/{n}"), &fields).status, 200, "{n}");
        assert_eq!(bench.get("/other", &fields).status, 404, "{n}");
    }
    bench.host.records.fault.set(true);
    assert_eq!(bench.get("/0", &[("host", "t0.example.com")]).status, 200, "what was asked for last is remembered");
}

#[test]
fn an_unavailable_part_is_not_replaced_by_a_wider_one() {
    let bench = bench();
    let part = |path: &str| site(vec![route(path, &["GET"])]);
    let sites = [("api.example.com", part("/guarded")), ("*", part("/{*rest}"))].map(|(h, p)| (h.parse().unwrap(), p));
    let fresh = Bench { isolate: bench.another_isolate(), ..bench };
    fresh.host.records.remove(&keys::active("acme"));
    let bundle = Bundle::new(&gateway(), &sites.into());
    fresh.host.records.publish(&bundle);
    for (key, value) in bundle.content() {
        if String::from_utf8_lossy(value).contains("/guarded") {
            fresh.host.records.put(key.clone(), "damaged");
        }
    }
    let bench = fresh;
    let answer = bench.get("/guarded", &[]);
    assert_eq!((answer.status, answer.problem().as_str()), (503, "no-configuration"));
    assert_eq!(bench.get("/guarded", &[("host", "example.org")]).status, 200);
}

#[test]
fn a_part_with_an_invalid_position_is_refused() {
    let bench = bench();
    bench.get("/old", &[]);
    let mut broken = sites("/new");
    broken.get_mut(&HostPattern::Any).unwrap().routes[0].upstream = 7;
    bench.publish(&broken);
    assert_eq!(bench.get("/old", &[]).status, 200);
    block_on(bench.isolate.refresh(&bench.host));
    assert!(bench.host.sink.lines().iter().any(|line| line.contains("configuration-refused")));
}

#[test]
fn a_wall_clock_that_steps_back_does_not_delay_a_new_configuration() {
    let bench = Bench::new(vec![route("/old", &["GET"])], ok(&[], "hello"));
    assert_eq!(bench.get("/old", &[]).status, 200);
    bench.publish(&sites("/new"));
    bench.host.clock.step_back(3_600_000);
    bench.host.clock.advance(CONFIG_FRESH_MS);
    assert_eq!(bench.get("/old", &[]).status, 200, "looked at behind the reply");
    assert_eq!((bench.get("/new", &[]).status, bench.get("/old", &[]).status), (200, 404));
}

#[test]
fn the_first_request_reads_the_configuration_once() {
    let bench = Bench::new(vec![route("/old", &["GET"])], ok(&[], "hello"));
    bench.host.records.delay(keys::active("acme"), 500);
    let before = bench.host.clock.now();
    assert_eq!(bench.get("/old", &[]).status, 200);
    assert_eq!(bench.host.clock.now(), before.plus_millis(500), "not again after the reply");
}

/// More routes than fit on a page: `/PREFIX000` to `/PREFIX199`.
fn many(prefix: &str) -> Vec<RouteSettings> {
    (0..200).map(|n| route(&format!("/{prefix}{n:03}"), &["GET"])).collect()
}

#[test]
fn routes_on_many_pages_are_found_and_refused_as_those_on_one() {
    let bench = Bench::new([many("a"), vec![route("/{any}", &["PUT"])]].concat(), ok(&[], "hello"));
    for path in ["/a000", "/a077", "/a199"] {
        assert_eq!(bench.get(path, &[]).status, 200, "{path}");
    }
    let answer = bench.get("/a200", &[]);
    assert_eq!((answer.status, answer.field("allow")), (405, "OPTIONS, PUT"));
    assert_eq!(bench.get("/a/b", &[]).status, 404);
}

#[test]
fn without_room_for_all_pages_they_are_decoded_again() {
    let mut bench = Bench::new(many("a"), ok(&[], "hello"));
    let settings = IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached };
    bench.isolate = Rc::new(Isolate::new(settings).with_room_for_parts(1_000));
    for _ in 0..2 {
        for n in 0..200 {
            assert_eq!(bench.get(&format!("/a{n:03}"), &[]).status, 200, "{n}");
        }
    }
}

#[test]
fn a_host_with_a_damaged_page_is_served_from_the_previous_generation() {
    let bench = bench();
    assert_eq!(bench.get("/old", &[]).status, 200);
    let new = on_any_host(site(many("new")));
    bench.publish(&new);
    let (key, mut part) = Bundle::new(&gateway(), &new).records.swap_remove(0);
    *part.last_mut().unwrap() ^= 1;
    bench.host.records.put(key.clone(), part.clone());
    assert_eq!(bench.get("/new000", &[]).status, 200, "its page is not damaged");
    assert_eq!(bench.get("/new199", &[]).status, 404);
    assert!(bench.host.sink.lines().iter().any(|line| line.contains("configuration-refused")));
    for _ in 0..3 {
        assert_eq!((bench.get("/old", &[]).status, bench.get("/new000", &[]).status), (200, 404), "as a whole");
    }
    *part.last_mut().unwrap() ^= 1;
    bench.host.records.put(key, part);
    bench.get("/old", &[]);
    assert_eq!((bench.get("/new199", &[]).status, bench.get("/old", &[]).status), (200, 404));
}

/// More routes than fit on a page, one that allows matrix parameters, and one that protects `/m/k` from them.
fn with_matrix_parameters(is_protected: bool) -> Vec<RouteSettings> {
    let literal = |prefix: &str, n: usize| route(&format!("/m/{prefix}{n:03}"), &["GET"]);
    let mut routes: Vec<_> = (0..100).flat_map(|n| [literal("a", n), literal("k-", n)]).collect();
    routes.extend(is_protected.then(|| route("/m/k", &["GET"])));
    routes.push(RouteSettings { matrix_parameters: true, ..route("/m/{id}", &["GET"]) });
    routes
}

/// Damages the page with `/m/k`.
fn damage_protection(bench: &Bench) {
    let settings = on_any_host(site(with_matrix_parameters(true)));
    let (key, mut part) = Bundle::new(&gateway(), &settings).records.swap_remove(0);
    let text = b"\x64/m/k";
    let at = part.windows(text.len()).position(|window| window == text).unwrap();
    part[at + 1] ^= 1;
    bench.host.records.put(key, part);
}

#[test]
fn without_room_for_all_pages_the_route_without_matrix_parameters_is_the_same() {
    let mut bench = Bench::new(with_matrix_parameters(false), ok(&[], "hello"));
    let settings = IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached };
    bench.isolate = Rc::new(Isolate::new(settings).with_room_for_parts(1_000));
    for _ in 0..4 {
        assert_eq!(bench.get("/m/k;v=1", &[]).status, 200);
    }
}

#[test]
fn a_damaged_page_does_not_allow_matrix_parameters_that_its_routes_refuse() {
    let bench = Bench::new(with_matrix_parameters(true), ok(&[], "hello"));
    damage_protection(&bench);
    assert_eq!(bench.get("/m/z", &[]).status, 200, "its page is not damaged");
    for path in ["/m/k;v=1", "/m/k;v=1", "/m/k"] {
        let answer = bench.get(path, &[]);
        assert_eq!((answer.status, answer.problem().as_str()), (503, "no-configuration"), "{path}");
    }
    assert_eq!(bench.get("/m/z", &[]).status, 200, "from the part that served it last");
    let bench = Bench::new(with_matrix_parameters(true), ok(&[], "hello"));
    assert_eq!(bench.get("/m/k;v=1", &[]).status, 400, "without damage");
}

#[test]
fn a_host_with_a_damaged_page_of_the_path_without_parameters_is_served_from_the_previous_generation() {
    let bench = bench();
    assert_eq!(bench.get("/old", &[]).status, 200);
    bench.publish(&on_any_host(site(with_matrix_parameters(true))));
    damage_protection(&bench);
    assert_eq!(bench.get("/m/z;v=1", &[]).status, 200, "its pages are not damaged");
    assert_eq!((bench.get("/m/k;v=1", &[]).status, bench.get("/old", &[]).status), (400, 200));
}
