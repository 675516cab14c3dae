//! The routes of a gateway as a table.

use tollgate_config::{CompiledRoute, Whole};
use tollgate_core::kinds::{AuthnPolicy, Place, SlotPolicy};
use tollgate_core::route::{Predicate, Subject, Test};
use tollgate_core::settings::RouteSettings;

use crate::terminal;

/// The table of the given routes with its header; `wide` adds columns.
pub(crate) fn route_table(whole: &Whole, routes: &[&CompiledRoute], wide: bool) -> String {
    // Most gateways have no guards, and the table is wide enough.
    let is_guarded = routes.iter().any(|route| route.settings.is_guarded());
    let head = HEAD.iter().filter(|head| is_guarded || **head != GUARD).chain(WIDE.iter().filter(|_| wide));
    let mut rows = vec![head.map(|head| (*head).to_owned()).collect()];
    rows.extend(routes.iter().map(|route| {
        let mut row = row(whole, route, is_guarded);
        if wide {
            row.extend(more(&route.settings));
        }
        row
    }));
    terminal::table(&rows)
}

fn row(whole: &Whole, route: &CompiledRoute, is_guarded: bool) -> Vec<String> {
    let hosts = hosts(route);
    let CompiledRoute { settings: route, .. } = route;
    let mut row = vec![route.methods.to_string(), hosts, route.path.to_string(), route.id.clone()];
    if is_guarded {
        row.push(or_dash(guards(whole, route).join(",")));
    }
    row.extend([authn(whole, route), or_dash(policies(whole, &route.limit)), cache(route), upstream(whole, route)]);
    row
}

/// The additional columns of a wide table.
fn more(route: &RouteSettings) -> [String; 4] {
    let when = route.when.iter().map(|Predicate { of, test }| match of {
        Subject::Header(name) => format!("{name}: {}", condition(test)),
        Subject::Query(name) => format!("?{name}: {}", condition(test)),
    });
    [
        route.timeout_ms.map_or_else(|| "none".to_owned(), duration),
        format!("{}", route.content_bytes_max),
        route.cost.to_string(),
        or_dash(when.collect::<Vec<_>>().join(", ")),
    ]
}

/// The values of a condition, or that any value or none is meant.
fn condition(test: &Test) -> String {
    match test {
        Test::OneOf(values) => values.join("|"),
        Test::Present => "present".to_owned(),
        Test::Absent => "absent".to_owned(),
    }
}

/// The host patterns; if there are many, the first one and the number of the others.
pub(crate) fn hosts(route: &CompiledRoute) -> String {
    match route.hosts.as_slice() {
        [] => String::new(),
        [first] => first.to_string(),
        [first, second] => format!("{first},{second}"),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// The policies that run before the caller is authenticated, in the order in which they do.
pub(crate) fn guards<'w>(whole: &'w Whole, route: &RouteSettings) -> Vec<&'w str> {
    [names(whole, &route.guard), names(whole, &route.guard_limit)].concat()
}

/// Who may call: policies, scopes, and policies that authorize.
pub(crate) fn authn(whole: &Whole, route: &RouteSettings) -> String {
    // Policies that must all let a caller in are in parentheses where there are other ways.
    let all = |places: &Vec<Place<AuthnPolicy>>| match names(whole, places).as_slice() {
        [] => "anonymous".to_owned(),
        several @ [_, _, ..] if route.authn.len() > 1 => format!("({})", several.join("+")),
        names => names.join("+"),
    };
    let alternatives: Vec<String> = route.authn.iter().map(all).collect();
    let mut text = if alternatives.is_empty() { "public".to_owned() } else { alternatives.join(",") };
    if route.requires_scopes() {
        let sets: Vec<String> = route.accepted_scopes().iter().map(|set| set.join(" ")).collect();
        text.push_str(&format!(" [{}]", sets.join(" | ")));
    }
    if !route.authz.is_empty() {
        text.push_str(&format!(" ({})", names(whole, &route.authz).join("+")));
    }
    if route.internal {
        text.push_str(" (internal)");
    }
    text
}

/// The names of policies.
pub(crate) fn policies<P: SlotPolicy>(whole: &Whole, places: &[Place<P>]) -> String {
    names(whole, places).join(",")
}

pub(crate) fn names<'w, P: SlotPolicy>(whole: &'w Whole, places: &[Place<P>]) -> Vec<&'w str> {
    places.iter().filter_map(|place| Some(whole.policies.get(*place)?.name.as_str())).collect()
}

/// How the route is cached.
pub(crate) fn cache(route: &RouteSettings) -> String {
    match &route.cache {
        None => "-".to_owned(),
        Some(cache) => cache.ttl_ms.map_or_else(|| "by upstream".to_owned(), duration),
    }
}

/// The upstream's URL.
pub(crate) fn upstream(whole: &Whole, route: &RouteSettings) -> String {
    whole.upstreams.get(route.upstream).map_or_else(String::new, |upstream| upstream.url.to_string())
}

/// Milliseconds in the notation of a project file.
pub(crate) fn duration(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let whole = UNITS.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

const WIDE: [&str; 4] = ["TIMEOUT", "BODY-LIMIT", "COST", "WHEN"];

const GUARD: &str = "GUARD";

const HEAD: [&str; 9] = ["METHODS", "HOST", "PATH", "ROUTE", GUARD, "AUTHN", "LIMIT", "CACHE", "UPSTREAM"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_the_notation_of_a_project() {
        for (ms, text) in
            [(0, "0ms"), (1, "1ms"), (1500, "1500ms"), (30_000, "30s"), (600_000, "10m"), (86_400_000, "1d")]
        {
            assert_eq!(duration(ms), text);
        }
    }
}
