//! Limits whose cost is read of the request or of its response.

use std::cell::OnceCell;
use std::num::{NonZeroU8, NonZeroU32};
use std::rc::Rc;

use tollgate_core::event::Reason;
use tollgate_core::expression::Source;
use tollgate_core::kinds::{Named, Place};
use tollgate_core::limit::{
    Consistency, Cost, Counting, LimitBy, Measure, OnUnavailable, QuotaSettings, RateLimitSettings, Statuses, Unit,
    Windows,
};
use tollgate_core::settings::RouteSettings;
use tollgate_edge::memory::Fault;

use crate::bench::{Answer, Bench, KEYS, answer, credential, key, ok, on_any_host, request, route, site};

const KINDS: [Consistency; 3] = [Consistency::Exact, Consistency::Leased, Consistency::Local];

fn n(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

fn costing(of: Measure) -> Counting {
    let cost = Cost { of, per: n(1), reserve: n(1), most: None };
    Counting { cost: Some(Box::new(cost)), ..Counting::default() }
}

fn field() -> Measure {
    Measure::ResponseField("x-cost".into())
}

/// 100 at once and in a second. The upstream answers `/costs` with the query as `x-cost`, and 500 where this is `fails`.
fn bench(counting: Counting, is_in_guard: bool) -> Bench {
    let limit = RateLimitSettings {
        rate: n(100),
        period_ms: n(1_000),
        burst: n(100),
        by: if is_in_guard { LimitBy::Address } else { LimitBy::Consumer },
        on_unavailable: OnUnavailable::Open,
        plans: Default::default(),
        algorithm: Default::default(),
        counting,
    };
    let own = vec![Place::new(7)];
    let (guard_limit, limit_places) = if is_in_guard { (own, vec![]) } else { (vec![], own) };
    let limited = RouteSettings {
        authn: vec![vec![KEYS]],
        limit: limit_places,
        guard_limit,
        content_bytes_max: 1_000,
        ..route("/costs", &["GET", "POST"])
    };
    let away = Rc::new(OnceCell::<Fault>::new());
    let fault = Rc::clone(&away);
    let bench = Bench::new(vec![], move |request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let status = if query == "fails" { 500 } else { 200 };
        let field = [("x-cost", query.as_str())];
        if let Some(fault) = fault.get().filter(|_| query == AWAY) {
            fault.set(true);
        }
        (0, Ok(answer(status, if query.is_empty() { &[] } else { &field }, "hello, world")))
    });
    let mut site = site(vec![limited]);
    site.policies.push(Named { name: "costs".into(), policy: limit.into() });
    bench.publish(&on_any_host(site));
    bench.add(&key(), &credential());
    bench.host.counters.far.set(true);
    assert!(away.set(bench.host.counters.fault.clone()).is_ok());
    bench
}

/// The cost with which the counters go away.
const AWAY: &str = "77";

impl Bench {
    fn cost(&self, query: &str) -> Answer {
        self.get(&format!("/costs{query}"), &[("x-api-key", key().expose())])
    }

    #[track_caller]
    fn costs(&self, query: &str, charged: u32, left: u32) {
        let answer = self.cost(query);
        assert_eq!((answer.status, answer.record.events.charged()), (200, Some(charged)), "{}", answer.record.events);
        assert_eq!(left_of(&answer), left, "{}", answer.field("ratelimit"));
    }
}

/// `r` of the response.
fn left_of(answer: &Answer) -> u32 {
    let part = answer.field("ratelimit").split(';').find_map(|part| part.strip_prefix("r="));
    part.and_then(|number| number.parse().ok()).unwrap()
}

fn has(answer: &Answer, is_it: impl Fn(&Reason) -> bool) -> bool {
    answer.record.events.as_slice().iter().any(|event| is_it(&event.reason))
}

