//! Bounds: the most that one client request can cause, route by route, and what platforms allow.
//!
//! The numbers follow from what `tollgate_edge` does, phase by phase (`count.rs`), and tests hold the production
//! pipeline to them: no request passes a bound, and some request reaches it. They count calls to ports; which of those
//! a platform counts, and how many it allows, is a table in `target.rs`.

mod count;
mod estimate;
mod limits;
mod overlap;
mod target;

use serde::Serialize;

pub use count::count;
pub use estimate::{Estimate, Mix};
pub use limits::past_limits;
pub(crate) use limits::report_limits;
pub use target::{Counting, Limit, Limits, Platform, Port};

/// What one request causes, at most.
///
/// A request with many attempts at its upstream would count each of them, and each mirror too: in this version a request
/// has [`RETRIES`] and [`MIRRORS`] of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Records read: the bundle, credentials, purges.
    pub record_reads: u64,
    /// Charges, confirmations and releases: one call for each owner of cells.
    pub counter_calls: u64,
    /// Secrets asked for.
    pub secret_reads: u64,
    /// Looks into the response cache.
    pub cache_look_ups: u64,
    /// Entries written to the response cache.
    pub cache_stores: u64,
    /// Requests sent to the upstream.
    pub upstream_attempts: u64,
    /// Batches of telemetry sent, the tries of each counted.
    pub export_posts: u64,
    /// Bytes of the bundle that are read into memory.
    pub bundle_bytes: u64,
    /// Bytes of a stored response that the cache answers with; Workers stream them.
    pub found_bytes: u64,
    /// Bytes of a response that are gathered for the cache while they stream to the client.
    pub copied_bytes: u64,
}

impl Usage {
    /// The larger of both, member by member.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        self.with(other, u64::max)
    }

    /// Both together, member by member.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            record_reads: of(self.record_reads, other.record_reads),
            counter_calls: of(self.counter_calls, other.counter_calls),
            secret_reads: of(self.secret_reads, other.secret_reads),
            cache_look_ups: of(self.cache_look_ups, other.cache_look_ups),
            cache_stores: of(self.cache_stores, other.cache_stores),
            upstream_attempts: of(self.upstream_attempts, other.upstream_attempts),
            export_posts: of(self.export_posts, other.export_posts),
            bundle_bytes: of(self.bundle_bytes, other.bundle_bytes),
            found_bytes: of(self.found_bytes, other.found_bytes),
            copied_bytes: of(self.copied_bytes, other.copied_bytes),
        }
    }

    /// How often a port calls the platform: to store a response, the cache is first asked for a newer one.
    #[must_use]
    pub fn calls(&self, port: Port) -> u64 {
        match port {
            Port::Records => self.record_reads,
            Port::Counters => self.counter_calls,
            Port::Secrets => self.secret_reads,
            Port::ResponseCache => self.cache_look_ups.saturating_add(self.cache_stores.saturating_mul(2)),
            Port::Upstream => self.upstream_attempts,
            Port::TelemetrySink => self.export_posts,
        }
    }
}

/// The ways a request can take; what one causes, another need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// A limit refuses it; what other partitions charged is given back.
    Refused,
    /// A `GET` or `HEAD` that is forwarded; its response may be stored.
    Read,
    /// A request with another method that is forwarded; what is stored of the resource is put out of use.
    Change,
}

/// What an isolate knows when the request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing; the configuration, the credential and the secrets are read, a new bundle is published meanwhile, and
    /// the request is the one that exports what has gathered. No request causes more.
    Cold,
    /// The configuration, the caller's credential and the secrets, all fresh; another request exports.
    Warm,
}

impl State {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Cold, Self::Warm];
}

/// The bounds of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBounds {
    cold: Vec<(Way, Usage)>,
    warm: Vec<(Way, Usage)>,
}

impl RouteBounds {
    /// The bounds, way by way; at least one.
    #[must_use]
    pub fn ways(&self, state: State) -> &[(Way, Usage)] {
        match state {
            State::Cold => &self.cold,
            State::Warm => &self.warm,
        }
    }

    /// The most of each kind, whatever the way.
    #[must_use]
    pub fn most(&self, state: State) -> Usage {
        self.ways(state).iter().fold(Usage::default(), |most, (_, usage)| most.max(*usage))
    }

    /// The way on which a sum is largest, and that sum.
    #[must_use]
    pub fn largest(&self, state: State, sum: impl Fn(&Usage) -> u64) -> (u64, Usage) {
        let ways = self.ways(state).iter().map(|(_, usage)| (sum(usage), *usage));
        ways.max_by_key(|(sum, _)| *sum).unwrap_or_default()
    }
}

impl Usage {
    /// What is left of it where the response comes from the cache: nobody else is asked then.
    #[must_use]
    pub fn of_hit(self) -> Self {
        Self { cache_stores: 0, upstream_attempts: 0, secret_reads: 0, copied_bytes: 0, ..self }
    }
}

/// How often a request is sent to an upstream at most; this version never repeats one.
pub const RETRIES: u64 = 1;

/// To how many upstreams a request is sent; this version has no mirrors.
pub const MIRRORS: u64 = 1;
