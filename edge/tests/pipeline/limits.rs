use std::num::NonZeroU32;

use tollgate_core::authn::Credential;
use tollgate_core::bounds::CREDENTIAL_FRESH_MS;
use tollgate_core::cell::CellError;
use tollgate_core::kinds::{LimitPolicy, Place};
use tollgate_core::limit::{ConcurrencySettings, Counting, LegacyFields, LimitBy, OnUnavailable};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::ports::Clock;
use tollgate_edge::{Client, serve};

use crate::bench::{BY_ADDRESS, BY_CONSUMER, Bench, KEYS, credential, key, ok, on_any_host, request, route, site};

fn bench(limit: Vec<Place<LimitPolicy>>, cost: u32) -> Bench {
    let cost = NonZeroU32::new(cost).unwrap();
    let limited = RouteSettings { authn: vec![vec![KEYS]], limit, cost, ..route("/limited", &["GET"]) };
    let bench = Bench::new(vec![limited], ok(&[], "hello"));
    bench.add(&key(), &credential());
    bench
}

fn send(bench: &Bench) -> crate::bench::Answer {
    bench.get("/limited", &[("x-api-key", key().expose())])
}

#[test]
fn refused_until_the_promised_instant_with_response_fields() {
    let bench = bench(vec![BY_CONSUMER], 1);
    let first = send(&bench);
    assert_eq!((first.status, first.field("ratelimit-policy")), (200, "\"by-consumer\";q=2;w=60"));
    assert_eq!(first.field("ratelimit"), "\"by-consumer\";r=1;t=30");
    assert_eq!(send(&bench).status, 200);
    let refused = send(&bench);
    assert_eq!(
        (refused.status, refused.problem().as_str(), refused.field("retry-after")),
        (429, "rate-limit-exceeded", "30")
    );
    bench.host.clock.advance(29_999);
    assert_eq!(send(&bench).status, 429);
    bench.host.clock.advance(1);
    assert_eq!(send(&bench).status, 200);
}

#[test]
fn a_plan_has_separate_numbers() {
    let bench = bench(vec![BY_CONSUMER], 1);
    assert_eq!(send(&bench).field("ratelimit-policy"), "\"by-consumer\";q=2;w=60", "a plan without numbers");
    bench.add(&key(), &Credential { plan: Some("silver".into()), ..credential() });
    bench.host.clock.advance(CREDENTIAL_FRESH_MS + 30_000);
    let statuses: Vec<u16> = (0..6).map(|_| send(&bench).status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 429, 429]);
    assert_eq!(send(&bench).field("ratelimit-policy"), "\"by-consumer\";q=4;w=60");
}

#[test]
fn a_cost_is_charged_completely_and_one_above_the_burst_says_so() {
    let twice = bench(vec![BY_CONSUMER], 2);
    assert_eq!((send(&twice).status, send(&twice).status), (200, 429));
    let never = bench(vec![BY_CONSUMER], 3);
    let refused = send(&never);
    assert_eq!((refused.status, refused.field("retry-after")), (429, "86400"));
}

#[test]
fn a_refusal_by_one_quota_charges_no_other() {
    let bench = bench(vec![BY_ADDRESS, BY_CONSUMER], 1);
    let statuses: Vec<u16> = (0..5).map(|_| send(&bench).status).collect();
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    bench.host.clock.advance(30_000);
    let after = send(&bench);
    assert_eq!(after.status, 200, "the refused ones cost the address nothing: {:?}", after.record.events);
}

/// Two owners, each with a quota of two.
fn apart(limit: Vec<Place<LimitPolicy>>) -> Bench {
    let bench = bench(limit, 1);
    bench.host.counters.apart.set(true);
    bench
}

#[test]
fn a_refusal_by_one_owner_is_refunded_by_the_other() {
    let bench = apart(vec![BY_ADDRESS, BY_CONSUMER]);
    let statuses: Vec<u16> = (0..5).map(|_| send(&bench).status).collect();
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    bench.host.clock.advance(30_000);
    let after = send(&bench);
    assert_eq!(after.status, 200, "the refused ones cost the address nothing: {:?}", after.record.events);
}

