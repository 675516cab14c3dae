//! `tollgate subscription`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use tollgate_core::entitlement::Subscription;
use tollgate_core::operator::{Catalogue, Entitling};
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

/// List subscriptions. Those whose plan or product is gone are marked.
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
/// What was used of a quota stays used: with a lower number the consumer may be refused until the window ends, a higher one adds the
/// difference.
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
            let WhichArgs { consumer, product } = which;
            let done = format!("{consumer} is subscribed to {product}, with the plan {plan},");
            which.change(Entitling::NewSubscription, more, place, &done)
        }
        SubscriptionCommand::Change(ChangeArgs { which, plan, until, place }) => {
            let more = [("plan", text(plan.as_ref())), ("from", None), ("until", instant(*until))];
            let WhichArgs { consumer, product } = which;
            let done = format!("the subscription of {consumer} to {product} is changed");
            which.change(Entitling::ChangeSubscription, more, place, &done)
        }
        SubscriptionCommand::End(EndArgs { which, until, place }) => {
            let more = [("plan", None), ("from", None), ("until", instant(*until))];
            let WhichArgs { consumer, product } = which;
            let ends = until.map_or_else(|| "is ended".to_owned(), |until| format!("ends at {}", minute(until)));
            which.change(
                Entitling::EndSubscription,
                more,
                place,
                &format!("the subscription of {consumer} to {product} {ends}"),
            )
        }
        SubscriptionCommand::List(ListArgs { consumer, place }) => {
            let keys = place.keys.open()?;
            let (known, all) = (records::known(&keys)?, records::entitlements(&keys, consumer.as_deref())?);
            let mut all: Vec<Listed> = all.subscriptions.into_iter().map(|one| Listed::new(one, &known)).collect();
            all.sort_by(|a, b| (&a.one.consumer, &a.one.product).cmp(&(&b.one.consumer, &b.one.product)));
            let head = ["ID", "CONSUMER", "PRODUCT", "PLAN", "STATE", "FROM", "UNTIL"];
            place.list(&all, "subscriptions", &head, |listed| {
                let one = &listed.one;
                let until = one.until.map_or_else(|| "-".to_owned(), minute);
                let (consumer, product) = (one.consumer.clone(), one.product.clone());
                vec![one.id.clone(), consumer, product, one.plan.clone(), listed.state(), minute(one.from), until]
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
            place.show(&Listed::new(found.ok_or_else(missing)?.clone(), &records::known(&keys)?));
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
        place.change(change, &content, done).map(drop)
    }
}

/// A subscription, and what it names that is gone.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    one: Subscription,
    /// `product` or `plan`; absent of a subscription that has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone: Option<&'static str>,
}

impl Listed {
    fn new(one: Subscription, known: &Catalogue) -> Self {
        let has_ended = one.until.is_some_and(|until| until <= now());
        Self { gone: known.gone(&one).filter(|_| !has_ended), one }
    }

    /// The state in a few words.
    fn state(&self) -> String {
        let now = now();
        let state = match () {
            () if self.one.is_active(now) => "active",
            () if now < self.one.from => "not yet",
            () => "ended",
        };
        self.gone.map_or_else(|| state.to_owned(), |gone| format!("{state}, {gone} gone"))
    }
}