#[test]
fn a_field_of_the_response_is_charged_and_a_debt_is_waited_for() {
    for consistency in [Consistency::Exact, Consistency::Local] {
        let bench = bench(Counting { consistency, ..costing(field()) }, false);
        for left in [70, 40, 10] {
            bench.costs("?30", 30, left);
        }
        let last = bench.cost("?60.5");
        assert_eq!((last.status, last.record.events.charged()), (200, Some(61)), "{consistency:?}");
        let refused = bench.cost("?1");
        assert_eq!((refused.status, refused.field("retry-after")), (429, "1"), "{consistency:?}: 151 of 100");
        bench.host.clock.advance(510);
        assert_eq!(bench.cost("?1").status, 429, "{consistency:?}");
        bench.host.clock.advance(20);
        assert_eq!(bench.cost("?1").status, 200, "{consistency:?}");
    }
}

#[test]
fn costs_are_taken_from_leases_and_charged_at_the_owner_where_these_are_too_small() {
    let bench = bench(Counting { consistency: Consistency::Leased, ..costing(field()) }, false);
    let passed = || {
        let answers: Vec<Answer> = (0..20).map(|_| bench.cost("?30")).collect();
        assert!(answers.iter().all(|answer| answer.status == 429 || answer.record.events.charged() == Some(30)));
        answers.iter().filter(|answer| answer.status == 200).count()
    };
    assert!((3..=4).contains(&passed()), "100 at once");
    assert_eq!(passed(), 0, "a debt is waited for");
    bench.host.clock.advance(3_000);
    assert!((3..=4).contains(&passed()), "100 at once");
}

#[test]
fn what_was_reserved_too_much_is_given_back() {
    for consistency in KINDS {
        let mut counting = Counting { consistency, ..costing(field()) };
        counting.cost.as_mut().unwrap().reserve = n(40);
        let bench = bench(counting, false);
        // More than 100 are reserved altogether.
        for left in [97, 94, 91, 88] {
            let answer = bench.cost("?3");
            assert_eq!((answer.status, answer.record.events.charged()), (200, Some(3)), "{consistency:?}");
            let is_known = consistency != Consistency::Leased;
            assert!(!is_known || left_of(&answer) == left, "{consistency:?} {}", answer.record.events);
        }
    }
}

#[test]
fn a_cost_that_is_no_number_is_the_reserve_and_one_beyond_the_bound_is_the_bound() {
    let mut counting = costing(field());
    counting.cost.as_mut().unwrap().reserve = n(2);
    counting.cost.as_mut().unwrap().most = Some(n(20));
    let bench = bench(counting, false);
    let is_unknown = |reason: &Reason| matches!(reason, Reason::CostUnknown { cost: 2 });
    for (place, query) in ["", "?-5", "?many", "?1e3"].into_iter().enumerate() {
        let answer = bench.cost(query);
        assert!(answer.status == 200 && has(&answer, is_unknown), "{query}: {}", answer.record.events);
        assert_eq!(left_of(&answer), 98 - 2 * u32::try_from(place).unwrap(), "{query}");
    }
    let beyond = bench.cost("?99999999999999999999999");
    assert!(has(&beyond, |reason| matches!(reason, Reason::CostBeyond { cost: 20 })), "{}", beyond.record.events);
    assert_eq!(left_of(&beyond), 72);
    bench.costs("?0", 1, 71);
}

#[test]
fn the_bytes_of_the_response_are_charged_when_it_is_delivered() {
    for consistency in KINDS {
        let mut counting = Counting { consistency, ..costing(Measure::ResponseBytes) };
        counting.cost.as_mut().unwrap().per = n(5);
        let bench = bench(counting, false);
        for before in [0, 3, 6] {
            let answer = bench.cost("");
            assert_eq!((answer.status, answer.record.events.charged()), (200, Some(3)), "{consistency:?}");
            let is_known = consistency != Consistency::Leased;
            assert!(!is_known || left_of(&answer) == 100 - before - 1, "its fields are sent before its content");
        }
    }
}

