use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::super::gcra::Level;
use super::*;

fn charge(cost: u32) -> Vec<Operation> {
    vec![Operation::Charge(gcra("p", 1, 1_000, 2, cost))]
}

#[track_caller]
fn replies(subject: &mut Subject, number: u64, operation: Operation, reply: &Reply) {
    let outcome = subject.apply(final_of(number), &[operation], NOW);
    assert_eq!(outcome.replies, std::slice::from_ref(reply));
}

#[wasm_bindgen_test(unsupported = test)]
fn held_charges_count_until_they_are_released() {
    let mut subject = Subject::default();
    assert!(subject.apply(held_of(1, 1_000), &charge(2), NOW).granted);
    assert!(!subject.apply(final_of(2), &charge(1), NOW).granted);
    replies(&mut subject, 1, Operation::Release, &Reply::Released);
    replies(&mut subject, 1, Operation::Release, &Reply::NotHeld);
    assert!(subject.apply(final_of(2), &charge(2), NOW).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn who_is_refused_because_of_what_others_hold_need_not_wait_for_the_end_of_the_window() {
    let month = |algorithm| [Operation::Charge(Charge { algorithm, ..gcra("p", 2, 2_592_000_000, 2, 1) })];
    for algorithm in [None, Some(Algorithm::FixedWindow), Some(Algorithm::SlidingWindow)] {
        let mut subject = Subject::default();
        let wait_us = |subject: &mut Subject, number: u64| {
            let outcome = subject.apply(final_of(number), &month(algorithm), NOW);
            outcome.verdicts().next().unwrap().retry_after_us.unwrap()
        };
        assert!(subject.apply(final_of(1), &month(algorithm), NOW).granted);
        assert!(subject.apply(held_of(2, 10_000), &month(algorithm), NOW).granted);
        assert_eq!(wait_us(&mut subject, 3), 1_000_000, "{algorithm:?}");
        replies(&mut subject, 2, Operation::Confirm, &Reply::Confirmed);
        assert!(wait_us(&mut subject, 4) > 1_000_000_000, "{algorithm:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn confirmed_charges_are_kept_when_their_time_has_expired() {
    let (mut confirmed, hour) = (Subject::default(), [Operation::Charge(gcra("p", 1, 3_600_000, 1, 1))]);
    assert!(confirmed.apply(held_of(1, 1_000), &hour, NOW).granted);
    let mut orphaned = confirmed.clone();
    replies(&mut confirmed, 1, Operation::Confirm, &Reply::Confirmed);
    replies(&mut confirmed, 1, Operation::Confirm, &Reply::Confirmed);
    let over = NOW.plus_millis(1_000);
    assert!(!confirmed.apply(final_of(2), &hour, over).granted);
    assert!(!orphaned.apply(final_of(2), &hour, NOW.plus_millis(999)).granted);
    assert!(orphaned.apply(final_of(3), &hour, over).granted, "an orphaned hold is refunded");
}

#[wasm_bindgen_test(unsupported = test)]
fn confirmed_charges_can_be_released_within_their_time() {
    let mut subject = Subject::default();
    assert!(subject.apply(held_of(1, 1_000), &charge(2), NOW).granted);
    replies(&mut subject, 1, Operation::Confirm, &Reply::Confirmed);
    replies(&mut subject, 1, Operation::Release, &Reply::Released);
    assert!(subject.apply(final_of(2), &charge(2), NOW).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_charge_that_arrives_after_its_release_has_no_effect() {
    let mut subject = Subject::default();
    replies(&mut subject, 1, Operation::Release, &Reply::NotHeld);
    assert!(!subject.apply(held_of(1, 1_000), &charge(1), NOW).granted);
    assert!(subject.apply(final_of(2), &charge(2), NOW).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_final_charge_cannot_be_released() {
    let mut subject = Subject::default();
    assert!(subject.apply(final_of(1), &charge(2), NOW).granted);
    replies(&mut subject, 1, Operation::Release, &Reply::NotHeld);
    assert!(!subject.apply(final_of(2), &charge(1), NOW).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn holds_beyond_their_bound_are_refused_as_full_until_some_are_confirmed() {
    let (mut cell, cheap) = (Cell::default(), [Operation::Charge(gcra("p", 1, 1_000, 10_000, 1))]);
    let mut most = 0;
    let full = loop {
        match cell.update(held_of(most, 1_000), &cheap, NOW) {
            Ok(_) => most += 1,
            Err(error) => break error,
        }
    };
    assert_eq!((full, most), (CellError::Full, 256));
    cell.update(final_of(7), &[Operation::Confirm], NOW).unwrap();
    assert!(cell.update(held_of(most, 1_000), &cheap, NOW).is_ok());
}

#[wasm_bindgen_test(unsupported = test)]
fn holds_for_long_do_not_fill_the_table_and_their_charges_stay() {
    let (mut cell, try_) = (Cell::default(), [Operation::Charge(gcra("p", 1, 60_000, 10_000, 1))]);
    for number in 0..300 {
        assert!(cell.update(held_of(number, 600_000), &try_, NOW).unwrap().0.granted, "try {number}");
    }
    let (outcome, _) = cell.update(final_of(0), &[Operation::Release], NOW).unwrap();
    assert_eq!(outcome.replies, [Reply::NotHeld], "it was dropped, and its charge stays");
    let (outcome, _) = cell.update(final_of(299), &[Operation::Release], NOW).unwrap();
    assert_eq!(outcome.replies, [Reply::Released]);
    let (outcome, _) = cell.update(final_of(1_000), &try_, NOW).unwrap();
    assert_eq!(only_verdict(&outcome).remaining, 10_000 - 300);
}

/// An operation on the cell of the property below.
#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Charge(u32),
    Hold(u32, u32),
    Confirm(prop::sample::Index),
    Release(prop::sample::Index),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0u64..1_500).prop_map(Event::Wait),
        (1u32..3).prop_map(Event::Charge),
        (1u32..3, 1u32..4_000).prop_map(|(cost, ms)| Event::Hold(cost, ms)),
        any::<prop::sample::Index>().prop_map(Event::Confirm),
        any::<prop::sample::Index>().prop_map(Event::Release),
    ];
    proptest::collection::vec(event, 1..80)
}

/// A charge that is in effect: when it was made, and its amount.
#[derive(Clone, Copy, Debug)]
struct Standing {
    number: u64,
    at: Timestamp,
    ns: u64,
    until: Option<Timestamp>,
}

/// When a quota with only these charges is fully available again.
fn tat_of(standing: &[Standing]) -> u64 {
    standing.iter().fold(0, |tat, charge| tat.max(charge.at.as_millis() * 1_000_000) + charge.ns)
}

proptest! {
    /// The reference has exactly the charges in effect: a refunded charge was never made.
    #[test]
    fn a_cell_is_as_if_what_was_given_back_had_never_been_charged(events in events(), burst in 2u32..6) {
        let gcra = |cost| gcra("p", 3, 1_000, burst, cost);
        let (mut cell, mut now, mut standing) = (Cell::default(), NOW, Vec::<Standing>::new());
        let mut holds: Vec<u64> = Vec::new();
        for (number, event) in (0u64..).zip(events) {
            let pick = |index: prop::sample::Index| holds.get(index.index(holds.len().max(1))).copied();
            let (terms, operation) = match event {
                Event::Wait(ms) => { now = now.plus_millis(ms); continue }
                Event::Charge(cost) => (final_of(number), Operation::Charge(gcra(cost))),
                Event::Hold(cost, ms) => (held_of(number, ms), Operation::Charge(gcra(cost))),
                Event::Confirm(index) => (final_of(pick(index).unwrap_or(9_999)), Operation::Confirm),
                Event::Release(index) => (final_of(pick(index).unwrap_or(9_999)), Operation::Release),
            };
            standing.retain(|charge| charge.until.is_none_or(|until| until > now));
            let (outcome, _) = cell.update(terms, std::slice::from_ref(&operation), now).unwrap();
            match (&operation, &outcome.replies[0]) {
                (Operation::Charge(charged), _) if outcome.granted => {
                    let ns = charged.shift(Level::default(), 0).new_tat_ns;
                    let until = terms.hold_ms.map(|ms| now.plus_millis(ms.get().into()));
                    holds.extend(until.map(|_| number));
                    standing.push(Standing { number, at: now, ns, until });
                }
                (Operation::Confirm, Reply::Confirmed) => {
                    let confirmed = standing.iter_mut().find(|charge| id(charge.number) == terms.id);
                    if let Some(charge) = confirmed { charge.until = None; }
                }
                (Operation::Release, Reply::Released) => standing.retain(|charge| id(charge.number) != terms.id),
                _ => {}
            }
            let now_ns = now.as_millis() * 1_000_000;
            let real = cell.quotas.first().map_or(0, |quota| quota.tat_ns);
            prop_assert_eq!(real.max(now_ns), tat_of(&standing).max(now_ns), "after {:?}", operation);
        }
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_final_charge_that_can_be_given_back_is_given_back_once_and_kept_otherwise() {
    let terms = |number| Terms { refund_ms: Some(n(60_000)), ..final_of(number) };
    let charge = [Operation::Charge(super::gcra("p", 1, 3_600_000, 3, 1))];
    let mut subject = Subject::default();
    for number in [1, 1, 2, 3] {
        assert!(subject.apply(terms(number), &charge, NOW).granted, "a repetition takes effect once");
    }
    assert!(!subject.apply(terms(4), &charge, NOW).granted);
    for reply in [Reply::Released, Reply::NotHeld] {
        assert_eq!(subject.apply(final_of(1), &[Operation::Release], NOW.plus_millis(59_999)).replies, [reply]);
    }
    assert!(subject.apply(terms(5), &charge, NOW.plus_millis(59_999)).granted);
    assert!(!subject.apply(terms(6), &charge, NOW.plus_millis(59_999)).granted, "one was given back");
    let later = NOW.plus_millis(60_000);
    assert_eq!(subject.apply(final_of(2), &[Operation::Release], later).replies, [Reply::NotHeld], "it is over");
    assert!(!subject.apply(terms(7), &charge, later).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn charges_that_can_be_given_back_never_fill_the_table() {
    let mut subject = Subject::default();
    let many = super::super::holds::HOLDS_MAX as u64 + 10;
    let charge = [Operation::Charge(super::gcra("p", 1, 3_600_000, 1_000, 1))];
    for number in 0..many {
        assert!(
            subject.apply(Terms { refund_ms: Some(n(60_000)), ..final_of(number) }, &charge, NOW).granted,
            "{number}"
        );
    }
    assert_eq!(subject.apply(final_of(0), &[Operation::Release], NOW).replies, [Reply::NotHeld]);
    assert_eq!(subject.apply(final_of(many - 1), &[Operation::Release], NOW).replies, [Reply::Released]);
}
