//! What running tests came to.

use std::time::Duration;

use tollgate_config::policy_tests::TestFile;
use tollgate_config::{Diagnostics, Span};
use tollgate_core::trace::DecisionTrace;

use super::coverage::Summary;

/// All of it.
pub(crate) struct Runs {
    pub(crate) files: Vec<FileRun>,
    /// What was reached, where that was asked for.
    pub(crate) coverage: Option<Summary>,
    pub(crate) took: Duration,
}

/// What one file came to.
pub(crate) struct FileRun {
    pub(super) name: String,
    /// Its mistakes, where it has some: nothing of it was run then. Else what is probably not meant.
    pub(super) found: Diagnostics,
    pub(super) tests: Vec<TestRun>,
    /// The file, for reports that quote it.
    pub(super) file: Option<TestFile>,
}

/// What one test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Case,
    Invariant,
}

/// What one test came to.
#[derive(Debug)]
pub(super) struct TestRun {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) at: Span,
    pub(super) took: Duration,
    pub(super) requests: u64,
    /// Why it failed, if it did.
    pub(super) failure: Option<TestFailure>,
}

/// Why a test failed.
#[derive(Debug)]
pub(super) struct TestFailure {
    /// Where the step stands, or the invariant.
    pub(super) at: Span,
    /// What was done, such as `step 3, GET /pets, the 11th of 12`.
    pub(super) what: String,
    /// What was not as expected.
    pub(super) mismatches: Vec<Mismatch>,
    /// The decisions of the request that it is about.
    pub(super) decisions: Option<DecisionTrace>,
}

/// One thing that is not as it was expected.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// What, such as `status` or `upstream.headers.x-a`.
    pub(super) what: String,
    /// Where the expectation stands.
    pub(super) at: Span,
    pub(super) expected: String,
    pub(super) got: String,
}

impl FileRun {
    pub(super) fn refused(name: String, found: Diagnostics) -> Self {
        Self { name, found, tests: Vec::new(), file: None }
    }

    pub(super) fn of(file: TestFile, tests: Vec<TestRun>) -> Self {
        Self { name: file.name.clone(), found: file.warnings.clone(), tests, file: Some(file) }
    }

    pub(super) fn is_refused(&self) -> bool {
        self.found.has_errors()
    }
}

impl Runs {
    /// Whether anything failed, a file that could not be read included.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed() > 0 || self.refused() > 0
    }

    pub(super) fn tests(&self) -> impl Iterator<Item = &TestRun> {
        self.files.iter().flat_map(|file| &file.tests)
    }

    pub(super) fn passed(&self) -> usize {
        self.tests().filter(|test| test.failure.is_none()).count()
    }

    pub(super) fn failed(&self) -> usize {
        self.tests().filter(|test| test.failure.is_some()).count()
    }

    /// Files that have mistakes.
    pub(super) fn refused(&self) -> usize {
        self.files.iter().filter(|file| file.is_refused()).count()
    }

    pub(super) fn requests(&self) -> u64 {
        self.tests().map(|test| test.requests).sum()
    }

    /// Whether there was nothing to run.
    pub(crate) fn is_empty(&self) -> bool {
        self.refused() == 0 && self.tests().next().is_none()
    }
}
