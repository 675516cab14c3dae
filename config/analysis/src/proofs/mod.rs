//! What is proved of a gateway's routes: over hosts, paths, methods and predicates, with requests to show for it.
//!
//! [`Analysis`] is the gateway as requests meet it: it asks the production router, and where the router's answer to one
//! request is not enough, `cover` decides about all of them. The compiler's findings are in `findings`, `exposure`
//! and `guards`; `invariant` proves what a project asks for itself.

mod budget;
mod conflicts;
mod cover;
mod exposure;
mod findings;
mod glob;
mod guards;
mod invariant;
mod meet;
mod routes;
mod segment;
mod solve;
#[cfg(test)]
mod tests;

pub use invariant::{Counterexample, Proof};
pub use routes::{Analysis, Winning};

use tollgate_config::{Lowered, Report};

/// Reports what is wrong with the routes of a gateway, and what is probably not meant.
pub(crate) fn report(lowered: &Lowered, report: &mut Report) {
    let Lowered { whole, internal_hosts, stated, .. } = lowered;
    findings::conflicts(&whole.routes, report);
    // What follows is about routes of which each has its requests.
    if report.has_errors() {
        return;
    }
    let analysis = Analysis::new(whole, internal_hosts);
    findings::without_host(&whole.routes, report);
    findings::never_winning(&analysis, report);
    exposure::report(&analysis, report);
    guards::report(&analysis, stated, report);
}
