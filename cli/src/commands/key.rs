//! `tollgate key`: creates and revokes API keys.

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Arg, ArgGroup, Args, Subcommand};
use serde_json::{Value, json};
use tollgate_config::is_scope_pattern;
use tollgate_core::authn::{Credential, OriginPattern, Restrictions};
use tollgate_core::guard::{Cidr, Networks};
use tollgate_core::operator::{Creation, IssuedKey, KeyRequest, KeyView, Resource};
use tollgate_core::route::HostPattern;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::{credential_records, decode, encode};

use super::{Output, gateway_name};
use crate::at::{AtArgs, NOTHING};
use crate::failure::Failure;
use crate::project::Project;
use crate::target::{Place, Plans, StoreArgs, Target};
use crate::terminal;

/// Create an API key, or revoke one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate key new --consumer acme --plan gold --at https://api.example.com --token-file token
  tollgate key new --consumer acme --plan gold --to native --store shop.db
  tollgate key revoke --key-id key-0123456789ab --gateway shop --to native --store shop.db")]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    New(Box<NewArgs>),
    Revoke(RevokeArgs),
}

/// Create a key: it is shown once, on standard output; its record contains only its digest.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key new --consumer acme --plan gold --gateway shop --to native --store shop.db
  tollgate key new --consumer acme --scope pets.read --scope pets.write --expires 2027-01-01T00:00:00Z
  tollgate key new --consumer acme --at https://api.example.com --token-file token
  KEY=$(tollgate key new --consumer ci --gateway shop --to spin)"
)]
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
    /// A group that the key is in; repeatable.
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// The environment named within the key: 1 to 12 lower-case letters and digits.
    #[arg(long, default_value = "live")]
    env: String,
    /// The start of its validity (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    not_before: Option<Timestamp>,
    /// The end of its validity (RFC 3339).
    #[arg(long, value_name = "TIME", value_parser = timestamp)]
    expires: Option<Timestamp>,
    /// A network from which the key is accepted, such as 192.0.2.0/24 (default: all); repeatable.
    #[arg(long = "address", value_name = "CIDR")]
    addresses: Vec<Cidr>,
    /// A host of the gateway at which the key is accepted, such as *.example.com (default: all); repeatable.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<HostPattern>,
    /// The origin of web pages that may send the key, such as `https://app.example.com` (default: all); repeatable.
    #[arg(long = "referrer", value_name = "ORIGIN")]
    referrers: Vec<OriginPattern>,
    /// What the key is for: at most 200 characters, shown in lists.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who creates the key (default: the user's name). A running gateway records the name of the token instead.
    #[arg(long, value_name = "NAME", conflicts_with = "at")]
    created_by: Option<String>,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Write its records to the store of this host; without it and --at, they are printed so that you can write them yourself.
    #[arg(long, value_enum, value_name = "HOST", conflicts_with = "at")]
    to: Option<Place>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    at: AtArgs,
    /// The output format: the key alone, or a JSON object of key, id and records.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Revoke a key: its record is kept and marked as revoked. It takes effect within 30 seconds plus the store's delay.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    group = ArgGroup::new("which").required(true).args(["key_id", "digest"]),
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
struct RevokeArgs {
    /// The public id, as shown in logs: key- and 12 hexadecimal digits.
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// The SHA-256 of the key: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
    #[command(flatten)]
    gateway: GatewayArgs,
    /// The host whose store contains its record.
    #[arg(long, value_enum, value_name = "HOST")]
    to: Option<Place>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    at: AtArgs,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Refuses options of another place than the one that is named: they would be ignored in silence.
///
/// The conflicts are needed too: an argument that conflicts with a given one is not missed where it is required.
fn of_place(arg: Arg) -> Arg {
    match arg.get_id().as_str() {
        "token_file" | "ca" | "plain_http" => arg.requires("at").conflicts_with_all(["to", "gateway", "project"]),
        "store" | "binding" | "local" | "remote" => arg.requires("to").conflicts_with("at"),
        "gateway" | "project" => arg.conflicts_with("at"),
        _ => arg,
    }
}

/// The gateway of the key.
#[derive(Debug, Args)]
struct GatewayArgs {
    /// The gateway's name (default: that of the project)
    #[arg(long, value_name = "NAME", conflicts_with = "project", value_parser = gateway_name)]
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
    let request = request(args)?;
    if args.at.at.is_some() {
        return new_at(args, &request);
    }
    let target = args.to.map(|place| Target::existing(place, &args.store)).transpose()?;
    let gateway = gateway_of(args, target.as_ref())?;
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::problem(format!("the random source of the system is not available: {error}")))?;
    let creation = Creation { at: now(), by: args.created_by.clone().or_else(user) };
    let (key, credential) = request.issue(&random, creation).map_err(|problem| Failure::usage(problem.detail))?;
    let records = credential_records(&gateway, &key.digest(), &credential);
    if let Some(target) = &target {
        target.put(&records)?;
    }
    let readable = records.map(|(key, value)| (key, String::from_utf8_lossy(&value).into_owned()));
    if args.output == Output::Json {
        let records: Vec<Value> = readable.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let answer = json!({"key": key.expose(), "id": credential.id, "records": records});
        terminal::print(&format!("{answer:#}\n"));
        return Ok(());
    }
    terminal::print(&format!("{}\n", key.expose()));
    terminal::note(&format!("{} of {}; the key is not shown again", credential.id, credential.consumer));
    match target {
        Some(target) => terminal::note(&format!("its records are in {}", target.name())),
        None => {
            let shown = readable.map(|(key, value)| format!("  key    {key}\n  value  {value}"));
            terminal::message(&format!("the records to publish:\n{}", shown.join("\n")));
        }
    }
    Ok(())
}

