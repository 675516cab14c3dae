//! What is said about routes that can be read but should not be left as they are.

use std::collections::HashSet;

use super::merge::Effective;
use crate::analysis::conflicts::{Claim, TooManyTies, conflicts};
use crate::compile::CompiledRoute;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::api::Route;
use crate::model::decode::listed;
use crate::source::{Span, Spanned};

/// A route that nothing says about who may call it.
pub(super) struct Public {
    pub(super) what: String,
    pub(super) span: Span,
}

/// What a reader of the route would not expect.
pub(super) fn remarks(route: &Route, effective: &Effective<'_>, report: &mut Report) {
    if let (Some(scope), true) = (route.scopes.first(), effective.authn.items.is_empty()) {
        report.push(
            Diagnostic::error(Code::ScopesWithoutAuthn, scope.span, "scopes are asked for, but no credential")
                .why("a caller without a credential has no scopes, so every request would be refused")
                .fix("add `authn:` to the route or its API, or remove `scopes:`"),
        );
    }
    if let (Some(cost), true) = (&route.cost, effective.limit.items.is_empty()) {
        report.push(
            Diagnostic::warning(Code::CostWithoutLimit, cost.span, "`cost` does nothing without a limit")
                .why("it says how much one request takes from the limits in force")
                .fix("add `limit:` to the route or its API, or remove `cost:`"),
        );
    }
    if let Some((span, inherited)) = &effective.authn.widened {
        let names = listed(inherited.iter().map(|name| name.value.as_str()));
        report.push(
            Diagnostic::warning(Code::AuthnWidened, *span, format!("{names} of a higher level is accepted here too"))
                .why("lists append, so this one adds ways to be let in and takes none away")
                .fix("write `{replace: true, any: [...]}` to accept only these, `{replace: false, any: [...]}` if adding is meant")
                .related(inherited.first().map_or(*span, |name| name.span), "accepted since here"),
        );
    }
}

pub(super) fn report_public(api: &Spanned<String>, public: &[Public], report: &mut Report) {
    let Some(first) = public.first() else { return };
    let what = match public {
        [only] => format!("route `{}` of API `{}` is public", only.what, api.value),
        many => format!("{} routes of API `{}` are public", many.len(), api.value),
    };
    let mut diagnostic = Diagnostic::warning(Code::PublicRoute, first.span, what)
        .why("nothing says who may call them: everybody may")
        .fix("name a policy in `authn:`, or write `authn: none` if everybody may");
    for other in public.iter().skip(1).take(RELATED_MAX) {
        diagnostic = diagnostic.related(other.span, "this one too");
    }
    report.push(diagnostic);
}

pub(super) fn report_empty(api: &Spanned<String>, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::EmptyApi, api.span, format!("API `{}` has no routes", api.value))
            .why("what is not routed is denied, so it answers nothing")
            .fix("add `routes:`, or remove the API"),
    );
}

pub(super) fn report_conflicts(routes: &[CompiledRoute], report: &mut Report) {
    let claimed: Vec<(&CompiledRoute, Claim<'_>)> = routes.iter().flat_map(claims).collect();
    let of_all: Vec<Claim<'_>> = claimed.iter().map(|(_, claim)| *claim).collect();
    let found = conflicts(&of_all).unwrap_or_else(|TooManyTies { example }| {
        let at = claimed.get(example).map(|(route, _)| route.span);
        at.into_iter().for_each(|at| report_too_many_ties(at, report));
        Vec::new()
    });
    let mut told = HashSet::new();
    for conflict in found {
        let (first, second) = (claimed[conflict.first].0, claimed[conflict.second].0);
        // Two routes that answer on several hosts are in conflict on each of them; one will do.
        if !told.insert(second.span) {
            continue;
        }
        report.push(
            Diagnostic::error(
                Code::RouteConflict,
                second.span,
                format!("two routes could both win `{}`", conflict.witness),
            )
            .why(format!(
                "neither is more specific, and the order in the file does not count: {}",
                conflict.witness.curl()
            ))
            .fix("change a host, a path, a method or `when` so that every request has one most specific route")
            .related(first.span, "the other route"),
        );
    }
}

/// What a route lays claim to, on each of its hosts.
fn claims(route: &CompiledRoute) -> impl Iterator<Item = (&CompiledRoute, Claim<'_>)> {
    let CompiledRoute { hosts, settings, .. } = route;
    hosts.iter().map(move |host| {
        (route, Claim { host, path: &settings.path, methods: &settings.methods, when: &settings.when })
    })
}

fn report_too_many_ties(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, at, "too many paths differ only in parameters with as much fixed text")
            .why("whether two of them could win one request takes too long to find out")
            .fix("put a segment without parameters before the one that differs"),
    );
}

/// Other places shown with one finding.
const RELATED_MAX: usize = 3;
