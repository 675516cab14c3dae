//! Policy tests: cases of `tests/*.test.yaml`, run through the production pipeline on ports in memory.
//!
//! Decisions are made by the pipeline, not here. [`stage`] sets up a gateway for a file, [`case`] runs the steps of one
//! case on it, [`judge`] compares answers with expectations, [`coverage`] reads from the decision traces what was
//! reached, and `report/` formats the results. Where to start: [`run`].

mod browser;
mod case;
mod coverage;
mod entitle;
mod invariant;
mod issuer;
mod judge;
mod notice;
mod outage;
mod outcome;
mod people;
mod proof;
mod report;
mod request;
mod script;
mod shown;
mod sign;
mod stage;

use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use coverage::Coverage;
use outcome::{FileRun, TestRun};
use stage::Stage;
use tollgate_analysis::proofs::Analysis;
use tollgate_config::policy_tests::{Case, Loaded, TestFile, load_dir};
use tollgate_config::{Compiled, Diagnostics};

use crate::failure::Failure;
use crate::terminal::Progress;

pub(crate) use outcome::Runs;
pub(crate) use report::{Form, list, render};

/// The tests to run.
pub(crate) struct Plan<'p> {
    /// The project's folder.
    pub(crate) folder: &'p Path,
    /// Words of which a test's name or file contains at least one; none selects all tests.
    pub(crate) words: &'p [String],
    /// Whether to collect coverage.
    pub(crate) coverage: bool,
}

/// Compiles the project for the environment that a file names; a failure ends the run, mistakes only skip the file.
pub(crate) type Compile<'c> = &'c mut dyn FnMut(Option<&str>) -> Result<Result<Rc<Compiled>, Diagnostics>, Failure>;

/// Runs the tests of a project.
pub(crate) fn run(plan: &Plan<'_>, compile: Compile<'_>) -> Result<Runs, Failure> {
    let started = Instant::now();
    let mut coverage = plan.coverage.then(Coverage::default);
    let mut files = Vec::new();
    for Loaded { name, file } in load_dir(plan.folder) {
        let file = match file {
            Ok(file) => file,
            Err(found) => {
                files.push(FileRun::refused(name, found));
                continue;
            }
        };
        if !has_wanted(plan, &file) {
            continue;
        }
        match compile(file.env.as_ref().map(|env| env.value.as_str()))? {
            Ok(compiled) => {
                if let Some(coverage) = &mut coverage {
                    coverage.enumerate(&compiled);
                }
                let _progress = Progress::of("testing");
                files.push(run_file(file, &compiled, plan, coverage.as_mut()));
            }
            Err(found) => files.push(FileRun::refused(name, found)),
        }
    }
    Ok(Runs { files, coverage: coverage.map(Coverage::summed), took: started.elapsed() })
}

fn run_file(file: TestFile, compiled: &Compiled, plan: &Plan<'_>, mut coverage: Option<&mut Coverage>) -> FileRun {
    let unknown = file.check(compiled);
    if unknown.has_errors() {
        return FileRun::refused(file.name, unknown);
    }
    let wanted = |name: &str| is_wanted(plan.words, &file.name, name);
    let stage = Stage::new(compiled, &file);
    let cases: Vec<&Case> = file.cases.iter().filter(|case| wanted(&case.name.value)).collect();
    let mut tests: Vec<TestRun> =
        cases.into_iter().map(|case| case::run(&stage, case, coverage.as_deref_mut())).collect();
    let invariants = file.invariants.iter().filter(|invariant| wanted(&invariant.title()));
    let analysis = OnceCell::new();
    let proved = invariants.map(|invariant| {
        let of_gateway = || Analysis::new(compiled.whole(), &compiled.settings().internal_hosts);
        invariant::prove(analysis.get_or_init(of_gateway), compiled, invariant)
    });
    tests.extend(proved);
    FileRun::of(file, tests)
}

fn has_wanted(plan: &Plan<'_>, file: &TestFile) -> bool {
    let cases = file.cases.iter().map(|case| case.name.value.clone());
    let mut names = cases.chain(file.invariants.iter().map(|invariant| invariant.title()));
    names.any(|name| is_wanted(plan.words, &file.name, &name))
}

/// Whether a test is selected.
fn is_wanted(words: &[String], file: &str, name: &str) -> bool {
    words.is_empty() || words.iter().any(|word| name.contains(word.as_str()) || file.contains(word.as_str()))
}
