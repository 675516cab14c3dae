//! The platforms a gateway can be meant for, what each counts, and how much it allows.
//!
//! Read from their documentation in November 2026: <https://developers.cloudflare.com/workers/platform/limits/>,
//! <https://developers.cloudflare.com/kv/platform/limits/>, <https://spinframework.dev/v4/kv-store-api-guide>.

use serde::Serialize;
use tollgate_config::Target;

use super::Usage;

/// What the pipeline calls (`tollgate_edge::ports`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Port {
    /// Records by key.
    Records,
    /// Charges and refunds.
    Counters,
    /// Secrets.
    Secrets,
    /// Stored responses.
    ResponseCache,
    /// Upstreams.
    Upstream,
    /// Exported telemetry.
    TelemetrySink,
}

/// What a platform counts the call of a port as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counting {
    /// Nothing.
    Free,
    /// A subrequest to the Internet, or out of the same quota.
    Outside,
    /// A subrequest to a service of the platform itself.
    Service,
}

/// What a platform allows; `None` where it sets no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Subrequests of one request to the Internet.
    pub outside: Option<Limit>,
    /// Subrequests of one request to services of the platform.
    pub services: Option<Limit>,
    /// Subrequests of one request, if all of them count alike: Cloudflare's page can be read so, too.
    pub together: Option<Limit>,
    /// Bytes that a request may hold in memory, beside all others of its isolate.
    pub memory: Option<Limit>,
    /// Bytes of one record.
    pub record: Option<Limit>,
    /// Secrets of one gateway.
    pub secrets: Option<Limit>,
    /// Bytes of a request's content.
    pub content: Option<Limit>,
}

/// One limit, and where it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The most that is allowed.
    pub max: u64,
    /// The page that says so.
    pub source: &'static str,
}

/// What a platform counts and allows.
pub trait Platform {
    /// What it counts the call of a port as.
    ///
    /// On Workers, records are in Workers KV and counters in Durable Objects; the Cache API draws on the quota of
    /// `fetch()`, which is what upstreams and telemetry are called by; secrets are bindings, which are there already.
    #[must_use]
    fn counting(self, port: Port) -> Counting;

    /// What it allows.
    #[must_use]
    fn limits(self) -> Limits;

    /// The subrequests of a kind that a request makes.
    #[must_use]
    fn subrequests(self, usage: &Usage, kind: Counting) -> u64;

    /// The bytes that a request holds in memory: the bundle while it is read, and what passes through the cache.
    ///
    /// Other content streams through untouched; fields (32 KiB at most), credentials and gathered telemetry are not
    /// counted. Workers stream what the cache answers; the others hold it.
    #[must_use]
    fn buffered_bytes(self, usage: &Usage) -> u64;
}

impl Platform for Target {
    fn counting(self, port: Port) -> Counting {
        match self {
            Self::Spin | Self::Native => Counting::Free,
            Self::WorkersFree | Self::WorkersPaid => match port {
                Port::Records | Port::Counters => Counting::Service,
                Port::ResponseCache | Port::Upstream | Port::TelemetrySink => Counting::Outside,
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
        usage.bundle_bytes.saturating_add(found).saturating_add(usage.copied_bytes)
    }
}

impl Port {
    /// All of them, in the order in which a request calls them.
    pub const ALL: [Self; 6] =
        [Self::Records, Self::Counters, Self::ResponseCache, Self::Secrets, Self::Upstream, Self::TelemetrySink];

    /// What a call of it is, in words for a sum.
    #[must_use]
    pub const fn calls(self) -> &'static str {
        match self {
            Self::Records => "record reads",
            Self::Counters => "counter calls",
            Self::ResponseCache => "calls of the cache",
            Self::Secrets => "secret reads",
            Self::Upstream => "attempts at the upstream",
            Self::TelemetrySink => "batches of telemetry, their retries counted",
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
    };
}

/// Environment variables that the Worker itself needs: `TOLLGATE_GATEWAY`.
const OWN_VARIABLES: u64 = 1;

const WORKERS: &str = "https://developers.cloudflare.com/workers/platform/limits/";
const WORKERS_KV: &str = "https://developers.cloudflare.com/kv/platform/limits/";
const SPIN_KEY_VALUE: &str = "https://spinframework.dev/v4/kv-store-api-guide";
