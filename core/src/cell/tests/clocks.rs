//! Writers whose clocks differ, and clocks that are set back.

use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const MINUTE_MS: u64 = 60_000;

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_was_set_back_is_followed_when_the_refusal_says() {
    let charge = [gcra("p", 1, 60_000, 1, 1)];
    let by_ms = [61_000, 200_000, 300_000, 330_000, 359_999, 360_001, 3_600_000, 86_400_000];
    for (by_ms, stands_ms) in by_ms.map(|by_ms| (by_ms, if by_ms <= 6 * MINUTE_MS { by_ms } else { 5 * MINUTE_MS })) {
        for refused_after_ms in [0, 7_000, stands_ms - 1] {
            let (mut subject, back) = (Subject::default(), NOW.minus_millis(by_ms));
            assert!(subject.charge(&charge, NOW).granted);
            subject.charge(&charge, back);
            let now = back.plus_millis(refused_after_ms);
            let promised_us = only_verdict(&subject.charge(&charge, now)).retry_after_us.unwrap();
            let ends_ms = if refused_after_ms < by_ms.saturating_sub(MINUTE_MS) { stands_ms } else { refused_after_ms };
            assert_eq!(now.plus_micros(promised_us), back.plus_millis(ends_ms + MINUTE_MS), "set back by {by_ms} ms");
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_was_set_back_pays_back_once_it_is_followed() {
    let charge = [gcra("p", 1, 60_000, 1, 1)];
    let (mut subject, back) = (Subject::default(), NOW.minus_millis(3_600_000));
    assert!(subject.charge(&charge, NOW).granted);
    for minute in 0..6 {
        assert!(!subject.charge(&charge, back.plus_millis(minute * MINUTE_MS)).granted);
    }
    assert!(!subject.charge(&charge, back.plus_millis(6 * MINUTE_MS - 1)).granted);
    assert!(subject.charge(&charge, back.plus_millis(6 * MINUTE_MS)).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn two_clocks_that_differ_by_hours_create_no_permit_while_both_come_by() {
    for differ_ms in [61_000, 600_000, 12 * 3_600_000] {
        let (mut subject, charge) = (Subject::default(), [gcra("p", 60, 60_000, 10, 1)]);
        subject.charge(&charge, NOW.plus_millis(differ_ms));
        let in_turn = (0..100u64).flat_map(|round| [round * 10, round * 10 + differ_ms]);
        let granted = in_turn.filter(|ms| subject.charge(&charge, NOW.plus_millis(*ms)).granted).count();
        assert_eq!(granted, 9, "within a second, clocks {differ_ms} ms apart");
    }
}

/// The offset of each writer's clock, and which writer updates after which delay.
fn writers() -> impl Strategy<Value = (Vec<u64>, Vec<(prop::sample::Index, u64)>)> {
    let ahead_ms = proptest::collection::vec(0..=5 * MINUTE_MS, 1..5);
    let wait_ms = prop_oneof![4 => 0u64..50, 1 => 0..2 * MINUTE_MS];
    (ahead_ms, proptest::collection::vec((any::<prop::sample::Index>(), wait_ms), 1..100))
}

proptest! {
    #[test]
    fn writers_whose_clocks_differ_by_minutes_count_as_if_all_had_the_clock_that_is_ahead(
        (ahead_ms, events) in writers(), rate in 1u32..200, burst in 1u32..20,
    ) {
        let charge = [gcra("p", rate, 60_000, burst, 1)];
        let (mut subject, mut reference) = (Subject::default(), Subject::default());
        let (mut real, mut newest) = (NOW, NOW);
        for (writer, wait_ms) in events {
            real = real.plus_millis(wait_ms);
            let now = real.plus_millis(*writer.get(&ahead_ms));
            newest = newest.max(now);
            prop_assert_eq!(subject.charge(&charge, now).granted, reference.charge(&charge, newest).granted);
        }
    }

    /// A store keeps the change of an update; a refused update leaves no trace.
    #[test]
    fn no_permit_is_created_where_refused_updates_are_not_stored(
        (ahead_ms, events) in writers(), rate in 1u32..200, burst in 1u32..20,
    ) {
        let charge = [Operation::Charge(gcra("p", rate, 60_000, burst, 1))];
        let (mut state, mut real, mut granted) = (None::<Vec<u8>>, NOW, 0u64);
        for (number, (writer, wait_ms)) in (0u64..).zip(events) {
            real = real.plus_millis(wait_ms);
            let now = real.plus_millis(*writer.get(&ahead_ms));
            let applied = apply(state.as_deref(), final_of(number), &charge, now).unwrap();
            granted += u64::from(applied.outcome.granted);
            if let StateChange::Replace(bytes) = applied.state { state = Some(bytes); }
            let span_ms = real.millis_since(NOW) + 5 * MINUTE_MS;
            prop_assert!(granted <= u64::from(burst) + span_ms * u64::from(rate) / MINUTE_MS);
        }
    }
}