#[test]
fn a_refused_request_is_told_as_not_charged_however_many_owners_there_are() {
    let told = [bench(vec![BY_ADDRESS, BY_CONSUMER], 1), apart(vec![BY_ADDRESS, BY_CONSUMER])].map(|bench| {
        let answers: Vec<_> = (0..3).map(|_| send(&bench)).collect();
        let refused = answers.last().unwrap();
        assert_eq!(refused.status, 429);
        assert_eq!(refused.field("ratelimit"), "\"by-address\";r=1;t=40, \"by-consumer\";r=0;t=60");
        let codes = refused.record.events.as_slice().iter().filter(|event| event.policy.is_some());
        let codes: Vec<&str> = codes.map(|event| event.reason.code()).collect();
        assert!(codes.ends_with(&["not-charged", "exhausted"]), "{codes:?}");
        refused.record.events.hash()
    });
    assert_eq!(told[0], told[1]);
}

#[test]
fn an_owner_that_loses_its_answers_keeps_no_charge_of_a_refused_request() {
    let bench = apart(vec![BY_ADDRESS, BY_CONSUMER]);
    bench.host.counters.faults.answers_lost.set(true);
    for _ in 0..3 {
        let refused = send(&bench);
        assert_eq!((refused.status, refused.problem().as_str()), (503, "store-unavailable"), "the address is closed");
    }
    bench.host.counters.faults.answers_lost.set(false);
    assert_eq!([send(&bench).status, send(&bench).status], [200, 200]);
}

#[test]
fn an_owner_that_is_replaced_is_asked_once_more_and_charges_once() {
    let bench = bench(vec![BY_ADDRESS], 1);
    let faults = &bench.host.counters.faults;
    faults.replace_owners(1);
    let passed = send(&bench);
    assert_eq!((passed.status, passed.field("ratelimit")), (200, "\"by-address\";r=2;t=20"));
    faults.replace_owners(2);
    let refused = send(&bench);
    assert_eq!((refused.status, refused.problem().as_str()), (503, "store-unavailable"), "not a third time");
}

#[test]
fn an_owner_that_confirms_too_late_refuses_and_is_refunded() {
    let bench = apart(vec![BY_ADDRESS, BY_CONSUMER]);
    // Held in time, and then confirmed after the timeout of a store.
    bench.host.counters.faults.answer_after(2_900);
    assert_eq!(send(&bench).status, 200);
    bench.host.counters.faults.answer_after(3_100);
    let late = send(&bench);
    assert_eq!((late.status, late.problem().as_str()), (503, "store-unavailable"));
    bench.host.counters.faults.answer_after(0);
    assert_eq!(send(&bench).status, 200, "what the late answers held was released");
}

#[test]
fn contention_a_full_table_and_a_newer_state_never_let_requests_pass() {
    let newer = Some(CellError::NewerVersion { found: 9, known: 1 });
    let bench = bench(vec![BY_CONSUMER], 1);
    let faults = &bench.host.counters.faults;
    faults.full.set(true);
    assert_refused(&send(&bench), "counter-table-full", "10");
    faults.full.set(false);
    assert_eq!(send(&bench).status, 200);
    faults.contended.set(true);
    assert_refused(&send(&bench), "counter-contended", "1");
    faults.contended.set(false);
    for reason in [newer, Some(CellError::Damaged)] {
        faults.unreadable(reason);
        assert_refused(&send(&bench), "counter-unreadable", "60");
    }
    faults.unreadable(None);
    assert_eq!(send(&bench).field("ratelimit"), "\"by-consumer\";r=0;t=60", "none of them was charged");
}

#[track_caller]
fn assert_refused(answer: &crate::bench::Answer, problem: &str, retry_after: &str) {
    assert_eq!((answer.status, answer.problem().as_str()), (503, problem));
    assert_eq!(answer.field("retry-after"), retry_after);
}

#[test]
fn unavailable_counters_are_open_or_closed_by_policy_and_reported() {
    let open = bench(vec![BY_CONSUMER], 1);
    open.host.counters.fault.set(true);
    let passed = send(&open);
    assert_eq!(passed.status, 200);
    assert!(open.host.sink.lines()[0].contains("\"open_on_failure\":[\"by-consumer\"]"));
    assert!(
        open.host.sink.metrics().to_prometheus().contains("tollgate_open_on_failure_total{policy=\"by-consumer\"} 1")
    );
    let closed = bench(vec![BY_ADDRESS], 1);
    closed.host.counters.fault.set(true);
    let refused = send(&closed);
    assert_eq!((refused.status, refused.problem().as_str()), (503, "store-unavailable"));
}

