//! `tollgate serve`: the native host in production.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tollgate_core::secret::Secret;
use tollgate_edge::Freshness;
use tollgate_kv_schemas::keys;
use tollgate_native::{AdminSettings, Listen, RecordStore, SecretSource, Server, Settings, TlsFiles};

use crate::dev::{DRAINING, StopSignal, explain_start};
use crate::failure::Failure;
use crate::terminal;

/// Serve a published gateway from a store, with the native host.
///
/// New configuration, keys, revocations and purges are read from the store while it runs. SIGTERM or Ctrl-C stops it;
/// open requests are finished first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate publish shop --to native --store shop.db
  tollgate serve --store shop.db --gateway shop
  tollgate serve --store shop.db --gateway shop --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem \\
      --admin 127.0.0.1:9901

Secrets that a project refers to as ${secret.NAME} are read from the environment variables TOLLGATE_SECRET_NAME, or from
the files of --secrets.")]
pub(crate) struct ServeArgs {
    /// The store that `tollgate publish --to native` wrote.
    #[arg(long, value_name = "PATH")]
    store: PathBuf,
    /// The gateway's name.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The address to listen on; repeatable.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Vec<SocketAddr>,
    /// An address for internal callers, who are also answered on `gateway.internal-hosts`; repeatable. Other clients
    /// must not be able to reach it.
    #[arg(long, value_name = "ADDRESS")]
    internal_listen: Vec<SocketAddr>,
    /// The address of metrics, health and purges (default: none). Clients must not be able to reach it.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// A file with the bearer token for metrics and purges; required unless --admin is a loopback address.
    #[arg(long, value_name = "FILE", requires = "admin")]
    admin_token_file: Option<PathBuf>,
    /// A PEM file with the TLS certificate, followed by its chain up to the certificate authority.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A PEM file with the private key of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The number of isolates, each of which is a thread (default: one per core)
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// The file that keeps the counters of limits across restarts (default: next to the store, STORE.counters.db)
    #[arg(long, value_name = "PATH")]
    counters: Option<PathBuf>,
    /// A folder with a file for each secret, instead of the environment.
    #[arg(long, value_name = "FOLDER")]
    secrets: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust for upstreams, in addition to the system's.
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Seconds that open requests may take after the host is asked to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

pub(crate) fn run(args: ServeArgs) -> Result<(), Failure> {
    if !keys::is_gateway_name(&args.gateway) {
        return Err(Failure::usage(
            "--gateway is 1 to 40 lower-case letters, digits and hyphens, beginning with a letter",
        ));
    }
    let store = RecordStore::open(&args.store).map_err(Failure::problem)?;
    warn_unpublished(&store, &args);
    let admin = args.admin.map(|address| (address, "--admin"));
    let public = args.listen.len();
    let server =
        Server::builder(settings(args)?, store).bind().map_err(|error| explain_start(&error, "--listen", admin))?;
    for (place, address) in server.addresses().iter().enumerate() {
        let whom = if place < public { "" } else { " for internal callers" };
        terminal::note(&format!("listening on {address}{whom}"));
    }
    if let Some(admin) = server.admin_address() {
        terminal::note(&format!("metrics, health and purges on http://{admin}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| Failure::problem(format!("the event queue of the system cannot be created: {error}")))?;
    runtime.block_on(async {
        let stop = StopSignal::listen()?;
        server.run(stop.wait(DRAINING)).await.map_err(Failure::problem)
    })
}

fn settings(args: ServeArgs) -> Result<Settings, Failure> {
    let admin = args.admin.map(|address| admin(address, args.admin_token_file.as_deref())).transpose()?;
    let tls = args.tls_cert.zip(args.tls_key).map(|(certificate, key)| TlsFiles { certificate, key });
    let listen = |inside: bool| move |address: &SocketAddr| (*address, inside);
    let addresses = args.listen.iter().map(listen(false)).chain(args.internal_listen.iter().map(listen(true)));
    let listen = addresses.map(|(address, inside)| Listen { address, tls: tls.clone(), inside });
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = Settings::new(args.gateway, any);
    settings.listen = listen.collect();
    settings.isolates = args.workers;
    settings.freshness = Freshness::Behind;
    settings.counters_file = Some(args.counters.unwrap_or_else(|| args.store.with_extension("counters.db")));
    settings.secrets = args.secrets.map_or(SecretSource::Environment, SecretSource::Folder);
    settings.upstream_authorities = args.upstream_ca;
    settings.admin = admin;
    settings.grace = Duration::from_secs(args.grace);
    Ok(settings)
}

fn admin(address: SocketAddr, token_file: Option<&Path>) -> Result<AdminSettings, Failure> {
    let token = token_file.map(token).transpose()?;
    if token.is_none() && !address.ip().is_loopback() {
        return Err(Failure::usage(format!(
            "--admin {address} can be reached from outside: give it --admin-token-file"
        )));
    }
    Ok(AdminSettings { address, token })
}

/// The token in a file, without the line break at its end.
pub(super) fn token(file: &Path) -> Result<Secret, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::problem(format!("{}: {error}", file.display())))?;
    let token = text.trim_end_matches(['\n', '\r']);
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let why = "contains no token: one line of visible ASCII characters is expected";
        return Err(Failure::problem(format!("{} {why}", file.display())));
    }
    Ok(Secret::new(token.to_owned()))
}

fn warn_unpublished(store: &RecordStore, args: &ServeArgs) {
    if matches!(store.read(&keys::active(&args.gateway)), Ok(None)) {
        let (store, gateway) = (args.store.display(), &args.gateway);
        terminal::message(&format!(
            "warning: {store} has no configuration for gateway {gateway}: requests are answered 503 until it is published \
             (tollgate publish PROJECT --to native --store {store})"
        ));
    }
}
