//! The worlds in which limits are simulated, and the results of their runs.

use std::num::NonZeroU32;

use clap::{Args, ValueEnum};
use tollgate_core::cell::{Algorithm, Charge};
use tollgate_core::limit::Consistency;
use tollgate_edge::memory::{SitesReport, SitesSettings, Waits, overshoot_max, run_sites};

use super::limits::{Limit, Mode};
use crate::failure::Failure;

/// How much goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum World {
    /// 5 sites near the owner, half of what the limit gives, no faults.
    Calm,
    /// 20 sites, twice what the limit gives, in bursts.
    Busy,
    /// 100 sites, ten times what the limit gives, and everything that can fail
    /// does.
    Hostile,
}

/// Single numbers of a world.
#[derive(Debug, Args)]
pub(super) struct Changes {
    /// The number of isolates, each at a site of its own.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sites: Option<u32>,
    /// The requests of all sites in a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// For how many seconds requests come (default: by the limit's period)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: Option<u32>,
    /// How many times as many requests come in the first 200 ms of every two
    /// seconds.
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=100))]
    bursts: Option<u32>,
    /// The longest time of a message between a site and the owner, one way, in
    /// milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    distance: Option<u32>,
    /// How long the owner takes for a call, in milliseconds; calls that would
    /// wait for longer than a second are turned away.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    slow_owner: Option<u32>,
    /// How many of its answers are lost.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    lost_answers: Option<u32>,
    /// How many isolates die in the run.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=100_000))]
    deaths: Option<u32>,
    /// How often the owner restarts in the run, with what it has stored.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    restarts: Option<u32>,
    /// How many of the sites cannot reach the owner in the second third of the
    /// run.
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    partition: Option<u32>,
    /// How far clocks differ, in milliseconds: each call counts by the clock of
    /// its site.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(0..=60_000))]
    skew: Option<u32>,
    /// Halve the limit in the middle of the run; sites read the old numbers for
    /// up to so many milliseconds.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(0..=600_000))]
    stale: Option<u32>,
}

/// The numbers of a world.
struct Numbers {
    sites: u32,
    /// The requests, in tenths of what the limit gives in the run.
    tenths: u64,
    bursts: u32,
    distance_ms: u32,
    call_us: u32,
    lost_percent: u32,
    deaths: u32,
    restarts: u32,
    cut_percent: u32,
    skew_ms: u32,
}

impl World {
    const fn numbers(self) -> Numbers {
        let calm = Numbers {
            sites: 5,
            tenths: 5,
            bursts: 1,
            distance_ms: 20,
            call_us: 1_000,
            lost_percent: 0,
            deaths: 0,
            restarts: 0,
            cut_percent: 0,
            skew_ms: 0,
        };
        match self {
            Self::Calm => calm,
            Self::Busy => Numbers { sites: 20, tenths: 20, bursts: 4, distance_ms: 60, ..calm },
            Self::Hostile => Numbers {
                sites: 100,
                tenths: 100,
                bursts: 10,
                distance_ms: 300,
                call_us: 1_000,
                lost_percent: 5,
                deaths: 20,
                restarts: 2,
                cut_percent: 20,
                skew_ms: 200,
            },
        }
    }

    /// The word on the command line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Busy => "busy",
            Self::Hostile => "hostile",
        }
    }
}

/// What happens to a limit in a world.
pub(super) fn settings(world: World, changes: &Changes, limit: &Limit) -> Result<SitesSettings, Failure> {
    let (numbers, charge) = (world.numbers(), limit.charge());
    let seconds = changes.seconds.unwrap_or_else(|| seconds(&charge));
    let handled_ms = handled_ms(&charge);
    let left = u64::from(charge.burst.get()).min(LEFT_OF_QUOTA);
    let given = match charge.algorithm {
        None | Some(Algorithm::Spacing) => {
            u64::from(charge.burst.get())
                + u64::from(charge.rate.get()) * u64::from(seconds) * 1_000 / period_ms(&charge)
        }
        Some(Algorithm::FixedWindow | Algorithm::SlidingWindow | Algorithm::SlidingLog) => {
            let windows = (u64::from(seconds) * 1_000 / period_ms(&charge)).max(1) + 1;
            u64::from(charge.burst.get()) * windows
        }
        // One window ends in the run, and another one begins.
        Some(Algorithm::Calendar(_)) => left * 2,
        Some(Algorithm::Concurrency) => {
            u64::from(charge.burst.get()) * u64::from(seconds) * 2_000 / u64::from(handled_ms.0 + handled_ms.1)
        }
    };
    let wanted = given.saturating_mul(numbers.tenths) / (10 * u64::from(charge.cost.get()));
    let requests = match changes.rate {
        Some(rate) => u64::from(rate) * u64::from(seconds),
        None => wanted.clamp(REQUESTS_LEAST, REQUESTS_DEFAULT_MAX),
    };
    let requests = u32::try_from(requests).map_err(|_| {
        Failure::usage("--rate times --seconds are more than four thousand million requests: fewer show the same")
    })?;
    let used = if matches!(charge.algorithm, Some(Algorithm::Calendar(_))) {
        u64::from(charge.burst.get()).saturating_sub(left)
    } else {
        0
    };
    let distance_ms = changes.distance.unwrap_or(numbers.distance_ms);
    Ok(SitesSettings {
        limit: limit.simulated.clone(),
        consistency: Consistency::Exact,
        on_unavailable: limit.on_unavailable,
        degrade: limit.counting.degrade,
        timeout_ms: limit.counting.timeout_ms.map_or(STORE_TIMEOUT_MS, NonZeroU32::get),
        sites: changes.sites.unwrap_or(numbers.sites),
        requests,
        lasts_ms: seconds * 1_000,
        bursts: changes.bursts.unwrap_or(numbers.bursts),
        handled_ms,
        used: u32::try_from(used).unwrap_or(0),
        message_ms: (1, distance_ms),
        call_us: changes.slow_owner.map_or(numbers.call_us, |ms| ms * 1_000),
        lost_percent: changes.lost_answers.unwrap_or(numbers.lost_percent),
        deaths: changes.deaths.unwrap_or(numbers.deaths),
        restarts: changes.restarts.unwrap_or(numbers.restarts),
        cut_percent: changes.partition.unwrap_or(numbers.cut_percent),
        skew_ms: changes.skew.unwrap_or(numbers.skew_ms),
        stale_ms: changes.stale,
        seed: 0,
    })
}

