//! The project that is measured: a public route, and one with a key and a limit that is never reached.

use std::net::SocketAddr;

use tollgate_core::authn::ApiKey;

/// The gateway's name.
pub(crate) const GATEWAY: &str = "bench";

/// `tollgate.yaml` for an upstream.
pub(crate) fn tollgate_yaml(upstream: SocketAddr) -> String {
    format!(
        r#"format: 1
gateway: {{name: {GATEWAY}}}
telemetry: {{log: false}}
upstreams: {{one: "http://{upstream}"}}
policies:
  keys: {{kind: api-key}}
  wide: {{kind: rate-limit, rate: 1000000/s, burst: 1000000, by: consumer}}
apis:
  one:
    upstream: one
    routes:
      - {{path: /public, methods: [GET], authn: none}}
      - {{path: /keyed, methods: [GET], authn: keys, limit: wide}}
"#
    )
}

/// `dev/fixtures.yaml` with the key.
pub(crate) fn fixtures_yaml() -> String {
    format!("format: 1\nconsumers:\n  - {{id: acme, keys: [{}]}}\n", key())
}

/// The key; it opens nothing but this benchmark.
pub(crate) fn key() -> String {
    ApiKey::generate("dev", &[1; 32]).map_or_else(String::new, |key| key.expose().to_owned())
}
