//! Proofs about a compiled project: its invariants, and the selected route of a request.

use tollgate_analysis::compile_str;
use tollgate_analysis::proofs::{Analysis, Proof, Reachability};
use tollgate_config::{Compiled, Witness, policy_tests};

const PROJECT: &str = r#"
format: 1
gateway: {name: acme, hosts: [api.example.com, "*.partners.example.com"], internal-hosts: [ops.internal], timeout: 10s}
upstreams: {pets: "https://pets.internal", ledger: {url: "https://ledger.internal", timeout: 2s}}
policies:
  keys: {kind: api-key}
  burst: {kind: rate-limit, rate: 100/s}
  slow: {kind: rate-limit, rate: 1/s, by: address}
  office: {kind: ip-filter, allow: [10.0.0.0/8]}
  writes: {kind: condition, allow: "request.method in ['GET', 'HEAD'] || 'editors' in principal.groups"}
apis:
  pets:
    hosts: [api.example.com]
    upstream: pets
    authn: keys
    limit: burst
    routes:
      - {path: /pets, methods: [GET, POST]}
      - {path: "/pets/{id:int}", methods: [GET], cache: {ttl: 1m, with-credentials: shared}, limit: none}
      - {path: "/health", methods: [GET], authn: none, limit: none, when: {header: {X-Probe: "1"}}}
  books:
    hosts: ["*.partners.example.com"]
    upstream: ledger
    authn: keys
    limit: burst
    body-limit: 64KiB
    routes: [{path: "/books/{*rest}", methods: [PUT]}]
  notes:
    hosts: [api.example.com]
    upstream: pets
    authn: keys
    authz: writes
    routes:
      - {path: /notes, methods: [PATCH], guard: slow}
      - {path: /notes, methods: [GET], guard: office}
  admin:
    upstream: pets
    internal: true
    authn: none
    routes: [{path: "/admin/{page}"}]
"#;

fn compiled() -> Compiled {
    let compiled = compile_str("tollgate.yaml", PROJECT).expect("a project that compiles");
    assert!(compiled.warnings().is_empty(), "{}", compiled.warnings());
    compiled
}

/// Checks the result of an invariant: `holds N`, `vacuous`, or the violated requirements with a request for each.
#[track_caller]
fn check(invariant: &str, expected: &[&str]) {
    let compiled = compiled();
    let analysis = Analysis::new(compiled.whole(), &compiled.settings().internal_hosts);
    let text = format!("format: 1\ninvariants:\n  - {invariant}\n");
    let file = policy_tests::load_str("t.test.yaml", &text).expect("a test file");
    let result: Vec<String> = match analysis.prove(&file.invariants[0]) {
        Proof::Holds { routes } => vec![format!("holds {routes}")],
        Proof::Vacuous => vec!["vacuous".to_owned()],
        Proof::Refuted { counterexamples, .. } => counterexamples
            .iter()
            .map(|found| {
                let witness = found.witness.as_ref().expect("a request");
                assert_eq!(analysis.selected_route(witness), Some(found.route), "{witness}");
                format!("{} {}", found.requirement.title(), witness.curl())
            })
            .collect(),
    };
    assert_eq!(result, expected, "{invariant}");
}

#[test]
fn invariants_are_proved_for_all_selected_routes() {
    check("{routes: {method: [POST, PUT, PATCH, DELETE], internal: false}, have: [authn, limit]}", &["holds 3"]);
    check("{routes: {api: notes}, have: [guard]}", &["holds 2"]);
    check("{routes: {api: pets}, not: [guard]}", &["holds 3"]);
    // A condition that is true for every request of a route authorizes nobody.
    check("{routes: {api: notes, method: PATCH}, have: [authz]}", &["holds 1"]);
    check("{routes: {api: notes}, have: [authz]}", &["authz curl https://api.example.com/notes"]);
    check("{routes: {path: \"/admin/*\"}, have: [internal]}", &["holds 1"]);
    check(
        "{routes: {host: \"*.partners.example.com\"}, have: [{policy: keys}, {policy: burst}], not: [cache]}",
        &["holds 1"],
    );
    check("{routes: {upstream: ledger}, have: [{timeout-at-most: 2s}, {body-limit-at-most: 64KiB}]}", &["holds 1"]);
    check("{routes: {api: pets}, have: [timeout], not: [internal, scopes]}", &["holds 3"]);
    check("{routes: {method: HEAD, path: \"/pets*\"}, have: [authn]}", &["holds 2"]);
    check("{routes: all, have: [{timeout-at-most: 10s}]}", &["holds 7"]);
}

