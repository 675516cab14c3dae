//! What a finding about a route that answers an operation's requests tells to do can be done, and ends it.

use tollgate_analysis::compile_files;
use tollgate_config::Diagnostic;

/// The findings that a route requires less than the specification, for a document with these paths.
fn findings(paths: &str, routes: &str) -> Vec<Diagnostic> {
    let project = format!(
        "format: 1
gateway: {{name: test, limit: none, authn: none, hosts: [a.example]}}
upstreams: {{u: \"http://localhost:9000\"}}
policies: {{k: {{kind: api-key}}}}
apis:
  a: {{upstream: u, spec: s.yaml, routes: [{{path: /used, methods: [GET], authn: k}}{routes}]}}
"
    );
    let document = format!(
        "openapi: 3.1.0
components: {{securitySchemes: {{k: {{type: apiKey, in: header, name: X-API-Key}}}}}}
paths:
{paths}"
    );
    let files = [("tollgate.yaml", project), ("s.yaml", document)];
    let files = files.map(|(name, text)| (name.to_owned(), text)).into();
    let found = compile_files(&files).map_or_else(|found| found, |compiled| compiled.warnings().clone());
    found.iter().filter(|found| found.code.id() == "TG0706").cloned().collect()
}

const CROSSING: &str = "  /orders/{id}: {get: {security: []}}
  /{tenant}/admin: {get: {security: [{k: []}], x-tollgate: {authn: k}}}
";

const TOLD: &str = "describe these requests in the specification";

#[test]
fn requests_of_two_paths_that_cross_can_be_described() {
    let found = findings(CROSSING, "");
    assert!(matches!(found.as_slice(), [one] if one.fix.contains(TOLD)), "{found:?}");
    let with = |operation: &str| findings(&format!("{CROSSING}  /orders/admin: {{{operation}}}\n"), "");
    let found = with("get: {security: [], x-tollgate: {hidden: true}}");
    assert!(found.is_empty(), "{found:?}");
    // It describes only its own method, and what it requires itself is compared.
    let found = with("post: {security: [], x-tollgate: {hidden: true}}");
    assert_eq!(found.len(), 1, "{found:?}");
    let found = with("get: {security: [{k: []}], x-tollgate: {hidden: true}}");
    assert!(format!("{found:?}").contains("required here of `GET /orders/admin`"), "{found:?}");
}

#[test]
fn requests_that_are_described_only_in_part_are_still_reported() {
    let route = ", {path: '/{area:(orders|carts)}/admin', methods: [GET], id: both}";
    let paths = "  /{tenant}/admin: {get: {security: [{k: []}], x-tollgate: {authn: k}}}\n";
    let one = "  /orders/admin: {get: {security: [], x-tollgate: {hidden: true}}}\n";
    let other = "  /carts/admin: {get: {security: [], x-tollgate: {hidden: true}}}\n";
    let found = findings(&format!("{paths}{one}"), route);
    assert!(matches!(found.as_slice(), [found] if found.why.contains("/carts/admin")), "{found:?}");
    assert_eq!(findings(&format!("{paths}{one}{other}"), route), []);
}

/// The codes of findings about operations that are not routed, and about entries that select none.
fn unrouted(paths: &str, api: &str) -> Vec<String> {
    let project = format!(
        "format: 1
gateway: {{name: test, limit: none, hosts: [a.example]}}
upstreams: {{u: \"http://localhost:9000\"}}
apis: {{a: {{upstream: u, spec: s.yaml, authn: none, {api}}}}}
"
    );
    let document = format!("openapi: 3.1.0\npaths:\n  /always: {{get: {{}}}}\n{paths}");
    let files = [("tollgate.yaml", project), ("s.yaml", document)];
    let files = files.map(|(name, text)| (name.to_owned(), text)).into();
    let found = compile_files(&files).map_or_else(|found| found, |compiled| compiled.warnings().clone());
    found
        .iter()
        .map(|found| found.code.id().to_owned())
        .filter(|code| ["TG0704", "TG0710"].contains(&code.as_str()))
        .collect()
}

#[test]
fn an_operation_that_cannot_be_routed_is_settled_by_a_route_or_hidden() {
    let export = "  '/export/{file}.{ext}': {get: {operationId: export, tags: [t]}}\n";
    let cart = "  '/carts/{id}?expand=1': {get: {}}\n";
    let hidden = "  '/x/{a}.{b}': {get: {x-tollgate: {hidden: true}}}\n";
    for (paths, api, codes) in [
        (export, "", &["TG0704"][..]),
        (export, "routes: [{path: '/export/{file}', methods: [GET]}]", &[]),
        (export, "routes: [{path: '/export/{file}', methods: [POST]}]", &["TG0704"]),
        (export, "routes: [{path: '/other/{file}', methods: [GET]}]", &["TG0704"]),
        (export, "operations: [{select: {operation: export}, hidden: true}]", &[]),
        (export, "operations: [{select: {tag: t}, hidden: true}]", &[]),
        (export, "operations: [{select: {operation: export}, cost: 2}]", &["TG0704", "TG0710"]),
        (export, "operations: [{select: {operation: exprt}, hidden: true}]", &["TG0704", "TG0710"]),
        (cart, "", &["TG0704"]),
        (cart, "routes: [{path: '/carts/{id}', methods: [GET], when: {query: {expand: \"1\"}}}]", &[]),
        (hidden, "", &[]),
    ] {
        let mut found = unrouted(paths, api);
        found.sort();
        assert_eq!(found, codes, "{paths} {api}");
    }
}

#[test]
fn what_a_specification_cannot_describe_is_not_told() {
    let paths = "  /orders/{id}: {get: {security: [{k: []}], x-tollgate: {authn: k}}}\n";
    for (route, is_told) in [
        (", {path: '/orders/{id}', methods: [GET], when: {query: {v: '1'}}}", false),
        (", {path: '/orders/{id:int}', methods: [GET]}", false),
        (", {path: /orders/new, methods: [GET]}", true),
        (", {path: '/orders/{id}.pdf', methods: [GET]}", true),
    ] {
        let found = findings(paths, route);
        assert!(matches!(found.as_slice(), [one] if one.fix.contains(TOLD) == is_told), "{route}: {found:?}");
    }
}
