//! Room in a table of cells that is shared by partitions of several kinds.

use super::CellKey;

/// How many cells of each kind a table has, which bounds how many it takes.
///
/// A kind takes as long as it has at most seven times as many cells as there are free places. So whoever invents partitions of one
/// kind, from addresses or values of fields, fills seven eighths of the table, and partitions of other kinds find places among the rest:
/// consumers are counted while addresses are not.
#[derive(Clone, Debug, Default)]
pub struct Room(Vec<(Box<str>, usize)>);

impl Room {
    /// Whether a table of at most so many cells takes another one with this key.
    #[must_use]
    pub fn takes(&self, key: &CellKey, most: usize) -> bool {
        let free = most.saturating_sub(self.len());
        let own = self.0.iter().find(|(kind, _)| **kind == *key.kind()).map_or(0, |(_, cells)| *cells);
        free > 0 && own <= free.saturating_mul(FREE_TIMES)
    }

    /// A cell was added.
    pub fn add(&mut self, key: &CellKey) {
        match self.0.iter_mut().find(|(kind, _)| **kind == *key.kind()) {
            Some((_, cells)) => *cells += 1,
            None => self.0.push((key.kind().into(), 1)),
        }
    }

    /// A cell was removed.
    pub fn remove(&mut self, key: &CellKey) {
        if let Some((_, cells)) = self.0.iter_mut().find(|(kind, _)| **kind == *key.kind()) {
            *cells = cells.saturating_sub(1);
        }
    }

    /// How many cells the table has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|(_, cells)| cells).sum()
    }

    /// Whether the table has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How many times as many cells as there are free places a kind has at most.
const FREE_TIMES: usize = 7;

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    fn fill(room: &mut Room, kind: &str, most: usize) -> usize {
        let key = |number| CellKey::new(format!("{kind}={number}"));
        let mut added = 0;
        while room.takes(&key(added), most) {
            room.add(&key(added));
            added += 1;
        }
        added
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_kind_leaves_room_for_another() {
        let mut room = Room::default();
        assert_eq!(fill(&mut room, "address", 800), 701);
        assert_eq!(fill(&mut room, "consumer", 800), 87);
        assert_eq!(fill(&mut room, "parts", 800), 11);
        assert_eq!((fill(&mut room, "address", 800), room.len()), (0, 799));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn what_is_removed_makes_room_again_and_a_small_table_is_filled() {
        let mut room = Room::default();
        assert_eq!((fill(&mut room, "address", 1), fill(&mut room, "address", 1)), (1, 0));
        room.remove(&CellKey::new("address=0"));
        assert!(room.is_empty());
        assert_eq!(fill(&mut room, "consumer", 1), 1);
    }
}
