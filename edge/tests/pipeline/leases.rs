//! Limits that an isolate charges from permits that it has taken ahead, and those that it counts by itself.

use std::rc::Rc;

use futures_util::future::{join_all, select};
use tollgate_core::kinds::{LimitPolicy, Place};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::ports::Clock;
use tollgate_edge::{Client, Isolate, serve};

use crate::bench::{Answer, BY_ADDRESS, BY_CONSUMER, Bench, KEYS, LEASED, LOCAL, credential, key, ok, request, route};

fn bench(limit: Vec<Place<LimitPolicy>>) -> Bench {
    let cheap = RouteSettings { authn: vec![vec![KEYS]], limit, ..route("/a", &["GET"]) };
    let bench = Bench::new(vec![cheap], ok(&[], "hello"));
    bench.add(&key(), &credential());
    bench.host.counters.far.set(true);
    bench
}

fn send(bench: &Bench) -> Answer {
    bench.get("/a", &[("x-api-key", key().expose())])
}

/// How many of so many requests pass, and how many of them without a call.
fn passed(bench: &Bench, requests: u32) -> (u32, u32) {
    let answers: Vec<Answer> = (0..requests).map(|_| send(bench)).collect();
    assert!(answers.iter().all(|answer| [200, 429].contains(&answer.status)));
    let count =
        |is: &dyn Fn(&Answer) -> bool| u32::try_from(answers.iter().filter(|answer| is(answer)).count()).unwrap();
    (count(&|answer| answer.status == 200), count(&|answer| has(answer, "leased")))
}

fn has(answer: &Answer, code: &str) -> bool {
    answer.record.events.as_slice().iter().any(|event| event.reason.code() == code)
}

/// The same gateway with another isolate.
fn elsewhere(bench: &Bench) -> Bench {
    let isolate: Rc<Isolate> = bench.another_isolate();
    Bench { isolate, host: bench.host.clone() }
}

#[test]
fn a_lone_client_gets_exactly_the_limit_and_most_of_it_without_a_call() {
    let bench = bench(vec![LEASED]);
    let (passed, leased) = passed(&bench, 300);
    assert_eq!(passed, 100);
    assert!(leased > 60, "{leased}");
}

#[test]
fn near_counters_are_exact_whatever_the_policy_says() {
    let bench = bench(vec![LEASED]);
    bench.host.counters.far.set(false);
    assert_eq!(passed(&bench, 300), (100, 0));
}

#[test]
fn several_isolates_admit_no_more_than_one() {
    let one = bench(vec![LEASED]);
    let other = elsewhere(&one);
    let mut all = 0;
    for _ in 0..60 {
        all += passed(&one, 4).0 + passed(&other, 1).0;
    }
    assert!(all <= 100 && all > 80, "{all}: what one does not use, the other cannot");
}

#[test]
fn refused_until_the_promised_instant_and_admitted_then() {
    let bench = bench(vec![LEASED]);
    passed(&bench, 100);
    let refused = send(&bench);
    assert_eq!((refused.status, refused.field("retry-after")), (429, "1"));
    assert_eq!(refused.field("ratelimit"), "\"leased\";r=0;t=1");
    bench.host.clock.advance(9);
    let again = send(&bench);
    assert_eq!((again.status, has(&again, "exhausted")), (429, true));
    bench.host.clock.advance(1);
    assert_eq!(send(&bench).status, 200, "the first refusal promised 10 ms");
}

#[test]
fn who_waits_as_it_was_told_is_never_refused_however_often_it_was_refused_before() {
    let bench = bench(vec![LEASED]);
    for _ in 0..20 {
        passed(&bench, 150);
        for _ in 0..30 {
            bench.host.clock.advance(3);
            send(&bench);
        }
        bench.host.clock.advance(1_000);
        assert_eq!(send(&bench).status, 200);
    }
}

#[test]
fn the_response_says_what_the_isolate_can_promise() {
    let bench = bench(vec![LEASED]);
    assert_eq!(send(&bench).field("ratelimit"), "\"leased\";r=99;t=1", "nothing is taken ahead yet");
    let left: Vec<String> = (0..20).map(|_| send(&bench).field("ratelimit").to_owned()).collect();
    assert!(left.iter().any(|left| left.starts_with("\"leased\";r=4;")), "{left:?}");
    assert!(send(&bench).field("ratelimit-policy").starts_with("\"leased\";q=100;w=1"));
}

