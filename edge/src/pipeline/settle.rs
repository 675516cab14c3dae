//! Settlements: a limit whose cost is known after the reply is charged a reserve before. What that was too much is given back, what
//! it was too little is charged, also beyond the limit.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU32;
use std::pin::Pin;

use http::HeaderMap;
use tollgate_core::cell::{CellKey, CellOperations, Charge, Operation, OperationId, Terms, Unused, Update};
use tollgate_core::event::{Local, Phase, Reason, Verdict};
use tollgate_core::limit::{Consistency, Cost, Counting, Drawn, Measure, Priced, Purpose, Statuses};

use super::exchange::Journal;
use super::numbers::not_as_read;
use super::own::{self, Own, Source};
use crate::apart::{rare, together};
use crate::isolate::Isolate;
use crate::ports::{Clock, Content, Delivery, Host};
use crate::timeout::{counted, in_time};

/// A charge whose cost is known later.
#[derive(Debug)]
pub(super) struct Settlement {
    phase: Phase,
    cell: CellKey,
    charge: Charge,
    cost: Box<Cost>,
    /// The responses after which it counts at all; after others another step gives it back.
    counts: Option<Statuses>,
    /// Whether its permits are taken ahead.
    is_leased: bool,
    charged: Charged,
    /// The cost that the upstream's response states.
    stated: Option<Priced>,
}

/// Who has charged the reserve.
#[derive(Clone, Copy, Debug)]
enum Charged {
    /// The owner, in an update with this id.
    Owner(OperationId),
    /// The isolate, from permits that were taken with this id.
    Lease(OperationId),
    /// The isolate, which counts by itself.
    Count(OperationId),
}

/// What is known of a cost.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// It depends on bytes that have not passed yet.
    Later,
    /// The response does not count.
    Nothing,
    /// The cost.
    At(Priced),
}

/// How many bytes the contents of an exchange had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    request: Option<u64>,
    response: Option<u64>,
}

/// The count of a request's content, which ends when the content does.
pub(super) struct Counted(Pin<Box<dyn Future<Output = Delivery>>>);

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl Settlement {
    /// What an owner has charged in an update; `None` if nothing is left to settle.
    pub(super) fn of_owner(
        phase: Phase,
        counting: &Counting,
        at: (&CellKey, &Charge),
        id: OperationId,
        journal: &Journal,
    ) -> Option<Self> {
        Self::new(phase, counting, at, Charged::Owner(id), journal)
    }

    /// What the isolate has decided.
    pub(super) fn of_isolate(phase: Phase, counting: &Counting, own: &Own, journal: &Journal) -> Option<Self> {
        let charged = match own.source {
            Source::Lease { id, .. } => Charged::Lease(id),
            Source::Count { id, .. } => Charged::Count(id),
            Source::Refusal => return None,
        };
        Self::new(phase, counting, (&own.cell, &own.charge), charged, journal)
    }

    fn new(
        phase: Phase,
        counting: &Counting,
        (cell, charge): (&CellKey, &Charge),
        charged: Charged,
        journal: &Journal,
    ) -> Option<Self> {
        let cost = counting.cost.as_ref().filter(|cost| cost.is_settled())?;
        if cost.of == Measure::RequestBytes && journal.request_bytes.is_some() {
            return None;
        }
        Some(Self {
            phase,
            cell: cell.clone(),
            charge: Charge { lease: None, ..charge.clone() },
            cost: cost.clone(),
            counts: counting.count_when.clone(),
            is_leased: journal.uses_leases && counting.consistency == Consistency::Leased && charge.can_be_leased(),
            charged,
            stated: None,
        })
    }

    /// The cost after a response, as far as it is known already.
    fn known(&self, status: u16, bytes: Option<Bytes>) -> Known {
        if self.counts.as_ref().is_some_and(|counts| !counts.contain(status)) {
            return Known::Nothing;
        }
        let burst = self.charge.burst;
        match (&self.cost.of, bytes) {
            (Measure::RequestBytes, Some(bytes)) => Known::At(self.cost.of(bytes.request, burst)),
            (Measure::ResponseBytes, Some(bytes)) => Known::At(self.cost.of(bytes.response, burst)),
            (Measure::RequestBytes | Measure::ResponseBytes, None) => Known::Later,
            (Measure::ResponseField(_) | Measure::Value(_), _) => {
                Known::At(self.stated.unwrap_or_else(|| self.cost.of(None, burst)))
            }
        }
    }

    /// Settles it as far as the isolate can, and returns what its owner is asked.
    fn settle<H: Host>(
        &self,
        cost: NonZeroU32,
        isolate: &Isolate,
        host: &H,
        journal: &mut Journal,
    ) -> Option<Operation> {
        let Self { cell, charge, .. } = self;
        let of = charge.cost;
        match cost.cmp(&of) {
            Ordering::Equal => None,
            Ordering::Less => {
                let permits = NonZeroU32::new(of.get() - cost.get())?;
                let back = |id| Operation::GiveBack(Unused { id, quota: charge.quota.clone(), permits, of });
                match self.charged {
                    Charged::Owner(id) => return Some(back(id)),
                    Charged::Lease(id) => {
                        let part = Charge { cost: permits, ..charge.clone() };
                        isolate.leases.borrow_mut().put_back(cell, &part, id);
                    }
                    Charged::Count(id) => self.count(isolate, host, back(id), journal),
                }
                None
            }
            Ordering::Greater => {
                let mut debt = Charge { cost: NonZeroU32::new(cost.get() - of.get())?, ..charge.clone() };
                if let Charged::Count(_) = self.charged {
                    self.count(isolate, host, Operation::Settle(debt), journal);
                    return None;
                }
                if self.is_leased {
                    let now = host.clock().instant();
                    let mut leases = isolate.leases.borrow_mut();
                    match leases.draw(cell, &debt, now) {
                        Drawn::Taken { is_low, .. } => {
                            let wanted = if is_low { leases.refill(cell, &debt, now) } else { None };
                            journal.refills.extend(wanted.map(|wanted| own::refill_of(cell, &debt, wanted)));
                            return None;
                        }
                        Drawn::Ask(lease) => debt.lease = lease,
                        Drawn::Refused(_) => {}
                    }
                    let rest = debt.cost.get() - leases.drain(cell, &debt, now);
                    let Some(rest) = NonZeroU32::new(rest) else {
                        leases.failed(cell, &debt);
                        return None;
                    };
                    debt.cost = rest;
                }
                Some(Operation::Settle(debt))
            }
        }
    }

    fn count<H: Host>(&self, isolate: &Isolate, host: &H, operation: Operation, journal: &mut Journal) {
        let id = journal.next_operation();
        isolate.local.borrow_mut().apply(&self.cell, id, operation, host.clock().now());
    }

    fn note(&self, priced: Priced, journal: &mut Journal) {
        let reserved = self.charge.cost.get();
        let settled = Reason::Settled { cost: priced.cost().get(), reserved };
        for reason in not_as_read(priced).into_iter().chain([settled]) {
            journal.note_policy(self.phase, &self.charge.quota, Verdict::Pass, reason);
        }
    }
}

