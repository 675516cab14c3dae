use std::num::NonZeroUsize;

use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const MAX: NonZeroUsize = NonZeroUsize::new(4).unwrap();
const CLOCKS_DIFFER_MAX_MS: u64 = 300_000;

fn update(number: u64, cells: &[&str]) -> Update {
    let charge = Operation::Charge(gcra("p", 1, 1_000, 2, 1));
    let cells = cells.iter().map(|cell| CellOperations { cell: CellKey::new(*cell), operations: vec![charge.clone()] });
    Update { terms: final_of(number), cells: cells.collect() }
}

/// The table after an update that is granted or not.
#[track_caller]
fn after(table: &mut Option<Vec<u8>>, update: &Update, now: Timestamp, granted: bool) {
    let applied = Table::apply(table.as_deref(), update, now, MAX).unwrap();
    assert_eq!(applied.outcome.granted, granted);
    assert_eq!(applied.outcome.replies.len(), update.cells.len());
    if let StateChange::Replace(bytes) = applied.state {
        *table = Some(bytes);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn cells_of_one_table_do_not_share_a_quota() {
    let mut table = None;
    after(&mut table, &update(1, &["a"]), NOW, true);
    after(&mut table, &update(2, &["a"]), NOW, true);
    after(&mut table, &update(3, &["a"]), NOW, false);
    after(&mut table, &update(4, &["b"]), NOW, true);
}

#[wasm_bindgen_test(unsupported = test)]
fn all_cells_of_an_update_are_charged_or_none() {
    let mut table = None;
    after(&mut table, &update(1, &["a", "b"]), NOW, true);
    after(&mut table, &update(2, &["b"]), NOW, true);
    after(&mut table, &update(3, &["a", "b"]), NOW, false);
    after(&mut table, &update(4, &["a"]), NOW, true);
    after(&mut table, &update(5, &["a"]), NOW, false);
}

#[wasm_bindgen_test(unsupported = test)]
fn cells_idle_by_all_clocks_are_dropped_and_a_full_table_drops_no_others() {
    let mut table = None;
    for (number, cell) in (1u64..).zip(["a", "b", "c", "d"]) {
        after(&mut table, &update(number, &[cell]), NOW.plus_millis(number), true);
    }
    let (newcomer, idle) = (update(9, &["e"]), NOW.plus_millis(1_001 + CLOCKS_DIFFER_MAX_MS));
    assert_eq!(Table::apply(table.as_deref(), &newcomer, idle.minus_millis(1), MAX), Err(CellError::Full));
    after(&mut table, &newcomer, idle, true);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_writer_whose_clock_is_ahead_does_not_make_a_table_forget_the_charges_of_others() {
    for ahead_ms in [2_000, 61_000, CLOCKS_DIFFER_MAX_MS] {
        let mut table = None;
        after(&mut table, &update(1, &["a"]), NOW, true);
        after(&mut table, &update(2, &["a"]), NOW, true);
        after(&mut table, &update(3, &["b"]), NOW.plus_millis(ahead_ms), true);
        after(&mut table, &update(4, &["a"]), NOW, false);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_newer_cell_does_not_affect_others_of_its_table_and_is_kept() {
    let mut table = None;
    after(&mut table, &update(1, &["a"]), NOW, true);
    let bytes = table.as_mut().unwrap();
    // The last byte string is the state of the only cell.
    let state = Cell::from_bytes(&{
        let mut cell = Cell::default();
        cell.update(final_of(1), &update(1, &["a"]).cells[0].operations, NOW).unwrap();
        cell.to_bytes()
    });
    let length = state.unwrap().to_bytes().len();
    let place = bytes.len() - length;
    bytes[place] = Cell::VERSION + 1;
    let newer = CellError::NewerVersion { found: Cell::VERSION + 1, known: Cell::VERSION };
    assert_eq!(Table::apply(table.as_deref(), &update(2, &["a"]), NOW, MAX), Err(newer));
    after(&mut table, &update(3, &["b"]), NOW, true);
    assert_eq!(Table::apply(table.as_deref(), &update(4, &["a"]), NOW, MAX), Err(newer));
}

#[wasm_bindgen_test(unsupported = test)]
fn invalid_bytes_of_a_table_are_reported() {
    for (bytes, error) in [
        (&b""[..], CellError::Damaged),
        (b"{}", CellError::NewerVersion { found: b'{', known: Table::VERSION }),
        (b"\x01\xff", CellError::Damaged),
    ] {
        assert_eq!(Table::apply(Some(bytes), &update(1, &["a"]), NOW, MAX), Err(error));
    }
}
