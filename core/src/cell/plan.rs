//! An update in two steps, so that all cells of one owner change, or none: first the plan for each cell, then the
//! commit.

use super::charge::{Algorithm, Charge, Verdict};
use super::holds::{Held, Hold};
use super::lease::{LEASE_KEPT_US, Unused, WINDOW_LEASE_KEPT_US};
use super::listed::Listed;
use super::meter::{Effect, Meter};
use super::recent::RecordedResult;
use super::state::{Metered, Quota};
use super::time::{Advance, MICROS_PER_MS, nanos};
use super::{Cell, CellError, Operation, OperationId, Outcome, Reply, Terms};
use crate::bounds::ROUTE_LIST_MAX;
use crate::cache::{Purge, Purges};
use crate::policy_name::PolicyName;
use crate::time::Timestamp;

/// The effect that an update would have on one cell.
#[derive(Debug)]
pub struct Plan<'o> {
    terms: Terms,
    arrival: Arrival,
    steps: Vec<Step<'o>>,
    advance: Advance,
}

/// The result of a committed plan.
#[derive(Debug, Default)]
pub struct Committed {
    /// Whether the cell has to be stored again.
    pub changed: bool,
    /// Whether it has to be stored before the reply is sent.
    pub write_through: bool,
}

/// Whether the update has arrived before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    First,
    /// It took effect, and has no further effect.
    Repeated,
    /// It was released, before or after it arrived.
    Withdrawn,
}

#[derive(Debug)]
enum Step<'o> {
    Charge {
        charge: &'o Charge,
        /// Whether the cell has a state of the limit.
        is_known: bool,
        /// With what is charged ahead.
        effect: Effect,
        ahead: Option<u32>,
    },
    /// Whether something is held.
    Confirm {
        held: bool,
    },
    Release {
        held: bool,
    },
    AppendPurge(&'o Purge),
    ReadPurges {
        recorded: Option<u64>,
    },
    List(&'o Listed),
    ReadList,
    /// Whether there is such a lease.
    GiveBack {
        unused: &'o Unused,
        held: bool,
    },
    /// Whether something is in flight.
    Leave {
        id: OperationId,
        held: bool,
    },
    Withdraw {
        id: OperationId,
        charge: &'o Charge,
        from: Option<Withdrawn>,
    },
}

/// Where a charge is that is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Withdrawn {
    /// In a hold.
    Held,
    /// It took effect at this instant, in microseconds.
    Applied(u64),
}

impl Cell {
    /// Applies an update that concerns this cell alone.
    ///
    /// # Errors
    /// [`CellError::Full`]; the cell is then unchanged.
    pub fn update(
        &mut self,
        terms: Terms,
        operations: &[Operation],
        now: Timestamp,
    ) -> Result<(Outcome, Committed), CellError> {
        let plan = self.plan(terms, operations, now)?;
        let granted = plan.granted();
        let mut replies = Vec::with_capacity(operations.len());
        let committed = self.commit(&plan, granted, &mut replies);
        Ok((Outcome { granted, replies }, committed))
    }

