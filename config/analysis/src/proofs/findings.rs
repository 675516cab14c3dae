//! What is said of conflicts, of routes that can never win, and of those that answer nowhere.

use std::collections::HashSet;

use tollgate_config::{Code, CompiledRoute, Diagnostic, Report, Span};

use super::conflicts::{Claim, TooManyTies, conflicts as find};
use super::routes::{Analysis, Winning};

/// Reports routes of which two could both win a request.
pub(super) fn conflicts(routes: &[CompiledRoute], report: &mut Report) {
    let claimed: Vec<(&CompiledRoute, Claim<'_>)> = routes.iter().flat_map(claims).collect();
    let of_all: Vec<Claim<'_>> = claimed.iter().map(|(_, claim)| *claim).collect();
    let found = find(&of_all).unwrap_or_else(|TooManyTies { example }| {
        let at = claimed.get(example).map(|(route, _)| route.span);
        at.into_iter().for_each(|at| report_too_many_ties(at, report));
        Vec::new()
    });
    let mut told = HashSet::new();
    for conflict in found {
        let (first, second) = (claimed[conflict.first].0, claimed[conflict.second].0);
        // Reported at the one that stands later, whatever the order in which they were compared.
        let (first, second) = if first.span <= second.span { (first, second) } else { (second, first) };
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
        let claim = Claim { host, path: &settings.path, methods: &settings.methods, when: &settings.when };
        (route, claim)
    })
}

fn report_too_many_ties(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, at, "too many paths differ only in parameters with as much fixed text")
            .why("whether two of them could win one request takes too long to find out")
            .fix("put a segment without parameters before the one that differs"),
    );
}

/// Reports internal routes that no host serves; other routes always have one.
pub(super) fn without_host(routes: &[CompiledRoute], report: &mut Report) {
    let mut told = HashSet::new();
    for route in routes.iter().filter(|route| route.hosts.is_empty()) {
        let api = &route.settings.api;
        // They have the same reason.
        if !told.insert(api) {
            continue;
        }
        let count = routes.iter().filter(|other| other.hosts.is_empty() && other.settings.api == *api).take(2).count();
        let others = if count > 1 { ", and so do others of its API" } else { "" };
        report.push(
            Diagnostic::warning(
                Code::NoHost,
                route.span,
                format!("`{}` answers on no host{others}", route.settings.id),
            )
            .why("it is internal, and there are no internal hosts for it: nobody can reach it")
            .fix("add `internal-hosts: [ops.internal]` to the gateway, or remove the route"),
        );
    }
}

/// Reports routes all of whose requests go to others.
pub(super) fn never_winning(analysis: &Analysis<'_>, report: &mut Report) {
    for (place, route) in analysis.whole.routes.iter().enumerate() {
        if route.hosts.is_empty() {
            continue;
        }
        let Winning::Never(witness, winner) = analysis.winning(place) else { continue };
        let winner = &analysis.whole.routes[winner];
        report.push(
            Diagnostic::warning(
                Code::NeverWins,
                route.span,
                format!("`{}` can never win a request", route.settings.id),
            )
            .why(format!("more specific routes take all of them; `{}` takes {}", winner.settings.id, witness.curl()))
            .fix("remove it, or widen its path, methods, hosts or `when`")
            .related(winner.span, "this one takes that request"),
        );
    }
}
