//! The first test of an imported project.

use tollgate_config::openapi::{Operation, Spec};
use tollgate_config::{CompiledRoute, FileKind};
use tollgate_core::route::PathTemplate;

use super::access::Access;
use super::decide::Routes;
use super::draft::{SCHEMA_FOLDER, items, quoted};

/// A first test for the routes of operations; none if every path is routed, and no operation can be tried.
pub(super) fn of(spec: &Spec, routes: &Routes<'_>, access: &Access) -> Option<String> {
    let is_guarded = !access.default.is_empty();
    let tried = tried(spec, routes, access);
    let schema = FileKind::Test.schema_file();
    let mut out = format!("{HEAD}\n$schema: ../{SCHEMA_FOLDER}/{schema}\nformat: 1\n");
    if is_guarded {
        let scopes = tried.map(|(_, route)| items(&route.settings.scopes)).unwrap_or_default();
        out.push_str(&format!("consumers:\n  - {{id: acme, keys: [{{name: k1, scopes: [{scopes}]}}]}}\n"));
    }
    out.push_str("cases:\n");
    if let Some((operation, route)) = tried {
        let request = quoted(&format!("GET {}", operation.template().witness()));
        let expected = format!("{{status: 200, operation: {}}}", quoted(&route.settings.id));
        out.push_str("  - name: an operation of the specification is routed\n    steps:\n");
        if is_guarded {
            out.push_str(&format!("      - {{request: {request}, expect: {{status: 401}}}}\n"));
            out.push_str(&format!("      - {{request: {request}, key: k1, expect: {expected}}}\n"));
        } else {
            out.push_str(&format!("      - {{request: {request}, expect: {expected}}}\n"));
        }
    }
    let is_outside = !routes.values().any(|route| matches(&route.settings.path, &OUTSIDE));
    if is_outside {
        out.push_str("  - name: a path outside the specification is not routed\n    steps:\n");
        out.push_str(&format!("      - {{request: GET /{}, expect: {{status: 404}}}}\n", OUTSIDE.join("/")));
    }
    (is_outside || tried.is_some()).then_some(out)
}

/// An operation that one request with one key can try, with few parameters.
fn tried<'a>(spec: &'a Spec, routes: &Routes<'a>, access: &Access) -> Option<(&'a Operation, &'a CompiledRoute)> {
    let all = routes.iter().filter_map(|(place, route)| Some((*place, spec.operations().get(*place)?, *route)));
    let is_tried = |(place, operation, route): &(usize, &Operation, &CompiledRoute)| {
        let settings = &route.settings;
        let has_one_key = match settings.authn.first() {
            Some(together) => together.len() == 1 && access.takes_one_key(*place),
            None => access.default.is_empty(),
        };
        // Callers without a credential are not refused there.
        let is_optional = settings.authn.iter().any(Vec::is_empty);
        // What `x-tollgate` adds may refuse a single request.
        let is_plain = settings.guard.is_empty() && settings.guard_limit.is_empty() && settings.cost.get() == 1;
        operation.method() == "GET" && has_one_key && !is_optional && is_plain
    };
    let best = all.filter(is_tried).min_by_key(|(_, operation, _)| operation.path().matches('{').count());
    best.map(|(_, operation, route)| (operation, route))
}

/// Whether a template without a rest matches a path.
fn matches(template: &PathTemplate, path: &[&str]) -> bool {
    let segments = template.segments();
    segments.len() == path.len() && segments.iter().zip(path).all(|(segment, text)| segment.value_of(text).is_some())
}

/// The segments of a path that no real specification has.
const OUTSIDE: [&str; 4] = ["not", "in", "the", "specification"];

const HEAD: &str = "# Run by `tollgate test`: on the production engine, with a virtual clock and without a network.";
