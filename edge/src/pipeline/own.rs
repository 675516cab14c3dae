//! What an isolate says of limits by itself: from what it has taken ahead, or because it counts alone.

use std::cell::RefCell;
use std::num::NonZeroU32;

use tollgate_core::cell::{
    self, CellKey, CellOperations, Charge, Operation, OperationId, Outcome, Reply, Terms, Update,
};
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::kinds::LimitPolicy;
use tollgate_core::limit::{Consistency, Drawn, Fault, Purpose};
use tollgate_core::time::MonotonicInstant;

use super::charges::charges_in;
use super::exchange::Journal;
use crate::apart::{rare, together};
use crate::isolate::Isolate;
use crate::isolate::leases::Leases;
use crate::ports::{Clock, CounterFault, Counters, Host, Unavailable};
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

/// A charge that the isolate does not decide.
pub(super) enum Undecided {
    /// Its owner is asked.
    Ask(Batch),
    /// Its owner is not asked, because it does not answer.
    Away(Batch, CounterFault),
}

/// How leases were looked at, for one request.
#[derive(Default)]
pub(super) struct Looked {
    /// When, if they were: before anything was sent.
    pub(super) at: Option<MonotonicInstant>,
    /// For how long permits were waited for that others had asked for.
    pub(super) waited_ms: u64,
    /// For how long owners are waited for at most.
    pub(super) timeout_ms: u64,
    /// Whether nobody else decides with a limit.
    pub(super) is_alone: bool,
    /// Whether the request itself asks for permits. Then it waits for no other: these may wait for it.
    pub(super) asks: bool,
}

/// Permits that a request asks for. If its client goes away, others need not wait for them.
pub(super) struct Asked<'i> {
    leases: &'i RefCell<Leases>,
    batches: Vec<Batch>,
}

impl Own {
    /// Decides a charge, unless its owner has to be asked: then it may ask for permits, too.
    pub(super) async fn decide<H: Host>(
        isolate: &Isolate,
        host: &H,
        policy: &LimitPolicy,
        (cell, mut charge): Batch,
        looked: &mut Looked,
        journal: &mut Journal,
    ) -> Result<Self, Undecided> {
        if host.counters().is_near() {
            return Err(Undecided::Ask((cell, charge)));
        }
        let (said, source) = match policy.counting().consistency {
            Consistency::Leased if charge.can_be_leased() => {
                journal.uses_leases = true;
                let at = *looked.at.get_or_insert_with(|| host.clock().instant());
                let drawn = isolate.leases.borrow_mut().draw(&cell, &charge, at);
                let drawn = match drawn {
                    Drawn::Wait if looked.asks => Drawn::Ask(None),
                    Drawn::Wait => rare(drawn_later(isolate, host, (&cell, &charge), looked)).await,
                    drawn => drawn,
                };
                match drawn {
                    Drawn::Taken { said, id, is_low } => (said, Source::Lease { id, is_low }),
                    Drawn::Refused(said) => (said, Source::Refusal),
                    Drawn::Ask(lease) => {
                        looked.asks |= lease.is_some();
                        charge.lease = lease;
                        return Err(Undecided::Ask((cell, charge)));
                    }
                    Drawn::Wait => {
                        let text = format!("the counter store did not answer within {} ms", looked.timeout_ms);
                        return Err(Undecided::Away((cell, charge), Unavailable::new(text).into()));
                    }
                    Drawn::Away => {
                        let fault = Unavailable::new("the counter store failed a moment ago, and is not asked yet");
                        return Err(Undecided::Away((cell, charge), fault.into()));
                    }
                }
            }
            Consistency::Local => {
                let id = journal.next_operation();
                // What may be given back is found by its hold.
                let is_held = !looked.is_alone || policy.counting().may_give_back();
                let said = isolate.local.borrow_mut().count((&cell, id), &charge, is_held, journal.started);
                (said, Source::Count { id, is_held })
            }
            Consistency::Leased | Consistency::Exact => return Err(Undecided::Ask((cell, charge))),
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
                if isolate.leases.borrow_mut().plans_refill(cell, charge, host.clock().instant()) {
                    journal.refills.push((cell.clone(), charge.clone()));
                }
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

impl<'i> Asked<'i> {
    pub(super) fn of(leases: &'i RefCell<Leases>, updates: &[Update]) -> Self {
        let parts = updates.iter().flat_map(|update| &update.cells);
        let charges = parts.flat_map(|part| charges_in(part).map(|charge| (&part.cell, charge)));
        let asking = charges.filter(|(_, charge)| charge.lease.is_some());
        Self { leases, batches: asking.map(|(cell, charge)| (cell.clone(), charge.clone())).collect() }
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        for (cell, charge) in &self.batches {
            self.leases.borrow_mut().not_asked(cell, charge);
        }
    }
}

/// What permits say that another request has asked for, when they are there. Requests share no waiting: each has a timer of its own.
async fn drawn_later<H: Host>(
    isolate: &Isolate,
    host: &H,
    (cell, charge): (&CellKey, &Charge),
    looked: &mut Looked,
) -> Drawn {
    let (since, before_ms) = (host.clock().instant(), looked.waited_ms);
    let mut pauses = WaitPauses::default();
    loop {
        let left_ms = looked.timeout_ms.saturating_sub(looked.waited_ms);
        host.clock().sleep(pauses.next_ms().min(left_ms)).await;
        let now = host.clock().instant();
        (looked.at, looked.waited_ms) = (Some(now), before_ms + now.millis_since(since));
        let drawn = isolate.leases.borrow_mut().draw_again(cell, charge, (since, now));
        if drawn != Drawn::Wait || looked.waited_ms >= looked.timeout_ms {
            return drawn;
        }
    }
}

/// How long a request waits until it looks again for permits that another has asked for: 1, 2, 4, 8, 8 … ms.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct WaitPauses(u32);

impl WaitPauses {
    /// The next one.
    pub(crate) fn next_ms(&mut self) -> u64 {
        let ms = 1 << self.0;
        self.0 = (self.0 + 1).min(3);
        ms
    }
}

/// The charge that takes permits for requests to come.
fn refill_of(cell: &CellKey, charge: &Charge, wanted: NonZeroU32) -> Batch {
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
                (Operation::Charge(charge) | Operation::Settle(charge), _) => match answer {
                    Err(fault) if fault.kind() == Fault::Unavailable => leases.failed(&part.cell, charge, times),
                    _ => leases.not_asked(&part.cell, charge),
                },
                (_, _) => {}
            }
        }
    }
}

/// The calls after a reply: those that take permits for requests to come, if they are needed still, and one that gives back what was not
/// used of a batch.
pub(crate) fn upkeep(
    leases: &RefCell<Leases>,
    refills: &[Batch],
    now: MonotonicInstant,
    mut next: impl FnMut() -> OperationId,
) -> Vec<Update> {
    let is_some_over = leases.borrow().has_batches();
    let unused = is_some_over.then(|| leases.borrow_mut().take_unused(now)).flatten();
    let refills = refills.iter().filter_map(|(cell, charge)| {
        let wanted = leases.borrow_mut().refill(cell, charge, now)?;
        let (cell, charge) = refill_of(cell, charge, wanted);
        Some((cell, Operation::Charge(charge)))
    });
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
pub(super) fn due<H: Host>(isolate: &Isolate, host: &H, journal: &mut Journal) -> Vec<Update> {
    let refills = std::mem::take(&mut journal.refills);
    upkeep(&isolate.leases, &refills, host.clock().instant(), || journal.next_operation())
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
