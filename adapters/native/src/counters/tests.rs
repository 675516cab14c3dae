use std::num::NonZeroU32;

use tollgate_core::cache::Purge;
use tollgate_core::cell::{Algorithm, CellOperations, Charge, Edges, Operation, OperationId, Reply, Terms};

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn terms(number: u64) -> Terms {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.to_le_bytes());
    Terms { id: OperationId::new(id), hold_ms: None, refund_ms: None }
}

fn part(cell: &str, burst: u32) -> CellOperations {
    let n = |value| NonZeroU32::new(value).unwrap();
    let charge = Charge {
        quota: "p".into(),
        rate: n(1),
        period_ms: n(60_000),
        burst: n(burst),
        cost: n(1),
        algorithm: None,
        lease: None,
        tells: None,
    };
    CellOperations { cell: CellKey::new(cell), operations: vec![Operation::Charge(charge)] }
}

fn direct<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn update(
    counters: &NativeCounters,
    number: u64,
    cells: &[CellOperations],
    now: Timestamp,
) -> Result<Outcome, CounterFault> {
    direct(counters.update(&Update { terms: terms(number), cells: cells.to_vec() }, now))
}

fn granted(counters: &NativeCounters, number: u64, cell: &str, burst: u32, now: Timestamp) -> bool {
    update(counters, number, &[part(cell, burst)], now).unwrap().granted
}

#[test]
fn charges_from_many_threads_never_exceed_the_burst() {
    let counters = NativeCounters::in_memory(PARTITIONS_MAX);
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let counters = counters.clone();
            let charges = move || (0..500).filter(|n| granted(&counters, thread << 32 | n, "c", 700, NOW)).count();
            std::thread::spawn(charges)
        })
        .collect();
    let passed: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    assert_eq!(passed, 700);
}

/// Each thread lists the cells in another order; locking in that order would cause a deadlock.
#[test]
fn updates_of_several_cells_from_many_threads_are_atomic_and_never_deadlock() {
    let counters = NativeCounters::in_memory(PARTITIONS_MAX);
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let counters = counters.clone();
            std::thread::spawn(move || {
                let mut cells: Vec<CellOperations> = (0..8).map(|n| part(&format!("c{n}"), 300)).collect();
                cells.rotate_left(usize::try_from(thread).unwrap() * 2);
                (0..200).filter(|n| update(&counters, thread << 32 | n, &cells, NOW).unwrap().granted).count()
            })
        })
        .collect();
    let passed: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    assert_eq!(passed, 300);
    assert!((0..8).all(|n| !granted(&counters, 1 << 60 | n, &format!("c{n}"), 300, NOW)));
}

#[test]
fn a_full_store_refuses_new_cells_and_drops_none_in_use() {
    let counters = NativeCounters::in_memory(SHARDS);
    let asked: Vec<String> = (0..SHARDS * 4).map(|n| format!("c{n}")).collect();
    let answers: Vec<_> = (0..).zip(&asked).map(|(n, cell)| update(&counters, n, &[part(cell, 1)], NOW)).collect();
    assert!(answers.iter().all(|answer| answer.is_ok() || *answer == Err(CounterFault::Full)));
    let held: Vec<&String> = asked.iter().zip(&answers).filter(|(_, a)| a.is_ok()).map(|(cell, _)| cell).collect();
    assert!(held.len() <= SHARDS && counters.len() == held.len());
    for (n, cell) in (1_000..).zip(&held) {
        assert!(!granted(&counters, n, cell, 1, NOW));
    }
    assert!(granted(&counters, 9_999, "newcomer", 1, NOW.plus_millis(61_000)));
}

#[test]
fn invented_addresses_leave_room_for_consumers() {
    let counters = NativeCounters::in_memory(SHARDS * 32);
    let refused = |kind: &str, from: u64, count: u64| {
        let all = (from..from + count).map(|n| update(&counters, n, &[part(&format!("{kind}={n}"), 1)], NOW));
        all.filter(|answer| *answer == Err(CounterFault::Full)).count()
    };
    assert!(refused("address", 1, 10_000) > 8_000);
    assert_eq!(refused("consumer", 20_000, 20), 0);
}

#[test]
fn a_refused_new_cell_uses_no_room() {
    let counters = NativeCounters::in_memory(PARTITIONS_MAX);
    assert!(granted(&counters, 1, "spent", 1, NOW));
    assert!(!update(&counters, 2, &[part("new", 1), part("spent", 1)], NOW).unwrap().granted);
    assert_eq!(counters.len(), 1);
}

