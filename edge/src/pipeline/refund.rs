//! Refunds: a limit that counts only some responses is charged before, and given back after any other.

use tollgate_core::cell::Charge;
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::kinds::PolicyName;
use tollgate_core::limit::Statuses;
use tollgate_core::problem::ProblemKind;

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
    phase: Phase,
    /// The limits, and what was charged to them.
    costs: Vec<(PolicyName, u32)>,
}

/// Who has counted it.
#[derive(Debug)]
enum Charged {
    Owner(Undo),
    Isolate(Own),
}

impl Refund {
    /// What an owner has charged, or may have charged.
    pub(super) fn of_owner<'c>(
        phase: Phase,
        counts: Statuses,
        charges: impl Iterator<Item = &'c Charge>,
        undo: Undo,
    ) -> Self {
        let costs = charges.map(|charge| (charge.quota.clone(), charge.cost.get())).collect();
        Self { counts, charged: Charged::Owner(undo), phase, costs }
    }

    /// What the isolate has counted by itself.
    pub(super) fn of_isolate(phase: Phase, counts: Statuses, own: Own) -> Self {
        let costs = vec![(own.charge.quota.clone(), own.charge.cost.get())];
        Self { counts, charged: Charged::Isolate(own), phase, costs }
    }
}

/// Gives back what does not count after the response, as far as the isolate has counted it, and returns the steps for the rest.
pub(super) fn due<H: Host>(isolate: &Isolate, host: &H, journal: &mut Journal) -> Vec<Undo> {
    let mut steps = Vec::new();
    if journal.refunds.is_empty() {
        return steps;
    }
    // The upstream may have done what was asked for, and whoever hangs up would not be limited otherwise.
    let is_client_gone = journal.events.refusal().is_some_and(|refusal| refusal.problem == ProblemKind::ClientGone);
    for Refund { counts, charged, phase, costs } in std::mem::take(&mut journal.refunds) {
        if is_client_gone || counts.contain(journal.status) {
            continue;
        }
        for (quota, reserved) in costs {
            journal.note_policy(phase, &quota, Verdict::Pass, Reason::Settled { cost: 0, reserved });
        }
        match charged {
            Charged::Owner(undo) => steps.push(undo),
            Charged::Isolate(own) => own.settle(isolate, host, false, journal),
        }
    }
    steps
}
