//! `tollgate key`: the life of API keys.

mod audit;
mod csv;
pub(crate) mod identity;
mod import;
mod list;
mod new;
mod password;
pub(super) mod place;
mod revoke;
mod rotate;
mod scan;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Arg, Args, Subcommand};
use tollgate_config::Compiled;
use tollgate_core::operator::{KEY_KINDS, KeyRequest};
use tollgate_core::time::Timestamp;

use super::entitlements::published;
use super::gateway_name;
use crate::at::AtArgs;
use crate::failure::Failure;
use crate::project::Project;
use crate::target::{Place, Plans, StoreArgs, Target};
use place::Keys;

/// Create, list, rotate and revoke API keys.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate key new --consumer acme --plan gold --at https://api.example.com --token-file token
  tollgate key new --consumer acme --plan gold --to native --store shop.db
  tollgate key list --consumer acme --at https://api.example.com --token-file token
  tollgate key rotate --key-id key-0123456789ab --overlap 7d --at https://api.example.com --token-file token
  tollgate key revoke --key-id key-0123456789ab --gateway shop --to native --store shop.db")]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    New(Box<new::NewArgs>),
    Import(Box<import::ImportArgs>),
    Password(password::PasswordArgs),
    List(list::ListArgs),
    Show(list::ShowArgs),
    Rotate(rotate::RotateArgs),
    Revoke(revoke::RevokeArgs),
    Audit(Box<audit::AuditArgs>),
}

/// Which key.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct WhichArgs {
    /// The public id, as shown in logs: key- and 12 hexadecimal digits; of a registered certificate cert- and 12 digits.
    #[arg(long, value_name = "ID", value_parser = key_id)]
    key_id: Option<String>,
    /// The SHA-256 of the key, or the fingerprint of the certificate: 64 hexadecimal digits.
    #[arg(long, value_name = "HEX", value_parser = digest)]
    digest: Option<String>,
}

/// Where the keys are: at a running gateway, or in the store of a host.
#[derive(Debug, Args)]
pub(super) struct KeysArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// The host whose store contains the records (default: the running gateway of --at, or of `tollgate dev`).
    #[arg(long, value_enum, value_name = "HOST", conflicts_with = "at")]
    to: Option<Place>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    at: AtArgs,
}

/// Refuses options of another place than the one that is named: they would be ignored in silence.
///
/// The conflicts are needed too: an argument that conflicts with a given one is not missed where it is required.
pub(super) fn of_place(arg: Arg) -> Arg {
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
        KeyCommand::New(args) => new::run(args),
        KeyCommand::Import(args) => import::run(args),
        KeyCommand::Password(_) => password::run(),
        KeyCommand::List(args) => list::run(args),
        KeyCommand::Show(args) => list::show(args),
        KeyCommand::Rotate(args) => rotate::run(args),
        KeyCommand::Revoke(args) => revoke::run(args),
        KeyCommand::Audit(args) => audit::run(args),
    }
}

impl WhichArgs {
    /// The id or the digest.
    fn name(&self) -> &str {
        self.key_id.as_deref().or(self.digest.as_deref()).unwrap_or_default()
    }
}

impl KeysArgs {
    /// The gateway that the command line names.
    pub(super) fn named_gateway(&self) -> Option<&str> {
        self.gateway.gateway.as_deref()
    }

    pub(super) fn open(&self) -> Result<Keys<'_>, Failure> {
        let Some(place) = self.to else { return self.at.gateway().map(Keys::Running) };
        let gateway = self.gateway.name()?;
        Ok(Keys::Stored { target: Target::existing(place, &self.store)?, gateway })
    }
}

impl KeysArgs {
    /// The project of the gateway, unless the command line names the gateway in another way. One that is not valid is not looked at.
    fn known_project(&self) -> Option<Compiled> {
        if self.at.at.is_some() || self.gateway.gateway.is_some() {
            return None;
        }
        self.gateway.project().ok()?.compiled_for_any().ok()
    }

    /// Checks that the gateway has the plans, as far as can be known; a running gateway checks them itself.
    fn check_plans(&self, keys: &Keys<'_>, requests: &[KeyRequest]) -> Result<(), Failure> {
        let Keys::Stored { target, gateway } = keys else { return Ok(()) };
        let plans: BTreeSet<&String> = requests.iter().filter_map(|request| request.plan.as_ref()).collect();
        for plan in plans {
            self.gateway.plans()?.check(plan, target, gateway)?;
        }
        Ok(())
    }
}

impl KeysArgs {
    /// Checks that the published configuration lets records change the limits so far; a running gateway checks them itself.
    fn check_limits(&self, keys: &Keys<'_>, requests: &[KeyRequest]) -> Result<(), Failure> {
        let Keys::Stored { target, gateway } = keys else { return Ok(()) };
        if requests.iter().all(|request| request.limits.is_empty()) {
            return Ok(());
        }
        let settings = published(target, gateway)?.gateway;
        let check = |request: &KeyRequest| request.check_limits(gateway, settings.entitled.as_ref());
        requests.iter().try_for_each(check).map_err(|problem| Failure::problem(problem.into_parts().detail))
    }
}

impl GatewayArgs {
    fn name(&self) -> Result<String, Failure> {
        self.gateway.clone().map_or_else(|| self.project()?.gateway(), Ok)
    }

    /// The project that names the gateway.
    fn project(&self) -> Result<Project, Failure> {
        let project = Project::at(&self.project);
        if project.exists() {
            return Ok(project);
        }
        Err(Failure::problem(format!("{}; or name the gateway with --gateway NAME", project.why_missing())))
    }

    /// The plans of the project that names the gateway; none if the command line names it.
    fn plans(&self) -> Result<Plans, Failure> {
        if self.gateway.is_some() {
            return Ok(Plans::default());
        }
        Ok(Plans::of(self.project()?.compiled_for_any()?.plans()))
    }
}

fn key_id(text: &str) -> Result<String, &'static str> {
    let digits = KEY_KINDS.iter().find_map(|kind| text.strip_prefix(kind));
    let is_id = digits.is_some_and(|digits| is_hex(digits, 12));
    is_id
        .then(|| text.to_owned())
        .ok_or("it is `key-`, `cert-` or `link-` and 12 hexadecimal digits, as shown in logs and lists")
}

/// Also with colons, as `openssl` prints the fingerprint of a certificate.
fn digest(text: &str) -> Result<String, &'static str> {
    let digits = text.replace(':', "").to_ascii_lowercase();
    is_hex(&digits, 64).then_some(digits).ok_or("it is 64 hexadecimal digits: the SHA-256 of the key or certificate")
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Random bytes of the system.
pub(super) fn random() -> Result<[u8; 32], Failure> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::problem(format!("the random source of the system is not available: {error}")))?;
    Ok(random)
}

/// The name of the system's user, if the environment has it.
pub(super) fn user() -> Option<String> {
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
    Timestamp::from_rfc3339(text).ok_or_else(|| {
        "write a time with its time zone, like 2026-01-31T23:59:50Z; the beginning of a day in UTC is 2026-01-31T00:00:00Z".to_owned()
    })
}
