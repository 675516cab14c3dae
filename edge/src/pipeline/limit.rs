//! limit: the request's cost is charged to its quotas, all of them or none.

use std::num::{NonZeroU8, NonZeroU32};
use std::pin::pin;

use http::header::RETRY_AFTER;
use tollgate_core::authn::Principal;
use tollgate_core::cell::{
    self, CellKey, CellOperations, Charge, Operation, OperationId, Outcome, Reply, Terms, Update,
};
use tollgate_core::entitlement::Entitled;
use tollgate_core::event::{Local, Phase, Reason, Verdict};
use tollgate_core::kinds::{LimitPolicy, Named, Place, PolicyName};
use tollgate_core::limit::{Fault, OnFault, OnUnavailable, Purpose, Statuses, Whereabouts, fields};
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::time::MonotonicInstant;

use super::exchange::{Exchange, Journal};
use super::own::{self, Batch, Own};
use super::refund::Refund;
use super::settle::Settlement;
use super::undo::{Undo, on_held};
use crate::apart::{apart, rare, together};
use crate::isolate::{Isolate, entitlements};
use crate::ports::{Clock, CounterFault, Counters, Host, Unavailable};
use crate::timeout::{STORE_TIMEOUT_MS, counted_within};

/// The limits that one phase charges, and whom.
pub(super) struct Limits<'a> {
    pub(super) phase: Phase,
    pub(super) exchange: &'a Exchange,
    places: &'a [Place<LimitPolicy>],
    pub(super) principal: Option<&'a Principal>,
    /// What records say of the caller's limits, if one of them asks for it.
    entitled: Option<Entitled<'a>>,
}

impl<'a> Limits<'a> {
    /// The limits charged before the caller is authenticated; none counts by the caller.
    pub(super) fn of_guard(exchange: &'a Exchange) -> Self {
        Self { phase: Phase::Guard, exchange, places: &exchange.route().guard_limit, principal: None, entitled: None }
    }

    /// The limits charged after authentication, or on a public route.
    pub(super) fn of(exchange: &'a Exchange, principal: Option<&'a Principal>) -> Self {
        Self { phase: Phase::Limit, exchange, places: &exchange.route().limit, principal, entitled: None }
    }

