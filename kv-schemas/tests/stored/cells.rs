//! The encoding of cells. Core encodes and decodes them, because the owner of a cell applies operations to its bytes.

use std::num::{NonZeroU32, NonZeroUsize};

use tollgate_core::cache::{CacheKey, Purge};
use tollgate_core::cell::{
    Algorithm, Cell, CellKey, CellOperations, Charge, Edges, Operation, OperationId, Reply, StateChange, Table, Terms,
    Update, apply,
};
use tollgate_core::time::Timestamp;

use crate::golden::check_golden;

const CELL_V1: &[u8] = include_bytes!("../golden/cell.v1.bin");
const CELL_LATER_MEMBERS_V1: &[u8] = include_bytes!("../golden/cell-later-members.v1.bin");
const CELL_PACES_V1: &[u8] = include_bytes!("../golden/cell-paces.v1.bin");
const CELL_COUNTED_V3: &[u8] = include_bytes!("../golden/cell-counted.v3.bin");
const CELL_COUNTED_PACES_V3: &[u8] = include_bytes!("../golden/cell-counted-paces.v3.bin");
const TABLE_V1: &[u8] = include_bytes!("../golden/cell-table.v1.bin");
const TABLE_PACES_V1: &[u8] = include_bytes!("../golden/cell-table-paces.v1.bin");
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn terms(number: u8, hold_ms: Option<u32>) -> Terms {
    Terms { id: OperationId::new([number; 16]), hold_ms: hold_ms.and_then(NonZeroU32::new), refund_ms: None }
}

fn charge(quota: &str, cost: u32) -> Operation {
    let n = |value| NonZeroU32::new(value).unwrap();
    let gcra = Charge {
        quota: quota.into(),
        rate: n(100),
        period_ms: n(60_000),
        burst: n(20),
        cost: n(cost),
        algorithm: None,
        lease: None,
        tells: None,
    };
    Operation::Charge(gcra)
}

/// A cell with state of each kind.
fn sample() -> Cell {
    let mut cell = Cell::default();
    let resource = CacheKey::parse(&"ab".repeat(32));
    let updates = [
        (terms(1, None), vec![charge("burst", 3), charge("hourly", 1)]),
        (terms(2, Some(10_000)), vec![charge("burst", 2)]),
        (terms(3, Some(10_000)), vec![charge("burst", 2)]),
        (terms(2, None), vec![Operation::Confirm]),
        (terms(4, None), vec![Operation::Release]),
        (terms(5, None), vec![Operation::AppendPurge(Purge { resource, at: NOW })]),
        (terms(6, None), vec![Operation::AppendPurge(Purge { resource: None, at: NOW.minus_millis(5) })]),
    ];
    for (terms, operations) in updates {
        cell.update(terms, &operations, NOW).unwrap();
    }
    cell
}

#[test]
fn a_cell_has_these_bytes() {
    check_golden("cell-paces.v1.bin", &sample().to_bytes());
    assert_eq!(Cell::from_bytes(CELL_PACES_V1), Ok(sample()));
}

#[test]
fn a_cell_without_the_paces_of_its_limits_has_these_bytes() {
    check_golden("cell.v1.bin", &stored(CELL_V1).to_bytes());
}

fn stored(bytes: &[u8]) -> Cell {
    Cell::from_bytes(bytes).unwrap()
}

#[test]
fn a_cell_with_later_members_has_these_bytes() {
    let mut cell = stored(CELL_V1);
    let recorded = Operation::ReadPurges { recorded: Some(2) };
    cell.update(terms(7, None), &[recorded], NOW.minus_millis(61_000)).unwrap();
    check_golden("cell-later-members.v1.bin", &cell.to_bytes());
    assert_eq!(Cell::from_bytes(CELL_LATER_MEMBERS_V1), Ok(cell));
}

#[test]
fn a_cell_that_counts_has_these_bytes() {
    let edges = Edges {
        before_us: NOW.minus_millis(9_000).as_micros(),
        start_us: NOW.minus_millis(5_000).as_micros(),
        end_us: NOW.plus_millis(5_000).as_micros(),
        after_us: NOW.plus_millis(9_000).as_micros(),
    };
    let mut cell = sample();
    for (at, algorithm) in [
        Algorithm::Spacing,
        Algorithm::FixedWindow,
        Algorithm::SlidingWindow,
        Algorithm::SlidingLog,
        Algorithm::Calendar(edges),
        Algorithm::Concurrency,
    ]
    .into_iter()
    .enumerate()
    {
        let Operation::Charge(charge) = charge(&format!("limit-{at}"), 3) else { unreachable!("a charge") };
        let charge = Operation::Charge(Charge { algorithm: Some(algorithm), ..charge });
        for (number, now) in [(10, NOW.minus_millis(61_000)), (20, NOW)] {
            cell.update(terms(number + at as u8, Some(10_000)), std::slice::from_ref(&charge), now).unwrap();
        }
    }
    check_golden("cell-counted-paces.v3.bin", &cell.to_bytes());
    assert_eq!(Cell::from_bytes(CELL_COUNTED_PACES_V3), Ok(cell));
    check_golden("cell-counted.v3.bin", &stored(CELL_COUNTED_V3).to_bytes());
}

#[test]
fn a_stored_cell_continues_unchanged() {
    let held = apply(Some(CELL_V1), terms(3, None), &[Operation::Confirm], NOW).unwrap();
    assert_eq!(held.outcome.replies, [Reply::Confirmed]);
    let repeated = apply(Some(CELL_V1), terms(1, None), &[charge("burst", 20)], NOW).unwrap();
    assert!(repeated.outcome.granted && repeated.state == StateChange::None);
    let purges =
        apply(Some(CELL_V1), terms(9, None), &[Operation::ReadPurges { recorded: None }], NOW).unwrap().outcome.replies;
    assert!(matches!(&purges[..], [Reply::Purges { sequence: 2, purges, .. }] if purges.as_slice().len() == 2));
    let spent = apply(Some(CELL_V1), terms(9, None), &[charge("burst", 20)], NOW).unwrap().outcome;
    assert_eq!(spent.verdicts().next().unwrap().remaining, 13);
}

#[test]
fn a_table_of_cells_has_these_bytes() {
    let cells = ["consumer=acme", "address=192.0.2.1"]
        .map(|cell| CellOperations { cell: CellKey::new(cell), operations: vec![charge("burst", 3)] });
    let update = Update { terms: terms(1, None), cells: cells.to_vec() };
    let most = NonZeroUsize::new(256).unwrap();
    let applied = Table::apply(None, &update, NOW, most).unwrap();
    let StateChange::Replace(bytes) = applied.state else { panic!("nothing was charged") };
    check_golden("cell-table-paces.v1.bin", &bytes);
    for stored in [TABLE_V1, TABLE_PACES_V1] {
        let repeated = Table::apply(Some(stored), &update, NOW, most).unwrap();
        assert!(repeated.outcome.granted && repeated.state == StateChange::None);
    }
}
