//! Counts in windows: fixed ones, those of a calendar, and two fixed ones as one that slides.
//!
//! A window is identified by its beginning. The cell's instant never moves back (but for a clock that was set back), so windows
//! follow each other, and a charge whose writer is late counts in the newest window: a late writer neither opens an
//! old window again nor gets its permits.

use std::num::NonZeroU8;

use crate::codec::Decode;
use minicbor::Encode;

use super::charge::{Charge, Verdict};
use super::gcra::divided;

/// The window of a calendar that an edge is in, with its neighbours: the owner decides by its own clock, which may have passed an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Edges {
    /// When the window before begins, in microseconds since 1970.
    #[n(0)]
    pub before_us: u64,
    /// When the window begins.
    #[n(1)]
    pub start_us: u64,
    /// When it ends, and the next one begins.
    #[n(2)]
    pub end_us: u64,
    /// When the next one ends.
    #[n(3)]
    pub after_us: u64,
}

impl Edges {
    /// The length of the window.
    pub(super) const fn length_us(&self) -> u64 {
        self.end_us.saturating_sub(self.start_us)
    }

    /// The window with this instant, or the nearest one.
    pub(super) const fn span_at(&self, at_us: u64) -> Span {
        if at_us < self.start_us {
            Span { start_us: self.before_us, end_us: self.start_us }
        } else if at_us < self.end_us {
            Span { start_us: self.start_us, end_us: self.end_us }
        } else {
            Span { start_us: self.end_us, end_us: self.after_us }
        }
    }
}

/// A window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start_us: u64,
    pub(super) end_us: u64,
}

impl Span {
    /// The window of this length with this instant; windows begin at multiples of their length.
    pub(super) const fn fixed(length_us: u64, at_us: u64) -> Self {
        let start_us = at_us - at_us % length_us;
        Self { start_us, end_us: start_us.saturating_add(length_us) }
    }
}

/// What was charged in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct Count {
    #[n(0)]
    pub(super) start_us: u64,
    #[n(1)]
    pub(super) end_us: u64,
    #[n(2)]
    pub(super) used: u64,
    /// What was charged in the window before, while the limit slides.
    #[n(3)]
    pub(super) before: Option<u64>,
    /// What was to be used for the last share that was told in this window.
    #[n(4)]
    pub(super) told: Option<u64>,
}

impl Count {
    /// The count as it is in this window.
    pub(super) fn in_window(self, span: Span, slides: bool) -> Self {
        let Span { start_us, end_us } = span;
        if self.start_us >= end_us {
            return self;
        }
        if self.start_us >= start_us {
            return Self { start_us, end_us, ..self };
        }
        let is_next = slides && self.start_us >= start_us.saturating_sub(end_us - start_us);
        Self { start_us, end_us, used: 0, before: is_next.then_some(self.used).filter(|used| *used > 0), told: None }
    }

    /// Gives back what was charged in the window that began at this instant, or while it had this beginning.
    pub(super) fn take_back(&mut self, start_us: u64, cost: u64) {
        let length_us = self.length_us();
        if start_us >= self.start_us {
            self.used = self.used.saturating_sub(cost);
        } else if let Some(before) =
            self.before.as_mut().filter(|_| start_us.saturating_add(length_us) >= self.start_us)
        {
            *before = before.saturating_sub(cost);
        }
    }

    /// After a clock was set back: the same count, in the window with this instant.
    pub(super) fn set_back(&mut self, at_us: u64) {
        self.start_us = self.start_us.min(at_us);
    }

    /// When nothing of it counts any more.
    pub(super) fn idle_at_us(&self, slides: bool) -> u64 {
        let longer_us = if slides { self.end_us.saturating_sub(self.start_us) } else { 0 };
        self.end_us.saturating_add(longer_us)
    }

