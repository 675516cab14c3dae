//! Many sites that charge one limit at one owner, on a virtual clock: what is admitted, and how many calls that takes.
//!
//! The sites have the leases of production, and the owner the cell. Messages take time, answers are lost, isolates die, and
//! clocks differ. The same settings are the same run on every machine.

use std::collections::BinaryHeap;
use std::num::NonZeroU32;

use tollgate_core::cell::{Cell, CellKey, Charge, LEASE_MS, Operation, OperationId, Outcome, Reply, Terms, Verdict};
use tollgate_core::limit::{Consistency, Drawn, Purpose};
use tollgate_core::time::{MonotonicInstant, Timestamp};

use crate::isolate::leases::Leases;
use crate::isolate::shares::Shares;

/// What happens in a run.
#[derive(Clone, Debug)]
pub struct SitesSettings {
    /// The limit, with the cost of each request.
    pub charge: Charge,
    /// Where it is counted.
    pub consistency: Consistency,
    /// The number of isolates, each at a place of its own.
    pub sites: u32,
    /// The requests of all of them in a second.
    pub requests_per_s: u32,
    /// For how many milliseconds requests come.
    pub lasts_ms: u32,
    /// The shortest and the longest time of a message, one way, in milliseconds.
    pub message_ms: (u32, u32),
    /// How many answers are lost, in percent.
    pub lost_percent: u32,
    /// How many isolates die in a second.
    pub deaths_per_s: u32,
    /// The greatest difference between the clock of a site and the owner's, in milliseconds. The owner has a clock of its own if it
    /// is 0, and otherwise that of the site.
    pub skew_ms: u32,
    /// What the run is drawn from.
    pub seed: u64,
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SitesReport {
    /// The requests.
    pub requests: u64,
    /// Those that passed.
    pub admitted: u64,
    /// Those that passed without a call.
    pub without_call: u64,
    /// Those that an isolate refused without a call.
    pub refused_without_call: u64,
    /// Those that were refused although the limit, counted by one who knows everything, had room.
    pub falsely_refused: u64,
    /// Those that got no answer of the owner, and passed neither.
    pub unanswered: u64,
    /// The calls to the owner in each second.
    pub calls: Vec<u64>,
    /// How much more was admitted, within any time, than the limit says; of a window, than its number.
    pub overshoot: u64,
    /// The longest time that an answered request waited for the owner, in microseconds.
    pub waited_us: u64,
}

impl SitesReport {
    /// The calls in the busiest second, but for the first ones, in which the sites learn how many requests they have.
    #[must_use]
    pub fn calls_max(&self, after_s: usize) -> u64 {
        self.calls.iter().skip(after_s).copied().max().unwrap_or(0)
    }
}

/// How much more than it says a limit admits at most, with leases.
#[must_use]
pub fn overshoot_max(settings: &SitesSettings) -> u64 {
    let SitesSettings { charge, .. } = settings;
    if charge.algorithm.is_some() {
        return 0;
    }
    let late_ms = LEASE_MS + u64::from(settings.skew_ms);
    u64::from(charge.rate.get()) * late_ms / u64::from(charge.period_ms.get()) + 1
}

/// Runs the sites.
#[must_use]
pub fn run_sites(settings: &SitesSettings) -> SitesReport {
    let mut world = World::new(settings);
    for site in 0..settings.sites as usize {
        let first = world.dice.below(world.pause_us());
        world.at(first, Event::Request(site));
    }
    if let Some(pause_us) = US_PER_S.checked_div(settings.deaths_per_s.into()) {
        world.at(pause_us, Event::Death(pause_us));
    }
    while let Some(Due { at_us, event, .. }) = world.queue.pop() {
        world.now_us = at_us;
        world.happen(event);
    }
    world.report
}

struct World<'s> {
    settings: &'s SitesSettings,
    dice: Dice,
    now_us: u64,
    queue: BinaryHeap<Due>,
    happened: u64,
    sites: Vec<Site>,
    cell: CellKey,
    owner: Cell,
    /// One who knows everything: the limit as it would be if all requests were counted in one place.
    reference: Observed,
    report: SitesReport,
    updates: u64,
}

