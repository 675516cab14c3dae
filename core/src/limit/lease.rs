//! What an isolate has of a limit whose permits it takes ahead, and what it does when it has none.

use std::num::NonZeroU32;

use crate::cell::{Charge, LEASE_MS, Leased, OperationId, Unused, Verdict};
use crate::policy_name::PolicyName;
use crate::time::MonotonicInstant;

/// The permits that an isolate has of one limit of one partition.
///
/// Every permit was charged at the owner of the counter before it is used, and is used within its lifetime or not at all. So
/// everything in here may be forgotten at any time: that loses permits, and creates none.
#[derive(Debug)]
pub struct Lease {
    /// The numbers that its permits were charged with; others have other permits.
    numbers: Numbers,
    /// The older one is used first.
    batches: [Option<Batch>; 2],
    demand: Demand,
    /// When the whole limit is available again, as far as is known.
    available_at: MonotonicInstant,
    /// The last answer that there is not enough.
    pause: Option<Pause>,
    /// How long it waits after the next answer that there is not enough.
    backoff_us: u64,
    /// When it began to ask for a batch, if it has no answer yet.
    asked_at: Option<MonotonicInstant>,
    /// The demand when it asked for a batch.
    asked_with: u32,
    /// When a request asked for its own cost, if it has no answer yet.
    alone_at: Option<MonotonicInstant>,
    /// When the owner had less than was asked for: the last time, and the time before.
    short_at: [Option<MonotonicInstant>; 2],
    /// For how long requests wait for a batch that another has asked for.
    patience_ms: u64,
    /// Whether the last charge that asked for a batch, and was admitted, got one.
    gives: bool,
    /// When a request began that will ask for a batch after its reply.
    planned_at: Option<MonotonicInstant>,
    outage: Option<Outage>,
}

/// The rate, its period and the burst.
type Numbers = (NonZeroU32, NonZeroU32, NonZeroU32);

/// Permits that were taken together.
#[derive(Clone, Copy, Debug)]
struct Batch {
    id: OperationId,
    left: u32,
    of: NonZeroU32,
    until: MonotonicInstant,
}

/// The owner has said that there is not enough: requests that cost at least as much are refused until then.
#[derive(Clone, Copy, Debug)]
struct Pause {
    cost: NonZeroU32,
    since: MonotonicInstant,
    until: MonotonicInstant,
    /// When the owner has promised to admit such a request.
    promised: MonotonicInstant,
}

/// The owner has not answered since.
#[derive(Clone, Copy, Debug)]
struct Outage {
    since: MonotonicInstant,
    /// For how long it is not asked then: after the first failure, not at all.
    pause_us: u64,
}

/// What was asked for within the lifetime of a lease, fading.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    /// In thousandths.
    milli: u64,
    at: MonotonicInstant,
}

/// What an isolate says of a charge by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Drawn {
    /// It passes: from the permits that were taken with an id.
    Taken {
        /// What remains of the permits.
        said: Verdict,
        /// For [`Lease::put_back`].
        id: OperationId,
        /// Whether few are left: [`Lease::plans_refill`] should be asked when the request is admitted.
        is_low: bool,
    },
    /// It is refused, because its owner has refused a moment ago.
    Refused(Verdict),
    /// Its owner has to be asked, for so many permits beside its cost.
    Ask(Option<NonZeroU32>),
    /// Another request has asked for a batch a moment ago: [`Lease::draw_again`] after a pause.
    Wait,
    /// Its owner has failed several times, and is not asked now.
    Away,
}

/// What a batch is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A request, which uses the cost of the charge.
    Request,
    /// Requests to come: the cost is a part of the batch.
    Refill,
}

impl Lease {
    /// Without permits.
    #[must_use]
    pub fn new(charge: &Charge) -> Self {
        Self {
            numbers: numbers(charge),
            batches: [None; 2],
            demand: Demand::default(),
            available_at: MonotonicInstant::default(),
            pause: None,
            backoff_us: 0,
            asked_at: None,
            asked_with: 0,
            alone_at: None,
            short_at: [None; 2],
            patience_ms: PATIENCE_MS_LEAST,
            gives: true,
            planned_at: None,
            outage: None,
        }
    }

