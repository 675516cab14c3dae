//! What an isolate says of limits by itself: from what it has taken ahead, or because it counts alone.

use std::cell::RefCell;
use std::num::NonZeroU32;

use tollgate_core::cell::{
    self, CellKey, CellOperations, Charge, Operation, OperationId, Outcome, Reply, Terms, Update,
};
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::kinds::LimitPolicy;
use tollgate_core::limit::{Consistency, Drawn, Purpose};
use tollgate_core::time::MonotonicInstant;

use super::exchange::Journal;
use crate::apart::together;
use crate::isolate::Isolate;
use crate::isolate::leases::Leases;
use crate::ports::{Clock, CounterFault, Counters, Host};
use crate::timeout::counted;

/// A charge that the isolate has decided.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) cell: CellKey,
    pub(super) charge: Charge,
    pub(super) said: cell::Verdict,
    pub(super) source: Source,
}

/// Who has decided.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// Permits that were taken ahead; whether few are left.
    Lease { id: OperationId, is_low: bool },
    /// Its owner, a moment ago.
    Refusal,
    /// The isolate, which counts by itself; whether it waits for [`Own::settle`].
    Count { id: OperationId, is_held: bool },
}

/// What is asked at owners, for permits beside the cost.
pub(crate) type Batch = (CellKey, Charge);

impl Own {
    /// Decides a charge, unless its owner has to be asked: then it may ask for permits, too. `at` is when leases were looked at, if
    /// they were; `is_alone` says whether nobody else decides with it.
    pub(super) fn decide<H: Host>(
        isolate: &Isolate,
        host: &H,
        policy: &LimitPolicy,
        cell: CellKey,
        mut charge: Charge,
        (at, is_alone): (&mut Option<MonotonicInstant>, bool),
        journal: &mut Journal,
    ) -> Result<Self, Batch> {
        if host.counters().is_near() {
            return Err((cell, charge));
        }
        let (said, source) = match policy.counting().consistency {
            Consistency::Leased if charge.can_be_leased() => {
                journal.uses_leases = true;
                let drawn =
                    isolate.leases.borrow_mut().draw(&cell, &charge, *at.get_or_insert_with(|| host.clock().instant()));
                match drawn {
                    Drawn::Taken { said, id, is_low } => (said, Source::Lease { id, is_low }),
                    Drawn::Refused(said) => (said, Source::Refusal),
                    Drawn::Ask(lease) => {
                        charge.lease = lease;
                        return Err((cell, charge));
                    }
                }
            }
            Consistency::Local => {
                let id = journal.next_operation();
                // What may be given back is found by its hold.
                let is_held = !is_alone || policy.counting().may_give_back();
                let said = isolate.local.borrow_mut().count((&cell, id), &charge, is_held, journal.started);
                (said, Source::Count { id, is_held })
            }
            Consistency::Leased | Consistency::Exact => return Err((cell, charge)),
        };
        Ok(Self { cell, charge, said, source })
    }

    /// Reports it as not charged.
    pub(super) fn refund(&mut self) {
        if self.said.allowed {
            self.said = self.charge.refunded(&self.said);
        }
    }

    /// Keeps the charge, or takes it back because the request is refused.
    pub(super) fn settle<H: Host>(&self, isolate: &Isolate, host: &H, is_kept: bool, journal: &mut Journal) {
        let Self { cell, charge, .. } = self;
        match self.source {
            Source::Lease { id, .. } if !is_kept => isolate.leases.borrow_mut().put_back(cell, charge, id),
            Source::Lease { is_low: true, .. } => {
                let now = host.clock().instant();
                let wanted = isolate.leases.borrow_mut().refill(cell, charge, now);
                journal.refills.extend(wanted.map(|wanted| refill_of(cell, charge, wanted)));
            }
            Source::Count { id, is_held: true } if self.said.allowed => {
                isolate.local.borrow_mut().settle(cell, id, is_kept, journal.started);
            }
            Source::Lease { .. } | Source::Refusal | Source::Count { .. } => {}
        }
    }