#[derive(Default)]
struct Site {
    leases: Leases,
    local: Shares,
    /// How far its clock is ahead.
    skew_us: u64,
    /// Isolates that have died here: an answer to one of them is lost.
    lives: u32,
}

#[derive(Debug)]
enum Event {
    Request(usize),
    Asked(Box<Call>),
    Answered(Box<Call>, Option<Outcome>),
    Death(u64),
}

#[derive(Debug)]
struct Call {
    site: usize,
    life: u32,
    terms: Terms,
    operation: Operation,
    purpose: Purpose,
    sent_us: u64,
}

/// An event and its time; of those at one time, the one that was planned first.
#[derive(Debug)]
struct Due {
    at_us: u64,
    number: u64,
    event: Event,
}

impl World<'_> {
    fn new(settings: &SitesSettings) -> World<'_> {
        let mut dice = Dice(settings.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let site =
            |dice: &mut Dice| Site { skew_us: dice.below(u64::from(settings.skew_ms) * 1_000 + 1), ..Site::default() };
        let sites = (0..settings.sites).map(|_| site(&mut dice)).collect();
        World {
            settings,
            dice,
            now_us: 0,
            queue: BinaryHeap::new(),
            happened: 0,
            sites,
            cell: CellKey::new("partition"),
            owner: Cell::default(),
            reference: Observed::default(),
            report: SitesReport::default(),
            updates: 0,
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request(site) => {
                self.request(site);
                let next_us = self.now_us + self.dice.below(2 * self.pause_us()) + 1;
                if next_us < u64::from(self.settings.lasts_ms) * 1_000 {
                    self.at(next_us, Event::Request(site));
                }
            }
            Event::Asked(call) => self.ask_owner(call),
            Event::Answered(call, outcome) => self.answered(&call, outcome.as_ref()),
            Event::Death(pause_us) => {
                let place = self.dice.below(self.sites.len() as u64) as usize;
                let Site { lives, skew_us, .. } = self.sites[place];
                self.sites[place] = Site { lives: lives + 1, skew_us, ..Site::default() };
                if self.now_us + pause_us < u64::from(self.settings.lasts_ms) * 1_000 {
                    self.at(self.now_us + pause_us, Event::Death(pause_us));
                }
            }
        }
    }

    fn request(&mut self, site: usize) {
        self.report.requests += 1;
        let (now, charge) = (self.instant(), self.settings.charge.clone());
        match self.settings.consistency {
            Consistency::Leased if !charge.can_be_leased() => {
                self.call(site, Operation::Charge(charge), Purpose::Request);
            }
            Consistency::Exact => self.call(site, Operation::Charge(charge), Purpose::Request),
            Consistency::Local => {
                let id = self.id();
                let (cell, wall) = (self.cell.clone(), self.wall(0));
                let local = &mut self.sites[site].local;
                let said = local.count((&cell, id), &charge, wall);
                local.settle(&cell, id, said.allowed, wall);
                self.decided(said.allowed, true);
            }
            Consistency::Leased => match self.sites[site].leases.draw(&self.cell, &charge, now) {
                Drawn::Taken { is_low, .. } => {
                    self.decided(true, true);
                    self.upkeep(site, is_low);
                }
                Drawn::Refused(_) => self.decided(false, true),
                Drawn::Ask(lease) => self.call(site, Operation::Charge(Charge { lease, ..charge }), Purpose::Request),
            },
        }
    }

    /// What a request does after its reply.
    fn upkeep(&mut self, site: usize, is_low: bool) {
        let (now, charge) = (self.instant(), self.settings.charge.clone());
        let leases = &mut self.sites[site].leases;
        let wanted = if is_low { leases.refill(&self.cell, &charge, now) } else { None };
        let unused = leases.take_unused(now);
        if let Some(wanted) = wanted {
            let lease = NonZeroU32::new(wanted.get() - 1);
            let refill = Charge { cost: NonZeroU32::MIN, lease, ..charge };
            self.call(site, Operation::Charge(refill), Purpose::Refill);
        }
        if let Some((_, unused)) = unused {
            self.call(site, Operation::GiveBack(unused), Purpose::Refill);
        }
    }

    fn call(&mut self, site: usize, operation: Operation, purpose: Purpose) {
        let second = usize::try_from(self.now_us / US_PER_S).unwrap_or(0);
        if self.report.calls.len() <= second {
            self.report.calls.resize(second + 1, 0);
        }
        self.report.calls[second] += 1;
        let terms = Terms { id: self.id(), hold_ms: None, refund_ms: None };
        let (life, sent_us) = (self.sites[site].lives, self.now_us);
        let arrives_us = self.now_us + self.message_us();
        self.at(arrives_us, Event::Asked(Box::new(Call { site, life, terms, operation, purpose, sent_us })));
    }

    fn ask_owner(&mut self, call: Box<Call>) {
        let wall = self.wall(self.sites[call.site].skew_us);
        let outcome = self.owner.update(call.terms, std::slice::from_ref(&call.operation), wall).ok();
        let is_lost = self.dice.below(100) < self.settings.lost_percent.into();
        // An answered request counts when its owner has decided.
        if let Some(outcome) =
            outcome.as_ref().map(|(outcome, _)| outcome).filter(|_| !is_lost && call.purpose == Purpose::Request)
        {
            self.decided(outcome.granted, false);
        }
        let (outcome, after_us) =
            if is_lost { (None, TIMEOUT_US) } else { (outcome.map(|(outcome, _)| outcome), self.message_us()) };
        self.at(self.now_us + after_us, Event::Answered(call, outcome));
    }

    fn answered(&mut self, call: &Call, outcome: Option<&Outcome>) {
        let Operation::Charge(charge) = &call.operation else { return };
        let is_request = call.purpose == Purpose::Request;
        let said = outcome.and_then(|outcome| match outcome.replies.first() {
            Some(Reply::Charged(said)) => Some(said),
            _ => None,
        });
        self.learn(call, charge, said);
        match said {
            Some(said) if is_request => {
                self.report.waited_us = self.report.waited_us.max(self.now_us - call.sent_us);
                if said.allowed && self.settings.consistency == Consistency::Leased {
                    self.upkeep(call.site, false);
                }
            }
            None if is_request => self.report.unanswered += 1,
            Some(_) | None => {}
        }
    }

    fn learn(&mut self, call: &Call, charge: &Charge, said: Option<&Verdict>) {
        let times = (MonotonicInstant::from_micros(call.sent_us), self.instant());
        let site = &mut self.sites[call.site];
        // Of an isolate that has died, nobody is left to learn it.
        if site.lives != call.life {
            return;
        }
        match said {
            Some(said) => site.leases.answered(&self.cell, charge, said, (call.terms.id, call.purpose), times),
            None => site.leases.failed(&self.cell, charge),
        }
    }

    fn decided(&mut self, is_admitted: bool, is_without_call: bool) {
        let charge = &self.settings.charge;
        if is_admitted {
            self.report.admitted += 1;
            self.report.without_call += u64::from(is_without_call);
            let overshoot = self.reference.admit(charge, self.now_us);
            self.report.overshoot = self.report.overshoot.max(overshoot);
        } else {
            self.report.refused_without_call += u64::from(is_without_call);
            self.report.falsely_refused += u64::from(self.reference.has_room(charge, self.now_us));
        }
    }

    fn at(&mut self, at_us: u64, event: Event) {
        self.happened += 1;
        self.queue.push(Due { at_us, number: self.happened, event });
    }

    fn id(&mut self) -> OperationId {
        self.updates += 1;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.updates.to_le_bytes());
        OperationId::new(bytes)
    }

    /// The mean time between two requests of a site.
    fn pause_us(&self) -> u64 {
        (US_PER_S * u64::from(self.settings.sites) / u64::from(self.settings.requests_per_s.max(1))).max(1)
    }

    fn message_us(&mut self) -> u64 {
        let (least, most) = self.settings.message_ms;
        u64::from(least) * 1_000 + self.dice.below(u64::from(most.saturating_sub(least)) * 1_000 + 1)
    }

    const fn instant(&self) -> MonotonicInstant {
        MonotonicInstant::from_micros(self.now_us)
    }

    const fn wall(&self, skew_us: u64) -> Timestamp {
        START.plus_micros(self.now_us + skew_us)
    }
}

