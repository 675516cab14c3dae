//! Charges whose cost is known later: a debt passes whatever the limit says, and what comes later waits.

use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// Begins an hour, so that windows begin with it.
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn refundable(number: u64) -> Terms {
    Terms { id: id(number), hold_ms: None, refund_ms: Some(n(120_000)) }
}

fn settle(subject: &mut Subject, number: u64, charge: &Charge, cost: u32, now: Timestamp) -> Verdict {
    let debt = Charge { cost: n(cost), ..charge.clone() };
    let outcome = subject.apply(final_of(number), &[Operation::Settle(debt)], now);
    assert!(outcome.granted, "a debt is never refused");
    only_verdict(&outcome).clone()
}

#[wasm_bindgen_test(unsupported = test)]
fn a_debt_beyond_the_burst_is_waited_for() {
    let (mut subject, charge) = (Subject::default(), gcra("p", 10, 1_000, 10, 1));
    subject.charge(std::slice::from_ref(&charge), NOW);
    assert_eq!(settle(&mut subject, 1, &charge, 30, NOW).remaining, 0);
    let refused = only_verdict(&subject.charge(std::slice::from_ref(&charge), NOW)).clone();
    assert_eq!(
        (refused.allowed, refused.retry_after_us),
        (false, Some(2_200_000)),
        "3.1 s ahead, 1 s of which is the burst"
    );
    let before = subject.charge(std::slice::from_ref(&charge), Timestamp::from_micros(NOW.as_micros() + 2_199_999));
    assert!(!before.granted);
    assert!(subject.charge(&[charge], Timestamp::from_micros(NOW.as_micros() + 2_200_000)).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_debt_ends_with_its_window() {
    for algorithm in [Algorithm::FixedWindow, Algorithm::SlidingWindow] {
        let (mut subject, charge) = (Subject::default(), gcra("p", 10, 60_000, 10, 1));
        let charge = Charge { algorithm: Some(algorithm), ..charge };
        subject.charge(std::slice::from_ref(&charge), START);
        assert_eq!(settle(&mut subject, 1, &charge, 30, START.plus_millis(10)).remaining, 0);
        let refused = only_verdict(&subject.charge(std::slice::from_ref(&charge), START.plus_millis(20))).clone();
        let wait_us = refused.retry_after_us.unwrap();
        assert!(!refused.allowed && wait_us >= 59_980_000, "{refused:?}");
        let promised = Timestamp::from_micros(START.plus_millis(20).as_micros() + wait_us);
        let just_before = Timestamp::from_micros(promised.as_micros() - 1);
        assert!(!subject.charge(std::slice::from_ref(&charge), just_before).granted, "{algorithm:?}");
        assert!(subject.charge(&[charge], promised).granted, "{algorithm:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_debt_that_arrives_twice_is_charged_once() {
    let (mut subject, charge) = (Subject::default(), gcra("p", 100, 1_000, 100, 1));
    for _ in 0..3 {
        settle(&mut subject, 1, &charge, 30, NOW);
    }
    assert_eq!(only_verdict(&subject.charge(&[charge], NOW)).remaining, 69);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_part_of_a_charge_is_given_back_once() {
    for algorithm in [None, Some(Algorithm::FixedWindow), Some(Algorithm::SlidingWindow)] {
        let mut subject = Subject::default();
        let charge = Charge { algorithm, ..gcra("p", 100, 1_000, 100, 1) };
        let reserved = Charge { cost: n(40), ..charge.clone() };
        assert!(subject.apply(refundable(1), &[Operation::Charge(reserved)], START).granted);
        let unused = Unused { id: id(1), quota: "p".into(), permits: n(30), of: n(40) };
        for want in [Reply::Released, Reply::NotHeld] {
            let back = [Operation::GiveBack(unused.clone())];
            assert_eq!(subject.apply(final_of(2), &back, START).replies, [want], "{algorithm:?}");
        }
        assert_eq!(only_verdict(&subject.charge(&[charge], START)).remaining, 89, "{algorithm:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_verdict_of_a_charge_says_what_is_left_after_it_is_settled() {
    for algorithm in [None, Some(Algorithm::FixedWindow)] {
        let charge = Charge { algorithm, ..gcra("p", 100, 1_000, 100, 5) };
        for cost in [1, 5, 20, 99, 100, 300] {
            let (mut subject, mut other) = (Subject::default(), Subject::default());
            let said = only_verdict(&subject.charge(std::slice::from_ref(&charge), START)).clone();
            let shown = charge.settled(&said, cost);
            let outcome =
                other.apply(final_of(1), &[Operation::Settle(Charge { cost: n(cost), ..charge.clone() })], START);
            let at_once = only_verdict(&outcome);
            assert_eq!(
                (shown.remaining, shown.reset_us),
                (at_once.remaining, at_once.reset_us),
                "{algorithm:?} {cost}"
            );
        }
        let said = only_verdict(&Subject::default().charge(std::slice::from_ref(&charge), START)).clone();
        assert_eq!((charge.settled(&said, 0).remaining, charge.settled(&said, 0).reset_us), (100, 0));
    }
}

proptest! {
    /// Whatever was reserved and whatever it has cost: what is charged in the end is what it has cost.
    #[test]
    fn what_is_settled_is_as_if_the_cost_had_been_known(
        costs in proptest::collection::vec((1_u32..50, 1_u32..80), 1..12),
        kind in 0_usize..3,
    ) {
        let algorithm = [None, Some(Algorithm::FixedWindow), Some(Algorithm::SlidingWindow)][kind];
        let charge = |cost| Charge { algorithm, ..gcra("p", 1_000, 60_000, 1_000, cost) };
        let (mut settled, mut known) = (Subject::default(), Subject::default());
        for (number, (reserve, cost)) in (1_u64..).zip(costs) {
            let now = START.plus_millis(number);
            settled.apply(refundable(number), &[Operation::Charge(charge(reserve))], now);
            if cost > reserve {
                settle(&mut settled, 100 + number, &charge(1), cost - reserve, now);
            } else if cost < reserve {
                let unused = Unused { id: id(number), quota: "p".into(), permits: n(reserve - cost), of: n(reserve) };
                settled.apply(final_of(100 + number), &[Operation::GiveBack(unused)], now);
            }
            known.charge(&[charge(cost)], now);
        }
        let now = START.plus_millis(100);
        let [one, other] = [&mut settled, &mut known].map(|subject| only_verdict(&subject.charge(&[charge(1)], now)).clone());
        prop_assert!(one.remaining.abs_diff(other.remaining) <= 1, "{one:?} {other:?}");
        prop_assert!(one.reset_us.abs_diff(other.reset_us) <= 1_000, "{one:?} {other:?}");
    }
}
