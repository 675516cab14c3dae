//! What the isolate decides of the charges of a request, and what owners are asked.

use std::num::NonZeroU32;

use tollgate_core::cell::{CellKey, CellOperations, Charge, Operation, OperationId, Outcome, Terms, Update};
use tollgate_core::kinds::PolicyName;
use tollgate_core::limit::Statuses;

use super::limit::Limits;
use super::own::{Asked, Batch, Looked, Own};
use crate::apart::together;
use crate::isolate::Isolate;
use crate::ports::{CounterFault, Counters, Host};
use crate::timeout::{STORE_TIMEOUT_MS, counted_within};

/// How long owners hold a charge: for the call that charges and the one that confirms, each with the timeout of a
/// store, and until the release after the reply has arrived.
#[expect(clippy::cast_possible_truncation, reason = "some seconds in milliseconds")]
const HOLD_MS: NonZeroU32 = NonZeroU32::new(STORE_TIMEOUT_MS as u32 * 3 + 1_000).expect("it is not 0");

/// What the isolate has decided, and what owners are asked.
#[derive(Default)]
pub(super) struct Charges<'a> {
    pub(super) own: Vec<Own>,
    pub(super) updates: Vec<Update>,
    /// What would be asked at owners that do not answer.
    pub(super) away: Vec<Answered>,
    /// When the charges of an update may be given back, if they may.
    pub(super) backs: Vec<(OperationId, Back<'a>)>,
    pub(super) looked: Looked,
    /// The permits that are not taken together with the charges, because these may be released.
    pub(super) later: Vec<Batch>,
}

/// What was asked, and the answer.
pub(super) type Answered = (Update, Result<Outcome, CounterFault>);

/// When what was charged may be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Back<'a> {
    /// The responses after which it stays, if not after all.
    pub(super) counts: Option<&'a Statuses>,
    /// The limit whose cost may be less.
    pub(super) only: Option<&'a PolicyName>,
}

impl<'a> Charges<'a> {
    /// Has an owner asked, together with those charges that are given back after the same responses.
    pub(super) fn ask(
        &mut self,
        counters: &impl Counters,
        (cell, charge): Batch,
        id: OperationId,
        back: Option<Back<'a>>,
    ) {
        let charge = Operation::Charge(charge);
        let of = |id: OperationId| self.backs.iter().find(|(of, _)| *of == id).map(|(_, back)| *back);
        let is_owner = |update: &&mut Update| {
            update.cells.iter().any(|own| counters.same_owner(&own.cell, &cell)) && of(update.terms.id) == back
        };
        match self.updates.iter_mut().find(is_owner) {
            Some(update) => match update.cells.iter_mut().find(|part| part.cell == cell) {
                Some(part) => part.operations.push(charge),
                None => update.cells.push(CellOperations { cell, operations: vec![charge] }),
            },
            None => {
                let cells = vec![CellOperations { cell, operations: vec![charge] }];
                let refund_ms = back.map(|_| REFUND_MS);
                self.backs.extend(back.map(|back| (id, back)));
                self.updates.push(Update { terms: Terms { id, hold_ms: None, refund_ms }, cells });
            }
        }
    }

    /// Whether owners hold what they grant, until it is known what others say.
    pub(super) fn are_held(&self) -> bool {
        self.updates.len() > 1 || !(self.updates.is_empty() || self.away.is_empty())
    }

    /// Asks no owner if the isolate refuses, and has several owners hold what they grant. What can be given back takes no permits ahead:
    /// they would be given back, too.
    pub(super) fn agree(&mut self, isolate: &Isolate, limits: &Limits<'_>, are_observed: bool) {
        let is_refused = self.own.iter().any(|own| !own.said.allowed) || limits.refuse_without_answer(&self.away);
        if !are_observed && is_refused {
            drop(Asked::of(&isolate.leases, &std::mem::take(&mut self.updates)));
            return;
        }
        let is_held = !are_observed && self.are_held();
        for update in self.updates.iter_mut().filter(|update| is_held || update.terms.refund_ms.is_some()) {
            if is_held {
                update.terms.hold_ms = Some(update.terms.refund_ms.unwrap_or(HOLD_MS));
            }
            for CellOperations { cell, operations } in &mut update.cells {
                for operation in operations {
                    let Operation::Charge(charge) = operation else { continue };
                    if charge.lease.is_some() {
                        isolate.leases.borrow_mut().not_asked(cell, charge);
                        charge.lease = None;
                        self.later.push((cell.clone(), charge.clone()));
                    }
                }
            }
        }
    }
}

/// For how long a charge can be given back: longer than most responses take. What takes longer counts.
const REFUND_MS: NonZeroU32 = NonZeroU32::new(120_000).expect("it is not 0");

/// The updates with the answers of their owners.
pub(super) async fn ask<H: Host>(host: &H, updates: Vec<Update>, timeout_ms: u64) -> Vec<Answered> {
    let asked = async |update: Update| {
        let answer = counted_within(host, &update, timeout_ms).await;
        (update, answer)
    };
    match <[Update; 1]>::try_from(updates) {
        Ok([update]) => vec![asked(update).await],
        Err(updates) => together(updates.into_iter().map(asked)).await,
    }
}

pub(super) fn charges_of(update: &Update) -> impl Iterator<Item = &Charge> + Clone {
    update.cells.iter().flat_map(charges_in)
}

pub(super) fn charges_in(part: &CellOperations) -> impl Iterator<Item = &Charge> + Clone {
    part.operations.iter().filter_map(|operation| match operation {
        Operation::Charge(charge) => Some(charge),
        Operation::Confirm
        | Operation::Release
        | Operation::AppendPurge(_)
        | Operation::ReadPurges { .. }
        | Operation::List(_)
        | Operation::ReadList
        | Operation::GiveBack(_)
        | Operation::Settle(_)
        | Operation::Leave { .. }
        | Operation::Withdraw { .. } => None,
    })
}

pub(super) fn cells_of(update: &Update) -> Vec<CellKey> {
    update.cells.iter().map(|part| part.cell.clone()).collect()
}
