//! What an isolate counts by itself while the counter store is away: shares of limits.

use std::collections::HashMap;
use std::num::{NonZeroU8, NonZeroU32};

use tollgate_core::cell::{Cell, CellKey, Charge, Operation, OperationId, Room, Terms, Verdict};
use tollgate_core::time::Timestamp;

/// The cells of this isolate's shares.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    cells: HashMap<CellKey, Cell>,
    room: Room,
}

impl Shares {
    /// Charges shares of limits of one partition, all or none. `None` if there is no room, which refuses: a flood of partitions must
    /// not open a limit.
    pub(crate) fn charge(
        &mut self,
        (cell, id): (&CellKey, OperationId),
        charges: &[(&Charge, NonZeroU8)],
        now: Timestamp,
    ) -> Option<Vec<Verdict>> {
        let operations: Vec<Operation> =
            charges.iter().map(|(charge, share)| Operation::Charge(charge.against_share(*share))).collect();
        let terms = Terms { id, hold_ms: None, refund_ms: None };
        let (outcome, _) = self.state(cell, now)?.update(terms, &operations, now).ok()?;
        Some(outcome.verdicts().cloned().collect())
    }

    /// Charges a limit that the isolate counts by itself; one that is held until [`Shares::settle`] says whether it is kept. Without room
    /// it refuses.
    pub(crate) fn count(
        &mut self,
        (cell, id): (&CellKey, OperationId),
        charge: &Charge,
        is_held: bool,
        now: Timestamp,
    ) -> Verdict {
        let operation = [Operation::Charge(charge.clone())];
        let mut update = |hold_ms| {
            Some(self.state(cell, now)?.update(Terms { id, hold_ms, refund_ms: None }, &operation, now).ok()?.0)
        };
        // So many may wait for other limits that no more can be taken back.
        let outcome = is_held.then(|| update(Some(HOLD_MS))).flatten().or_else(|| update(None));
        let said = outcome.and_then(|outcome| outcome.verdicts().next().cloned());
        said.unwrap_or(Verdict::NO_ROOM)
    }

    /// Keeps a charge of [`Shares::count`] that is held, or takes it back.
    pub(crate) fn settle(&mut self, cell: &CellKey, id: OperationId, is_kept: bool, now: Timestamp) {
        if let Some(state) = self.cells.get_mut(cell) {
            let operation = [if is_kept { Operation::Confirm } else { Operation::Release }];
            let _ = state.update(Terms { id, hold_ms: None, refund_ms: None }, &operation, now);
        }
    }

    /// Changes what [`Shares::count`] has counted, after the reply.
    pub(crate) fn apply(&mut self, cell: &CellKey, id: OperationId, operation: Operation, now: Timestamp) {
        if let Some(state) = self.state(cell, now) {
            let _ = state.update(Terms { id, hold_ms: None, refund_ms: None }, &[operation], now);
        }
    }

    fn state(&mut self, cell: &CellKey, now: Timestamp) -> Option<&mut Cell> {
        if !self.cells.contains_key(cell) {
            if !self.room.takes(cell, CELLS_MAX) {
                let Self { cells, room } = self;
                cells.retain(|key, cell| {
                    let is_idle = cell.idle_at().is_some_and(|idle| idle <= now);
                    if is_idle {
                        room.remove(key);
                    }
                    !is_idle
                });
                if !room.takes(cell, CELLS_MAX) {
                    return None;
                }
            }
            self.room.add(cell);
        }
        Some(self.cells.entry(cell.clone()).or_default())
    }

    /// Ends what an exchange has in flight.
    pub(crate) fn leave(&mut self, cells: &[CellKey], id: OperationId, step: OperationId, now: Timestamp) {
        for cell in cells {
            if let Some(state) = self.cells.get_mut(cell) {
                let _ =
                    state.update(Terms { id: step, hold_ms: None, refund_ms: None }, &[Operation::Leave { id }], now);
            }
        }
    }
}

/// Longer than other limits of a request are waited for.
const HOLD_MS: NonZeroU32 = NonZeroU32::new(10_000).expect("it is not 0");

/// Maximum number of partitions that an isolate counts by itself: about a megabyte.
const CELLS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn charge() -> Charge {
        let n = |number| NonZeroU32::new(number).unwrap();
        Charge {
            quota: "p".into(),
            rate: n(100),
            period_ms: n(1_000),
            burst: n(100),
            cost: n(1),
            algorithm: None,
            lease: None,
            tells: None,
        }
    }

    fn id(number: u8) -> OperationId {
        OperationId::new([number; 16])
    }

    #[test]
    fn an_isolate_admits_its_share_at_its_share_of_the_rate() {
        let (mut shares, cell, ten) = (Shares::default(), CellKey::new("consumer=acme"), NonZeroU8::new(10).unwrap());
        let mut admitted = |now, from: u8| {
            let said = (from..from + 20).map(|number| shares.charge((&cell, id(number)), &[(&charge(), ten)], now));
            said.filter(|said| said.as_ref().is_some_and(|said| said[0].allowed)).count()
        };
        assert_eq!(admitted(NOW, 0), 10);
        assert_eq!(admitted(NOW.plus_millis(500), 30), 5);
    }

    #[test]
    fn a_charge_that_is_held_ends_unless_it_is_kept_and_another_stays() {
        let slow = Charge { period_ms: NonZeroU32::new(3_600_000).unwrap(), ..charge() };
        let cell = CellKey::new("consumer=acme");
        let left = |is_held, is_settled: bool| {
            let mut shares = Shares::default();
            shares.count((&cell, id(1)), &slow, is_held, NOW);
            if is_settled {
                shares.settle(&cell, id(1), true, NOW);
            }
            shares.count((&cell, id(2)), &slow, false, NOW.plus_millis(11_000)).remaining
        };
        assert_eq!((left(true, false), left(true, true), left(false, false)), (99, 98, 98));
    }

    #[test]
    fn several_limits_of_one_partition_are_each_charged() {
        let (mut shares, cell, ten) = (Shares::default(), CellKey::new("consumer=acme"), NonZeroU8::new(10).unwrap());
        let small = Charge { quota: "small".into(), burst: NonZeroU32::new(30).unwrap(), ..charge() };
        let mut allowed = |number| {
            let said = shares.charge((&cell, id(number)), &[(&charge(), ten), (&small, ten)], NOW).unwrap();
            said.iter().map(|verdict| verdict.allowed).collect::<Vec<_>>()
        };
        assert!((0..3).all(|number| allowed(number) == [true, true]));
        assert_eq!(allowed(3), [true, false]);
    }

    #[test]
    fn no_more_partitions_are_counted_than_there_is_room_for() {
        let (mut shares, ten) = (Shares::default(), NonZeroU8::new(10).unwrap());
        let mut counted = |kind: &str, number: usize, now| {
            let cell = CellKey::new(format!("{kind}={number}"));
            shares.charge((&cell, id(1)), &[(&charge(), ten)], now).is_some()
        };
        let passed = (0..CELLS_MAX).filter(|number| counted("address", *number, NOW)).count();
        assert!((CELLS_MAX / 2..CELLS_MAX).contains(&passed), "{passed}: refused, not forgotten");
        assert!((0..50).all(|number| counted("consumer", number, NOW)), "another kind has room");
        assert!(counted("address", CELLS_MAX, NOW.plus_millis(60_000)), "those that are available again make room");
    }
}
