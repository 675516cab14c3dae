//! Limits that are charged while the request goes on.

use std::cell::Cell;
use std::num::{NonZeroU8, NonZeroU32};
use std::rc::Rc;

use http::Request;
use tollgate_core::cache::CacheCredentials;
use tollgate_core::forward::UpstreamError;
use tollgate_core::kinds::{LimitPolicy, Named, Place};
use tollgate_core::limit::{Consistency, Cost, Counting, LimitBy, Measure, OnUnavailable, RateLimitSettings, Statuses};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::Content;
use tollgate_edge::ports::Clock;
use tollgate_edge::{Client, serve};

use crate::bench::{
    Answer, BY_CONSUMER, Bench, KEYS, answer, cached, credential, key, on_any_host, request, route, site,
};

/// The limit of a test.
const OWN: Place<LimitPolicy> = Place::new(7);

/// A limit that is charged while the request goes on.
fn meanwhile() -> Counting {
    Counting { beside: true, ..Counting::default() }
}

struct Timed {
    bench: Bench,
    /// How long the upstream takes.
    upstream_ms: Rc<Cell<u64>>,
}

/// Two a minute. The upstream answers `/fails` with 500, hangs up on `/gone`, and everything else may be stored.
fn timed(counting: Counting, on_unavailable: OnUnavailable, also: &[Place<LimitPolicy>]) -> Timed {
    of_rate(2, 60_000, counting, on_unavailable, also)
}

fn of_rate(
    rate: u32,
    period_ms: u32,
    counting: Counting,
    on_unavailable: OnUnavailable,
    also: &[Place<LimitPolicy>],
) -> Timed {
    let of = |number| NonZeroU32::new(number).unwrap();
    let limit = RateLimitSettings {
        rate: of(rate),
        period_ms: of(period_ms),
        burst: of(rate),
        by: LimitBy::Address,
        on_unavailable,
        plans: Default::default(),
        algorithm: Default::default(),
        counting,
    };
    let upstream_ms = Rc::new(Cell::new(0));
    let takes_ms = Rc::clone(&upstream_ms);
    let bench = Bench::new(vec![], move |request| {
        let path = request.uri().path();
        let answered = match () {
            () if path.ends_with("/fails") => Ok(answer(500, &[], "")),
            () if path.ends_with("/gone") => Err(UpstreamError::ClientGone),
            () => Ok(answer(200, &[("cache-control", "max-age=600"), ("x-cost", "2")], "hello")),
        };
        (takes_ms.get(), answered)
    });
    let limited = |path| {
        let limit = [OWN].iter().chain(also).copied().collect();
        RouteSettings { authn: vec![vec![KEYS]], limit, ..route(path, &["GET", "POST"]) }
    };
    let stored = cached(limited("/stored/{id}"), CacheCredentials::PerConsumer);
    let guarded = RouteSettings { limit: vec![], guard_limit: vec![OWN], ..limited("/guarded") };
    let mut site = site(vec![limited("/a"), limited("/fails"), limited("/gone"), stored, guarded]);
    site.policies.push(Named { name: "own".into(), policy: limit.into() });
    bench.publish(&on_any_host(site));
    bench.add(&key(), &credential());
    bench.host.counters.far.set(true);
    Timed { bench, upstream_ms }
}

impl Timed {
    /// How long counters and upstream take from now on.
    fn take(&self, counters_ms: u64, upstream_ms: u64) {
        self.bench.host.counters.faults.answer_after(counters_ms);
        self.upstream_ms.set(upstream_ms);
    }

    /// The answer, and after how many milliseconds its head was there.
    fn send(&self, request: Request<Content>) -> (Answer, u64) {
        let (bench, clock) = (&self.bench, &self.bench.host.clock);
        let client = Client { address: Some("192.0.2.7".parse().unwrap()), https: true, inside: false };
        let begun = clock.instant();
        let answered = async {
            let served = serve(&bench.isolate, &bench.host, request, client).await;
            let took = clock.instant().millis_since(begun);
            let (parts, content) = served.reply.into_response().into_parts();
            let record = served.after.await;
            let (status, content) = (parts.status.as_u16(), content.bytes().clone());
            (Answer { status, fields: parts.headers, content, record }, took)
        };
        clock.drive(answered).expect("an exchange waits for nothing but time")
    }

    fn get(&self, path: &str) -> (Answer, u64) {
        self.send(request("GET", path, &[("x-api-key", key().expose())], ""))
    }

    #[track_caller]
    fn check(&self, path: &str, status: u16, took_ms: u64) -> Answer {
        let (answer, took) = self.get(path);
        assert_eq!((answer.status, took), (status, took_ms), "{}", answer.record.events);
        answer
    }

