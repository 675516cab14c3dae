//! The commands, a file each.

pub(crate) mod bundle;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod cost;
pub(crate) mod diff;
pub(crate) mod entitlements;
pub(crate) mod explain;
pub(crate) mod fmt;
pub(crate) mod idp_outage;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod man;
pub(crate) mod metrics;
pub(crate) mod publish;
pub(crate) mod purge;
pub(crate) mod routes;
pub(crate) mod schema;
pub(crate) mod secrets;
pub(crate) mod serve;
pub(crate) mod simulate;
pub(crate) mod test;
pub(crate) mod token;
pub(crate) mod usage;

use clap::ValueEnum;
use tollgate_kv_schemas::keys;

/// The output format of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Parses a gateway's name from the command line.
fn gateway_name(text: &str) -> Result<String, &'static str> {
    if keys::is_gateway_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a gateway's name is 1 to 40 lower-case letters, digits and hyphens, beginning with a letter")
    }
}