/// The gateway of a new key, which exists as far as can be known, as does the key's plan.
fn gateway_of(args: &NewArgs, target: Option<&Target>) -> Result<String, Failure> {
    let (gateway, plans) = match &args.gateway.gateway {
        Some(name) => (name.clone(), None),
        None => {
            let compiled = Project::at(&args.gateway.project).compiled_for_any()?;
            (compiled.gateway().to_owned(), Some(Plans::of(compiled.plans())))
        }
    };
    if let Some(target) = target {
        target.pointer(&gateway)?;
    }
    match (&args.plan, target, plans) {
        (Some(plan), Some(target), plans) => plans.unwrap_or_default().check(plan, target, &gateway)?,
        (Some(plan), None, Some(plans)) if !plans.has(plan) => return Err(plans.unknown(plan, &gateway)),
        // Records that are only printed may be for a gateway that is not published yet.
        (Some(_), None, Some(_) | None) | (None, _, _) => {}
    }
    Ok(gateway)
}

/// Has a running gateway issue the key.
fn new_at(args: &NewArgs, request: &KeyRequest) -> Result<(), Failure> {
    let gateway = args.at.gateway()?;
    let issued: IssuedKey = gateway.send(Resource::NewKey, "", Some(request))?;
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(issued))),
        Output::Text => {
            terminal::print(&format!("{}\n", issued.key));
            let KeyView { id, consumer, .. } = &issued.view;
            terminal::note(&format!("{id} of {consumer} at {}; the key is not shown again", gateway.name()));
        }
    }
    Ok(())
}

/// What is asked for, checked as a running gateway checks it.
fn request(args: &NewArgs) -> Result<KeyRequest, Failure> {
    let request = KeyRequest {
        consumer: args.consumer.clone(),
        plan: args.plan.clone(),
        scopes: args.scopes.clone(),
        groups: args.groups.clone(),
        environment: args.env.clone(),
        not_before: args.not_before,
        expires: args.expires,
        restrictions: Restrictions {
            addresses: Networks::from(args.addresses.clone()),
            hosts: args.hosts.clone(),
            referrers: args.referrers.clone(),
        },
        note: args.note.clone(),
    };
    request.check().map_err(Failure::usage)?;
    for scope in request.scopes.iter().filter(|scope| is_scope_pattern(scope)) {
        terminal::note(&format!("`{scope}` is one scope as it is written; `--scope` is given once for each scope"));
    }
    // A running gateway compares it with its own clock.
    if args.at.at.is_none() {
        request.check_expiry(now()).map_err(Failure::usage)?;
    }
    Ok(request)
}

fn revoke(args: &RevokeArgs) -> Result<(), Failure> {
    let digest = digest_prefix(args)?;
    let Some(place) = args.to else { return revoke_at(args) };
    let gateway = args.gateway.name()?;
    let target = Target::existing(place, &args.store)?;
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

/// Has a running gateway revoke the key.
fn revoke_at(args: &RevokeArgs) -> Result<(), Failure> {
    let gateway = args.at.gateway()?;
    let named = args.key_id.as_deref().or(args.digest.as_deref()).unwrap_or_default();
    let view: KeyView = gateway.send(Resource::RevokeKey, named, NOTHING)?;
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(view))),
        Output::Text => terminal::note(&format!("{} of {} is revoked at {}", view.id, view.consumer, gateway.name())),
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
        self.gateway.clone().map_or_else(|| Project::at(&self.project).gateway(), Ok)
    }
}

/// The name of the system's user, if the environment has it.
fn user() -> Option<String> {
    ["USER", "LOGNAME", "USERNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
}

/// The current time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Parses a time from the command line.
pub(crate) fn timestamp(text: &str) -> Result<Timestamp, String> {
    Timestamp::from_rfc3339(text).ok_or_else(|| "write a time like 2026-01-31T23:59:50Z".to_owned())
}
