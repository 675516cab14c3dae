//! The contract of [`Counters`].

use std::num::NonZeroU32;

use futures_util::future::join_all;
use tollgate_core::cache::{CacheKey, Purge};
use tollgate_core::cell::{
    CellKey, CellOperations, Charge, Listed, Operation, OperationId, Outcome, Reply, Terms, Update, Verdict,
};
use tollgate_core::limit::Fault;
use tollgate_core::time::Timestamp;
use tollgate_edge::ports::{Clock, Counters, Entropy, Host};

use crate::breach::present;
use crate::stage::{Store, set_unavailable};
use crate::{Breach, Outcome as Checked, Subject};

const DAY_MS: u32 = 86_400_000;
const HOLD_MS: u32 = 2_000;

/// A charge of `cost` against a quota of `burst` per day.
#[must_use]
pub fn charge(quota: &str, burst: u32, cost: u32) -> Operation {
    charge_in(quota, burst, cost, DAY_MS)
}

fn charge_in(quota: &str, burst: u32, cost: u32, period_ms: u32) -> Operation {
    let number = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    let (rate, period_ms, burst, cost) = (number(burst), number(period_ms), number(burst), number(cost));
    Operation::Charge(Charge {
        quota: quota.into(),
        rate,
        period_ms,
        burst,
        cost,
        algorithm: None,
        lease: None,
        tells: None,
    })
}

/// Operations on one cell.
#[must_use]
pub fn part(cell: &str, operations: Vec<Operation>) -> CellOperations {
    CellOperations { cell: CellKey::new(cell), operations }
}

/// An update with a new id, whose charges are final.
#[must_use]
pub fn update(host: &impl Host, cells: Vec<CellOperations>) -> Update {
    let mut id = [0; 16];
    host.entropy().fill(&mut id);
    Update { terms: Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None }, cells }
}

async fn apply<S: Subject>(subject: &S, update: &Update, now: Timestamp) -> Result<Outcome, Breach> {
    Ok(subject.host().counters().update(update, now).await?)
}

/// Charges with a new update.
async fn charged<S: Subject>(
    subject: &S,
    cell: &str,
    charges: &[Operation],
    now: Timestamp,
) -> Result<Outcome, Breach> {
    apply(subject, &update(subject.host(), vec![part(cell, charges.to_vec())]), now).await
}

async fn expect<S: Subject>(subject: &S, cell: &str, charge: &Operation, now: Timestamp, granted: bool) -> Checked {
    let found = charged(subject, cell, std::slice::from_ref(charge), now).await?;
    ensure_eq!(found.granted, granted, "{cell} granted, {:?}", found.replies);
    Ok(())
}

/// An operation on the charges that another update holds.
fn on_held(update: &Update, operation: &Operation) -> Update {
    let cells = update.cells.iter().map(|part| CellOperations { operations: vec![operation.clone()], ..part.clone() });
    Update { terms: Terms { hold_ms: None, ..update.terms }, cells: cells.collect() }
}

fn held(mut update: Update) -> Update {
    update.terms.hold_ms = NonZeroU32::new(HOLD_MS);
    update
}

fn only(outcome: &Outcome) -> Result<&Verdict, Breach> {
    ensure_eq!(outcome.replies.len(), 1, "replies");
    present(outcome.verdicts().next(), "a verdict")
}

fn now<S: Subject>(subject: &S) -> Timestamp {
    subject.host().clock().now()
}

/// As many are granted as the burst allows, then none, and the refusal contains the wait.
pub(crate) async fn grants_the_burst_and_no_more<S: Subject>(subject: &S) -> Checked {
    let (one, now) = ([charge("p", 3, 1)], now(subject));
    for remaining in [2, 1, 0] {
        let found = charged(subject, "consumer=burst", &one, now).await?;
        ensure!(found.granted, "refused with {} remaining", remaining + 1);
        ensure_eq!(only(&found)?.remaining, remaining, "remaining");
    }
    let refused = charged(subject, "consumer=burst", &one, now).await?;
    ensure!(!refused.granted, "more was granted than the burst");
    let wait_us = present(only(&refused)?.retry_after_us, "when it will pass")?;
    ensure!(wait_us > 0 && wait_us <= u64::from(DAY_MS) / 3 * 1_000 + 1_000, "{wait_us} us to wait");
    Ok(())
}

