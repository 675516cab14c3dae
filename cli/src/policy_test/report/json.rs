//! The report for programs, with all details.

use serde_json::{Value, json};

use crate::policy_test::coverage::{Covered, Share, Summary};
use crate::policy_test::outcome::{FileRun, Kind, Runs, TestFailure, TestRun};

pub(super) fn json(runs: &Runs) -> Value {
    let mut report = json!({
        "summary": {
            "passed": runs.passed(),
            "failed": runs.failed(),
            "refused_files": runs.refused(),
            "requests": runs.requests(),
            "duration_ms": millis(runs.took),
        },
        "files": runs.files.iter().map(file).collect::<Vec<_>>(),
    });
    if let Some(summary) = &runs.coverage {
        report["coverage"] = coverage(summary);
    }
    report
}

fn file(file: &FileRun) -> Value {
    json!({
        "file": file.name,
        "refused": file.is_refused(),
        "diagnostics": file.found.to_json(),
        "tests": file.tests.iter().map(test).collect::<Vec<_>>(),
    })
}

fn test(test: &TestRun) -> Value {
    json!({
        "name": test.name,
        "kind": match test.kind { Kind::Case => "case", Kind::Invariant => "invariant" },
        "line": test.at.start.line,
        "column": test.at.start.column,
        "passed": test.failure.is_none(),
        "requests": test.requests,
        "duration_ms": millis(test.took),
        "failure": test.failure.as_ref().map(failure),
    })
}

fn failure(failure: &TestFailure) -> Value {
    let mismatches: Vec<Value> = failure
        .mismatches
        .iter()
        .map(|mismatch| {
            json!({
                "what": mismatch.what,
                "line": mismatch.at.start.line,
                "column": mismatch.at.start.column,
                "expected": mismatch.expected,
                "got": mismatch.got,
            })
        })
        .collect();
    json!({
        "step": failure.what,
        "line": failure.at.start.line,
        "column": failure.at.start.column,
        "mismatches": mismatches,
        "decisions": failure.events,
    })
}

fn coverage(summary: &Summary) -> Value {
    let items = |items: &[Covered]| -> Vec<Value> {
        items
            .iter()
            .map(|item| {
                let branches: Vec<Value> =
                    item.branches.iter().map(|(name, reached)| json!({"branch": name, "reached": reached})).collect();
                json!({"name": item.name, "what": item.what, "reached": item.is_reached(), "branches": branches})
            })
            .collect()
    };
    json!({
        "routes": share(summary.route_share()),
        "policies": share(summary.policy_share()),
        "branches": share(summary.branch_share()),
        "by_route": items(&summary.routes),
        "by_policy": items(&summary.policies),
    })
}

fn share(share: Share) -> Value {
    json!({"reached": share.reached, "of": share.of, "percent": share.percent()})
}

fn millis(duration: std::time::Duration) -> f64 {
    // Microseconds are precise enough, with few digits.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
