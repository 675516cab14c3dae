//! What owners have answered to the charges of a request, and what follows from it.

use std::num::NonZeroU8;

use http::header::RETRY_AFTER;
use tollgate_core::cell::{self, CellKey, Charge, Operation, OperationId, Reply, Update};
use tollgate_core::event::{Local, Reason, Verdict};
use tollgate_core::limit::{Fault, OnFault, OnUnavailable, Purpose, fields};
use tollgate_core::problem::Problem;

use super::charges::{Answered, Back, Charges, ask, cells_of, charges_in, charges_of};
use super::exchange::Journal;
use super::limit::Limits;
use super::own::{self, Asked, Batch, Own};
use super::refund::Refund;
use super::settle::Settlement;
use super::undo::{Undo, on_held};
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::ports::{Clock, CounterFault, Host, Unavailable};

/// The charges with the answers of those who decide.
pub(super) struct Charged<'a> {
    own: Vec<Own>,
    pub(super) asked: Vec<Answered>,
    away: Vec<Answered>,
    backs: Vec<(OperationId, Back<'a>)>,
    later: Vec<Batch>,
}

impl<'a> Charged<'a> {
    pub(super) async fn at<H: Host>(isolate: &Isolate, host: &H, charges: Charges<'a>) -> Self {
        let Charges { own, updates, away, looked, backs, later } = charges;
        if updates.is_empty() {
            return Self { own, asked: Vec::new(), away, backs, later };
        }
        let asking = Asked::of(&isolate.leases, &updates);
        let asked = ask(host, updates, looked.timeout_ms.saturating_sub(looked.waited_ms)).await;
        drop(asking);
        if let Some(sent) = looked.at {
            let times = (sent, host.clock().instant());
            let mut leases = isolate.leases.borrow_mut();
            asked.iter().for_each(|(update, answer)| own::learn(&mut leases, update, answer, Purpose::Request, times));
        }
        Self { own, asked, away, backs, later }
    }

    /// Keeps what the isolate has decided, or takes it back.
    pub(super) fn settle_own<H: Host>(&self, isolate: &Isolate, host: &H, is_kept: bool, journal: &mut Journal) {
        self.own.iter().for_each(|own| own.settle(isolate, host, is_kept, journal));
        if is_kept && !self.later.is_empty() {
            let (now, mut leases) = (host.clock().instant(), isolate.leases.borrow_mut());
            let planned = self.later.iter().filter(|(cell, charge)| leases.plans_refill(cell, charge, now));
            journal.refills.extend(planned.cloned());
        }
    }

    /// Asks the owners that granted to confirm, and returns those that did not.
    pub(super) async fn unconfirmed<H: Host>(&self, host: &H, timeout_ms: u64) -> Self {
        let granted = self.asked.iter().filter(|(_, answer)| answer.is_ok()).map(|(update, _)| update);
        let confirm = |update: &Update| on_held(update.terms.id, &cells_of(update), &Operation::Confirm);
        let answers = ask(host, granted.clone().map(confirm).collect(), timeout_ms).await;
        let faults = granted.zip(answers).filter_map(|(update, (_, answer))| match answer {
            Ok(outcome) if outcome.replies.iter().all(|reply| *reply == Reply::Confirmed) => None,
            Ok(_) => {
                let late = Unavailable::new("the counter store confirmed after the hold had expired");
                Some((update.clone(), Err(late.into())))
            }
            Err(fault) => Some((update.clone(), Err(fault))),
        });
        Self { own: Vec::new(), asked: faults.collect(), away: Vec::new(), backs: Vec::new(), later: Vec::new() }
    }

    /// The charges that were answered, with the verdicts of their quotas.
    pub(super) fn verdicts(&self) -> impl Iterator<Item = (&Charge, &cell::Verdict)> + Clone {
        self.own.iter().map(|own| (&own.charge, &own.said)).chain(self.answers())
    }

    /// What owners have answered.
    fn answers(&self) -> impl Iterator<Item = (&Charge, &cell::Verdict)> + Clone {
        let answered = self.asked.iter().filter_map(|(update, answer)| Some((update, answer.as_ref().ok()?)));
        answered.flat_map(|(update, outcome)| charges_of(update).zip(outcome.verdicts()))
    }

    /// What owners have not answered.
    fn faults(&self) -> impl Iterator<Item = (&Update, &CounterFault)> {
        let all = self.asked.iter().chain(&self.away);
        all.filter_map(|(update, answer)| Some((update, answer.as_ref().err()?)))
    }

    /// Reports granted charges as not charged: they are released after the reply.
    pub(super) fn refund(&mut self) {
        self.own.iter_mut().for_each(Own::refund);
        let granted = self.asked.iter_mut().filter_map(|(update, answer)| Some((update, answer.as_mut().ok()?)));
        for (update, outcome) in granted.filter(|(_, outcome)| outcome.granted) {
            for (charge, verdict) in charges_of(update).zip(outcome.verdicts_mut()) {
                *verdict = charge.refunded(verdict);
            }
        }
    }

