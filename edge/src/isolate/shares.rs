//! What an isolate counts by itself while the counter store is away: shares of limits.

use std::collections::HashMap;
use std::num::NonZeroU8;

use tollgate_core::cell::{Cell, CellKey, Charge, Operation, OperationId, Terms, Verdict};
use tollgate_core::time::Timestamp;

/// The cells of this isolate's shares.
#[derive(Debug, Default)]
pub(crate) struct Shares(HashMap<CellKey, Cell>);

impl Shares {
    /// Charges a share of a limit. `None` if there is no room, which refuses: a flood of partitions must not open a limit.
    pub(crate) fn charge(
        &mut self,
        (cell, id): (&CellKey, OperationId),
        charge: &Charge,
        share: NonZeroU8,
        now: Timestamp,
    ) -> Option<Verdict> {
        if self.0.len() >= CELLS_MAX && !self.0.contains_key(cell) {
            self.0.retain(|_, cell| cell.idle_at().is_none_or(|idle| idle > now));
            if self.0.len() >= CELLS_MAX {
                return None;
            }
        }
        let state = self.0.entry(cell.clone()).or_default();
        let operation = [Operation::Charge(charge.against_share(share))];
        let (outcome, _) = state.update(Terms { id, hold_ms: None }, &operation, now).ok()?;
        outcome.verdicts().next().cloned()
    }

    /// Ends what an exchange has in flight.
    pub(crate) fn leave(&mut self, cells: &[CellKey], id: OperationId, step: OperationId, now: Timestamp) {
        for cell in cells {
            if let Some(state) = self.0.get_mut(cell) {
                let _ = state.update(Terms { id: step, hold_ms: None }, &[Operation::Leave { id }], now);
            }
        }
    }
}

/// Maximum number of partitions that an isolate counts by itself: about a megabyte.
const CELLS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn charge() -> Charge {
        let n = |number| NonZeroU32::new(number).unwrap();
        Charge { quota: "p".into(), rate: n(100), period_ms: n(1_000), burst: n(100), cost: n(1), algorithm: None }
    }

    fn id(number: u8) -> OperationId {
        OperationId::new([number; 16])
    }

    #[test]
    fn an_isolate_admits_its_share_at_its_share_of_the_rate() {
        let (mut shares, cell, ten) = (Shares::default(), CellKey::new("consumer=acme"), NonZeroU8::new(10).unwrap());
        let mut admitted = |now, from: u8| {
            let verdicts = (from..from + 20).map(|number| shares.charge((&cell, id(number)), &charge(), ten, now));
            verdicts.filter(|verdict| verdict.as_ref().is_some_and(|verdict| verdict.allowed)).count()
        };
        assert_eq!(admitted(NOW, 0), 10);
        assert_eq!(admitted(NOW.plus_millis(500), 30), 5);
    }

    #[test]
    fn no_more_partitions_are_counted_than_there_is_room_for() {
        let (mut shares, ten) = (Shares::default(), NonZeroU8::new(10).unwrap());
        let mut counted = |number: usize, now| {
            let cell = CellKey::new(format!("consumer={number}"));
            shares.charge((&cell, id(1)), &charge(), ten, now).is_some()
        };
        assert!((0..CELLS_MAX).all(|number| counted(number, NOW)));
        assert!(!counted(CELLS_MAX, NOW), "refused, not forgotten");
        assert!(counted(CELLS_MAX, NOW.plus_millis(60_000)), "those that are available again make room");
    }
}
