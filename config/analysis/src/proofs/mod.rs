//! Proofs about the routes of a gateway, over hosts, paths, methods and predicates, with example requests.
//!
//! [`Analysis`] routes example requests by the production router. Where examples are not sufficient, `cover` decides about
//! all requests. The findings of the compiler are in `findings`, `exposure` and `guards`; `invariant` proves the invariants
//! of a project.

mod answers;
mod budget;
mod conflicts;
mod cover;
mod exposure;
mod findings;
mod glob;
mod guards;
mod index;
mod invariant;
mod meet;
mod routes;
mod segment;
mod solve;
#[cfg(test)]
mod tests;

pub use invariant::{Counterexample, Proof};
pub use routes::{Analysis, Reachability};

use tollgate_config::{Lowered, Report};

/// Reports errors and warnings about the routes of a gateway.
pub(crate) fn report(lowered: &Lowered, report: &mut Report) {
    let Lowered { whole, internal_hosts, stated, guarded, .. } = lowered;
    findings::conflicts(&whole.routes, report);
    // The following checks require that there are no conflicts.
    if report.has_errors() {
        return;
    }
    let analysis = Analysis::new(whole, internal_hosts);
    findings::without_host(&whole.routes, report);
    findings::reserved(&whole.routes, report);
    findings::answered_by_logins(whole, report);
    findings::never_selected(&analysis, report);
    exposure::report(&analysis, report);
    guards::report(&analysis, stated, report);
    answers::report(&analysis, guarded, report);
}
