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

use super::beside::{self, Beside};
use super::exchange::{Exchange, Journal};
use super::own::{self, Asked, Batch, Looked, Own, Undecided};
use super::refund::Refund;
use super::settle::Settlement;
use super::undo::{Undo, on_held};
use crate::apart::{apart, rare, together};
use crate::isolate::{Isolate, entitlements};
use crate::ports::{Clock, CounterFault, Counters, Host, Unavailable};
use crate::timeout::{Later, STORE_TIMEOUT_MS, counted_within};

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

    pub(super) fn policies(&self) -> impl Iterator<Item = &'a Named<LimitPolicy>> {
        self.places.iter().map(|place| self.exchange.policy(*place))
    }

    /// The charges of the policies that refuse, or of those that are only observed: what the isolate decides, and what is asked at
    /// each owner, in policy order, those of one partition together.
    async fn charges<H: Host>(
        &self,
        isolate: &Isolate,
        host: &H,
        are_observed: bool,
        journal: &mut Journal,
    ) -> Charges<'a> {
        let (id, now) = (journal.next_operation(), journal.started);
        let (route, facts) = (self.exchange.route(), self.exchange.facts(self.principal, now));
        let upstream = &self.exchange.upstream().name;
        let (timeout_ms, is_alone) = (self.timeout_ms(are_observed), self.places.len() == 1);
        let looked = Looked { timeout_ms, is_alone, ..Looked::default() };
        let mut charges = Charges { looked, ..Charges::default() };
        for Named { name, policy } in self.policies().filter(|named| named.policy.counting().shadow == are_observed) {
            let entitled = self.entitled.as_ref().filter(|_| policy.counting().asks_for_subscriptions());
            let subscription = entitled.and_then(|entitled| Some(entitled.subscription()?.id.as_str()));
            let prefixes = policy.counting().prefixes;
            let at = Whereabouts { route: &route.id, api: &route.api, upstream, subscription, prefixes };
            let cell = policy.partition().cell(&facts, &at);
            let charge = self.charge(name, policy, entitled, &facts, journal);
            match Own::decide(isolate, host, policy, (cell, charge), &mut charges.looked, journal).await {
                Ok(own) => charges.own.push(own),
                Err(Undecided::Away((cell, charge), fault)) => {
                    let cells = vec![CellOperations { cell, operations: vec![Operation::Charge(charge)] }];
                    let update = Update { terms: Terms { id, hold_ms: None, refund_ms: None }, cells };
                    charges.away.push((update, Err(fault)));
                }
                Err(Undecided::Ask(asked)) => {
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
        charges.agree(isolate, self, are_observed);
        charges
    }

    /// What the records say of the caller; a subscription is noted.
    fn entitled(&self, (catalogue, own): &'a entitlements::Both, journal: &mut Journal) -> Entitled<'a> {
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

    /// Whether one of the limits whose owners do not answer refuses a request because of that.
    fn refuse_without_answer(&self, away: &[Answered]) -> bool {
        let policies = away.iter().flat_map(|(update, _)| charges_of(update)).filter_map(|own| self.policy(&own.quota));
        let refuses = |policy: &LimitPolicy| {
            policy.counting().degrade.is_none() && Fault::Unavailable.decide(policy.on_unavailable()) != OnFault::Pass
        };
        policies.into_iter().any(refuses)
    }

    pub(super) fn policy(&self, name: &PolicyName) -> Option<&'a LimitPolicy> {
        self.policies().find(|named| named.name == *name).map(|named| &named.policy)
    }

    /// Whether it is a charge of a budget, whose numbers are not told to callers: they are those of the operator's money.
    fn is_budget(&self, charge: &Charge) -> bool {
        self.policy(&charge.quota).is_some_and(|policy| policy.counting().budget.is_some())
    }

    /// The problem of a limit that refuses a charge: 429, or for a budget, which is no fault of the client, 503.
    fn exhausted(&self, charge: &Charge, verdict: &cell::Verdict, wait_s: Option<u64>) -> Problem {
        let (kind, what) = match self.is_budget(charge) {
            true => (ProblemKind::BudgetExhausted, "budget"),
            false => (ProblemKind::RateLimitExceeded, "limit"),
        };
        let detail = match (wait_s, kind) {
            (Some(s), _) => format!("The {what} `{}` is exhausted. Try again in {s} s.", charge.quota),
            (None, ProblemKind::BudgetExhausted) => {
                format!("This request has a cost of more than the budget `{}` ever allows.", charge.quota)
            }
            (None, _) => format!(
                "This request has a cost of {}, more than the maximum of the limit `{}` ({}).",
                charge.cost, charge.quota, charge.burst
            ),
        };
        let reason = Reason::Exhausted { remaining: verdict.remaining, cost: charge.cost.get() };
        let mut problem = Problem::new(kind, detail, reason).by(charge.quota.clone());
        if kind != ProblemKind::BudgetExhausted {
            problem = problem.stating(fields::numbers(charge, verdict));
        }
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
///
/// A charge for whose answer the request need not wait now is returned.
pub(super) async fn charge<'a, H: Host>(
    isolate: &'a Isolate,
    host: &'a H,
    limits: Limits<'a>,
    journal: &mut Journal,
) -> Result<Option<Box<Beside<'a>>>, Problem> {
    if limits.places.is_empty() {
        return Ok(None);
    }
    journal.quotas.legacy = limits.exchange.route().limit_fields;
    let mut entitled = None;
    if let Some(principal) = limits.asks_for() {
        match rare(entitlements::of(isolate, host, &principal.consumer)).await {
            Ok(both) => entitled = Some(limits.entitled(limits.exchange.entitled.get_or_init(|| both), journal)),
            Err(unavailable) => {
                let text = Local(unavailable.to_string().into());
                journal.note(limits.phase, Verdict::OpenOnFailure, Reason::SubscriptionsUnavailable { text });
            }
        }
    }
    apart(pin!(charge_all(isolate, host, Limits { entitled, ..limits }, None, journal))).await
}

/// Charges the limits that refuse, and then those that are only observed; `answered` is what the owner of the former has said, once it
/// was asked.
pub(super) async fn charge_all<'a, H: Host>(
    isolate: &'a Isolate,
    host: &'a H,
    limits: Limits<'a>,
    answered: Option<Box<Charged<'a>>>,
    journal: &mut Journal,
) -> Result<Option<Box<Beside<'a>>>, Problem> {
    let (mut charged, is_held) = if let Some(charged) = answered {
        (*charged, false)
    } else {
        let charges = limits.charges(isolate, host, false, journal).await;
        note_ends(host, &charges.updates, journal);
        let is_held = charges.are_held();
        if !is_held && limits.go_on(&charges.updates) {
            let asked = Box::pin(Charged::at(isolate, host, charges));
            match beside::begun(host, asked).await {
                Ok(charged) => (charged, false),
                Err(asked) => return Ok(Some(Beside::new(limits, asked, false))),
            }
        } else {
            (Charged::at(isolate, host, charges).await, is_held)
        }
    };
    let mut observed = None;
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
    journal.quotas.add(charged.verdicts(), decided.is_ok(), |charge| !limits.is_budget(charge));
    if decided.is_err() {
        forget_ends(isolate, host, &charged.asked, journal, |_| true);
        let undos: Vec<Undo> = charged.undos(is_held, || journal.next_operation()).collect();
        journal.undos.extend(undos);
    } else {
        if limits.are_some_observed() {
            observed = rare(observe(isolate, host, &limits, None, journal)).await;
        }
        charged.wait(host, &limits, journal).await;
        charged.note_refunds(&limits, journal);
    }
    decided.map(|()| observed.map(|asked| Beside::new(limits, asked, true)))
}