#[test]
fn counters_in_memory_keep_no_keys_of_cells_that_are_gone() {
    let counters = NativeCounters::in_memory(PARTITIONS_MAX);
    for n in 0..1_000 {
        assert!(granted(&counters, n, &format!("c{n}"), 1, NOW));
    }
    counters.persist(NOW).unwrap();
    let changed = |counters: &NativeCounters| {
        counters.shared.cells.shards.iter().map(|shard| lock(shard).changed()).sum::<usize>()
    };
    assert_eq!(changed(&counters), 0);
    let folder = tempfile::tempdir().unwrap();
    let stored = in_file(&folder, "g", NOW);
    assert!(granted(&stored, 1, "c", 1, NOW));
    assert_eq!(changed(&stored), 1);
    stored.persist(NOW).unwrap();
    assert_eq!(changed(&stored), 0);
}

fn in_file(folder: &tempfile::TempDir, gateway: &str, now: Timestamp) -> NativeCounters {
    NativeCounters::in_file(&folder.path().join("counters.db"), gateway, PARTITIONS_MAX, now).unwrap()
}

#[test]
fn cells_in_use_survive_the_process_and_idle_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let counters = in_file(&folder, "g", NOW);
    assert!(granted(&counters, 1, "c", 1, NOW));
    counters.persist(NOW).unwrap();
    drop(counters);
    assert!(!granted(&in_file(&folder, "g", NOW), 2, "c", 1, NOW));
    assert!(in_file(&folder, "h", NOW).is_empty());
    assert!(in_file(&folder, "g", NOW.plus_millis(60_001)).is_empty());
}

#[test]
fn releases_are_persisted_too() {
    let folder = tempfile::tempdir().unwrap();
    let counters = in_file(&folder, "g", NOW);
    let hold = Terms { hold_ms: NonZeroU32::new(60_000), ..terms(1) };
    let held = direct(counters.update(&Update { terms: hold, cells: vec![part("c", 1)] }, NOW)).unwrap();
    assert!(held.granted);
    counters.persist(NOW).unwrap();
    let release = CellOperations { cell: CellKey::new("c"), operations: vec![Operation::Release] };
    assert_eq!(update(&counters, 1, &[release], NOW).unwrap().replies, [Reply::Released]);
    counters.persist(NOW).unwrap();
    drop(counters);
    assert!(granted(&in_file(&folder, "g", NOW), 2, "c", 1, NOW));
}

#[test]
fn a_purge_is_in_the_file_before_the_reply() {
    let folder = tempfile::tempdir().unwrap();
    let purges = |operation| CellOperations { cell: CellKey::purges(), operations: vec![operation] };
    let append = Operation::AppendPurge(Purge { resource: None, at: NOW });
    let counters = in_file(&folder, "g", NOW);
    update(&counters, 1, &[purges(append)], NOW).unwrap();
    // The process is killed: nothing more is persisted.
    drop(counters);
    let again = in_file(&folder, "g", NOW);
    let read =
        update(&again, 2, &[purges(Operation::ReadPurges { recorded: None })], NOW.plus_millis(u64::from(u32::MAX)))
            .unwrap();
    assert!(matches!(&read.replies[..], [Reply::Purges { sequence: 1, .. }]), "{read:?}");
}

/// A charge of a quota in a window that ends in an hour.
fn exact(cell: &str, quota: u32) -> CellOperations {
    let at = |ms| NOW.plus_millis(ms).as_micros();
    let edges = Edges { before_us: 0, start_us: at(0), end_us: at(3_600_000), after_us: at(7_200_000) };
    let mut part = part(cell, quota);
    if let Operation::Charge(charge) = &mut part.operations[0] {
        charge.algorithm = Some(Algorithm::Calendar(edges));
    }
    part
}

#[test]
fn charges_of_quotas_are_in_the_file_before_the_reply_whoever_else_waits() {
    let folder = tempfile::tempdir().unwrap();
    let counters = in_file(&folder, "g", NOW);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let counters = &counters;
            scope.spawn(move || {
                for number in 0..25 {
                    let cells = [exact(&format!("c{}", number % 3), 1_000)];
                    assert!(update(counters, thread * 100 + number, &cells, NOW).unwrap().granted);
                }
            });
        }
    });
    // The process is killed: nothing more is persisted.
    drop(counters);
    let again = in_file(&folder, "g", NOW);
    let left = |cell| update(&again, 1_000, &[exact(cell, 1_000)], NOW).unwrap().verdicts().next().unwrap().remaining;
    assert_eq!([left("c0"), left("c1"), left("c2")], [1_000 - 8 * 9 - 1, 1_000 - 8 * 8 - 1, 1_000 - 8 * 8 - 1]);
}

