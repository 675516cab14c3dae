//! What an update charges against a limit, and what the limit says of it.

use std::num::{NonZeroU8, NonZeroU32};

use crate::codec::Decode;
use minicbor::Encode;

use super::gcra::NANOS_PER_US;
use super::lease::Leased;
use super::tells::Tells;
use super::time::MICROS_PER_MS;
use super::windows::{Edges, Span};
use crate::policy_name::PolicyName;
use crate::time::Timestamp;

/// One charge against one limit: the state of the limit is the cell's, its numbers come with each charge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Charge {
    /// The limit's name within the cell.
    #[n(0)]
    pub quota: PolicyName,
    /// What becomes available again within `period_ms`.
    #[n(1)]
    pub rate: NonZeroU32,
    /// The period of `rate`, the length of a window, or for how long a request counts that never ends, in milliseconds.
    #[n(2)]
    pub period_ms: NonZeroU32,
    /// The maximum that can be charged when nothing was charged before.
    #[n(3)]
    pub burst: NonZeroU32,
    /// The cost of this operation.
    #[n(4)]
    pub cost: NonZeroU32,
    /// How it is counted; absent, by the generic cell rate algorithm, which is what was there first.
    #[n(5)]
    pub algorithm: Option<Algorithm>,
    /// How many permits are taken ahead at most, if the charge passes; absent, none. An owner that does not know it charges the cost
    /// alone.
    #[n(6)]
    pub lease: Option<NonZeroU32>,
    /// The shares of the limit that are told when they are reached. An owner that does not know it tells none of a window.
    #[n(7)]
    pub tells: Option<Tells>,
}

/// How a limit counts, if not by the generic cell rate algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub enum Algorithm {
    /// Up to `burst` operations wait for each other, so that they are spaced by `period_ms / rate`.
    #[n(0)]
    Spacing,
    /// Counts in windows of `period_ms` that begin at multiples of it since 1970.
    #[n(1)]
    FixedWindow,
    /// As a fixed window, with the part of the window before that a window ending now would contain.
    #[n(2)]
    SlidingWindow,
    /// Each charge counts for `period_ms`: exact, and stored one by one.
    #[n(3)]
    SlidingLog,
    /// Counts in windows of a calendar.
    #[n(4)]
    Calendar(#[n(0)] Edges),
    /// Each charge counts until it is ended with [`super::Operation::Leave`], and for `period_ms` at most.
    #[n(5)]
    Concurrency,
}

/// The state of one limit after a charge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Verdict {
    /// Whether this limit allows the charge.
    #[n(0)]
    pub allowed: bool,
    /// Cost that could still be charged at once.
    #[n(1)]
    pub remaining: u32,
    /// Microseconds until the limit is fully available again.
    #[n(2)]
    pub reset_us: u64,
    /// Microseconds until the same charge would pass; 0 if allowed; `None` if it never can (cost above the maximum).
    #[n(3)]
    pub retry_after_us: Option<u64>,
    /// For how many microseconds an operation that is allowed has to wait for its turn.
    #[n(4)]
    pub wait_us: Option<u64>,
    /// What was charged ahead.
    #[n(5)]
    pub leased: Option<Leased>,
    /// The share of the limit that was reached with this charge and not told before in this window.
    #[n(6)]
    pub reached: Option<NonZeroU8>,
}

impl Verdict {
    /// The refusal of a charge for whose partition there is no room.
    pub const NO_ROOM: Self = Self {
        allowed: false,
        remaining: 0,
        reset_us: 0,
        retry_after_us: Some(1),
        wait_us: None,
        leased: None,
        reached: None,
    };

    /// What the edge that was answered can still promise: its lease, if it has taken one.
    #[must_use]
    pub fn promised(&self) -> u32 {
        self.leased.filter(|leased| leased.permits > 0).map_or(self.remaining, |leased| leased.permits)
    }

    /// The same if time passes only after this delay.
    pub(super) fn later_by(self, us: u64) -> Self {
        let later = |wait_us: u64| if wait_us == 0 { 0 } else { wait_us.saturating_add(us) };
        Self { reset_us: later(self.reset_us), retry_after_us: self.retry_after_us.map(later), ..self }
    }
}

impl Charge {
    /// Whether one instant is the state of the limit.
    const fn is_one_instant(&self) -> bool {
        matches!(self.algorithm, None | Some(Algorithm::Spacing))
    }

    /// The same charge against a share of the limit, in percent: at least one operation.
    #[must_use]
    pub fn against_share(&self, percent: NonZeroU8) -> Self {
        let percent = u64::from(percent.get().min(100));
        let part = |number: NonZeroU32| {
            let part = u32::try_from((u64::from(number.get()) * percent).div_ceil(100)).unwrap_or(u32::MAX);
            NonZeroU32::new(part).unwrap_or(NonZeroU32::MIN)
        };
        let longer =
            u32::try_from((u64::from(self.period_ms.get()) * 100).div_ceil(percent.max(1))).unwrap_or(u32::MAX);
        let period_ms =
            if self.is_one_instant() { NonZeroU32::new(longer).unwrap_or(self.period_ms) } else { self.period_ms };
        Self {
            period_ms,
            burst: part(self.burst).max(self.cost.min(self.burst)),
            lease: None,
            tells: None,
            ..self.clone()
        }
    }

