//! `cargo xtask test`: runs the suites, sums up their results, and ends with one line of numbers.

use std::time::{Duration, Instant};

use crate::args::{Host, Selection, Suite};
use crate::place::Place;
use crate::{build, examples, run, setup};

/// Packages that the unit test step excludes: the suites have separate steps, the tools have no tests.
const NOT_UNIT: [&str; 5] = [
    "tollgate-contracts",
    "tollgate-contracts-cloudflare",
    "tollgate-contracts-spin",
    "tollgate-tests",
    "tollgate-wasm-tools",
];
/// Packages of one host, whose tests run only if that host is selected.
const OF_A_HOST: [(&str, Host); 4] = [
    ("tollgate-cloudflare", Host::Cloudflare),
    ("tollgate-counter", Host::Cloudflare),
    ("tollgate-spin", Host::Spin),
    ("tollgate-spin-host", Host::Spin),
];

/// The result of one step.
struct Outcome {
    step: &'static str,
    passed: u64,
    failed: u64,
    /// Why the step could not be run, or failed without a failed test.
    broken: Option<String>,
    took: Duration,
}

/// Sets up, builds and runs the selected suites; the last line printed is `N passed, N failed`.
pub(crate) fn test(place: &Place, selection: &Selection) -> Result<(), String> {
    if !Suite::ALL.into_iter().any(|suite| runs(selection, suite)) {
        return Err("nothing to run: the wasm suite belongs to the cloudflare host".to_owned());
    }
    let mut outcomes = vec![step("setup", || setup::prepare(place, needed(selection)).map(|()| (0, 0)))];
    if outcomes.iter().all(|outcome| outcome.broken.is_none()) {
        for suite in Suite::ALL.into_iter().filter(|suite| runs(selection, *suite)) {
            outcomes.push(step(suite.name(), || suite_of(place, selection, suite)));
        }
    }
    conclude(&outcomes)
}

/// Core on wasm32 belongs to the Cloudflare host: a run for other hosts needs no Node.
fn runs(selection: &Selection, suite: Suite) -> bool {
    selection.wants(suite) && (suite != Suite::Wasm || selection.hosts().contains(&Host::Cloudflare))
}

/// The hosts to set up for; unit tests alone need none.
fn needed(selection: &Selection) -> &[Host] {
    if [Suite::E2e, Suite::Conformance, Suite::Decisions].into_iter().any(|suite| selection.wants(suite)) {
        selection.hosts()
    } else if runs(selection, Suite::Wasm) {
        &[Host::Cloudflare]
    } else {
        &[]
    }
}

fn suite_of(place: &Place, selection: &Selection, suite: Suite) -> Result<(u64, u64), String> {
    match suite {
        Suite::Unit => unit(place, selection.hosts()),
        Suite::Wasm => wasm(place),
        Suite::Conformance => conformance(place, selection),
        Suite::Simulation => integration(place, "simulation"),
        Suite::Examples => examples::test(place),
        Suite::Decisions => gateways(place, selection, "decisions"),
        Suite::E2e => gateways(place, selection, "e2e"),
    }
}

/// Unit and property tests of every crate and of the suites' tools, then the examples in the docs.
fn unit(place: &Place, hosts: &[Host]) -> Result<(u64, u64), String> {
    let mut crates = runner(place);
    crates.args(["--locked", "--workspace"]);
    let of_others = OF_A_HOST.iter().filter(|(_, host)| !hosts.contains(host)).map(|(package, _)| *package);
    for package in NOT_UNIT.into_iter().chain(of_others) {
        crates.args(["--exclude", package]);
    }
    let mut tools = runner(place);
    tools.args(["--locked", "--package", "tollgate-tests", "--lib", "--bins"]);
    let mut docs = run::cargo(place);
    docs.args(["test", "--locked", "--doc"]);
    let mut sum = (0, 0);
    for command in [&mut crates, &mut tools, &mut docs] {
        let (passed, failed) = counted(command)?;
        sum = (sum.0 + passed, sum.1 + failed);
    }
    Ok(sum)
}

/// The tests of core and of the stored formats, compiled to the target of Workers.
fn wasm(place: &Place) -> Result<(u64, u64), String> {
    let mut command = run::cargo(place);
    command
        .args(["test", "--locked", "--package", "tollgate-core", "--package", "tollgate-kv-schemas", "--lib"])
        .args(["--target", "wasm32-unknown-unknown", "--no-fail-fast"])
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", place.tool("wasm-bindgen-test-runner"));
    let (passed, failed) = counted(&mut command)?;
    if passed + failed == 0 {
        return Err("no test of core ran on wasm32".to_owned());
    }
    Ok((passed, failed))
}

fn integration(place: &Place, name: &str) -> Result<(u64, u64), String> {
    let mut command = runner(place);
    command.args(["--locked", "--package", "tollgate-tests", "--test", name]);
    counted(&mut command)
}

fn conformance(place: &Place, selection: &Selection) -> Result<(u64, u64), String> {
    build::for_contracts(place, selection.hosts())?;
    let (passed, failed) = on_hosts(place, selection, "conformance")?;
    if !selection.hosts().contains(&Host::Native) || !selection.filter.is_empty() {
        return Ok((passed, failed));
    }
    let redis = integration(place, "redis")?;
    Ok((passed + redis.0, failed + redis.1))
}

