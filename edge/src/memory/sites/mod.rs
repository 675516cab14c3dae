//! Many sites that charge one limit at one owner, on a virtual clock: what is admitted, and what that takes.
//!
//! The sites have the leases of production and the code that fills them, the owner has the cell, and the charges are those of
//! the policy. Messages take time, answers are lost, isolates die, the owner is slow, restarts, or cannot be reached, clocks differ, and
//! numbers change. The same settings are the same run on every machine.

mod dice;
mod observed;
#[cfg(test)]
mod tests;
mod waits;
mod world;

use std::num::{NonZeroU8, NonZeroU32};

use tollgate_core::cell::{Algorithm, Charge};
use tollgate_core::kinds::{LimitPolicy, Named};
use tollgate_core::limit::{Consistency, OnUnavailable};
use tollgate_core::time::Timestamp;

pub use waits::Waits;
use world::World;

/// What happens in a run.
#[derive(Clone, Debug)]
pub struct SitesSettings {
    /// The limit.
    pub limit: SimulatedLimit,
    /// Where it is counted.
    pub consistency: Consistency,
    /// What a request does that has no answer of the owner.
    pub on_unavailable: OnUnavailable,
    /// The share of the limit, in percent, that each isolate admits by itself in place of that.
    pub degrade: Option<NonZeroU8>,
    /// How long a request waits for the owner, in milliseconds.
    pub timeout_ms: u32,
    /// The number of isolates, each at a place of its own.
    pub sites: u32,
    /// The requests of all of them in the run.
    pub requests: u32,
    /// For how many milliseconds requests come.
    pub lasts_ms: u32,
    /// How many times as many come in the first 200 ms of every two seconds.
    pub bursts: u32,
    /// For how long a request is handled, in milliseconds: what counts as in flight.
    pub handled_ms: (u32, u32),
    /// What is used of the limit when the run begins.
    pub used: u32,
    /// The shortest and the longest time of a message, one way, in milliseconds.
    pub message_ms: (u32, u32),
    /// How long the owner takes for a call, in microseconds. Calls that would wait for longer than a second are turned away.
    pub call_us: u32,
    /// How many answers are lost, in percent.
    pub lost_percent: u32,
    /// How many isolates die in the run.
    pub deaths: u32,
    /// How often the owner restarts in the run. It is back after 200 ms, with what it had stored.
    pub restarts: u32,
    /// How many of the sites, in percent, cannot reach the owner in the second third of the run.
    pub cut_percent: u32,
    /// The greatest difference between the clock of a site and the owner's, in milliseconds. The owner has a clock of its own if it
    /// is 0, and otherwise that of the site.
    pub skew_ms: u32,
    /// In the middle of the run the limit is lowered by half, and sites read the old numbers for up to so many milliseconds.
    pub stale_ms: Option<u32>,
    /// What the run is drawn from.
    pub seed: u64,
}

impl SitesSettings {
    /// Twenty sites with a leased limit, an owner that answers at once, and nothing that fails.
    #[must_use]
    pub const fn calm(limit: SimulatedLimit) -> Self {
        Self {
            limit,
            consistency: Consistency::Leased,
            on_unavailable: OnUnavailable::Closed,
            degrade: None,
            timeout_ms: 3_000,
            sites: 20,
            requests: 16_000,
            lasts_ms: 4_000,
            bursts: 1,
            handled_ms: (20, 200),
            used: 0,
            message_ms: (1, 60),
            call_us: 0,
            lost_percent: 0,
            deaths: 0,
            restarts: 0,
            cut_percent: 0,
            skew_ms: 0,
            stale_ms: None,
            seed: 1,
        }
    }
}

/// The limit of a run.
#[derive(Clone, Debug)]
pub enum SimulatedLimit {
    /// Each request has this charge.
    Charge(Charge),
    /// As a policy says, at any instant.
    Policy {
        /// The policy.
        limit: Box<Named<LimitPolicy>>,
        /// The plan of the caller.
        plan: Option<String>,
        /// The cost of each request.
        cost: NonZeroU32,
    },
}

/// What has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SitesReport {
    /// The requests.
    pub requests: u64,
    /// Those that passed because the limit has room.
    pub admitted: u64,
    /// Those that would pass if each was decided at once, in one place; of requests in flight, none.
    pub possible: u64,
    /// Those that passed without a call.
    pub without_call: u64,
    /// Those that were refused without a call.
    pub refused_without_call: u64,
    /// Those that were refused although the limit, counted by one who knows everything, had room.
    pub falsely_refused: u64,
    /// Those that got no answer of the owner, and were not admitted.
    pub unanswered: u64,
    /// Those of them that passed all the same, because the limit is open or degrades.
    pub passed_open: u64,
    /// The calls to the owner in each second.
    pub calls: Vec<u64>,
    /// Those that the owner turned away, because it had too many.
    pub turned_away: u64,
    /// How much more was admitted, within any time, than the limit says; of a window, than its number.
    pub overshoot: u64,
    /// How long requests waited: for the owner, and for their turn.
    pub waits: Waits,
}