/// What was admitted, as the limit describes it.
#[derive(Debug, Default)]
struct Observed {
    /// Of a limit without windows: when everything would be available again, in nanoseconds.
    full_at_ns: u64,
    /// Of a window: when it began, and what it has admitted.
    window: (u64, u64),
}

impl Observed {
    /// Returns by how much the limit is exceeded now.
    fn admit(&mut self, charge: &Charge, now_us: u64) -> u64 {
        if charge.algorithm.is_some() {
            let start = Self::window_of(charge, now_us);
            let used = if self.window.0 == start { self.window.1 } else { 0 } + u64::from(charge.cost.get());
            self.window = (start, used);
            return used.saturating_sub(charge.burst.get().into());
        }
        self.full_at_ns = self.full_at_ns.max(now_us * 1_000) + Self::ns(charge, charge.cost);
        let ahead_ns = self.full_at_ns - now_us * 1_000;
        ahead_ns.saturating_sub(Self::ns(charge, charge.burst)).div_ceil(Self::ns(charge, NonZeroU32::MIN))
    }

    fn has_room(&self, charge: &Charge, now_us: u64) -> bool {
        if charge.algorithm.is_some() {
            let used = if self.window.0 == Self::window_of(charge, now_us) { self.window.1 } else { 0 };
            return used + u64::from(charge.cost.get()) <= charge.burst.get().into();
        }
        let ahead_ns = self.full_at_ns.saturating_sub(now_us * 1_000);
        ahead_ns + Self::ns(charge, charge.cost) <= Self::ns(charge, charge.burst)
    }

