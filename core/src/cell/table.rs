//! Several cells under one key of a store, for stores that change one key at a time.

use std::num::NonZeroUsize;

use crate::codec::Decode;
use minicbor::Encode;
use minicbor::bytes::ByteVec;

use super::state::decode_all;
use super::time::CLOCKS_DIFFER_MAX_US;
use super::{Applied, Cell, CellError, CellKey, Outcome, StateChange, Update};
use crate::time::Timestamp;

/// The cells of one owner that are not idle, each with its own version: a cell that is newer than this edge or damaged
/// is not changed and does not affect others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Table(#[n(0)] Vec<Row>);

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Row {
    #[n(0)]
    cell: CellKey,
    /// Absent if the cell is never idle.
    #[n(1)]
    idle_at_us: Option<u64>,
    #[n(2)]
    state: ByteVec,
}

impl Table {
    /// The version of the encoding that is written today.
    pub const VERSION: u8 = 1;

    /// Applies an update to the table that a store has under one key; absent bytes are an empty table.
    ///
    /// Cells that are idle at `now` by the clocks of all writers are dropped. A table that would exceed `cells_max`
    /// refuses the new cell: otherwise a client that fills the table could cause the charges of others to be lost.
    ///
    /// # Errors
    /// [`CellError`]; the stored bytes are unchanged.
    pub fn apply(
        bytes: Option<&[u8]>,
        update: &Update,
        now: Timestamp,
        cells_max: NonZeroUsize,
    ) -> Result<Applied, CellError> {
        let mut table = bytes.map_or_else(|| Ok(Self::default()), Self::from_bytes)?;
        let (outcome, changed, write_through) = table.update(update, now)?;
        if !changed {
            return Ok(Applied { outcome, state: StateChange::None, write_through });
        }
        let past_us = now.as_micros().saturating_sub(CLOCKS_DIFFER_MAX_US);
        table.0.retain(|row| row.idle_at_us.is_none_or(|idle_at_us| idle_at_us > past_us));
        if table.0.len() > cells_max.get() {
            return Err(CellError::Full);
        }
        Ok(Applied { outcome, state: StateChange::Replace(table.to_bytes()), write_through })
    }

    fn update(&mut self, update: &Update, now: Timestamp) -> Result<(Outcome, bool, bool), CellError> {
        let mut cells = Vec::with_capacity(update.cells.len());
        for part in &update.cells {
            let row = self.0.iter().find(|row| row.cell == part.cell);
            let mut cell = row.map_or_else(|| Ok(Cell::default()), |row| Cell::from_bytes(&row.state))?;
            let plan = cell.plan(update.terms, &part.operations, now)?;
            cells.push((part, cell, plan));
        }
        let granted = cells.iter().all(|(_, _, plan)| plan.granted());
        let mut outcome = Outcome { granted, replies: Vec::new() };
        let (mut changed, mut write_through) = (false, false);
        for (part, mut cell, plan) in cells {
            let committed = cell.commit(&plan, granted, &mut outcome.replies);
            changed |= committed.changed;
            write_through |= committed.write_through;
            if committed.changed {
                self.replace(&part.cell, &cell);
            }
        }
        Ok((outcome, changed, write_through))
    }

    fn replace(&mut self, key: &CellKey, cell: &Cell) {
        let row = Row {
            cell: key.clone(),
            idle_at_us: cell.idle_at().map(Timestamp::as_micros),
            state: cell.to_bytes().into(),
        };
        match self.0.iter_mut().find(|row| row.cell == *key) {
            Some(old) => *old = row,
            None => self.0.push(row),
        }
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, CellError> {
        match bytes.split_first() {
            Some((&Self::VERSION, table)) => decode_all(table).ok_or(CellError::Damaged),
            Some((&found, _)) if found > Self::VERSION => Err(CellError::NewerVersion { found, known: Self::VERSION }),
            Some(_) | None => Err(CellError::Damaged),
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![Self::VERSION];
        // Writing to memory does not fail.
        let _ = minicbor::encode(self, &mut bytes);
        bytes
    }
}
