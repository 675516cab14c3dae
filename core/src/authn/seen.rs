//! Signed messages and proofs that were accepted: a counter grants each of them once.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};

use crate::cell::{CellKey, CellOperations, Charge, Operation, OperationId, Terms, Update};
use crate::hex;

/// What is used once.
#[derive(Clone, Copy, Debug)]
pub struct Once<'u> {
    /// The policy that accepts it; absent, it is a proof, which no policy of the gateway accepts a second time.
    pub policy: Option<&'u str>,
    /// Who made it.
    pub signer: &'u [u8],
    /// What no other one has.
    pub used: &'u [u8],
}

impl Once<'_> {
    /// The update that is granted for the first request with this within a time, and refused for every other request; `request` is random,
    /// and the same for all policies that read one request.
    ///
    /// What is used is known by its digest. It is in one of a fixed number of cells, so that neither their number nor that of their owners
    /// grows with what is used, and a cell that is full refuses. A sixteenth of them is a signer's: nobody fills those of
    /// most others. The charge is held for the whole time, so that it can be released until its end.
    #[must_use]
    pub fn update(self, window_ms: NonZeroU32, mut request: [u8; 16]) -> Update {
        let digest = Sha256::digest(self.used);
        let (name, id) = digest.split_at(DIGEST_BYTES);
        request.iter_mut().zip(id).for_each(|(random, own)| *random ^= own);
        let quota = hex::encode(name);
        let cell = self.cell(&quota[..CELL_DIGITS]);
        let one = NonZeroU32::MIN;
        let charge = Charge {
            quota: quota.into(),
            rate: one,
            period_ms: window_ms,
            burst: one,
            cost: one,
            algorithm: None,
            lease: None,
            tells: None,
        };
        let operations = vec![Operation::Charge(charge)];
        let terms = Terms { id: OperationId::new(request), hold_ms: Some(window_ms), refund_ms: None };
        Update { terms, cells: vec![CellOperations { cell, operations }] }
    }

    /// The cell of what has a digest that begins like this.
    fn cell(self, digest: &str) -> CellKey {
        let signer = hex::encode(&Sha256::digest(self.signer)[..1]);
        let place = [&signer[..1], digest].concat();
        match self.policy {
            Some(policy) => CellKey::partition("seen", &[policy, ".", &place].concat()),
            None => CellKey::partition("proof", &place),
        }
    }
}

/// Hexadecimal digits of a digest that select a cell, beside one of the signer's: 4,096 cells, each of which is an object on Cloudflare, and
/// together up to 210 MB.
const CELL_DIGITS: usize = 2;

/// Enough that two have never the same.
const DIGEST_BYTES: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::cell::Cell;
    use crate::time::Timestamp;
    use wasm_bindgen_test::wasm_bindgen_test;

    fn update(used: &[u8], request: u8) -> Update {
        let once = Once { policy: Some("hooks"), signer: b"me", used };
        once.update(NonZeroU32::new(600_000).unwrap(), [request; 16])
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn something_is_used_once_within_the_time() {
        let (mut cells, mut request) = (BTreeMap::<CellKey, Cell>::new(), 0);
        let mut granted = |used: &[u8], at_ms: u64| {
            request += 1;
            let update = update(used, request);
            let [part] = &update.cells[..] else { panic!("one cell") };
            let now = Timestamp::from_millis(1_000_000 + at_ms);
            let cell = cells.entry(part.cell.clone()).or_default();
            cell.update(update.terms, &part.operations, now).unwrap().0.granted
        };
        assert!(granted(b"one", 0) && granted(b"other", 1));
        assert!(!granted(b"one", 2) && !granted(b"other", 3) && !granted(b"one", 599_999));
        assert!(granted(b"one", 600_000));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn all_policies_that_read_one_request_use_it_together() {
        let (mut cell, now) = (Cell::default(), Timestamp::from_millis(1_000_000));
        let mut granted = |used: &[u8], request: u8| {
            let update = update(used, request);
            cell.update(update.terms, &update.cells[0].operations, now).unwrap().0.granted
        };
        assert!(granted(b"one", 1) && granted(b"one", 1) && !granted(b"one", 2) && granted(b"one", 1));
        assert!(granted(b"other", 1) && !granted(b"other", 2), "what else is in a request is used, too");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_use_that_is_released_never_happened() {
        let (mut cell, now) = (Cell::default(), Timestamp::from_millis(1_000_000));
        let mut update = |id: u8, later_ms: u64, operation: Option<Operation>| {
            let update = update(b"one", id);
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

    fn cells(policy: Option<&str>, signer: &str, number: u32) -> BTreeSet<String> {
        let cell = |n: u32| {
            let once = Once { policy, signer: signer.as_bytes(), used: &n.to_le_bytes() };
            once.update(NonZeroU32::MIN, [1; 16]).cells[0].cell.as_str().to_owned()
        };
        (0..number).map(cell).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn policies_and_proofs_have_cells_of_their_own() {
        let [a, b, proofs] = [Some("a"), Some("b"), None].map(|policy| cells(policy, "s", 3_000));
        assert!(a.is_disjoint(&b) && a.is_disjoint(&proofs));
        assert!((250..=256).contains(&a.len()), "{}", a.len());
        assert!((250..=256).contains(&proofs.len()), "{}", proofs.len());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn who_fills_all_own_cells_fills_those_of_few_others() {
        let own = cells(None, "attacker", 5_000);
        assert_eq!(own.len(), 256);
        let others = (0..320).filter(|n| !own.is_disjoint(&cells(None, &format!("client {n}"), 10)));
        assert!((5..=40).contains(&others.count()));
    }
}
