//! `tollgate dev`: runs a project on any host and follows its edits.

mod banner;
mod echo;
mod follow;
mod launched;
mod launcher;
mod native;
mod snapshot;
mod start;
mod store;
mod watch;
mod workspace;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tollgate_core::operator::Role;
use tollgate_core::secret::Secret;

use crate::at::DevToken;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::terminal;
use echo::Echo;
use snapshot::Snapshot;
pub(crate) use start::{DRAINING, StopSignal, explain_start};
use watch::Watch;

/// Run a project on this machine and follow its edits.
///
/// An edit takes effect within a second and drops no request; an edit with an error is reported, and the last valid
/// configuration stays active. Keys of dev/fixtures.yaml are stored. Secrets that the project refers to as
/// ${secret.NAME} are read from the environment variables TOLLGATE_SECRET_NAME.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate dev
  tollgate dev shop --port 9000
  tollgate dev shop --on cloudflare
  TOLLGATE_SECRET_PETS_TOKEN=s3cret tollgate dev shop --on spin")]
pub(crate) struct DevArgs {
    /// The project's folder (default: the current folder, or the quickstart)
    pub(crate) project: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: DevOptions,
}

/// The options for running a project.
#[derive(Clone, Debug, Args)]
pub(crate) struct DevOptions {
    #[command(flatten)]
    pub(crate) env: EnvArgs,
    /// The port to serve on, at 127.0.0.1; 0 takes any free port.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// The port of health and metrics, native only (default: the port after --port)
    #[arg(long, value_name = "PORT")]
    admin_port: Option<u16>,
    /// The host to run on. The hosts of Cloudflare and Spin are built if necessary, which needs a clone of Tollgate.
    #[arg(long, value_enum, value_name = "HOST", default_value_t = On::Native)]
    on: On,
    /// A file that keeps the records (native only) (default: in memory)
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
    /// Another port for the echo upstream, to which upstreams at http://127.0.0.1:8082 are redirected; 0 takes any.
    #[arg(long, value_name = "PORT")]
    echo_port: Option<u16>,
    /// Start no echo upstream: http://127.0.0.1:8082 is your own server.
    #[arg(long, conflicts_with = "echo_port")]
    no_echo: bool,
}

/// The hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum On {
    Native,
    Cloudflare,
    Spin,
}

/// The values that every host is started with.
struct Session {
    project: Project,
    options: DevOptions,
    snapshot: Snapshot,
    echo: Option<Echo>,
    watch: Watch,
    token: DevToken,
}

/// Runs until it is stopped.
pub(crate) fn run(project: Project, options: DevOptions) -> Result<(), Failure> {
    let project = &project.in_environment(&options.env);
    if options.store.is_some() && options.on != On::Native {
        return Err(Failure::usage("--store can only be used with --on native"));
    }
    if options.admin_port.is_some() && options.on != On::Native {
        return Err(Failure::usage("--admin-port can only be used with --on native"));
    }
    let load = |echo| {
        let (snapshot, inputs) = Snapshot::load(project, echo);
        snapshot.map(|snapshot| (snapshot, inputs)).map_err(|found| project.refuse(&found))
    };
    let (mut snapshot, mut inputs) = load(None)?;
    // Checked before anything is built or started.
    start::check_free(options.address(), "--port")?;
    let echo = echo(&snapshot, &options)?;
    if let Some(address) = echo.as_ref().and_then(Echo::moved_to) {
        (snapshot, inputs) = load(Some(address))?;
    }
    let watch = Watch::of(project, inputs);
    snapshot.report_warnings();
    let token = DevToken::new()?;
    report_faulty_secrets(&snapshot, options.on, &secrets(&token));
    let session = Session { project: project.clone(), options, snapshot, echo, watch, token };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| Failure::problem(format!("the event queue of the system cannot be created: {error}")))?;
    runtime.block_on(async {
        match session.options.on {
            On::Native => native::run(session).await,
            On::Cloudflare | On::Spin => launched::run(session).await,
        }
    })
}

/// The echo upstream, if the project uses it.
fn echo(snapshot: &Snapshot, options: &DevOptions) -> Result<Option<Echo>, Failure> {
    if options.no_echo || !snapshot.calls_echo() {
        return Ok(None);
    }
    Echo::start(options.echo_port).map(Some)
}

impl DevOptions {
    fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    fn admin_address(&self) -> SocketAddr {
        let next = if self.port == 0 { 0 } else { self.port.checked_add(1).unwrap_or(0) };
        loopback(self.admin_port.unwrap_or(next))
    }
}

impl On {
    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Cloudflare => "cloudflare",
            Self::Spin => "spin",
        }
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Tells which secrets the environment does not have, or not as they have to be: otherwise the first request that needs one is a surprise.
fn report_faulty_secrets(snapshot: &Snapshot, on: On, given: &BTreeMap<String, Secret>) {
    for (name, why, places) in snapshot.faulty_secrets(on == On::Native, |name| given.get(name).cloned()) {
        terminal::message(&format!(
            "warning: the secret {name} {why}: {}. Set TOLLGATE_SECRET_{name} and start again",
            places.join(", ")
        ));
    }
}

/// The secrets from environment variables, by name, and the token of this server.
fn secrets(token: &DevToken) -> BTreeMap<String, Secret> {
    let of_ours = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        let name = name.to_str()?;
        let is_bound = Role::ALL.iter().any(|role| role.secret_name() == name);
        let name = if is_bound { name } else { name.strip_prefix("TOLLGATE_SECRET_")? };
        Some((name.to_owned(), value.into_string().ok()?))
    };
    let mut secrets: BTreeMap<String, String> = std::env::vars_os().filter_map(of_ours).collect();
    let bound = secrets.entry(Role::Operate.secret_name().to_owned()).or_default();
    *bound = format!("{bound} {}", token.bound()).trim_start().to_owned();
    secrets.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
}