    fn window_of(charge: &Charge, now_us: u64) -> u64 {
        START.plus_micros(now_us).as_micros() / (u64::from(charge.period_ms.get()) * 1_000)
    }

    fn ns(charge: &Charge, cost: NonZeroU32) -> u64 {
        u64::from(cost.get()) * u64::from(charge.period_ms.get()) * 1_000_000 / u64::from(charge.rate.get())
    }
}

/// Numbers that look random.
#[derive(Clone, Debug)]
struct Dice(u64);

impl Dice {
    /// One below a bound, or 0.
    fn below(&mut self, bound: u64) -> u64 {
        // Xorshift (Marsaglia 2003).
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11).checked_rem(bound).unwrap_or(0)
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    /// The earliest is the greatest, which a heap gives out first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at_us, other.number).cmp(&(self.at_us, self.number))
    }
}

const US_PER_S: u64 = 1_000_000;

/// As long as stores are waited for.
const TIMEOUT_US: u64 = 3 * US_PER_S;

/// The beginning of an hour.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

#[cfg(test)]
mod tests {
    use tollgate_core::cell::Algorithm;

    use super::*;

    fn n(value: u32) -> NonZeroU32 {
        NonZeroU32::new(value).unwrap()
    }

    fn limit(rate: u32, burst: u32, algorithm: Option<Algorithm>) -> Charge {
        let (period_ms, cost) = (n(1_000), n(1));
        Charge {
            quota: "p".into(),
            rate: n(rate),
            period_ms,
            burst: n(burst),
            cost,
            algorithm,
            lease: None,
            tells: None,
        }
    }

    fn settings(charge: Charge) -> SitesSettings {
        SitesSettings {
            charge,
            consistency: Consistency::Leased,
            sites: 20,
            requests_per_s: 4_000,
            lasts_ms: 8_000,
            message_ms: (1, 60),
            lost_percent: 0,
            deaths_per_s: 0,
            skew_ms: 0,
            seed: 1,
        }
    }

    #[track_caller]
    fn run(settings: &SitesSettings) -> SitesReport {
        let report = run_sites(settings);
        let most = overshoot_max(settings);
        assert!(report.overshoot <= most, "more than {most} beyond the limit: {report:?} of {settings:?}");
        report
    }

