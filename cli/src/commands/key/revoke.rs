//! `tollgate key revoke`.

use clap::{ArgGroup, Args};
use serde_json::json;

use super::{KeysArgs, WhichArgs, of_place};
use crate::commands::Output;
use crate::failure::Failure;
use crate::terminal;

/// Revoke a key: its record is kept and marked as revoked. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    group = ArgGroup::new("place").required(true).args(["at", "to"]),
    // On two lines: the one that clap writes is too long for a narrow terminal.
    override_usage = "\
tollgate key revoke <--key-id <ID>|--digest <HEX>> --at <URL> [OPTIONS]
       tollgate key revoke <--key-id <ID>|--digest <HEX>> --to <HOST> [OPTIONS]",
    after_help = "\
Examples:
  tollgate key revoke --key-id key-0123456789ab --gateway shop --to native --store shop.db
  tollgate key revoke --key-id key-0123456789ab --at https://api.example.com --token-file token
  tollgate key revoke --digest 1f3a... --gateway shop --to cloudflare --remote"
)]
pub(super) struct RevokeArgs {
    #[command(flatten)]
    which: WhichArgs,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(args: &RevokeArgs) -> Result<(), Failure> {
    let keys = args.keys.open()?;
    let (view, was_revoked) = keys.revoke(args.which.name())?;
    let (id, consumer, name) = (&view.id, &view.consumer, keys.name());
    match (args.output, was_revoked) {
        (Output::Text, Some(true)) => terminal::note(&format!("{id} of {consumer} was already revoked")),
        (Output::Text, Some(false)) => terminal::note(&format!("{id} of {consumer} is revoked in {name}")),
        (Output::Text, None) => terminal::note(&format!("{id} of {consumer} is revoked at {name}")),
        (Output::Json, None) => terminal::print(&format!("{:#}\n", json!(view))),
        (Output::Json, Some(was_revoked)) => {
            let answer = json!({"id": id, "consumer": consumer, "target": name, "was_revoked": was_revoked});
            terminal::print(&format!("{answer:#}\n"));
        }
    }
    Ok(())
}
