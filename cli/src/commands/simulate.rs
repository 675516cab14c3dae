//! `tollgate simulate`: how the limits of a project behave at many sites.

mod chart;
mod limits;
mod table;
mod world;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tollgate_core::limit::Consistency;
use tollgate_edge::memory::SitesSettings;

use super::usage::Form;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::terminal::{self, Progress};
use limits::{Limit, Mode};
use world::{Run, World};

/// Simulate how a project behaves at many sites.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate simulate limits
  tollgate simulate limits shop --world hostile --chart limits.svg")]
pub(crate) struct SimulateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Limits(Box<LimitsArgs>),
}

/// Simulate the limits of a project: what passes, what is refused, and what that takes.
///
/// Many isolates, each at a site of its own, charge one partition of a limit
/// at the owner of its counter, on a virtual clock: with the code of the
/// gateway, and the numbers of the project. Each limit is simulated with its own
/// `consistency` (marked *), and with the others. The same seeds give the same
/// numbers on every machine.
///
/// OVERSHOOT is how much more passed, within any time, than the limit says; in
/// windows, than their number. BOUND is the most that it may be. FALSELY REFUSED
/// counts requests that were refused although the whole limit, counted by one who
/// knows everything, had room. The command fails if a bound is exceeded.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate simulate limits
  tollgate simulate limits shop --limit burst --plan gold
  tollgate simulate limits shop --limit burst --sites 300 --rate 100000 --seconds 8
  tollgate simulate limits shop --world hostile --seeds 20 --output json
  tollgate simulate limits shop --mode leased --slow-owner 20 --partition 30
  tollgate simulate limits shop --algorithms --chart limits.svg
  tollgate simulate limits shop --limit burst --cost 10
  tollgate simulate limits shop --output csv > limits.csv

docs/simulation.md describes the worlds, and what the numbers mean.")]
struct LimitsArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// Only this limit; repeatable (default: all limits of the project)
    #[arg(long, value_name = "NAME")]
    limit: Vec<String>,
    /// With the numbers of this plan (default: the policy's own)
    #[arg(long, value_name = "NAME")]
    plan: Option<String>,
    /// What each request costs (default: 1; of a limit that reads costs, its reserve)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    cost: Option<u32>,
    /// Only this consistency; repeatable (default: all three)
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Vec<Mode>,
    /// Also with the other algorithms of rate limits.
    #[arg(long)]
    algorithms: bool,
    /// How much goes wrong; the options below change single numbers of it.
    #[arg(long, value_enum, default_value_t = World::Busy)]
    world: World,
    #[command(flatten)]
    changes: world::Changes,
    /// The first seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many seeds; the table has the worst overshoot and the sums of all.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    seeds: u32,
    /// Also write a chart to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    chart: Option<PathBuf>,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

pub(crate) fn run(args: &SimulateArgs) -> Result<(), Failure> {
    let What::Limits(args) = &args.what;
    let project = Project::at(&args.project).in_environment(&args.env);
    let compiled = project.compiled()?;
    let limits = limits::chosen(&compiled, args)?;
    let limits: Vec<Limit> =
        limits.into_iter().flat_map(|limit| if args.algorithms { limit.with_others() } else { vec![limit] }).collect();
    let mut planned = Vec::new();
    for limit in limits {
        let settings = world::settings(args.world, &args.changes, &limit)?;
        planned.push((limit, settings));
    }
    refuse_too_much(args, &planned)?;
    let runs = {
        let _progress = Progress::of("simulating");
        simulate(args, &planned)
    };
    if let Some(file) = &args.chart {
        let drawn = chart::draw(compiled.gateway(), args.world, &runs);
        std::fs::write(file, drawn).map_err(|error| Failure::problem(format!("{}: {error}", file.display())))?;
        terminal::note(&format!("the chart is in {}", file.display()));
    }
    terminal::print(&match args.output {
        Form::Text => table::text(args.world, &runs),
        Form::Json => format!("{:#}\n", table::json(args.world, &runs)),
        Form::Csv => table::csv(&runs),
    });
    match runs.iter().find(|run| run.overshoot() > run.bound()) {
        None => Ok(()),
        Some(run) => Err(Failure::problem(format!(
            "the limit `{}` with {} and {} has admitted {} more than it says, of {} at most",
            run.limit.name,
            run.limit.algorithm(),
            run.mode,
            run.overshoot(),
            run.bound()
        ))),
    }
}

fn simulate(args: &LimitsArgs, planned: &[(Limit, SitesSettings)]) -> Vec<Run> {
    let mut runs = Vec::new();
    for (limit, settings) in planned {
        for mode in limit.modes(&args.mode) {
            let settings = SitesSettings { consistency: Consistency::from(mode), ..settings.clone() };
            let seeds = (0..u64::from(args.seeds)).map(|step| args.seed.wrapping_add(step));
            runs.push(Run::of(limit.clone(), mode, settings, seeds));
        }
    }
    runs
}

/// A run takes about two microseconds for each request, and each isolate some memory.
fn refuse_too_much(args: &LimitsArgs, planned: &[(Limit, SitesSettings)]) -> Result<(), Failure> {
    let requests: u64 = planned
        .iter()
        .map(|(limit, settings)| u64::from(settings.requests) * limit.modes(&args.mode).len() as u64)
        .sum();
    let requests = requests.saturating_mul(args.seeds.into());
    if requests <= REQUESTS_MAX {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "these are {requests} requests in all, more than {REQUESTS_MAX}: choose a --limit or a --mode, or fewer --seeds, --seconds, or a lower --rate"
    )))
}

/// Some minutes.
const REQUESTS_MAX: u64 = 100_000_000;