    fn policies(&self) -> impl Iterator<Item = &'a Named<LimitPolicy>> {
        self.places.iter().map(|place| self.exchange.policy(*place))
    }

    /// The charges of the policies that refuse, or of those that are only observed: what the isolate decides, and what is asked at
    /// each owner, in policy order, those of one partition together.
    fn charges<H: Host>(&self, isolate: &Isolate, host: &H, are_observed: bool, journal: &mut Journal) -> Charges<'a> {
        let (id, now) = (journal.next_operation(), journal.started);
        let (route, facts) = (self.exchange.route(), self.exchange.facts(self.principal, now));
        let upstream = &self.exchange.upstream().name;
        let mut charges = Charges::default();
        for Named { name, policy } in self.policies().filter(|named| named.policy.counting().shadow == are_observed) {
            let entitled = self.entitled.as_ref().filter(|_| policy.counting().asks_for_subscriptions());
            let subscription = entitled.and_then(|entitled| Some(entitled.subscription()?.id.as_str()));
            let prefixes = policy.counting().prefixes;
            let at = Whereabouts { route: &route.id, api: &route.api, upstream, subscription, prefixes };
            let cell = policy.partition().cell(&facts, &at);
            let charge = self.charge(name, policy, entitled, &facts, journal);
            match Own::decide(isolate, host, policy, cell, charge, (&mut charges.at, self.places.len() == 1), journal) {
                Ok(own) => charges.own.push(own),
                Err(asked) => {
                    let back = policy.counting().may_give_back().then(|| Back {
                        counts: policy.counting().count_when.as_ref(),
                        // What is given back in part is in an update of its own.
                        only: policy.counting().cost.as_ref().filter(|cost| cost.may_be_less()).map(|_| name),
                    });
                    let id = if back.is_some() { journal.next_operation() } else { id };
                    charges.ask(host.counters(), asked, id, back);
                }
            }
        }
        charges.agree(isolate, are_observed);
        charges
    }

    /// What the records say of the caller; a subscription is noted.
    fn entitled<'b>(&self, (catalogue, own): &'b entitlements::Both, journal: &mut Journal) -> Entitled<'b>
    where
        'a: 'b,
    {
        let plan = self.principal.and_then(|principal| principal.plan.as_deref());
        let entitled = Entitled::new(catalogue, own, &self.exchange.route().api, plan, journal.started);
        if let Some(one) = entitled.subscription() {
            let [subscription, product, plan] = [&one.id, &one.product, &one.plan].map(|text| text.as_str().into());
            journal.note(self.phase, Verdict::Pass, Reason::Subscribed { subscription, product, plan });
        }
        entitled
    }

    /// Whose entitlements one of the limits asks for.
    fn asks_for(&self) -> Option<&'a Principal> {
        let asks = self.policies().any(|named| named.policy.counting().asks_for_subscriptions());
        self.principal.filter(|principal| asks && !principal.is_anonymous)
    }

    /// Whether some are only observed.
    fn are_some_observed(&self) -> bool {
        self.policies().any(|named| named.policy.counting().shadow)
    }

    /// How long the counters are waited for: no longer than any of the limits says that are charged together.
    fn timeout_ms(&self, are_observed: bool) -> u64 {
        let together = self.policies().map(|named| named.policy.counting()).filter(|own| own.shadow == are_observed);
        let stated = together.filter_map(|counting| counting.timeout_ms);
        stated.map(|ms| u64::from(ms.get())).fold(STORE_TIMEOUT_MS, u64::min)
    }

    fn policy(&self, name: &PolicyName) -> Option<&'a LimitPolicy> {
        self.policies().find(|named| named.name == *name).map(|named| &named.policy)
    }

    /// The problem of a limit that refuses a charge: 429, or for a budget, which is no fault of the client, 503.
    fn exhausted(&self, charge: &Charge, verdict: &cell::Verdict, wait_s: Option<u64>) -> Problem {
        let is_budget = self.policy(&charge.quota).is_some_and(|policy| policy.counting().budget.is_some());
        let (kind, what) = match is_budget {
            true => (ProblemKind::BudgetExhausted, "budget"),
            false => (ProblemKind::RateLimitExceeded, "limit"),
        };
        let detail = match wait_s {
            Some(s) => format!("The {what} `{}` is exhausted. Try again in {s} s.", charge.quota),
            None => format!(
                "This request has a cost of {}, more than the maximum of the {what} `{}` ({}).",
                charge.cost, charge.quota, charge.burst
            ),
        };
        let reason = Reason::Exhausted { remaining: verdict.remaining, cost: charge.cost.get() };
        let problem = Problem::new(kind, detail, reason).by(charge.quota.clone());
        let problem = problem.stating(fields::numbers(charge, verdict));
        let problem = problem.with_help(self.exchange.route().help.as_deref());
        // Always with a 429; a charge that can never pass gets the longest reasonable wait.
        problem.with(RETRY_AFTER, wait_s.unwrap_or(NEVER_RETRY_AFTER_S).to_string())
    }
}

/// Charges the limits of a phase.
///
/// All charges at one owner are one call; several owners are called concurrently. A single owner charges immediately.
/// Several owners hold their charges; the request passes when all of them have confirmed, and otherwise everything is
/// released after the reply. Charges of an earlier phase are kept: a limit that protects look-ups would protect nothing
/// if failed attempts were free.
pub(super) async fn charge<H: Host>(
    isolate: &Isolate,
    host: &H,
    limits: Limits<'_>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    if limits.places.is_empty() {
        return Ok(());
    }
    journal.quotas.legacy = limits.exchange.route().limit_fields;
    let both = match limits.asks_for() {
        None => None,
        Some(principal) => rare(entitlements::of(isolate, host, &principal.consumer)).await.map_or_else(
            |unavailable| {
                let text = Local(unavailable.to_string().into());
                journal.note(limits.phase, Verdict::OpenOnFailure, Reason::SubscriptionsUnavailable { text });
                None
            },
            Some,
        ),
    };
    let entitled = both.as_ref().map(|both| limits.entitled(both, journal));
    apart(pin!(charge_all(isolate, host, Limits { entitled, ..limits }, journal))).await
}