    /// Notes the verdicts; `kept` says whether the charges stay.
    pub(super) fn note(&self, limits: &Limits<'_>, kept: bool, journal: &mut Journal) {
        for own in &self.own {
            let (result, reason) = own.reason(kept);
            journal.note_policy(limits.phase, &own.charge.quota, result, reason);
        }
        for (charge, verdict) in self.answers() {
            let (remaining, cost) = (verdict.promised(), charge.cost.get());
            let (result, reason) = match (verdict.allowed, kept) {
                (true, true) => (Verdict::Pass, Reason::Charged { remaining, cost }),
                (true, false) => (Verdict::Pass, Reason::NotCharged { remaining, cost }),
                (false, _) => (Verdict::Refuse, Reason::Exhausted { remaining, cost }),
            };
            journal.note_policy(limits.phase, &charge.quota, result, reason);
        }
    }

    /// Tells of the shares of limits that the charges have reached; `kept` says whether they stay.
    pub(super) fn tell(&self, limits: &Limits<'_>, kept: bool, journal: &mut Journal) {
        for own in self.own.iter().filter(|own| own.knows_all()) {
            journal.note_reached(limits.phase, &own.cell, &own.charge, &own.said, kept);
        }
        for (update, outcome) in self.asked.iter().filter_map(|(update, answer)| Some((update, answer.as_ref().ok()?)))
        {
            let charges = update.cells.iter().flat_map(|part| charges_in(part).map(|charge| (&part.cell, charge)));
            for ((cell, charge), verdict) in charges.zip(outcome.verdicts()) {
                journal.note_reached(limits.phase, cell, charge, verdict, kept);
            }
        }
    }

    /// Notes what limits said that refuse nothing.
    pub(super) fn note_observed(&self, limits: &Limits<'_>, journal: &mut Journal) {
        for own in self.own.iter().filter(|own| own.said.allowed) {
            journal.note_policy(limits.phase, &own.charge.quota, Verdict::Pass, own.reason(true).1);
        }
        let refused = self.own.iter().filter(|own| !own.said.allowed).map(|own| (&own.charge, &own.said));
        for (charge, verdict) in self.answers().chain(refused) {
            let (remaining, cost) = (verdict.promised(), charge.cost.get());
            if verdict.allowed {
                journal.note_policy(limits.phase, &charge.quota, Verdict::Pass, Reason::Charged { remaining, cost });
            } else {
                journal.note_policy(
                    limits.phase,
                    &charge.quota,
                    Verdict::Pass,
                    Reason::WouldRefuse { remaining, cost },
                );
            }
        }
        for (update, fault) in self.faults() {
            for charge in charges_of(update) {
                let reason = Reason::CountersFailed { fault: fault.kind(), text: Local(fault.to_string().into()) };
                journal.note_policy(limits.phase, &charge.quota, Verdict::OpenOnFailure, reason);
            }
        }
    }

    /// Has what was charged given back after responses that do not count, and settled where its cost is known later.
    pub(super) fn note_refunds(self, limits: &Limits<'_>, journal: &mut Journal) {
        let phase = limits.phase;
        for own in self.own.into_iter().filter(|own| own.said.allowed) {
            let Some(counting) = limits.policy(&own.charge.quota).map(|policy| policy.counting()) else { continue };
            let settlement = Settlement::of_isolate(phase, counting, &own, journal);
            journal.settlements.extend(settlement);
            let counts = counting.count_when.clone();
            journal.refunds.extend(counts.map(|counts| Refund::of_isolate(phase, counts, own)));
        }
        for (update, answer) in &self.asked {
            if answer.as_ref().is_ok_and(|outcome| outcome.granted) {
                for (cell, charge) in
                    update.cells.iter().flat_map(|part| charges_in(part).map(move |own| (&part.cell, own)))
                {
                    let Some(policy) = limits.policy(&charge.quota) else { continue };
                    let settlement =
                        Settlement::of_owner(phase, policy.counting(), (cell, charge), update.terms.id, journal);
                    journal.settlements.extend(settlement);
                }
            }
            let back = self.backs.iter().find(|(id, _)| *id == update.terms.id);
            let counts = back.and_then(|(_, back)| back.counts);
            if let Some(counts) = counts.filter(|_| answer.as_ref().map_or(true, |outcome| outcome.granted)) {
                journal.refunds.push(Refund::of_owner(
                    phase,
                    counts.clone(),
                    charges_of(update),
                    Undo::release(update),
                ));
            }
        }
    }

    /// Waits until it is the turn of a request that is spaced.
    pub(super) async fn wait<H: Host>(&self, host: &H, limits: &Limits<'_>, journal: &mut Journal) {
        let waits = self.verdicts().filter_map(|(charge, verdict)| Some((charge, verdict.wait_us?)));
        let Some((charge, wait_us)) = waits.max_by_key(|(_, wait_us)| *wait_us) else { return };
        let wait_ms = wait_us.div_ceil(1_000);
        journal.note_policy(limits.phase, &charge.quota, Verdict::Pass, Reason::Spaced { wait_ms: Local(wait_ms) });
        rare(host.clock().sleep(wait_ms)).await;
    }

