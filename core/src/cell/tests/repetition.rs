use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::cache::{CacheKey, Purge};

fn charge() -> Vec<Operation> {
    vec![Operation::Charge(gcra("p", 1, 60_000, 3, 1))]
}

#[wasm_bindgen_test(unsupported = test)]
fn an_update_that_arrives_twice_charges_once_and_is_granted_twice() {
    let mut subject = Subject::default();
    let first = subject.apply(final_of(1), &charge(), NOW);
    let again = subject.apply(final_of(1), &charge(), NOW.plus_millis(RECENT_MS - 1));
    assert!(first.granted && again.granted);
    assert_eq!(only_verdict(&again).remaining, 2);
    assert!(subject.charge(&[gcra("p", 1, 60_000, 3, 2)], NOW).granted, "one was charged, two are left");
    let spent = subject.apply(final_of(1), &charge(), NOW);
    assert!(spent.granted && only_verdict(&spent).allowed, "also where nothing is left");
    assert_eq!(only_verdict(&spent).remaining, 0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refused_update_is_decided_again() {
    let mut subject = Subject::default();
    subject.charge(&[gcra("p", 1, 60_000, 3, 3)], NOW);
    assert!(!subject.apply(final_of(1), &charge(), NOW).granted);
    assert!(subject.apply(final_of(1), &charge(), NOW.plus_millis(60_000)).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn recorded_updates_are_bounded_in_number_and_time() {
    let mut subject = Subject::default();
    let cheap = [Operation::Charge(gcra("p", 1, 60_000, 1_000, 1))];
    for number in 0..=RECENT_MAX as u64 {
        subject.apply(final_of(number), &cheap, NOW);
    }
    let used = |subject: &mut Subject, now| {
        1_000 - only_verdict(&subject.charge(&[gcra("p", 1, 60_000, 1_000, 1)], now)).remaining
    };
    assert_eq!(used(&mut subject.clone(), NOW), RECENT_MAX as u32 + 2);
    subject.apply(final_of(1), &cheap, NOW);
    assert_eq!(used(&mut subject.clone(), NOW), RECENT_MAX as u32 + 2, "remembered");
    subject.apply(final_of(0), &cheap, NOW);
    assert_eq!(used(&mut subject.clone(), NOW), RECENT_MAX as u32 + 3, "charged again: towards fewer permits");
    let later = NOW.plus_millis(RECENT_MS);
    subject.apply(final_of(5), &cheap, later);
    assert_eq!(used(&mut subject, later), RECENT_MAX as u32 + 4);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_purge_is_logged_once_and_stored_before_it_is_answered() {
    let (mut cell, purge) =
        (Cell::default(), |n: u64| Purge { resource: CacheKey::parse(&format!("{n:064x}")), at: NOW.plus_millis(n) });
    for (number, n, sequence) in [(1, 1, 1), (2, 2, 2), (1, 1, 2)] {
        let (outcome, committed) = cell.update(final_of(number), &[Operation::AppendPurge(purge(n))], NOW).unwrap();
        assert_eq!(outcome.replies, [Reply::Purged { sequence }]);
        assert_eq!(committed.write_through, (number, sequence) != (1, 2));
    }
    let (outcome, committed) = cell.update(final_of(9), &[Operation::ReadPurges { recorded: None }], NOW).unwrap();
    let purges = [purge(1), purge(2)].into_iter().collect();
    assert_eq!(outcome.replies, [Reply::Purges { sequence: 2, purges, recorded: None }]);
    assert!(!committed.changed);
    assert!(!cell.is_idle() && cell.idle_at().is_none(), "purges are not forgotten by time");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cell_notes_up_to_where_its_purges_were_written_to_the_record() {
    let mut cell = Cell::default();
    let read = |cell: &mut Cell, written: Option<u64>, noted: Option<u64>| {
        let (outcome, committed) =
            cell.update(final_of(9), &[Operation::ReadPurges { recorded: written }], NOW).unwrap();
        assert!(matches!(outcome.replies[..], [Reply::Purges { recorded, .. }] if recorded == noted), "{outcome:?}");
        committed.changed
    };
    assert!(!read(&mut cell, Some(7), None), "of a log that was lost");
    for number in 0..3 {
        let purge = Purge { resource: None, at: NOW.plus_millis(number) };
        cell.update(final_of(number), &[Operation::AppendPurge(purge)], NOW).unwrap();
    }
    assert!(read(&mut cell, Some(2), Some(2)));
    assert!(!read(&mut cell, Some(1), Some(2)), "a slower writer");
    assert!(!read(&mut cell, Some(4), Some(2)), "more than there are");
    assert!(read(&mut cell, Some(3), Some(3)));
    assert!(!read(&mut cell, None, Some(3)));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_quota_of_a_calendar_admits_is_stored_before_it_is_answered() {
    let day = |day: u64| NOW.as_micros() + day * 86_400_000_000;
    let edges = Edges { before_us: day(0) - 1, start_us: day(0), end_us: day(31), after_us: day(59) };
    let exact = Charge { algorithm: Some(Algorithm::Calendar(edges)), ..gcra("exact", 2, 1_000, 2, 1) };
    let (mut cell, exact, fast) =
        (Cell::default(), Operation::Charge(exact), Operation::Charge(gcra("fast", 9, 1_000, 9, 1)));
    let mut writes = |terms, operations: &[Operation]| {
        let (outcome, committed) = cell.update(terms, operations, NOW).unwrap();
        (outcome.granted, committed.write_through)
    };
    assert_eq!(writes(final_of(1), std::slice::from_ref(&fast)), (true, false));
    assert_eq!(writes(final_of(2), &[fast, exact.clone()]), (true, true));
    assert_eq!(
        writes(final_of(2), std::slice::from_ref(&exact)),
        (true, true),
        "a repetition, as the first may have failed"
    );
    assert_eq!(
        writes(held_of(3, 10_000), std::slice::from_ref(&exact)),
        (true, false),
        "given back if its owner fails"
    );
    assert_eq!(writes(final_of(3), &[Operation::Confirm]), (true, true));
    assert_eq!(writes(final_of(3), &[Operation::Confirm]), (true, false));
    assert_eq!(writes(final_of(4), std::slice::from_ref(&exact)), (false, false), "what is refused changes nothing");
    assert_eq!(writes(final_of(3), &[Operation::Release]), (true, true));
}
