//! `tollgate key new`.

use clap::Args;
use serde_json::{Value, json};
use tollgate_config::is_scope_pattern;
use tollgate_core::authn::{OriginPattern, Restrictions};
use tollgate_core::guard::{Cidr, Networks};
use tollgate_core::operator::{Creation, IssuedKey, KeyRequest, KeyView, Resource};
use tollgate_core::route::HostPattern;
use tollgate_core::time::Timestamp;
use tollgate_kv_schemas::credential_records;

use super::{GatewayArgs, now, of_place, random, timestamp, user};
use crate::at::AtArgs;
use crate::commands::Output;
use crate::commands::entitlements::published;
use crate::failure::Failure;
use crate::target::{Place, Plans, StoreArgs, Target};
use crate::terminal;

/// Create a key: it is shown once, on standard output; its record contains only its digest.
#[derive(Debug, Args)]
#[command(
    mut_args(of_place),
    after_help = "\
Examples:
  tollgate key new --consumer acme --plan gold --gateway shop --to native --store shop.db
  tollgate key new --consumer acme --scope pets.read --scope pets.write --expires 2027-01-01T00:00:00Z
  tollgate key new --consumer acme --limit burst=5/s:10 --limit monthly=1000 --gateway shop --to native --store shop.db
  tollgate key new --consumer acme --at https://api.example.com --token-file token
  KEY=$(tollgate key new --consumer ci --gateway shop --to spin)"
)]
pub(super) struct NewArgs {
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
    /// The number of a limit for this key, repeatable: NAME=COUNT; of a rate also NAME=COUNT/PERIOD or NAME=COUNT/PERIOD:BURST. Only of limits with
    /// `at-most`, and no more than that.
    #[arg(long = "limit", value_name = "NAME=NUMBER")]
    limits: Vec<String>,
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

pub(super) fn run(args: &NewArgs) -> Result<(), Failure> {
    let request = request(args)?;
    if args.at.at.is_some() {
        return new_at(args, &request);
    }
    let target = args.to.map(|place| Target::existing(place, &args.store)).transpose()?;
    let gateway = gateway_of(args, target.as_ref())?;
    if !request.limits.is_empty() {
        check_limits(args, &request, target.as_ref(), &gateway)?;
    }
    let creation = Creation { at: now(), by: args.created_by.clone().or_else(user) };
    let (key, credential) =
        request.issue(&random()?, creation).map_err(|problem| Failure::usage(problem.into_parts().detail))?;
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
            let compiled = args.gateway.project()?.compiled_for_any()?;
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

/// Checks that the configuration lets records change the limits so far: that of the store, or of the project that names the gateway.
fn check_limits(args: &NewArgs, request: &KeyRequest, target: Option<&Target>, gateway: &str) -> Result<(), Failure> {
    let settings = match (target, &args.gateway.gateway) {
        (Some(target), _) => published(target, gateway)?.gateway,
        (None, None) => args.gateway.project()?.compiled_for_any()?.settings().clone(),
        // Records that are only printed may be for a gateway that is not published yet.
        (None, Some(_)) => return Ok(()),
    };
    let checked = request.check_limits(gateway, settings.entitled.as_ref());
    checked.map_err(|problem| Failure::problem(problem.into_parts().detail))
}

/// Has a running gateway issue the key.
fn new_at(args: &NewArgs, request: &KeyRequest) -> Result<(), Failure> {
    let gateway = args.at.gateway()?;
    let issued: IssuedKey = gateway.send(Resource::NewKey, "", Some(request))?;
    match args.output {
        Output::Json => terminal::print(&format!("{:#}\n", json!(issued))),
        Output::Text => {
            terminal::print(&format!("{}\n", issued.key.unwrap_or_default()));
            let KeyView { id, consumer, .. } = issued.view;
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
        limits: args.limits.clone(),
        note: args.note.clone(),
        sha256: None,
        fingerprint: None,
        identity: None,
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
