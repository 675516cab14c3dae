//! `tollgate plan`.

use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_core::entitlement::Plan;
use tollgate_core::operator::Entitling;

use super::super::key::of_place;
use super::{PlaceArgs, or_dash, records, request, tell_replaced, text};
use crate::failure::Failure;

/// Plans: numbers that replace those of limits which have `at-most`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate plan set pro --product pets --limit monthly=100000 --limit burst=100/s:200 --at https://api.example.com
  tollgate plan list --gateway shop --to native --store shop.db")]
pub(crate) struct PlanArgs {
    #[command(subcommand)]
    command: PlanCommand,
}

#[derive(Debug, Subcommand)]
enum PlanCommand {
    List(ListArgs),
    Show(ShowArgs),
    Set(SetArgs),
    Remove(RemoveArgs),
}

/// List the plans that are records. Those of the configuration are in the project.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate plan list --at https://api.example.com --token-file token
  tollgate plan list --product pets --gateway shop --to native --store shop.db --output json"
)]
struct ListArgs {
    /// Only those of this product.
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show a plan.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate plan show pro --at https://api.example.com --token-file token
  tollgate plan show pro --gateway shop --to native --store shop.db"
)]
struct ShowArgs {
    /// The name of the plan.
    name: String,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Write a plan, or replace it: all its subscribers have the new numbers within 30 seconds plus the store's delay.
///
/// All of a plan is replaced: numbers, product and title that are not given are removed, which is told. What was used of a quota stays
/// used: with a lower number a consumer may be refused until the window ends, a higher one adds the difference.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate plan set pro --product pets --limit monthly=100000 --at https://api.example.com --token-file token
  tollgate plan set pro --product pets --limit burst=100/s:200 --gateway shop --to native --store shop.db"
)]
struct SetArgs {
    /// The name of the plan.
    name: String,
    /// The product that can be subscribed to with it (default: none; it is for credentials and claims).
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// The number of a limit, repeatable: NAME=COUNT; of a rate also NAME=COUNT/PERIOD or NAME=COUNT/PERIOD:BURST, such as burst=100/s:200.
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<String>,
    /// What people call it: at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Remove a plan that no subscription uses.
///
/// With --force it is removed although subscriptions use it: their consumers then have the numbers that the configuration has for a plan of
/// this name, or the limits' own. Keys and tokens that name the plan are not looked for.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate plan remove pro --at https://api.example.com --token-file token
  tollgate plan remove pro --gateway shop --to native --store shop.db"
)]
struct RemoveArgs {
    /// The name of the plan.
    name: String,
    /// Remove it although subscriptions use it.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(args: &PlanArgs) -> Result<(), Failure> {
    match &args.command {
        PlanCommand::List(ListArgs { product, place }) => {
            let mut all = records::catalogue(&place.keys.open()?)?.plans;
            all.retain(|plan| !plan.removed && product.as_ref().is_none_or(|of| plan.product.as_ref() == Some(of)));
            place.list(&all, "plans", &["PLAN", "PRODUCT", "LIMITS", "TITLE"], |plan| {
                let limits = limits(plan);
                vec![plan.name.clone(), or_dash(plan.product.as_ref()), limits, or_dash(plan.title.as_ref())]
            });
            Ok(())
        }
        PlanCommand::Show(ShowArgs { name, place }) => {
            let keys = place.keys.open()?;
            let catalogue = records::catalogue(&keys)?;
            let missing = || Failure::problem(format!("{} has no plan {name}", keys.name()));
            place.show(catalogue.plan(name).ok_or_else(missing)?);
            Ok(())
        }
        PlanCommand::Set(SetArgs { name, product, limits, title, place }) => {
            let content = request([
                ("name", Some(json!(name))),
                ("product", text(product.as_ref())),
                ("limits", Some(json!(limits))),
                ("title", text(title.as_ref())),
            ]);
            let before = records::catalogue(&place.keys.open()?)?;
            let written = place.change(Entitling::SetPlan, &content, &format!("the plan {name} is written"))?;
            if let (Some(before), Ok(plan)) = (before.plan(name), serde_json::from_value::<Plan>(written)) {
                tell_replaced(&plan.replaces(before));
            }
            Ok(())
        }
        PlanCommand::Remove(RemoveArgs { name, force, place }) => {
            let content = request([("name", Some(json!(name))), ("force", force.then(|| json!(true)))]);
            place.change(Entitling::RemovePlan, &content, &format!("the plan {name} is removed")).map(drop)
        }
    }
}

/// The numbers, as they are written on the command line.
fn limits(plan: &Plan) -> String {
    let all = plan.limits.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    if all.is_empty() { "-".to_owned() } else { all }
}