    /// Whether its permits are those of such a charge: they were charged with its numbers.
    #[must_use]
    pub fn is_for(&self, charge: &Charge) -> bool {
        self.numbers == numbers(charge)
    }

    /// Takes the cost of a charge from the permits, if there are enough.
    pub fn draw(&mut self, charge: &Charge, now: MonotonicInstant) -> Drawn {
        self.demand.add(charge.cost, now);
        self.decide(charge, None, now)
    }

    /// As [`Self::draw`], for a request that has waited since an instant: it is refused if the owner has refused meanwhile, or had less
    /// than was asked for twice.
    pub fn draw_again(&mut self, charge: &Charge, since: MonotonicInstant, now: MonotonicInstant) -> Drawn {
        self.decide(charge, Some(since), now)
    }

    fn decide(&mut self, charge: &Charge, since: Option<MonotonicInstant>, now: MonotonicInstant) -> Drawn {
        if self.pause.is_some_and(|pause| now.micros_since(pause.until) > BACKOFF_US_MAX) {
            (self.pause, self.backoff_us) = (None, 0);
        }
        let enough = |batch: &&mut Batch| batch.is_usable(now) && batch.left >= charge.cost.get();
        if let Some(batch) = self.batches.iter_mut().flatten().find(enough) {
            batch.left -= charge.cost.get();
            let id = batch.id;
            let remaining = self.left(now);
            return Drawn::Taken { said: self.verdict(true, remaining, 0, now), id, is_low: self.is_low(now) };
        }
        let is_short = since.is_some_and(|since| self.short_at[1].is_some_and(|at| at >= since));
        if let Some(wait_us) = self.wait_us(charge.cost, now).or(is_short.then_some(1)) {
            return Drawn::Refused(self.verdict(false, self.left(now), wait_us, now));
        }
        if self.is_away(now) {
            return Drawn::Away;
        }
        if u64::from(charge.cost.get()) * COST_PARTS > charge.burst.get().into() {
            return Drawn::Ask(None);
        }
        if let Some(asked_ms) = self.asked_ms(now) {
            if !self.gives {
                return Drawn::Ask(None);
            }
            if asked_ms < self.patience_ms {
                return Drawn::Wait;
            }
            // The answer is lost, or the owner has more calls than it can answer: the next one waits for longer.
            self.patience_ms = (self.patience_ms * 2).min(LEASE_MS);
        }
        let is_another_alone = self.alone_at.is_some_and(|at| now.millis_since(at) < LEASE_MS);
        let wanted = self.wanted(now).or(is_another_alone.then_some(WANTED_LEAST));
        if wanted.is_none() {
            self.alone_at = Some(now);
        }
        Drawn::Ask(wanted.map(|wanted| self.ask(wanted, now)))
    }

    /// Puts back what a request has taken that is refused for another reason.
    pub fn put_back(&mut self, charge: &Charge, id: OperationId) {
        // Not into another batch, whose permits may live longer.
        if let Some(batch) = self.batches.iter_mut().flatten().find(|batch| batch.id == id) {
            batch.left = batch.left.saturating_add(charge.cost.get());
        }
    }

    /// Takes as much of a cost from the permits as there is, and returns that: what is left to others must not admit requests while the
    /// rest of the cost is a debt.
    pub fn drain(&mut self, cost: NonZeroU32, now: MonotonicInstant) -> u32 {
        let mut taken = 0;
        for batch in self.batches.iter_mut().flatten().filter(|batch| batch.is_usable(now)) {
            let part = batch.left.min(cost.get() - taken);
            batch.left -= part;
            taken += part;
        }
        taken
    }