    /// How many requests the upstream has received since the last call.
    fn received(&self) -> usize {
        self.bench.host.upstream.take_received().len()
    }
}

fn codes(answer: &Answer) -> Vec<&'static str> {
    answer.record.events.as_slice().iter().map(|event| event.reason.code()).collect()
}

#[test]
fn a_request_waits_for_the_slower_of_both_and_not_for_one_after_the_other() {
    for (beside, counters_ms, upstream_ms, took_ms) in
        [(false, 200, 300, 500), (true, 200, 300, 300), (true, 300, 200, 300), (true, 0, 300, 300), (true, 300, 0, 300)]
    {
        let timed = timed(Counting { beside, ..meanwhile() }, OnUnavailable::Closed, &[]);
        timed.take(counters_ms, upstream_ms);
        let one = timed.check("/a", 200, took_ms);
        assert_eq!(one.field("ratelimit"), "\"own\";r=1;t=30", "{beside}");
        assert_eq!(one.record.events.charged(), Some(1));
    }
}

#[test]
fn what_happened_is_told_in_the_same_order() {
    let [before, beside] = [false, true].map(|beside| {
        let timed = timed(Counting { beside, ..meanwhile() }, OnUnavailable::Closed, &[]);
        timed.take(20, 10);
        codes(&timed.get("/stored/1").0)
    });
    assert_eq!(before, beside);
}

#[test]
fn a_refusal_ends_the_call_to_the_upstream_and_its_response_goes_to_nobody() {
    let timed = timed(meanwhile(), OnUnavailable::Closed, &[]);
    timed.take(50, 800);
    timed.check("/a", 200, 800);
    timed.check("/a", 200, 800);
    timed.received();
    // Each took 800 ms.
    let refused = timed.check("/a", 429, 50);
    assert_eq!((refused.problem().as_str(), refused.field("retry-after")), ("rate-limit-exceeded", "29"));
    assert_eq!((timed.received(), refused.record.events.calls().count()), (1, 0), "it was called, and cut short");
    timed.take(50, 20);
    let refused = timed.check("/a", 429, 50);
    assert_eq!((timed.received(), refused.record.events.calls().count()), (1, 1), "it has answered");
    assert_eq!(refused.field("cache-control"), "no-store");
    assert_eq!(refused.record.events.charged(), None);
}

#[test]
fn a_charge_that_is_answered_at_once_is_decided_before_the_upstream_is_called() {
    let timed = timed(meanwhile(), OnUnavailable::Closed, &[]);
    timed.take(0, 100);
    timed.check("/a", 200, 100);
    timed.check("/a", 200, 100);
    timed.received();
    timed.check("/a", 429, 0);
    assert_eq!(timed.received(), 0);
}

#[test]
fn what_the_isolate_knows_is_decided_before_the_upstream_is_called() {
    let leased = Counting { consistency: Consistency::Leased, ..meanwhile() };
    let timed = of_rate(100, 1_000, leased, OnUnavailable::Closed, &[]);
    timed.take(2, 0);
    let answers = (0..1_000).map(|_| timed.get("/a"));
    let passed: Vec<(Answer, u64)> = answers.take_while(|(answer, _)| answer.status == 200).collect();
    let mut leased = passed.iter().filter(|(answer, _)| codes(answer).contains(&"leased"));
    assert!(leased.clone().count() > 50 && leased.all(|(_, took)| *took == 0), "{}", passed.len());
    timed.received();
    timed.check("/a", 429, 0);
    assert_eq!(timed.received(), 0, "the owner has refused a moment ago");
}

#[test]
fn a_stored_response_waits_for_the_charge_and_is_served_to_nobody_who_is_refused() {
    let timed = timed(meanwhile(), OnUnavailable::Closed, &[]);
    timed.take(40, 100);
    timed.check("/stored/1", 200, 100);
    let hit = timed.check("/stored/1", 200, 40);
    assert!(hit.field("cache-status").contains("hit"), "{}", hit.field("cache-status"));
    assert_eq!(timed.received(), 1);
    let refused = timed.check("/stored/1", 429, 40);
    assert_eq!((refused.field("cache-status"), timed.received()), ("", 0));
}

#[test]
fn the_response_to_a_request_that_is_refused_is_not_stored() {
    let timed = timed(meanwhile(), OnUnavailable::Closed, &[]);
    timed.take(40, 10);
    timed.check("/a", 200, 40);
    timed.check("/a", 200, 40);
    timed.check("/stored/1", 429, 40);
    assert_eq!(timed.received(), 3);
    timed.bench.host.clock.advance(60_000);
    let miss = timed.check("/stored/1", 200, 40);
    assert!(miss.field("cache-status").contains("uri-miss"), "{}", miss.field("cache-status"));
}

