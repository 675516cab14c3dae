//! Leases: permits that are charged ahead, for an edge that uses them without a call.

use std::num::NonZeroU32;

use crate::codec::Decode;
use minicbor::Encode;

use super::charge::{Algorithm, Charge};
use super::meter::{Counted, Effect, Meter};
use super::time::MICROS_PER_MS;
use super::{OperationId, Terms};
use crate::policy_name::PolicyName;

/// Permits that were charged ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Leased {
    /// How many, beside the cost of the charge; none if nothing more was left.
    #[n(0)]
    pub permits: u32,
    /// For how many microseconds they can be used, from before the charge was sent.
    #[n(1)]
    pub for_us: u64,
    /// Whether the owner has so many calls that edges had better wait until there is more to take.
    #[n(2)]
    pub is_busy: bool,
}

/// What was not used of a lease.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Unused {
    /// The id of the update that took it.
    #[n(0)]
    pub id: OperationId,
    /// The limit.
    #[n(1)]
    pub quota: PolicyName,
    /// What was not used.
    #[n(2)]
    pub permits: NonZeroU32,
    /// What that update charged altogether.
    #[n(3)]
    pub of: NonZeroU32,
}

impl Unused {
    /// The same part of another measure of the lease, rounded down.
    pub(super) fn part_of(&self, whole: u64) -> u64 {
        let permits = self.permits.min(self.of).get();
        let part = u128::from(whole) * u128::from(permits) / u128::from(self.of.get());
        u64::try_from(part).unwrap_or(whole)
    }
}

impl Charge {
    /// Whether permits of the limit are taken ahead: not of small limits, whose owner has few calls and each permit counts, and not
    /// where each request has a place of its own.
    #[must_use]
    pub fn can_be_leased(&self) -> bool {
        let most = match self.algorithm {
            None | Some(Algorithm::FixedWindow | Algorithm::SlidingWindow) => {
                let in_lease = u64::from(self.rate.get()) * LEASE_MS / u64::from(self.period_ms.get());
                u64::from(self.burst.get()).min(in_lease.saturating_mul(LEASES_OF_BURST))
            }
            Some(Algorithm::Calendar(_)) => self.burst.get().into(),
            Some(Algorithm::Spacing | Algorithm::SlidingLog | Algorithm::Concurrency) => 0,
        };
        most >= LEASED_LEAST
    }

    /// How much more than the limit says can pass within any time, because permits are used up to [`LEASE_MS`] after they were
    /// charged: what becomes available in that time. Permits of a window are used in it.
    #[must_use]
    pub fn lease_beyond(&self) -> u64 {
        let in_lease = u64::from(self.rate.get()) * LEASE_MS;
        if self.algorithm.is_none() { in_lease.div_ceil(self.period_ms.get().into()) } else { 0 }
    }

    /// The charge with what is taken ahead.
    fn with(&self, ahead: NonZeroU32) -> Self {
        Self { cost: self.cost.saturating_add(ahead.get()), ..self.clone() }
    }
}

impl Meter {
    /// The effect of a charge, with what is charged ahead: as much as it asks for, but of what is left then no more than a part, so
    /// that others find some too.
    pub(super) fn charge_ahead(self, charge: &Charge, terms: Terms, at_us: u64) -> (Effect, Option<u32>) {
        let is_final = terms.hold_ms.is_none();
        let Some(most) = charge.lease.filter(|_| is_final && charge.can_be_leased()) else {
            return (self.charge(charge, terms.id, at_us), None);
        };
        let alone = self.clone().charge(charge, terms.id, at_us);
        let left = if alone.allowed() { alone.verdict(charge, true, true, at_us).remaining } else { 0 };
        if let Some(ahead) = NonZeroU32::new(most.get().min(left / SHARED_BY)) {
            let together = self.charge(&charge.with(ahead), terms.id, at_us);
            if together.allowed() {
                return (together, Some(ahead.get()));
            }
        }
        (alone, Some(0))
    }
}

impl Effect {
    /// The lease of these permits: they are never used in another window than the one in which they were charged.
    pub(super) fn lease(&self, permits: u32, is_busy: bool, at_us: u64) -> Leased {
        let ends_us = match self {
            Self::Counted { after: Counted::Window(count) | Counted::Sliding(count), .. } => count.end_us,
            Self::Counted { after: Counted::Log(_) | Counted::InFlight(_), .. } | Self::Instant(_) => u64::MAX,
        };
        Leased { permits, for_us: ends_us.saturating_sub(at_us).min(LEASE_MS * MICROS_PER_MS), is_busy }
    }
}

/// How long permits can be used that were charged ahead: long enough that an isolate with 300 requests a second makes a call for
/// some hundreds of them, and so short that what an isolate takes into its grave is what the limit gives in a second.
pub const LEASE_MS: u64 = 1_000;

/// Limits are leased that admit at least this much at once, and a fifth of it in [`LEASE_MS`]: below, an owner has no more calls
/// than it can answer, and a client would notice each permit that waits in another isolate.
pub const LEASED_LEAST: u64 = 50;

const LEASES_OF_BURST: u64 = 5;

/// A lease takes at most one in so many of what is left.
const SHARED_BY: u32 = 2;

/// How long a cell knows a lease after it was taken: until the edge has noticed that it is over, and one call later.
pub(super) const LEASE_KEPT_US: u64 = 10_000_000;

/// The same of a limit that counts in windows: an isolate that is quiet gives back with its next request.
pub(super) const WINDOW_LEASE_KEPT_US: u64 = 120_000_000;
