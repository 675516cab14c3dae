//! `tollgate key`: creates and revokes API keys.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_core::authn::{ApiKey, Credential};
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{decode, encode, keys};

use super::Output;
use crate::failure::Failure;
use crate::project::Project;
use crate::target::{Place, StoreArgs, Target};
use crate::terminal;

/// Create an API key, or revoke one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate key new --consumer acme --plan gold --to native --store shop.db
  tollgate key revoke --key-id key-0123456789ab --gateway shop --to native --store shop.db")]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    New(NewArgs),
    Revoke(RevokeArgs),
}

/// Create a key: it is shown once, on standard output; its record contains only its digest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate key new --consumer acme --plan gold --gateway shop --to native --store shop.db
  tollgate key new --consumer acme --scope pets.read --scope pets.write --expires 2027-01-01T00:00:00Z
  KEY=$(tollgate key new --consumer ci --gateway shop --to spin)")]
struct NewArgs {
    /// The consumer that owns the key.
    #[arg(long, value_name = "ID")]
    consumer: String,
    /// The plan it is issued for.
    #[arg(long)]
    plan: Option<String>,
    /// A scope of the key; repeatable.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// The environment named within the key: 1 to 12 lower-case letters and digits.
    #[arg(long, default_value = "live")]
    env: String,
    /// The start of its validity (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    not_before: Option<Timestamp>,
    /// The end of its validity (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    expires: Option<Timestamp>,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Write its record to the store of this host; without it, the record is printed so that you can write it yourself.
    #[arg(long, value_enum, value_name = "HOST")]
    to: Option<Place>,
    #[command(flatten)]
    store: StoreArgs,
    /// The output format: the key alone, or a JSON object of key, id and record.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Revoke a key: its record is kept and marked as revoked. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate key revoke --key-id key-0123456789ab --gateway shop --to native --store shop.db
  tollgate key revoke --digest 1f3a... --gateway shop --to cloudflare --remote")]
struct RevokeArgs {
    /// The public id, as shown in logs: key- and 12 hexadecimal digits.
    #[arg(long, value_name = "ID", required_unless_present = "digest", conflicts_with = "digest")]
    key_id: Option<String>,
    /// The SHA-256 of the key: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// The host whose store contains its record.
    #[arg(long, value_enum, value_name = "HOST")]
    to: Place,
    #[command(flatten)]
    store: StoreArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// The gateway of the key.
#[derive(Debug, Args)]
struct GatewayArgs {
    /// The gateway's name (default: that of the project)
    #[arg(long, value_name = "NAME", conflicts_with = "project")]
    gateway: Option<String>,
    /// The project to take the gateway's name from.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    project: PathBuf,
}

pub(crate) fn run(args: &KeyArgs) -> Result<(), Failure> {
    match &args.command {
        KeyCommand::New(args) => new(args),
        KeyCommand::Revoke(args) => revoke(args),
    }
}

fn new(args: &NewArgs) -> Result<(), Failure> {
    check_names(args)?;
    let gateway = args.gateway.name()?;
    let target = args.to.map(|place| Target::of(place, &args.store)).transpose()?;
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::problem(format!("the random source of the system is not available: {error}")))?;
    let key = ApiKey::generate(&args.env, &random)
        .ok_or_else(|| Failure::usage("--env is 1 to 12 lower-case letters and digits"))?;
    let credential = Credential {
        id: key.public_id(),
        consumer: args.consumer.clone(),
        plan: args.plan.clone(),
        scopes: args.scopes.clone(),
        not_before: args.not_before,
        expires: args.expires,
        revoked: false,
    };
    let record = (keys::credential(&gateway, &key.digest()), encode(&credential));
    if let Some(target) = &target {
        target.put(std::slice::from_ref(&record))?;
    }
    let value = String::from_utf8_lossy(&record.1);
    match (args.output, target) {
        (Output::Json, _) => {
            let record = json!({"key": record.0, "value": value});
            let answer = json!({"key": key.expose(), "id": credential.id, "record": record});
            terminal::print(&format!("{answer:#}\n"));
        }
        (Output::Text, target) => {
            terminal::print(&format!("{}\n", key.expose()));
            terminal::note(&format!("{} of {}; the key is not shown again", credential.id, credential.consumer));
            match target {
                Some(target) => terminal::note(&format!("its record is in {}", target.name())),
                None => terminal::message(&format!("the record to publish:\n  key    {}\n  value  {value}", record.0)),
            }
        }
    }
    Ok(())
}

/// Checks what records, logs and limits can contain: the same rules as for fixtures.
fn check_names(args: &NewArgs) -> Result<(), Failure> {
    let is_id = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    for id in std::iter::once(&args.consumer).chain(&args.plan) {
        if !(1..=NAME_BYTES_MAX).contains(&id.len()) || !is_id(id) {
            let id = terminal::printable(id);
            return Err(Failure::usage(format!(
                "`{id}` is not an id: write 1 to {NAME_BYTES_MAX} letters, digits, `-`, `_` and `.`"
            )));
        }
    }
    let is_scope = |text: &str| text.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b));
    if args.scopes.iter().any(|scope| !(1..=NAME_BYTES_MAX).contains(&scope.len()) || !is_scope(scope)) {
        return Err(Failure::usage("a scope cannot contain spaces, quotes or backslashes (RFC 6749, section 3.3)"));
    }
    match (args.not_before, args.expires) {
        (Some(start), Some(end)) if end <= start => Err(Failure::usage("--expires is not after --not-before")),
        _ => Ok(()),
    }
}

fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let gateway = args.gateway.name()?;
    let digest = digest_prefix(args)?;
    let target = Target::of(args.to, &args.store)?;
    let prefix = format!("{gateway}:credential:{digest}");
    let found = target.keys(&prefix)?;
    let [key] = found.as_slice() else {
        let many = if found.is_empty() { "no key" } else { "more than one key" };
        let place = target.name();
        return Err(Failure::problem(format!("{place} has {many} of gateway {gateway} with this id or digest")));
    };
    let value = target.get(key)?.ok_or_else(|| Failure::problem(format!("{key} was removed in the meantime")))?;
    let mut credential: Credential = decode(&value).map_err(|error| Failure::problem(format!("{key}: {error}")))?;
    let (id, consumer) = (credential.id.clone(), credential.consumer.clone());
    let was_revoked = std::mem::replace(&mut credential.revoked, true);
    if !was_revoked {
        target.put(&[(key.clone(), encode(&credential))])?;
    }
    match (args.output, was_revoked) {
        (Output::Text, true) => terminal::note(&format!("{id} of {consumer} was already revoked")),
        (Output::Text, false) => terminal::note(&format!("{id} of {consumer} is revoked in {}", target.name())),
        (Output::Json, _) => {
            let answer = json!({"id": id, "consumer": consumer, "target": target.name(), "was_revoked": was_revoked});
            terminal::print(&format!("{answer:#}\n"));
        }
    }
    Ok(())
}

/// The beginning of the digest under which the record is stored.
fn digest_prefix(args: &RevokeArgs) -> Result<&str, Failure> {
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    match (&args.digest, &args.key_id) {
        (Some(digest), _) if is_hex(digest, 64) => Ok(digest),
        (Some(_), _) => Err(Failure::usage("--digest is 64 hexadecimal digits: the SHA-256 of the key")),
        (None, Some(id)) => id
            .strip_prefix("key-")
            .filter(|hex| is_hex(hex, 12))
            .ok_or_else(|| Failure::usage("--key-id is `key-` and 12 hexadecimal digits, as shown in logs")),
        (None, None) => Err(Failure::usage("--key-id or --digest is required")),
    }
}

impl GatewayArgs {
    fn name(&self) -> Result<String, Failure> {
        match &self.gateway {
            None => Project::at(&self.project).gateway(),
            Some(name) if keys::is_gateway_name(name) => Ok(name.clone()),
            Some(_) => Err(Failure::usage(
                "a gateway's name is 1 to 40 lower-case letters, digits and hyphens, beginning with a letter",
            )),
        }
    }
}

/// Parses a time from the command line.
pub(crate) fn timestamp(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_rfc3339(text).ok_or_else(|| "write a time like 2026-01-31T23:59:50Z".to_owned())
}

/// The maximum length of an id, as in fixtures.
const NAME_BYTES_MAX: usize = 80;
