//! The run itself: events on a queue, in the order of their times.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use tollgate_core::cell::{
    Algorithm, Cell, CellKey, CellOperations, Charge, Operation, OperationId, Outcome, Reply, Terms, Update, Verdict,
};
use tollgate_core::limit::{Consistency, Drawn, Fault, OnFault, Purpose};
use tollgate_core::time::{MonotonicInstant, Timestamp};

use super::dice::Dice;
use super::observed::Observed;
use super::{AWAY_US, BURSTS_US, QUEUE_US, STORED_US, SitesReport, SitesSettings};
use crate::isolate::leases::Leases;
use crate::isolate::shares::Shares;
use crate::pipeline::{learn, refill_of, upkeep};
use crate::ports::{CounterFault, Unavailable};

pub(super) struct World<'s> {
    settings: &'s SitesSettings,
    dice: Dice,
    begin: Timestamp,
    now_us: u64,
    queue: BinaryHeap<Due>,
    happened: u64,
    sites: Vec<Site>,
    cell: CellKey,
    owner: Owner,
    /// One who knows everything: the limit as it would be if all requests were counted in one place.
    reference: Observed,
    /// The same, if each request was decided when it came.
    ideal: Observed,
    /// When those begin that are spaced.
    turns: Observed,
    has_all_learnt: bool,
    report: SitesReport,
    updates: u64,
}

#[derive(Default)]
struct Site {
    leases: RefCell<Leases>,
    local: Shares,
    /// What it counts while it has no answer.
    shares: Shares,
    /// How far its clock is ahead.
    skew_us: u64,
    /// When it learns other numbers.
    learns_us: Option<u64>,
    /// Isolates that have died here: an answer to one of them is lost.
    lives: u32,
    in_flight: u64,
    is_cut: bool,
}

#[derive(Default)]
struct Owner {
    cell: Cell,
    /// What survives a restart.
    stored: Cell,
    restarts: u32,
    /// When it has handled all calls.
    free_us: u64,
}

#[derive(Debug)]
enum Event {
    Request(usize),
    Asked(Box<Call>),
    Served(Box<Call>),
    Answered(Box<Call>, Result<Outcome, CounterFault>),
    /// A request is over, of an isolate that may have died; whether it is in flight for the reference.
    Over(usize, u32, OperationId, bool),
    Death,
    Restart,
    Store,
    Learnt,
}

#[derive(Debug)]
struct Call {
    site: usize,
    life: u32,
    update: Update,
    purpose: Purpose,
    sent_us: u64,
    /// How often the owner had restarted when it arrived.
    restarts: u32,
    is_repeated: bool,
    /// Nobody waits for the answer.
    is_late: bool,
}

/// An event and its time; of those at one time, the one that was planned first.
#[derive(Debug)]
struct Due {
    at_us: u64,
    number: u64,
    event: Event,
}

impl<'s> World<'s> {
    pub(super) fn new(settings: &'s SitesSettings) -> Self {
        let mut dice = Dice::new(settings.seed);
        let middle_us = u64::from(settings.lasts_ms) * 500;
        let site = |number: u32| Site {
            skew_us: dice.below(u64::from(settings.skew_ms) * 1_000 + 1),
            learns_us: settings.stale_ms.map(|ms| middle_us + dice.below(u64::from(ms) * 1_000 + 1)),
            is_cut: u64::from(number) * 100 < u64::from(settings.cut_percent) * u64::from(settings.sites),
            ..Site::default()
        };
        let sites = (0..settings.sites).map(site).collect();
        World {
            settings,
            dice,
            begin: settings.limit.begin(settings.lasts_ms),
            now_us: 0,
            queue: BinaryHeap::new(),
            happened: 0,
            sites,
            cell: CellKey::new("partition"),
            owner: Owner::default(),
            reference: Observed::default(),
            ideal: Observed::default(),
            turns: Observed::default(),
            has_all_learnt: false,
            report: SitesReport::default(),
            updates: 0,
        }
    }