impl SitesReport {
    /// The calls in the busiest second, but for the first ones, in which the sites learn how many requests they have.
    #[must_use]
    pub fn calls_max(&self, after_s: usize) -> u64 {
        self.calls.iter().skip(after_s).copied().max().unwrap_or(0)
    }
}

/// Runs the sites.
#[must_use]
pub fn run_sites(settings: &SitesSettings) -> SitesReport {
    World::new(settings).run()
}

/// How much more than it says a limit admits at most in such a run: what the compiler states of leases, and what clocks, isolates and
/// owners that fail add to it. What passes because the limit is open while there is no owner is not in it.
#[must_use]
pub fn overshoot_max(settings: &SitesSettings) -> u64 {
    let charge = settings.limit.charge_at(BEGIN);
    let (rate, period_ms) = (u64::from(charge.rate.get()), u64::from(charge.period_ms.get()));
    let burst = u64::from(charge.burst.get());
    let in_ms = |ms: u64| (rate * ms).div_ceil(period_ms);
    let skew_ms = u64::from(settings.skew_ms);
    if settings.consistency == Consistency::Local {
        // Each life of an isolate has the whole limit.
        let begun_anew = (u64::from(settings.sites + settings.deaths) - 1) * burst;
        let flows = matches!(charge.algorithm, None | Some(Algorithm::Spacing));
        let flowed = if flows { u64::from(settings.sites - 1) * in_ms(settings.lasts_ms.into()) } else { 0 };
        return u64::from(settings.used) + begun_anew + flowed;
    }
    let is_leased = settings.consistency == Consistency::Leased && charge.can_be_leased();
    let of_leases = if is_leased { charge.lease_beyond() } else { 0 };
    let of_clocks = match charge.algorithm {
        None | Some(Algorithm::Spacing) => in_ms(skew_ms),
        // The clock that is ahead opens the next window early.
        Some(Algorithm::FixedWindow | Algorithm::SlidingLog) => burst * skew_ms.div_ceil(period_ms),
        Some(Algorithm::SlidingWindow) if skew_ms > 0 => burst * (1 + skew_ms.div_ceil(period_ms)),
        Some(Algorithm::Calendar(_)) if skew_ms > 0 => burst,
        Some(Algorithm::SlidingWindow | Algorithm::Calendar(_) | Algorithm::Concurrency) => 0,
    };
    let is_stored_first = matches!(charge.algorithm, Some(Algorithm::Calendar(_)));
    let of_restarts = if is_stored_first { 0 } else { u64::from(settings.restarts) * burst };
    of_leases + of_clocks + of_restarts
}

impl SimulatedLimit {
    /// The charge of a request at an instant.
    #[must_use]
    pub fn charge_at(&self, now: Timestamp) -> Charge {
        match self {
            Self::Charge(charge) => charge.clone(),
            Self::Policy { limit, plan, cost } => limit.policy.charge(&limit.name, plan.as_deref(), *cost, now),
        }
    }

    /// When a run begins: so that a window ends in the middle of it, if windows are longer than the run.
    pub(super) fn begin(&self, lasts_ms: u32) -> Timestamp {
        let charge = self.charge_at(BEGIN);
        let has_windows = matches!(
            charge.algorithm,
            Some(Algorithm::FixedWindow | Algorithm::SlidingWindow | Algorithm::Calendar(_))
        );
        let (start_us, end_us) = observed::window_of(&charge, BEGIN);
        let lasts_us = u64::from(lasts_ms) * 1_000;
        if has_windows && end_us - start_us > lasts_us { Timestamp::from_micros(end_us - lasts_us / 2) } else { BEGIN }
    }
}

/// The beginning of an hour.
const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// How long the owner keeps calls waiting.
const QUEUE_US: u64 = 1_000_000;

/// For how long an owner that restarts is away.
const AWAY_US: u64 = 200_000;

/// How often the owner stores what it need not store at once.
const STORED_US: u64 = 1_000_000;

/// The time between bursts, and how long each of them is.
const BURSTS_US: (u64, u64) = (2_000_000, 200_000);
