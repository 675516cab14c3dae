//! `tollgate test` with the real program.

#[path = "../support/mod.rs"]
mod support;

mod coverage;
mod expectations;
mod notices;
mod reports;
mod selection;
mod steps;

use std::path::Path;

use support::{Ran, run};

/// The project of most tests.
pub(crate) const PROJECT: &str = r#"
format: 1
gateway: {name: acme, timeout: 10s, authn: none}
upstreams:
  pets: "http://pets.internal"
  orders: {url: "http://orders.internal/base", headers: {X-Token: "${secret.TOKEN}"}}
policies:
  keys: {kind: api-key, header: X-API-Key}
  bearer: {kind: api-key, header: Authorization, scheme: Bearer}
  burst: {kind: rate-limit, rate: 1/s, burst: 3}
  strict: {kind: rate-limit, rate: 1/s, burst: 5, on-unavailable: closed}
apis:
  shop:
    base: /shop
    upstream: pets
    routes:
      - {path: /public, methods: [GET], id: public, authn: none}
      - {path: /private, methods: [GET, POST], id: private, authn: keys, limit: burst}
      - {path: /bearer, methods: [GET], id: bearer, authn: bearer}
      - {path: /scoped, methods: [POST], id: scoped, authn: keys, scopes: [shop.write], body-limit: 1KiB}
      - {path: /cached, methods: [GET], id: cached, authn: none, cache: {ttl: 30s}}
      - {path: /strict, methods: [GET], id: strict, authn: none, limit: strict}
  orders:
    base: /orders
    upstream: orders
    routes: [{path: /list, methods: [GET], id: list, authn: none}]
  whole:
    base: /whole
    strip-base: false
    upstream: orders
    routes: [{path: "/{item}", methods: [GET], id: whole, authn: none}]
"#;

/// The beginning of most test files, without cases.
pub(crate) const HEAD: &str = r#"
format: 1
clock: 2026-01-31T23:59:50Z
consumers:
  - {id: acme, keys: [k1, {name: writer, scopes: [shop.write]}, {name: old, expires: 2020-01-01T00:00:00Z}]}
secrets: {TOKEN: s3cret}
upstreams:
  pets: {status: 200, headers: {X-Kind: pets}, body: {json: {name: Rex, legs: 4}}}
"#;

/// A project with test files.
pub(crate) struct Tested {
    folder: tempfile::TempDir,
}

impl Tested {
    pub(crate) fn new(project: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("tests")).expect("a folder within");
        std::fs::write(folder.path().join("tollgate.yaml"), project.trim_start()).expect("a project");
        Self { folder }
    }

    /// The project of most tests, with one file of cases.
    pub(crate) fn with_cases(cases: &str) -> Self {
        Self::new(PROJECT).file("t", &format!("{}cases:\n{cases}", HEAD.trim_start()))
    }

    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.path().join(format!("tests/{name}.test.yaml")), text).expect("a test file");
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        let path = self.path().display().to_string();
        run(&[&["test", path.as_str()], words].concat())
    }
}

/// One case with one step.
pub(crate) fn case(name: &str, step: &str) -> String {
    format!("- name: {name}\n  steps:\n  - {step}\n")
}
