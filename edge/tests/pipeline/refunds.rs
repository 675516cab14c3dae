//! Limits that give back what was charged for some responses.

use tollgate_core::forward::UpstreamError;
use tollgate_core::kinds::{LimitPolicy, Place};
use tollgate_core::settings::RouteSettings;

use crate::bench::{Answer, BY_ADDRESS, Bench, GIVEN_BACK, KEYS, answer, credential, key, route};

/// An upstream that answers `/fails` with 500, and everything else with 200.
fn bench(limit: &[Place<LimitPolicy>]) -> Bench {
    let limited = |path| RouteSettings { authn: vec![vec![KEYS]], limit: limit.to_vec(), ..route(path, &["GET"]) };
    let bench = Bench::new(vec![limited("/fails"), limited("/works")], |request| {
        let status = if request.uri().path().ends_with("/fails") { 500 } else { 200 };
        (0, Ok(answer(status, &[], "")))
    });
    bench.add(&key(), &credential());
    bench.host.counters.far.set(true);
    bench
}

fn send(bench: &Bench, path: &str) -> Answer {
    bench.get(path, &[("x-api-key", key().expose())])
}

#[test]
fn what_does_not_count_is_given_back_however_it_is_counted() {
    for (limit, quota) in GIVEN_BACK.into_iter().zip([2, 100, 2]) {
        let bench = bench(&[limit]);
        assert!((0..150).all(|_| send(&bench, "/fails").status == 500), "{limit:?}");
        let passed = (0..150).filter(|_| send(&bench, "/works").status == 200).count();
        // Permits that are put back into a batch which has been replaced are lost until they are available again.
        assert!((quota - quota / 10..=quota).contains(&passed), "{limit:?}: {passed}");
        let refused = send(&bench, "/fails");
        assert_eq!(refused.status, 429, "{limit:?}: what is used up refuses before the response is known");
    }
}

#[test]
fn what_was_charged_stays_if_the_client_hangs_up_once_the_upstream_was_asked() {
    for limit in GIVEN_BACK {
        let limited = RouteSettings { authn: vec![vec![KEYS]], limit: vec![limit], ..route("/gone", &["GET"]) };
        let bench = Bench::new(vec![limited], |_| (0, Err(UpstreamError::ClientGone)));
        bench.add(&key(), &credential());
        bench.host.counters.far.set(true);
        let statuses: Vec<u16> = (0..150).map(|_| send(&bench, "/gone").status).collect();
        assert!(statuses.starts_with(&[499]) && statuses.ends_with(&[429]), "{limit:?}: {statuses:?}");
    }
}

#[test]
fn limits_that_count_all_responses_keep_what_was_charged_beside_them() {
    let bench = bench(&[GIVEN_BACK[0], BY_ADDRESS]);
    let statuses: Vec<u16> = (0..5).map(|_| send(&bench, "/fails").status).collect();
    assert_eq!(statuses, [500, 500, 500, 429, 429], "3 a minute by address");
    bench.host.clock.advance(60_000);
    let statuses: Vec<u16> = (0..3).map(|_| send(&bench, "/works").status).collect();
    assert_eq!(statuses, [200, 200, 429], "2 a minute of those that count");
}

#[test]
fn two_limits_of_one_owner_with_other_responses_are_charged_together_or_not_at_all() {
    let bench = bench(&[crate::bench::BY_CONSUMER, GIVEN_BACK[0]]);
    let statuses: Vec<u16> = (0..4).map(|_| send(&bench, "/fails").status).collect();
    assert_eq!(statuses, [500, 500, 429, 429], "by-consumer counts failures, too");
    bench.host.clock.advance(60_000);
    assert_eq!(
        (0..3).filter(|_| send(&bench, "/works").status == 200).count(),
        2,
        "nothing of the refused ones is left"
    );
}
