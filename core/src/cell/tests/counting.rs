//! Limits that are counted otherwise than by one instant, against references that keep every charge.

use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const MINUTE_US: u64 = 60_000_000;

/// A beginning of minutes, hours and days.
const DAY: Timestamp = Timestamp::from_millis(1_800_057_600_000);

fn counted(algorithm: Algorithm, period_ms: u32, most: u32, cost: u32) -> Charge {
    Charge { algorithm: Some(algorithm), ..gcra("p", most, period_ms, most, cost) }
}

fn verdict_of(subject: &mut Subject, charge: &Charge, now: Timestamp) -> (bool, Verdict) {
    let outcome = subject.charge(std::slice::from_ref(charge), now);
    (outcome.granted, only_verdict(&outcome).clone())
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fixed_window_begins_at_multiples_of_its_length() {
    let (mut subject, charge) = (Subject::default(), counted(Algorithm::FixedWindow, 60_000, 2, 1));
    let late = DAY.plus_millis(59_000);
    for remaining in [1, 0] {
        let (granted, said) = verdict_of(&mut subject, &charge, late);
        assert_eq!((granted, said.remaining, said.reset_us), (true, remaining, 1_000_000));
    }
    let (granted, said) = verdict_of(&mut subject, &charge, late);
    assert_eq!((granted, said.retry_after_us), (false, Some(1_000_000)));
    assert!(verdict_of(&mut subject, &charge, DAY.plus_millis(60_000)).0);
    // A writer whose clock is behind counts in the newest window, which it does not leave.
    assert_eq!(verdict_of(&mut subject, &charge, late).1.remaining, 0);
    assert!(!verdict_of(&mut subject, &charge, late).0);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_window_of_a_calendar_ends_when_the_owner_says_so() {
    let day = |n: u64| DAY.plus_millis(n * 86_400_000).as_micros();
    let edges = Edges { before_us: day(0), start_us: day(31), end_us: day(59), after_us: day(90) };
    let (mut subject, charge) = (Subject::default(), counted(Algorithm::Calendar(edges), 1, 1, 1));
    let at = |us: u64| Timestamp::from_micros(us);
    assert!(verdict_of(&mut subject, &charge, at(day(31) - 1)).0, "the owner's clock is in the window before");
    assert_eq!(verdict_of(&mut subject, &charge, at(day(31) - 1)).1.retry_after_us, Some(1));
    assert!(verdict_of(&mut subject, &charge, at(day(31))).0);
    let refused = verdict_of(&mut subject, &charge, at(day(32))).1;
    assert_eq!((refused.retry_after_us, refused.reset_us), (Some(day(59) - day(32)), day(59) - day(32)));
    assert!(verdict_of(&mut subject, &charge, at(day(59))).0, "the edge does not know of the new month yet");
    assert_eq!(verdict_of(&mut subject, &charge, at(day(59))).1.retry_after_us, Some(day(90) - day(59)));
    assert_eq!(subject.cell.idle_at(), Some(at(day(90))));
    assert_eq!(charge.window_s(), 28 * 86_400);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sliding_window_fades_the_window_before() {
    let (mut subject, charge) = (Subject::default(), counted(Algorithm::SlidingWindow, 60_000, 10, 1));
    for _ in 0..10 {
        assert!(verdict_of(&mut subject, &charge, DAY.plus_millis(59_999)).0);
    }
    let (granted, said) = verdict_of(&mut subject, &charge, DAY.plus_millis(60_000));
    // The ten count nine as soon as a part of their window is over.
    assert_eq!((granted, said.remaining, said.retry_after_us), (false, 0, Some(1)));
    let half = DAY.plus_millis(90_000);
    assert_eq!(verdict_of(&mut subject, &charge, half).1.remaining, 4);
    assert_eq!(verdict_of(&mut subject, &charge, DAY.plus_millis(180_000)).1.remaining, 9, "both are over");
}

#[wasm_bindgen_test(unsupported = test)]
fn operations_in_flight_count_until_they_end() {
    let (mut subject, charge) = (Subject::default(), counted(Algorithm::Concurrency, 30_000, 2, 1));
    let operation = [Operation::Charge(charge.clone())];
    assert!(subject.apply(final_of(1), &operation, NOW).granted);
    assert!(subject.apply(final_of(2), &operation, NOW).granted);
    let (granted, said) = verdict_of(&mut subject, &charge, NOW);
    assert_eq!((granted, said.retry_after_us), (false, Some(1_000_000)));
    let leave = |subject: &mut Subject, of: u64, step: u64| {
        subject.apply(final_of(step), &[Operation::Leave { id: id(of) }], NOW).replies.remove(0)
    };
    assert_eq!(leave(&mut subject, 1, 11), Reply::Released);
    assert_eq!(leave(&mut subject, 1, 12), Reply::NotHeld);
    assert!(!subject.apply(final_of(1), &operation, NOW).granted, "it has ended");
    assert!(subject.apply(final_of(3), &operation, NOW).granted);
    assert!(!subject.apply(final_of(4), &operation, NOW.plus_millis(29_999)).granted);
    assert!(
        subject.apply(final_of(5), &operation, NOW.plus_millis(30_000)).granted,
        "the holder never said that it ended"
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn an_end_that_overtakes_its_beginning_leaves_nothing_in_flight() {
    let (mut subject, charge) = (Subject::default(), counted(Algorithm::Concurrency, 30_000, 1, 1));
    subject.apply(final_of(2), &[Operation::Leave { id: id(1) }], NOW);
    assert!(!subject.apply(final_of(1), &[Operation::Charge(charge.clone())], NOW).granted);
    assert!(verdict_of(&mut subject, &charge, NOW).0);
}

#[wasm_bindgen_test(unsupported = test)]
fn more_charges_than_can_be_stored_one_by_one_are_refused_as_full() {
    let charge = counted(Algorithm::Concurrency, 30_000, 1_000, 1);
    let mut cell = Cell::default();
    for number in 0..ENTRIES_MAX as u64 {
        assert!(cell.update(final_of(number), &[Operation::Charge(charge.clone())], NOW).unwrap().0.granted);
    }
    assert_eq!(cell.update(final_of(9_999), &[Operation::Charge(charge.clone())], NOW).unwrap_err(), CellError::Full);
    cell.update(final_of(9_998), &[Operation::Leave { id: id(7) }], NOW).unwrap();
    assert!(cell.update(final_of(9_999), &[Operation::Charge(charge)], NOW).unwrap().0.granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn spaced_operations_wait_for_their_turn() {
    // Ten a second, of which three may wait.
    let charge = Charge { algorithm: Some(Algorithm::Spacing), ..gcra("p", 10, 1_000, 4, 1) };
    let mut subject = Subject::default();
    let waits: Vec<Option<u64>> = (0..4).map(|_| verdict_of(&mut subject, &charge, NOW).1.wait_us).collect();
    assert_eq!(waits, [None, Some(100_000), Some(200_000), Some(300_000)]);
    let (granted, said) = verdict_of(&mut subject, &charge, NOW);
    assert_eq!((granted, said.wait_us, said.retry_after_us), (false, None, Some(100_000)));
    assert_eq!(verdict_of(&mut subject, &charge, NOW.plus_millis(100)).1.wait_us, Some(300_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_of_one_name_and_several_forms_are_several() {
    let (mut subject, instant) = (Subject::default(), gcra("p", 1, 60_000, 1, 1));
    let window = counted(Algorithm::FixedWindow, 60_000, 1, 1);
    let log = counted(Algorithm::SlidingLog, 60_000, 1, 1);
    for charge in [&instant, &window, &log] {
        assert!(verdict_of(&mut subject, charge, NOW).0);
        assert!(!verdict_of(&mut subject, charge, NOW).0);
    }
    let twice = [log.clone(), log];
    assert!(!subject.charge(&twice, NOW.plus_millis(60_000)).granted, "two at once, of which one fits");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cell_that_counts_has_version_3_and_is_read_again() {
    let mut subject = Subject::default();
    for (name, algorithm) in [
        ("a", Algorithm::FixedWindow),
        ("b", Algorithm::SlidingWindow),
        ("c", Algorithm::SlidingLog),
        ("d", Algorithm::Concurrency),
    ] {
        let charge = Charge { quota: name.into(), ..counted(algorithm, 60_000, 5, 2) };
        subject.apply(held_of(1, 500), &[Operation::Charge(charge)], NOW);
    }
    let bytes = subject.cell.to_bytes();
    assert_eq!((bytes[0], Cell::from_bytes(&bytes)), (3, Ok(subject.cell.clone())));
    subject.apply(final_of(9), &[], NOW.plus_millis(180_000));
    assert!(subject.cell.is_idle(), "{:?}", subject.cell);
}

#[wasm_bindgen_test(unsupported = test)]
fn charges_by_instant_have_the_form_that_they_always_had() {
    let charge = gcra("p", 1, 2, 3, 4);
    assert_eq!(minicbor::to_vec(&charge).unwrap(), [0x85, 0x61, b'p', 1, 2, 3, 4]);
    let said = Verdict {
        allowed: true,
        remaining: 1,
        reset_us: 2,
        retry_after_us: Some(0),
        wait_us: None,
        leased: None,
        reached: None,
    };
    assert_eq!(minicbor::to_vec(&said).unwrap(), [0x84, 0xf5, 1, 2, 0]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_clock_that_was_set_back_keeps_what_was_counted() {
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow, Algorithm::SlidingLog, Algorithm::Concurrency] {
        let (mut subject, charge) = (Subject::default(), counted(algorithm, 600_000, 1, 1));
        assert!(verdict_of(&mut subject, &charge, DAY.plus_millis(86_400_000)).0);
        // Six minutes later the clock is followed.
        for minute in 0..=6 {
            let now = DAY.plus_millis(minute * 60_000);
            assert!(!verdict_of(&mut subject, &charge, now).0, "{algorithm:?} after {minute} min");
        }
        let over = DAY.plus_millis(6 * 60_000 + 1_200_000);
        assert!(verdict_of(&mut subject, &charge, over).0, "{algorithm:?}");
    }
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    prop_oneof![
        Just(Algorithm::FixedWindow),
        Just(Algorithm::SlidingWindow),
        Just(Algorithm::SlidingLog),
        Just(Algorithm::Spacing),
        Just(Algorithm::Calendar(Edges {
            before_us: DAY.as_micros() - 50 * MINUTE_US,
            start_us: DAY.as_micros(),
            end_us: DAY.as_micros() + MINUTE_US,
            after_us: DAY.as_micros() + 100 * MINUTE_US,
        })),
    ]
}

fn steps() -> impl Strategy<Value = Vec<(u32, u64)>> {
    let wait_us = prop_oneof![3 => Just(0), 3 => 0u64..2_000_000, 1 => 0u64..90_000_000];
    proptest::collection::vec((1u32..4, wait_us), 1..60)
}

#[wasm_bindgen_test(unsupported = test)]
fn a_sliding_window_of_one_admits_who_is_slower_than_its_rate() {
    let (mut subject, charge) = (Subject::default(), counted(Algorithm::SlidingWindow, 60_000, 1, 1));
    for request in 0..20 {
        assert!(verdict_of(&mut subject, &charge, DAY.plus_millis(request * 90_000)).0, "request {request}");
    }
}

proptest! {
    #[test]
    fn refused_until_the_promised_instant_and_admitted_at_it(
        algorithm in algorithms(), period_ms in 1u32..70_000, most in 1u32..40, steps in steps(),
    ) {
        let (mut subject, mut now) = (Subject::default(), DAY);
        for (cost, wait_us) in steps {
            now = now.plus_micros(wait_us);
            let charge = counted(algorithm, period_ms, most, cost);
            let (granted, said) = verdict_of(&mut subject, &charge, now);
            prop_assert_eq!(granted, said.allowed);
            match said.retry_after_us {
                None => prop_assert!(cost > most),
                Some(0) => prop_assert!(granted),
                Some(us) => {
                    prop_assert!(!subject.clone().charge(std::slice::from_ref(&charge), now.plus_micros(us - 1)).granted);
                    prop_assert!(subject.clone().charge(&[charge], now.plus_micros(us)).granted);
                }
            }
        }
    }

    #[test]
    fn what_is_told_is_what_can_be_charged_at_once_and_when_all_is_available(
        algorithm in algorithms(), period_ms in 1u32..70_000, most in 1u32..40, steps in steps(),
    ) {
        let (mut subject, mut now) = (Subject::default(), DAY);
        for (cost, wait_us) in steps {
            now = now.plus_micros(wait_us);
            let charge = |cost| [counted(algorithm, period_ms, most, cost)];
            let said = verdict_of(&mut subject, &charge(cost)[0], now).1;
            prop_assert!(said.remaining == 0 || subject.clone().charge(&charge(said.remaining), now).granted);
            prop_assert!(!subject.clone().charge(&charge(said.remaining + 1), now).granted);
            prop_assert!(subject.clone().charge(&charge(most), now.plus_micros(said.reset_us)).granted);
            prop_assert!(said.reset_us == 0 || !subject.clone().charge(&charge(most), now.plus_micros(said.reset_us - 1)).granted);
        }
    }

    #[test]
    fn a_log_admits_never_more_than_its_maximum_within_any_period(
        period_ms in 1u32..5_000, most in 1u32..20, waits in proptest::collection::vec(0u64..2_000, 1..120),
    ) {
        let charge = counted(Algorithm::SlidingLog, period_ms, most, 1);
        let (mut subject, mut now, mut granted) = (Subject::default(), DAY, Vec::new());
        for wait_ms in waits {
            now = now.plus_millis(wait_ms);
            let standing = granted.iter().filter(|at: &&Timestamp| now.millis_since(**at) < u64::from(period_ms)).count();
            let passes = verdict_of(&mut subject, &charge, now).0;
            prop_assert_eq!(passes, standing < most as usize, "exact");
            if passes { granted.push(now); }
        }
    }

    #[test]
    fn a_window_admits_its_maximum_and_no_more(
        period_ms in 1u32..5_000, most in 1u32..20, steps in proptest::collection::vec((1u32..4, 0u64..2_000), 1..120),
    ) {
        let (mut subject, mut now, mut used) = (Subject::default(), DAY, std::collections::BTreeMap::<u64, u32>::new());
        for (cost, wait_ms) in steps {
            now = now.plus_millis(wait_ms);
            let used = used.entry(now.as_millis() / u64::from(period_ms)).or_default();
            let passes = verdict_of(&mut subject, &counted(Algorithm::FixedWindow, period_ms, most, cost), now).0;
            prop_assert_eq!(passes, *used + cost <= most);
            if passes { *used += cost; }
        }
    }

    /// Two adjacent windows hold at most twice the maximum, so any period does; at a steady rate it holds the maximum and one charge.
    #[test]
    fn a_sliding_window_holds_to_its_maximum_at_a_steady_rate(
        period_ms in 100u32..5_000, most in 1u32..50, every_ms in 1u64..100,
    ) {
        let charge = counted(Algorithm::SlidingWindow, period_ms, most, 1);
        let (mut subject, mut granted) = (Subject::default(), Vec::new());
        let end_ms = u64::from(period_ms) * 4;
        for at_ms in (0..end_ms).step_by(usize::try_from(every_ms).unwrap()) {
            let now = DAY.plus_millis(at_ms);
            if verdict_of(&mut subject, &charge, now).0 { granted.push(now); }
        }
        for (place, first) in granted.iter().enumerate() {
            let within = granted[place..].iter().filter(|at| at.millis_since(*first) < u64::from(period_ms)).count();
            prop_assert!(within <= 2 * most as usize, "{} in a period, {} allowed", within, most);
        }
        // The four periods touch five windows.
        prop_assert!(granted.len() <= most as usize * 5);
    }

    /// The reference makes only the charges that were not given back.
    #[test]
    fn what_was_given_back_was_never_charged(
        algorithm in prop_oneof![Just(Algorithm::FixedWindow), Just(Algorithm::SlidingLog), Just(Algorithm::SlidingWindow)],
        period_ms in 3_000u32..20_000, most in 2u32..8,
        events in proptest::collection::vec((1u32..3, 0u64..3_000, any::<bool>(), any::<bool>()), 1..60),
    ) {
        let (mut cell, mut now) = (Cell::default(), DAY);
        // The charges that stand, and whether each was given back within its hold.
        let mut made: Vec<(u64, u32, Timestamp)> = Vec::new();
        for (number, (cost, wait_ms, gives_back, is_held)) in (1u64..).zip(events) {
            now = now.plus_millis(wait_ms);
            let charge = [Operation::Charge(counted(algorithm, period_ms, most, cost))];
            let mut reference = Subject::default();
            for (_, cost, at) in &made {
                prop_assert!(reference.charge(&[counted(algorithm, period_ms, most, *cost)], *at).granted);
            }
            let terms = if gives_back || is_held { held_of(number, 10_000) } else { final_of(number) };
            let (outcome, _) = cell.update(terms, &charge, now).unwrap();
            let expected = reference.charge(&[counted(algorithm, period_ms, most, cost)], now);
            prop_assert_eq!(&outcome, &expected);
            if !outcome.granted { continue; }
            made.push((number, cost, now));
            if is_held { cell.update(final_of(number), &[Operation::Confirm], now).unwrap(); }
            if gives_back {
                now = now.plus_millis(wait_ms / 2);
                let (released, _) = cell.update(final_of(number), &[Operation::Release], now).unwrap();
                prop_assert_eq!(&released.replies[0], &Reply::Released);
                made.pop();
            }
        }
    }

    #[test]
    fn never_more_in_flight_than_the_maximum(
        most in 1u32..5, events in proptest::collection::vec((0u64..8_000, any::<prop::sample::Index>(), any::<bool>()), 1..80),
    ) {
        let (mut cell, mut now) = (Cell::default(), NOW);
        let mut in_flight: Vec<(u64, Timestamp)> = Vec::new();
        for (number, (wait_ms, index, ends)) in (1u64..).zip(events) {
            now = now.plus_millis(wait_ms);
            in_flight.retain(|(_, since)| now.millis_since(*since) < 20_000);
            if ends && !in_flight.is_empty() {
                let (of, _) = in_flight.remove(index.index(in_flight.len()));
                let leave = Operation::Leave { id: id(of) };
                let (outcome, _) = cell.update(final_of(number), &[leave], now).unwrap();
                prop_assert_eq!(&outcome.replies[0], &Reply::Released);
                continue;
            }
            let charge = Operation::Charge(counted(Algorithm::Concurrency, 20_000, most, 1));
            let granted = cell.update(final_of(number), &[charge], now).unwrap().0.granted;
            prop_assert_eq!(granted, in_flight.len() < most as usize);
            if granted { in_flight.push((number, now)); }
        }
    }

    #[test]
    fn spaced_operations_begin_at_their_rate(
        rate in 1u32..50, waiting in 1u32..10, waits in proptest::collection::vec(0u64..300, 1..80),
    ) {
        let charge = Charge { algorithm: Some(Algorithm::Spacing), ..gcra("p", rate, 1_000, waiting, 1) };
        let (mut subject, mut now, mut last) = (Subject::default(), NOW, None::<u64>);
        for wait_ms in waits {
            now = now.plus_millis(wait_ms);
            let (granted, said) = verdict_of(&mut subject, &charge, now);
            let waits_us = said.wait_us.unwrap_or(0);
            prop_assert!(waits_us <= u64::from(waiting) * 1_000_000 / u64::from(rate));
            if !granted { continue; }
            let begins_us = now.as_micros() + waits_us;
            if let Some(last_us) = last {
                prop_assert!(begins_us + 1 >= last_us + 1_000_000 / u64::from(rate), "{} after {}", begins_us, last_us);
            }
            last = Some(begins_us);
        }
    }
}
