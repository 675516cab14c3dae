//! `tollgate serve`: the native host in production.

mod certificates;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tollgate_core::operator::{Place as OperatorPlace, Prefix, Role, Tokens};
use tollgate_core::route::HostName;
use tollgate_edge::Freshness;
use tollgate_edge::OperatorSettings;
use tollgate_kv_schemas::keys;
use tollgate_native::{
    AdminSettings, ClientAuthorities, Listen, RecordStore, RedisAddress, RedisSettings, SecretSource, Server, Settings,
    TlsFiles,
};

use super::gateway_name;
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
  tollgate serve --store shop.db --gateway shop --listen 0.0.0.0:443 --tls-cert chain.pem --tls-key key.pem \\
      --tls-client-ca devices-ca.pem --tls-client-crl devices.crl
  tollgate serve --store shop.db --gateway shop --counters 'rediss://tollgate:${secret.REDIS}@cache.internal:6379'

The files of TLS are read again within a second after they change. Open connections go on, except those of clients whose
certificates are no longer accepted.

Secrets that a project refers to as ${secret.NAME} are read from the environment variables TOLLGATE_SECRET_NAME, or from
the files of --secrets. Certificates that the gateway presents to upstreams are secrets too, and are read again every 5 seconds.
The operator endpoint answers if a token is bound: TOLLGATE_OPERATOR_READ, TOLLGATE_OPERATOR_PURGE and
TOLLGATE_OPERATOR_OPERATE in the environment, or files of these names in --secrets (docs/operator.md).")]
pub(crate) struct ServeArgs {
    /// The store that `tollgate publish --to native` wrote.
    #[arg(long, value_name = "PATH")]
    store: PathBuf,
    /// The gateway's name.
    #[arg(long, value_name = "NAME", value_parser = gateway_name)]
    gateway: String,
    /// The address to listen on; repeatable.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: Vec<SocketAddr>,
    /// An address for internal callers, who are also answered on `gateway.internal-hosts`; repeatable. Other clients
    /// must not be able to reach it.
    #[arg(long, value_name = "ADDRESS")]
    internal_listen: Vec<SocketAddr>,
    /// The address of health, metrics and the operator endpoint (default: none). Clients must not be able to reach it. An
    /// address that is not loopback needs a bound token.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// The operator endpoint also answers at the addresses of --listen, below this path of every host name, such as
    /// /.tollgate.
    #[arg(long, value_name = "PATH")]
    operator_path: Option<Prefix>,
    /// The operator endpoint also answers at the addresses of --listen, at this host name; nothing else answers there.
    #[arg(long, value_name = "NAME", value_parser = host_name)]
    operator_host: Option<HostName>,
    /// A PEM file with the TLS certificate, followed by its chain up to the certificate authority.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A PEM file with the private key of the certificate.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A PEM file with the certificates of the authorities whose client certificates are accepted (mutual TLS). Policies of
    /// kind client-certificate decide who may call which route.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// A PEM file with lists of revoked client certificates (CRL), one for each authority; repeatable. With it, a certificate
    /// whose authority has no current list is refused.
    #[arg(long, value_name = "FILE", requires = "tls_client_ca")]
    tls_client_crl: Vec<PathBuf>,
    /// Refuse clients without a certificate in the TLS handshake, for all routes.
    #[arg(long, requires = "tls_client_ca")]
    tls_client_required: bool,
    /// The number of isolates, each of which is a thread (default: one per core)
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// The file that keeps the counters of limits across restarts (default: next to the store, STORE.counters.db), or the
    /// Redis server that several gateways share: redis://HOST:PORT, rediss:// with TLS, redis-cluster:// and rediss-cluster://
    /// with some nodes, such as rediss://tollgate:${secret.REDIS}@cache.internal:6379. A file is locked: a second process of the
    /// same gateway waits 5 seconds for the first one to end, and then fails.
    #[arg(long, value_name = "PATH|URL")]
    counters: Option<String>,
    /// A PEM file of the certificate authorities to trust for the Redis server, in place of the system's.
    #[arg(long, value_name = "FILE", requires = "counters")]
    counters_ca: Option<PathBuf>,
    /// A folder with a file for each secret, instead of the environment.
    #[arg(long, value_name = "FOLDER")]
    secrets: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust for upstreams, in addition to the system's.
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// The maximum number of connections from clients. Beyond it, those that are idle longest are closed for new ones.
    #[arg(long, value_name = "N", default_value = "16384")]
    connections: NonZeroUsize,
    /// The maximum number of connections from one address, or from one /64 network of IPv6. Raise it if a load balancer in
    /// front keeps more. What the streams of a client can hold is bounded by --exchanges and --exchanges-per-client, not by
    /// this.
    #[arg(long, value_name = "N", default_value = "4096")]
    connections_per_client: NonZeroUsize,
    /// The maximum number of requests that are handled at once; others are answered 503, or refused if their client
    /// leaves 1,024 such answers unread.
    #[arg(long, value_name = "N", default_value = "16384")]
    exchanges: NonZeroUsize,
    /// The maximum number of requests of one client (an address, or a /64 network of IPv6) that are handled at once; others are
    /// answered 429. The client is the one that gateway.trusted-proxies name.
    #[arg(long, value_name = "N", default_value = "4096")]
    exchanges_per_client: NonZeroUsize,
    /// Seconds that open requests may take after the host is asked to stop.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,
}