/// Long enough that the limit is used up and available again, if that takes some minutes at most.
fn seconds(charge: &Charge) -> u32 {
    let whole_s = u32::try_from(charge.window_s()).unwrap_or(u32::MAX);
    match whole_s.saturating_mul(3) {
        seconds if seconds > SECONDS_MAX => SECONDS_OF_LONG,
        seconds => seconds.max(SECONDS_LEAST),
    }
}

/// A request ends before its lease does.
fn handled_ms(charge: &Charge) -> (u32, u32) {
    let (least, most) = HANDLED_MS;
    if charge.ends() { (least.min(charge.period_ms.get()), most.min(charge.period_ms.get())) } else { HANDLED_MS }
}

fn period_ms(charge: &Charge) -> u64 {
    charge.period_ms.get().into()
}

/// A limit in one mode, with all seeds.
pub(super) struct Run {
    pub(super) limit: Limit,
    pub(super) mode: Mode,
    pub(super) settings: SitesSettings,
    reports: Vec<SitesReport>,
}

impl Run {
    pub(super) fn of(limit: Limit, mode: Mode, settings: SitesSettings, seeds: impl Iterator<Item = u64>) -> Self {
        let reports = seeds.map(|seed| run_sites(&SitesSettings { seed, ..settings.clone() })).collect();
        Self { limit, mode, settings, reports }
    }

    pub(super) fn seeds(&self) -> usize {
        self.reports.len()
    }

    /// Whether the project counts the limit like this.
    pub(super) fn is_own(&self) -> bool {
        self.limit.is_own_mode(self.mode)
    }

    /// The sum of a number over all seeds.
    pub(super) fn sum(&self, of: impl Fn(&SitesReport) -> u64) -> u64 {
        self.reports.iter().map(of).sum()
    }

    /// How many of all requests, in a million.
    pub(super) fn per_million(&self, of: impl Fn(&SitesReport) -> u64) -> u64 {
        self.sum(of) * 1_000_000 / self.sum(|report| report.requests).max(1)
    }

    /// How much was admitted of what is possible, in a million.
    pub(super) fn used(&self) -> Option<u64> {
        (self.sum(|report| report.admitted) * 1_000_000).checked_div(self.sum(|report| report.possible))
    }

    /// The worst of all seeds.
    pub(super) fn overshoot(&self) -> u64 {
        self.reports.iter().map(|report| report.overshoot).max().unwrap_or(0)
    }

    pub(super) fn bound(&self) -> u64 {
        overshoot_max(&self.settings)
    }

    /// The calls to the owner in a second: the mean.
    pub(super) fn calls_mean(&self) -> u64 {
        let seconds = u64::from(self.settings.lasts_ms) * self.reports.len() as u64;
        (self.sum(|report| report.calls.iter().sum()) * 1_000).div_ceil(seconds.max(1))
    }

    /// In the busiest second from this one on.
    pub(super) fn calls_max(&self, after_s: usize) -> u64 {
        self.reports.iter().map(|report| report.calls_max(after_s)).max().unwrap_or(0)
    }

    /// How long requests waited for the owner, and for their turn.
    pub(super) fn waits(&self) -> Waits {
        let mut all = Waits::default();
        self.reports.iter().for_each(|report| all.add_all(&report.waits));
        all
    }
}

/// Of a quota, so much is left when the run begins.
const LEFT_OF_QUOTA: u64 = 10_000;

const REQUESTS_LEAST: u64 = 20;
const REQUESTS_DEFAULT_MAX: u64 = 1_000_000;

const SECONDS_LEAST: u32 = 12;
const SECONDS_MAX: u32 = 300;
/// For limits that take longer.
const SECONDS_OF_LONG: u32 = 30;

const HANDLED_MS: (u32, u32) = (20, 200);

/// How long stores are waited for.
const STORE_TIMEOUT_MS: u32 = 3_000;
