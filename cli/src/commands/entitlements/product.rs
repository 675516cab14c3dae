//! `tollgate product`.

use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_core::entitlement::Product;
use tollgate_core::operator::Entitling;

use super::super::key::of_place;
use super::{PlaceArgs, or_dash, records, request, tell_replaced, text};
use crate::failure::Failure;

/// Products: the APIs that consumers subscribe to together.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate product set pets --api pets --title 'Pet shop' --at https://api.example.com --token-file token
  tollgate product list --gateway shop --to native --store shop.db")]
pub(crate) struct ProductArgs {
    #[command(subcommand)]
    command: ProductCommand,
}

#[derive(Debug, Subcommand)]
enum ProductCommand {
    List(ListArgs),
    Set(SetArgs),
    Remove(RemoveArgs),
}

/// List products.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate product list --at https://api.example.com --token-file token
  tollgate product list --gateway shop --to native --store shop.db --output json"
)]
struct ListArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Write a product, or replace it. It takes effect within 30 seconds plus the store's delay.
///
/// All of a product is replaced: APIs and a title that are not given are removed, which is told.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate product set pets --api pets --api orders --at https://api.example.com --token-file token
  tollgate product set everything --title 'All APIs' --gateway shop --to native --store shop.db"
)]
struct SetArgs {
    /// The name of the product.
    name: String,
    /// An API of the product (default: all); repeatable.
    #[arg(long = "api", value_name = "NAME")]
    apis: Vec<String>,
    /// What people call it: at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Remove a product that has no plans and no subscriptions.
///
/// With --force it is removed although consumers are subscribed to it: their subscriptions have no effect any more.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate product remove pets --at https://api.example.com --token-file token
  tollgate product remove pets --gateway shop --to native --store shop.db"
)]
struct RemoveArgs {
    /// The name of the product.
    name: String,
    /// Remove it although consumers are subscribed to it.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(args: &ProductArgs) -> Result<(), Failure> {
    match &args.command {
        ProductCommand::List(ListArgs { place }) => {
            let mut all = records::catalogue(&place.keys.open()?)?;
            all.products.retain(|product| !product.removed);
            place.list(&all.products, "products", &["PRODUCT", "APIS", "PLANS", "TITLE"], |product| {
                let plans =
                    all.plans.iter().filter(|plan| !plan.removed && plan.product.as_ref() == Some(&product.name));
                let plans = plans.map(|plan| plan.name.as_str()).collect::<Vec<_>>().join(" ");
                let apis = if product.apis.is_empty() { "all".to_owned() } else { product.apis.join(" ") };
                vec![
                    product.name.clone(),
                    apis,
                    or_dash(Some(&plans).filter(|plans| !plans.is_empty())),
                    or_dash(product.title.as_ref()),
                ]
            });
            Ok(())
        }
        ProductCommand::Set(SetArgs { name, apis, title, place }) => {
            let content =
                request([("name", Some(json!(name))), ("apis", Some(json!(apis))), ("title", text(title.as_ref()))]);
            let before = records::catalogue(&place.keys.open()?)?;
            let written = place.change(Entitling::SetProduct, &content, &format!("the product {name} is written"))?;
            if let (Some(before), Ok(product)) = (before.product(name), serde_json::from_value::<Product>(written)) {
                tell_replaced(&product.replaces(before));
            }
            Ok(())
        }
        ProductCommand::Remove(RemoveArgs { name, force, place }) => {
            let content = request([("name", Some(json!(name))), ("force", force.then(|| json!(true)))]);
            place.change(Entitling::RemoveProduct, &content, &format!("the product {name} is removed")).map(drop)
        }
    }
}
