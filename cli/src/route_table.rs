//! The routes of a gateway as a table.

use tollgate_config::{CompiledRoute, Whole};
use tollgate_core::settings::{PolicySettings, RouteSettings};

use crate::terminal;

/// The table, with its head.
pub(crate) fn route_table(whole: &Whole) -> String {
    let mut rows = vec![HEAD.iter().map(|head| (*head).to_owned()).collect()];
    rows.extend(whole.routes.iter().map(|route| row(whole, route)));
    terminal::table(&rows)
}

fn row(whole: &Whole, route: &CompiledRoute) -> Vec<String> {
    let hosts = hosts(route);
    let CompiledRoute { settings: route, .. } = route;
    vec![
        methods(route),
        hosts,
        route.path.to_string(),
        route.id.clone(),
        authn(whole, route),
        or_dash(policies(whole, &route.limit)),
        cache(route),
        upstream(whole, route),
    ]
}

/// The host patterns; of many, the first and how many more there are.
pub(crate) fn hosts(route: &CompiledRoute) -> String {
    match route.hosts.as_slice() {
        [] => String::new(),
        [first] => first.to_string(),
        [first, second] => format!("{first},{second}"),
        [first, rest @ ..] => format!("{first} and {} more", rest.len()),
    }
}

/// The methods, separated by commas.
pub(crate) fn methods(route: &RouteSettings) -> String {
    if route.methods.is_empty() { "*".to_owned() } else { route.methods.join(",") }
}

/// Who may call: policies and scopes.
pub(crate) fn authn(whole: &Whole, route: &RouteSettings) -> String {
    let mut text = match policies(whole, &route.authn) {
        names if names.is_empty() => "public".to_owned(),
        names => names,
    };
    if !route.scopes.is_empty() {
        text.push_str(&format!(" [{}]", route.scopes.join(" ")));
    }
    if route.internal {
        text.push_str(" (internal)");
    }
    text
}

/// The names of policies.
pub(crate) fn policies(whole: &Whole, places: &[usize]) -> String {
    let policies = places.iter().filter_map(|place| whole.policies.get(*place));
    policies.map(|PolicySettings { name, .. }| name.as_str()).collect::<Vec<_>>().join(",")
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

/// Milliseconds as a project writes them.
pub(crate) fn duration(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let whole = UNITS.iter().find(|(unit, _)| ms >= *unit && ms.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{ms}ms"), |(unit, name)| format!("{}{name}", ms / unit))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

const HEAD: [&str; 8] = ["METHODS", "HOST", "PATH", "ROUTE", "AUTHN", "LIMIT", "CACHE", "UPSTREAM"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_project_writes_them() {
        for (ms, text) in
            [(0, "0ms"), (1, "1ms"), (1500, "1500ms"), (30_000, "30s"), (600_000, "10m"), (86_400_000, "1d")]
        {
            assert_eq!(duration(ms), text);
        }
    }
}
