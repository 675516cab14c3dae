//! Secrets of upstreams, and the tokens of operators, in an isolate's memory: how old they may be.

use std::rc::Rc;

use futures_executor::LocalPool;
use futures_util::task::LocalSpawnExt;
use tollgate_core::operator::Role;
use tollgate_core::secret::SecretText;
use tollgate_edge::ports::Clock as _;
use tollgate_edge::{Client, Freshness, Isolate, IsolateSettings, OperatorSettings, serve};

use crate::bench::{Answer, Bench, ok, on_any_host, request, route, site};

const MINUTE_MS: u64 = 60_000;

/// A gateway whose upstream gets `Authorization: Bearer ${secret.TOKEN}`, which is `one`.
fn bench() -> Bench {
    let bench = Bench::new(vec![route("/a", &["GET"])], ok(&[], ""));
    let mut settings = site(vec![route("/a", &["GET"])]);
    settings.upstreams[0].fields = vec![("authorization".into(), SecretText::parse("Bearer ${secret.TOKEN}").unwrap())];
    bench.publish(&on_any_host(settings));
    bench.host.secrets.put("TOKEN", "one");
    bench
}

fn sent(bench: &Bench, answer: &Answer) -> String {
    let received = bench.host.upstream.take_received();
    match received.first() {
        Some(request) => request.headers()["authorization"].to_str().unwrap().to_owned(),
        None => answer.problem(),
    }
}

/// What the upstream gets so many milliseconds later, or the problem.
#[track_caller]
fn check(bench: &Bench, after_ms: u64, want: &str) {
    bench.host.clock.advance(after_ms);
    let answer = bench.get("/a", &[]);
    assert_eq!(sent(bench, &answer), want);
}

#[test]
fn a_rotated_secret_is_used_after_a_minute() {
    let bench = bench();
    check(&bench, 0, "Bearer one");
    bench.host.secrets.put("TOKEN", "two");
    check(&bench, MINUTE_MS - 1, "Bearer one");
    check(&bench, 1, "Bearer two");
}

#[test]
fn a_withdrawn_secret_is_used_for_a_minute_at_most() {
    let bench = bench();
    check(&bench, 0, "Bearer one");
    bench.host.secrets.remove("TOKEN");
    check(&bench, MINUTE_MS - 1, "Bearer one");
    // The wall clock does not matter.
    bench.host.clock.step_back(60 * MINUTE_MS);
    check(&bench, 1, "secret-missing");
    check(&bench, 1, "secret-missing");
    bench.host.secrets.put("TOKEN", "two");
    check(&bench, 1, "Bearer two");
}

#[test]
fn a_known_secret_is_used_while_its_store_is_away_but_not_for_ever() {
    let bench = bench();
    check(&bench, 0, "Bearer one");
    bench.host.secrets.fault.set(true);
    for _ in 0..9 {
        check(&bench, MINUTE_MS, "Bearer one");
    }
    check(&bench, MINUTE_MS - 1, "Bearer one");
    check(&bench, 1, "secret-missing");
    bench.host.secrets.fault.set(false);
    check(&bench, 1, "Bearer one");
}

#[test]
fn a_store_that_hangs_delays_one_request_in_five_seconds() {
    let bench = bench();
    check(&bench, 0, "Bearer one");
    bench.host.clock.advance(MINUTE_MS);
    bench.host.secrets.delay(60_000);
    let elapsed = |bench: &Bench| {
        let before = bench.host.clock.instant();
        check(bench, 0, "Bearer one");
        bench.host.clock.instant().millis_since(before)
    };
    assert_eq!([elapsed(&bench), elapsed(&bench), elapsed(&bench)], [3_000, 0, 0], "its timeout, and then nothing");
}

#[test]
fn an_answer_to_an_older_read_does_not_replace_a_newer_one() {
    let bench = bench();
    let mut pool = LocalPool::new();
    bench.host.secrets.delay(2_900);
    let (isolate, host) = (Rc::clone(&bench.isolate), bench.host.clone());
    let slow = async move {
        let client = Client { address: None, https: false, inside: false };
        serve(&isolate, &host, request("GET", "/a", &[], ""), client).await.after.await;
    };
    pool.spawner().spawn_local(slow).unwrap();
    pool.run_until_stalled();
    bench.host.secrets.delay(0);
    bench.host.secrets.put("TOKEN", "two");
    check(&bench, 1, "Bearer two");
    bench.host.clock.advance(2_900);
    pool.run_until_stalled();
    assert_eq!(bench.host.upstream.take_received()[0].headers()["authorization"], "Bearer one");
    check(&bench, 0, "Bearer two");
}

#[test]
fn a_bound_token_is_accepted_while_its_store_is_away_but_not_for_ever() {
    let mut bench = Bench::new(vec![], ok(&[], ""));
    let token = "0".repeat(40);
    bench.host.secrets.put(Role::Read.secret_name(), format!("ci:{token}"));
    let settings = IsolateSettings { gateway: "acme".into(), freshness: Freshness::Cached };
    let operator = OperatorSettings { answers: true, ..OperatorSettings::default() };
    bench.isolate = Rc::new(Isolate::new(settings).with_operator(operator));
    let status = |after_ms| {
        bench.host.clock.advance(after_ms);
        bench.get("/.tollgate/v1/metrics", &[("authorization", &format!("Bearer {token}"))]).status
    };
    assert_eq!(status(0), 200);
    bench.host.secrets.fault.set(true);
    assert_eq!([status(MINUTE_MS), status(8 * MINUTE_MS), status(MINUTE_MS)], [200, 200, 503]);
    bench.host.secrets.fault.set(false);
    bench.host.secrets.remove(Role::Read.secret_name());
    assert_eq!(status(5_000), 404, "a token that was removed is not accepted");
}
