use std::collections::BTreeMap;

use tollgate_core::limit::{Counting, LimitBy, QuotaSettings, Unit, Windows};

use super::dice::Dice;
use super::*;

fn n(value: u32) -> NonZeroU32 {
    NonZeroU32::new(value).unwrap()
}

fn rate(rate: u32, burst: u32, algorithm: Option<Algorithm>) -> Charge {
    let (period_ms, cost) = (n(1_000), n(1));
    Charge { quota: "p".into(), rate: n(rate), period_ms, burst: n(burst), cost, algorithm, lease: None, tells: None }
}

fn settings(charge: Charge) -> SitesSettings {
    SitesSettings::calm(SimulatedLimit::Charge(charge))
}

#[track_caller]
fn run(settings: &SitesSettings) -> SitesReport {
    let report = run_sites(settings);
    let most = overshoot_max(settings);
    assert!(report.overshoot <= most, "more than {most} beyond the limit: {report:?} of {settings:?}");
    report
}

const ALGORITHMS: [Option<Algorithm>; 6] = [
    None,
    Some(Algorithm::FixedWindow),
    Some(Algorithm::SlidingWindow),
    Some(Algorithm::SlidingLog),
    Some(Algorithm::Spacing),
    Some(Algorithm::Concurrency),
];

#[test]
fn no_more_than_the_bound_passes_whatever_fails() {
    let mut worst = [0; ALGORITHMS.len()];
    for seed in 0..80 {
        let mut dice = Dice::new(seed * 2 + 1);
        for _ in 0..20 {
            dice.below(1);
        }
        let mut of = |least: u32, most: u32| u32::try_from(dice.within((least.into(), most.into()))).unwrap();
        let place = of(0, 5) as usize;
        let algorithm = ALGORITHMS[place];
        let number = of(60, if place == 3 || place == 5 { 256 } else { 1_500 });
        let burst = if algorithm.is_none() { of(50, 3_000) } else { number };
        let stormy = SitesSettings {
            consistency: [Consistency::Leased, Consistency::Leased, Consistency::Exact, Consistency::Local]
                [of(0, 3) as usize],
            degrade: NonZeroU8::new(u8::try_from(of(0, 1) * 10).unwrap()),
            timeout_ms: of(100, 3_000),
            sites: of(1, 25),
            requests: of(50, 6_000),
            lasts_ms: 2_500,
            bursts: of(1, 10),
            message_ms: (of(0, 20), of(20, 400)),
            call_us: of(0, 2) * of(0, 2_000),
            lost_percent: of(0, 30),
            deaths: of(0, 40),
            restarts: of(0, 1) * of(0, 3),
            cut_percent: of(0, 1) * of(0, 100),
            skew_ms: of(0, 1) * of(0, 3_000),
            stale_ms: Some(of(0, 1_500)).filter(|_| of(0, 3) == 0),
            seed: seed + 1,
            ..settings(rate(number, burst, algorithm))
        };
        let report = run(&stormy);
        if stormy.consistency != Consistency::Local {
            worst[place] = worst[place].max(report.overshoot);
        }
    }
    let near = worst.iter().filter(|worst| **worst > 0).count();
    assert!(worst[0] > 0 && near > 2, "a test that never comes near the bound proves little: {worst:?}");
}

#[test]
fn without_faults_exact_limits_refuse_and_admit_exactly() {
    for algorithm in ALGORITHMS {
        let charge = rate(200, 200, algorithm);
        let exact =
            SitesSettings { consistency: Consistency::Exact, requests: 6_000, lasts_ms: 4_000, ..settings(charge) };
        let report = run(&exact);
        assert_eq!((report.overshoot, report.without_call, report.unanswered), (0, 0, 0), "{algorithm:?} {report:?}");
        // The end of a request is told a message later.
        let is_false = report.falsely_refused > 0;
        assert_eq!(is_false, algorithm == Some(Algorithm::Concurrency), "{algorithm:?} {report:?}");
    }
}

#[test]
fn an_owner_with_too_many_calls_turns_them_away() {
    let slow = SitesSettings { consistency: Consistency::Exact, call_us: 1_000, ..settings(rate(9_000, 9_000, None)) };
    let report = run(&slow);
    assert!(report.turned_away > report.requests / 2, "{report:?}");
    assert_eq!((report.unanswered, report.passed_open), (report.turned_away, 0));
    assert!((3_500..5_500).contains(&report.admitted), "a thousand a second: {report:?}");
    assert!(report.waits.at_per_mille(990) > 900_000, "{}", report.waits.at_per_mille(990));
    let open = run(&SitesSettings { on_unavailable: OnUnavailable::Open, ..slow });
    assert_eq!(open.passed_open, open.unanswered);
}

