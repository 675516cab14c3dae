//! `tollgate cost`: the maximum work that a request can cause on each route, and the price of a million requests.

mod table;

use std::path::PathBuf;

use clap::Args;
use tollgate_analysis::bounds::{Estimate, Mix, Platform, RequestOutcome, RouteBounds, State, Usage, count};
use tollgate_config::prices::{BUILT_IN, Prices, TargetPrices};
use tollgate_config::{Compiled, CompiledRoute, Target};

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Place, Project};
use crate::terminal;

/// Show the maximum work that a request can cause on each route, and the price of a million requests.
///
/// The first table is the worst case: a request that reaches a cold isolate, and takes the most expensive path. The
/// second is the typical case: configuration, credential and secrets are in memory. Prices come from prices.yaml in the
/// project, or from a dated built-in list.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate cost
  tollgate cost shop --target workers-free
  tollgate cost shop --hit-ratio 80%
  tollgate cost --print-prices > prices.yaml
  tollgate cost shop --output json | jq '.[].routes[].typical.per_million'

docs/bounds.md describes how the numbers are computed.")]
pub(crate) struct CostArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// The platform; repeatable (default: the platforms of `gateway.target`, or workers-paid)
    #[arg(long, value_name = "TARGET")]
    target: Vec<Target>,
    /// A price list, instead of the project's.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// The share of requests to cached routes that are answered from the cache, such as 80% or 0.8.
    #[arg(long, value_name = "RATIO", value_parser = ratio, default_value = "0%")]
    hit_ratio: u32,
    /// Print the built-in price list, for editing.
    #[arg(long)]
    print_prices: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// A gateway's costs on one platform.
struct Costs<'c> {
    target: Target,
    prices: &'c Prices,
    of_target: TargetPrices,
    hits: u32,
    routes: Vec<RouteCosts<'c>>,
}

struct RouteCosts<'c> {
    route: &'c CompiledRoute,
    worst: Case,
    typical: Case,
}

/// The usage and price of a request to a route in one of the two cases.
struct Case {
    usage: Usage,
    estimate: Estimate,
}

pub(crate) fn run(args: &CostArgs) -> Result<(), Failure> {
    if args.print_prices {
        terminal::print(BUILT_IN);
        return Ok(());
    }
    let project = Project::at(&args.project).in_environment(&args.env);
    let compiled = project.compiled()?;
    let prices = prices(args, &project)?;
    let bounds = count(&compiled);
    let costs: Vec<Costs<'_>> =
        targets(args, &compiled).into_iter().map(|target| costs(&compiled, &bounds, &prices, target, args)).collect();
    terminal::print(&match args.output {
        Output::Text => costs.iter().map(table::text).collect::<Vec<_>>().join("\n"),
        Output::Json => table::json(&costs),
    });
    Ok(())
}

fn targets(args: &CostArgs, compiled: &Compiled) -> Vec<Target> {
    let named = if args.target.is_empty() {
        compiled.targets().iter().flat_map(|named| named.value.iter().copied()).collect()
    } else {
        args.target.clone()
    };
    if named.is_empty() { vec![Target::WorkersPaid] } else { named }
}

fn prices(args: &CostArgs, project: &Project) -> Result<Prices, Failure> {
    let refuse = |found| project.refuse(&found);
    if let Some(path) = &args.prices {
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|error| Failure::problem(format!("{}: {error}", path.display())))?;
        return Prices::read(&path.display().to_string(), &text).map_err(refuse);
    }
    let own = match &project.place {
        Place::Folder(folder) => Prices::of_project(folder).map_err(refuse)?,
        Place::BuiltIn => None,
    };
    own.map_or_else(|| Prices::built_in().map_err(refuse), Ok)
}

fn costs<'c>(
    compiled: &'c Compiled,
    bounds: &[RouteBounds],
    prices: &'c Prices,
    target: Target,
    args: &CostArgs,
) -> Costs<'c> {
    let of_target = prices.targets.get(&target).cloned().unwrap_or_default();
    let routes = compiled.routes().iter().zip(bounds).map(|(route, bounds)| {
        let hits = if route.settings.cache.is_some() { args.hit_ratio } else { 0 };
        RouteCosts {
            route,
            worst: worst(bounds, &of_target, target),
            typical: typical(bounds, &of_target, target, hits),
        }
    });
    let routes = routes.collect();
    Costs { target, prices, of_target, hits: args.hit_ratio, routes }
}

/// The maximum of each kind over all paths; the price is that of the most expensive path.
fn worst(bounds: &RouteBounds, prices: &TargetPrices, target: Target) -> Case {
    let mix = |usage: &Usage| Mix { hit: *usage, miss: *usage, hits: 0 };
    let rank = |usage: &Usage| (Estimate::per_million(prices, &mix(usage)).total_micro, target.buffered_bytes(usage));
    let ways = bounds.outcomes(State::Cold).iter().map(|(_, usage)| *usage);
    let dearest = ways.max_by_key(|usage| rank(usage)).unwrap_or_default();
    Case { usage: bounds.most(State::Cold), estimate: Estimate::per_million(prices, &mix(&dearest)) }
}

/// A request that is not refused, in a warm isolate; `hits` of a million are answered from the cache.
fn typical(bounds: &RouteBounds, prices: &TargetPrices, target: Target, hits: u32) -> Case {
    let forwarded =
        bounds.outcomes(State::Warm).iter().filter(|(way, _)| *way != RequestOutcome::Refused).map(|(_, usage)| *usage);
    let mix = |usage: Usage| Mix { hit: usage.of_hit(), miss: usage, hits };
    let rank = |usage: &Usage| (Estimate::per_million(prices, &mix(*usage)).total_micro, target.buffered_bytes(usage));
    let usage = forwarded.max_by_key(|usage| rank(usage)).unwrap_or_default();
    Case { usage, estimate: Estimate::per_million(prices, &mix(usage)) }
}

/// `80%`, `0.8` or `1`, in millionths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range that is checked")]
fn ratio(text: &str) -> Result<u32, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1_000_000.0), |number| (number, 10_000.0));
    let millionths = number.trim().parse::<f64>().ok().map(|number| number * whole);
    let millionths = millionths.filter(|millionths| (0.0..=1_000_000.0).contains(millionths));
    millionths.map(|millionths| millionths.round() as u32).ok_or_else(|| "write it like 80% or 0.8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_share_of_all() {
        for (text, millionths) in
            [("80%", 800_000), ("0.8", 800_000), ("1", 1_000_000), ("0%", 0), ("100 %", 1_000_000)]
        {
            assert_eq!(ratio(text), Ok(millionths), "{text}");
        }
        for text in ["2", "101%", "-1%", "x", "%", "NaN"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }
}
