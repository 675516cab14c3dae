//! The project for benchmarks: a public route, one with a key and a limit that is never reached, and a cached one.

use std::net::SocketAddr;

use tollgate_core::authn::ApiKey;

/// The gateway's name.
pub(crate) const GATEWAY: &str = "bench";

/// The project for an upstream, with the log lines of exchanges or without: in miniflare each line is passed to Node, which costs more
/// than the request.
pub(crate) fn files(upstream: SocketAddr, log: bool) -> [(String, String); 2] {
    [("tollgate.yaml", tollgate_yaml(upstream, log)), ("dev/fixtures.yaml", fixtures_yaml())]
        .map(|(name, text)| (name.to_owned(), text))
}

fn tollgate_yaml(upstream: SocketAddr, log: bool) -> String {
    format!(
        r#"format: 1
gateway: {{name: {GATEWAY}}}
telemetry: {{log: {log}}}
upstreams: {{one: "http://{upstream}"}}
policies:
  keys: {{kind: api-key}}
  wide: {{kind: rate-limit, rate: 1000000/s, burst: 1000000, by: consumer}}
apis:
  one:
    upstream: one
    routes:
      - {{path: /public, methods: [GET], authn: none}}
      - {{path: "/size/{{bytes}}", methods: [GET], authn: none}}
      - {{path: /keyed, methods: [GET], authn: keys, limit: wide}}
      - {{path: /cached, methods: [GET], authn: none, cache: {{ttl: 1h, replace: true}}}}
"#
    )
}

/// A project with a route for a key alone, and with a limit that is never reached, for each way to count it; one is public.
pub(crate) fn limit_files(upstream: SocketAddr, log: bool) -> [(String, String); 2] {
    let limit = |name: &str| {
        format!("  {name}: {{kind: rate-limit, rate: 1000000/s, burst: 1000000, by: consumer, consistency: {name}}}\n")
    };
    let route = |name: &str| format!("      - {{path: /{name}, methods: [GET], authn: keys, limit: {name}}}\n");
    let limits: String = CONSISTENCIES.map(limit).concat();
    let routes: String = CONSISTENCIES.map(route).concat();
    let text = format!(
        "format: 1\ngateway: {{name: {GATEWAY}}}\ntelemetry: {{log: {log}}}\nupstreams: {{one: \"http://{upstream}\"}}\n\
         policies:\n  keys: {{kind: api-key}}\n{limits}apis:\n  one:\n    upstream: one\n    routes:\n      \
         - {{path: /public, methods: [GET], authn: none}}\n      - {{path: /key, methods: [GET], authn: keys}}\n{routes}"
    );
    [("tollgate.yaml".to_owned(), text), ("dev/fixtures.yaml".to_owned(), fixtures_yaml())]
}

const CONSISTENCIES: [&str; 3] = ["leased", "exact", "local"];

/// A project with a route for a key, and one for the tokens of each of these algorithms and their keys.
pub(crate) fn token_files(upstream: SocketAddr, log: bool, keys: &[(&str, &str)]) -> [(String, String); 2] {
    let policy = |(alg, jwks): &(&str, &str)| {
        format!(
            "  {}: {{kind: jwt, issuer: \"https://id.bench.test\", audience: bench, algorithms: [{alg}], keys: '{jwks}'}}\n",
            alg.to_lowercase()
        )
    };
    let route = |(alg, _): &(&str, &str)| {
        format!("      - {{path: /token/{alg}, methods: [GET], authn: {}}}\n", alg.to_lowercase())
    };
    let (policies, routes): (String, String) = (keys.iter().map(policy).collect(), keys.iter().map(route).collect());
    let text = format!(
        "format: 1\ngateway: {{name: {GATEWAY}}}\ntelemetry: {{log: {log}}}\nupstreams: {{one: \"http://{upstream}\"}}\npolicies:\n  keys: {{kind: api-key}}\n{policies}\
         apis:\n  one:\n    upstream: one\n    routes:\n      - {{path: /key, methods: [GET], authn: keys}}\n{routes}"
    );
    [("tollgate.yaml".to_owned(), text), ("dev/fixtures.yaml".to_owned(), fixtures_yaml())]
}

/// `tollgate.yaml` of a gateway whose APIs are [`api_files`].
pub(crate) fn hosts_yaml(upstream: SocketAddr) -> String {
    format!(
        "format: 1\ngateway: {{name: {GATEWAY}}}\ntelemetry: {{log: false}}\nupstreams: {{one: \"http://{upstream}\"}}\n"
    )
}

/// The APIs of a host with so many routes, whose names begin with `api`.
pub(crate) fn api_files(api: &str, host: &str, routes: usize) -> Vec<(String, String)> {
    let file = |(file, first): (usize, usize)| {
        let head = format!("format: 1\nhosts: [{host}]\nupstream: one\nauthn: none\nroutes:\n");
        let route = |n| format!("  - {{path: \"/r{n}/{{id}}\", methods: [GET]}}\n");
        let numbers = first..routes.min(first + ROUTES_IN_FILE);
        (format!("apis/{api}{file}/api.yaml"), std::iter::once(head).chain(numbers.map(route)).collect())
    };
    (0..routes).step_by(ROUTES_IN_FILE).enumerate().map(file).collect()
}

/// A path of the route with this number.
pub(crate) fn path(route: usize) -> String {
    format!("/r{route}/7")
}

/// A file has a maximum of 4 MiB.
const ROUTES_IN_FILE: usize = 1_000;

/// `dev/fixtures.yaml` with the key.
fn fixtures_yaml() -> String {
    format!("format: 1\nconsumers:\n  - {{id: acme, keys: [{}]}}\n", key())
}

/// The key, which is used only by this benchmark.
pub(crate) fn key() -> String {
    ApiKey::generate("dev", &[1; 32]).map_or_else(String::new, |key| key.expose().to_owned())
}
