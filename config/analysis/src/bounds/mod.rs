//! Bounds: the maximum that one client request can cause, for each route, and the limits of platforms.
//!
//! The numbers are derived from the phases of `tollgate_edge` (`count.rs`). Tests compare them with the production
//! pipeline: no request exceeds a bound, and some request reaches it. They count calls of ports; which of those a platform
//! counts, and how many it allows, is defined in `target.rs`.

mod budget;
mod count;
mod estimate;
mod limits;
mod overlap;
mod target;

use serde::Serialize;

pub use budget::dearest;
pub(crate) use budget::set_budgets;
pub use count::count;
pub use estimate::{Estimate, Mix};
pub use limits::exceeded_limits;
pub(crate) use limits::report_limits;
pub use target::{Counting, Limit, Limits, Platform, Port};

/// The maximum that one request causes.
///
/// Every attempt and every mirror of a request would count; in this version [`RETRIES`] and [`MIRRORS`] are one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Records read: the bundle, credentials, purges.
    pub record_reads: u64,
    /// Records written after the response: answers that other isolates may use.
    pub record_writes: u64,
    /// Signatures verified.
    pub verifications: u64,
    /// Charges, confirmations and releases: one call for each owner of cells.
    pub counter_calls: u64,
    /// Secrets read.
    pub secret_reads: u64,
    /// Requests to services that the gateway asks, such as identity providers.
    pub fetches: u64,
    /// Look-ups in the response cache.
    pub cache_look_ups: u64,
    /// Entries written to the response cache.
    pub cache_stores: u64,
    /// Requests sent to the upstream.
    pub upstream_attempts: u64,
    /// Batches of telemetry sent, including retries.
    pub export_posts: u64,
    /// Bytes of the bundle that are read into memory.
    pub bundle_bytes: u64,
    /// Bytes of a stored response that the cache returns; Workers stream them.
    pub found_bytes: u64,
    /// Bytes of a response that are copied for the cache while it is streamed to the client.
    pub copied_bytes: u64,
    /// Bytes of the request's content that are read into memory.
    pub gathered_bytes: u64,
}

impl Usage {
    /// The maximum of each member.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        self.combine(other, u64::max)
    }

    /// The sum of each member.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.combine(other, u64::saturating_add)
    }

    fn combine(self, other: Self, of: impl Fn(u64, u64) -> u64) -> Self {
        Self {
            record_reads: of(self.record_reads, other.record_reads),
            record_writes: of(self.record_writes, other.record_writes),
            verifications: of(self.verifications, other.verifications),
            counter_calls: of(self.counter_calls, other.counter_calls),
            secret_reads: of(self.secret_reads, other.secret_reads),
            fetches: of(self.fetches, other.fetches),
            cache_look_ups: of(self.cache_look_ups, other.cache_look_ups),
            cache_stores: of(self.cache_stores, other.cache_stores),
            upstream_attempts: of(self.upstream_attempts, other.upstream_attempts),
            export_posts: of(self.export_posts, other.export_posts),
            bundle_bytes: of(self.bundle_bytes, other.bundle_bytes),
            found_bytes: of(self.found_bytes, other.found_bytes),
            copied_bytes: of(self.copied_bytes, other.copied_bytes),
            gathered_bytes: of(self.gathered_bytes, other.gathered_bytes),
        }
    }

    /// The number of platform calls of a port. To store a response, the cache is first checked for a newer one.
    #[must_use]
    pub fn calls(&self, port: Port) -> u64 {
        match port {
            Port::Records => self.record_reads.saturating_add(self.record_writes),
            Port::Counters => self.counter_calls,
            Port::Secrets => self.secret_reads,
            Port::Fetch => self.fetches,
            Port::ResponseCache => self.cache_look_ups.saturating_add(self.cache_stores.saturating_mul(2)),
            Port::Upstream => self.upstream_attempts,
            Port::TelemetrySink => self.export_posts,
        }
    }
}

/// The possible outcomes of a request, which cause different calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestOutcome {
    /// A limit refuses the request, and the charges of other partitions are released.
    Refused,
    /// A `GET` or `HEAD` request is forwarded; its response may be stored.
    Read,
    /// A request with another method is forwarded, and stored responses of the resource are invalidated.
    Change,
}

/// The state of an isolate when the request arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The worst case: configuration, credential and secrets are read, a new bundle is published at the same time, and the
    /// request exports the collected telemetry.
    Cold,
    /// Configuration, credential and secrets are in memory and fresh, and another request exports the telemetry.
    Warm,
}

impl State {
    /// Both states.
    pub const ALL: [Self; 2] = [Self::Cold, Self::Warm];
}

/// The bounds of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteBounds {
    cold: Vec<(RequestOutcome, Usage)>,
    warm: Vec<(RequestOutcome, Usage)>,
}

impl RouteBounds {
    /// The bounds for each outcome; at least one.
    #[must_use]
    pub fn outcomes(&self, state: State) -> &[(RequestOutcome, Usage)] {
        match state {
            State::Cold => &self.cold,
            State::Warm => &self.warm,
        }
    }

    /// The maximum of each member over all outcomes.
    #[must_use]
    pub fn most(&self, state: State) -> Usage {
        self.outcomes(state).iter().fold(Usage::default(), |most, (_, usage)| most.max(*usage))
    }

    /// The largest sum over all outcomes, with its usage.
    #[must_use]
    pub fn largest(&self, state: State, sum: impl Fn(&Usage) -> u64) -> (u64, Usage) {
        let outcomes = self.outcomes(state).iter().map(|(_, usage)| (sum(usage), *usage));
        outcomes.max_by_key(|(sum, _)| *sum).unwrap_or_default()
    }
}

impl Usage {
    /// The usage of a request that is served from the cache.
    #[must_use]
    pub fn of_hit(self) -> Self {
        Self { cache_stores: 0, upstream_attempts: 0, secret_reads: 0, copied_bytes: 0, ..self }
    }
}

/// The maximum number of attempts to send a request to an upstream; this version has no retries.
pub const RETRIES: u64 = 1;

/// The number of upstreams to which a request is sent; this version has no mirrors.
pub const MIRRORS: u64 = 1;
