//! What a server is told when it is built.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use tollgate_edge::Freshness;
use tollgate_edge::OperatorSettings;

use crate::secrets::SecretSource;
use crate::{counters, response_cache};

/// The settings of one server. [`Settings::new`] has the defaults; every field may be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The gateway's name: the prefix of its record keys.
    pub gateway: String,
    /// The addresses to listen at; port 0 takes any free one.
    pub listen: Vec<Listen>,
    /// Isolates, each a thread; the number of cores when not set.
    pub isolates: Option<NonZeroUsize>,
    /// How fresh the configuration is: behind the requests, or re-read for each (development).
    pub freshness: Freshness,
    /// The file that keeps counters over a restart; without it they end with the process.
    pub counters_file: Option<PathBuf>,
    /// Counter partitions held at most.
    pub counter_partitions_max: usize,
    /// Bytes of the response cache.
    pub response_cache_bytes_max: usize,
    /// Where secrets are looked up.
    pub secrets: SecretSource,
    /// A PEM file of certificate authorities that upstreams are trusted by, besides the platform's.
    pub upstream_authorities: Option<PathBuf>,
    /// How long a client may take to send a request's head, and stay silent before its first one.
    pub head_timeout: Duration,
    /// Connections from clients held at most, all isolates together.
    pub connections_max: usize,
    /// Where the operator endpoint stands, and whether it answers among the requests of clients, too.
    pub operator: OperatorSettings,
    /// The listener for operators.
    pub admin: Option<AdminSettings>,
    /// How long open exchanges may take to end once the server is told to stop.
    pub grace: Duration,
}

/// One address to listen at.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The address.
    pub address: SocketAddr,
    /// The certificate to speak TLS with; plain HTTP without it.
    pub tls: Option<TlsFiles>,
    /// Whether those who reach the address are inside: only they are answered on internal hosts. Give it an address that
    /// other clients cannot reach.
    pub inside: bool,
}

/// A certificate and its key, as PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate, followed by those between it and its authority.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// The listener for operators: health, metrics, the operator endpoint. Give it an address that clients cannot reach.
#[derive(Clone, Debug)]
pub struct AdminSettings {
    /// The address.
    pub address: SocketAddr,
    /// Whether whoever reaches the address may read `/metrics`, even where tokens are bound.
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
            freshness: Freshness::Behind,
            counters_file: None,
            counter_partitions_max: counters::PARTITIONS_MAX,
            response_cache_bytes_max: response_cache::BYTES_MAX,
            secrets: SecretSource::Environment,
            upstream_authorities: None,
            head_timeout: HEAD_TIMEOUT,
            connections_max: CONNECTIONS_MAX,
            operator: OperatorSettings::default(),
            admin: None,
            grace: GRACE,
        }
    }
}

/// hyper's default, and of the order of Apache's.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What a machine with the usual 65,536 file descriptors a process can hold beside as many to upstreams.
const CONNECTIONS_MAX: usize = 16_384;

/// What Kubernetes gives a pod between telling it to stop and killing it.
const GRACE: Duration = Duration::from_secs(30);
