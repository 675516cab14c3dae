//! Instants of cells, and which of two clocks is used.

use super::gcra::NANOS_PER_US;

pub(super) const fn nanos(us: u64) -> u64 {
    us.saturating_mul(NANOS_PER_US)
}

/// The relation of a writer's clock to the instant at which a cell was last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Time has passed.
    Forward,
    /// The writer is late, or its clock is slightly slow: no time has passed, and the cell's instant is used.
    Late,
    /// The clock is far behind: it was set back, or others are ahead. No time has passed, and none passes for the next
    /// `stands_us` microseconds of this clock.
    Behind { since_us: u64, stands_us: u64 },
    /// No writer has shown the cell's instant for a long time, so the clock was set back by this number of
    /// microseconds: no time has passed, and the cell adopts the new clock.
    SetBack { by_us: u64 },
}

impl Reading {
    /// `behind_us` is the time of the first clock that was far behind, since another one showed the cell's instant.
    pub(super) fn of(cell_us: u64, behind_us: Option<u64>, now_us: u64) -> Self {
        let by_us = cell_us.saturating_sub(now_us);
        if by_us == 0 {
            return Self::Forward;
        }
        if by_us <= LATE_MAX_US {
            return Self::Late;
        }
        let since_us = behind_us.map_or(now_us, |behind_us| behind_us.min(now_us));
        let moves_at_us = since_us.saturating_add(CLOCKS_DIFFER_MAX_US);
        if now_us >= moves_at_us {
            return Self::SetBack { by_us };
        }
        let goes_on_at_us = if cell_us - LATE_MAX_US > moves_at_us { moves_at_us } else { cell_us };
        Self::Behind { since_us, stands_us: goes_on_at_us - now_us }
    }
}

/// The result of advancing a cell to a writer's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Advance {
    /// Whether the change has to be stored, because it cannot be computed again from the state and the time.
    pub(super) changed: bool,
    /// How long no time passes for the cell, by this clock.
    pub(super) stands_us: u64,
}

pub(super) const MICROS_PER_MS: u64 = 1_000;

/// A writer that is later than this is recorded. Hosts with NTP differ by milliseconds, and a call that waits for a
/// busy store is late by seconds.
const LATE_MAX_US: u64 = 60_000_000;

/// The maximum difference between the clocks of one owner's writers, as in Kerberos (RFC 4120): up to this no permit is
/// created. A clock that was set back further is adopted after this time, because quotas must not stop recovering until
/// it has caught up.
pub(super) const CLOCKS_DIFFER_MAX_US: u64 = 300_000_000;