    /// Whether it has to be stored before its request goes on: in the windows of a calendar, what is lost passes again weeks later.
    pub(super) const fn is_exact(&self) -> bool {
        matches!(self.algorithm, Some(Algorithm::Calendar(_)))
    }

    /// Whether it counts until it is ended.
    #[must_use]
    pub const fn ends(&self) -> bool {
        matches!(self.algorithm, Some(Algorithm::Concurrency))
    }

    /// The share of the limit, in percent, that the charge has reached and that is to be told; `is_kept` says whether the charge stays.
    ///
    /// The owner of a window knows what was told in it, so it says so once, also to a charge that is released later. Other limits
    /// have no windows: they are told each time that they pass the share.
    #[must_use]
    pub fn reached(&self, said: &Verdict, is_kept: bool) -> Option<NonZeroU8> {
        let tells = self.tells?;
        if self.is_of_window() {
            return said.reached;
        }
        let used = u64::from(self.burst.get()).saturating_sub(said.remaining.into());
        let ahead = said.leased.map_or(0, |leased| leased.permits);
        let before = used.saturating_sub(u64::from(self.cost.get()) + u64::from(ahead));
        let (share, at) = tells.reached(self.burst, used).filter(|_| is_kept && said.allowed)?;
        (at > before).then_some(share)
    }

    /// Whether it is counted in windows that do not slide.
    pub(super) const fn is_of_window(&self) -> bool {
        matches!(self.algorithm, Some(Algorithm::FixedWindow | Algorithm::Calendar(_)))
    }

    /// The window with an instant in which a share is told once, as its beginning and its end. Limits without windows get some: as
    /// long as it takes until all of the limit is available again, and a minute at least.
    #[must_use]
    pub fn window_at(&self, at: Timestamp) -> (Timestamp, Timestamp) {
        let at_us = at.as_micros();
        let span = match self.algorithm {
            Some(Algorithm::Calendar(edges)) => edges.span_at(at_us),
            Some(Algorithm::FixedWindow) => Span::fixed(u64::from(self.period_ms.get()) * MICROS_PER_MS, at_us),
            _ => Span::fixed(self.window_s().max(60).saturating_mul(1_000 * MICROS_PER_MS), at_us),
        };
        (Timestamp::from_micros(span.start_us), Timestamp::from_micros(span.end_us))
    }

    /// Microseconds until the limit would allow the same charge once more, with what it said when it took effect. Of a window that
    /// slides it may be less.
    #[must_use]
    pub fn again_us(&self, said: &Verdict) -> u64 {
        if self.is_one_instant() {
            let ahead_ns = said.reset_us.saturating_mul(NANOS_PER_US).saturating_add(self.increment_ns());
            return ahead_ns.saturating_sub(self.capacity_ns()).div_ceil(NANOS_PER_US);
        }
        if said.remaining >= self.cost.get() { 0 } else { said.reset_us }
    }

    /// The verdict as it is after a refund of the charge that it was made for.
    #[must_use]
    pub fn refunded(&self, said: &Verdict) -> Verdict {
        self.settled(said, 0)
    }

    /// The verdict as it is after the charge that it was made for has been settled at another cost.
    #[must_use]
    pub fn settled(&self, said: &Verdict, cost: u32) -> Verdict {
        let charged = said.remaining.saturating_add(self.cost.get());
        let remaining = charged.saturating_sub(cost).min(self.burst.get());
        let reset_us = if self.is_one_instant() {
            let charged_ns = if cost == 0 { 0 } else { self.cost_ns(cost) };
            let ahead_ns = said.reset_us.saturating_mul(NANOS_PER_US).saturating_sub(self.increment_ns());
            ahead_ns.saturating_add(charged_ns).div_ceil(NANOS_PER_US)
        } else if remaining == self.burst.get() {
            0
        } else {
            said.reset_us
        };
        Verdict { remaining, reset_us, wait_us: None, ..said.clone() }
    }

    /// The seconds after which a limit with nothing left is fully available again.
    #[must_use]
    pub fn window_s(&self) -> u64 {
        let period_ms = u64::from(self.period_ms.get());
        let window_ms = match self.algorithm {
            None | Some(Algorithm::Spacing) => {
                period_ms.saturating_mul(u64::from(self.burst.get())) / u64::from(self.rate.get())
            }
            Some(Algorithm::Calendar(edges)) => edges.length_us() / 1_000,
            Some(
                Algorithm::FixedWindow | Algorithm::SlidingWindow | Algorithm::SlidingLog | Algorithm::Concurrency,
            ) => period_ms,
        };
        window_ms.div_ceil(1_000).max(1)
    }
}