/// Reads the costs that the fields of the upstream's response state.
pub(super) fn read<C: Content>(journal: &mut Journal, fields: &HeaderMap, content: &C) {
    for one in &mut journal.settlements {
        let Measure::ResponseField(name) = &one.cost.of else { continue };
        let burst = one.charge.burst;
        let is_there = fields.contains_key(name);
        one.stated =
            if is_there { one.cost.stated(fields, burst) } else { one.cost.stated(&content.left_out(), burst) };
    }
}

/// Lets the fields of the response show what is known of the costs.
pub(super) fn show(journal: &mut Journal, status: u16) {
    for one in &journal.settlements {
        match one.known(status, None) {
            Known::At(priced) => journal.quotas.settle(&one.charge.quota, priced.cost().get()),
            Known::Nothing => journal.quotas.settle(&one.charge.quota, 0),
            Known::Later => {}
        }
    }
}

/// Whether the bytes of the response have to be counted.
pub(super) fn counts_response(journal: &Journal) -> bool {
    journal.settlements.iter().any(|one| one.cost.of == Measure::ResponseBytes)
}

/// Counts the bytes of the request's content on its way to the upstream, if a limit asks for them.
pub(super) fn count_request<C: Content>(content: C, journal: &mut Journal) -> C {
    if !journal.settlements.iter().any(|one| one.cost.of == Measure::RequestBytes) {
        return content;
    }
    let (content, count) = content.watched(true);
    journal.request_count = Some(Counted(Box::pin(count)));
    content
}

/// How many bytes the contents had, after the delivery of the response.
pub(super) async fn bytes<H: Host>(host: &H, journal: &mut Journal, delivery: Delivery) -> Bytes {
    let request = match journal.request_count.take() {
        // An upstream that has answered may leave the rest unread.
        Some(count) => in_time(host, REQUEST_END_MS, count.0).await.and_then(of_delivery),
        None => None,
    };
    Bytes { request, response: of_delivery(delivery) }
}

/// Settles what is known: without `bytes`, everything that does not depend on them.
pub(super) async fn settle<H: Host>(isolate: &Isolate, host: &H, journal: &mut Journal, bytes: Option<Bytes>) {
    let mut asked = Vec::new();
    for one in std::mem::take(&mut journal.settlements) {
        match one.known(journal.status, bytes) {
            Known::Later => journal.settlements.push(one),
            Known::Nothing => {}
            Known::At(priced) => {
                one.note(priced, journal);
                if let Some(operation) = one.settle(priced.cost(), isolate, host, journal) {
                    let terms = Terms { id: journal.next_operation(), hold_ms: None, refund_ms: None };
                    let cells = vec![CellOperations { cell: one.cell.clone(), operations: vec![operation] }];
                    asked.push((one, Update { terms, cells }));
                }
            }
        }
    }
    let run = async |(one, update): (Settlement, Update)| {
        let sent = host.clock().instant();
        let answer = counted(host, &update).await;
        let times = (sent, host.clock().instant());
        own::learn(&mut isolate.leases.borrow_mut(), &update, &answer, Purpose::Request, times);
        (one, update, answer)
    };
    for (one, update, answer) in together(asked.into_iter().map(run)).await {
        let (quota, operation) = (&one.charge.quota, update.cells.first().and_then(|part| part.operations.first()));
        match (answer, operation) {
            (Ok(outcome), Some(Operation::Settle(debt))) => {
                if let Some(said) = outcome.verdicts().next() {
                    journal.note_reached(one.phase, &one.cell, debt, said, true);
                }
            }
            (Ok(_), _) => {}
            (Err(fault), _) => {
                let reason = Reason::CountersFailed { fault: fault.kind(), text: Local(fault.to_string().into()) };
                journal.note_policy(one.phase, quota, Verdict::OpenOnFailure, reason);
            }
        }
    }
    if !journal.refills.is_empty() {
        let upkeep = own::due(isolate, journal);
        rare(own::refill(isolate, host, journal, upkeep)).await;
    }
}

const fn of_delivery(delivery: Delivery) -> Option<u64> {
    match delivery {
        Delivery::Complete { bytes } | Delivery::Aborted { bytes, .. } => Some(bytes),
        Delivery::Unobserved => None,
    }
}

/// How long the end of a request's content is waited for after the response was delivered.
const REQUEST_END_MS: u64 = 1_000;
