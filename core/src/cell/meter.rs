//! The state of one limit, and the effect of a charge on it, whatever counts it.

use crate::codec::Decode;
use minicbor::Encode;

use super::OperationId;
use super::charge::{Algorithm, Charge, Verdict};
use super::entries::Entries;
use super::gcra::{Level, Shift};
use super::time::{MICROS_PER_MS, nanos};
use super::windows::{Count, Span};

/// The state of a limit. One that is counted in another form than before begins anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meter {
    /// When it is fully available again.
    Instant(Level),
    /// What is counted otherwise.
    Counted(Counted),
}

/// The state of a limit that is not one instant.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(flat)]
pub(super) enum Counted {
    /// The count of a window.
    #[n(0)]
    Window(#[n(0)] Count),
    /// The count of a window, while those of the window before fade.
    #[n(1)]
    Sliding(#[n(0)] Count),
    /// The charges of a sliding window, one by one.
    #[n(2)]
    Log(#[n(0)] Entries),
    /// The charges of operations that have not ended.
    #[n(3)]
    InFlight(#[n(0)] Entries),
}

/// The effect that a charge would have.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    Instant(Shift),
    Counted { allowed: bool, before: Counted, after: Counted },
}

impl Meter {
    /// The state of a limit that nothing was charged to.
    pub(super) fn unused(algorithm: Option<Algorithm>) -> Self {
        match algorithm {
            None | Some(Algorithm::Spacing) => Self::Instant(Level::default()),
            Some(Algorithm::FixedWindow | Algorithm::Calendar(_)) => Self::Counted(Counted::Window(Count::default())),
            Some(Algorithm::SlidingWindow) => Self::Counted(Counted::Sliding(Count::default())),
            Some(Algorithm::SlidingLog) => Self::Counted(Counted::Log(Entries::default())),
            Some(Algorithm::Concurrency) => Self::Counted(Counted::InFlight(Entries::default())),
        }
    }

    /// Whether they are states of one form.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Instant(_), Self::Instant(_)) => true,
            (Self::Counted(own), Self::Counted(other)) => own.is_like(other),
            _ => false,
        }
    }

    /// The effect of a charge on it, at the cell's instant.
    pub(super) fn charge(self, charge: &Charge, id: OperationId, at_us: u64) -> Effect {
        match self {
            Self::Instant(level) => Effect::Instant(charge.shift(level, nanos(at_us))),
            Self::Counted(counted) => counted.charge(charge, id, at_us),
        }
    }
}

impl Effect {
    /// Whether the limit allows the charge.
    pub(super) const fn allowed(&self) -> bool {
        match self {
            Self::Instant(shift) => shift.allowed,
            Self::Counted { allowed, .. } => *allowed,
        }
    }

    /// Allows the charge, also beyond the limit.
    pub(super) const fn allow(&mut self) {
        match self {
            Self::Instant(shift) => shift.allowed = true,
            Self::Counted { allowed, .. } => *allowed = true,
        }
    }

    /// The state after the charge.
    pub(super) fn after(&self, charge: &Charge) -> Meter {
        match self {
            Self::Instant(shift) => Meter::Instant(Level { tat_ns: shift.new_tat_ns, pace: Some(charge.pace()) }),
            Self::Counted { after, .. } => Meter::Counted(after.clone()),
        }
    }

    /// What the limit says of the charge; `applied` says whether it took effect.
    pub(super) fn verdict(&self, charge: &Charge, allowed: bool, applied: bool, at_us: u64) -> Verdict {
        match self {
            Self::Instant(shift) => charge.instant_verdict(&Shift { allowed, ..*shift }, applied, nanos(at_us)),
            Self::Counted { before, after, .. } => {
                let counted = if applied { after } else { before };
                let reached = match (before, after) {
                    (Counted::Window(before), Counted::Window(after)) if applied => {
                        before.reached_before(*after, charge)
                    }
                    _ => None,
                };
                Verdict { reached, ..counted.verdict(charge, allowed, at_us) }
            }
        }
    }

    /// Whether the state after the charge can be stored.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Instant(_) => true,
            Self::Counted { before, .. } => before.has_room(),
        }
    }
}