#[test]
fn a_charge_that_cannot_be_stored_is_unavailable_and_stored_later() {
    let folder = tempfile::tempdir().unwrap();
    let counters = in_file(&folder, "g", NOW);
    let other = rusqlite::Connection::open(folder.path().join("counters.db")).unwrap();
    other.execute_batch("ALTER TABLE cell RENAME TO away").unwrap();
    let fault = update(&counters, 1, &[exact("c", 9)], NOW).unwrap_err();
    assert!(matches!(fault, CounterFault::Unavailable(_)), "{fault:?}");
    other.execute_batch("ALTER TABLE away RENAME TO cell").unwrap();
    counters.persist(NOW).unwrap();
    drop(counters);
    let again = in_file(&folder, "g", NOW);
    assert_eq!(update(&again, 2, &[exact("c", 9)], NOW).unwrap().verdicts().next().unwrap().remaining, 7);
}

#[test]
fn a_newer_state_is_neither_treated_as_empty_nor_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let counters = in_file(&folder, "g", NOW);
    assert!(granted(&counters, 1, "c", 1, NOW));
    counters.persist(NOW).unwrap();
    drop(counters);
    let file = rusqlite::Connection::open(folder.path().join("counters.db")).unwrap();
    let newer = [Cell::VERSION + 1, 0xff];
    file.execute("UPDATE cell SET state = ?1", [&newer[..]]).unwrap();
    let counters = in_file(&folder, "g", NOW);
    let fault = CounterFault::NewerState { found: Cell::VERSION + 1, known: Cell::VERSION };
    assert_eq!(update(&counters, 2, &[part("c", 1)], NOW), Err(fault));
    assert!(granted(&counters, 3, "other", 1, NOW));
    counters.persist(NOW).unwrap();
    let stored: Vec<u8> = file.query_row("SELECT state FROM cell WHERE key = 'c'", [], |row| row.get(0)).unwrap();
    assert_eq!(stored, newer);
}

#[test]
fn damage_concerns_the_damaged_partition_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let counters = in_file(&folder, "g", NOW);
    for (number, cell) in (1..).zip(["text", "number", "blob", "whole"]) {
        assert!(granted(&counters, number, cell, 1, NOW));
    }
    counters.persist(NOW).unwrap();
    drop(counters);
    let file = rusqlite::Connection::open(folder.path().join("counters.db")).unwrap();
    file.execute_batch(
        "UPDATE cell SET state = CAST('damaged' AS TEXT) WHERE key = 'text'; UPDATE cell SET state = 7 WHERE key = 'number';
         UPDATE cell SET state = x'00' WHERE key = 'blob';
         INSERT INTO cell SELECT gateway, x'ff', idle_at_ms, state FROM cell WHERE key = 'whole';",
    )
    .unwrap();
    let counters = in_file(&folder, "g", NOW);
    for (number, cell) in (5..).zip(["text", "number", "blob"]) {
        assert_eq!(update(&counters, number, &[part(cell, 1)], NOW), Err(CounterFault::Damaged), "{cell}");
    }
    assert!(!granted(&counters, 8, "whole", 1, NOW));
    assert!(granted(&counters, 9, "new", 1, NOW));
}

#[test]
fn counters_are_loaded_after_the_process_that_has_them_ends() {
    let folder = tempfile::tempdir().unwrap();
    let old = in_file(&folder, "g", NOW);
    std::thread::scope(|scope| {
        let new = scope.spawn(|| in_file(&folder, "g", NOW));
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(granted(&old, 1, "c", 1, NOW));
        old.persist(NOW).unwrap();
        drop(old);
        assert!(!granted(&new.join().unwrap(), 2, "c", 1, NOW));
    });
}

#[test]
fn counters_with_a_fault_are_unavailable() {
    let faults = Faults::default();
    let counters = NativeCounters::in_memory(10).with_faults(faults.clone());
    faults.set(FaultyStore::Counters, true);
    assert!(matches!(update(&counters, 1, &[part("c", 1)], NOW), Err(CounterFault::Unavailable(_))));
    faults.set(FaultyStore::Counters, false);
    assert!(granted(&counters, 1, "c", 1, NOW));
}
