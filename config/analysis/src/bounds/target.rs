//! The target platforms: which calls they count, and their limits.
//!
//! According to their documentation in November 2026: <https://developers.cloudflare.com/workers/platform/limits/>,
//! <https://developers.cloudflare.com/kv/platform/limits/>, <https://spinframework.dev/v4/kv-store-api-guide>.

use serde::Serialize;
use tollgate_config::Target;

use super::Usage;

/// A port of the pipeline (`tollgate_edge::ports`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Port {
    /// Records by key.
    Records,
    /// Charges, confirmations and releases.
    Counters,
    /// Secrets.
    Secrets,
    /// Services that the gateway asks.
    Fetch,
    /// Stored responses.
    ResponseCache,
    /// Upstreams.
    Upstream,
    /// Exported telemetry.
    TelemetrySink,
}

/// How a platform counts a call of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counting {
    /// Not counted.
    Free,
    /// A subrequest to the Internet, or with the same quota.
    Outside,
    /// A subrequest to a service of the platform.
    Service,
}

/// The limits of a platform; `None` for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Subrequests of one request to the Internet.
    pub outside: Option<Limit>,
    /// Subrequests of one request to services of the platform.
    pub services: Option<Limit>,
    /// Subrequests of one request in total, if the limit applies to both: Cloudflare's documentation is ambiguous.
    pub together: Option<Limit>,
    /// Bytes of memory of an isolate, which a request shares with all others.
    pub memory: Option<Limit>,
    /// Bytes of one record.
    pub record: Option<Limit>,
    /// Secrets of one gateway.
    pub secrets: Option<Limit>,
    /// Bytes of a request's content.
    pub content: Option<Limit>,
    /// Milliseconds that work may take after the response was sent.
    pub after_reply_ms: Option<Limit>,
}

/// One limit, with its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The maximum.
    pub max: u64,
    /// The page that documents it.
    pub source: &'static str,
}

/// How a platform counts calls, and its limits.
pub trait Platform {
    /// How it counts a call of a port.
    ///
    /// On Workers, records are in Workers KV and counters in Durable Objects. The Cache API uses the quota of `fetch()`,
    /// with which upstreams and telemetry are called. Secrets are bindings, and reading them is not a call.
    #[must_use]
    fn counting(self, port: Port) -> Counting;

    /// Its limits.
    #[must_use]
    fn limits(self) -> Limits;

    /// The number of subrequests of one kind that a request makes.
    #[must_use]
    fn subrequests(self, usage: &Usage, kind: Counting) -> u64;

    /// The bytes that a request keeps in memory: the bundle while it is read, and the content from and for the cache.
    ///
    /// Other content is streamed. Fields (at most 32 KiB), credentials and collected telemetry are not counted. Workers
    /// stream responses from the cache; the others keep them in memory.
    #[must_use]
    fn buffered_bytes(self, usage: &Usage) -> u64;
}

impl Platform for Target {
    fn counting(self, port: Port) -> Counting {
        match self {
            Self::Spin | Self::Native => Counting::Free,
            Self::WorkersFree | Self::WorkersPaid => match port {
                Port::Records | Port::Counters => Counting::Service,
                Port::Fetch | Port::ResponseCache | Port::Upstream | Port::TelemetrySink => Counting::Outside,
                Port::Secrets => Counting::Free,
            },
        }
    }

    fn limits(self) -> Limits {
        match self {
            Self::WorkersFree => Limits {
                outside: Some(Limit { max: 50, source: WORKERS }),
                services: Some(Limit { max: 1_000, source: WORKERS }),
                together: Some(Limit { max: 50, source: WORKERS }),
                memory: Some(Limit { max: 128_000_000, source: WORKERS }),
                record: Some(Limit { max: 25 << 20, source: WORKERS_KV }),
                secrets: Some(Limit { max: 64 - OWN_VARIABLES, source: WORKERS }),
                content: Some(Limit { max: 100_000_000, source: WORKERS }),
                after_reply_ms: Some(Limit { max: 30_000, source: WAIT_UNTIL }),
            },
            Self::WorkersPaid => Limits {
                outside: Some(Limit { max: 10_000, source: WORKERS }),
                services: Some(Limit { max: 10_000, source: WORKERS }),
                together: None,
                memory: Some(Limit { max: 128_000_000, source: WORKERS }),
                record: Some(Limit { max: 25 << 20, source: WORKERS_KV }),
                secrets: Some(Limit { max: 128 - OWN_VARIABLES, source: WORKERS }),
                // It depends on the plan of the zone, not on that of Workers.
                content: None,
                after_reply_ms: Some(Limit { max: 30_000, source: WAIT_UNTIL }),
            },
            Self::Spin => Limits { record: Some(Limit { max: 1_000_000, source: SPIN_KEY_VALUE }), ..Limits::NONE },
            Self::Native => Limits::NONE,
        }
    }

    fn subrequests(self, usage: &Usage, kind: Counting) -> u64 {
        let counted = Port::ALL.into_iter().filter(|port| self.counting(*port) == kind);
        counted.map(|port| usage.calls(port)).sum()
    }

    fn buffered_bytes(self, usage: &Usage) -> u64 {
        let found = match self {
            Self::WorkersFree | Self::WorkersPaid => 0,
            Self::Spin | Self::Native => usage.found_bytes,
        };
        let of_responses = found.saturating_add(usage.copied_bytes);
        usage.bundle_bytes.saturating_add(of_responses).saturating_add(usage.gathered_bytes)
    }
}

impl Port {
    /// All ports, in the order in which a request calls them.
    pub const ALL: [Self; 7] = [
        Self::Records,
        Self::Counters,
        Self::ResponseCache,
        Self::Secrets,
        Self::Fetch,
        Self::Upstream,
        Self::TelemetrySink,
    ];

    /// The word for its calls in a sum.
    #[must_use]
    pub const fn calls(self) -> &'static str {
        match self {
            Self::Records => "record reads and writes",
            Self::Counters => "counter calls",
            Self::ResponseCache => "cache calls",
            Self::Secrets => "secret reads",
            Self::Fetch => "questions to services",
            Self::Upstream => "upstream attempts",
            Self::TelemetrySink => "telemetry batches including retries",
        }
    }
}

impl Limits {
    const NONE: Self = Self {
        outside: None,
        services: None,
        together: None,
        memory: None,
        record: None,
        secrets: None,
        content: None,
        after_reply_ms: None,
    };
}

/// The number of environment variables that the Worker itself needs: `TOLLGATE_GATEWAY`.
const OWN_VARIABLES: u64 = 1;

const WORKERS: &str = "https://developers.cloudflare.com/workers/platform/limits/";
const WAIT_UNTIL: &str = "https://developers.cloudflare.com/workers/runtime-apis/context/#waituntil";
const WORKERS_KV: &str = "https://developers.cloudflare.com/kv/platform/limits/";
const SPIN_KEY_VALUE: &str = "https://spinframework.dev/v4/kv-store-api-guide";