/// Concurrent charges never read the same state.
pub(crate) async fn charges_side_by_side_are_exact<S: Subject>(subject: &S) -> Checked {
    let (one, now) = ([charge("p", 20, 1)], now(subject));
    let all = join_all((0..60).map(|_| charged(subject, "consumer=side-by-side", &one, now))).await;
    let all: Vec<Outcome> = all.into_iter().collect::<Result<_, _>>()?;
    ensure_eq!(all.iter().filter(|outcome| outcome.granted).count(), 20, "granted of 60");
    Ok(())
}

/// Cells and quotas are separate.
pub(crate) async fn cells_and_quotas_are_apart<S: Subject>(subject: &S) -> Checked {
    let now = now(subject);
    for (cell, quota) in [("consumer=a", "p"), ("consumer=b", "p"), ("address=a", "p"), ("consumer=a", "q")] {
        let one = charge(quota, 1, 1);
        expect(subject, cell, &one, now, true).await?;
        expect(subject, cell, &one, now, false).await?;
    }
    Ok(())
}

/// All charges of an update take effect, or none.
pub(crate) async fn all_or_none<S: Subject>(subject: &S) -> Checked {
    let (cell, now) = ("consumer=all-or-none", now(subject));
    let both = [charge("wide", 5, 1), charge("tight", 1, 1)];
    ensure!(charged(subject, cell, &both, now).await?.granted, "refused at first");
    for _ in 0..3 {
        let found = charged(subject, cell, &both, now).await?;
        ensure!(!found.granted, "granted past the tight quota");
        let verdicts: Vec<(bool, u32)> = found.verdicts().map(|verdict| (verdict.allowed, verdict.remaining)).collect();
        ensure_eq!(verdicts, [(true, 4), (false, 0)], "allowed, and what remains");
    }
    Ok(())
}

/// All cells of one owner are charged, or none.
pub(crate) async fn all_or_none_over_cells_of_one_owner<S: Subject>(subject: &S) -> Checked {
    let now = now(subject);
    let one = |burst| vec![charge("p", burst, 1)];
    let names: Vec<String> = (0..512).map(|n| format!("consumer=owned-{n}")).collect();
    let (wide, counters) = (CellKey::new(names[0].as_str()), subject.host().counters());
    let others = names[1..].iter().filter(|name| counters.same_owner(&wide, &CellKey::new(name.as_str())));
    for tight in others.take(3) {
        let both = || vec![part(wide.as_str(), one(9)), part(tight, one(1))];
        let before = remaining(subject, wide.as_str(), now).await?;
        ensure!(apply(subject, &update(subject.host(), both()), now).await?.granted, "refused at first");
        let refused = apply(subject, &update(subject.host(), both()), now).await?;
        ensure!(!refused.granted, "granted past the tight cell");
        ensure_eq!(refused.replies.len(), 2, "replies");
        ensure_eq!(remaining(subject, wide.as_str(), now).await?, before - 1, "what the wide one has");
    }
    Ok(())
}

/// What remains of a quota of nine, read by a charge that can never pass.
async fn remaining<S: Subject>(subject: &S, cell: &str, now: Timestamp) -> Result<u32, Breach> {
    let asked = charged(subject, cell, &[charge("p", 9, 10)], now).await?;
    Ok(only(&asked)?.remaining)
}

/// An update that arrives twice is granted twice and charges once.
pub(crate) async fn a_repetition_charges_once<S: Subject>(subject: &S) -> Checked {
    let (cell, now) = ("consumer=repeated", now(subject));
    let one = update(subject.host(), vec![part(cell, vec![charge("p", 2, 1)])]);
    for _ in 0..3 {
        ensure!(apply(subject, &one, now).await?.granted, "refused");
    }
    expect(subject, cell, &charge("p", 2, 1), now, true).await?;
    expect(subject, cell, &charge("p", 2, 1), now, false).await?;
    ensure!(apply(subject, &one, now).await?.granted, "a repetition was refused when nothing remains");
    Ok(())
}

/// Held charges count, can be released once, and can be charged again afterwards.
pub(crate) async fn held_charges_can_be_released_once<S: Subject>(subject: &S) -> Checked {
    let (cell, two, now) = ("consumer=released", charge("p", 2, 2), now(subject));
    let first = held(update(subject.host(), vec![part(cell, vec![two.clone()])]));
    ensure!(apply(subject, &first, now).await?.granted, "refused at first");
    expect(subject, cell, &two, now, false).await?;
    let release = on_held(&first, &Operation::Release);
    ensure_eq!(apply(subject, &release, now).await?.replies, [Reply::Released], "the first release");
    expect(subject, cell, &two, now, true).await?;
    ensure_eq!(apply(subject, &release, now).await?.replies, [Reply::NotHeld], "the second release");
    expect(subject, cell, &two, now, false).await?;
    ensure!(!apply(subject, &first, now).await?.granted, "held again after its release");
    Ok(())
}

