use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use http::{Request, Response};
use tollgate_core::fetch::{AddressRule, FetchBounds, FetchError, FetchRequest, Lifetimes, RefusedTarget};
use tollgate_core::forward::UpstreamError;
use tollgate_edge::Isolate;
use tollgate_edge::fetched::{FetchPlan, Fetched, Sharing, fetched};
use tollgate_edge::memory::{Content, ScriptedFetch};
use tollgate_edge::ports::{Clock, Content as _};
use tollgate_kv_schemas::keys;

use crate::bench::{Bench, ok};

const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 60_000, stale_ms: 600_000, negative_ms: 5_000 };
const BOUNDS: FetchBounds = FetchBounds { timeout_ms: 1_000, answer_bytes_max: 100, addresses: AddressRule::Public };

/// A service whose script selects the answer by the number of the request.
fn bench(script: impl Fn(u32) -> (u64, Result<Response<Content>, UpstreamError>) + 'static) -> Bench {
    let mut bench = Bench::new(vec![], ok(&[], ""));
    let count = Cell::new(0);
    bench.host.fetch = ScriptedFetch::new(bench.host.clock.clone(), move |_: &Request<Content>| {
        count.set(count.get() + 1);
        script(count.get())
    });
    bench
}

fn plan(sharing: Sharing) -> Rc<FetchPlan> {
    plan_of("https://issuer.example/keys", BOUNDS, sharing)
}

fn plan_of(url: &str, bounds: FetchBounds, sharing: Sharing) -> Rc<FetchPlan> {
    Rc::new(FetchPlan::new(FetchRequest::get(url.parse().unwrap()), bounds, LIFETIMES, sharing))
}

fn numbered(number: u32) -> (u64, Result<Response<Content>, UpstreamError>) {
    (0, Ok(Response::new(Content::from_bytes(number.to_string().into()))))
}

fn ask(bench: &Bench, isolate: &Isolate, plan: &Rc<FetchPlan>) -> Fetched {
    bench.host.clock.drive(fetched(isolate, &bench.host, plan)).unwrap()
}

/// Fetches, runs the work after the reply, and returns the content or the error.
fn text(bench: &Bench, isolate: &Isolate, plan: &Rc<FetchPlan>) -> Result<String, FetchError> {
    let Fetched { outcome, after_reply } = ask(bench, isolate, plan);
    if let Some(work) = after_reply {
        bench.host.clock.drive(work.run(isolate, &bench.host)).unwrap();
    }
    outcome.map(|answer| String::from_utf8_lossy(&answer.content).into_owned())
}

#[test]
fn a_fresh_answer_is_used_and_a_stale_one_is_renewed_after_the_reply() {
    let (bench, plan) = (bench(numbered), plan(Sharing::Isolate));
    let ask = || text(&bench, &bench.isolate, &plan);
    assert_eq!((ask(), ask()), (Ok("1".into()), Ok("1".into())));
    bench.host.clock.advance(60_000);
    assert_eq!((ask(), ask()), (Ok("1".into()), Ok("2".into())), "stale once, then renewed");
    bench.host.clock.advance(660_000);
    assert_eq!(ask(), Ok("3".into()), "too old to be used");
    assert_eq!(bench.host.fetch.take_received().len(), 3);
}

#[test]
fn a_new_isolate_uses_a_shared_answer_with_its_age_since_the_fetch() {
    let (bench, plan) = (bench(numbered), plan(Sharing::Gateway));
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()));
    bench.host.clock.advance(50_000);
    let cold = bench.another_isolate();
    assert_eq!(text(&bench, &cold, &plan), Ok("1".into()));
    bench.host.clock.advance(10_000);
    assert_eq!((text(&bench, &cold, &plan), text(&bench, &cold, &plan)), (Ok("1".into()), Ok("2".into())));
    assert_eq!(text(&bench, &bench.another_isolate(), &plan), Ok("2".into()), "the renewed one is shared, too");
    assert_eq!(bench.host.fetch.take_received().len(), 2);
}

#[test]
fn answers_that_are_not_shared_are_fetched_by_each_isolate() {
    let (bench, plan) = (bench(numbered), plan(Sharing::Isolate));
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()));
    assert_eq!(text(&bench, &bench.another_isolate(), &plan), Ok("2".into()));
}