    /// What happened, for the trace.
    pub(super) fn reason(&self, kept: bool) -> (Verdict, Reason) {
        let (remaining, cost) = (self.said.remaining, self.charge.cost.get());
        match (self.said.allowed, kept, self.source) {
            (false, _, _) => (Verdict::Refuse, Reason::Exhausted { remaining, cost }),
            (true, false, _) => (Verdict::Pass, Reason::NotCharged { remaining, cost }),
            (true, true, Source::Count { .. }) => (Verdict::Pass, Reason::CountedLocally { remaining, cost }),
            (true, true, Source::Lease { .. } | Source::Refusal) => (Verdict::Pass, Reason::Leased { remaining, cost }),
        }
    }

    /// Whether what it says remains is what remains of the limit.
    pub(super) const fn knows_all(&self) -> bool {
        matches!(self.source, Source::Count { .. })
    }
}

/// The charge that takes permits for requests to come.
pub(crate) fn refill_of(cell: &CellKey, charge: &Charge, wanted: NonZeroU32) -> Batch {
    let lease = NonZeroU32::new(wanted.get() - 1);
    (cell.clone(), Charge { cost: NonZeroU32::MIN, lease, ..charge.clone() })
}

/// Learns what the owners say of an update.
pub(crate) fn learn(
    leases: &mut Leases,
    update: &Update,
    answer: &Result<Outcome, CounterFault>,
    purpose: Purpose,
    times: (MonotonicInstant, MonotonicInstant),
) {
    let mut replies = answer.as_ref().ok().map(|outcome| outcome.replies.iter());
    for part in &update.cells {
        for operation in &part.operations {
            let reply = replies.as_mut().and_then(Iterator::next);
            match (operation, reply) {
                (Operation::Charge(charge) | Operation::Settle(charge), Some(Reply::Charged(said))) => {
                    leases.answered(&part.cell, charge, said, (update.terms.id, purpose), times);
                }
                (Operation::Charge(charge) | Operation::Settle(charge), _) => leases.failed(&part.cell, charge),
                (_, _) => {}
            }
        }
    }
}

/// The calls after a reply: those that take permits for requests to come, and one that gives back what was not used of a batch.
pub(crate) fn upkeep(
    leases: &RefCell<Leases>,
    refills: impl IntoIterator<Item = Batch>,
    now: MonotonicInstant,
    mut next: impl FnMut() -> OperationId,
) -> Vec<Update> {
    let is_some_over = leases.borrow().has_batches();
    let unused = is_some_over.then(|| leases.borrow_mut().take_unused(now)).flatten();
    let refills = refills.into_iter().map(|(cell, charge)| (cell, Operation::Charge(charge)));
    let back = unused.into_iter().map(|(cell, unused)| (cell, Operation::GiveBack(unused)));
    refills
        .chain(back)
        .map(|(cell, operation)| {
            let terms = Terms { id: next(), hold_ms: None, refund_ms: None };
            Update { terms, cells: vec![CellOperations { cell, operations: vec![operation] }] }
        })
        .collect()
}

/// The calls after the reply of an exchange: for most, none.
pub(super) fn due(isolate: &Isolate, journal: &mut Journal) -> Vec<Update> {
    let refills = std::mem::take(&mut journal.refills);
    upkeep(&isolate.leases, refills, journal.answered, || journal.next_operation())
}

/// Makes these calls.
pub(super) async fn refill<H: Host>(isolate: &Isolate, host: &H, journal: &mut Journal, updates: Vec<Update>) {
    let run = async |update: Update| {
        let sent = host.clock().instant();
        let answer = counted(host, &update).await;
        let times = (sent, host.clock().instant());
        learn(&mut isolate.leases.borrow_mut(), &update, &answer, Purpose::Refill, times);
        (update, answer)
    };
    for (update, answer) in together(updates.into_iter().map(run)).await {
        let replies = answer.iter().flat_map(|outcome| &outcome.replies);
        for (part, reply) in update.cells.iter().zip(replies) {
            // Permits that are taken ahead reach a share when they are taken.
            if let ([Operation::Charge(charge)], Reply::Charged(said)) = (part.operations.as_slice(), reply) {
                journal.note_reached(Phase::Limit, &part.cell, charge, said, true);
            }
        }
    }
}
