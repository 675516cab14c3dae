//! `tollgate grant`.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;
use tollgate_core::entitlement::Grant;
use tollgate_core::operator::Entitling;
use tollgate_core::time::Timestamp;

use super::super::key::{now, of_place, timestamp};
use super::{PlaceArgs, instant, left, minute, or_dash, records, request, text};
use crate::failure::Failure;
use crate::terminal;

/// Grants: limits of a consumer that are raised for a while. They end by themselves.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate grant new --consumer acme --limit monthly --raise 200000 --for 7d --why launch --at https://api.example.com
  tollgate grant list --gateway shop --to native --store shop.db
  tollgate grant revoke grant-0123456789ab --consumer acme --gateway shop --to native --store shop.db")]
pub(crate) struct GrantArgs {
    #[command(subcommand)]
    command: GrantCommand,
}

#[derive(Debug, Subcommand)]
enum GrantCommand {
    New(Box<NewArgs>),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Raise a limit of a consumer for a while. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    group = ArgGroup::new("end").required(true).args(["time", "until"]),
    override_usage = "\
tollgate grant new --consumer <NAME> --limit <NAME> --raise <NUMBER>
       --for <TIME> --why <TEXT> [OPTIONS]",
    after_help = "\
Examples:
  tollgate grant new --consumer acme --limit monthly --raise 200000 --for 7d --why 'launch, ticket 4711' --validated-by ada
  tollgate grant new --consumer acme --limit burst --raise 150% --until 2027-01-31T00:00:00Z --why test --gateway shop --to spin"
)]
struct NewArgs {
    /// The consumer, by its name in the log.
    #[arg(long, value_name = "NAME")]
    consumer: String,
    /// The limit: the name of a policy that has at-most.
    #[arg(long, value_name = "NAME")]
    limit: String,
    /// What it is raised to, not by how much: a number such as 200000 (of a rate, in the period of the policy), or a share such as 150%.
    #[arg(long, value_name = "NUMBER")]
    raise: String,
    /// Only for the subscription to this product (default: all requests of the consumer).
    #[arg(long, value_name = "NAME")]
    product: Option<String>,
    /// When it begins (RFC 3339; default: now).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    from: Option<Timestamp>,
    /// For how long: a whole number with s, m, h, d or w, such as 7d or 2w; at most 366d.
    #[arg(long = "for", value_name = "TIME")]
    time: Option<String>,
    /// When it ends (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    until: Option<Timestamp>,
    /// Why, for lists and the audit: at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Who has validated the partner.
    #[arg(long, value_name = "NAME")]
    validated_by: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// List grants, with what is left of them.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate grant list --at https://api.example.com --token-file token
  tollgate grant list --consumer acme --gateway shop --to native --store shop.db --output json"
)]
struct ListArgs {
    /// Only those of this consumer.
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
}

/// Revoke a grant before it ends. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate grant revoke grant-0123456789ab --consumer acme --at https://api.example.com --token-file token
  tollgate grant revoke grant-0123456789ab --consumer acme --gateway shop --to native --store shop.db"
)]
struct RevokeArgs {
    /// The id of the grant, as in lists.
    id: String,
    /// The consumer.
    #[arg(long, value_name = "NAME")]
    consumer: String,
    #[command(flatten)]
    place: PlaceArgs,
}

pub(crate) fn run(args: &GrantArgs) -> Result<(), Failure> {
    match &args.command {
        GrantCommand::New(args) => {
            let NewArgs { consumer, limit, raise, product, from, time, until, why, validated_by, place } = &**args;
            let content = request([
                ("consumer", Some(json!(consumer))),
                ("policy", Some(json!(limit))),
                ("raise", Some(json!(raise))),
                ("product", text(product.as_ref())),
                ("from", instant(*from)),
                ("for", text(time.as_ref())),
                ("until", instant(*until)),
                ("why", Some(json!(why))),
                ("validated_by", text(validated_by.as_ref())),
            ]);
            let done = format!("the limit {limit} of {consumer} is raised to {raise}");
            let given = place.change(Entitling::NewGrant, &content, &done)?;
            if let Some(why) = serde_json::from_value(given).ok().and_then(|grant| raises_nothing(place, &grant)) {
                terminal::message(&format!("warning: {}", terminal::printable(&why)));
            }
            Ok(())
        }
        GrantCommand::List(ListArgs { consumer, place }) => {
            let mut all = records::entitlements(&place.keys.open()?, consumer.as_deref())?.grants;
            all.sort_by(|a, b| (&a.consumer, a.until, &a.id).cmp(&(&b.consumer, b.until, &b.id)));
            let head = ["ID", "CONSUMER", "LIMIT", "RAISE", "STATE", "UNTIL", "LEFT", "BY", "VALIDATED BY", "WHY"];
            let now = now();
            place.list(&all, "grants", &head, |grant| {
                let (state, left) = match () {
                    () if grant.revoked => ("revoked", "-".to_owned()),
                    () if grant.is_active(now) => ("active", left(grant.until, now)),
                    () if now < grant.from => ("not yet", left(grant.until, grant.from)),
                    () => ("ended", "-".to_owned()),
                };
                let (by, validated_by) = (or_dash(grant.by.as_ref()), or_dash(grant.validated_by.as_ref()));
                let (id, consumer, limit) = (grant.id.clone(), grant.consumer.clone(), limit_of(grant));
                let (until, why) = (minute(grant.until), terminal::printable(&grant.why));
                vec![id, consumer, limit, raise(grant), state.into(), until, left, by, validated_by, why]
            });
            Ok(())
        }
        GrantCommand::Revoke(RevokeArgs { id, consumer, place }) => {
            let content = request([("consumer", Some(json!(consumer))), ("id", Some(json!(id)))]);
            place.change(Entitling::RevokeGrant, &content, &format!("{id} of {consumer} is revoked")).map(drop)
        }
    }
}

/// Why a grant that was given raises nothing, as far as that can be known.
fn raises_nothing(place: &PlaceArgs, grant: &Grant) -> Option<String> {
    let keys = place.keys.open().ok()?;
    let (known, own) = (records::known(&keys).ok()?, records::entitlements(&keys, Some(&grant.consumer)).ok()?);
    known.raises_nothing(grant, &own.subscriptions)
}

fn limit_of(grant: &Grant) -> String {
    match &grant.product {
        Some(product) => format!("{} of {product}", grant.policy),
        None => grant.policy.clone(),
    }
}

fn raise(grant: &Grant) -> String {
    match (grant.to, grant.percent) {
        (Some(to), _) => to.to_string(),
        (None, Some(percent)) => format!("{percent}%"),
        (None, None) => "-".to_owned(),
    }
}
