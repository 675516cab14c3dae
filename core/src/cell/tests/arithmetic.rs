use proptest::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

#[wasm_bindgen_test(unsupported = test)]
fn a_burst_passes_and_the_refusal_contains_the_wait() {
    let (mut subject, charge) = (Subject::default(), [gcra("p", 10, 1_000, 3, 1)]);
    for remaining in [2, 1, 0] {
        let outcome = subject.charge(&charge, NOW);
        assert!(outcome.granted);
        assert_eq!(only_verdict(&outcome).remaining, remaining);
    }
    let outcome = subject.charge(&charge, NOW);
    assert!(!outcome.granted);
    let verdict = only_verdict(&outcome);
    assert_eq!((verdict.retry_after_us, verdict.reset_us), (Some(100_000), 300_000));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cost_above_the_burst_can_never_pass() {
    let mut subject = Subject::default();
    let outcome = subject.charge(&[gcra("p", 1, 1_000, 3, 4)], NOW);
    assert_eq!(only_verdict(&outcome).retry_after_us, None);
    assert!(!outcome.granted && subject.cell.is_idle());
}

#[wasm_bindgen_test(unsupported = test)]
fn one_refusal_leaves_every_quota_of_the_update_uncharged() {
    let (mut subject, both) = (Subject::default(), [gcra("tight", 1, 1_000, 1, 1), gcra("wide", 100, 1_000, 100, 1)]);
    assert!(subject.charge(&both, NOW).granted);
    let before = subject.cell.clone();
    let outcome = subject.charge(&both, NOW);
    assert!(!outcome.granted);
    assert_eq!(subject.cell, before);
    let allowed: Vec<(bool, u32)> = outcome.verdicts().map(|verdict| (verdict.allowed, verdict.remaining)).collect();
    assert_eq!(allowed, [(false, 0), (true, 99)]);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_quota_that_occurs_twice_is_charged_twice() {
    let (mut subject, twice) = (Subject::default(), [gcra("p", 1, 1_000, 3, 1), gcra("p", 1, 1_000, 3, 1)]);
    let outcome = subject.charge(&twice, NOW);
    assert_eq!(outcome.verdicts().map(|verdict| verdict.remaining).collect::<Vec<_>>(), [2, 1]);
    assert!(!subject.charge(&twice, NOW).granted, "1 left, 2 asked");
    assert!(subject.charge(&twice[..1], NOW).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_cell_is_idle_when_its_quotas_are_available() {
    let mut subject = Subject::default();
    subject.charge(&[gcra("p", 1, 1_000, 3, 2)], NOW);
    assert_eq!(subject.cell.idle_at(), Some(NOW.plus_millis(2_000)));
    subject.charge(&[gcra("q", 1, 1_000, 1, 2)], NOW.plus_millis(1_999));
    assert!(!subject.cell.is_idle());
    subject.charge(&[gcra("q", 1, 1_000, 1, 2)], NOW.plus_millis(2_000));
    assert!(subject.cell.is_idle());
}

#[wasm_bindgen_test(unsupported = test)]
fn a_late_writer_is_not_refused_if_quota_remains() {
    let (mut subject, charge) = (Subject::default(), [gcra("p", 1_000_000, 1_000, 1_000_000, 1)]);
    for late_ms in [0, 2_000, 5_000, 59_000] {
        assert!(subject.charge(&charge, NOW.minus_millis(late_ms)).granted, "{late_ms} ms late");
    }
    let outcome = subject.charge(&charge, NOW.minus_millis(3_600_000));
    assert!(outcome.granted, "a clock that was set back by an hour");
    assert_eq!(only_verdict(&outcome).remaining, 1_000_000 - 5);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_backward_clock_refunds_nothing() {
    let (mut subject, charge) = (Subject::default(), [gcra("p", 1, 1_000, 2, 1)]);
    subject.charge(&charge, NOW);
    subject.charge(&charge, NOW);
    for earlier in [NOW.minus_millis(999), NOW, NOW.minus_millis(59_000), NOW.plus_millis(999)] {
        assert!(!subject.charge(&charge, earlier).granted);
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_lowered_limit_keeps_earlier_charges() {
    let (mut subject, large, small) =
        (Subject::default(), [gcra("p", 1, 1_000, 1_000, 998)], [gcra("p", 1, 1_000, 2, 1)]);
    assert!(subject.charge(&large, NOW).granted);
    let outcome = subject.charge(&small, NOW);
    let verdict = only_verdict(&outcome);
    assert_eq!((verdict.remaining, verdict.retry_after_us), (0, Some(997_000_000)));
    assert!(!subject.charge(&large, NOW).granted);
    assert!(!subject.charge(&small, NOW.plus_millis(996_999)).granted);
    assert!(subject.charge(&small, NOW.plus_millis(997_000)).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_used_is_what_counts_under_a_better_plan() {
    let (mut subject, small, large) =
        (Subject::default(), [gcra("p", 3, HOUR_MS, 3, 1)], [gcra("p", 1_000, 1_000, 1_000, 1)]);
    assert!((0..3).all(|_| subject.charge(&small, NOW).granted) && !subject.charge(&small, NOW).granted);
    let outcome = subject.charge(&large, NOW);
    assert!(outcome.granted);
    assert_eq!(only_verdict(&outcome).remaining, 996);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_was_used_is_what_counts_under_a_smaller_plan() {
    let (mut subject, small, large) =
        (Subject::default(), [gcra("p", 3, HOUR_MS, 3, 1)], [gcra("p", 1_000, HOUR_MS, 1_000, 500)]);
    assert!(subject.charge(&large, NOW).granted);
    let outcome = subject.charge(&small, NOW);
    let verdict = only_verdict(&outcome);
    // 498 of 500 become available again, at the pace at which they were charged.
    assert_eq!((verdict.remaining, verdict.retry_after_us), (0, Some(498 * 3_600_000)));
    assert_eq!(verdict.reset_us, 500 * 3_600_000);
    assert!(!subject.charge(&small, NOW.plus_millis(498 * 3_600 - 1)).granted);
    assert!(subject.charge(&small, NOW.plus_millis(498 * 3_600)).granted);
    assert!(
        subject
            .charge(&small, NOW.plus_millis(498 * 3_600))
            .verdicts()
            .any(|verdict| verdict.retry_after_us == Some(1_200_000_000))
    );
}

#[wasm_bindgen_test(unsupported = test)]
fn a_refusal_at_another_pace_changes_no_state() {
    let (mut subject, small, large) =
        (Subject::default(), [gcra("p", 3, HOUR_MS, 3, 1)], [gcra("p", 1_000, 1_000, 1_000, 1_000)]);
    assert!(subject.charge(&large, NOW).granted);
    let before = subject.cell.clone();
    assert!(!subject.charge(&small, NOW).granted);
    assert_eq!(subject.cell, before);
    assert!(subject.charge(&large, NOW.plus_millis(1_000)).granted);
}

#[wasm_bindgen_test(unsupported = test)]
fn a_state_without_a_pace_is_taken_as_it_is() {
    let (mut subject, small, large) =
        (Subject::default(), [gcra("p", 3, HOUR_MS, 3, 1)], [gcra("p", 1_000, 1_000, 1_000, 1)]);
    subject.charge(&small, NOW);
    subject.cell.quotas[0].pace = None;
    assert!(!subject.charge(&large, NOW).granted);
    assert!(subject.charge(&small, NOW).granted);
    assert!(subject.charge(&large, NOW).granted, "known from the next charge on");
}

#[wasm_bindgen_test(unsupported = test)]
fn a_hold_that_is_charged_further_at_another_pace_is_given_back_whole() {
    let (mut subject, small, large) =
        (Subject::default(), gcra("p", 3, HOUR_MS, 3, 2), gcra("p", 1_000, 1_000, 1_000, 1));
    assert!(subject.apply(held_of(1, 10_000), &[Operation::Charge(small)], NOW).granted);
    assert_eq!(only_verdict(&subject.charge(std::slice::from_ref(&large), NOW)).remaining, 997);
    assert_eq!(subject.apply(final_of(1), &[Operation::Release], NOW).replies, [Reply::Released]);
    assert_eq!(only_verdict(&subject.charge(&[large], NOW)).remaining, 998);
}

const HOUR_MS: u32 = 3_600_000;

proptest! {
    #[test]
    fn denied_until_the_promised_instant_at_any_pace(
        plans in proptest::array::uniform3((1u32..5_000, 1u32..100_000, 1u32..200)),
        costs in proptest::collection::vec((0usize..3, 1u32..5, 0u64..500), 1..60),
    ) {
        let (mut subject, mut now) = (Subject::default(), NOW);
        for (plan, cost, wait) in costs {
            now = now.plus_millis(wait);
            let (rate, period_ms, burst) = plans[plan];
            let charge = [gcra("p", rate, period_ms, burst, cost)];
            let outcome = subject.charge(&charge, now);
            if let Some(us) = only_verdict(&outcome).retry_after_us && us > 0 {
                prop_assert!(!subject.clone().charge(&charge, now.plus_micros(us - 1)).granted);
                prop_assert!(subject.clone().charge(&charge, now.plus_micros(us)).granted);
            }
        }
    }

    #[test]
    fn never_more_than_the_largest_of_the_plans_that_alternate(
        plans in proptest::array::uniform2((1u32..500, 1u32..50)),
        charges in proptest::collection::vec((0usize..2, 0u64..50), 1..200),
    ) {
        let most = |of: fn(&(u32, u32)) -> u32| u64::from(plans.iter().map(of).max().unwrap());
        let (rate, burst) = (most(|plan| plan.0), most(|plan| plan.1));
        let (mut subject, mut now, mut granted) = (Subject::default(), NOW, Vec::new());
        for (plan, wait) in charges {
            now = now.plus_millis(wait);
            if subject.charge(&[gcra("p", plans[plan].0, 1_000, plans[plan].1, 1)], now).granted {
                granted.push(now);
            }
        }
        for (place, first) in granted.iter().enumerate() {
            for (count, last) in (1u64..).zip(&granted[place..]) {
                prop_assert!(count <= burst + last.millis_since(*first) * rate / 1_000);
            }
        }
    }

    #[test]
    fn denied_until_the_promised_instant_and_allowed_at_it(
        rate in 1u32..5_000, period_ms in 1u32..100_000, burst in 1u32..200,
        costs in proptest::collection::vec((1u32..5, 0u64..500), 1..60),
    ) {
        let (mut subject, mut now) = (Subject::default(), NOW);
        for (cost, wait) in costs {
            now = now.plus_millis(wait);
            let charge = [gcra("p", rate, period_ms, burst, cost)];
            let outcome = subject.charge(&charge, now);
            if let Some(us) = only_verdict(&outcome).retry_after_us && us > 0 {
                prop_assert!(!subject.clone().charge(&charge, now.plus_micros(us - 1)).granted);
                prop_assert!(subject.clone().charge(&charge, now.plus_micros(us)).granted);
            }
            if outcome.granted {
                // To the microsecond, as what is told of the quota is rounded up.
                let again_us = charge[0].again_us(only_verdict(&outcome));
                prop_assert!(subject.clone().charge(&charge, now.plus_micros(again_us)).granted);
                prop_assert!(again_us < 2 || !subject.clone().charge(&charge, now.plus_micros(again_us - 2)).granted);
            }
        }
    }

    #[test]
    fn what_is_told_to_remain_is_what_can_still_be_charged_at_once(
        rate in 1u32..5_000, period_ms in 1u32..100_000, burst in 1u32..200,
        costs in proptest::collection::vec((1u32..5, 0u64..500), 1..60),
    ) {
        let (mut subject, mut now) = (Subject::default(), NOW);
        for (cost, wait) in costs {
            now = now.plus_millis(wait);
            let said = only_verdict(&subject.charge(&[gcra("p", rate, period_ms, burst, cost)], now)).remaining;
            prop_assert!(said == 0 || subject.clone().charge(&[gcra("p", rate, period_ms, burst, said)], now).granted);
            prop_assert!(!subject.clone().charge(&[gcra("p", rate, period_ms, burst, said + 1)], now).granted);
        }
    }

    #[test]
    fn never_more_than_burst_plus_rate_within_any_span(
        rate in 1u32..500, burst in 1u32..50, waits in proptest::collection::vec((0u64..50, 0u64..200), 1..200),
    ) {
        let charge = [gcra("p", rate, 1_000, burst, 1)];
        let (mut subject, mut now, mut granted) = (Subject::default(), NOW, Vec::new());
        for (wait, late) in waits {
            now = now.plus_millis(wait);
            if subject.charge(&charge, now.minus_millis(late)).granted {
                granted.push(now);
            }
        }
        for (place, first) in granted.iter().enumerate() {
            for (count, last) in (1u64..).zip(&granted[place..]) {
                // The writers are up to 200 ms late, so a period may look shorter by this amount than it is for the
                // cell.
                let span_ms = last.millis_since(*first) + 200;
                let most = u64::from(burst) + span_ms * u64::from(rate) / 1_000;
                prop_assert!(count <= most, "{count} passed in {span_ms} ms, {most} allowed");
            }
        }
    }
}
