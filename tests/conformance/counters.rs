//! What [`Counters`] promises.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use tollgate_core::limit::{Charge, ChargeRequest};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::Counters;

const DAY_MS: u32 = 86_400_000;

/// A charge of `cost` against a quota of `burst` a day.
pub(crate) fn charge(policy: &str, burst: u32, cost: u32) -> Charge {
    let number = |n| NonZeroU32::new(n).expect("not 0");
    Charge {
        policy: policy.to_owned(),
        rate: number(burst),
        period_ms: number(DAY_MS),
        burst: number(burst),
        cost: number(cost),
    }
}

pub(crate) fn request(partition: &str, charges: Vec<Charge>) -> ChargeRequest {
    ChargeRequest { partition: partition.to_owned(), charges }
}

async fn granted(counters: &impl Counters, request: &ChargeRequest, now: Timestamp) -> bool {
    counters.charge(request, now).await.expect("the store answers").granted
}

/// As many are granted as the burst has, then none, and the refusal says when.
pub(crate) async fn grants_the_burst_and_no_more(counters: &impl Counters, now: Timestamp) {
    let one = request("consumer=burst", vec![charge("p", 3, 1)]);
    for left in [2, 1, 0] {
        let outcome = counters.charge(&one, now).await.expect("the store answers");
        assert!(outcome.granted);
        assert_eq!((outcome.verdicts.len(), outcome.verdicts[0].remaining), (1, left));
    }
    let refused = counters.charge(&one, now).await.expect("the store answers");
    assert!(!refused.granted);
    let wait = refused.verdicts[0].retry_after_ms.expect("it will pass some day");
    assert!(wait > 0 && wait <= u64::from(DAY_MS) / 3 + 1, "{wait}");
}

/// Charges that come at once never see the same state.
pub(crate) async fn charges_side_by_side_are_exact(counters: &impl Counters, now: Timestamp) {
    let one = request("consumer=side-by-side", vec![charge("p", 20, 1)]);
    let all = join_all((0..60).map(|_| granted(counters, &one, now))).await;
    assert_eq!(all.into_iter().filter(|granted| *granted).count(), 20);
}

/// Partitions and policies have quotas of their own.
pub(crate) async fn partitions_and_policies_are_apart(counters: &impl Counters, now: Timestamp) {
    for (partition, policy) in [("consumer=a", "p"), ("consumer=b", "p"), ("address=a", "p"), ("consumer=a", "q")] {
        let one = request(partition, vec![charge(policy, 1, 1)]);
        assert!(granted(counters, &one, now).await, "{partition} {policy}");
        assert!(!granted(counters, &one, now).await, "{partition} {policy}");
    }
}

/// All charges of a request are made, or none.
pub(crate) async fn all_or_none(counters: &impl Counters, now: Timestamp) {
    let partition = "consumer=all-or-none";
    let both = request(partition, vec![charge("wide", 5, 1), charge("tight", 1, 1)]);
    assert!(granted(counters, &both, now).await);
    for _ in 0..3 {
        let outcome = counters.charge(&both, now).await.expect("the store answers");
        assert!(!outcome.granted);
        assert_eq!((outcome.verdicts[0].allowed, outcome.verdicts[1].allowed), (true, false));
        assert_eq!(outcome.verdicts[0].remaining, 4, "the wide one is not charged");
    }
}

/// What is refunded can be charged again, and a refund of what was never charged gives nothing.
pub(crate) async fn refunds(counters: &impl Counters, now: Timestamp) {
    let one = request("consumer=refunds", vec![charge("p", 2, 2)]);
    counters.refund(&one, now).await.expect("the store answers");
    assert!(granted(counters, &one, now).await);
    assert!(!granted(counters, &one, now).await);
    counters.refund(&one, now).await.expect("the store answers");
    assert!(granted(counters, &one, now).await);
    assert!(!granted(counters, &one, now).await);
}

/// A quota comes back with time, as fast as its rate says.
pub(crate) async fn time_pays_back(counters: &impl Counters, now: Timestamp) {
    let one = request("consumer=time", vec![charge("p", 2, 1)]);
    assert!(granted(counters, &one, now).await && granted(counters, &one, now).await);
    assert!(!granted(counters, &one, now.plus_millis(u64::from(DAY_MS) / 2 - 1)).await);
    assert!(granted(counters, &one, now.plus_millis(u64::from(DAY_MS) / 2)).await);
    assert!(!granted(counters, &one, now.plus_millis(u64::from(DAY_MS) / 2)).await);
}

/// A clock that steps back neither panics nor gives a burst away.
pub(crate) async fn a_clock_that_steps_back_gives_nothing(counters: &impl Counters, now: Timestamp) {
    let one = request("consumer=step-back", vec![charge("p", 2, 1)]);
    assert!(granted(counters, &one, now).await && granted(counters, &one, now).await);
    let earlier = Timestamp::from_millis(now.as_millis().saturating_sub(3_600_000));
    assert!(!granted(counters, &one, earlier).await);
    assert!(!granted(counters, &one, Timestamp::EPOCH).await);
}

/// A store that is away says so, and charges nothing.
pub(crate) async fn away_is_an_answer(counters: &impl Counters, now: Timestamp, fail: impl Fn(bool)) {
    let one = request("consumer=away", vec![charge("p", 1, 1)]);
    fail(true);
    assert!(counters.charge(&one, now).await.is_err());
    assert!(counters.refund(&one, now).await.is_err());
    fail(false);
    assert!(granted(counters, &one, now).await);
}