impl Counted {
    /// Whether they are states of one form.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    fn charge(self, charge: &Charge, id: OperationId, at_us: u64) -> Effect {
        let moved = |allowed, before, after| Effect::Counted { allowed, before, after };
        match self {
            Self::Window(count) => {
                let count = count.in_window(span(charge, at_us), false);
                moved(count.allows(charge, at_us), Self::Window(count), Self::Window(count.charged(charge)))
            }
            Self::Sliding(count) => {
                let count = count.in_window(span(charge, at_us), true);
                moved(count.allows(charge, at_us), Self::Sliding(count), Self::Sliding(count.charged(charge)))
            }
            Self::Log(entries) => {
                let after = entries.charged(charge, id, at_us);
                moved(entries.allow(charge), Self::Log(entries), Self::Log(after))
            }
            Self::InFlight(entries) => {
                let after = entries.charged(charge, id, at_us);
                moved(entries.allow(charge), Self::InFlight(entries), Self::InFlight(after))
            }
        }
    }

    fn verdict(&self, charge: &Charge, allowed: bool, at_us: u64) -> Verdict {
        match self {
            Self::Window(count) => count.verdict(charge, allowed, false, at_us),
            Self::Sliding(count) => count.verdict(charge, allowed, true, at_us),
            Self::Log(entries) => entries.verdict(charge, allowed, false, at_us),
            Self::InFlight(entries) => entries.verdict(charge, allowed, true, at_us),
        }
    }

    /// Whether one more charge can be stored.
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Window(_) | Self::Sliding(_) => true,
            Self::Log(entries) | Self::InFlight(entries) => entries.have_room(),
        }
    }

    /// What a refund of a charge has to know: when its window began.
    pub(super) const fn start_us(&self) -> u64 {
        match self {
            Self::Window(count) | Self::Sliding(count) => count.start_us,
            Self::Log(_) | Self::InFlight(_) => 0,
        }
    }

    /// The same of a charge that took effect at an instant.
    pub(super) fn start_of(&self, charge: &Charge, at_us: u64) -> u64 {
        match self {
            Self::Window(_) | Self::Sliding(_) => span(charge, at_us).start_us,
            Self::Log(_) | Self::InFlight(_) => 0,
        }
    }

    /// Gives back a charge.
    pub(super) fn take_back(&mut self, id: OperationId, start_us: u64, cost: u64) {
        match self {
            Self::Window(count) | Self::Sliding(count) => count.take_back(start_us, cost),
            Self::Log(entries) | Self::InFlight(entries) => entries.remove(id),
        }
    }

    /// Whether an update has something in flight.
    pub(super) fn has(&self, id: OperationId) -> bool {
        matches!(self, Self::InFlight(entries) if entries.have(id))
    }

    /// Ends what an update has in flight.
    pub(super) fn leave(&mut self, id: OperationId) {
        if let Self::InFlight(entries) = self {
            entries.remove(id);
        }
    }

    /// Forgets what does not count any more.
    pub(super) fn forget(&mut self, at_us: u64) {
        if let Self::Log(entries) | Self::InFlight(entries) = self {
            entries.forget(at_us);
        }
    }

    /// When nothing of it counts any more.
    pub(super) fn idle_at_us(&self) -> u64 {
        match self {
            Self::Window(count) => count.idle_at_us(false),
            Self::Sliding(count) => count.idle_at_us(true),
            Self::Log(entries) | Self::InFlight(entries) => entries.last_until_us().unwrap_or(0),
        }
    }

    /// After a clock was set back by so much, to this instant.
    pub(super) fn set_back(&mut self, by_us: u64, at_us: u64) {
        match self {
            Self::Window(count) | Self::Sliding(count) => count.set_back(at_us),
            Self::Log(entries) | Self::InFlight(entries) => entries.set_back(by_us),
        }
    }
}

/// The window that a charge counts in.
fn span(charge: &Charge, at_us: u64) -> Span {
    match charge.algorithm {
        Some(Algorithm::Calendar(edges)) => edges.span_at(at_us),
        _ => Span::fixed(u64::from(charge.period_ms.get()).saturating_mul(MICROS_PER_MS), at_us),
    }
}
