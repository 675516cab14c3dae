//! Charges whose answer was lost and whose request was refused: they are taken back, and never too much.

use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// Begins an hour, so that windows begin with it.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn every_algorithm() -> [Option<Algorithm>; 7] {
    let at = |s: u64| START.plus_millis(s * 1_000).as_micros();
    let edges = Edges { before_us: at(0) - 60_000_000, start_us: at(0), end_us: at(60), after_us: at(120) };
    [
        None,
        Some(Algorithm::Spacing),
        Some(Algorithm::FixedWindow),
        Some(Algorithm::SlidingWindow),
        Some(Algorithm::SlidingLog),
        Some(Algorithm::Calendar(edges)),
        Some(Algorithm::Concurrency),
    ]
}

fn withdraw(subject: &mut Subject, step: u64, of: u64, charges: &[Charge], now: Timestamp) -> Vec<Reply> {
    let taken = |charge: &Charge| Operation::Withdraw { id: id(of), charge: charge.clone() };
    let operations: Vec<Operation> = charges.iter().map(taken).collect();
    subject.apply(final_of(step), &operations, now).replies
}

fn remaining(subject: &Subject, charge: &Charge, now: Timestamp) -> u32 {
    only_verdict(&subject.clone().charge(std::slice::from_ref(charge), now)).remaining
}

#[wasm_bindgen_test(unsupported = test)]
fn a_charge_is_taken_back_once_by_whatever_it_is_counted() {
    for algorithm in every_algorithm() {
        let (mut subject, charge) = (Subject::default(), Charge { algorithm, ..gcra("p", 10, 60_000, 10, 2) });
        let other = Charge { quota: "q".into(), ..charge.clone() };
        let both = [charge.clone(), other];
        subject.charge(&both, START);
        let before = remaining(&subject, &charge, START.plus_millis(1));
        subject.apply(final_of(1), &both.clone().map(Operation::Charge), START);
        assert_eq!(withdraw(&mut subject, 2, 1, &both, START), [Reply::Released, Reply::Released], "{algorithm:?}");
        assert_eq!(withdraw(&mut subject, 3, 1, &both, START), [Reply::NotHeld, Reply::NotHeld], "{algorithm:?}");
        let after = both.each_ref().map(|charge| remaining(&subject, charge, START.plus_millis(1)));
        assert_eq!(after, [before, before], "{algorithm:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_charge_that_arrives_after_it_was_taken_back_is_refused() {
    for algorithm in every_algorithm() {
        let (mut subject, charge) = (Subject::default(), Charge { algorithm, ..gcra("p", 10, 60_000, 10, 2) });
        assert_eq!(
            withdraw(&mut subject, 2, 1, std::slice::from_ref(&charge), START),
            [Reply::NotHeld],
            "{algorithm:?}"
        );
        let late = subject.apply(final_of(1), &[Operation::Charge(charge.clone())], START.plus_millis(100));
        assert!(!late.granted, "{algorithm:?}");
        assert_eq!(remaining(&subject, &charge, START.plus_millis(100)), 8, "{algorithm:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_charge_that_can_be_given_back_and_a_lease_are_taken_back_whole() {
    let (mut subject, charge) = (Subject::default(), gcra("p", 100, 1_000, 100, 1));
    let refundable = Terms { refund_ms: Some(n(120_000)), ..final_of(1) };
    subject.apply(refundable, &[Operation::Charge(charge.clone())], NOW);
    let leased = Charge { lease: Some(n(40)), ..charge.clone() };
    subject.apply(final_of(2), &[Operation::Charge(leased)], NOW);
    assert_eq!(remaining(&subject, &charge, NOW), 57);
    assert_eq!(withdraw(&mut subject, 3, 2, std::slice::from_ref(&charge), NOW), [Reply::Released]);
    assert_eq!(remaining(&subject, &charge, NOW), 98);
    assert_eq!(withdraw(&mut subject, 4, 1, std::slice::from_ref(&charge), NOW), [Reply::Released]);
    assert_eq!(remaining(&subject, &charge, NOW), 99);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_stood_still_is_found_unless_others_came_first() {
    let monthly = Charge { algorithm: Some(Algorithm::FixedWindow), ..gcra("p", 10, 3_600_000, 10, 1) };
    let minute = START.plus_millis(60_000);
    let mut subject = Subject::default();
    subject.apply(final_of(1), &[Operation::Charge(monthly.clone())], START);
    let mut busy = subject.clone();
    assert_eq!(withdraw(&mut subject, 2, 1, std::slice::from_ref(&monthly), minute), [Reply::Released]);
    busy.charge(std::slice::from_ref(&monthly), minute);
    assert_eq!(withdraw(&mut busy, 2, 1, std::slice::from_ref(&monthly), minute), [Reply::NotHeld], "it is forgotten");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_charge_of_an_earlier_window_is_not_taken_from_a_later_one() {
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        let (mut subject, charge) = (Subject::default(), gcra("p", 10, 1_000, 10, 1));
        let charge = Charge { algorithm: Some(algorithm), ..charge };
        subject.apply(final_of(1), &[Operation::Charge(charge.clone())], START);
        subject.charge(&[charge.clone(), charge.clone()], START.plus_millis(5_000));
        assert_eq!(
            withdraw(&mut subject, 2, 1, std::slice::from_ref(&charge), START.plus_millis(5_000)),
            [Reply::Released]
        );
        assert_eq!(remaining(&subject, &charge, START.plus_millis(5_000)), 7, "{algorithm:?}");
    }
}

proptest! {
    /// Others charge before, between and after.
    #[test]
    fn no_more_is_left_than_if_it_had_never_been_charged(
        algorithm in prop::sample::select(every_algorithm().to_vec()),
        before in prop::collection::vec((0_u64..3_000, 1_u32..4), 0..4),
        between in prop::collection::vec((0_u64..3_000, 1_u32..4), 0..4),
        cost in 1_u32..6,
        wait_ms in 0_u64..3_000,
        looks_ms in 0_u64..9_000,
    ) {
        let of = |cost| Charge { algorithm, ..gcra("p", 8, 4_000, 8, cost) };
        let (mut with, mut without, mut now) = (Subject::default(), Subject::default(), START);
        let all = |with: &mut Subject, without: &mut Subject, now: &mut Timestamp, charges: &[(u64, u32)]| {
            for (number, (ms, cost)) in charges.iter().enumerate() {
                *now = now.plus_millis(*ms);
                let id = 100 + now.as_millis() % 100_000 * 10 + number as u64;
                // Only what passes in both worlds: another history cannot be compared.
                let mut tried = with.clone();
                if tried.apply(final_of(id), &[Operation::Charge(of(*cost))], *now).granted {
                    *with = tried;
                    without.apply(final_of(id), &[Operation::Charge(of(*cost))], *now);
                }
            }
        };
        all(&mut with, &mut without, &mut now, &before);
        with.apply(final_of(1), &[Operation::Charge(of(cost))], now);
        all(&mut with, &mut without, &mut now, &between);
        now = now.plus_millis(wait_ms);
        withdraw(&mut with, 2, 1, &[of(cost)], now);
        let looks = now.plus_millis(looks_ms);
        prop_assert!(remaining(&with, &of(1), looks) <= remaining(&without, &of(1), looks));
    }
}
