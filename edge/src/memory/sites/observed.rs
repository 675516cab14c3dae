//! What a limit has admitted, as its page describes it, counted by one who knows everything: simpler than the cell, and another
//! code.

use std::collections::VecDeque;

use tollgate_core::cell::{Algorithm, Charge};
use tollgate_core::time::Timestamp;

/// What was admitted.
#[derive(Debug, Default)]
pub(super) struct Observed {
    /// Of a limit without windows: when everything would be available again, in nanoseconds.
    full_at_ns: u128,
    window: Window,
    /// Of a period that is counted exactly: when each was admitted, and its cost.
    log: VecDeque<(u64, u64)>,
    in_flight: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    start_us: u64,
    end_us: u64,
    used: u64,
    /// What was admitted in the window before.
    before: u64,
}

impl Observed {
    /// Returns by how much the limit is exceeded then.
    pub(super) fn admit(&mut self, charge: &Charge, at: Timestamp) -> u64 {
        let (cost, burst) = (u64::from(charge.cost.get()), u64::from(charge.burst.get()));
        match charge.algorithm {
            None | Some(Algorithm::Spacing) => {
                let now_ns = ns(at);
                self.full_at_ns = self.full_at_ns.max(now_ns) + cost_ns(charge, cost);
                let beyond_ns = (self.full_at_ns - now_ns).saturating_sub(cost_ns(charge, burst));
                let beyond = (beyond_ns * u128::from(charge.rate.get())).div_ceil(period_ns(charge));
                u64::try_from(beyond).unwrap_or(u64::MAX)
            }
            Some(Algorithm::SlidingLog) => {
                self.forget(charge, at);
                self.log.push_back((at.as_micros(), cost));
                self.logged().saturating_sub(burst)
            }
            Some(Algorithm::Concurrency) => {
                self.in_flight += cost;
                self.in_flight.saturating_sub(burst)
            }
            Some(Algorithm::FixedWindow | Algorithm::SlidingWindow | Algorithm::Calendar(_)) => {
                self.window = self.window.at(charge, at);
                self.window.used += cost;
                self.window.counts(charge, at).saturating_sub(burst)
            }
        }
    }

    /// Whether the charge would not exceed it.
    pub(super) fn has_room(&mut self, charge: &Charge, at: Timestamp) -> bool {
        let (cost, burst) = (u64::from(charge.cost.get()), u64::from(charge.burst.get()));
        match charge.algorithm {
            None | Some(Algorithm::Spacing) => {
                self.full_at_ns.saturating_sub(ns(at)) + cost_ns(charge, cost) <= cost_ns(charge, burst)
            }
            Some(Algorithm::SlidingLog) => {
                self.forget(charge, at);
                self.logged() + cost <= burst
            }
            Some(Algorithm::Concurrency) => self.in_flight + cost <= burst,
            Some(Algorithm::FixedWindow | Algorithm::SlidingWindow | Algorithm::Calendar(_)) => {
                self.window.at(charge, at).counts(charge, at) + cost <= burst
            }
        }
    }

    /// Some that were in flight have ended.
    pub(super) fn end(&mut self, cost: u64) {
        self.in_flight = self.in_flight.saturating_sub(cost);
    }

    fn forget(&mut self, charge: &Charge, at: Timestamp) {
        let period_us = u64::from(charge.period_ms.get()) * 1_000;
        while self.log.front().is_some_and(|(admitted_us, _)| admitted_us + period_us <= at.as_micros()) {
            self.log.pop_front();
        }
    }

    fn logged(&self) -> u64 {
        self.log.iter().map(|(_, cost)| cost).sum()
    }
}

impl Window {
    /// The same, in the window with this instant.
    fn at(self, charge: &Charge, at: Timestamp) -> Self {
        let (start_us, end_us) = window_of(charge, at);
        match () {
            () if start_us == self.start_us => self,
            () if start_us == self.end_us => Self { start_us, end_us, used: 0, before: self.used },
            () => Self { start_us, end_us, used: 0, before: 0 },
        }
    }

    /// What counts at an instant in it.
    fn counts(&self, charge: &Charge, at: Timestamp) -> u64 {
        if charge.algorithm != Some(Algorithm::SlidingWindow) {
            return self.used;
        }
        let left_us = u128::from(self.end_us - at.as_micros());
        let before = u128::from(self.before) * left_us / u128::from((self.end_us - self.start_us).max(1));
        self.used + u64::try_from(before).unwrap_or(u64::MAX)
    }
}

/// Where the window of a charge begins and ends.
pub(super) fn window_of(charge: &Charge, at: Timestamp) -> (u64, u64) {
    match charge.algorithm {
        Some(Algorithm::Calendar(edges)) => (edges.start_us, edges.end_us),
        _ => {
            let length_us = u64::from(charge.period_ms.get()) * 1_000;
            let start_us = at.as_micros() - at.as_micros() % length_us;
            (start_us, start_us + length_us)
        }
    }
}

fn ns(at: Timestamp) -> u128 {
    u128::from(at.as_micros()) * 1_000
}

fn period_ns(charge: &Charge) -> u128 {
    u128::from(charge.period_ms.get()) * 1_000_000
}

fn cost_ns(charge: &Charge, cost: u64) -> u128 {
    u128::from(cost) * period_ns(charge) / u128::from(charge.rate.get())
}
