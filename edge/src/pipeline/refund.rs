//! Refunds: a limit that counts only some responses is charged before, and given back after any other.

use tollgate_core::limit::Statuses;

use super::exchange::Journal;
use super::own::Own;
use super::undo::Undo;
use crate::isolate::Isolate;
use crate::ports::Host;

/// A charge that is given back after some responses.
#[derive(Debug)]
pub(super) struct Refund {
    /// The responses after which it stays.
    counts: Statuses,
    charged: Charged,
}

/// Who has counted it.
#[derive(Debug)]
enum Charged {
    Owner(Undo),
    Isolate(Own),
}

impl Refund {
    /// What an owner has charged, or may have charged.
    pub(super) fn of_owner(counts: Statuses, undo: Undo) -> Self {
        Self { counts, charged: Charged::Owner(undo) }
    }

    /// What the isolate has counted by itself.
    pub(super) fn of_isolate(counts: Statuses, own: Own) -> Self {
        Self { counts, charged: Charged::Isolate(own) }
    }
}

/// Gives back what does not count after the response, as far as the isolate has counted it, and returns the steps for the rest.
pub(super) fn due<H: Host>(isolate: &Isolate, host: &H, journal: &mut Journal) -> Vec<Undo> {
    let mut steps = Vec::new();
    for Refund { counts, charged } in std::mem::take(&mut journal.refunds) {
        match charged {
            _ if counts.contain(journal.status) => {}
            Charged::Owner(undo) => steps.push(undo),
            Charged::Isolate(own) => own.settle(isolate, host, false, journal),
        }
    }
    steps
}