    /// Advances the cell to `now` and returns the effect that the update would have.
    ///
    /// Every plan must be committed before the next one is made, granted or not. `now` may be before the cell's own
    /// instant if the update arrived late or a clock is behind; then no time has passed. A clock that is more than a
    /// minute behind is adopted if no writer has shown the cell's instant for five minutes.
    ///
    /// # Errors
    /// [`CellError::Full`] if the cell has no room for what the update adds.
    pub fn plan<'o>(
        &mut self,
        terms: Terms,
        operations: &'o [Operation],
        now: Timestamp,
    ) -> Result<Plan<'o>, CellError> {
        // Before updates are forgotten: one that waited for a server that stood still is found as long as nobody came first.
        let applied = operations.iter().map(|operation| match operation {
            Operation::Withdraw { id, .. } => self.recent.applied_at_us(*id),
            _ => None,
        });
        let applied: Vec<Option<u64>> = applied.collect();
        let advance = self.advance(now);
        let mut steps = Vec::with_capacity(operations.len());
        for (operation, applied) in operations.iter().zip(applied) {
            let step = self.step(terms, operation, applied, &steps);
            steps.push(step);
        }
        let plan = Plan { terms, arrival: self.arrival(terms), steps, advance };
        if self.has_room(&plan) { Ok(plan) } else { Err(CellError::Full) }
    }

    /// Applies the plan if the whole update is `granted`, and adds a reply for each operation.
    pub fn commit(&mut self, plan: &Plan<'_>, granted: bool, replies: &mut Vec<Reply>) -> Committed {
        let takes_effect = granted && plan.arrival == Arrival::First;
        let mut committed = Committed { changed: plan.advance.changed, write_through: false };
        let mut charges = Vec::new();
        for step in &plan.steps {
            if takes_effect {
                self.apply(step, &plan.terms, &mut charges, &mut committed);
            } else if let (Step::Charge { charge, .. }, Arrival::Repeated) = (step, plan.arrival) {
                // Storing may have failed when it arrived first.
                committed.write_through |= charge.is_exact();
            }
            replies.push(self.reply(step, plan, takes_effect));
        }
        if takes_effect {
            self.remember(plan, charges);
        }
        committed
    }

    fn arrival(&self, terms: Terms) -> Arrival {
        match self.recent.result(terms.id) {
            Some(RecordedResult::Applied) => Arrival::Repeated,
            Some(RecordedResult::Released) => Arrival::Withdrawn,
            None if terms.kept_ms().is_some() && self.holds.find(terms.id).is_some() => Arrival::Repeated,
            None => Arrival::First,
        }
    }

    fn step<'o>(&self, terms: Terms, operation: &'o Operation, applied: Option<u64>, before: &[Step<'o>]) -> Step<'o> {
        match operation {
            Operation::Charge(charge) | Operation::Settle(charge) => {
                let unused = Meter::unused(charge.algorithm);
                let stored = self.meter_of(&charge.quota, &unused);
                let is_known = stored.is_some();
                let earlier = before.iter().rev().find_map(|step| step.meter_after(&charge.quota, &unused));
                let meter = earlier.or(stored).unwrap_or(unused);
                let (mut effect, ahead) = meter.charge_ahead(charge, terms, self.at_us);
                if matches!(operation, Operation::Settle(_)) {
                    effect.allow();
                }
                Step::Charge { charge, is_known, effect, ahead }
            }
            Operation::Confirm => Step::Confirm { held: self.holds.find(terms.id).is_some() },
            Operation::Release => Step::Release { held: self.holds.find(terms.id).is_some() },
            Operation::AppendPurge(purge) => Step::AppendPurge(purge),
            Operation::ReadPurges { recorded } => Step::ReadPurges { recorded: *recorded },
            Operation::List(new) => Step::List(new),
            Operation::ReadList => Step::ReadList,
            Operation::GiveBack(unused) => Step::GiveBack { unused, held: self.holds.have_lease(unused) },
            Operation::Leave { id } => {
                Step::Leave { id: *id, held: self.meters().iter().any(|metered| metered.state.has(*id)) }
            }
            Operation::Withdraw { id, charge } => {
                let held = self.holds.find(*id).map(|_| Withdrawn::Held);
                Step::Withdraw { id: *id, charge, from: held.or(applied.map(Withdrawn::Applied)) }
            }
        }
    }

    /// The state of a limit that is counted in this form.
    fn meter_of(&self, name: &PolicyName, form: &Meter) -> Option<Meter> {
        match form {
            Meter::Instant(_) => {
                self.quotas.iter().find(|quota| quota.name == *name).map(|quota| Meter::Instant(quota.level()))
            }
            Meter::Counted(form) => {
                let of_form = |metered: &&Metered| metered.name == *name && metered.state.is_like(form);
                self.meters().iter().find(of_form).map(|metered| Meter::Counted(metered.state.clone()))
            }
        }
    }

    fn has_room(&self, plan: &Plan<'_>) -> bool {
        let added = plan.steps.iter().filter(|step| matches!(step, Step::Charge { is_known: false, .. })).count();
        let takes = |step: &Step<'_>| match (step, &self.listed) {
            (Step::List(new), Some(list)) => list.has_room(new),
            (Step::Charge { effect, .. }, _) => !effect.allowed() || effect.has_room(),
            _ => true,
        };
        plan.steps.iter().all(takes)
            && self.quotas.len() + self.meters().len() + added <= QUOTAS_MAX
            && (plan.terms.kept_ms().is_none() || self.holds.have_room(self.at_us))
    }

    fn apply(&mut self, step: &Step<'_>, terms: &Terms, charges: &mut Vec<Held>, committed: &mut Committed) {
        match step {
            Step::Charge { charge, effect, ahead, .. } => {
                let held = self.take(charge, effect, ahead.unwrap_or(0));
                committed.write_through |= terms.hold_ms.is_none() && charge.is_exact();
                if terms.kept_ms().is_some() {
                    charges.push(held);
                } else if ahead.is_some_and(|permits| permits > 0) {
                    self.keep_lease(terms.id, held);
                }
            }
            Step::Confirm { .. } => {
                let has_changed = self.holds.confirm(terms.id);
                committed.changed |= has_changed;
                committed.write_through |= has_changed && self.holds.are_counted(terms.id);
                return;
            }
            Step::Release { .. } => {
                committed.write_through |= self.holds.are_counted(terms.id);
                self.pay_time();
                let worth = self.holds.release(terms.id);
                self.refund(worth);
                self.drop_available();
                self.recent.add(terms.id, RecordedResult::Released, self.at_us);
            }
            Step::AppendPurge(purge) => {
                self.purges.get_or_insert_default().append(purge);
                committed.write_through = true;
            }
            Step::ReadPurges { recorded } => {
                let noted = recorded.zip(self.purges.as_mut());
                committed.changed |= noted.is_some_and(|(sequence, log)| log.note_recorded(sequence));
                return;
            }
            Step::List(new) => {
                self.listed.get_or_insert_default().add(new);
                committed.write_through = true;
            }
            Step::ReadList => return,
            Step::GiveBack { unused, .. } => {
                self.pay_time();
                let worth = self.holds.give_back(unused);
                self.refund(worth);
                self.drop_available();
            }
            Step::Leave { id, .. } => {
                for metered in self.counted.iter_mut().flat_map(|meters| &mut meters.0) {
                    metered.state.leave(*id);
                }
                self.drop_available();
                // A charge that arrives later is refused: its operation has ended.
                self.recent.add(*id, RecordedResult::Released, self.at_us);
            }
            Step::Withdraw { id, charge, from } => {
                committed.write_through |= from.is_some() && charge.is_exact();
                match from {
                    Some(Withdrawn::Held) => {
                        self.pay_time();
                        let worth = self.holds.release(*id);
                        self.refund(worth);
                    }
                    Some(Withdrawn::Applied(at_us)) => self.withdraw(*id, charge, *at_us),
                    None => {}
                }
                self.drop_available();
                self.recent.add(*id, RecordedResult::Released, self.at_us);
            }
        }
        committed.changed = true;
    }

    /// Takes back a charge that nothing is held of, which took effect at an instant.
    fn withdraw(&mut self, id: OperationId, charge: &Charge, at_us: u64) {
        match Meter::unused(charge.algorithm) {
            Meter::Instant(_) => {
                let is_it = |quota: &&mut Quota| quota.name == charge.quota && quota.pace == Some(charge.pace());
                let Some(quota) = self.quotas.iter_mut().find(is_it) else { return };
                // Without the charge the limit may have been fully available since, and that time is lost to it.
                let Some(since_us) = self.at_us.checked_sub(at_us) else { return };
                let ahead_ns = quota.tat_ns.saturating_sub(nanos(self.at_us));
                let worth = charge.increment_ns().saturating_sub(nanos(since_us)).min(ahead_ns);
                quota.tat_ns -= worth;
                self.holds.withdrawn(&charge.quota, worth);
            }
            Meter::Counted(form) => {
                let start_us = form.start_of(charge, at_us);
                let counted = self.counted.iter_mut().flat_map(|meters| &mut meters.0);
                for metered in counted.filter(|metered| metered.name == charge.quota && metered.state.is_like(&form)) {
                    metered.state.take_back(id, start_us, charge.cost.get().into());
                }
            }
        }
    }

    /// Charges a limit; returns what a hold has to know of the charge.
    fn take(&mut self, charge: &Charge, effect: &Effect, ahead: u32) -> Held {
        match effect {
            Effect::Instant(shift) => {
                if let Some(pace) = shift.pace_before(charge) {
                    self.holds.convert(&charge.quota, |ns| pace.converted(ns, charge.pace(), false));
                }
                self.holds.charged(&charge.quota, shift.old_tat_ns - nanos(self.at_us));
                self.set_level(charge, shift.new_tat_ns);
                Held::new(charge.quota.clone(), shift.new_tat_ns - shift.old_tat_ns)
            }
            Effect::Counted { after, .. } => {
                let meters = self.counted.get_or_insert_default();
                let of_form = |metered: &&mut Metered| metered.name == charge.quota && metered.state.is_like(after);
                match meters.0.iter_mut().find(of_form) {
                    Some(metered) => metered.state = after.clone(),
                    None => meters.0.push(Metered { name: charge.quota.clone(), state: after.clone() }),
                }
                let cost = u64::from(charge.cost.get()) + u64::from(ahead);
                Held::counted(charge.quota.clone(), cost, after.start_us())
            }
        }
    }

    /// Keeps a lease for as long as what is unused of it can be given back. Without room its charge stays.
    fn keep_lease(&mut self, id: OperationId, held: Held) {
        if self.holds.have_room(self.at_us) {
            // Time gives nothing back within a window.
            let kept_us = if held.window_us.is_some() { WINDOW_LEASE_KEPT_US } else { LEASE_KEPT_US };
            let until_us = self.at_us.saturating_add(kept_us);
            self.holds.add(Hold { id, until_us, confirmed: true, charges: vec![held] }, self.at_us);
        }
    }

    fn set_level(&mut self, charge: &Charge, tat_ns: u64) {
        let pace = Some(charge.pace());
        match self.quotas.iter_mut().find(|quota| quota.name == charge.quota) {
            Some(quota) => (quota.tat_ns, quota.pace) = (tat_ns, pace),
            None => self.quotas.push(Quota { name: charge.quota.clone(), tat_ns, pace }),
        }
    }

    /// Records an update that took effect: by its holds, or by its id.
    fn remember(&mut self, plan: &Plan<'_>, charges: Vec<Held>) {
        if let Some(kept_ms) = plan.terms.kept_ms().filter(|_| !charges.is_empty()) {
            let until_us = self.at_us.saturating_add(u64::from(kept_ms.get()).saturating_mul(MICROS_PER_MS));
            let confirmed = plan.terms.hold_ms.is_none();
            self.holds.add(Hold { id: plan.terms.id, until_us, confirmed, charges }, self.at_us);
        } else if plan.steps.iter().any(|step| matches!(step, Step::Charge { .. } | Step::AppendPurge(_))) {
            self.recent.add(plan.terms.id, RecordedResult::Applied, self.at_us);
        }
    }

    /// The verdict of a charge that is refused because of what updates hold that wait for other owners: they may release it in a moment.
    fn not_for_long(&self, charge: &Charge, verdict: Verdict) -> Verdict {
        let Some(wait_us) = verdict.retry_after_us.filter(|wait_us| !verdict.allowed && *wait_us > HELD_RETRY_US)
        else {
            return verdict;
        };
        let (ns, cost) = self.holds.undecided(&charge.quota, self.at_us);
        let missing = charge.cost.get().saturating_sub(verdict.remaining);
        let may_pass = match charge.algorithm {
            None | Some(Algorithm::Spacing) => nanos(wait_us) <= ns,
            Some(_) => u64::from(missing) <= cost,
        };
        if may_pass { Verdict { retry_after_us: Some(HELD_RETRY_US), ..verdict } } else { verdict }
    }

    fn reply(&self, step: &Step<'_>, plan: &Plan<'_>, takes_effect: bool) -> Reply {
        match step {
            Step::Charge { charge, effect, ahead, .. } => {
                let allowed = plan.arrival.decides(effect.allowed());
                let verdict = self.not_for_long(charge, effect.verdict(charge, allowed, takes_effect, self.at_us));
                // A repetition takes nothing ahead: what the first one took ahead and nobody knows of becomes available with time.
                let leased = ahead
                    .filter(|_| takes_effect)
                    .map(|permits| effect.lease(permits, self.recent.are_busy(self.at_us), self.at_us));
                Reply::Charged(Verdict { leased, ..verdict.later_by(plan.advance.stands_us) })
            }
            Step::Confirm { held: true } => Reply::Confirmed,
            Step::Release { held: true }
            | Step::Leave { held: true, .. }
            | Step::GiveBack { held: true, .. }
            | Step::Withdraw { from: Some(_), .. } => Reply::Released,
            Step::Confirm { held: false }
            | Step::Release { held: false }
            | Step::Leave { held: false, .. }
            | Step::GiveBack { held: false, .. }
            | Step::Withdraw { from: None, .. } => Reply::NotHeld,
            Step::AppendPurge(_) => Reply::Purged { sequence: self.purges.as_ref().map_or(0, |log| log.sequence) },
            Step::ReadPurges { .. } => match &self.purges {
                Some(log) => {
                    let (purges, recorded) = (log.purges.clone(), log.recorded);
                    Reply::Purges { sequence: log.sequence, purges, recorded }
                }
                None => Reply::Purges { sequence: 0, purges: Purges::default(), recorded: None },
            },
            Step::List(_) => Reply::Listed,
            Step::ReadList => Reply::List(self.listed.as_ref().map(|list| list.0.clone()).unwrap_or_default()),
        }
    }
}

