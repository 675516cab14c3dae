//! authorize: the principal must hold the scopes that the route asks for.

use http::header::WWW_AUTHENTICATE;
use tollgate_core::authn::Principal;
use tollgate_core::problem::{Problem, ProblemKind};
use tollgate_core::trace::{Phase, Verdict};

use super::exchange::{Exchange, Journal};

pub(super) fn authorize(
    exchange: &Exchange,
    principal: Option<&Principal>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    let needed = &exchange.route().scopes;
    if needed.is_empty() {
        return Ok(());
    }
    let held = principal.map_or(&[][..], |p| p.scopes.as_slice());
    let missing: Vec<&str> = needed.iter().filter(|scope| !held.contains(scope)).map(String::as_str).collect();
    if missing.is_empty() {
        journal.decisions.note(Phase::Authorize, Verdict::Pass, "holds every scope");
        return Ok(());
    }
    let missing = missing.join(" ");
    journal.decisions.note(Phase::Authorize, Verdict::Refuse, format!("lacks {missing}"));
    let realm = &exchange.site.gateway.name;
    let challenge = format!("ApiKey realm=\"{realm}\", error=\"insufficient_scope\", scope=\"{missing}\"");
    Err(Problem::new(ProblemKind::ScopeMissing, format!("The credential lacks: {missing}. Ask its issuer for it."))
        .with(WWW_AUTHENTICATE, challenge)
        .logged(format!("lacks {missing}")))
}
