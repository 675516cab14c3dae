//! The pipeline under random faults, on a virtual clock: the same seed is the same run, on every machine.
//!
//! Each run publishes a project, lets clients send valid and invalid requests in parallel, delays, fails and aborts
//! calls of stores and upstreams, and checks the invariants after every exchange (see [`check`]). It does NOT test
//! adapters: its ports are the reference ones. A failure prints its seed:
//! `TOLLGATE_SIMULATION_SEED=N cargo test -p tollgate-tests --test simulation` runs only that seed.

mod check;
mod clients;
mod dice;
mod limits;
mod run;
mod shaky;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// The number of runs of a test, which take some seconds. `TOLLGATE_SIMULATION_RUNS` changes it.
const RUNS: u64 = 60;

#[test]
fn what_must_hold_holds_whatever_fails() {
    each_seed(0, run::Weather::STORMY);
}

#[test]
fn without_faults_everybody_is_served() {
    each_seed(1_000_000, run::Weather::CALM);
}

fn each_seed(first: u64, weather: run::Weather) {
    if let Some(seed) = number("TOLLGATE_SIMULATION_SEED") {
        run::run(seed, weather);
        return;
    }
    for seed in first..first + number("TOLLGATE_SIMULATION_RUNS").unwrap_or(RUNS) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run::run(seed, weather))) {
            eprintln!("\nthe seed of this failure: TOLLGATE_SIMULATION_SEED={seed}");
            resume_unwind(panic);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
