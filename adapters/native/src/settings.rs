//! The settings of a server.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use tollgate_edge::Freshness;
use tollgate_edge::OperatorSettings;

use crate::counters::RedisSettings;
use crate::secrets::SecretSource;
use crate::{counters, response_cache};

/// The settings of one server. [`Settings::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's name: the prefix of its record keys.
    pub gateway: String,
    /// The addresses to listen at; port 0 means any free port.
    pub listen: Vec<Listen>,
    /// Isolates, each a thread; the number of cores when not set.
    pub isolates: Option<NonZeroUsize>,
    /// Whether configuration is cached, or read for each request (development).
    pub freshness: Freshness,
    /// The file that keeps counters across restarts; without it they are lost when the process ends.
    pub counters_file: Option<PathBuf>,
    /// The Redis server that keeps counters, instead of the process and its file.
    pub counters_redis: Option<RedisSettings>,
    /// Maximum number of counter partitions.
    pub counter_partitions_max: usize,
    /// Bytes of the response cache.
    pub response_cache_bytes_max: usize,
    /// The source of secrets.
    pub secrets: SecretSource,
    /// A PEM file of certificate authorities for upstreams, in addition to the platform's.
    pub upstream_authorities: Option<PathBuf>,
    /// Timeout for a request's head, also for the first one of a connection.
    pub head_timeout: Duration,
    /// How long a connection may stay open without a request, from when the client has taken the last response.
    pub idle_timeout: Duration,
    /// Maximum number of connections from clients. If there are more, the ones that are idle longest are closed. This and
    /// the other maxima are for all isolates together.
    pub connections_max: usize,
    /// Maximum number of connections from one address, or from one IPv6 network of 64 bits.
    pub connections_per_client_max: usize,
    /// Maximum number of requests that are handled at once, until their work ends.
    pub exchanges_max: usize,
    /// Maximum number of requests of one client that are handled at once; the client is the one that trusted proxies name.
    pub exchanges_per_client_max: usize,
    /// How long a client may take nothing of a response before its connection is closed.
    pub unread_timeout: Duration,
    /// The address of the operator endpoint, and whether it is also available at the listener of clients.
    pub operator: OperatorSettings,
    /// The listener for operators.
    pub admin: Option<AdminSettings>,
    /// How long open exchanges may take to finish after the stop signal.
    pub grace: Duration,
}

/// One address to listen at.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// The TLS certificate; plain HTTP without it.
    pub tls: Option<TlsFiles>,
    /// Whether callers at this address are internal: internal hosts are available to them only. Use an address that
    /// other clients cannot reach.
    pub inside: bool,
}

/// A certificate and its key, as PEM files. They are read again when they change.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by its intermediate certificates.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Who vouches for the certificates of clients; without it, clients are not asked for any.
    pub clients: Option<ClientAuthorities>,
}

/// Who vouches for the certificates of clients, as PEM files.
#[derive(Clone, Debug)]
pub struct ClientAuthorities {
    /// The certificates of the authorities.
    pub authorities: PathBuf,
    /// Lists of the certificates that they have revoked.
    pub revocations: Vec<PathBuf>,
    /// Whether a client without a certificate is refused in the handshake; otherwise policies decide.
    pub required: bool,
}

/// The listener for operators: health, metrics, the operator endpoint. Use an address that clients cannot reach.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// The address.
    pub address: SocketAddr,
    /// Whether `/metrics` needs no token at this address, even if tokens are bound.
    pub open_metrics: bool,
}

impl Settings {
    /// The defaults for a gateway of this name, at one address, without TLS and without an admin listener.
    #[must_use]
    pub fn new(gateway: impl Into<String>, address: SocketAddr) -> Self {
        Self {
            gateway: gateway.into(),
            listen: vec![Listen { address, tls: None, inside: false }],
            isolates: None,
            freshness: Freshness::Cached,
            counters_file: None,
            counters_redis: None,
            counter_partitions_max: counters::PARTITIONS_MAX,
            response_cache_bytes_max: response_cache::BYTES_MAX,
            secrets: SecretSource::Environment,
            upstream_authorities: None,
            head_timeout: HEAD_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            connections_max: CONNECTIONS_MAX,
            connections_per_client_max: CONNECTIONS_PER_CLIENT_MAX,
            exchanges_max: EXCHANGES_MAX,
            exchanges_per_client_max: EXCHANGES_PER_CLIENT_MAX,
            unread_timeout: UNREAD_TIMEOUT,
            operator: OperatorSettings::default(),
            admin: None,
            grace: GRACE,
        }
    }
}

/// hyper's default, and similar to Apache's.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Below the 350 s of cloud load balancers, as nginx's 75 s is.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// What a process with the usual 65,536 file descriptors can hold, in addition to as many connections to upstreams.
const CONNECTIONS_MAX: usize = 16_384;

/// One client cannot take the connections of all others, and a load balancer in front has enough. What its streams hold is
/// bounded by itself: requests by [`EXCHANGES_PER_CLIENT_MAX`], refusals that it does not take in `server/connections.rs`.
const CONNECTIONS_PER_CLIENT_MAX: usize = 4_096;

/// As many as there are connections; HTTP/2 connections have several each.
const EXCHANGES_MAX: usize = 16_384;

/// One client cannot take the places of all others.
const EXCHANGES_PER_CLIENT_MAX: usize = 4_096;

/// nginx's `send_timeout`.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(60);

/// The default grace period of Kubernetes pods.
const GRACE: Duration = Duration::from_secs(30);