/// Final charges whose request is refused can be taken back once, and are refused if they arrive afterwards.
pub(crate) async fn charges_can_be_taken_back_once<S: Subject>(subject: &S) -> Checked {
    let (cell, two, now) = ("consumer=taken-back", charge("p", 2, 2), now(subject));
    let Operation::Charge(taken) = two.clone() else { return Ok(()) };
    let back = |cell: &str, of: &Update| {
        let operation = Operation::Withdraw { id: of.terms.id, charge: taken.clone() };
        update(subject.host(), vec![part(cell, vec![operation])])
    };
    let first = update(subject.host(), vec![part(cell, vec![two.clone()])]);
    ensure!(apply(subject, &first, now).await?.granted, "refused at first");
    expect(subject, cell, &two, now, false).await?;
    ensure_eq!(apply(subject, &back(cell, &first), now).await?.replies, [Reply::Released], "the first time");
    expect(subject, cell, &two, now, true).await?;
    ensure_eq!(apply(subject, &back(cell, &first), now).await?.replies, [Reply::NotHeld], "the second time");
    expect(subject, cell, &two, now, false).await?;
    let late = update(subject.host(), vec![part("consumer=taken-back-early", vec![two.clone()])]);
    let early = apply(subject, &back("consumer=taken-back-early", &late), now).await?;
    ensure_eq!(early.replies, [Reply::NotHeld], "before the charge");
    ensure!(!apply(subject, &late, now).await?.granted, "charged after it was taken back");
    expect(subject, "consumer=taken-back-early", &two, now, true).await
}

/// Confirmed charges are kept after the time of their hold; others are refunded.
pub(crate) async fn confirmed_charges_are_kept<S: Subject>(subject: &S) -> Checked {
    let (confirmed, orphaned) = ("consumer=confirmed", "consumer=orphaned");
    let one = charge("p", 1, 1);
    for cell in [confirmed, orphaned] {
        let first = held(update(subject.host(), vec![part(cell, vec![one.clone()])]));
        ensure!(apply(subject, &first, now(subject)).await?.granted, "refused at first");
        if cell == confirmed {
            for _ in 0..2 {
                let confirm = on_held(&first, &Operation::Confirm);
                ensure_eq!(apply(subject, &confirm, now(subject)).await?.replies, [Reply::Confirmed], "confirming");
            }
        }
        expect(subject, cell, &one, now(subject), false).await?;
    }
    subject.host().clock().sleep(u64::from(HOLD_MS) + 50).await;
    expect(subject, confirmed, &one, now(subject), false).await?;
    expect(subject, orphaned, &one, now(subject), true).await
}

/// Concurrent purges of several writers are all kept, each once.
pub(crate) async fn concurrent_purges_are_all_kept<S: Subject>(subject: &S) -> Checked {
    let (key, now) = (CellKey::purges(), now(subject));
    let resource = |n: u64| present(CacheKey::parse(&format!("{n:064x}")), "a key");
    let mut appends = Vec::new();
    for n in 0..20 {
        let append = Operation::AppendPurge(Purge { resource: Some(resource(n)?), at: now });
        appends.push(update(subject.host(), vec![part(key.as_str(), vec![append])]));
    }
    // Each is sent twice.
    let sent = appends.iter().chain(&appends);
    for answer in join_all(sent.map(|append| apply(subject, append, now))).await {
        let replies = answer?.replies;
        ensure!(matches!(replies[..], [Reply::Purged { .. }]), "{replies:?}");
    }
    let read = update(subject.host(), vec![part(key.as_str(), vec![Operation::ReadPurges { recorded: None }])]);
    let replies = apply(subject, &read, now).await?.replies;
    let Some(Reply::Purges { sequence: 20, purges, .. }) = replies.first() else {
        return Err(Breach(format!("20 purges were made, {replies:?}")));
    };
    for n in 0..20 {
        ensure!(purges.covers(&resource(n)?, now), "purge {n} is lost");
    }
    Ok(())
}