async fn charge_all<H: Host>(
    isolate: &Isolate,
    host: &H,
    limits: Limits<'_>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let charges = limits.charges(isolate, host, false, journal);
    note_ends(host, &charges.updates, journal);
    let is_held = charges.updates.len() > 1;
    let mut charged = Charged::at(isolate, host, charges, limits.timeout_ms(false)).await;
    let refused = charged.refusal(&limits, journal.quotas.retry_after_us()).map_or(Ok(()), Err);
    let mut decided = refused.and_then(|()| charged.decide_faults(isolate, &limits, journal));
    if decided.is_ok() && is_held {
        let unconfirmed = rare(charged.unconfirmed(host, limits.timeout_ms(false))).await;
        decided = unconfirmed.decide_faults(isolate, &limits, journal);
    }
    charged.settle_own(isolate, host, decided.is_ok(), journal);
    if decided.is_err() {
        charged.refund();
    }
    charged.note(&limits, decided.is_ok(), journal);
    charged.tell(&limits, decided.is_ok(), journal);
    journal.quotas.add(charged.verdicts(), decided.is_ok());
    if decided.is_err() && is_held {
        journal.undos.extend(charged.undos());
    } else if decided.is_ok() {
        if limits.are_some_observed() {
            rare(observe(isolate, host, &limits, journal)).await;
        }
        charged.wait(host, &limits, journal).await;
        charged.note_refunds(&limits, journal);
    }
    decided
}

/// Charges the limits that are only observed, of a request that those which refuse have admitted.
async fn observe<H: Host>(isolate: &Isolate, host: &H, limits: &Limits<'_>, journal: &mut Journal) {
    let charges = limits.charges(isolate, host, true, journal);
    note_ends(host, &charges.updates, journal);
    let charged = Charged::at(isolate, host, charges, limits.timeout_ms(true)).await;
    charged.settle_own(isolate, host, true, journal);
    charged.note_observed(limits, journal);
    charged.tell(limits, true, journal);
    charged.note_refunds(limits, journal);
}

/// Has the end of the exchange told to the owners that count it as in flight, also if its client has gone.
fn note_ends<H: Host>(host: &H, updates: &[Update], journal: &mut Journal) {
    for update in updates.iter().filter(|update| charges_of(update).any(Charge::ends)) {
        host.run_to_end();
        let step = journal.next_operation();
        journal.ends.push(Undo::leave(update, step));
    }
}

/// How long owners hold a charge: for the call that charges and the one that confirms, each with the timeout of a
/// store, and until the release after the reply has arrived.
#[expect(clippy::cast_possible_truncation, reason = "some seconds in milliseconds")]
const HOLD_MS: NonZeroU32 = NonZeroU32::new(STORE_TIMEOUT_MS as u32 * 3 + 1_000).expect("it is not 0");

/// What the isolate has decided, and what owners are asked.
#[derive(Default)]
struct Charges<'a> {
    own: Vec<Own>,
    updates: Vec<Update>,
    /// When the charges of an update may be given back, if they may.
    backs: Vec<(OperationId, Back<'a>)>,
    /// When leases were looked at, if they were: before anything was sent.
    at: Option<MonotonicInstant>,
    /// The permits that are not taken together with the charges, because these may be released.
    later: Vec<Batch>,
}

/// When what was charged may be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Back<'a> {
    /// The responses after which it stays, if not after all.
    counts: Option<&'a Statuses>,
    /// The limit whose cost may be less.
    only: Option<&'a PolicyName>,
}

impl<'a> Charges<'a> {
    /// Has an owner asked, together with those charges that are given back after the same responses.
    fn ask(&mut self, counters: &impl Counters, (cell, charge): Batch, id: OperationId, back: Option<Back<'a>>) {
        let charge = Operation::Charge(charge);
        let of = |id: OperationId| self.backs.iter().find(|(of, _)| *of == id).map(|(_, back)| *back);
        let is_owner = |update: &&mut Update| {
            update.cells.iter().any(|own| counters.same_owner(&own.cell, &cell)) && of(update.terms.id) == back
        };
        match self.updates.iter_mut().find(is_owner) {
            Some(update) => match update.cells.iter_mut().find(|part| part.cell == cell) {
                Some(part) => part.operations.push(charge),
                None => update.cells.push(CellOperations { cell, operations: vec![charge] }),
            },
            None => {
                let cells = vec![CellOperations { cell, operations: vec![charge] }];
                let refund_ms = back.map(|_| REFUND_MS);
                self.backs.extend(back.map(|back| (id, back)));
                self.updates.push(Update { terms: Terms { id, hold_ms: None, refund_ms }, cells });
            }
        }
    }