/// A suite that talks to gateways in processes of their own.
fn gateways(place: &Place, selection: &Selection, program: &str) -> Result<(u64, u64), String> {
    build::for_tests(place, selection.hosts())?;
    on_hosts(place, selection, program)
}

/// Runs one of the suites that are programs, on the selected hosts.
fn on_hosts(place: &Place, selection: &Selection, program: &str) -> Result<(u64, u64), String> {
    let mut command = std::process::Command::new(place.debug_binary(program));
    command.current_dir(&place.root);
    for host in selection.hosts() {
        command.args(["--host", host.name()]);
    }
    if program != "decisions" {
        command.args(&selection.filter);
    }
    command.env("TOLLGATE_TARGET", &place.target);
    counted(&mut command)
}

/// nextest if it is installed, otherwise cargo's own runner.
fn runner(place: &Place) -> std::process::Command {
    let mut command = run::cargo(place);
    if run::answer(run::cargo(place).args(["nextest", "--version"])).is_some() {
        command.args(["nextest", "run", "--no-fail-fast", "--status-level", "fail"]);
        command.args(["--final-status-level", "fail", "--no-tests", "warn"]);
    } else {
        command.args(["test", "--no-fail-fast"]);
    }
    command
}

/// Runs a test program and reads its counts; a failure without a failed test is an error.
fn counted(command: &mut std::process::Command) -> Result<(u64, u64), String> {
    let (success, said) = run::watched(command)?;
    let (passed, failed) = counts(&said);
    if !success && failed == 0 {
        return Err("it failed without a failed test: see above".to_owned());
    }
    Ok((passed, failed))
}

/// The beginning of the summary of cargo's own runner.
const OWN_RUNNER: &str = "test result:";

const SUMMARIES: [&str; 5] = [OWN_RUNNER, "Summary [", "conformance: ", "decisions: ", "e2e: "];

/// Sums up the summary lines of nextest, of cargo's runner, of the wasm runner and of the suites that are programs.
fn counts(said: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for line in said.lines() {
        // nextest repeats the output of a failed test's own runner, indented.
        if line.starts_with(' ') && line.trim_start().starts_with(OWN_RUNNER) {
            continue;
        }
        let line = line.trim();
        if SUMMARIES.iter().any(|start| line.starts_with(start)) {
            sum.0 += before(line, "passed");
            sum.1 += before(line, "failed") + before(line, "timed out");
        }
    }
    sum
}

/// The number before a word, or 0.
fn before(line: &str, word: &str) -> u64 {
    line.split([',', ';', ':', '.'])
        .filter_map(|part| part.trim().split_once(' '))
        .find(|(_, rest)| rest.split(" (").next() == Some(word))
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

fn step(name: &'static str, run: impl FnOnce() -> Result<(u64, u64), String>) -> Outcome {
    println!("\n==> test: {name}");
    let started = Instant::now();
    let result = run();
    let (passed, failed) = result.as_ref().copied().unwrap_or((0, 0));
    Outcome { step: name, passed, failed, broken: result.err(), took: started.elapsed() }
}

fn conclude(outcomes: &[Outcome]) -> Result<(), String> {
    println!();
    let (mut passed, mut failed) = (0, 0);
    for outcome in outcomes {
        passed += outcome.passed;
        failed += outcome.failed + u64::from(outcome.broken.is_some());
        println!(
            "{:<12} {:>5} passed {:>4} failed {:>7.1} s  {}",
            outcome.step,
            outcome.passed,
            outcome.failed,
            outcome.took.as_secs_f64(),
            outcome.broken.as_deref().unwrap_or_default()
        );
    }
    println!();
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        return Ok(());
    }
    Err("tests failed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summaries_of_all_runners_are_read() {
        for (said, expected) in [
            ("     Summary [   0.021s] 42 tests run: 40 passed (1 slow), 2 failed, 3 skipped", (40, 2)),
            ("Summary [  1s] 3 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped", (1, 2)),
            ("test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out", (7, 0)),
            ("test result: FAILED. 3 passed; 4 failed; 0 ignored; finished in 0.1s", (3, 4)),
            ("conformance: 142 passed, 2 failed, 28 not applicable", (142, 2)),
            ("e2e: 150 passed, 1 failed, 4 not applicable", (150, 1)),
            ("decisions: 147 passed, 1 failed", (147, 1)),
            ("90 passed, said a test that prints", (0, 0)),
            ("    test result: FAILED. 0 passed; 1 failed\n     Summary [ 1s] 2 tests run: 1 passed, 1 failed", (1, 1)),
        ] {
            assert_eq!(counts(said), expected, "{said}");
        }
    }

    #[test]
    fn a_step_that_cannot_run_counts_as_a_failure() {
        let broken = step("setup", || Err("no network".to_owned()));
        assert!(conclude(&[broken]).is_err());
        assert!(conclude(&[step("unit", || Ok((3, 0)))]).is_ok());
        assert!(conclude(&[step("unit", || Ok((3, 1)))]).is_err());
    }
}
