//! `tollgate identity`: which consumers the identities of providers are.

use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_config::Compiled;
use tollgate_core::authn::{CredentialState, IdentityName, IdentityRules};
use tollgate_core::kinds::AuthnPolicy;
use tollgate_core::operator::{KeyRequest, KeyView};

use super::import::{self, ImportArgs};
use super::list::{day, or_dash};
use super::{KeysArgs, now, of_place};
use crate::commands::Output;
use crate::failure::Failure;
use crate::terminal;

/// Link identities of providers to consumers, for policies with `links`.
///
/// An identity is an issuer and the value of a claim. All identities that are linked to one consumer are one caller.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate identity link --consumer ada --issuer https://login.example.com --subject 00u7f --at https://api.example.com
  tollgate identity list --consumer ada --gateway shop --to native --store shop.db
  tollgate identity unlink --issuer https://login.example.com --subject 00u7f --gateway shop --to native --store shop.db
  tollgate identity import people.csv --at https://api.example.com --token-file token")]
pub(crate) struct IdentityArgs {
    #[command(subcommand)]
    command: IdentityCommand,
}

#[derive(Debug, Subcommand)]
enum IdentityCommand {
    Link(Box<LinkArgs>),
    List(ListArgs),
    Unlink(UnlinkArgs),
    Import(Box<IdentitiesArgs>),
}

/// Which identity.
#[derive(Debug, Args)]
struct WhichArgs {
    /// The issuer, as tokens have it in `iss`.
    #[arg(long, value_name = "URL")]
    issuer: String,
    /// The value of the claim `sub`.
    #[arg(long, value_name = "ID", required_unless_present = "claim")]
    subject: Option<String>,
    /// Another claim that policies have in `links`, with its value, such as email=ada@example.com.
    #[arg(long, value_name = "CLAIM=VALUE", conflicts_with = "subject")]
    claim: Option<String>,
}

/// Link an identity to a consumer. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate identity link --consumer ada --issuer https://login.example.com --subject 00u7f --at https://api.example.com
  tollgate identity link --consumer ada --issuer https://id.example.org --claim email=ada@example.com --plan gold
  tollgate identity link --consumer ada --issuer https://id.example.org --subject 17 --gateway shop --to native --store shop.db"
)]
struct LinkArgs {
    /// The consumer: 1 to 200 visible ASCII characters, also a name that claims of tokens give, such as staff:ada.
    #[arg(long, value_name = "NAME")]
    consumer: String,
    #[command(flatten)]
    which: WhichArgs,
    /// The plan, in place of the one that claims name.
    #[arg(long)]
    plan: Option<String>,
    /// A group, besides those that claims name; repeatable.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// Who this is: at most 200 characters, shown in lists.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// List links.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate identity list --at https://api.example.com --token-file token
  tollgate identity list --consumer ada --gateway shop --to native --store shop.db --output json"
)]
struct ListArgs {
    /// Only those of this consumer.
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format: a table, or a JSON array with everything that is known.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// End the link of an identity, which may be linked again. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate identity unlink --issuer https://login.example.com --subject 00u7f --at https://api.example.com
  tollgate identity unlink --issuer https://id.example.org --claim email=ada@example.com --gateway shop --to spin"
)]
struct UnlinkArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Link the identities of a file: JSON objects, one a line, or a table in CSV.
///
/// Each has `consumer`, `issuer`, and `subject` or `claim` (such as email=ada@example.com); `plan`, `groups`, `note`, `not_before` and
/// `expires` where they apply. Identities that are linked already are left as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate identity import people.csv --at https://api.example.com --token-file token
  tollgate identity import people.jsonl --gateway shop --to native --store shop.db")]
struct IdentitiesArgs {
    #[command(flatten)]
    args: ImportArgs,
}

pub(crate) fn run(args: &IdentityArgs) -> Result<(), Failure> {
    match &args.command {
        IdentityCommand::Link(args) => link(args),
        IdentityCommand::List(args) => list(args),
        IdentityCommand::Unlink(args) => unlink(args),
        IdentityCommand::Import(args) => import::run(&args.args),
    }
}

impl WhichArgs {
    fn name(&self) -> Result<IdentityName, Failure> {
        import::identity(&self.issuer, self.subject.as_deref(), self.claim.as_deref()).map_err(Failure::usage)
    }
}