#[test]
fn a_violation_is_shown_with_a_request_that_the_route_serves() {
    check(
        "{routes: all, have: [authn]}",
        &["authn curl -H 'x-probe: 1' https://api.example.com/health", "authn curl https://ops.internal/admin/a"],
    );
    check("{routes: {method: POST}, have: [limit]}", &["limit curl -X POST https://ops.internal/admin/a"]);
    check("{routes: {api: notes}, have: [limit]}", &["limit curl https://api.example.com/notes"]);
    check("{routes: {path: \"*/7\", api: pets}, have: [limit]}", &["limit curl https://api.example.com/pets/7"]);
    check("{routes: {api: pets}, not: [cache]}", &["cache curl https://api.example.com/pets/1"]);
    check(
        "{routes: {api: books}, have: [{timeout-at-most: 1s}]}",
        &["a timeout of at most 1s curl -X PUT https://any.partners.example.com/books/a"],
    );
}

#[test]
fn an_invariant_without_routes_is_vacuous_unless_it_may_be_empty() {
    check("{routes: {path: \"/nowhere/*\"}, have: [authn]}", &["vacuous"]);
    check("{routes: {host: elsewhere.org}, have: [authn], may-be-empty: true}", &["holds 0"]);
    check("{routes: {method: DELETE, internal: false}, have: [authn]}", &["vacuous"]);
    check("{routes: {tag: none-has-it}, have: [authn]}", &["vacuous"]);
}

#[test]
fn the_selected_route_of_a_request_is_that_of_the_router() {
    let compiled = compiled();
    let analysis = Analysis::new(compiled.whole(), &compiled.settings().internal_hosts);
    let selected = |host: &str, path: &str| {
        let request =
            Witness { method: "GET".into(), host: host.into(), path: path.into(), query: None, fields: vec![] };
        analysis.selected_route(&request).map(|place| compiled.routes()[place].settings.id.as_str())
    };
    assert_eq!(selected("api.example.com", "/pets/7"), Some("pets.GET /pets/{id:int}"));
    assert_eq!(selected("api.example.com", "/pets/seven"), None);
    assert_eq!(selected("api.example.com", "/admin/x"), None);
    assert_eq!(selected("ops.internal", "/admin/x"), Some("admin.* /admin/{page}"));
    assert_eq!(selected("api.example.com", "/health"), None);
    for place in 0..compiled.routes().len() {
        assert!(
            matches!(analysis.reachability(place), Reachability::Reachable(_)),
            "{}",
            compiled.routes()[place].settings.id
        );
    }
}

#[test]
fn a_route_that_admits_callers_without_a_credential_as_a_consumer_has_no_authentication() {
    let project = "format: 1\ngateway: {name: acme, hosts: [api.example.com]}\nupstreams: {u: \"http://u\"}\n\
        policies: {keys: {kind: api-key}, visitors: {kind: anonymous}}\n\
        apis: {a: {upstream: u, routes: [{path: /a, authn: {any: [keys, visitors]}}, {path: /b, authn: keys}]}}\n";
    let compiled = compile_str("tollgate.yaml", project).expect("a project that compiles");
    let routes: Vec<_> = compiled.whole().routes.iter().map(|route| &route.settings).collect();
    let public: Vec<_> = routes.iter().map(|route| route.admits_anyone(&compiled.whole().policies)).collect();
    assert_eq!(public, [true, false]);
    let analysis = Analysis::new(compiled.whole(), &[]);
    let text = "format: 1\ninvariants:\n  - {routes: all, have: [authn]}\n";
    let file = policy_tests::load_str("a.test.yaml", text).expect("an invariant");
    let Proof::Refuted { counterexamples, .. } = analysis.prove(&file.invariants[0]) else {
        panic!("the route is public")
    };
    assert_eq!(counterexamples.len(), 1);
}
