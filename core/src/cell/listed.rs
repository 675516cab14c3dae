//! A bounded list of names in a cell, each until its time: what must be known completely afterwards.

use crate::codec::Decode;
use minicbor::Encode;

use crate::time::Timestamp;

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Listed {
    /// Its name: another entry of this name is the same one.
    #[n(0)]
    pub name: Box<str>,
    /// What is known of it.
    #[n(1)]
    pub text: Box<str>,
    /// When it was added first.
    #[cbor(n(2), with = "micros")]
    pub first: Timestamp,
    /// When it was added last.
    #[cbor(n(3), with = "micros")]
    pub last: Timestamp,
    /// When what it stands for ends.
    #[cbor(n(4), with = "micros")]
    pub ends: Timestamp,
    /// When it leaves the list.
    #[cbor(n(5), with = "micros")]
    pub kept_until: Timestamp,
}

/// The list of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub(super) struct List(#[n(0)] pub(super) Vec<Listed>);

impl List {
    /// Adds an entry, or takes over the later times of one that is there.
    pub(super) fn add(&mut self, new: &Listed) {
        match self.0.iter_mut().find(|known| known.name == new.name) {
            Some(known) => {
                known.first = known.first.min(new.first);
                known.last = known.last.max(new.last);
                known.kept_until = known.kept_until.max(new.kept_until);
            }
            None => self.0.push(new.clone()),
        }
    }

    /// Whether it takes an entry. One that is full refuses others: an entry that was left out would not be known.
    pub(super) fn has_room(&self, new: &Listed) -> bool {
        self.0.len() < LISTED_MAX || self.0.iter().any(|known| known.name == new.name)
    }
}

/// Entries of a list: about 100 bytes each, and stores take 128 KiB.
const LISTED_MAX: usize = 1_000;

/// Timestamps as microseconds.
mod micros {
    use minicbor::encode::{self, Encoder, Write};

    use super::Timestamp;

    pub(super) fn encode<C, W: Write>(
        at: &Timestamp,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        encoder.u64(at.as_micros())?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Cell, CellError, Operation, OperationId, Reply, Terms};
    use super::*;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn listed(name: &str, at_ms: u64) -> Operation {
        let at = Timestamp::from_millis(at_ms);
        let (ends, kept_until) = (at.plus_millis(5), at.plus_millis(1_000));
        Operation::List(Listed { name: name.into(), text: "ada".into(), first: at, last: at, ends, kept_until })
    }

    fn change(cell: &mut Cell, step: u16, operation: Operation, at_ms: u64) -> Result<Vec<Reply>, CellError> {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&step.to_be_bytes());
        let terms = Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None };
        cell.update(terms, &[operation], Timestamp::from_millis(at_ms)).map(|(outcome, _)| outcome.replies)
    }

    fn names(cell: &mut Cell, at_ms: u64) -> Vec<(String, u64, u64)> {
        let replies = change(cell, 999, Operation::ReadList, at_ms).unwrap();
        let [Reply::List(list)] = &replies[..] else { panic!("{replies:?}") };
        list.iter().map(|one| (one.name.to_string(), one.first.as_millis(), one.last.as_millis())).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn each_name_is_listed_once_until_its_time() {
        let mut cell = Cell::default();
        for (step, name, at_ms) in [(1, "a", 1_000), (2, "b", 1_500), (3, "a", 1_600)] {
            change(&mut cell, step, listed(name, at_ms), at_ms).unwrap();
        }
        assert_eq!(names(&mut cell, 1_700), [("a".into(), 1_000, 1_600), ("b".into(), 1_500, 1_500)]);
        let mut stored = Cell::from_bytes(&cell.to_bytes()).unwrap();
        assert_eq!((stored.to_bytes()[0], stored.idle_at()), (2, Some(Timestamp::from_millis(2_600))));
        assert_eq!(names(&mut stored, 2_550), [("a".into(), 1_000, 1_600)]);
        assert!(names(&mut stored, 2_600).is_empty() && stored.is_idle());
        assert_eq!(Cell::default().to_bytes()[0], 1, "a cell without a list has the old version");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_full_list_refuses_other_names() {
        let mut cell = Cell::default();
        for n in 0..LISTED_MAX {
            change(&mut cell, 1, listed(&n.to_string(), 1_000), 1_000).unwrap();
        }
        assert_eq!(change(&mut cell, 2, listed("other", 1_000), 1_000), Err(CellError::Full));
        change(&mut cell, 3, listed("7", 1_001), 1_001).unwrap();
    }
}