#[test]
fn what_a_quota_admits_survives_a_restart_of_its_owner_and_what_a_rate_limit_admits_does_not() {
    let day = Windows { unit: Unit::Day, anchor: None, zone: None, zone_name: String::new() };
    let quota = QuotaSettings {
        quota: n(900),
        windows: day,
        by: LimitBy::Consumer,
        on_unavailable: OnUnavailable::Closed,
        plans: BTreeMap::new(),
        counting: Counting::default(),
    };
    let limit = SimulatedLimit::Policy {
        limit: Box::new(Named { name: "daily".into(), policy: quota.into() }),
        plan: None,
        cost: n(1),
    };
    let restarted =
        SitesSettings { consistency: Consistency::Exact, restarts: 5, limit, ..settings(rate(900, 900, None)) };
    let report = run(&restarted);
    // A day ends in the run.
    assert_eq!((report.overshoot, report.admitted), (0, 1_800), "{report:?}");
    let daily = Charge { period_ms: n(86_400_000), ..rate(900, 900, None) };
    assert!(run(&SitesSettings { restarts: 5, ..settings(daily) }).overshoot > 0);
}

#[test]
fn sites_that_cannot_reach_the_owner_use_what_they_have_and_then_ask_the_policy() {
    let cut = SitesSettings { cut_percent: 50, timeout_ms: 500, ..settings(rate(8_000, 8_000, None)) };
    let report = run(&cut);
    assert!(report.unanswered > 500 && report.passed_open == 0, "{report:?}");
    let degraded = run(&SitesSettings { degrade: NonZeroU8::new(1), ..cut });
    assert!(degraded.passed_open > 0 && degraded.passed_open < degraded.unanswered, "{degraded:?}");
}

#[test]
fn lowered_numbers_count_once_all_sites_have_read_them() {
    let lowered = SitesSettings { stale_ms: Some(1_000), ..settings(rate(1_000, 1_000, None)) };
    let (before, after) = (run(&SitesSettings { stale_ms: None, ..lowered.clone() }), run(&lowered));
    assert!(after.admitted < before.admitted * 9 / 10, "{after:?}");
}

#[test]
fn small_limits_are_exact_and_refuse_nobody_early() {
    let minute = Charge { period_ms: n(60_000), ..rate(10, 10, None) };
    let small = SitesSettings { sites: 5, requests: 1_200, lasts_ms: 60_000, ..settings(minute) };
    let report = run(&small);
    assert_eq!((report.falsely_refused, report.without_call, report.overshoot), (0, 0, 0), "{report:?}");
    assert!((19..=21).contains(&report.admitted), "{report:?}");
}

#[test]
fn without_contention_nothing_is_refused_and_most_requests_need_no_call() {
    let report = run(&settings(rate(8_000, 8_000, None)));
    assert_eq!((report.admitted, report.falsely_refused), (report.requests, 0));
    assert!(report.without_call * 100 > report.requests * 95, "{report:?}");
    let quiet = run(&SitesSettings { requests: 160, ..settings(rate(100, 100, None)) });
    assert_eq!(quiet.falsely_refused, 0, "{quiet:?}");
}

#[test]
fn exact_limits_have_a_call_for_each_request_and_local_ones_none() {
    let charge = rate(1_000, 1_000, None);
    let exact = run(&SitesSettings { consistency: Consistency::Exact, ..settings(charge.clone()) });
    assert_eq!((exact.calls.iter().sum::<u64>(), exact.overshoot, exact.falsely_refused), (exact.requests, 0, 0));
    let local = run(&SitesSettings { consistency: Consistency::Local, ..settings(charge) });
    assert_eq!((local.calls.iter().sum::<u64>(), local.without_call), (0, local.admitted));
    assert!(local.overshoot > 1_000, "{local:?}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let stormy = SitesSettings { lost_percent: 10, deaths: 40, ..settings(rate(1_000, 1_000, None)) };
    assert_eq!(run_sites(&stormy), run_sites(&stormy));
    assert_ne!(run_sites(&stormy), run_sites(&SitesSettings { seed: 2, ..stormy }));
}