/// Charges the limits that are only observed, of a request that those which refuse have admitted; `answered` is what their owners have
/// said, once they were asked. Returns the answers for which the request need not wait now.
pub(super) async fn observe<'a, H: Host>(
    isolate: &'a Isolate,
    host: &'a H,
    limits: &Limits<'a>,
    answered: Option<Box<Charged<'a>>>,
    journal: &mut Journal,
) -> Option<Later<'a, Charged<'a>>> {
    let charged = if let Some(charged) = answered {
        *charged
    } else {
        let charges = limits.charges(isolate, host, true, journal).await;
        note_ends(host, &charges.updates, journal);
        if limits.go_on(&charges.updates) {
            let asked = Box::pin(Charged::at(isolate, host, charges));
            match beside::begun(host, asked).await {
                Ok(charged) => charged,
                Err(asked) => return Some(asked),
            }
        } else {
            Charged::at(isolate, host, charges).await
        }
    };
    forget_ends(isolate, host, &charged.asked, journal, |answer| answer.as_ref().is_ok_and(|outcome| !outcome.granted));
    charged.settle_own(isolate, host, true, journal);
    charged.note_observed(limits, journal);
    charged.tell(limits, true, journal);
    charged.note_refunds(limits, journal);
    None
}

/// Has the end of the exchange told to the owners that count it as in flight, also if its client has gone.
fn note_ends<H: Host>(host: &H, updates: &[Update], journal: &mut Journal) {
    for update in updates.iter().filter(|update| charges_of(update).any(Charge::ends)) {
        host.run_to_end();
        let step = journal.next_operation();
        journal.ends.push(Undo::leave(update, step));
    }
}