/// Names that several writers list are all kept, each once.
pub(crate) async fn names_of_a_list_are_kept_once<S: Subject>(subject: &S) -> Checked {
    let at = now(subject);
    let list = |n: usize| {
        let (name, text) = (format!("token-{}", n % 5).into(), "ada".into());
        let kept_until = at.plus_millis(DAY_MS.into());
        let listed = Listed { name, text, first: at, last: at, ends: kept_until, kept_until };
        update(subject.host(), vec![part("idp-outage=listed", vec![Operation::List(listed)])])
    };
    let updates: Vec<Update> = (0..10).map(list).collect();
    for answer in join_all(updates.iter().map(|update| apply(subject, update, at))).await {
        ensure_eq!(answer?.replies, [Reply::Listed], "a name that is listed");
    }
    let read = update(subject.host(), vec![part("idp-outage=listed", vec![Operation::ReadList])]);
    let replies = apply(subject, &read, at).await?.replies;
    let Some(Reply::List(listed)) = replies.first() else { return Err(Breach(format!("a list, not {replies:?}"))) };
    let mut names: Vec<&str> = listed.iter().map(|one| &*one.name).collect();
    names.sort_unstable();
    ensure_eq!(names, ["token-0", "token-1", "token-2", "token-3", "token-4"], "the names");
    Ok(())
}

/// The wait of a refusal is exact: a charge does not pass before it, and passes after it.
pub(crate) async fn quota_becomes_available_with_time<S: Subject>(subject: &S) -> Checked {
    let (cell, one) = ("consumer=soon", charge_in("p", 1, 1, 1_000));
    expect(subject, cell, &one, now(subject), true).await?;
    let refused = charged(subject, cell, std::slice::from_ref(&one), now(subject)).await?;
    ensure!(!refused.granted, "granted immediately");
    let wait_us = present(only(&refused)?.retry_after_us, "when it will pass")?;
    ensure!(wait_us > 0 && wait_us <= 1_000_000, "{wait_us} us to wait");
    subject.host().clock().sleep(wait_us.div_ceil(1_000) + 50).await;
    expect(subject, cell, &one, now(subject), true).await
}

/// A quota becomes available with time, at its rate.
pub(crate) async fn a_day_by_the_callers_clock_restores_the_quota<S: Subject>(subject: &S) -> Checked {
    let (cell, one, now) = ("consumer=time", charge("p", 2, 1), now(subject));
    expect(subject, cell, &one, now, true).await?;
    expect(subject, cell, &one, now, true).await?;
    let half_a_day = u64::from(DAY_MS) / 2;
    // A tolerance of a tenth of a second, because some stores need that long to apply a charge, and count it from then.
    expect(subject, cell, &one, now.plus_millis(half_a_day - 100), false).await?;
    expect(subject, cell, &one, now.plus_millis(half_a_day + 100), true).await?;
    expect(subject, cell, &one, now.plus_millis(half_a_day + 100), false).await
}

/// A clock that steps back neither causes an error nor creates permits.
pub(crate) async fn a_clock_that_steps_back_creates_no_permit<S: Subject>(subject: &S) -> Checked {
    let (cell, one, now) = ("consumer=step-back", charge("p", 2, 1), now(subject));
    expect(subject, cell, &one, now, true).await?;
    expect(subject, cell, &one, now, true).await?;
    expect(subject, cell, &one, now.minus_millis(3_600_000), false).await?;
    expect(subject, cell, &one, Timestamp::EPOCH, false).await
}

/// A late caller is not refused if quota remains.
pub(crate) async fn a_late_caller_is_not_refused<S: Subject>(subject: &S) -> Checked {
    let (cell, one, now) = ("consumer=late", charge_in("p", 1_000, 1, 1_000), now(subject));
    expect(subject, cell, &one, now, true).await?;
    expect(subject, cell, &one, now.minus_millis(5_000), true).await?;
    expect(subject, cell, &one, now.minus_millis(3_600_000), true).await
}

/// An unavailable store returns an error, and changes nothing.
pub(crate) async fn unavailable_is_an_error<S: Subject>(subject: &S) -> Checked {
    let (cell, one, now) = ("consumer=unavailable", charge("p", 1, 1), now(subject));
    let counters = subject.host().counters();
    set_unavailable(subject, Store::Counters, true).await?;
    let answer = counters.update(&update(subject.host(), vec![part(cell, vec![one.clone()])]), now).await;
    let is_unavailable = matches!(&answer, Err(fault) if fault.kind() == Fault::Unavailable);
    ensure!(is_unavailable, "{answer:?} while the store was unavailable");
    set_unavailable(subject, Store::Counters, false).await?;
    expect(subject, cell, &one, now, true).await
}