#[test]
fn declared_bytes_of_the_request_and_values_are_charged_before() {
    let by_bytes = bench(costing(Measure::RequestBytes), false);
    let fields = [("x-api-key", key().expose().to_owned()), ("content-length", "6".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = by_bytes.send(request("POST", "/costs", &fields, "sixsix"));
    assert_eq!((answer.status, left_of(&answer), answer.record.events.charged()), (200, 94, Some(6)));
    assert!(!has(&answer, |reason| matches!(reason, Reason::Settled { .. })), "nothing is left to settle");

    let by_query = bench(costing(Measure::Value(Source::Query("limit".into()))), false);
    by_query.costs("?limit=25", 25, 75);
    by_query.costs("?limit=x", 1, 74);
    assert_eq!(by_query.cost("?limit=75").status, 429);
    by_query.costs("?limit=74", 74, 0);
    by_query.host.clock.advance(1_000);
    assert_eq!(by_query.cost("?limit=1000").record.events.charged(), Some(100), "no more than the burst");
}

#[test]
fn a_response_that_does_not_count_costs_nothing() {
    for consistency in KINDS {
        for reserve in [1, 10] {
            let count_when = Some(Statuses::parse("status < 500").unwrap());
            let mut counting = Counting { consistency, count_when, ..costing(field()) };
            counting.cost.as_mut().unwrap().reserve = n(reserve);
            let bench = bench(counting, false);
            for _ in 0..4 {
                let answer = bench.cost("?fails");
                assert_eq!((answer.status, answer.record.events.charged()), (500, Some(0)), "{consistency:?}");
                let is_known = consistency != Consistency::Leased;
                assert!(!is_known || left_of(&answer) == 100, "{consistency:?} {}", answer.record.events);
            }
            let is_leased = consistency == Consistency::Leased;
            let passed = (0..20).filter(|_| bench.cost("?10").status == 200).count();
            // Permits that are put back into a batch which has been replaced are lost until they are available again.
            let least = if is_leased { 8 } else { 10 };
            assert!((least..=10).contains(&passed), "{consistency:?} {reserve}: {passed}");
        }
    }
}

#[test]
fn a_limit_before_authentication_counts_refusals_too() {
    let mut counting = costing(Measure::ResponseBytes);
    counting.cost.as_mut().unwrap().per = n(10);
    let bench = bench(counting, true);
    let answer = bench.get("/costs", &[]);
    let units = u32::try_from(answer.content.len().div_ceil(10)).unwrap();
    assert_eq!((answer.status, answer.record.events.charged()), (401, Some(units)), "the problem document");
}

#[test]
fn a_settlement_that_fails_is_told_and_keeps_the_reserve() {
    let bench = bench(costing(field()), false);
    bench.costs("?10", 10, 90);
    let served = bench.cost(&format!("?{AWAY}"));
    assert!(has(&served, |reason| matches!(reason, Reason::CountersFailed { .. })), "{}", served.record.events);
    bench.host.counters.fault.set(false);
    bench.costs("?1", 1, 88);
}

#[test]
fn a_quota_counts_costs_exactly_and_tells_its_shares() {
    let counting = Counting { warn: vec![NonZeroU8::new(50).unwrap()], ..costing(field()) };
    let quota = QuotaSettings {
        quota: n(100),
        windows: Windows { unit: Unit::Day, anchor: None, zone: None, zone_name: String::new() },
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Closed,
        plans: Default::default(),
        counting,
    };
    let limited = RouteSettings { authn: vec![vec![KEYS]], limit: vec![Place::new(7)], ..route("/costs", &["GET"]) };
    let bench = Bench::new(vec![], ok(&[("x-cost", "45")], ""));
    let mut site = site(vec![limited]);
    site.policies.push(Named { name: "daily".into(), policy: quota.into() });
    bench.publish(&on_any_host(site));
    bench.add(&key(), &credential());
    bench.costs("", 45, 55);
    let second = bench.cost("");
    assert!(has(&second, |reason| matches!(reason, Reason::QuotaReached { percent: 50 })), "{}", second.record.events);
    bench.costs("", 45, 0);
    let refused = bench.cost("");
    assert_eq!(refused.status, 429, "135 of 100");
    bench.host.clock.advance(86_400_000);
    bench.costs("", 45, 55);
}
