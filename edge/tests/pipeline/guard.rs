use tollgate_core::event::Phase;
use tollgate_core::kinds::Place;
use tollgate_core::settings::RouteSettings;

use crate::bench::{BY_ADDRESS, BY_CONSUMER, Bench, KEYS, OFFICE, credential, key, ok, request, route};

/// A guarded route that requires a key; its bundle is loaded, and then the records become unavailable.
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
fn a_limit_by_address_refuses_invalid_keys_before_a_look_up() {
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

/// A route with one limit of three a minute in `guard` and one of two a minute in `limit`, both by address and by caller.
fn limited_twice() -> Bench {
    let settings = RouteSettings {
        authn: vec![vec![KEYS]],
        guard_limit: vec![BY_ADDRESS],
        limit: vec![BY_CONSUMER],
        ..route("/guarded", &["GET"])
    };
    let bench = Bench::new(vec![settings], ok(&[], "hello"));
    bench.add(&key(), &credential());
    bench
}

#[test]
fn the_limits_of_all_phases_are_told_in_one_list() {
    let answer = limited_twice().get("/guarded", &[("x-api-key", key().expose())]);
    assert_eq!(answer.fields.get_all("ratelimit").iter().count(), 1);
    assert_eq!(answer.field("ratelimit"), "\"by-address\";r=2;t=20, \"by-consumer\";r=1;t=30");
    assert_eq!(answer.field("ratelimit-policy"), "\"by-address\";q=3;w=60, \"by-consumer\";q=2;w=60");
}

#[test]
fn what_a_limit_in_guard_decides_is_noted_in_guard() {
    let bench = limited_twice();
    let answers: Vec<_> = (0..4).map(|_| bench.get("/guarded", &[])).collect();
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [401, 401, 401, 429]);
    let noted = |answer: &crate::bench::Answer| {
        answer
            .record
            .events
            .as_slice()
            .iter()
            .find(|event| event.policy.as_deref() == Some("by-address"))
            .map(|e| e.phase)
    };
    assert!(answers.iter().all(|answer| noted(answer) == Some(Phase::Guard)));
}

#[test]
fn a_retry_is_promised_for_when_the_limits_of_guard_allow_it_too() {
    let bench = limited_twice();
    let send = || bench.get("/guarded", &[("x-api-key", key().expose())]);
    // The address is charged for what the consumer's limit refuses: with cost 1 of 3 a minute, 20 s each.
    bench.get("/guarded", &[]);
    assert_eq!((send().status, send().status), (200, 200));
    bench.host.clock.advance(20_000);
    let refused = send();
    assert_eq!(
        (refused.status, refused.record.refusal().unwrap().policy.map(|p| p.as_str())),
        (429, Some("by-consumer"))
    );
    assert_eq!(refused.field("ratelimit"), "\"by-address\";r=0;t=60, \"by-consumer\";r=0;t=40");
    assert_eq!(refused.field("retry-after"), "20", "the consumer's limit alone would allow it in 10 s");
    bench.host.clock.advance(19_999);
    assert_eq!(send().status, 429);
    bench.host.clock.advance(1);
    assert_eq!(send().status, 200);
}

#[test]
fn a_store_that_is_away_promises_no_retry_that_a_limit_of_guard_refuses() {
    let bench = guarded(|route| route.guard_limit = vec![BY_ADDRESS]);
    let waits: Vec<_> = (0..3)
        .map(|_| bench.get("/guarded", &[("x-api-key", key().expose())]).field("retry-after").to_owned())
        .collect();
    assert_eq!(waits, ["1", "1", "20"]);
}
