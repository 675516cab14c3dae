use tollgate_core::kinds::Place;
use tollgate_core::settings::RouteSettings;

use crate::bench::{BY_ADDRESS, Bench, KEYS, OFFICE, key, ok, request, route};

/// A route that asks for a key and is guarded; its bundle is loaded, and now the records are away.
fn guarded(change: impl Fn(&mut RouteSettings)) -> Bench {
    let mut settings = RouteSettings { authn: vec![vec![KEYS]], ..route("/guarded", &["GET"]) };
    change(&mut settings);
    let bench = Bench::new(vec![settings], ok(&[], "hello"));
    bench.get("/nothing", &[]);
    bench.host.records.fault.set(true);
    bench
}

#[test]
fn a_filter_refuses_before_any_key_is_looked_up() {
    let bench = guarded(|route| route.guard = vec![OFFICE]);
    let keyed = || request("GET", "/guarded", &[("x-api-key", key().expose())], "");
    let refused = bench.send_at("198.51.100.1", keyed());
    assert_eq!((refused.status, refused.problem().as_str()), (403, "client-not-admitted"));
    assert!(!String::from_utf8_lossy(&refused.content).contains("192.0.2"), "the networks are not told");
    assert_eq!(bench.send_at("192.0.2.9", keyed()).problem(), "store-unavailable", "admitted, and looked up");
}

#[test]
fn a_limit_by_address_stops_made_up_keys_before_they_are_looked_up() {
    let bench = guarded(|route| route.guard_limit = vec![BY_ADDRESS]);
    let statuses: Vec<u16> = (0..6).map(|_| bench.get("/guarded", &[("x-api-key", key().expose())]).status).collect();
    assert_eq!(statuses, [503, 503, 503, 429, 429, 429], "three are looked up, and stay charged");
}

#[test]
fn a_client_is_the_same_whether_its_address_is_told_as_ipv4_or_mapped_into_ipv6() {
    let bench = guarded(|route| (route.guard, route.guard_limit) = (vec![OFFICE], vec![BY_ADDRESS]));
    let keyed = || request("GET", "/guarded", &[("x-api-key", key().expose())], "");
    let statuses = |address: &str| (0..2).map(|_| bench.send_at(address, keyed()).status).collect::<Vec<_>>();
    assert_eq!(statuses("192.0.2.9"), [503, 503]);
    assert_eq!(statuses("::ffff:192.0.2.9"), [503, 429], "one quota");
    assert_eq!(statuses("::ffff:192.0.2.10"), [503, 503], "another client has its own");
}

#[test]
fn a_guard_that_does_not_exist_is_not_served() {
    let settings = RouteSettings { guard: vec![Place::new(7)], ..route("/guarded", &["GET"]) };
    assert_eq!(Bench::new(vec![settings], ok(&[], "hello")).get("/guarded", &[]).status, 503);
}
