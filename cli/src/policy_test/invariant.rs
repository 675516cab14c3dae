//! The results of invariants: proved by the compiler's analysis, or refuted with a request.

use std::time::Instant;

use tollgate_analysis::proofs::{Analysis, Counterexample, Proof};
use tollgate_config::Compiled;
use tollgate_config::policy_tests::Invariant;

use super::outcome::{Kind, Mismatch, TestFailure, TestRun};

/// Proves an invariant of the gateway.
pub(super) fn prove(analysis: &Analysis<'_>, compiled: &Compiled, invariant: &Invariant) -> TestRun {
    let started = Instant::now();
    let (what, mismatches) = match analysis.prove(invariant) {
        Proof::Holds { .. } => (String::new(), Vec::new()),
        Proof::Vacuous => ("it selects no route".to_owned(), vec![nothing_selected(invariant)]),
        Proof::Refuted { routes, counterexamples } => {
            let mut broken: Vec<usize> = counterexamples.iter().map(|c| c.route).collect();
            broken.dedup();
            let what = format!("{} of {routes} routes violate it", broken.len());
            let shown = counterexamples.iter().take(SHOWN_MAX);
            (what, shown.map(|c| mismatch(compiled, invariant, c)).collect())
        }
    };
    let failure =
        (!mismatches.is_empty()).then_some(TestFailure { at: invariant.span, what, mismatches, events: None });
    TestRun {
        name: invariant.title(),
        kind: Kind::Invariant,
        at: invariant.span,
        took: started.elapsed(),
        requests: 0,
        failure,
    }
}

fn nothing_selected(invariant: &Invariant) -> Mismatch {
    Mismatch {
        what: "routes".to_owned(),
        at: invariant.span,
        expected: "at least one selected route".to_owned(),
        got: "none, so nothing is proved; write `may-be-empty: true` if that is intended".to_owned(),
    }
}

fn mismatch(compiled: &Compiled, invariant: &Invariant, counterexample: &Counterexample) -> Mismatch {
    let requirement = counterexample.requirement.title();
    let (expected, got) =
        if counterexample.wanted { (requirement, "missing") } else { (format!("no {requirement}"), "present") };
    let request = counterexample.witness.as_ref().map(|witness| format!(": {}", witness.curl())).unwrap_or_default();
    let route = compiled.routes().get(counterexample.route).map_or("", |route| route.settings.id.as_str());
    Mismatch { what: format!("`{route}`"), at: invariant.span, expected, got: format!("{got}{request}") }
}

/// The number of counterexamples that are shown: more add no information.
const SHOWN_MAX: usize = 5;
