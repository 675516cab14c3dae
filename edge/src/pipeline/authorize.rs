//! authorize: the principal must have the scopes that the route requires, and every policy of the slot must authorize the
//! request.

use http::header::WWW_AUTHENTICATE;
use tollgate_core::authn::Principal;
use tollgate_core::authz::Checked;
use tollgate_core::event::{Phase, Reason, Verdict};
use tollgate_core::kinds::Named;
use tollgate_core::problem::{Problem, ProblemKind};

use super::challenges::challenge_with;
use super::exchange::{Exchange, Journal};
use super::external::ask;
use crate::apart::rare;
use crate::isolate::Isolate;
use crate::ports::Host;

pub(super) async fn authorize<H: Host>(
    isolate: &Isolate,
    host: &H,
    exchange: &Exchange,
    principal: Option<&Principal>,
    journal: &mut Journal,
) -> Result<(), Problem> {
    check_scopes(exchange, principal, journal)?;
    let route = exchange.route();
    if route.authz.is_empty() {
        return Ok(());
    }
    let request = exchange.facts(principal, journal.started);
    for place in &route.authz {
        let Named { name, policy } = exchange.policy(*place);
        let decided = match policy.check(&request) {
            Ok(Checked::Authorized) => Ok(Reason::Authorized),
            Ok(Checked::Ask(asked)) => rare(ask(isolate, host, name, asked)).await,
            Err(problem) => Err(problem),
        };
        match decided {
            Ok(reason) => journal.note_policy(Phase::Authorize, name, Verdict::Pass, reason),
            Err(problem) => return Err(journal.refused(Phase::Authorize, problem.by(name.clone()))),
        }
    }
    Ok(())
}

fn check_scopes(exchange: &Exchange, principal: Option<&Principal>, journal: &mut Journal) -> Result<(), Problem> {
    let route = exchange.route();
    if !route.requires_scopes() {
        return Ok(());
    }
    let missing = route.missing_scopes(principal.map_or(&[][..], |p| p.scopes.as_slice()));
    if missing.is_empty() {
        journal.note(Phase::Authorize, Verdict::Pass, Reason::ScopesHeld);
        return Ok(());
    }
    // The client asks its issuer, which may have other names for them.
    let by = journal.events.authenticator().and_then(|name| exchange.authenticators().find(|own| own.name == *name));
    let named = |scope: &&str| by.map_or(*scope, |by| by.policy.scope_in_credential(scope)).to_owned();
    let asked = missing.iter().map(named).collect::<Vec<_>>().join(" ");
    let challenge = challenge_with(&format!("error=\"insufficient_scope\", scope=\"{asked}\""), exchange);
    let detail = format!("The credential lacks: {asked}. Ask its issuer for it.");
    let reason = Reason::ScopesMissing { scopes: missing.join(" ").into() };
    let problem = Problem::new(ProblemKind::ScopeMissing, detail, reason);
    let problem = match challenge {
        Some(challenge) => problem.with(WWW_AUTHENTICATE, challenge),
        None => problem,
    };
    Err(journal.refused(Phase::Authorize, problem))
}