    /// What counts at this instant.
    fn used_at(&self, at_us: u64) -> u64 {
        let before = self.before.map_or(0, |before| {
            let (left_us, length_us) = (self.end_us.saturating_sub(at_us), self.length_us());
            let weighed = u128::from(before) * u128::from(left_us.min(length_us));
            divided(weighed, length_us).try_into().unwrap_or(u64::MAX)
        });
        self.used.saturating_add(before)
    }

    /// Whether the charge fits.
    pub(super) fn allows(&self, charge: &Charge, at_us: u64) -> bool {
        self.used_at(at_us).saturating_add(charge.cost.get().into()) <= charge.burst.get().into()
    }

    /// The count with the charge.
    pub(super) fn charged(self, charge: &Charge) -> Self {
        let used = self.used.saturating_add(charge.cost.get().into());
        let told = Self { used, ..self }.newly_reached(charge).map(|(_, at)| at).or(self.told);
        Self { used, told, ..self }
    }

    /// The largest share that is reached, if it is beyond what was told in the window. A limit that was lowered may have more used than
    /// that, one that was raised less.
    fn newly_reached(self, charge: &Charge) -> Option<(NonZeroU8, u64)> {
        let tells = charge.tells.filter(|_| charge.is_of_window())?;
        tells.reached(charge.burst, self.used).filter(|(_, at)| self.told.is_none_or(|told| *at > told))
    }

    /// The share that a charge has reached since this count, with the count after it.
    pub(super) fn reached_before(self, after: Self, charge: &Charge) -> Option<NonZeroU8> {
        Self { used: after.used, ..self }.newly_reached(charge).map(|(share, _)| share)
    }

    /// What a limit with this count says of the charge.
    pub(super) fn verdict(&self, charge: &Charge, allowed: bool, slides: bool, at_us: u64) -> Verdict {
        let left = u64::from(charge.burst.get()).saturating_sub(self.used_at(at_us));
        let end_us = match (self.used, self.before) {
            (0, None) => at_us,
            (0, Some(before)) => self.falls_to(before, 0, self.end_us).max(at_us),
            (used, _) if slides => {
                self.falls_to(used, 0, self.end_us.saturating_add(self.length_us())).max(self.end_us)
            }
            (_, _) => self.end_us,
        };
        let retry_after_us = if allowed {
            Some(0)
        } else if charge.cost > charge.burst {
            None
        } else {
            Some(self.passes_at_us(charge, slides).saturating_sub(at_us))
        };
        Verdict {
            allowed,
            remaining: u32::try_from(left).unwrap_or(u32::MAX),
            reset_us: end_us.saturating_sub(at_us),
            retry_after_us,
            wait_us: None,
            leased: None,
            reached: None,
        }
    }

    /// When a charge passes that is refused now, if nothing else is charged: what is left of a window before falls steadily.
    fn passes_at_us(&self, charge: &Charge, slides: bool) -> u64 {
        let room = u64::from(charge.burst.get() - charge.cost.get());
        match (room.checked_sub(self.used), self.before) {
            (Some(room), Some(before)) => self.falls_to(before, room, self.end_us),
            (Some(_), None) => self.start_us,
            (None, _) if slides => {
                let end_us = self.end_us.saturating_add(self.length_us());
                self.falls_to(self.used, room, end_us).max(self.end_us)
            }
            (None, _) => self.end_us,
        }
    }

    /// When a count of a window has fallen to this number, rounded down, if it has no weight from `end_us` on.
    fn falls_to(&self, used: u64, room: u64, end_us: u64) -> u64 {
        let weighed = u128::from(room.saturating_add(1)) * u128::from(self.length_us());
        let left_us = weighed.div_ceil(u128::from(used.max(1))).saturating_sub(1);
        end_us.saturating_sub(u64::try_from(left_us).unwrap_or(u64::MAX))
    }

    /// At least 1: it divides.
    fn length_us(&self) -> u64 {
        self.end_us.saturating_sub(self.start_us).max(1)
    }
}
