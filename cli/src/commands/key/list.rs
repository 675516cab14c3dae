//! `tollgate key list` and `tollgate key show`.

use clap::Args;
use serde_json::json;
use tollgate_core::authn::CredentialState;
use tollgate_core::operator::KeyView;

use super::{KeysArgs, WhichArgs, now, of_place};
use crate::commands::Output;
use crate::failure::Failure;
use crate::terminal;

/// List keys: their ids and what is known of them, never the keys themselves.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key list --at https://api.example.com --token-file token
  tollgate key list --consumer acme --gateway shop --to native --store shop.db --output json"
)]
pub(super) struct ListArgs {
    /// Only the keys of this consumer.
    #[arg(long, value_name = "ID")]
    consumer: Option<String>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format: a table, or a JSON array with everything that is known.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Show what is known of a key.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key show --key-id key-0123456789ab --at https://api.example.com --token-file token
  tollgate key show --digest 1f3a... --gateway shop --to native --store shop.db"
)]
pub(super) struct ShowArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(args: &ListArgs) -> Result<(), Failure> {
    let keys = args.keys.open()?;
    let mut all = keys.list(args.consumer.as_deref())?;
    all.retain(|key| key.identity.is_none());
    all.sort_by(|a, b| (&a.consumer, &a.created, &a.id).cmp(&(&b.consumer, &b.created, &b.id)));
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(all))),
        Output::Text if all.is_empty() => {
            let of = args.consumer.as_ref().map(|consumer| format!(" of {consumer}")).unwrap_or_default();
            terminal::note(&format!("no keys{of} in {}", keys.name()));
        }
        Output::Text => terminal::print(&table(&all)),
    }
    Ok(())
}

pub(super) fn show(args: &ShowArgs) -> Result<(), Failure> {
    let view = args.keys.open()?.find(args.which.name())?;
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(view))),
        Output::Text => terminal::print(&properties(&view)),
    }
    Ok(())
}

fn table(keys: &[KeyView]) -> String {
    let head = ["ID", "CONSUMER", "STATE", "PLAN", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "NOTE"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(keys.iter().map(|key| {
        vec![
            key.id.clone(),
            key.consumer.clone(),
            state(key).to_owned(),
            or_dash(key.plan.as_deref()),
            or_dash(Some(key.scopes.join(" ").as_str())),
            day(key.created.as_deref()),
            day(key.expires.as_deref()),
            or_dash(key.last_used.as_deref()),
            or_dash(key.note.as_deref()),
        ]
    }));
    terminal::table(&rows)
}

/// Each property in a line of its own.
fn properties(key: &KeyView) -> String {
    let list = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join(" "));
    let places = &key.restrictions;
    let lines = [
        ("id", Some(key.id.clone())),
        ("consumer", Some(key.consumer.clone())),
        ("identity", key.identity.clone()),
        ("state", Some(state(key).to_owned())),
        ("plan", key.plan.clone()),
        ("scopes", list(key.scopes.clone())),
        ("groups", list(key.groups.clone())),
        ("environment", key.environment.clone()),
        ("not before", key.not_before.clone()),
        ("expires", key.expires.clone()),
        ("addresses", list(places.addresses.as_slice().iter().map(ToString::to_string).collect())),
        ("hosts", list(places.hosts.iter().map(ToString::to_string).collect())),
        ("referrers", list(places.referrers.iter().map(ToString::to_string).collect())),
        ("limits", list(key.limits.iter().map(ToString::to_string).collect())),
        ("last used", last_used(key)),
        ("created", key.created.clone()),
        ("created by", key.created_by.clone()),
        ("note", key.note.clone()),
        ("replaces", key.replaces.clone()),
        ("replaced by", key.replaced_by.clone()),
    ];
    let lines = lines.into_iter().filter_map(|(name, value)| Some((name, value?)));
    lines.map(|(name, value)| format!("{name:12} {}\n", terminal::printable(&value))).collect()
}

/// When a key was used; uses of links are not recorded.
fn last_used(key: &KeyView) -> Option<String> {
    let never = || key.identity.is_none().then(|| "never".to_owned());
    key.last_used.clone().or_else(never)
}

/// The state in a word.
pub(super) fn state(key: &KeyView) -> &'static str {
    match key.state(now()) {
        CredentialState::Valid if key.replaced_by.is_some() => "replaced",
        CredentialState::Valid => "valid",
        CredentialState::NotYetValid => "not yet",
        CredentialState::Expired => "expired",
        CredentialState::Revoked => "revoked",
    }
}

pub(super) fn or_dash(text: Option<&str>) -> String {
    text.filter(|text| !text.is_empty()).map_or_else(|| "-".to_owned(), terminal::printable)
}

/// The day of a time: a table has no room for more.
pub(super) fn day(time: Option<&str>) -> String {
    or_dash(time.map(|time| time.split('T').next().unwrap_or_default()))
}