#[test]
fn what_another_limit_refuses_is_put_back() {
    let bench = bench(vec![LEASED, BY_CONSUMER]);
    assert_eq!(passed(&bench, 1_000).0, 2);
    bench.host.clock.advance(500);
    let refused = send(&bench);
    assert!(refused.field("ratelimit").contains("\"leased\";r="), "{}", refused.field("ratelimit"));
    let other = elsewhere(&bench);
    bench.publish_with(
        &crate::bench::gateway(),
        vec![RouteSettings { authn: vec![vec![KEYS]], limit: vec![LEASED], ..route("/a", &["GET"]) }],
    );
    let all = passed(&other, 200).0;
    assert!(all >= 90, "{all}: at most a lease was taken of the hundred");
}

#[test]
fn an_isolate_that_dies_creates_no_permit_and_its_lease_is_given_back_by_time() {
    let bench = bench(vec![LEASED]);
    assert_eq!(passed(&bench, 40).0, 40);
    let heir = elsewhere(&bench);
    let now = passed(&heir, 300).0;
    assert!((1..=60).contains(&now), "{now}");
    bench.host.clock.advance(1_000);
    assert_eq!(passed(&heir, 300).0, 100);
}

#[test]
fn what_is_not_used_is_given_back_after_a_reply() {
    let bench = bench(vec![LEASED]);
    let other = elsewhere(&bench);
    passed(&bench, 45);
    // The limit stays exhausted, so that nothing becomes available again by itself but what is given back.
    let before = passed(&other, 300).0;
    assert!(before < 55, "{before}: the first isolate has unused permits");
}

#[test]
fn an_owner_whose_answers_are_lost_creates_no_permit() {
    let bench = bench(vec![LEASED]);
    passed(&bench, 10);
    bench.host.counters.faults.answers_lost.set(true);
    let (mut admitted, mut ended) = (10, Vec::new());
    for _ in 0..30 {
        let client = Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false };
        let request = request("GET", "/a", &[("x-api-key", key().expose())], "");
        let served = bench.host.clock.drive(serve(&bench.isolate, &bench.host, request, client)).unwrap();
        admitted += u32::from(served.reply.into_response().status() == 200);
        ended.push(served.after);
    }
    // What is taken back afterwards is not left twice.
    bench.host.counters.faults.answers_lost.set(false);
    bench.host.clock.drive(join_all(ended)).unwrap();
    for _ in 0..300 {
        admitted += u32::from(send(&bench).status == 200);
    }
    assert!(admitted <= 100, "{admitted}");
}

#[test]
fn with_several_owners_the_lease_is_taken_after_the_reply() {
    let bench = bench(vec![LEASED, BY_ADDRESS]);
    bench.host.counters.apart.set(true);
    let answers: Vec<Answer> = (0..40)
        .map(|_| {
            bench.host.clock.advance(40);
            send(&bench)
        })
        .collect();
    assert!(answers.iter().any(|answer| answer.status == 200));
    let other = self::bench(vec![LEASED, LOCAL]);
    other.host.counters.apart.set(true);
    assert_eq!(passed(&other, 3).0, 2);
}

#[test]
fn a_local_limit_is_counted_in_each_isolate_without_a_call() {
    let one = bench(vec![LOCAL]);
    let other = elsewhere(&one);
    one.host.counters.fault.set(true);
    assert_eq!((passed(&one, 10).0, passed(&other, 10).0), (2, 2));
    let refused = send(&one);
    assert_eq!((refused.status, refused.field("retry-after")), (429, "30"));
    one.host.clock.advance(30_000);
    assert_eq!(passed(&one, 10).0, 1);
}

#[test]
fn a_local_limit_is_not_charged_for_what_another_refuses() {
    let bench = bench(vec![LOCAL, BY_CONSUMER]);
    assert_eq!(passed(&bench, 5).0, 2);
    bench.host.clock.advance(30_000);
    assert_eq!(passed(&bench, 5).0, 1);
}