    #[test]
    fn a_hot_partition_of_300_sites_takes_fewer_than_a_thousand_calls_a_second() {
        // All pass, half of them, a hundredth of them; which part of what the limit gives is used.
        for (rate, percent) in [(200_000, 100), (50_000, 90), (1_000, 95)] {
            let charge = limit(rate, rate, None);
            let hot = SitesSettings { sites: 300, requests_per_s: 100_000, ..settings(charge) };
            let report = run(&hot);
            println!("{rate}/s: {report:?}");
            assert!(report.calls_max(2) < 1_000, "{rate}: {:?}", report.calls);
            let given = u64::from(rate) * 9;
            assert!(report.admitted * 100 >= report.requests.min(given) * percent, "{rate}: {report:?}");
        }
    }

    #[test]
    fn no_more_than_the_bound_passes_whatever_fails() {
        let algorithms = [None, Some(Algorithm::FixedWindow), Some(Algorithm::SlidingWindow)];
        let mut worst = 0;
        for seed in 0..120 {
            let mut dice = Dice(seed * 2 + 1);
            for _ in 0..20 {
                dice.below(1);
            }
            let mut of =
                |least: u32, most: u32| least + u32::try_from(dice.below(u64::from(most - least + 1))).unwrap();
            let (rate, algorithm) = (of(60, 1_500), algorithms[of(0, 2) as usize]);
            let burst = if algorithm.is_none() { of(50, 3_000) } else { rate };
            let stormy = SitesSettings {
                sites: of(1, 25),
                requests_per_s: of(50, 6_000),
                lasts_ms: 3_500,
                message_ms: (of(0, 20), of(20, 400)),
                lost_percent: of(0, 30),
                deaths_per_s: of(0, 20),
                skew_ms: if algorithm.is_none() { of(0, 1) * of(0, 3_000) } else { 0 },
                seed: seed + 1,
                ..settings(limit(rate, burst, algorithm))
            };
            worst = worst.max(run(&stormy).overshoot);
        }
        assert!(worst > 0, "a test that never comes near the bound proves little");
    }

    #[test]
    fn small_limits_are_exact_and_refuse_nobody_early() {
        let minute = Charge { period_ms: n(60_000), ..limit(10, 10, None) };
        let small = SitesSettings { sites: 5, requests_per_s: 20, lasts_ms: 60_000, ..settings(minute) };
        let report = run(&small);
        assert_eq!((report.falsely_refused, report.without_call, report.overshoot), (0, 0, 0), "{report:?}");
        assert!((19..=21).contains(&report.admitted), "{report:?}");
    }

    #[test]
    fn without_contention_nothing_is_refused_and_most_requests_need_no_call() {
        let report = run(&settings(limit(8_000, 8_000, None)));
        assert_eq!((report.admitted, report.falsely_refused), (report.requests, 0));
        assert!(report.without_call * 100 > report.requests * 95, "{report:?}");
        let quiet = run(&SitesSettings { requests_per_s: 40, ..settings(limit(100, 100, None)) });
        assert_eq!(quiet.falsely_refused, 0, "{quiet:?}");
    }

    #[test]
    fn exact_limits_have_a_call_for_each_request_and_local_ones_none() {
        let charge = limit(1_000, 1_000, None);
        let exact = run(&SitesSettings { consistency: Consistency::Exact, ..settings(charge.clone()) });
        assert_eq!((exact.calls.iter().sum::<u64>(), exact.overshoot, exact.falsely_refused), (exact.requests, 0, 0));
        let local = run_sites(&SitesSettings { consistency: Consistency::Local, ..settings(charge) });
        assert_eq!((local.calls.iter().sum::<u64>(), local.without_call), (0, local.admitted));
        assert!(local.overshoot > 1_000, "{local:?}");
    }

    #[test]
    fn the_same_seed_is_the_same_run() {
        let stormy = SitesSettings { lost_percent: 10, deaths_per_s: 5, ..settings(limit(1_000, 1_000, None)) };
        assert_eq!(run_sites(&stormy), run_sites(&stormy));
        assert_ne!(run_sites(&stormy), run_sites(&SitesSettings { seed: 2, ..stormy }));
    }
}
