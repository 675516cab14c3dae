//! The results of running tests.

use std::time::Duration;

use tollgate_config::policy_tests::TestFile;
use tollgate_config::{Diagnostics, Span};
use tollgate_core::event::Events;

use super::coverage::Summary;

/// All results.
pub(crate) struct Runs {
    pub(crate) files: Vec<FileRun>,
    /// The coverage, if it was requested.
    pub(crate) coverage: Option<Summary>,
    pub(crate) took: Duration,
}

/// The result of one file.
pub(crate) struct FileRun {
    pub(super) name: String,
    /// Its errors, if it has some: its tests were not run then. Otherwise its warnings.
    pub(super) found: Diagnostics,
    pub(super) tests: Vec<TestRun>,
    /// The file, for reports that quote it.
    pub(super) file: Option<TestFile>,
}

/// The kind of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Case,
    Invariant,
}

/// The result of one test.
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
    /// The position of the step or the invariant.
    pub(super) at: Span,
    /// The action, such as `step 3, GET /pets, the 11th of 12`.
    pub(super) what: String,
    /// The differences.
    pub(super) mismatches: Vec<Mismatch>,
    /// The events of the request that failed.
    pub(super) events: Option<Events>,
}

/// One difference between expectation and result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// The property, such as `status` or `upstream.headers.x-a`.
    pub(super) what: String,
    /// The position of the expectation.
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
    /// Whether anything failed, including files that could not be read.
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

    /// The number of files with mistakes.
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
