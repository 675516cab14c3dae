//! limit: the request's cost is charged to its quotas, all of them or none.

use std::pin::pin;

use http::header::RETRY_AFTER;
use tollgate_core::authn::Principal;
use tollgate_core::cell::{self, CellOperations, Charge, Operation, Outcome, Terms, Update};
use tollgate_core::entitlement::Entitled;
use tollgate_core::event::{Local, Phase, Reason, Verdict};
use tollgate_core::kinds::{LimitPolicy, Named, Place, PolicyName};
use tollgate_core::limit::{Fault, OnFault, Whereabouts, fields};
use tollgate_core::problem::{Problem, ProblemKind};

use super::beside::{self, Beside};
use super::charged::Charged;
use super::charges::{Answered, Back, Charges, charges_of};
use super::exchange::{Exchange, Journal};
use super::own::{Looked, Own, Undecided};
use super::undo::Undo;
use crate::apart::{apart, rare};
use crate::isolate::{Isolate, entitlements};
use crate::ports::{Clock, CounterFault, Host};
use crate::timeout::{Later, STORE_TIMEOUT_MS};

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
    pub(super) fn refuse_without_answer(&self, away: &[Answered]) -> bool {
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
    pub(super) fn is_budget(&self, charge: &Charge) -> bool {
        self.policy(&charge.quota).is_some_and(|policy| policy.counting().budget.is_some())
    }

    /// The problem of a limit that refuses a charge: 429, or for a budget, which is no fault of the client, 503.
    pub(super) fn exhausted(&self, charge: &Charge, verdict: &cell::Verdict, wait_s: Option<u64>) -> Problem {
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
    let (mut charged, is_held) = match answered {
        Some(charged) => (*charged, false),
        None => match asked(isolate, host, &limits, false, journal).await {
            Ok(charged) => charged,
            Err(waits) => return Ok(Some(Beside::new(limits, waits, false))),
        },
    };
    let mut observed = None;
    let refused = charged.refusal(&limits, journal.quotas.retry_after_us()).map_or(Ok(()), Err);
    let mut decided = refused.and_then(|()| charged.decide_faults(isolate, &limits, journal));
    if decided.is_ok() && is_held {
        let unconfirmed = rare(charged.unconfirmed(host, limits.timeout_ms(false))).await;
        decided = unconfirmed.decide_faults(isolate, &limits, journal);
    }
    keep_own_ends(&charged.asked, journal);
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
    let charged = match answered {
        Some(charged) => *charged,
        None => match asked(isolate, host, limits, true, journal).await {
            Ok((charged, _)) => charged,
            Err(waits) => return Some(waits),
        },
    };
    forget_ends(isolate, host, &charged.asked, journal, |answer| answer.as_ref().is_ok_and(|outcome| !outcome.granted));
    keep_own_ends(&charged.asked, journal);
    charged.settle_own(isolate, host, true, journal);
    charged.note_observed(limits, journal);
    charged.tell(limits, true, journal);
    charged.note_refunds(limits, journal);
    None
}

/// Asks the owners of the limits that refuse, or of those that are only observed. Returns their answers, and whether they hold what they
/// granted, or what is waited for while the request goes on.
async fn asked<'a, H: Host>(
    isolate: &'a Isolate,
    host: &'a H,
    limits: &Limits<'a>,
    are_observed: bool,
    journal: &mut Journal,
) -> Result<(Charged<'a>, bool), Later<'a, Charged<'a>>> {
    let charges = limits.charges(isolate, host, are_observed, journal).await;
    note_ends(host, &charges.updates, journal);
    let is_held = !are_observed && charges.are_held();
    if is_held || !limits.go_on(&charges.updates) {
        return Ok((Charged::at(isolate, host, charges).await, is_held));
    }
    let asked = Box::pin(Charged::at(isolate, host, charges));
    Ok((beside::begun(host, asked).await?, false))
}

/// Has the end of the exchange told to the owners that count it as in flight, also if its client has gone.
fn note_ends<H: Host>(host: &H, updates: &[Update], journal: &mut Journal) {
    for update in updates.iter().filter(|update| charges_of(update).any(Charge::ends)) {
        host.run_to_end();
        let step = journal.next_operation();
        journal.ends.push(Undo::leave(update, step));
    }
}

/// Has no owner told of the end of what it was not asked to count.
fn keep_own_ends(asked: &[Answered], journal: &mut Journal) {
    for end in &mut journal.ends {
        let is_unasked = |answer: &Result<Outcome, CounterFault>| {
            answer.as_ref().err().is_some_and(|fault| !fault.may_have_effect())
        };
        if asked.iter().any(|(update, answer)| end.ends(update) && is_unasked(answer)) {
            end.keep_own();
        }
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

/// `Retry-After` for a request that can never pass: a day.
const NEVER_RETRY_AFTER_S: u64 = 86_400;
