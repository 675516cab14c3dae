//! Values as they are stored, and those that a gateway remembers.

use std::collections::HashMap;

use tollgate_core::cell::{Cell, CellError, CellKey};

/// The first bytes of a stored value, which no other value of the key ever has: the version of the layout, then random bytes.
/// Empty for a key without a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp(Box<[u8]>);

/// A cell as the server had it when it was last seen.
#[derive(Clone, Debug)]
pub struct Known {
    pub(crate) stamp: Stamp,
    /// The cell, or why it cannot be read. Such a value is never replaced.
    pub(crate) cell: Result<Cell, CellError>,
}

impl Stamp {
    /// The number of random bytes: two stamps are never equal.
    pub const RANDOM_BYTES: usize = 15;
    const BYTES: usize = 1 + Self::RANDOM_BYTES;

    pub(crate) fn new(random: [u8; Self::RANDOM_BYTES]) -> Self {
        let mut bytes = Vec::with_capacity(Self::BYTES);
        bytes.push(LAYOUT);
        bytes.extend(random);
        bytes[1] &= !CLAIM;
        Self(bytes.into())
    }

    /// The stamp by which a gateway claims a cell that it could not change for a while.
    pub(crate) fn claim(random: [u8; Self::RANDOM_BYTES]) -> Self {
        let mut stamp = Self::new(random);
        stamp.0[1] |= CLAIM;
        stamp
    }

    pub(crate) fn is_claim(&self) -> bool {
        self.0.get(1).is_some_and(|byte| byte & CLAIM != 0)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The stored form of a cell with this stamp.
    pub(crate) fn value_of(&self, cell: &Cell) -> Vec<u8> {
        [&self.0, cell.to_bytes().as_slice()].concat()
    }
}

impl Known {
    /// A key without a value; also what is assumed of a key that was never seen.
    pub(crate) fn absent() -> Self {
        Self { stamp: Stamp::default(), cell: Ok(Cell::default()) }
    }

    /// Reads a stored value.
    #[must_use]
    pub fn read(value: Option<&[u8]>) -> Self {
        let Some(value) = value else { return Self::absent() };
        let (stamp, state) = value.split_at(value.len().min(Stamp::BYTES));
        let cell = match stamp.first() {
            Some(&LAYOUT) if stamp.len() == Stamp::BYTES => Cell::from_bytes(state),
            Some(&found) if found > LAYOUT => Err(CellError::NewerVersion { found, known: LAYOUT }),
            Some(_) | None => Err(CellError::Damaged),
        };
        Self { stamp: Stamp(stamp.into()), cell }
    }

    fn is_absent(&self) -> bool {
        self.stamp.0.is_empty()
    }
}

/// The cells that were used last, about as many as `most`.
///
/// It is a guess about the server, which decides: a cell that is forgotten costs one call more.
#[derive(Debug)]
pub(crate) struct Remembered {
    recent: HashMap<CellKey, Known>,
    earlier: HashMap<CellKey, Known>,
    most: usize,
}

impl Remembered {
    pub(crate) fn new(most: usize) -> Self {
        Self { recent: HashMap::new(), earlier: HashMap::new(), most }
    }

    pub(crate) fn len(&self) -> usize {
        self.recent.len() + self.earlier.len()
    }

    pub(crate) fn take(&mut self, cell: &CellKey) -> Known {
        self.recent.remove(cell).or_else(|| self.earlier.remove(cell)).unwrap_or_else(Known::absent)
    }

    pub(crate) fn put(&mut self, cell: CellKey, known: Known) {
        if known.is_absent() {
            return;
        }
        if self.recent.len() >= self.most.div_ceil(2) {
            self.earlier = std::mem::take(&mut self.recent);
        }
        self.recent.insert(cell, known);
    }
}

/// The bit of the first random byte that marks a claim.
const CLAIM: u8 = 0x80;

/// The version of the layout of a value: 16 bytes of stamp, then the bytes of the cell.
const LAYOUT: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written() {
        let stamp = Stamp::new([7; 15]);
        let value = stamp.value_of(&Cell::default());
        assert_eq!(value[..16], [&[1][..], &[7; 15]].concat());
        let known = Known::read(Some(&value));
        assert_eq!((known.stamp, known.cell), (stamp, Ok(Cell::default())));
    }

    #[test]
    fn what_cannot_be_read_is_not_empty() {
        let newer = [&[2][..], &[0; 30]].concat();
        let newer_cell = Stamp::new([0; 15]).value_of(&Cell::default());
        let newer_cell = [&newer_cell[..16], &[Cell::VERSION + 1]].concat();
        for (value, error) in [
            (&newer[..], CellError::NewerVersion { found: 2, known: 1 }),
            (&newer_cell, CellError::NewerVersion { found: Cell::VERSION + 1, known: Cell::VERSION }),
            (b"1", CellError::NewerVersion { found: b'1', known: 1 }),
            (&[1, 2, 3], CellError::Damaged),
            (&[0; 40], CellError::Damaged),
            (b"", CellError::Damaged),
        ] {
            let known = Known::read(Some(value));
            assert_eq!(known.cell, Err(error), "{value:?}");
            assert_eq!(*known.stamp.as_bytes(), value[..value.len().min(16)]);
        }
    }

    #[test]
    fn the_cells_that_were_used_last_are_remembered() {
        let mut remembered = Remembered::new(10);
        let key = |n: usize| CellKey::new(format!("c={n}"));
        for n in 0..1_000 {
            remembered.put(key(n), Known { stamp: Stamp::new([1; 15]), cell: Ok(Cell::default()) });
            assert!(remembered.len() <= 10);
        }
        assert!(!remembered.take(&key(999)).is_absent());
        assert!(remembered.take(&key(999)).is_absent(), "it is taken once");
        assert!(remembered.take(&key(1)).is_absent());
    }
}