#[test]
fn a_write_that_the_upstream_has_done_invalidates_what_is_stored_though_its_client_is_refused() {
    let timed = timed(meanwhile(), OnUnavailable::Closed, &[]);
    timed.take(40, 10);
    timed.check("/stored/1", 200, 40);
    timed.check("/stored/1", 200, 40);
    let write = request("POST", "/stored/1", &[("x-api-key", key().expose())], "x");
    assert_eq!((timed.send(write).0.status, timed.received()), (429, 2));
    timed.bench.host.clock.advance(60_000);
    let read = timed.check("/stored/1", 200, 40);
    assert!(!read.field("cache-status").contains("hit"), "{}", read.field("cache-status"));
}

#[test]
fn what_does_not_count_is_given_back_and_what_the_response_costs_is_settled() {
    let count_when = Some(Statuses::parse("status < 400").unwrap());
    let timed_of = |counting| {
        let timed = timed(counting, OnUnavailable::Closed, &[]);
        timed.take(20, 10);
        timed
    };
    let given_back = timed_of(Counting { count_when: count_when.clone(), ..meanwhile() });
    for _ in 0..5 {
        given_back.check("/fails", 500, 20);
    }
    assert_eq!(given_back.check("/a", 200, 20).field("ratelimit"), "\"own\";r=1;t=30");
    let gone = timed_of(Counting { count_when, ..meanwhile() });
    let statuses: Vec<u16> = (0..3).map(|_| gone.get("/gone").0.status).collect();
    assert_eq!(statuses, [499, 499, 429], "what was charged stays if the client hangs up");
    let one = NonZeroU32::MIN;
    let cost = Cost { of: Measure::ResponseField("x-cost".into()), per: one, reserve: one, most: None };
    let costing = timed_of(Counting { cost: Some(Box::new(cost)), ..meanwhile() });
    let settled = costing.check("/a", 200, 20);
    assert_eq!((settled.field("ratelimit"), settled.record.events.charged()), ("\"own\";r=0;t=60", Some(2)));
    costing.check("/a", 429, 20);
}

#[test]
fn counters_that_do_not_answer_are_open_closed_or_degraded_by_policy() {
    let lost = |counting, on_unavailable| {
        let timed = timed(counting, on_unavailable, &[]);
        timed.bench.host.counters.faults.answers_lost.set(true);
        timed.take(20, 300);
        timed
    };
    let open = lost(meanwhile(), OnUnavailable::Open).check("/a", 200, 300);
    assert_eq!(open.record.events.open_on_failure().collect::<Vec<_>>(), ["own"]);
    let closed = lost(meanwhile(), OnUnavailable::Closed).check("/a", 503, 20);
    assert_eq!(closed.problem(), "store-unavailable");
    let degraded = lost(Counting { degrade: NonZeroU8::new(50), ..meanwhile() }, OnUnavailable::Closed);
    assert_eq!([200, 429], [(); 2].map(|()| degraded.get("/a").0.status), "one of two");
    let late = timed(Counting { timeout_ms: NonZeroU32::new(100), ..meanwhile() }, OnUnavailable::Closed, &[]);
    late.take(2_000, 300);
    late.check("/a", 503, 100);
}

#[test]
fn several_owners_and_limits_that_are_charged_before_are_charged_before() {
    for (apart, calls) in [(false, 1), (true, 2)] {
        let timed = timed(meanwhile(), OnUnavailable::Closed, &[BY_CONSUMER]);
        timed.bench.host.counters.apart.set(apart);
        timed.take(40, 100);
        timed.check("/a", 200, 100 + calls * 40);
        timed.check("/a", 200, 100 + calls * 40);
        timed.received();
        let (refused, _) = timed.get("/a");
        assert_eq!((refused.status, timed.received()), (429, 0), "{apart}");
    }
}

#[test]
fn limits_in_guard_are_charged_before() {
    let timed = timed(meanwhile(), OnUnavailable::Closed, &[]);
    timed.take(40, 100);
    timed.check("/guarded", 200, 140);
    timed.check("/guarded", 200, 140);
    timed.received();
    timed.check("/guarded", 429, 40);
    assert_eq!(timed.received(), 0);
}

#[test]
fn limits_that_are_only_observed_are_charged_beside_too() {
    let timed = timed(Counting { shadow: true, ..meanwhile() }, OnUnavailable::Closed, &[]);
    timed.take(40, 100);
    for noted in ["charged", "charged", "would-refuse"] {
        let passed = timed.check("/a", 200, 100);
        assert!(codes(&passed).contains(&noted), "{}", passed.record.events);
    }
    timed.take(100, 40);
    timed.check("/a", 200, 100);
}