    /// Learns from the owner's answer to a charge that was sent at an instant. Returns what is not used of a batch that the new one
    /// takes the place of.
    pub fn answered(
        &mut self,
        charge: &Charge,
        said: &Verdict,
        (id, purpose): (OperationId, Purpose),
        (sent, now): (MonotonicInstant, MonotonicInstant),
    ) -> Option<Unused> {
        self.not_asked(charge);
        self.outage = self.outage.and_then(Outage::after_answer);
        self.available_at = now.plus_micros(said.reset_us);
        if charge.lease.is_some() {
            self.patience_ms = (2 * now.millis_since(sent)).clamp(PATIENCE_MS_LEAST, LEASE_MS);
        }
        if !said.allowed {
            self.short_at = [Some(now); 2];
            self.refused(charge.cost, said.retry_after_us?, (sent, now));
            return None;
        }
        if let Some(wanted) = charge.lease {
            // An owner that does not know leases, which is deployed later.
            self.gives = said.leased.is_some() || said.remaining <= wanted.get();
        }
        let leased = said.leased?;
        self.found(charge, leased, (sent, now));
        let taken = charge.cost.get().saturating_add(leased.permits);
        let left = if purpose == Purpose::Refill { taken } else { leased.permits };
        let until = sent.plus_micros(leased.for_us);
        NonZeroU32::new(taken).and_then(|of| self.add(Batch { id, left, of, until }, charge, now))
    }

    /// The owner has not answered a charge that was sent at an instant.
    pub fn failed(&mut self, charge: &Charge, (sent, now): (MonotonicInstant, MonotonicInstant)) {
        self.not_asked(charge);
        let pause_us = match self.outage {
            None => 0,
            Some(Outage { since, pause_us }) if sent >= since => (pause_us * 2).clamp(BACKOFF_US_LEAST, BACKOFF_US_MAX),
            // Of several charges that were under way together, one counts.
            Some(_) => return,
        };
        self.outage = Some(Outage { since: now, pause_us });
    }

    /// No answer is to come to a charge: it was not sent, or for another reason.
    pub fn not_asked(&mut self, charge: &Charge) {
        match charge.lease {
            Some(_) => self.asked_at = None,
            None => self.alone_at = None,
        }
    }

    /// Whether a request should ask for [`Self::refill`] after its reply.
    pub fn plans_refill(&mut self, now: MonotonicInstant) -> bool {
        let is_planned = self.planned_at.is_some_and(|at| now.millis_since(at) < LEASE_MS / LOW);
        let plans = !is_planned && self.needs(now).is_some();
        if plans {
            self.planned_at = Some(now);
        }
        plans
    }

    /// How many permits to take for requests to come, if it is time to: the call needs some of it.
    pub fn refill(&mut self, now: MonotonicInstant) -> Option<NonZeroU32> {
        self.planned_at = None;
        let wanted = self.needs(now)?;
        Some(self.ask(wanted, now))
    }

    /// What is not used of batches whose time is over; they are forgotten.
    pub fn take_unused(&mut self, quota: &PolicyName, now: MonotonicInstant) -> [Option<Unused>; 2] {
        let mut take = |place: usize| {
            let over = self.batches[place].take_if(|batch| !batch.is_usable(now));
            over.and_then(|batch| batch.unused(quota))
        };
        [take(0), take(1)]
    }

    /// What is not used of all batches; they are forgotten.
    pub fn give_up(&mut self, quota: &PolicyName) -> [Option<Unused>; 2] {
        let [older, newer] = std::mem::take(&mut self.batches);
        [older, newer].map(|batch| batch.and_then(|batch| batch.unused(quota)))
    }

    /// Whether requests have used it within the lifetime of a batch.
    #[must_use]
    pub fn is_used(&self, now: MonotonicInstant) -> bool {
        self.demand.at(now) > 0
    }

    /// How large a batch has to be: for half of the lifetime, so that the one before is used up long before it ends; while the
    /// demand grows, for twice of what is known of it, and at a sudden start, four times.
    fn ask(&mut self, wanted: NonZeroU32, now: MonotonicInstant) -> NonZeroU32 {
        let (now_wanted, before) = (u64::from(wanted.get()), u64::from(self.asked_with));
        (self.asked_at, self.asked_with) = (Some(now), wanted.get());
        if now_wanted > before * 2 {
            wanted.saturating_mul(TWO).saturating_mul(TWO)
        } else if now_wanted * 4 > before * 5 {
            wanted.saturating_mul(TWO)
        } else {
            wanted.div_ceil(TWO)
        }
    }