#[test]
fn a_failure_is_cached_for_a_short_time_and_keeps_a_stale_answer() {
    let failing = |number| if number == 2 { numbered(number) } else { (0, Err(UpstreamError::ConnectionRefused)) };
    let (bench, plan) = (bench(failing), plan(Sharing::Gateway));
    let ask = || text(&bench, &bench.isolate, &plan);
    let refused = Err(FetchError::Failed(UpstreamError::ConnectionRefused));
    assert_eq!((ask(), ask()), (refused.clone(), refused));
    bench.host.clock.advance(5_000);
    assert_eq!(ask(), Ok("2".into()));
    bench.host.clock.advance(60_000);
    assert_eq!((ask(), ask()), (Ok("2".into()), Ok("2".into())));
    assert_eq!(bench.host.fetch.take_received().len(), 3, "one attempt to renew it");
    bench.host.clock.advance(5_000);
    assert_eq!(ask(), Ok("2".into()));
    assert_eq!(bench.host.fetch.take_received().len(), 1, "and another after a while");
}

#[test]
fn an_answer_of_another_status_is_negative_and_has_no_content() {
    let unavailable = |_| (0, Ok(Response::builder().status(503).body(Content::from("later")).unwrap()));
    let (bench, plan) = (bench(unavailable), plan(Sharing::Gateway));
    for _ in 0..2 {
        let answer = ask(&bench, &bench.isolate, &plan).outcome.unwrap();
        assert_eq!((answer.status.as_u16(), answer.content.len()), (503, 0));
    }
    assert_eq!(bench.host.fetch.take_received().len(), 1);
}

#[test]
fn concurrent_requests_fetch_once_and_each_waits_with_its_own_timer() {
    let (bench, plan) = (bench(|number| (300, numbered(number).1)), plan(Sharing::Gateway));
    let ask = || fetched(&bench.isolate, &bench.host, &plan);
    let (one, two) = bench.host.clock.drive(futures_util::future::join(ask(), ask())).unwrap();
    assert_eq!(one.outcome, two.outcome);
    assert_eq!(bench.host.fetch.take_received().len(), 1);
}

/// A request that fetches and is not answered; dropped, or ended by its platform as Workers do.
fn abandon(bench: &Bench, plan: &Rc<FetchPlan>, is_dropped: bool) {
    let (isolate, host, plan) = (Rc::clone(&bench.isolate), bench.host.clone(), Rc::clone(plan));
    let mut given_up = Box::pin(async move { fetched(&isolate, &host, &plan).await.outcome });
    assert!(given_up.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_pending());
    assert_eq!(bench.host.fetch.take_received().len(), 1);
    if !is_dropped {
        std::mem::forget(given_up);
    }
}

/// Fifty requests at once: their outcomes, and how long the slowest took.
fn crowd(bench: &Bench, plan: &Rc<FetchPlan>) -> (Vec<Fetched>, u64) {
    let before = bench.host.clock.instant();
    let requests = (0..50).map(|_| fetched(&bench.isolate, &bench.host, plan));
    let outcomes = bench.host.clock.drive(futures_util::future::join_all(requests)).unwrap();
    (outcomes, bench.host.clock.instant().millis_since(before))
}

#[test]
fn an_abandoned_fetch_is_repeated_by_one_waiting_request() {
    for (is_dropped, expected_ms) in [(true, 300..400), (false, 1_800..1_900)] {
        let (bench, plan) = (bench(|number| (300, numbered(number).1)), plan(Sharing::Isolate));
        abandon(&bench, &plan, is_dropped);
        let (outcomes, waited_ms) = crowd(&bench, &plan);
        assert!(outcomes.iter().all(|fetched| fetched.outcome.is_ok()));
        assert_eq!(bench.host.fetch.take_received().len(), 1);
        assert!(expected_ms.contains(&waited_ms), "{waited_ms}");
    }
}

#[test]
fn a_silent_service_is_asked_once_by_requests_side_by_side() {
    let (bench, plan) = (bench(|number| (60_000, numbered(number).1)), plan(Sharing::Gateway));
    bench.host.records.delay(keys::fetched("acme", &plan.id()), 2_900);
    let (outcomes, waited_ms) = crowd(&bench, &plan);
    assert!(outcomes.iter().all(|fetched| fetched.outcome == Err(FetchError::Timeout)));
    assert_eq!(bench.host.fetch.take_received().len(), 1);
    assert!((3_900..4_000).contains(&waited_ms), "{waited_ms}");
}

