//! The numbers of a charge: which of several apply, and what the request costs, as far as that is known.

use tollgate_core::cell::{Charge, Tells};
use tollgate_core::entitlement::{Entitled, Numbers};
use tollgate_core::event::{Reason, Verdict};
use tollgate_core::expression::Facts;
use tollgate_core::kinds::{LimitPolicy, PolicyName};
use tollgate_core::limit::Priced;

use super::exchange::Journal;
use super::limit::Limits;

impl Limits<'_> {
    /// The charge of a policy, as far as its cost is known.
    pub(super) fn charge(
        &self,
        name: &PolicyName,
        policy: &LimitPolicy,
        entitled: Option<&Entitled<'_>>,
        facts: &Facts<'_>,
        journal: &mut Journal,
    ) -> Charge {
        let mut charge = self.numbers(name, policy, entitled, facts, journal);
        if let Some(cost) = &policy.counting().cost {
            let priced = cost.before(facts, journal.request_bytes, charge.burst);
            charge.cost = priced.cost();
            if let Some(reason) = not_as_read(priced) {
                journal.note_policy(self.phase, name, Verdict::Pass, reason);
            }
        }
        charge
    }

    /// The charge of the route's cost, with the numbers that records have for it.
    fn numbers(
        &self,
        name: &PolicyName,
        policy: &LimitPolicy,
        entitled: Option<&Entitled<'_>>,
        facts: &Facts<'_>,
        journal: &mut Journal,
    ) -> Charge {
        let (cost, now) = (self.exchange.route().cost, journal.started);
        let of_caller = self.principal.and_then(|principal| principal.plan.as_deref());
        let plan = entitled.map_or(of_caller, Entitled::plan);
        let mut charge = policy.charge(name, plan, cost, now);
        charge.tells = Tells::of(&policy.counting().warn);
        let partition = policy.partition();
        let is_told = charge.tells.is_some() && partition.is_of_caller();
        if is_told {
            journal.told_of_caller.push((name.clone(), partition.is_of_credential()));
        }
        let Some(at_most) = policy.counting().at_most else { return charge };
        let own = if plan.is_none() { charge.clone() } else { policy.charge(name, None, cost, now) };
        let limits = self.principal.map_or(&[][..], |principal| &principal.limits);
        let is_own = Entitled::of_credential(limits, at_most, &own, &mut charge);
        if is_own {
            if let Some((_, of_credential)) = journal.told_of_caller.last_mut().filter(|_| is_told) {
                *of_credential = true;
            }
            let reason = Reason::CredentialNumber { number: charge.rate.get() };
            journal.note_policy(self.phase, name, Verdict::Pass, reason);
        }
        let is_subscribed = entitled.is_some_and(|entitled| entitled.subscription().is_some());
        let stated = policy.counting().number_from.as_ref().filter(|_| !is_subscribed && !is_own);
        let is_claimed = stated
            .and_then(|claim| facts.text(claim))
            .is_some_and(|stated| Entitled::claim(&stated, at_most, &own, &mut charge));
        // What is no single value is told as not used, too.
        if stated.is_some_and(|claim| facts.has(claim)) {
            let number = charge.rate.get();
            let reason = if is_claimed { Reason::NumberClaimed { number } } else { Reason::ClaimNotUsed };
            journal.note_policy(self.phase, name, Verdict::Pass, reason);
        }
        if let Some(entitled) = entitled {
            let from = entitled.apply(at_most, &own, is_claimed || is_own, &mut charge);
            self.note_numbers(from, &charge, journal);
        }
        charge
    }

    fn note_numbers(&self, from: Numbers<'_>, charge: &Charge, journal: &mut Journal) {
        let number = charge.rate.get();
        let reason = match from {
            Numbers::Configured => return,
            Numbers::OfPlan(plan) => Reason::PlanNumber { number, plan: plan.into() },
            Numbers::Granted(grant) => {
                Reason::LimitRaised { number, until: grant.until.to_rfc3339().into(), grant: grant.id.as_str().into() }
            }
        };
        journal.note_policy(self.phase, &charge.quota, Verdict::Pass, reason);
    }
}

/// Why a cost is another one than what was read, if it is.
pub(super) fn not_as_read(priced: Priced) -> Option<Reason> {
    match priced {
        Priced::At(_) | Priced::Later(_) => None,
        Priced::Beyond(cost) => Some(Reason::CostBeyond { cost: cost.get() }),
        Priced::Unknown(cost) => Some(Reason::CostUnknown { cost: cost.get() }),
    }
}
