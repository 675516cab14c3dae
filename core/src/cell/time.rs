//! Instants as cells keep them, and which of two clocks counts.

use super::gcra::NANOS_PER_US;

pub(super) const fn nanos(us: u64) -> u64 {
    us.saturating_mul(NANOS_PER_US)
}

/// What a writer's clock means for a cell that was last changed at another instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Time has passed.
    Forward,
    /// The writer is late, or its clock is a little slow: no time has passed, and the cell's instant counts.
    Late,
    /// The clock was set back by so many microseconds: no time has passed, and the cell moves to the new clock.
    SetBack { by_us: u64 },
}

impl Reading {
    pub(super) const fn of(cell_us: u64, now_us: u64) -> Self {
        let by_us = cell_us.saturating_sub(now_us);
        if by_us == 0 {
            Self::Forward
        } else if by_us <= SKEW_MAX_US {
            Self::Late
        } else {
            Self::SetBack { by_us }
        }
    }
}

pub(super) const MICROS_PER_MS: u64 = 1_000;

/// The most that clocks of one owner's writers may differ. Hosts that keep time by NTP differ by milliseconds, and a call
/// that waits for a busy store is late by seconds; a clock that steps further back was set, and quotas must not stand
/// still until it has caught up.
const SKEW_MAX_US: u64 = 60_000_000;