fn link(args: &LinkArgs) -> Result<(), Failure> {
    let name = args.which.name()?;
    let request = KeyRequest {
        plan: args.plan.clone(),
        groups: args.groups.clone(),
        note: args.note.clone(),
        ..KeyRequest::link(&args.consumer, name.clone())
    };
    request.check().map_err(Failure::usage)?;
    let keys = args.keys.open()?;
    args.keys.check_plans(&keys, std::slice::from_ref(&request))?;
    let (new, _) = keys.import(vec![request])?;
    let Some(view) = new.first() else {
        let consumer = keys.known(&name.digest())?.map(|view| view.consumer).unwrap_or_default();
        let why = format!("{name} is linked to {consumer} in {} already; unlink it first", keys.name());
        return Err(Failure::problem(why));
    };
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(view))),
        Output::Text => terminal::note(&format!("{name} is {} in {}", view.consumer, keys.name())),
    }
    let unread = args.keys.known_project().and_then(|compiled| unread(&compiled, &args.which));
    unread.inspect(|why| terminal::note(&format!("warning: {why}")));
    Ok(())
}

/// Why no policy of a project reads a link, and what to do.
fn unread(compiled: &Compiled, which: &WhichArgs) -> Option<String> {
    let claim = which.claim.as_deref().and_then(|claim| claim.split_once('=')).map_or("sub", |(claim, _)| claim);
    let issuer = &which.issuer;
    let reads = || compiled.whole().policies.authn.iter().filter_map(|named| rules(&named.policy));
    let links = || reads().filter_map(|rules| Some((&rules.issuers, &rules.links.as_ref()?.claim)));
    if links().any(|(issuers, linked)| issuers.contains(issuer) && linked == claim) {
        return None;
    }
    let claims: Vec<&str> = links().filter(|(all, _)| all.contains(issuer)).map(|(_, claim)| claim.as_str()).collect();
    let what = "the link has no effect yet";
    Some(if !claims.is_empty() {
        format!(
            "{what}: policies link identities of this issuer by {}, not by {claim}; link that claim",
            claims.join(", ")
        )
    } else if reads().any(|rules| rules.issuers.contains(issuer)) {
        format!(
            "{what}: no policy that accepts tokens of this issuer has `links`; add `links: {claim}` to it, and publish"
        )
    } else {
        let known: Vec<&str> = reads().flat_map(|rules| &rules.issuers).map(String::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        format!(
            "{what}: no policy of the project has the issuer {issuer}; write it as policies have it in `issuer` (there: {known})"
        )
    })
}

/// What a policy requires of tokens, if it knows identities.
const fn rules(policy: &AuthnPolicy) -> Option<&IdentityRules> {
    match policy {
        AuthnPolicy::Jwt(settings) => Some(&settings.rules),
        AuthnPolicy::Introspection(settings) => Some(&settings.rules),
        AuthnPolicy::OidcLogin(settings) => Some(&settings.rules),
        AuthnPolicy::ApiKey(_)
        | AuthnPolicy::Webhook(_)
        | AuthnPolicy::ClientCertificate(_)
        | AuthnPolicy::HttpSignature(_)
        | AuthnPolicy::Basic(_)
        | AuthnPolicy::Anonymous(_) => None,
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let keys = args.keys.open()?;
    let mut all = keys.list(args.consumer.as_deref())?;
    all.retain(is_link);
    all.sort_by(|a, b| (&a.consumer, &a.identity).cmp(&(&b.consumer, &b.identity)));
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(all))),
        Output::Text if all.is_empty() => terminal::note(&format!("no links in {}", keys.name())),
        Output::Text => terminal::print(&table(&all)),
    }
    Ok(())
}

/// A link that has ended is none.
fn is_link(view: &KeyView) -> bool {
    view.identity.is_some() && view.state(now()) != CredentialState::Expired
}

fn table(links: &[KeyView]) -> String {
    let mut rows = vec![["CONSUMER", "IDENTITY", "PLAN", "GROUPS", "CREATED", "NOTE"].map(str::to_owned).to_vec()];
    rows.extend(links.iter().map(|link| {
        vec![
            link.consumer.clone(),
            or_dash(link.identity.as_deref()),
            or_dash(link.plan.as_deref()),
            or_dash(Some(link.groups.join(" ").as_str())),
            day(link.created.as_deref()),
            or_dash(link.note.as_deref()),
        ]
    }));
    terminal::table(&rows)
}

fn unlink(args: &UnlinkArgs) -> Result<(), Failure> {
    let name = args.which.name()?;
    let keys = args.keys.open()?;
    if !keys.known(&name.digest())?.as_ref().is_some_and(is_link) {
        return Err(Failure::problem(format!("{name} is not linked in {}", keys.name())));
    }
    let (view, _) = keys.revoke(&name.digest().to_hex())?;
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(view))),
        Output::Text => terminal::note(&format!("{name} is not {} any more in {}", view.consumer, keys.name())),
    }
    Ok(())
}
