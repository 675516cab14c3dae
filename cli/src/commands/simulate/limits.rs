//! The limits of a project, as they are simulated.

use std::fmt;
use std::num::NonZeroU32;

use clap::ValueEnum;
use tollgate_config::Compiled;
use tollgate_core::cell::{Algorithm, Charge, ENTRIES_MAX};
use tollgate_core::limit::{Consistency, Cost, Counting, OnUnavailable};
use tollgate_core::time::Timestamp;
use tollgate_edge::memory::SimulatedLimit;

use super::LimitsArgs;
use crate::failure::Failure;

/// Where a limit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mode {
    /// Each request at the owner of its counter.
    Exact,
    /// From permits that isolates take ahead.
    Leased,
    /// In each isolate by itself.
    Local,
}

/// A limit of a project, with the numbers of a plan, or another way to count them.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    pub(super) name: String,
    pub(super) plan: Option<String>,
    pub(super) counting: Counting,
    pub(super) on_unavailable: OnUnavailable,
    pub(super) simulated: SimulatedLimit,
    /// Whether it counts as the project says.
    pub(super) is_own: bool,
}

/// The limits with these names, or all of them.
pub(super) fn chosen(compiled: &Compiled, args: &LimitsArgs) -> Result<Vec<Limit>, Failure> {
    let (names, plan) = (&args.limit, args.plan.as_deref());
    let own_cost = args.cost.and_then(NonZeroU32::new);
    let all = &compiled.policies().limit;
    if all.is_empty() {
        return Err(Failure::problem("the project has no limits: docs/policies/rate-limit.md describes them"));
    }
    if let Some(name) = names.iter().find(|name| all.iter().all(|limit| limit.name.as_str() != **name)) {
        let known: Vec<&str> = all.iter().map(|limit| limit.name.as_str()).collect();
        return Err(Failure::usage(format!("there is no limit `{name}`; there are {}", known.join(", "))));
    }
    if let Some(plan) = plan.filter(|plan| compiled.plans().all(|known| known != *plan)) {
        let known: Vec<&str> = compiled.plans().collect();
        let known = if known.is_empty() {
            "the project has none".to_owned()
        } else {
            format!("there are {}", known.join(", "))
        };
        return Err(Failure::usage(format!("there is no plan `{plan}`; {known}")));
    }
    let is_chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    let chosen = all.iter().filter(|limit| is_chosen(limit.name.as_str())).map(|limit| Limit {
        name: limit.name.as_str().to_owned(),
        plan: plan.map(str::to_owned),
        counting: limit.policy.counting().clone(),
        on_unavailable: limit.policy.on_unavailable(),
        simulated: SimulatedLimit::Policy {
            limit: Box::new(limit.clone()),
            plan: plan.map(str::to_owned),
            cost: own_cost.unwrap_or_else(|| reserved(limit.policy.counting())),
        },
        is_own: true,
    });
    let chosen: Vec<Limit> = chosen.collect();
    match chosen.iter().map(|limit| (limit, limit.charge())).find(|(_, charge)| charge.cost > charge.burst) {
        None => Ok(chosen),
        Some((limit, charge)) => Err(Failure::usage(format!(
            "no request with a cost of {} passes: `{}` admits {} at once; choose a --limit or a lower --cost",
            charge.cost, limit.name, charge.burst
        ))),
    }
}

/// What a request is charged before its cost is known, if the limit reads costs.
fn reserved(counting: &Counting) -> NonZeroU32 {
    counting.cost.as_ref().map_or(NonZeroU32::MIN, |cost| cost.reserve)
}

impl Limit {
    /// What its requests cost in production, if that is read of them: they are simulated with its reserve.
    pub(super) fn cost(&self) -> Option<&Cost> {
        self.counting.cost.as_deref()
    }

    /// The charge of a request; of windows of a calendar, some that are long past.
    pub(super) fn charge(&self) -> Charge {
        self.simulated.charge_at(Timestamp::EPOCH)
    }

