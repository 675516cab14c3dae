//! What [`Counters`] promises.

use std::num::NonZeroU32;

use futures_util::future::join_all;
use tollgate_core::limit::{Charge, ChargeOutcome, ChargeRequest};
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Clock, Counters, Host};

use crate::breach::present;
use crate::stage::{Store, away};
use crate::{Breach, Outcome, Subject};

const DAY_MS: u32 = 86_400_000;

/// A charge of `cost` against a quota of `burst` a day.
#[must_use]
pub fn charge(policy: &str, burst: u32, cost: u32) -> Charge {
    charge_in(policy, burst, cost, DAY_MS)
}

fn charge_in(policy: &str, burst: u32, cost: u32, period_ms: u32) -> Charge {
    let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Charge {
        policy: policy.to_owned(),
        rate: number(burst),
        period_ms: number(period_ms),
        burst: number(burst),
        cost: number(cost),
    }
}

/// All charges of one partition.
#[must_use]
pub fn charge_request(partition: &str, charges: Vec<Charge>) -> ChargeRequest {
    ChargeRequest { partition: partition.to_owned(), charges }
}

async fn outcome<S: Subject>(subject: &S, request: &ChargeRequest, now: Timestamp) -> Result<ChargeOutcome, Breach> {
    Ok(subject.host().counters().charge(request, now).await?)
}

async fn expect<S: Subject>(subject: &S, request: &ChargeRequest, now: Timestamp, granted: bool) -> Outcome {
    let found = outcome(subject, request, now).await?;
    ensure_eq!(found.granted, granted, "{} granted, {:?}", request.partition, found.verdicts);
    Ok(())
}

fn now<S: Subject>(subject: &S) -> Timestamp {
    subject.host().clock().now()
}

/// As many are granted as the burst has, then none, and the refusal says when.
pub(crate) async fn grants_the_burst_and_no_more<S: Subject>(subject: &S) -> Outcome {
    let (one, now) = (charge_request("consumer=burst", vec![charge("p", 3, 1)]), now(subject));
    for left in [2, 1, 0] {
        let found = outcome(subject, &one, now).await?;
        ensure!(found.granted, "refused with {} left", left + 1);
        ensure_eq!(found.verdicts.len(), 1, "verdicts");
        ensure_eq!(found.verdicts[0].remaining, left, "remaining");
    }
    let refused = outcome(subject, &one, now).await?;
    ensure!(!refused.granted, "more was granted than the burst");
    let wait = present(refused.verdicts[0].retry_after_ms, "when it will pass")?;
    ensure!(wait > 0 && wait <= u64::from(DAY_MS) / 3 + 1, "{wait} ms to wait");
    Ok(())
}

/// Charges that come at once never see the same state.
pub(crate) async fn charges_side_by_side_are_exact<S: Subject>(subject: &S) -> Outcome {
    let (one, now) = (charge_request("consumer=side-by-side", vec![charge("p", 20, 1)]), now(subject));
    let all = join_all((0..60).map(|_| outcome(subject, &one, now))).await;
    let all: Vec<ChargeOutcome> = all.into_iter().collect::<Result<_, _>>()?;
    ensure_eq!(all.iter().filter(|outcome| outcome.granted).count(), 20, "granted of 60");
    Ok(())
}

/// Partitions and policies have quotas of their own.
pub(crate) async fn partitions_and_policies_are_apart<S: Subject>(subject: &S) -> Outcome {
    let now = now(subject);
    for (partition, policy) in [("consumer=a", "p"), ("consumer=b", "p"), ("address=a", "p"), ("consumer=a", "q")] {
        let one = charge_request(partition, vec![charge(policy, 1, 1)]);
        expect(subject, &one, now, true).await?;
        expect(subject, &one, now, false).await?;
    }
    Ok(())
}

/// All charges of a request are made, or none.
pub(crate) async fn all_or_none<S: Subject>(subject: &S) -> Outcome {
    let (partition, now) = ("consumer=all-or-none", now(subject));
    let both = charge_request(partition, vec![charge("wide", 5, 1), charge("tight", 1, 1)]);
    expect(subject, &both, now, true).await?;
    for _ in 0..3 {
        let found = outcome(subject, &both, now).await?;
        ensure!(!found.granted, "granted past the tight quota");
        ensure_eq!((found.verdicts[0].allowed, found.verdicts[1].allowed), (true, false), "allowed");
        ensure_eq!(found.verdicts[0].remaining, 4, "what the wide one has left");
    }
    Ok(())
}

/// What is refunded can be charged again, and a refund of what was never charged gives nothing.
pub(crate) async fn refunds<S: Subject>(subject: &S) -> Outcome {
    let (one, now) = (charge_request("consumer=refunds", vec![charge("p", 2, 2)]), now(subject));
    for _ in 0..2 {
        subject.host().counters().refund(&one, now).await?;
        expect(subject, &one, now, true).await?;
        expect(subject, &one, now, false).await?;
    }
    Ok(())
}

/// A refusal's wait is a promise: not before it, and after it yes.
pub(crate) async fn time_pays_back<S: Subject>(subject: &S) -> Outcome {
    let one = charge_request("consumer=soon", vec![charge_in("p", 1, 1, 1_000)]);
    expect(subject, &one, now(subject), true).await?;
    let refused = outcome(subject, &one, now(subject)).await?;
    ensure!(!refused.granted, "granted at once");
    let wait = present(refused.verdicts[0].retry_after_ms, "when it will pass")?;
    ensure!(wait > 0 && wait <= 1_000, "{wait} ms to wait");
    subject.host().clock().sleep(wait + 50).await;
    expect(subject, &one, now(subject), true).await
}

/// A quota comes back with time, as fast as its rate says.
pub(crate) async fn a_day_pays_back_by_the_callers_clock<S: Subject>(subject: &S) -> Outcome {
    let (one, now) = (charge_request("consumer=time", vec![charge("p", 2, 1)]), now(subject));
    expect(subject, &one, now, true).await?;
    expect(subject, &one, now, true).await?;
    let half_a_day = u64::from(DAY_MS) / 2;
    expect(subject, &one, now.plus_millis(half_a_day - 1), false).await?;
    expect(subject, &one, now.plus_millis(half_a_day), true).await?;
    expect(subject, &one, now.plus_millis(half_a_day), false).await
}

/// A clock that steps back neither fails nor gives a burst away.
pub(crate) async fn a_clock_that_steps_back_gives_nothing<S: Subject>(subject: &S) -> Outcome {
    let (one, now) = (charge_request("consumer=step-back", vec![charge("p", 2, 1)]), now(subject));
    expect(subject, &one, now, true).await?;
    expect(subject, &one, now, true).await?;
    let earlier = Timestamp::from_millis(now.as_millis().saturating_sub(3_600_000));
    expect(subject, &one, earlier, false).await?;
    expect(subject, &one, Timestamp::EPOCH, false).await
}

/// A store that is away says so, and charges nothing.
pub(crate) async fn away_is_an_answer<S: Subject>(subject: &S) -> Outcome {
    let (one, now) = (charge_request("consumer=away", vec![charge("p", 1, 1)]), now(subject));
    let counters = subject.host().counters();
    away(subject, Store::Counters, true).await?;
    ensure!(counters.charge(&one, now).await.is_err(), "charged while the store was away");
    ensure!(counters.refund(&one, now).await.is_err(), "refunded while the store was away");
    away(subject, Store::Counters, false).await?;
    expect(subject, &one, now, true).await
}