pub(crate) fn run(args: ServeArgs) -> Result<(), Failure> {
    let store = RecordStore::open(&args.store).map_err(Failure::problem)?;
    warn_unpublished(&store, &args);
    let admin = args.admin.map(|address| (address, "--admin"));
    let public = args.listen.len();
    let settings = settings(args)?;
    certificates::warn(&store, &settings.gateway, &settings.secrets);
    let operator = settings.operator.clone();
    let server = Server::builder(settings, store).bind().map_err(|error| explain_start(&error, "--listen", admin))?;
    for (place, address) in server.addresses().iter().enumerate() {
        let whom = if place < public { "" } else { " for internal callers" };
        terminal::note(&format!("listening on {address}{whom}"));
    }
    if let Some(admin) = server.admin_address() {
        terminal::note(&format!("health, metrics and the operator endpoint on http://{admin}"));
    }
    if operator.answers {
        terminal::note(&claimed(&operator.place));
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
    let secrets = secrets(args.secrets.as_deref())?;
    let tokens = tokens(&secrets)?;
    let answers = args.operator_path.is_some() || args.operator_host.is_some();
    check_bound(&args, answers, &tokens, &secrets)?;
    let counters = counters(args.counters, args.counters_ca, &args.store)?;
    let admin = args.admin.map(|address| AdminSettings { address, open_metrics: false });
    let place = OperatorPlace { prefix: args.operator_path.unwrap_or_default(), host: args.operator_host };
    let clients = args.tls_client_ca.map(|authorities| ClientAuthorities {
        authorities,
        revocations: args.tls_client_crl,
        required: args.tls_client_required,
    });
    let tls = args.tls_cert.zip(args.tls_key).map(|(certificate, key)| TlsFiles { certificate, key, clients });
    let listen = |inside: bool| move |address: &SocketAddr| (*address, inside);
    let addresses = args.listen.iter().map(listen(false)).chain(args.internal_listen.iter().map(listen(true)));
    let listen = addresses.map(|(address, inside)| Listen { address, tls: tls.clone(), inside });
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut settings = Settings::new(args.gateway, any);
    settings.listen = listen.collect();
    settings.isolates = args.workers;
    settings.freshness = Freshness::Cached;
    match counters {
        CounterPlace::File(path) => settings.counters_file = Some(path),
        CounterPlace::Redis(redis) => settings.counters_redis = Some(redis),
    }
    settings.secrets = secrets;
    settings.operator = OperatorSettings { place, answers };
    settings.upstream_authorities = args.upstream_ca;
    settings.admin = admin;
    settings.connections_max = args.connections.get();
    settings.connections_per_client_max = args.connections_per_client.get();
    settings.exchanges_max = args.exchanges.get();
    settings.exchanges_per_client_max = args.exchanges_per_client.get();
    settings.grace = Duration::from_secs(args.grace);
    Ok(settings)
}

enum CounterPlace {
    File(PathBuf),
    Redis(RedisSettings),
}

/// Where counters are kept. The text is not repeated in an error, because it may have a password.
fn counters(place: Option<String>, authorities: Option<PathBuf>, store: &Path) -> Result<CounterPlace, Failure> {
    let Some(place) = place else { return Ok(CounterPlace::File(store.with_extension("counters.db"))) };
    if !RedisAddress::is_meant(&place) {
        return match authorities {
            None => Ok(CounterPlace::File(place.into())),
            Some(_) => Err(Failure::usage("--counters-ca is for a Redis server, and --counters names a file")),
        };
    }
    let address: RedisAddress = place
        .parse()
        .map_err(|error| Failure::usage(format!("--counters is no address of a Redis server: {error}")))?;
    if let Some(file) = &authorities {
        if !address.has_tls() {
            return Err(Failure::usage("--counters-ca needs TLS: write rediss:// or rediss-cluster:// in --counters"));
        }
        std::fs::read(file).map_err(|error| {
            Failure::problem(format!("the file of --counters-ca, {}, cannot be read: {error}", file.display()))
        })?;
    }
    Ok(CounterPlace::Redis(RedisSettings { address, authorities }))
}

/// The source of secrets. A folder that cannot be read is a mistake: without it, every secret would be missing.
fn secrets(folder: Option<&Path>) -> Result<SecretSource, Failure> {
    let Some(folder) = folder else { return Ok(SecretSource::Environment) };
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(SecretSource::Folder(folder.to_owned())),
        Err(error) => Err(Failure::problem(format!(
            "the folder of --secrets, {}, cannot be read: {error}; name a folder with a file for each secret",
            folder.display()
        ))),
    }
}

