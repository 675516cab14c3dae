//! `tollgate subscription`.

use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_core::entitlement::Subscription;
use tollgate_core::operator::Entitling;
use tollgate_core::time::Timestamp;

use super::super::key::{now, of_place, timestamp};
use super::{PlaceArgs, instant, minute, records, request, text};
use crate::failure::Failure;

/// Subscriptions of consumers to products. A consumer has one subscription to a product.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate subscription new --consumer acme --product pets --plan pro --at https://api.example.com --token-file token
  tollgate subscription change --consumer acme --product pets --plan enterprise --gateway shop --to native --store shop.db
  tollgate subscription list --at https://api.example.com --token-file token")]
pub(crate) struct SubscriptionArgs {
    #[command(subcommand)]
    command: SubscriptionCommand,
}

#[derive(Debug, Subcommand)]
enum SubscriptionCommand {
    New(NewArgs),
    List(ListArgs),
    Show(ShowArgs),
    Change(ChangeArgs),
    End(EndArgs),
}

/// Which subscription.
#[derive(Debug, Args)]
struct WhichArgs {
    /// The consumer, by its name in the log.
    #[arg(long, value_name = "NAME")]
    consumer: String,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: String,
}

/// Subscribe a consumer to a product. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    override_usage = "\
tollgate subscription new --consumer <NAME> --product <NAME>
       --plan <NAME> [OPTIONS]",
    after_help = "\
Examples:
  tollgate subscription new --consumer acme --product pets --plan pro --at https://api.example.com --token-file token
  tollgate subscription new --consumer acme --product pets --plan trial --until 2027-01-31T00:00:00Z --gateway shop --to spin"
)]
struct NewArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The plan.
    #[arg(long, value_name = "NAME")]
    plan: String,
    /// When it begins (RFC 3339; default: now).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    from: Option<Timestamp>,
    /// When it ends (RFC 3339; default: it does not).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    until: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// List subscriptions.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate subscription list --at https://api.example.com --token-file token
  tollgate subscription list --consumer acme --gateway shop --to native --store shop.db --output json"
)]
struct ListArgs {
    /// Only those of this consumer.
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Show a subscription.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate subscription show --consumer acme --product pets --at https://api.example.com --token-file token
  tollgate subscription show --consumer acme --product pets --gateway shop --to native --store shop.db"
)]
struct ShowArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Change the plan or the end of a subscription. It takes effect within 30 seconds plus the store's delay.
///
/// What was used of a quota stays used: with a lower number the consumer may be refused until the window ends, with a higher one the
/// difference is there at once.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate subscription change --consumer acme --product pets --plan pro --at https://api.example.com --token-file token
  tollgate subscription change --consumer acme --product pets --until 2027-06-30T00:00:00Z --gateway shop --to spin"
)]
struct ChangeArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// The plan (default: as before).
    #[arg(long, value_name = "NAME", required_unless_present = "until")]
    plan: Option<String>,
    /// When it ends (RFC 3339; default: as before).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    until: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// End a subscription now, or later. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate subscription end --consumer acme --product pets --at https://api.example.com --token-file token
  tollgate subscription end --consumer acme --product pets --until 2027-01-31T00:00:00Z --gateway shop --to spin"
)]
struct EndArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// When it ends (RFC 3339; default: now).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    until: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(args: &SubscriptionArgs) -> Result<(), Failure> {
    match &args.command {
        SubscriptionCommand::New(NewArgs { which, plan, from, until, place }) => {
            let more = [("plan", Some(json!(plan))), ("from", instant(*from)), ("until", instant(*until))];
            which.change(Entitling::NewSubscription, more, place, &format!("is subscribed, with the plan {plan},"))
        }
        SubscriptionCommand::Change(ChangeArgs { which, plan, until, place }) => {
            let more = [("plan", text(plan.as_ref())), ("from", None), ("until", instant(*until))];
            which.change(Entitling::ChangeSubscription, more, place, "has another subscription")
        }
        SubscriptionCommand::End(EndArgs { which, until, place }) => {
            let more = [("plan", None), ("from", None), ("until", instant(*until))];
            which.change(Entitling::EndSubscription, more, place, "has a subscription that ends")
        }
        SubscriptionCommand::List(ListArgs { consumer, place }) => {
            let mut all = records::entitlements(&place.keys.open()?, consumer.as_deref())?.subscriptions;
            all.sort_by(|a, b| (&a.consumer, &a.product).cmp(&(&b.consumer, &b.product)));
            let head = ["ID", "CONSUMER", "PRODUCT", "PLAN", "STATE", "FROM", "UNTIL"];
            place.list(&all, "subscriptions", &head, |one| {
                let until = one.until.map_or_else(|| "-".to_owned(), minute);
                let (consumer, product) = (one.consumer.clone(), one.product.clone());
                vec![one.id.clone(), consumer, product, one.plan.clone(), state(one).into(), minute(one.from), until]
            });
            Ok(())
        }
        SubscriptionCommand::Show(ShowArgs { which, place }) => {
            let keys = place.keys.open()?;
            let all = records::entitlements(&keys, Some(&which.consumer))?.subscriptions;
            let found = all.iter().find(|one| one.product == which.product);
            let missing = || {
                let (consumer, product) = (&which.consumer, &which.product);
                Failure::problem(format!("{} has no subscription of {consumer} to {product}", keys.name()))
            };
            place.show(found.ok_or_else(missing)?);
            Ok(())
        }
    }
}

impl WhichArgs {
    fn change(
        &self,
        change: Entitling,
        [plan, from, until]: [(&str, Option<serde_json::Value>); 3],
        place: &PlaceArgs,
        done: &str,
    ) -> Result<(), Failure> {
        let (consumer, product) = (("consumer", Some(json!(self.consumer))), ("product", Some(json!(self.product))));
        let content = request([consumer, product, plan, from, until]);
        place.change(change, &content, &format!("{} {done} to {}", self.consumer, self.product))
    }
}

/// The state in a word.
fn state(one: &Subscription) -> &'static str {
    let now = now();
    match () {
        () if one.is_active(now) => "active",
        () if now < one.from => "not yet",
        () => "ended",
    }
}