    /// What is used in the lifetime of a lease, if few permits are left and its owner may be asked for more.
    fn needs(&self, now: MonotonicInstant) -> Option<NonZeroU32> {
        let is_paused = self.wait_us(NonZeroU32::MAX, now).is_some();
        let may_ask = !is_paused && self.asked_ms(now).is_none() && !self.is_away(now);
        self.wanted(now).filter(|_| may_ask && self.is_low(now))
    }

    /// The permits that can be used now.
    fn left(&self, now: MonotonicInstant) -> u32 {
        let usable = self.batches.iter().flatten().filter(|batch| batch.is_usable(now));
        usable.fold(0, |sum, batch| sum.saturating_add(batch.left))
    }

    /// How many are used in the lifetime of a lease, if it is worth it to take them together.
    fn wanted(&self, now: MonotonicInstant) -> Option<NonZeroU32> {
        let wanted = self.demand.at(now) / MILLI;
        NonZeroU32::new(u32::try_from(wanted).unwrap_or(u32::MAX)).filter(|wanted| *wanted >= WANTED_LEAST)
    }

    /// Whether it is time to ask for more.
    fn is_low(&self, now: MonotonicInstant) -> bool {
        let soon = now.plus_millis(LEASE_MS / LOW);
        let left = self.left(soon);
        self.wanted(now).is_some_and(|wanted| u64::from(left) * LOW < wanted.get().into())
    }

    /// For how long the owner's last refusal still refuses a request. If refusals have followed each other, one request at a time finds
    /// out whether there is something again.
    fn wait_us(&self, cost: NonZeroU32, now: MonotonicInstant) -> Option<u64> {
        let pause = self.pause.filter(|pause| cost >= pause.cost && now < pause.until.plus_micros(BACKOFF_US_MAX))?;
        let is_tried = self.backoff_us > BACKOFF_US_LEAST && self.asked_ms(now).is_some();
        (now < pause.until || is_tried).then(|| pause.until.max(pause.promised).micros_since(now))
    }

    /// For how long a request has been asking for a batch. One that never learns the answer does not keep others from it.
    fn asked_ms(&self, now: MonotonicInstant) -> Option<u64> {
        self.asked_at.map(|at| now.millis_since(at)).filter(|ms| *ms < LEASE_MS)
    }

    /// Whether the owner has failed, and failed again. Then one request after each pause finds out whether it answers.
    fn is_away(&self, now: MonotonicInstant) -> bool {
        let outage = self.outage.filter(|outage| outage.pause_us > 0);
        outage.is_some_and(|outage| now < outage.since.plus_micros(outage.pause_us) || self.asked_ms(now).is_some())
    }

    /// The first refusal ends when the owner has promised. The owner's load is the reason why others end later: of hundreds of isolates
    /// that share what is left, none finds a batch if each asks as soon as one permit is there.
    fn refused(&mut self, cost: NonZeroU32, wait_us: u64, (sent, now): (MonotonicInstant, MonotonicInstant)) {
        let (promised, latest) = (sent.plus_micros(wait_us), sent.plus_millis(LEASE_MS));
        let until = promised.min(latest).max(now.plus_micros(self.backoff_us));
        self.pause_for(Pause { cost, since: now, until, promised }, sent);
    }

    /// A batch was found: as many as were wanted, or fewer, which is a refusal of the others if many share what is left.
    fn found(&mut self, charge: &Charge, leased: Leased, (sent, now): (MonotonicInstant, MonotonicInstant)) {
        let wanted = charge.lease.map_or(0, NonZeroU32::get);
        if leased.permits < wanted / 2 {
            self.short_at = [Some(now), self.short_at[0]];
        }
        if leased.permits >= wanted / 2 {
            self.backoff_us = if self.backoff_us > BACKOFF_US_LEAST { self.backoff_us / 2 } else { 0 };
            self.pause = None;
        } else if leased.is_busy || self.backoff_us > 0 {
            let (before_us, until) = (self.backoff_us, now.plus_micros(self.backoff_us));
            self.pause_for(Pause { cost: NonZeroU32::MIN, since: now, until, promised: until }, sent);
            if !leased.is_busy {
                self.backoff_us = before_us;
            }
        }
    }