#[test]
fn what_was_charged_for_a_refused_request_whose_answer_was_lost_is_taken_back() {
    let bench = bench(vec![BY_ADDRESS], 3);
    let faults = &bench.host.counters.faults;
    for _ in 0..3 {
        faults.answers_lost.set(true);
        let refused = send(&bench);
        assert_eq!((refused.status, refused.problem().as_str()), (503, "store-unavailable"));
        faults.answers_lost.set(false);
    }
    let passed = send(&bench);
    assert_eq!((passed.status, passed.field("ratelimit")), (200, "\"by-address\";r=0;t=60"));
}

#[test]
fn an_owner_that_answers_again_is_told_what_was_not_charged_for_good() {
    let bench = bench(vec![BY_ADDRESS], 3);
    let (counters, clock) = (&bench.host.counters, &bench.host.clock);
    // It charges, and answers after the timeout. Until it is back, nothing reaches it that takes the charge back.
    counters.faults.answer_after(3_100);
    let back = async {
        clock.sleep(1_000).await;
        counters.fault.set(true);
        counters.faults.answer_after(0);
        clock.sleep(9_500).await;
        counters.fault.set(false);
    };
    let refused =
        bench.host.clock.drive(futures_util::future::join(bench.answered(client(), request_of_key()), back)).unwrap().0;
    assert_eq!(refused.status, 503);
    assert_eq!(send(&bench).field("ratelimit"), "\"by-address\";r=0;t=60");
}

/// A route with two limits, of which the first is changed.
fn with_first(change: impl Fn(&mut LimitPolicy)) -> Bench {
    let limited = RouteSettings {
        authn: vec![vec![KEYS]],
        limit: vec![BY_CONSUMER, BY_ADDRESS],
        limit_fields: Some(LegacyFields::XRatelimit),
        ..route("/limited", &["GET"])
    };
    let mut settings = site(vec![limited]);
    change(&mut settings.policies.limit[0].policy);
    let bench = bench(vec![], 1);
    bench.publish(&on_any_host(settings));
    bench
}

#[test]
fn a_budget_is_not_told_to_callers() {
    let bench = with_first(|policy| {
        if let LimitPolicy::RateLimit(settings) = policy {
            settings.counting.budget = Some("20 USD".into());
        }
    });
    let passed = send(&bench);
    assert_eq!(passed.field("ratelimit-policy"), "\"by-address\";q=3;w=60");
    assert_eq!(passed.field("ratelimit"), "\"by-address\";r=2;t=20");
    assert_eq!((passed.field("x-ratelimit-limit"), passed.field("x-ratelimit-remaining")), ("3", "2"));
    assert_eq!(send(&bench).status, 200);
    let refused = send(&bench);
    assert_eq!((refused.status, refused.problem().as_str()), (503, "budget-exhausted"));
    assert_eq!(refused.field("retry-after"), "30");
    let told: serde_json::Value = serde_json::from_slice(&refused.content).unwrap();
    let members: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(!members.iter().any(|name| ["quota", "window_s", "remaining", "reset_s"].contains(name)), "{told}");
    assert!(!refused.field("ratelimit").contains("by-consumer"), "{:?}", refused.fields);
}

#[test]
fn a_refused_request_is_one_call_of_a_limit_of_requests_at_the_same_time() {
    for shadow in [false, true] {
        let bench = with_first(|policy| {
            let one = NonZeroU32::MIN;
            *policy = LimitPolicy::Concurrency(ConcurrencySettings {
                max: one,
                lease_ms: NonZeroU32::new(60_000).unwrap(),
                by: LimitBy::Consumer,
                on_unavailable: OnUnavailable::Closed,
                plans: Default::default(),
                counting: Counting { shadow, ..Counting::default() },
            });
        });
        bench.host.counters.apart.set(false);
        let first = serve(&bench.isolate, &bench.host, request_of_key(), client());
        let first = bench.host.clock.drive(first).unwrap();
        let before = bench.host.counters.calls();
        let second = send(&bench);
        assert_eq!(second.status, if shadow { 200 } else { 429 });
        assert_eq!(bench.host.counters.calls() - before, 1 + u32::from(shadow), "the end of nothing is told");
        drop(first.reply);
        bench.host.clock.drive(first.after).unwrap();
        assert_eq!(send(&bench).status, 200, "what was in flight has ended");
    }
}

fn client() -> Client {
    Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false }
}

fn request_of_key() -> http::Request<tollgate_edge::memory::Content> {
    request("GET", "/limited", &[("x-api-key", key().expose())], "")
}