/// Checks that a token is bound where the endpoint can be reached from outside.
fn check_bound(args: &ServeArgs, answers: bool, tokens: &Tokens, secrets: &SecretSource) -> Result<(), Failure> {
    if !tokens.is_empty() {
        return Ok(());
    }
    let names = "TOLLGATE_OPERATOR_READ, TOLLGATE_OPERATOR_PURGE or TOLLGATE_OPERATOR_OPERATE";
    let place = match secrets {
        SecretSource::Folder(_) => "as a file in the folder of --secrets",
        SecretSource::Environment | SecretSource::Given(_) => "in the environment, or as a file with --secrets",
    };
    let how = format!("bind {names} {place}");
    if answers {
        return Err(Failure::usage(format!("--operator-path and --operator-host need a bound token: {how}")));
    }
    match args.admin {
        Some(address) if !address.ip().is_loopback() => Err(Failure::usage(format!(
            "--admin {address} can be reached from outside, so it needs a bound token: {how}"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The tokens that are bound at the start; one that cannot be used is reported now, not only in the log.
fn tokens(secrets: &SecretSource) -> Result<Tokens, Failure> {
    let mut tokens = Tokens::default();
    for role in Role::ALL {
        warn_unread(role, secrets);
        if let Some(secret) = secrets.read(role.secret_name()).map_err(Failure::problem)? {
            tokens.add(role, &secret).map_err(Failure::problem)?;
        }
    }
    Ok(tokens)
}

fn host_name(text: &str) -> Result<HostName, String> {
    HostName::from_authority(text).map_err(|error| error.to_string())
}

/// Where the endpoint answers clients, and so which requests are not routed.
fn claimed(place: &OperatorPlace) -> String {
    let prefix = &place.prefix;
    match &place.host {
        None => {
            format!("the operator endpoint answers below {prefix} at every host name: routes there are not reached")
        }
        Some(host) => format!(
            "the operator endpoint answers below {prefix} at the host {host}: routes at this host, and below {prefix} \
             at any other, are not reached"
        ),
    }
}

/// A folder of secrets stands in place of the environment, which may not be what was meant.
fn warn_unread(role: Role, secrets: &SecretSource) {
    let name = role.secret_name();
    if matches!(secrets, SecretSource::Folder(_)) && std::env::var_os(name).is_some() {
        terminal::message(&format!("warning: {name} in the environment is not read, because --secrets is given"));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(place: Option<&str>, authorities: Option<&str>) -> Result<String, String> {
        let chosen = counters(place.map(str::to_owned), authorities.map(PathBuf::from), Path::new("shop.db"));
        match chosen.map_err(|failure| format!("{failure:?}"))? {
            CounterPlace::File(path) => Ok(path.display().to_string()),
            CounterPlace::Redis(redis) => Ok(redis.address.to_string()),
        }
    }

    #[test]
    fn counters_are_in_a_file_or_at_an_address_of_redis() {
        for (place, expected) in [
            (None, "shop.counters.db"),
            (Some("counters.db"), "counters.db"),
            (Some("redis-files/counters.db"), "redis-files/counters.db"),
            (Some("redis://:hidden@cache:7000/2"), "redis://cache:7000/2"),
            (Some("rediss-cluster://a,b"), "rediss-cluster://a:6379,b:6379"),
        ] {
            assert_eq!(chosen(place, None).as_deref(), Ok(expected), "{place:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_told_without_its_password() {
        for (place, authorities) in [
            ("redis://:hidden@a,b", None),
            ("redisx://:hidden@a", None),
            ("redis://:hidden@a", Some("ca.pem")),
            ("rediss://:hidden@a", Some("/nowhere/ca.pem")),
            ("counters.db", Some("ca.pem")),
        ] {
            let told = chosen(Some(place), authorities).expect_err(place);
            assert!(told.contains("--counters") && !told.contains("hidden"), "{told}");
        }
    }
}
