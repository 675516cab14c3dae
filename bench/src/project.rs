//! The project for benchmarks: a public route, one with a key and a limit that is never reached, and a cached one.

use std::net::SocketAddr;

use tollgate_core::authn::ApiKey;

/// The gateway's name.
pub(crate) const GATEWAY: &str = "bench";

/// `tollgate.yaml` for an upstream, with the log lines of exchanges or without: in miniflare each line is passed to Node, which costs more
/// than the request.
pub(crate) fn tollgate_yaml(upstream: SocketAddr, log: bool) -> String {
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

/// `tollgate.yaml` of a gateway whose APIs are [`api_yaml`].
pub(crate) fn hosts_yaml(upstream: SocketAddr) -> String {
    format!(
        "format: 1\ngateway: {{name: {GATEWAY}}}\ntelemetry: {{log: false}}\nupstreams: {{one: \"http://{upstream}\"}}\n"
    )
}

/// A host with routes that differ from those of other hosts.
pub(crate) fn api_yaml(host: &str, routes: usize) -> String {
    let head = format!("format: 1\nhosts: [{host}]\nupstream: one\nauthn: none\nroutes:\n");
    let route = |n| format!("  - {{path: \"/r{n}/{{id}}\", methods: [GET]}}\n");
    std::iter::once(head).chain((0..routes).map(route)).collect()
}

/// `dev/fixtures.yaml` with the key.
pub(crate) fn fixtures_yaml() -> String {
    format!("format: 1\nconsumers:\n  - {{id: acme, keys: [{}]}}\n", key())
}

/// The key, which is used only by this benchmark.
pub(crate) fn key() -> String {
    ApiKey::generate("dev", &[1; 32]).map_or_else(String::new, |key| key.expose().to_owned())
}