    /// Asks no owner if the isolate refuses, and has several owners hold what they grant. What can be given back takes no permits ahead:
    /// they would be given back, too.
    fn agree(&mut self, isolate: &Isolate, are_observed: bool) {
        if !are_observed && self.own.iter().any(|own| !own.said.allowed) {
            let mut leases = isolate.leases.borrow_mut();
            for update in std::mem::take(&mut self.updates) {
                own::learn(&mut leases, &update, &Err(CounterFault::Contended), Purpose::Request, <_>::default());
            }
            return;
        }
        let is_held = !are_observed && self.updates.len() > 1;
        for update in self.updates.iter_mut().filter(|update| is_held || update.terms.refund_ms.is_some()) {
            if is_held {
                update.terms.hold_ms = Some(update.terms.refund_ms.unwrap_or(HOLD_MS));
            }
            for CellOperations { cell, operations } in &mut update.cells {
                for operation in operations {
                    let Operation::Charge(charge) = operation else { continue };
                    if let Some(most) = charge.lease.take() {
                        self.later.push(own::refill_of(cell, charge, most));
                    }
                }
            }
        }
    }
}

/// For how long a charge can be given back: longer than most responses take. What takes longer counts.
const REFUND_MS: NonZeroU32 = NonZeroU32::new(120_000).expect("it is not 0");

/// The charges with the answers of those who decide.
struct Charged<'a> {
    own: Vec<Own>,
    asked: Vec<(Update, Result<Outcome, CounterFault>)>,
    backs: Vec<(OperationId, Back<'a>)>,
    later: Vec<Batch>,
}

impl<'a> Charged<'a> {
    async fn at<H: Host>(isolate: &Isolate, host: &H, charges: Charges<'a>, timeout_ms: u64) -> Self {
        let Charges { own, updates, at, backs, later } = charges;
        if updates.is_empty() {
            return Self { own, asked: Vec::new(), backs, later };
        }
        let asked = ask(host, updates, timeout_ms).await;
        if let Some(sent) = at {
            let times = (sent, host.clock().instant());
            let mut leases = isolate.leases.borrow_mut();
            asked.iter().for_each(|(update, answer)| own::learn(&mut leases, update, answer, Purpose::Request, times));
        }
        Self { own, asked, backs, later }
    }

    /// Keeps what the isolate has decided, or takes it back.
    fn settle_own<H: Host>(&self, isolate: &Isolate, host: &H, is_kept: bool, journal: &mut Journal) {
        self.own.iter().for_each(|own| own.settle(isolate, host, is_kept, journal));
        if is_kept {
            journal.refills.extend(self.later.iter().cloned());
        } else {
            let mut leases = isolate.leases.borrow_mut();
            self.later.iter().for_each(|(cell, charge)| leases.failed(cell, charge));
        }
    }

    /// Asks the owners that granted to confirm, and returns those that did not.
    async fn unconfirmed<H: Host>(&self, host: &H, timeout_ms: u64) -> Self {
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
        Self { own: Vec::new(), asked: faults.collect(), backs: Vec::new(), later: Vec::new() }
    }

    /// The charges that were answered, with the verdicts of their quotas.
    fn verdicts(&self) -> impl Iterator<Item = (&Charge, &cell::Verdict)> + Clone {
        self.own.iter().map(|own| (&own.charge, &own.said)).chain(self.answers())
    }

    /// What owners have answered.
    fn answers(&self) -> impl Iterator<Item = (&Charge, &cell::Verdict)> + Clone {
        let answered = self.asked.iter().filter_map(|(update, answer)| Some((update, answer.as_ref().ok()?)));
        answered.flat_map(|(update, outcome)| charges_of(update).zip(outcome.verdicts()))
    }

    /// Reports granted charges as not charged: they are released after the reply.
    fn refund(&mut self) {
        self.own.iter_mut().for_each(Own::refund);
        let granted = self.asked.iter_mut().filter_map(|(update, answer)| Some((update, answer.as_mut().ok()?)));
        for (update, outcome) in granted.filter(|(_, outcome)| outcome.granted) {
            for (charge, verdict) in charges_of(update).zip(outcome.verdicts_mut()) {
                *verdict = charge.refunded(verdict);
            }
        }
    }