    /// Where it is simulated: as the project says, and elsewhere. Permits of a small limit are not taken ahead: it is exact.
    pub(super) fn modes(&self, wanted: &[Mode]) -> Vec<Mode> {
        let can_be_leased = self.charge().can_be_leased();
        let all = [Mode::Exact, Mode::Leased, Mode::Local];
        let is_wanted = |mode: &Mode| wanted.is_empty() || wanted.contains(mode);
        let modes = all.into_iter().filter(is_wanted);
        let mut modes: Vec<Mode> =
            modes.map(|mode| if mode == Mode::Leased && !can_be_leased { Mode::Exact } else { mode }).collect();
        modes.dedup();
        modes
    }

    /// Whether the project counts it there.
    pub(super) fn is_own_mode(&self, mode: Mode) -> bool {
        let own = match self.counting.consistency {
            Consistency::Leased if !self.charge().can_be_leased() => Consistency::Exact,
            own => own,
        };
        self.is_own && own == mode.into()
    }

    /// It, and the same numbers counted by the other algorithms of rate limits.
    pub(super) fn with_others(self) -> Vec<Self> {
        let charge = self.charge();
        if matches!(charge.algorithm, Some(Algorithm::Calendar(_) | Algorithm::Concurrency)) {
            return vec![self];
        }
        let others = RATE_ALGORITHMS.into_iter().filter(|algorithm| *algorithm != charge.algorithm);
        let fits = |algorithm: &Option<Algorithm>| {
            *algorithm != Some(Algorithm::SlidingLog) || charge.rate.get() as usize <= ENTRIES_MAX
        };
        let others = others.filter(fits).map(|algorithm| {
            // Windows have the number of the rate.
            let burst = if matches!(algorithm, None | Some(Algorithm::Spacing)) { charge.burst } else { charge.rate };
            let simulated = SimulatedLimit::Charge(Charge { algorithm, burst, ..charge.clone() });
            Self { simulated, is_own: false, ..self.clone() }
        });
        let others: Vec<Self> = others.collect();
        std::iter::once(self).chain(others).collect()
    }

    /// The word for how it counts.
    pub(super) fn algorithm(&self) -> &'static str {
        match self.charge().algorithm {
            None => "gcra",
            Some(Algorithm::Spacing) => "spacing",
            Some(Algorithm::FixedWindow) => "fixed-window",
            Some(Algorithm::SlidingWindow) => "sliding-window",
            Some(Algorithm::SlidingLog) => "sliding-log",
            Some(Algorithm::Calendar(_)) => "calendar",
            Some(Algorithm::Concurrency) => "concurrency",
        }
    }

    /// Its numbers, as they are written in a project.
    pub(super) fn numbers(&self) -> String {
        self.numbers_by(|number| number.to_string())
    }

    /// The same, with its numbers in another form.
    pub(super) fn numbers_by(&self, form: impl Fn(u32) -> String) -> String {
        let charge = self.charge();
        let burst = form(charge.burst.get());
        let rate = format!("{}/{}", form(charge.rate.get()), period(charge.period_ms.get()));
        match charge.algorithm {
            Some(Algorithm::Calendar(_)) => format!("{burst} a window"),
            Some(Algorithm::Concurrency) => format!("{burst} at once"),
            None | Some(Algorithm::Spacing) if charge.burst != charge.rate => format!("{rate}, burst {burst}"),
            _ => rate,
        }
    }
}

fn period(ms: u32) -> String {
    match ms {
        1_000 => "s".to_owned(),
        60_000 => "min".to_owned(),
        3_600_000 => "h".to_owned(),
        86_400_000 => "d".to_owned(),
        ms if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

impl Mode {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Leased => "leased",
            Self::Local => "local",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl From<Mode> for Consistency {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Exact => Self::Exact,
            Mode::Leased => Self::Leased,
            Mode::Local => Self::Local,
        }
    }
}

const RATE_ALGORITHMS: [Option<Algorithm>; 5] = [
    None,
    Some(Algorithm::SlidingWindow),
    Some(Algorithm::SlidingLog),
    Some(Algorithm::FixedWindow),
    Some(Algorithm::Spacing),
];