#[test]
fn permits_are_used_while_the_owner_is_away() {
    let bench = bench(vec![LEASED]);
    passed(&bench, 12);
    bench.host.counters.fault.set(true);
    let statuses: Vec<u16> = (0..40).map(|_| send(&bench).status).collect();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert!((1..40).contains(&passed) && statuses.contains(&503), "{statuses:?}");
}

/// The statuses of requests that begin at once, and whether each had a permit that was taken ahead.
async fn at_once(bench: &Bench, requests: usize) -> Vec<(u16, bool)> {
    let client = Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false };
    let all = (0..requests).map(|_| async {
        let request = request("GET", "/a", &[("x-api-key", key().expose())], "");
        let served = serve(&bench.isolate, &bench.host, request, client).await;
        let status = served.reply.into_response().status().as_u16();
        let record = served.after.await;
        (status, record.events.as_slice().iter().any(|event| event.reason.code() == "leased"))
    });
    join_all(all).await
}

#[test]
fn requests_at_once_wait_for_what_one_of_them_takes_ahead() {
    let bench = bench(vec![LEASED]);
    let clock = &bench.host.clock;
    bench.host.counters.faults.answer_after(60);
    let before = clock.now();
    let answers = clock.drive(at_once(&bench, 40)).unwrap();
    assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:?}");
    let called = answers.iter().filter(|(_, is_leased)| !is_leased).count();
    assert!(called < 5, "{called}");
    let ms = clock.now().as_millis() - before.as_millis();
    assert!(ms <= 4 * (60 + 8), "two calls after each other, and what is asked for after the reply: {ms} ms");
}

#[test]
fn of_requests_at_once_those_are_refused_for_which_the_limit_has_no_room() {
    let bench = bench(vec![LEASED]);
    bench.host.counters.faults.answer_after(60);
    let answers = bench.host.clock.drive(at_once(&bench, 300)).unwrap();
    let admitted = answers.iter().filter(|(status, _)| *status == 200).count();
    assert!(
        (80..=100).contains(&admitted) && answers.iter().all(|(status, _)| [200, 429].contains(status)),
        "{admitted}"
    );
}

#[test]
fn an_owner_that_fails_again_is_not_asked_by_each_request() {
    let bench = bench(vec![LEASED]);
    passed(&bench, 5);
    bench.host.counters.fault.set(true);
    bench.host.clock.advance(2_000);
    let (mut paused, mut ended) = (0, Vec::new());
    for _ in 0..300 {
        let client = Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false };
        let request = request("GET", "/a", &[("x-api-key", key().expose())], "");
        let (before, calls) = (bench.host.clock.now(), bench.host.counters.calls());
        let served = bench.host.clock.drive(serve(&bench.isolate, &bench.host, request, client)).unwrap();
        assert_eq!((served.reply.into_response().status().as_u16(), bench.host.clock.now()), (503, before));
        paused += u32::from(bench.host.counters.calls() == calls);
        // What owners are told after the reply comes later.
        ended.push(served.after);
        bench.host.clock.advance(10);
    }
    assert!((280..300).contains(&paused), "one asks after each pause: {paused}");
    bench.host.counters.fault.set(false);
    bench.host.clock.advance(500);
    assert_eq!(passed(&bench, 20).0, 20);
}

#[test]
fn nobody_waits_for_permits_that_a_client_asked_for_who_has_gone() {
    let bench = bench(vec![LEASED]);
    let clock = &bench.host.clock;
    passed(&bench, 1);
    clock.advance(2_000);
    bench.host.counters.faults.answer_after(100);
    let gone = async {
        let requests = std::pin::pin!(at_once(&bench, 3));
        select(requests, std::pin::pin!(clock.sleep(50))).await;
    };
    clock.drive(gone).unwrap();
    let before = clock.now();
    assert_eq!(clock.drive(at_once(&bench, 1)).unwrap()[0].0, 200);
    let ms = clock.now().as_millis() - before.as_millis();
    assert!(ms < 300, "{ms} ms");
}
