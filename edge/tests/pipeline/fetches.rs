use std::cell::Cell;
use std::rc::Rc;

use http::{Request, Response};
use tollgate_core::fetch::{AddressRule, FetchAnswer, FetchBounds, FetchError, FetchRequest, Lifetimes, RefusedTarget};
use tollgate_core::forward::UpstreamError;
use tollgate_edge::Isolate;
use tollgate_edge::fetched::{FetchPlan, Fetched, Sharing, fetched};
use tollgate_edge::memory::{Content, ScriptedFetch};
use tollgate_edge::ports::{Clock, Content as _};

use crate::bench::{Bench, ok};

const LIFETIMES: Lifetimes = Lifetimes { fresh_ms: 60_000, stale_ms: 600_000, negative_ms: 5_000 };

/// A service that answers as its script says, by the number of the request.
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
    let request = FetchRequest::get("https://issuer.example/keys".parse().unwrap());
    let bounds = FetchBounds { timeout_ms: 1_000, answer_bytes_max: 100, addresses: AddressRule::Public };
    Rc::new(FetchPlan::new(request, bounds, LIFETIMES, sharing))
}

fn numbered(number: u32) -> (u64, Result<Response<Content>, UpstreamError>) {
    (0, Ok(Response::new(Content::from_bytes(number.to_string().into()))))
}

fn ask(bench: &Bench, isolate: &Isolate, plan: &Rc<FetchPlan>) -> Fetched {
    bench.host.clock.drive(fetched(isolate, &bench.host, plan)).unwrap()
}

/// Asks, runs what comes after the reply, and answers the content or the error.
fn text(bench: &Bench, isolate: &Isolate, plan: &Rc<FetchPlan>) -> Result<String, FetchError> {
    let Fetched { outcome, behind } = ask(bench, isolate, plan);
    if let Some(behind) = behind {
        bench.host.clock.drive(behind.run(isolate, &bench.host)).unwrap();
    }
    outcome.map(|answer: Rc<FetchAnswer>| String::from_utf8_lossy(&answer.content).into_owned())
}

#[test]
fn a_fresh_answer_is_used_and_a_stale_one_is_renewed_behind_the_reply() {
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
fn a_cold_isolate_uses_what_another_shared_and_counts_its_age_from_when_it_was_fetched() {
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
fn what_is_not_shared_is_fetched_by_each_isolate() {
    let (bench, plan) = (bench(numbered), plan(Sharing::Isolate));
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()));
    assert_eq!(text(&bench, &bench.another_isolate(), &plan), Ok("2".into()));
}

#[test]
fn a_failure_is_remembered_for_a_short_time_and_leaves_a_stale_answer_in_use() {
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
fn requests_side_by_side_fetch_once_and_each_waits_by_its_own_timer() {
    let (bench, plan) = (bench(|number| (300, numbered(number).1)), plan(Sharing::Gateway));
    let ask = || fetched(&bench.isolate, &bench.host, &plan);
    let (one, two) = bench.host.clock.drive(futures_util::future::join(ask(), ask())).unwrap();
    assert_eq!(one.outcome, two.outcome);
    assert_eq!(bench.host.fetch.take_received().len(), 1);
}

#[test]
fn a_fetch_that_was_given_up_is_made_by_another_request_once_its_time_is_over() {
    let (bench, plan) = (bench(|number| (300, numbered(number).1)), plan(Sharing::Isolate));
    {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut given_up = Box::pin(fetched(&bench.isolate, &bench.host, &plan));
        assert!(given_up.as_mut().poll(&mut context).is_pending());
    }
    let before = bench.host.clock.instant();
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("2".into()));
    let waited_ms = bench.host.clock.instant().millis_since(before);
    assert!((1_000..1_500).contains(&waited_ms), "{waited_ms}");
}

#[test]
fn bounds_hold_and_have_names() {
    let large = |_| (0, Ok(Response::new(Content::from_bytes(vec![b'x'; 101].into()))));
    assert_eq!(text_of(large), Err(FetchError::TooLarge));
    assert_eq!(text_of(|n| (1_001, numbered(n).1)), Err(FetchError::Timeout));
    assert_eq!(text_of(|_| (0, Ok(Response::new(Content::breaking_after("x"))))), Err(FetchError::Incomplete));
    let bench = bench(numbered);
    let bounds = FetchBounds { timeout_ms: 1_000, answer_bytes_max: 100, addresses: AddressRule::Public };
    let inside = FetchRequest::get("http://10.0.0.1/keys".parse().unwrap());
    let plan = Rc::new(FetchPlan::new(inside, bounds, LIFETIMES, Sharing::Isolate));
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
fn a_wall_clock_that_steps_back_makes_nothing_last_longer() {
    let (bench, plan) = (bench(numbered), plan(Sharing::Gateway));
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()));
    bench.host.clock.step_back(3_600_000);
    bench.host.clock.advance(60_000);
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("1".into()), "stale");
    assert_eq!(text(&bench, &bench.isolate, &plan), Ok("2".into()));
    bench.host.clock.step_back(3_600_000);
    assert_eq!(text(&bench, &bench.another_isolate(), &plan), Ok("3".into()), "the record is from the future");
}
