//! `tollgate key rotate`.

use clap::Args;
use serde_json::json;
use tollgate_core::operator::{OVERLAP_S, RotationRequest, parse_overlap};
use tollgate_core::time::Timestamp;

use super::{KeysArgs, WhichArgs, of_place, timestamp};
use crate::commands::Output;
use crate::failure::Failure;
use crate::terminal;

/// Create a key that replaces another one, which is accepted for a while longer.
///
/// The new key has the same consumer, plan, scopes, groups and restrictions. It is shown once, on standard output.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key rotate --key-id key-0123456789ab --at https://api.example.com --token-file token
  tollgate key rotate --key-id key-0123456789ab --overlap 24h --gateway shop --to native --store shop.db"
)]
pub(super) struct RotateArgs {
    #[command(flatten)]
    which: WhichArgs,
    /// How long the old key is accepted from now on: a number and s, m, h, d or w (default: 7d). Its own expiry is never put off.
    #[arg(long, value_name = "TIME", value_parser = parse_overlap)]
    overlap: Option<u64>,
    /// The end of the new key's validity (RFC 3339; default: after as long as the old one was valid in all).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    keys: KeysArgs,
    /// The output format: the key alone, or a JSON object of the key and what is known of both.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(super) fn run(args: &RotateArgs) -> Result<(), Failure> {
    let keys = args.keys.open()?;
    let request = RotationRequest { overlap_s: args.overlap.unwrap_or(OVERLAP_S), expires: args.expires };
    let rotated = keys.rotate(args.which.name(), &request)?;
    if args.output == Output::Json {
        terminal::print(&format!("{:#}\n", json!(rotated)));
        return Ok(());
    }
    terminal::print(&format!("{}\n", rotated.key));
    let (new, old) = (&rotated.view, &rotated.old);
    terminal::note(&format!("{} of {} at {}; the key is not shown again", new.id, new.consumer, keys.name()));
    let end = old.expires.as_deref().unwrap_or("never");
    terminal::note(&format!("{} is accepted until {end}", old.id));
    Ok(())
}