#[test]
fn a_request_waits_for_as_long_as_one_attempt_takes_and_no_longer() {
    let (bench, plan) = (bench(|number| (60_000, numbered(number).1)), plan(Sharing::Isolate));
    let before = bench.host.clock.instant();
    let mut waiting = Box::pin(fetched(&bench.isolate, &bench.host, &plan));
    for _ in 0..3 {
        // Whoever takes the right to fetch is ended, too.
        abandon(&bench, &plan, false);
        let pause = pin!(bench.host.clock.sleep(1_480));
        let _ = bench.host.clock.drive(futures_util::future::select(waiting.as_mut(), pause));
        bench.host.clock.advance(20);
    }
    abandon(&bench, &plan, false);
    let outcome = bench.host.clock.drive(waiting).unwrap().outcome;
    assert_eq!(outcome, Err(FetchError::Timeout));
    let waited_ms = bench.host.clock.instant().millis_since(before);
    assert!((5_000..5_100).contains(&waited_ms), "{waited_ms}");
}

#[test]
fn a_stale_answer_is_renewed_by_one_of_the_requests_that_used_it() {
    let (bench, plan) = (bench(|number| (300, numbered(number).1)), plan(Sharing::Gateway));
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()));
    bench.host.clock.advance(60_000);
    let (outcomes, _) = crowd(&bench, &plan);
    let after_reply = outcomes.into_iter().filter_map(|fetched| fetched.after_reply);
    let runs = after_reply.map(|work| work.run(&bench.isolate, &bench.host));
    bench.host.clock.drive(futures_util::future::join_all(runs)).unwrap();
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("2".into()));
    assert_eq!(bench.host.fetch.take_received().len(), 2);
}

/// Asks with one plan, then with the other, in this isolate and in another one.
#[track_caller]
fn check_apart(url: &str, first: FetchBounds, second: FetchBounds, expected: &[Result<String, FetchError>; 2]) {
    let bench = bench(|_| (0, Ok(Response::new(Content::from_bytes(vec![b'x'; 101].into())))));
    let plans = [first, second].map(|bounds| plan_of(url, bounds, Sharing::Gateway));
    for isolate in [&bench.isolate, &bench.another_isolate()] {
        let answers = [0, 1].map(|which| text(&bench, isolate, &plans[which]));
        assert_eq!(answers, *expected, "{first:?} before {second:?}");
    }
}

#[test]
fn what_one_plan_may_do_is_neither_given_to_nor_kept_from_a_plan_with_other_bounds() {
    let any = FetchBounds { answer_bytes_max: 101, addresses: AddressRule::Any, ..BOUNDS };
    let public = FetchBounds { addresses: AddressRule::Public, ..any };
    let (whole, address) = (Ok("x".repeat(101)), Err(FetchError::Refused(RefusedTarget::Address)));
    check_apart("http://10.0.0.1/keys", any, public, &[whole.clone(), address.clone()]);
    check_apart("http://10.0.0.1/keys", public, any, &[address, whole.clone()]);
    check_apart("http://issuer.example/keys", public, BOUNDS, &[whole.clone(), Err(FetchError::TooLarge)]);
    check_apart("http://issuer.example/keys", BOUNDS, public, &[Err(FetchError::TooLarge), whole]);
}

#[test]
fn bounds_are_enforced_and_distinguished() {
    let large = |_| (0, Ok(Response::new(Content::from_bytes(vec![b'x'; 101].into()))));
    assert_eq!(text_of(large), Err(FetchError::TooLarge));
    assert_eq!(text_of(|n| (1_001, numbered(n).1)), Err(FetchError::Timeout));
    assert_eq!(text_of(|_| (0, Ok(Response::new(Content::breaking_after("x"))))), Err(FetchError::Incomplete));
    let bench = bench(numbered);
    let plan = plan_of("http://10.0.0.1/keys", BOUNDS, Sharing::Isolate);
    assert_eq!(text(&bench, &bench.isolate, &plan), Err(FetchError::Refused(RefusedTarget::Address)));
    assert!(bench.host.fetch.take_received().is_empty());
}

fn text_of(
    script: impl Fn(u32) -> (u64, Result<Response<Content>, UpstreamError>) + 'static,
) -> Result<String, FetchError> {
    let bench = bench(script);
    text(&bench, &bench.isolate, &plan(Sharing::Isolate))
}

#[test]
fn a_wall_clock_that_steps_back_does_not_extend_lifetimes() {
    let (bench, plan) = (bench(numbered), plan(Sharing::Gateway));
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()));
    bench.host.clock.step_back(3_600_000);
    bench.host.clock.advance(60_000);
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()), "stale");
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("2".into()));
    bench.host.clock.step_back(3_600_000);
    assert_eq!(text(&bench, &bench.another_isolate(), &plan), Ok("3".into()), "the record is from the future");
}
