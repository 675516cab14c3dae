//! Reports conflicts, routes that can never be selected, and routes without a host.

use std::collections::HashSet;

use tollgate_config::{Code, CompiledRoute, Diagnostic, Report, Span, Whole};
use tollgate_core::operator::Prefix;
use tollgate_core::route::{CanonicalPath, PathTemplate, Segment};

use super::conflicts::{Candidate, TooManyTies, conflicts as find};
use super::routes::{Analysis, Reachability};

/// Reports pairs of routes that match the same request with equal precedence.
pub(super) fn conflicts(routes: &[CompiledRoute], report: &mut Report) {
    let all: Vec<(&CompiledRoute, Candidate<'_>)> = routes.iter().flat_map(candidates).collect();
    let of_all: Vec<Candidate<'_>> = all.iter().map(|(_, candidate)| *candidate).collect();
    let found = find(&of_all).unwrap_or_else(|TooManyTies { example }| {
        let at = all.get(example).map(|(route, _)| route.span);
        at.into_iter().for_each(|at| report_too_many_ties(at, report));
        Vec::new()
    });
    let mut reported = HashSet::new();
    for conflict in found {
        let (first, second) = (all[conflict.first].0, all[conflict.second].0);
        // Reported at the later one in the file, regardless of the order of comparison.
        let (first, second) = if first.span <= second.span { (first, second) } else { (second, first) };
        // Two routes on several hosts are in conflict on each of them, but are reported once.
        if !reported.insert(second.span) {
            continue;
        }
        report.push(
            Diagnostic::error(
                Code::RouteConflict,
                second.span,
                format!("two routes match `{}` with equal precedence", conflict.witness),
            )
            .why(format!(
                "neither is more specific, and the order in the file has no effect: {}",
                conflict.witness.curl()
            ))
            .fix("change the hosts, path, methods or `when` of a route so that every request has one most specific route")
            .related(first.span, "the other route"),
        );
    }
}

/// The candidates of a route, one for each of its hosts.
fn candidates(route: &CompiledRoute) -> impl Iterator<Item = (&CompiledRoute, Candidate<'_>)> {
    let CompiledRoute { hosts, settings, .. } = route;
    hosts.iter().map(move |host| {
        let candidate = Candidate { host, path: &settings.path, methods: &settings.methods, when: &settings.when };
        (route, candidate)
    })
}

fn report_too_many_ties(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::error(Code::TooMany, at, "too many paths differ only in parameters with equal fixed text")
            .why("it takes too long to find out whether two of them match the same request")
            .fix("add a segment without parameters before the segment that differs"),
    );
}

/// Reports internal routes without a host; other routes always have one.
pub(super) fn without_host(routes: &[CompiledRoute], report: &mut Report) {
    let mut reported = HashSet::new();
    for route in routes.iter().filter(|route| route.hosts.is_empty()) {
        let api = &route.settings.api;
        // All routes of an API have the same reason.
        if !reported.insert(api) {
            continue;
        }
        let count = routes.iter().filter(|other| other.hosts.is_empty() && other.settings.api == *api).take(2).count();
        let others = if count > 1 { ", like other routes of its API" } else { "" };
        report.push(
            Diagnostic::warning(
                Code::NoHost,
                route.span,
                format!("`{}` is served on no host{others}", route.settings.id),
            )
            .why("the route is internal, and its API has no internal hosts, so no request can reach it")
            .fix("add `internal-hosts: [ops.internal]` to the gateway, or remove the route"),
        );
    }
}

/// Reports routes below the default path of the operator endpoint, which are not routed.
pub(super) fn reserved(routes: &[CompiledRoute], report: &mut Report) {
    let prefix = Prefix::default();
    for route in routes.iter().filter(|route| prefix.below(&route.settings.path.to_string()).is_some()) {
        report.push(
            Diagnostic::warning(Code::NeverWins, route.span, format!("`{}` can never be selected", route.settings.id))
                .why(format!("paths below `{prefix}` belong to the operator endpoint and are not routed"))
                .fix("choose another path"),
        );
    }
}

/// Reports routes below the path of a policy for logins that match what the policy answers itself.
pub(super) fn answered_by_logins(whole: &Whole, report: &mut Report) {
    let logins = || whole.policies.authn.iter().filter_map(|named| Some((&named.name, named.policy.login()?)));
    for (name, login) in logins() {
        let above = login.path.matches('/').count();
        for route in &whole.routes {
            let mut own = login.own_paths().filter(|own| is_below(&route.settings.path, above, own));
            let Some(first) = own.next() else { continue };
            let paths = own.fold(format!("`{first}`"), |all, other| format!("{all} and `{other}`"));
            report.push(
                Diagnostic::warning(
                    Code::AnsweredByLogin,
                    route.span,
                    format!("`{}` gets no request for {paths}", route.settings.id),
                )
                .why(format!("the policy `{name}` answers these paths itself on every host, before routes"))
                .fix("choose another path for the route, or another `path` in the policy"),
            );
        }
    }
}

/// Whether a template matches a path, and has the same text in so many segments: it is for this place of the tree, and not for all
/// paths.
fn is_below(template: &PathTemplate, above: usize, path: &str) -> bool {
    let Ok(path) = CanonicalPath::parse(path.as_bytes()) else { return false };
    let mut segments = path.segments();
    for (at, expected) in template.segments().iter().enumerate() {
        let Some((text, rest)) = segments.split_first() else { return false };
        segments = rest;
        let matches = match expected {
            Segment::Literal(literal) => literal == text,
            Segment::Parameter { prefix, of, suffix, .. } => {
                let value = text.strip_prefix(prefix.as_str()).and_then(|text| text.strip_suffix(suffix.as_str()));
                at >= above && value.is_some_and(|value| of.takes(value))
            }
            Segment::Rest { .. } => return at >= above,
        };
        if !matches {
            return false;
        }
    }
    segments.split_first().is_none()
}

/// Reports routes whose requests are all served by other routes.
pub(super) fn never_selected(analysis: &Analysis<'_>, report: &mut Report) {
    for (place, route) in analysis.whole.routes.iter().enumerate() {
        if route.hosts.is_empty() {
            continue;
        }
        let Reachability::Shadowed(witness, selected) = analysis.reachability(place) else { continue };
        let selected = &analysis.whole.routes[selected];
        report.push(
            Diagnostic::warning(Code::NeverWins, route.span, format!("`{}` can never be selected", route.settings.id))
                .why(format!(
                    "more specific routes serve all of its requests; for example, `{}` serves: {}",
                    selected.settings.id,
                    witness.curl()
                ))
                .fix("remove the route, or extend its path, methods, hosts or `when`")
                .related(selected.span, "this route serves that request"),
        );
    }
}
