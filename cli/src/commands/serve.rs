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

/// Serve what was published to a store, with the native host.
///
/// New configuration, keys, revocations and purges are picked up from the store while it runs. SIGTERM or Ctrl-C ends it:
/// open requests are finished first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate publish shop --to native --store shop.db
  tollgate serve --store shop.db --gateway shop
  tollgate serve --store shop.db --gateway shop --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem \\
      --admin 127.0.0.1:9901

Secrets that a project names as ${secret.NAME} are the environment's TOLLGATE_SECRET_NAME, or files of --secrets.")]
pub(crate) struct ServeArgs {
    /// The store that `tollgate publish --to native` wrote.
    #[arg(long, value_name = "PATH")]
    store: PathBuf,
    /// The gateway's name.
    #[arg(long, value_name = "NAME")]
    gateway: String,
    /// The address to listen at; repeatable.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Vec<SocketAddr>,
    /// An address whose callers are inside, and are answered on `gateway.internal-hosts`; repeatable. Other clients must
    /// not reach it.
    #[arg(long, value_name = "ADDRESS")]
    internal_listen: Vec<SocketAddr>,
    /// The address of metrics, health and purges; none where it is left out. Clients must not reach it.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// A file with the bearer token that metrics and purges ask for; required where --admin is no loopback address.
    #[arg(long, value_name = "FILE", requires = "admin")]
    admin_token_file: Option<PathBuf>,
    /// A PEM file: the certificate to speak TLS with, followed by those up to its authority.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A PEM file: the certificate's private key.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Isolates, each a thread; as many as there are cores where it is left out.
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// The file that keeps the counters of limits over a restart; beside the store, as STORE.counters.db, where it is
    /// left out.
    #[arg(long, value_name = "PATH")]
    counters: Option<PathBuf>,
    /// A folder with a file for each secret, instead of the environment.
    #[arg(long, value_name = "FOLDER")]
    secrets: Option<PathBuf>,
    /// A PEM file of authorities that upstreams are trusted by, besides the system's.
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// Seconds that open requests may take once it is told to end.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

pub(crate) fn run(args: ServeArgs) -> Result<(), Failure> {
    if !keys::is_gateway_name(&args.gateway) {
        return Err(Failure::usage("--gateway is 1 to 40 small letters, figures and hyphens, beginning with a letter"));
    }
    let store = RecordStore::open(&args.store).map_err(Failure::problem)?;
    warn_unpublished(&store, &args);
    let admin = args.admin.map(|address| (address, "--admin"));
    let public = args.listen.len();
    let server =
        Server::builder(settings(args)?, store).bind().map_err(|error| explain_start(&error, "--listen", admin))?;
    for (place, address) in server.addresses().iter().enumerate() {
        let whom = if place < public { "" } else { " for callers inside" };
        terminal::note(&format!("listening on {address}{whom}"));
    }
    if let Some(admin) = server.admin_address() {
        terminal::note(&format!("metrics, health and purges on http://{admin}"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .map_err(|error| Failure::problem(format!("the system gives no event queue: {error}")))?;
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

/// The token in a file; its last line end is dropped.
pub(super) fn token(file: &Path) -> Result<Secret, Failure> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Failure::problem(format!("{}: {error}", file.display())))?;
    let token = text.trim_end_matches(['\n', '\r']);
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
        let why = "holds no token: one line of visible ASCII characters is expected";
        return Err(Failure::problem(format!("{} {why}", file.display())));
    }
    Ok(Secret::new(token.to_owned()))
}

fn warn_unpublished(store: &RecordStore, args: &ServeArgs) {
    if matches!(store.read(&keys::active(&args.gateway)), Ok(None)) {
        let (store, gateway) = (args.store.display(), &args.gateway);
        terminal::tell(&format!(
            "warning: {store} holds nothing for gateway {gateway}: requests are answered 503 until it is published \
             (tollgate publish PROJECT --to native --store {store})"
        ));
    }
}
