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
mod witness;

use tollgate_core::route::HostPattern;

pub use invariant::{Counterexample, Proof};
pub use routes::{Analysis, Winning};
pub use witness::Witness;

use crate::compile::Whole;
use crate::diagnostic::Report;

/// What the levels say about a route that its settings do not tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    /// Whether any level says who may call it.
    pub(crate) authn: bool,
    /// Whether its API or itself does.
    pub(crate) authn_here: bool,
    /// Whether its API or itself says which limits hold.
    pub(crate) limit_here: bool,
}

/// Reports what is wrong with the routes of a gateway, and what is probably not meant; `said` is by route.
pub(crate) fn report(whole: &Whole, internal_hosts: &[HostPattern], said: &[Said], report: &mut Report) {
    findings::conflicts(&whole.routes, report);
    // What follows is about routes of which each has its requests.
    if report.has_errors() {
        return;
    }
    let analysis = Analysis::new(whole, internal_hosts);
    findings::without_host(&whole.routes, report);
    findings::never_winning(&analysis, report);
    exposure::report(&analysis, report);
    guards::report(&analysis, said, report);
}