    pub(super) fn run(mut self) -> SitesReport {
        self.use_some();
        for site in 0..self.sites.len() {
            let first = self.dice.below(self.pause_us());
            self.within_run(first, Event::Request(site));
        }
        let lasts_us = self.lasts_us();
        let spread = |times: u32| (1..=u64::from(times)).map(move |time| lasts_us * time / (u64::from(times) + 1));
        spread(self.settings.deaths).for_each(|at| self.at(at, Event::Death));
        spread(self.settings.restarts).for_each(|at| self.at(at, Event::Restart));
        if self.settings.restarts > 0 {
            self.at(STORED_US, Event::Store);
        }
        if let Some(stale_ms) = self.settings.stale_ms {
            // What was sent with the old numbers may be under way for as long as it is waited for.
            let after_ms = u64::from(stale_ms) + u64::from(self.settings.timeout_ms);
            self.at(lasts_us / 2 + after_ms * 1_000, Event::Learnt);
        }
        while let Some(Due { at_us, event, .. }) = self.queue.pop() {
            self.now_us = at_us;
            self.happen(event);
        }
        self.report
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request(site) => {
                self.request(site);
                let next_us = self.next_request_us();
                self.within_run(next_us, Event::Request(site));
            }
            Event::Asked(call) => self.asked(call),
            Event::Served(call) => self.served(call),
            Event::Answered(call, answer) => self.answered(&call, &answer),
            Event::Over(site, life, id, is_counted) => self.over(site, life, id, is_counted),
            Event::Death => self.death(),
            Event::Restart => {
                self.owner.restarts += 1;
                self.owner.cell = self.owner.stored.clone();
                self.owner.free_us = self.now_us + AWAY_US;
            }
            Event::Store => {
                self.owner.stored = self.owner.cell.clone();
                self.within_run(self.now_us + STORED_US, Event::Store);
            }
            Event::Learnt => {
                (self.reference, self.ideal, self.turns) = Default::default();
                self.has_all_learnt = true;
            }
        }
    }

    /// What is used of the limit when the run begins.
    fn use_some(&mut self) {
        let Some(cost) = NonZeroU32::new(self.settings.used) else { return };
        let charge = Charge { cost, ..self.charge_of_all() };
        let terms = Terms { id: self.id(), hold_ms: None, refund_ms: None };
        let update = [Operation::Charge(charge.clone())];
        // What does not fit is not used.
        if self.owner.cell.update(terms, &update, self.begin).is_ok_and(|(outcome, _)| outcome.granted) {
            self.reference.admit(&charge, self.begin);
            self.ideal.admit(&charge, self.begin);
            self.owner.stored = self.owner.cell.clone();
        }
    }

    fn request(&mut self, site: usize) {
        self.report.requests += 1;
        self.idealize();
        let (now, charge) = (self.instant(), self.charge_at(site));
        match self.settings.consistency {
            Consistency::Leased if charge.can_be_leased() => {
                let drawn = self.sites[site].leases.borrow_mut().draw(&self.cell, &charge, now);
                match drawn {
                    Drawn::Taken { is_low, .. } => {
                        self.decided_without_call(true);
                        self.after_reply(site, is_low.then_some(&charge));
                    }
                    Drawn::Refused(_) => {
                        self.decided_without_call(false);
                        self.after_reply(site, None);
                    }
                    Drawn::Ask(lease) => self.charge(site, Charge { lease, ..charge }),
                }
            }
            Consistency::Leased | Consistency::Exact => self.charge(site, charge),
            Consistency::Local => self.count_locally(site, &charge),
        }
    }

    /// Whether a request would pass if it was decided at once. How long requests are in flight depends on who is admitted.
    fn idealize(&mut self) {
        let (charge, now) = (self.charge_of_all(), self.wall(0));
        if charge.ends() {
            return;
        }
        if self.ideal.has_room(&charge, now) {
            self.ideal.admit(&charge, now);
            self.report.possible += 1;
        }
    }

    fn count_locally(&mut self, site: usize, charge: &Charge) {
        let (id, now, life) = (self.id(), self.wall(0), self.sites[site].lives);
        let said = self.sites[site].local.count((&self.cell, id), charge, false, now);
        self.decided_without_call(said.allowed);
        if said.allowed && charge.ends() {
            self.begin_handling(site, life, id, true);
        }
    }

    fn charge(&mut self, site: usize, charge: Charge) {
        let id = self.id();
        let update = self.update(id, Operation::Charge(charge));
        self.call(site, update, Purpose::Request);
    }

    /// What a request does after its reply.
    fn after_reply(&mut self, site: usize, low: Option<&Charge>) {
        let now = self.instant();
        let wanted = low.and_then(|charge| {
            let wanted = self.sites[site].leases.borrow_mut().refill(&self.cell, charge, now)?;
            Some(refill_of(&self.cell, charge, wanted))
        });
        let updates = &mut self.updates;
        let calls = upkeep(&self.sites[site].leases, wanted, now, || next_id(updates));
        for update in calls {
            self.call(site, update, Purpose::Refill);
        }
    }

    fn call(&mut self, site: usize, update: Update, purpose: Purpose) {
        let second = usize::try_from(self.now_us / US_PER_S).unwrap_or(0);
        if self.report.calls.len() <= second {
            self.report.calls.resize(second + 1, 0);
        }
        self.report.calls[second] += 1;
        let (life, sent_us) = (self.sites[site].lives, self.now_us);
        let call =
            Box::new(Call { site, life, update, purpose, sent_us, restarts: 0, is_repeated: false, is_late: false });
        if self.is_cut(site) {
            self.fail(call, "the owner cannot be reached");
        } else {
            let arrives_us = self.now_us + self.message_us();
            self.at(arrives_us, Event::Asked(call));
        }
    }

    /// A call arrives: the owner handles one after the other.
    fn asked(&mut self, mut call: Box<Call>) {
        let begins_us = self.owner.free_us.max(self.now_us);
        if begins_us - self.now_us > QUEUE_US {
            self.report.turned_away += 1;
            let answer = Err(CounterFault::Unavailable(Unavailable::new("the owner has too many calls")));
            let arrives_us = (self.now_us + self.message_us()).min(self.deadline_us(&call));
            return self.at(arrives_us.max(self.now_us), Event::Answered(call, answer));
        }
        let done_us = begins_us + u64::from(self.settings.call_us);
        self.owner.free_us = done_us;
        call.restarts = self.owner.restarts;
        if !call.is_late && done_us > self.deadline_us(&call) {
            let late = Box::new(Call { update: call.update.clone(), is_late: true, ..*call });
            self.fail(call, "the owner is late");
            call = late;
        }
        self.at(done_us, Event::Served(call));
    }

    fn served(&mut self, call: Box<Call>) {
        if call.restarts != self.owner.restarts {
            return self.interrupted(call);
        }
        let now = self.wall(self.sites[call.site].skew_us);
        let operations: Vec<Operation> =
            call.update.cells.iter().flat_map(|part| part.operations.iter().cloned()).collect();
        let Ok((outcome, committed)) = self.owner.cell.update(call.update.terms, &operations, now) else {
            return self.fail(call, "the cell is full");
        };
        if committed.write_through {
            self.owner.stored = self.owner.cell.clone();
        }
        if call.is_late {
            return;
        }
        let arrives_us = self.now_us + self.message_us();
        let is_lost = self.dice.below(100) < self.settings.lost_percent.into() || self.is_cut(call.site);
        if is_lost || arrives_us > self.deadline_us(&call) {
            return self.fail(call, "the answer is lost");
        }
        // An answered request counts when its owner has decided; nothing is in flight of an isolate that has died.
        if call.purpose == Purpose::Request && (!ends(&call) || self.is_alive(&call)) {
            let wait_us = outcome.verdicts().filter_map(|said| said.wait_us).max();
            self.decided(outcome.granted, wait_us);
            self.sites[call.site].in_flight += u64::from(outcome.granted && ends(&call));
        }
        self.at(arrives_us, Event::Answered(call, Ok(outcome)));
    }

    /// The owner has restarted while it had the call, which is sent once more.
    fn interrupted(&mut self, mut call: Box<Call>) {
        let arrives_us = self.now_us + self.message_us() + self.message_us();
        if call.is_late || arrives_us > self.deadline_us(&call) || call.is_repeated {
            if !call.is_late {
                self.fail(call, "the owner has restarted");
            }
            return;
        }
        call.is_repeated = true;
        self.at(arrives_us, Event::Asked(call));
    }

    /// There is no answer in time.
    fn fail(&mut self, call: Box<Call>, why: &'static str) {
        if !call.is_late {
            let at_us = self.deadline_us(&call).max(self.now_us);
            self.at(at_us, Event::Answered(call, Err(CounterFault::Unavailable(Unavailable::new(why)))));
        }
    }

    fn answered(&mut self, call: &Call, answer: &Result<Outcome, CounterFault>) {
        let times = (MonotonicInstant::from_micros(call.sent_us), self.instant());
        // Of an isolate that has died, nobody is left to learn it.
        if self.is_alive(call) {
            let mut leases = self.sites[call.site].leases.borrow_mut();
            learn(&mut leases, &call.update, answer, call.purpose, times);
        }
        if call.purpose == Purpose::Refill {
            return;
        }
        let said = answer.as_ref().ok().and_then(charged);
        let wait_us = said.and_then(|said| said.wait_us).unwrap_or(0);
        self.report.waits.add(self.now_us - call.sent_us + wait_us);
        match said {
            Some(_) if self.settings.consistency == Consistency::Leased && self.is_alive(call) => {
                self.after_reply(call.site, None);
            }
            Some(_) => {}
            None => self.unanswered(call),
        }
        if ends(call) {
            let is_counted = said.is_some_and(|said| said.allowed);
            self.begin_handling(call.site, call.life, call.update.terms.id, is_counted);
        }
    }

    /// The policy decides about a request without an answer.
    fn unanswered(&mut self, call: &Call) {
        self.report.unanswered += 1;
        let passes = match self.settings.degrade {
            Some(share) => {
                let (id, now, charge) = (call.update.terms.id, self.wall(0), self.charge_at(call.site));
                let said = self.sites[call.site].shares.charge((&self.cell, id), &[(&charge, share)], now);
                said.is_some_and(|said| said.iter().all(|said| said.allowed))
            }
            None => Fault::Unavailable.decide(self.settings.on_unavailable) == OnFault::Pass,
        };
        self.report.passed_open += u64::from(passes);
    }

    /// A request that counts as in flight is handled, if it was admitted.
    fn begin_handling(&mut self, site: usize, life: u32, id: OperationId, is_counted: bool) {
        if is_counted && self.settings.consistency == Consistency::Local {
            self.sites[site].in_flight += 1;
        }
        let (least, most) = self.settings.handled_ms;
        let handled_us =
            if is_counted { self.dice.within((u64::from(least) * 1_000, u64::from(most) * 1_000)) } else { 0 };
        self.at(self.now_us + handled_us, Event::Over(site, life, id, is_counted));
    }

    fn over(&mut self, site: usize, life: u32, id: OperationId, is_counted: bool) {
        if self.sites[site].lives != life {
            return;
        }
        if is_counted {
            self.reference.end(1);
            self.sites[site].in_flight -= 1;
        }
        let (step, now) = (self.id(), self.wall(0));
        if self.settings.consistency == Consistency::Local {
            self.sites[site].local.leave(std::slice::from_ref(&self.cell), id, step, now);
        } else {
            let update = self.update(step, Operation::Leave { id });
            self.call(site, update, Purpose::Refill);
        }
    }

    fn death(&mut self) {
        let place = usize::try_from(self.dice.below(self.sites.len() as u64)).unwrap_or(0);
        let Site { lives, skew_us, learns_us, is_cut, in_flight, .. } = self.sites[place];
        self.reference.end(in_flight);
        self.sites[place] = Site { lives: lives + 1, skew_us, learns_us, is_cut, ..Site::default() };
    }

    fn decided_without_call(&mut self, is_admitted: bool) {
        self.decided(is_admitted, None);
        self.report.waits.add(0);
        let (admitted, refused) = (u64::from(is_admitted), u64::from(!is_admitted));
        self.report.without_call += admitted;
        self.report.refused_without_call += refused;
    }

    fn decided(&mut self, is_admitted: bool, wait_us: Option<u64>) {
        let (charge, now) = (self.charge_of_all(), self.wall(0));
        if !is_admitted {
            self.report.falsely_refused += u64::from(self.reference.has_room(&charge, now));
            return;
        }
        self.report.admitted += 1;
        let overshoot = self.reference.admit(&charge, now);
        self.report.overshoot = self.report.overshoot.max(overshoot);
        // Isolates that count by themselves know no other turns, and while numbers change, turns overtake each other.
        let are_turns_shared = self.settings.consistency != Consistency::Local && self.settings.stale_ms.is_none();
        if charge.algorithm == Some(Algorithm::Spacing) && are_turns_shared {
            // The owner rounds the wait up.
            let turn = now.plus_micros(wait_us.unwrap_or(0) + 1);
            let alone = Charge { burst: NonZeroU32::MIN, ..charge };
            self.report.overshoot = self.report.overshoot.max(self.turns.admit(&alone, turn).saturating_sub(1));
        }
    }

    /// The charge of a request that begins at a site now.
    fn charge_at(&self, site: usize) -> Charge {
        let charge = self.settings.limit.charge_at(self.wall(0));
        if self.sites[site].learns_us.is_some_and(|learns_us| self.now_us >= learns_us) {
            lowered(charge)
        } else {
            charge
        }
    }

    /// The charge with the largest numbers that a site has.
    fn charge_of_all(&self) -> Charge {
        let charge = self.settings.limit.charge_at(self.wall(0));
        if self.has_all_learnt { lowered(charge) } else { charge }
    }

    fn update(&self, id: OperationId, operation: Operation) -> Update {
        let terms = Terms { id, hold_ms: None, refund_ms: None };
        Update { terms, cells: vec![CellOperations { cell: self.cell.clone(), operations: vec![operation] }] }
    }

    fn at(&mut self, at_us: u64, event: Event) {
        self.happened += 1;
        self.queue.push(Due { at_us, number: self.happened, event });
    }

    fn within_run(&mut self, at_us: u64, event: Event) {
        if at_us < self.lasts_us() {
            self.at(at_us, event);
        }
    }

    fn id(&mut self) -> OperationId {
        next_id(&mut self.updates)
    }

    fn is_alive(&self, call: &Call) -> bool {
        self.sites[call.site].lives == call.life
    }

    fn is_cut(&self, site: usize) -> bool {
        let third_us = self.lasts_us() / 3;
        self.sites[site].is_cut && (third_us..2 * third_us).contains(&self.now_us)
    }

    fn deadline_us(&self, call: &Call) -> u64 {
        call.sent_us + u64::from(self.settings.timeout_ms) * 1_000
    }

    /// When the next request of a site comes.
    fn next_request_us(&mut self) -> u64 {
        let factor = u64::from(self.settings.bursts.max(1));
        let (cycle_us, burst_us) = BURSTS_US;
        let mut left = self.dice.below(2 * self.pause_us()) + 1;
        let mut at_us = self.now_us;
        while factor > 1 && at_us < self.lasts_us() {
            let begin_us = at_us - at_us % cycle_us;
            let is_burst = at_us < begin_us + burst_us;
            let (end_us, times) = if is_burst { (begin_us + burst_us, factor) } else { (begin_us + cycle_us, 1) };
            let in_phase = (end_us - at_us) * times;
            if left <= in_phase {
                return at_us + left.div_ceil(times);
            }
            (left, at_us) = (left - in_phase, end_us);
        }
        at_us + left
    }

    /// The mean time between two requests of a site, outside of bursts.
    fn pause_us(&self) -> u64 {
        let SitesSettings { sites, requests, bursts, .. } = self.settings;
        let (cycle_us, burst_us) = BURSTS_US;
        let mean_us = u128::from(self.lasts_us()) * u128::from(*sites) / u128::from((*requests).max(1));
        let more = u128::from(burst_us * u64::from((*bursts).max(1) - 1));
        u64::try_from(mean_us * (u128::from(cycle_us) + more) / u128::from(cycle_us)).unwrap_or(u64::MAX / 4).max(1)
    }

    fn message_us(&mut self) -> u64 {
        let (least, most) = self.settings.message_ms;
        self.dice.within((u64::from(least) * 1_000, u64::from(most) * 1_000))
    }

    fn lasts_us(&self) -> u64 {
        u64::from(self.settings.lasts_ms) * 1_000
    }

    const fn instant(&self) -> MonotonicInstant {
        MonotonicInstant::from_micros(self.now_us)
    }

    const fn wall(&self, skew_us: u64) -> Timestamp {
        self.begin.plus_micros(self.now_us + skew_us)
    }
}

/// The limit at half of its numbers.
fn lowered(charge: Charge) -> Charge {
    let half = |number: NonZeroU32| NonZeroU32::new(number.get() / 2).unwrap_or(NonZeroU32::MIN);
    Charge { rate: half(charge.rate), burst: half(charge.burst), ..charge }
}

/// Whether a call is the charge of a request that counts as in flight.
fn ends(call: &Call) -> bool {
    let mut operations = call.update.cells.iter().flat_map(|part| &part.operations);
    operations.any(|operation| matches!(operation, Operation::Charge(charge) if charge.ends()))
}

fn charged(outcome: &Outcome) -> Option<&Verdict> {
    outcome.replies.iter().find_map(|reply| match reply {
        Reply::Charged(said) => Some(said),
        _ => None,
    })
}

fn next_id(updates: &mut u64) -> OperationId {
    *updates += 1;
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&updates.to_le_bytes());
    OperationId::new(bytes)
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The earliest is the greatest, which a heap gives out first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at_us, other.number).cmp(&(self.at_us, self.number))
    }
}

const US_PER_S: u64 = 1_000_000;