/// Forgets the ends of those updates that count nothing as in flight, or that undo steps take back.
fn forget_ends<H: Host>(
    isolate: &Isolate,
    host: &H,
    asked: &[(Update, Result<Outcome, CounterFault>)],
    journal: &mut Journal,
    is_over: impl Fn(&Result<Outcome, CounterFault>) -> bool,
) {
    if journal.ends.is_empty() {
        return;
    }
    let now = host.clock().now();
    let is_over = |end: &Undo| asked.iter().any(|(update, answer)| end.ends(update) && is_over(answer));
    journal.ends.retain(|end| {
        let is_over = is_over(end);
        if is_over {
            end.leave_shares(isolate, now);
        }
        !is_over
    });
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
    /// What would be asked at owners that do not answer.
    away: Vec<Answered>,
    /// When the charges of an update may be given back, if they may.
    backs: Vec<(OperationId, Back<'a>)>,
    looked: Looked,
    /// The permits that are not taken together with the charges, because these may be released.
    later: Vec<Batch>,
}

/// What was asked, and the answer.
type Answered = (Update, Result<Outcome, CounterFault>);

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

    /// Whether owners hold what they grant, until it is known what others say.
    fn are_held(&self) -> bool {
        self.updates.len() > 1 || !(self.updates.is_empty() || self.away.is_empty())
    }

    /// Asks no owner if the isolate refuses, and has several owners hold what they grant. What can be given back takes no permits ahead:
    /// they would be given back, too.
    fn agree(&mut self, isolate: &Isolate, limits: &Limits<'_>, are_observed: bool) {
        let is_refused = self.own.iter().any(|own| !own.said.allowed) || limits.refuse_without_answer(&self.away);
        if !are_observed && is_refused {
            drop(Asked::of(&isolate.leases, &std::mem::take(&mut self.updates)));
            return;
        }
        let is_held = !are_observed && self.are_held();
        for update in self.updates.iter_mut().filter(|update| is_held || update.terms.refund_ms.is_some()) {
            if is_held {
                update.terms.hold_ms = Some(update.terms.refund_ms.unwrap_or(HOLD_MS));
            }
            for CellOperations { cell, operations } in &mut update.cells {
                for operation in operations {
                    let Operation::Charge(charge) = operation else { continue };
                    if charge.lease.is_some() {
                        isolate.leases.borrow_mut().not_asked(cell, charge);
                        charge.lease = None;
                        self.later.push((cell.clone(), charge.clone()));
                    }
                }
            }
        }
    }
}

/// For how long a charge can be given back: longer than most responses take. What takes longer counts.
const REFUND_MS: NonZeroU32 = NonZeroU32::new(120_000).expect("it is not 0");

/// The charges with the answers of those who decide.
pub(super) struct Charged<'a> {
    own: Vec<Own>,
    asked: Vec<Answered>,
    away: Vec<Answered>,
    backs: Vec<(OperationId, Back<'a>)>,
    later: Vec<Batch>,
}

impl<'a> Charged<'a> {
    async fn at<H: Host>(isolate: &Isolate, host: &H, charges: Charges<'a>) -> Self {
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
    fn settle_own<H: Host>(&self, isolate: &Isolate, host: &H, is_kept: bool, journal: &mut Journal) {
        self.own.iter().for_each(|own| own.settle(isolate, host, is_kept, journal));
        if is_kept && !self.later.is_empty() {
            let (now, mut leases) = (host.clock().instant(), isolate.leases.borrow_mut());
            let planned = self.later.iter().filter(|(cell, charge)| leases.plans_refill(cell, charge, now));
            journal.refills.extend(planned.cloned());
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
        Self { own: Vec::new(), asked: faults.collect(), away: Vec::new(), backs: Vec::new(), later: Vec::new() }
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

    /// What owners have not answered.
    fn faults(&self) -> impl Iterator<Item = (&Update, &CounterFault)> {
        let all = self.asked.iter().chain(&self.away);
        all.filter_map(|(update, answer)| Some((update, answer.as_ref().err()?)))
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
        for (update, fault) in self.faults() {
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
    fn decide_faults(&self, isolate: &Isolate, limits: &Limits<'_>, journal: &mut Journal) -> Result<(), Problem> {
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
    fn undos(self, are_held: bool, mut step: impl FnMut() -> OperationId) -> impl Iterator<Item = Undo> {
        let charged = self.asked.into_iter().filter(|(_, answer)| match answer {
            Ok(outcome) => outcome.granted,
            Err(fault) => fault.may_have_effect(),
        });
        charged.map(move |(update, _)| if are_held { Undo::release(&update) } else { Undo::withdraw(&update, step()) })
    }
}

/// The updates with the answers of their owners.
async fn ask<H: Host>(host: &H, updates: Vec<Update>, timeout_ms: u64) -> Vec<Answered> {
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

pub(super) fn charges_of(update: &Update) -> impl Iterator<Item = &Charge> + Clone {
    update.cells.iter().flat_map(charges_in)
}

pub(super) fn charges_in(part: &CellOperations) -> impl Iterator<Item = &Charge> + Clone {
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
        | Operation::Leave { .. }
        | Operation::Withdraw { .. } => None,
    })
}

fn cells_of(update: &Update) -> Vec<CellKey> {
    update.cells.iter().map(|part| part.cell.clone()).collect()
}

/// `Retry-After` for a request that can never pass: a day.
const NEVER_RETRY_AFTER_S: u64 = 86_400;