    /// The 429 of the quota that refuses for longest, if one does. What earlier phases charged allows no retry before `earliest_us`.
    pub(super) fn refusal(&self, limits: &Limits<'_>, earliest_us: u64) -> Option<Problem> {
        // The one that decides when a retry passes.
        let refused = self.verdicts().filter(|(_, verdict)| !verdict.allowed);
        let wait = |verdict: &cell::Verdict| verdict.retry_after_us.unwrap_or(u64::MAX);
        let longer = |one: (_, _), other: (_, _)| if wait(other.1) > wait(one.1) { other } else { one };
        let (charge, verdict) = refused.reduce(longer)?;
        let wait_s = fields::retry_after_s(self.verdicts().map(|(_, verdict)| verdict), earliest_us);
        Some(limits.exhausted(charge, verdict, wait_s))
    }

    /// Whether the request is refused, as far as that is known without counting anything.
    pub(super) fn refuses(&self, limits: &Limits<'_>) -> bool {
        let refuses = |charge: &Charge, fault: Fault| {
            let policy = limits.policy(&charge.quota);
            let policy = policy.filter(|own| fault != Fault::Unavailable || own.counting().degrade.is_none());
            policy.is_some_and(|own| matches!(fault.decide(own.on_unavailable()), OnFault::Refuse(..)))
        };
        let mut faults = self.asked.iter().filter_map(|(update, answer)| Some((update, answer.as_ref().err()?.kind())));
        self.verdicts().any(|(_, said)| !said.allowed)
            || faults.any(|(update, fault)| charges_of(update).any(|charge| refuses(charge, fault)))
    }

    /// Handles the policies whose owner failed: each decides by its own settings.
    pub(super) fn decide_faults(
        &self,
        isolate: &Isolate,
        limits: &Limits<'_>,
        journal: &mut Journal,
    ) -> Result<(), Problem> {
        for (update, fault) in self.faults() {
            for part in &update.cells {
                let mut shares = Vec::new();
                for charge in charges_in(part) {
                    let Some(policy) = limits.policy(&charge.quota) else { continue };
                    match policy.counting().degrade.filter(|_| fault.kind() == Fault::Unavailable) {
                        Some(share) => shares.push((charge, share)),
                        None => decide_fault(charge, policy.on_unavailable(), fault, limits, journal)?,
                    }
                }
                if !shares.is_empty() {
                    decide_shares(isolate, (&part.cell, update.terms.id), &shares, limits, journal)?;
                }
            }
        }
        Ok(())
    }

    /// Gives the charges back at every owner that has charged some, or may have done so: those that are held, or those whose answer
    /// is missing.
    pub(super) fn undos(self, are_held: bool, mut step: impl FnMut() -> OperationId) -> impl Iterator<Item = Undo> {
        let charged = self.asked.into_iter().filter(|(_, answer)| match answer {
            Ok(outcome) => outcome.granted,
            Err(fault) => fault.may_have_effect(),
        });
        charged.map(move |(update, _)| if are_held { Undo::release(&update) } else { Undo::withdraw(&update, step()) })
    }
}

/// Decides a charge whose owner failed by the settings of its policy.
fn decide_fault(
    charge: &Charge,
    on_unavailable: OnUnavailable,
    fault: &CounterFault,
    limits: &Limits<'_>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let reason = Reason::CountersFailed { fault: fault.kind(), text: Local(fault.to_string().into()) };
    match fault.kind().decide(on_unavailable) {
        OnFault::Pass => {
            journal.note_policy(limits.phase, &charge.quota, Verdict::OpenOnFailure, reason);
            Ok(())
        }
        OnFault::Refuse(kind, retry_after_s) => {
            let detail = "The gateway cannot count requests right now. Try again shortly.";
            let problem = Problem::new(kind, detail, reason).by(charge.quota.clone());
            let problem = problem.with(RETRY_AFTER, retry_after_s.to_string());
            Err(journal.refused(limits.phase, problem))
        }
    }
}

/// Decides charges of one partition by the shares of their limits that the isolate counts itself; without room for it, it refuses.
fn decide_shares(
    isolate: &Isolate,
    at: (&CellKey, OperationId),
    shares: &[(&Charge, NonZeroU8)],
    limits: &Limits<'_>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let said = isolate.shares.borrow_mut().charge(at, shares, journal.started);
    let said = said.unwrap_or_else(|| vec![cell::Verdict::NO_ROOM; shares.len()]);
    let charges = || shares.iter().map(|(charge, _)| *charge).zip(&said);
    if let Some((charge, verdict)) = charges().find(|(_, verdict)| !verdict.allowed) {
        let problem = limits.exhausted(charge, verdict, fields::retry_after_s(&said, 0));
        return Err(journal.refused(limits.phase, problem));
    }
    for (charge, verdict) in charges() {
        let reason = Reason::ShareCharged { remaining: verdict.remaining, cost: charge.cost.get() };
        journal.note_policy(limits.phase, &charge.quota, Verdict::OpenOnFailure, reason);
    }
    Ok(())
}