    fn pause_for(&mut self, pause: Pause, sent: MonotonicInstant) {
        // Of several answers to charges that were under way together, one counts.
        if self.pause.is_none_or(|pause| sent >= pause.since) {
            self.backoff_us = (self.backoff_us * 2).clamp(BACKOFF_US_LEAST, BACKOFF_US_MAX);
        }
        self.pause = Some(pause);
    }

    fn add(&mut self, batch: Batch, charge: &Charge, now: MonotonicInstant) -> Option<Unused> {
        let [older, newer] = self.batches;
        let is_of_use = |batch: &Batch| batch.left > 0 && batch.is_usable(now);
        let (kept, dropped) = match (older.filter(is_of_use), newer.filter(is_of_use)) {
            (Some(older), Some(newer)) => (Some(newer), Some(older)),
            (Some(kept), None) | (None, Some(kept)) => {
                (Some(kept), older.or(newer).filter(|batch| batch.id != kept.id))
            }
            (None, None) => (None, older.filter(|batch| batch.left > 0).or(newer)),
        };
        self.batches = if kept.is_some() { [kept, Some(batch)] } else { [Some(batch), None] };
        dropped.and_then(|batch| batch.unused(&charge.quota))
    }

    fn verdict(&self, allowed: bool, remaining: u32, wait_us: u64, now: MonotonicInstant) -> Verdict {
        let reset_us = self.available_at.micros_since(now).max(wait_us);
        Verdict {
            allowed,
            remaining,
            reset_us,
            retry_after_us: Some(wait_us),
            wait_us: None,
            leased: None,
            reached: None,
        }
    }
}

impl Outage {
    /// An owner that answers some calls and not others is asked more often by and by.
    fn after_answer(self) -> Option<Self> {
        (self.pause_us > BACKOFF_US_LEAST).then_some(Self { pause_us: self.pause_us / 2, ..self })
    }
}

impl Batch {
    fn is_usable(&self, now: MonotonicInstant) -> bool {
        now < self.until
    }

    fn unused(&self, quota: &PolicyName) -> Option<Unused> {
        let permits = NonZeroU32::new(self.left)?;
        Some(Unused { id: self.id, quota: quota.clone(), permits, of: self.of })
    }
}

impl Demand {
    fn add(&mut self, cost: NonZeroU32, now: MonotonicInstant) {
        let milli = self.at(now) + u64::from(cost.get()) * MILLI;
        *self = Self { milli: milli.min(DEMAND_MILLI_MAX), at: now };
    }

    fn at(&self, now: MonotonicInstant) -> u64 {
        let left_us = (LEASE_MS * MICROS_PER_MS).saturating_sub(now.micros_since(self.at));
        self.milli * left_us / (LEASE_MS * MICROS_PER_MS)
    }
}

const fn numbers(charge: &Charge) -> Numbers {
    (charge.rate, charge.period_ms, charge.burst)
}

/// Below this many requests in the lifetime of a lease, each is a call of its own.
const WANTED_LEAST: NonZeroU32 = NonZeroU32::new(4).expect("it is not 0");

/// A charge of more than one in so many of the whole limit takes nothing ahead: of permits in several places, none would be enough.
const COST_PARTS: u64 = 8;

/// A lease is low when less than one in so many of what is used in its lifetime is left: a quarter of a second, in which an owner
/// on another continent answers.
const LOW: u64 = 4;

/// For how long requests wait for a batch before another one asks: an owner on another continent has answered.
const PATIENCE_MS_LEAST: u64 = 500;

/// The first pause beyond what the owner has promised.
const BACKOFF_US_LEAST: u64 = 8_000;

/// The longest one: shorter than the second that `Retry-After` names at least, so no client is refused that waited as it was told.
const BACKOFF_US_MAX: u64 = 500_000;

const TWO: NonZeroU32 = NonZeroU32::new(2).expect("it is not 0");

const MILLI: u64 = 1_000;

/// No more permits can be asked for. Times the lifetime of a lease in microseconds, it is a number of 64 bits: in wasm, a division of
/// longer ones is a function of some hundred instructions.
const DEMAND_MILLI_MAX: u64 = u32::MAX as u64 * MILLI;
const _: () = assert!(DEMAND_MILLI_MAX.checked_mul(LEASE_MS * MICROS_PER_MS).is_some());

const MICROS_PER_MS: u64 = 1_000;
