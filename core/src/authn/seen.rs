//! Signed messages that were accepted: a counter grants each of them once.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use crate::cell::{CellKey, CellOperations, Gcra, Operation, OperationId, Terms, Update};
use crate::hex;

/// The update that is granted for the first use of something within a time, and refused for every other one.
///
/// What is used is known by its digest: the messages of a policy share 256 cells, so that neither their number nor that of
/// their owners grows with the messages. A cell that is full refuses. The charge is held for the whole time, so that it can be
/// released until its end.
#[must_use]
pub fn once(policy: &str, used: &[u8], window_ms: NonZeroU32, id: OperationId) -> Update {
    let digest = Sha256::digest(used);
    let cell = CellKey::partition("seen", &format!("{policy}.{}", hex::encode(&digest[..1])));
    let quota = hex::encode(&digest[..DIGEST_BYTES]).into();
    let one = NonZeroU32::MIN;
    let charge = Gcra { quota, rate: one, period_ms: window_ms, burst: one, cost: one };
    let operations = vec![Operation::Charge(charge)];
    Update { terms: Terms { id, hold_ms: Some(window_ms) }, cells: vec![CellOperations { cell, operations }] }
}

/// Enough that two messages never have the same.
const DIGEST_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;
    use crate::time::Timestamp;
    use wasm_bindgen_test::wasm_bindgen_test;

    #[wasm_bindgen_test(unsupported = test)]
    fn something_is_used_once_within_the_time() {
        let (mut cell, mut step) = (Cell::default(), 0);
        let mut granted = |used: &[u8], at_ms: u64| {
            step += 1;
            let update = once("hooks", used, NonZeroU32::new(600_000).unwrap(), OperationId::new([step; 16]));
            let [part] = &update.cells[..] else { panic!("one cell") };
            let now = Timestamp::from_millis(1_000_000 + at_ms);
            cell.update(update.terms, &part.operations, now).unwrap().0.granted
        };
        assert!(granted(b"one", 0) && granted(b"other", 1));
        assert!(!granted(b"one", 2) && !granted(b"other", 3) && !granted(b"one", 599_999));
        assert!(granted(b"one", 600_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_use_that_is_released_never_happened() {
        let (mut cell, now) = (Cell::default(), Timestamp::from_millis(1_000_000));
        let mut update = |id: u8, later_ms: u64, operation: Option<Operation>| {
            let update = once("hooks", b"one", NonZeroU32::new(600_000).unwrap(), OperationId::new([id; 16]));
            let [part] = &update.cells[..] else { panic!("one cell") };
            let (terms, operations) = match operation {
                Some(operation) => (Terms { hold_ms: None, ..update.terms }, vec![operation]),
                None => (update.terms, part.operations.clone()),
            };
            cell.update(terms, &operations, now.plus_millis(later_ms)).unwrap().0.granted
        };
        assert!(update(1, 0, None) && !update(2, 1, None));
        // Nothing was charged under the id of the refused use, so its release changes nothing.
        assert!(update(2, 2, Some(Operation::Release)) && !update(3, 3, None));
        assert!(update(1, 4, Some(Operation::Release)) && update(4, 5, None));
        assert!(!update(5, 600_004, None) && update(6, 600_005, None));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn policies_and_messages_have_cells_of_their_own() {
        let cell = |policy, used: &[u8]| {
            once(policy, used, NonZeroU32::MIN, OperationId::new([1; 16])).cells[0].cell.as_str().to_owned()
        };
        assert_ne!(cell("a", b"x"), cell("b", b"x"));
        let all: std::collections::BTreeSet<_> = (0u32..2_000).map(|n| cell("a", &n.to_le_bytes())).collect();
        assert!(all.len() > 200 && all.len() <= 256, "{}", all.len());
    }
}