impl Plan<'_> {
    /// Whether the cell grants its part of the update.
    #[must_use]
    pub fn granted(&self) -> bool {
        self.steps.iter().all(|step| match step {
            Step::Charge { effect, .. } => self.arrival.decides(effect.allowed()),
            Step::Confirm { .. }
            | Step::Release { .. }
            | Step::AppendPurge(_)
            | Step::ReadPurges { .. }
            | Step::List(_)
            | Step::ReadList
            | Step::GiveBack { .. }
            | Step::Leave { .. }
            | Step::Withdraw { .. } => true,
        })
    }
}

impl Arrival {
    /// Whether a charge is allowed that would be `allowed` by its quota.
    const fn decides(self, allowed: bool) -> bool {
        match self {
            Self::First => allowed,
            Self::Repeated => true,
            Self::Withdrawn => false,
        }
    }
}

impl Step<'_> {
    /// The state of a limit of this form after this step, if the step charges it.
    fn meter_after(&self, quota: &PolicyName, form: &Meter) -> Option<Meter> {
        match self {
            Self::Charge { charge, effect, .. } if charge.quota == *quota => {
                Some(effect.after(charge)).filter(|after| after.is_like(form))
            }
            Self::Charge { .. }
            | Self::Confirm { .. }
            | Self::Release { .. }
            | Self::AppendPurge(_)
            | Self::ReadPurges { .. }
            | Self::List(_)
            | Self::ReadList
            | Self::GiveBack { .. }
            | Self::Leave { .. }
            | Self::Withdraw { .. } => None,
        }
    }
}

/// When to try again if what others hold is in the way: they are confirmed or released within a round trip.
const HELD_RETRY_US: u64 = 1_000_000;

/// Maximum number of charged quotas in one cell: as many as a route can have limits.
const QUOTAS_MAX: usize = ROUTE_LIST_MAX;
