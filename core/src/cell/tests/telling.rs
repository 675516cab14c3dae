//! Shares of limits that are told once in a window, however their numbers change.

use std::num::NonZeroU8;

use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

const DAY_MS: u32 = 86_400_000;

/// A beginning of minutes, hours and days.
const DAY: Timestamp = Timestamp::from_millis(1_800_057_600_000);

fn share(percent: u8) -> NonZeroU8 {
    NonZeroU8::new(percent).unwrap()
}

fn daily(most: u32, cost: u32) -> Charge {
    let tells = Tells::of(&[share(80), share(95)]);
    Charge { algorithm: Some(Algorithm::FixedWindow), tells, ..gcra("p", most, DAY_MS, most, cost) }
}

/// The same in windows of a calendar, which can be leased.
fn calendar(most: u32, cost: u32) -> Charge {
    let day = |number: u64| DAY.plus_millis(number * u64::from(DAY_MS)).as_micros();
    let edges = Edges { before_us: day(0) - 1, start_us: day(0), end_us: day(1), after_us: day(2) };
    Charge { algorithm: Some(Algorithm::Calendar(edges)), ..daily(most, cost) }
}

/// What a charge tells.
fn told(subject: &mut Subject, charge: &Charge, now: Timestamp) -> Option<u8> {
    let outcome = subject.charge(std::slice::from_ref(charge), now);
    charge.reached(only_verdict(&outcome), outcome.granted).map(NonZeroU8::get)
}

#[wasm_bindgen_test(unsupported = test)]
fn each_share_is_told_once_in_each_window() {
    let mut subject = Subject::default();
    for day in 0..3 {
        let now = DAY.plus_millis(day * u64::from(DAY_MS));
        let all: Vec<Option<u8>> = (0..110).map(|_| told(&mut subject, &daily(100, 1), now)).collect();
        let when: Vec<(usize, u8)> = all.iter().enumerate().filter_map(|(at, told)| Some((at, (*told)?))).collect();
        assert_eq!(when, [(79, 80), (94, 95)]);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_charge_that_reaches_several_tells_the_largest() {
    let mut subject = Subject::default();
    assert_eq!(told(&mut subject, &daily(100, 96), DAY), Some(95));
    assert_eq!(told(&mut subject, &daily(100, 4), DAY), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_that_is_lowered_below_what_is_used_tells_it() {
    let mut subject = Subject::default();
    assert_eq!(told(&mut subject, &daily(1_000, 750), DAY), None);
    assert_eq!(told(&mut subject, &daily(900, 1), DAY), Some(80), "751 of 900, which no charge has passed");
    assert_eq!(told(&mut subject, &daily(900, 1), DAY), None);
    assert_eq!(told(&mut subject, &daily(1_000, 48), DAY), Some(80), "800 of 1,000");
    assert_eq!(told(&mut subject, &daily(900, 1), DAY), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_limit_that_is_raised_tells_its_own_shares() {
    let mut subject = Subject::default();
    assert_eq!(told(&mut subject, &daily(100, 80), DAY), Some(80));
    assert_eq!(told(&mut subject, &daily(1_000, 1), DAY), None);
    assert_eq!(told(&mut subject, &daily(1_000, 719), DAY), Some(80), "800 of 1,000");
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_given_back_and_used_again_is_not_told_again() {
    let (mut cell, held) = (Cell::default(), held_of(1, 10_000));
    let charge = daily(100, 90);
    let charged = |cell: &mut Cell, terms| {
        let operation = [Operation::Charge(charge.clone())];
        let (outcome, _) = cell.update(terms, &operation, DAY).unwrap();
        charge.reached(only_verdict(&outcome), outcome.granted).map(NonZeroU8::get)
    };
    assert_eq!(charged(&mut cell, held), Some(80));
    let released = cell.update(held_of(1, 10_000), &[Operation::Release], DAY).unwrap().0;
    assert_eq!(released.replies, [Reply::Released]);
    assert_eq!(charged(&mut cell, final_of(2)), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn the_lease_that_crosses_a_share_tells_it() {
    let mut subject = Subject::default();
    let leased = |cost, ahead| Charge { lease: Some(n(ahead)), ..calendar(100, cost) };
    assert_eq!(told(&mut subject, &leased(70, 12), DAY), Some(80), "82 are taken");
    assert_eq!(told(&mut subject, &calendar(100, 1), DAY), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn limits_without_windows_tell_each_time_that_they_pass_a_share() {
    let (mut subject, tells) = (Subject::default(), Tells::of(&[share(50)]));
    let charge = Charge { tells, ..gcra("p", 10, 1_000, 10, 1) };
    for _ in 0..3 {
        let now = NOW.plus_millis(2_000 * subject.updates);
        let all: Vec<Option<u8>> = (0..10).map(|_| told(&mut subject, &charge, now)).collect();
        assert_eq!(all.iter().position(Option::is_some), Some(4));
        assert_eq!(all.iter().flatten().count(), 1);
    }
}

proptest! {
    /// Whatever the limit is for each charge, what is told in a window only increases, and everything that is reached was told.
    #[test]
    fn what_was_to_be_used_for_a_share_is_told_in_ascending_order(
        charges in prop::collection::vec((1..300_u32, 1..40_u32, any::<bool>()), 1..60),
    ) {
        let (mut subject, mut last, mut used) = (Subject::default(), 0, 0);
        for (most, cost, leases) in charges {
            let charge = Charge { lease: leases.then(|| n(5)), ..calendar(most, cost) };
            let outcome = subject.charge(std::slice::from_ref(&charge), DAY);
            let said = only_verdict(&outcome);
            if outcome.granted {
                used += u64::from(cost) + said.leased.map_or(0, |leased| u64::from(leased.permits));
            }
            let reached = charge.tells.unwrap().reached(n(most), used).map_or(0, |(_, at)| at);
            match charge.reached(said, outcome.granted) {
                Some(percent) => {
                    let at = share_of(n(most), percent);
                    prop_assert!(outcome.granted && at > last && at <= used);
                    last = at;
                }
                None => prop_assert!(!outcome.granted || reached <= last),
            }
        }
    }
}