    /// Notes the verdicts; `kept` says whether the charges stay.
    fn note(&self, limits: &Limits<'_>, kept: bool, journal: &mut Journal) {
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
    fn tell(&self, limits: &Limits<'_>, kept: bool, journal: &mut Journal) {
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
    fn note_observed(&self, limits: &Limits<'_>, journal: &mut Journal) {
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
        for (update, fault) in self.asked.iter().filter_map(|(update, answer)| Some((update, answer.as_ref().err()?))) {
            for charge in charges_of(update) {
                let reason = Reason::CountersFailed { fault: fault.kind(), text: Local(fault.to_string().into()) };
                journal.note_policy(limits.phase, &charge.quota, Verdict::OpenOnFailure, reason);
            }
        }
    }

    /// Has what was charged given back after responses that do not count, and settled where its cost is known later.
    fn note_refunds(self, limits: &Limits<'_>, journal: &mut Journal) {
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
    async fn wait<H: Host>(&self, host: &H, limits: &Limits<'_>, journal: &mut Journal) {
        let waits = self.verdicts().filter_map(|(charge, verdict)| Some((charge, verdict.wait_us?)));
        let Some((charge, wait_us)) = waits.max_by_key(|(_, wait_us)| *wait_us) else { return };
        let wait_ms = wait_us.div_ceil(1_000);
        journal.note_policy(limits.phase, &charge.quota, Verdict::Pass, Reason::Spaced { wait_ms: Local(wait_ms) });
        rare(host.clock().sleep(wait_ms)).await;
    }

    /// The 429 of the quota that refuses for longest, if one does. What earlier phases charged allows no retry before `earliest_us`.
    fn refusal(&self, limits: &Limits<'_>, earliest_us: u64) -> Option<Problem> {
        // The one that decides when a retry passes.
        let refused = self.verdicts().filter(|(_, verdict)| !verdict.allowed);
        let wait = |verdict: &cell::Verdict| verdict.retry_after_us.unwrap_or(u64::MAX);
        let longer = |one: (_, _), other: (_, _)| if wait(other.1) > wait(one.1) { other } else { one };
        let (charge, verdict) = refused.reduce(longer)?;
        let wait_s = fields::retry_after_s(self.verdicts().map(|(_, verdict)| verdict), earliest_us);
        Some(limits.exhausted(charge, verdict, wait_s))
    }

    /// Handles the policies whose owner failed: each decides by its own settings.
    fn decide_faults(&self, isolate: &Isolate, limits: &Limits<'_>, journal: &mut Journal) -> Result<(), Problem> {
        let faults = self.asked.iter().filter_map(|(update, answer)| Some((update, answer.as_ref().err()?)));
        for (update, fault) in faults {
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

    /// Releases the charges at every owner that holds some, or may hold some.
    fn undos(self) -> impl Iterator<Item = Undo> {
        let held = self.asked.into_iter().filter(|(_, answer)| match answer {
            Ok(outcome) => outcome.granted,
            Err(_) => true,
        });
        held.map(|(update, _)| Undo::release(&update))
    }
}

/// The updates with the answers of their owners.
async fn ask<H: Host>(host: &H, updates: Vec<Update>, timeout_ms: u64) -> Vec<(Update, Result<Outcome, CounterFault>)> {
    let asked = async |update: Update| {
        let answer = counted_within(host, &update, timeout_ms).await;
        (update, answer)
    };
    match <[Update; 1]>::try_from(updates) {
        Ok([update]) => vec![asked(update).await],
        Err(updates) => together(updates.into_iter().map(asked)).await,
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
    let none = cell::Verdict {
        allowed: false,
        remaining: 0,
        reset_us: 0,
        retry_after_us: Some(1),
        wait_us: None,
        leased: None,
        reached: None,
    };
    let said = said.unwrap_or_else(|| vec![none; shares.len()]);
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

fn charges_of(update: &Update) -> impl Iterator<Item = &Charge> + Clone {
    update.cells.iter().flat_map(charges_in)
}

fn charges_in(part: &CellOperations) -> impl Iterator<Item = &Charge> + Clone {
    part.operations.iter().filter_map(|operation| match operation {
        Operation::Charge(charge) => Some(charge),
        Operation::Confirm
        | Operation::Release
        | Operation::AppendPurge(_)
        | Operation::ReadPurges { .. }
        | Operation::List(_)
        | Operation::ReadList
        | Operation::GiveBack(_)
        | Operation::Settle(_)
        | Operation::Leave { .. } => None,
    })
}

fn cells_of(update: &Update) -> Vec<CellKey> {
    update.cells.iter().map(|part| part.cell.clone()).collect()
}

/// `Retry-After` for a request that can never pass: a day.
const NEVER_RETRY_AFTER_S: u64 = 86_400;
