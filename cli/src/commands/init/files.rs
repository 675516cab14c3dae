//! The files of a new project.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tollgate_config::fmt::{format_text, is_project_file};
use tollgate_config::{Diagnostics, FileKind};
use tollgate_core::authn::ApiKey;

use super::Wishes;
use crate::failure::Failure;

/// The files of a new project. The project file is the last: without it, the folder is not a project.
pub(super) struct Made {
    pub(super) files: Vec<File>,
}

/// A file to create.
pub(super) struct File {
    /// Its path within the project, with `/` between folders.
    pub(super) name: String,
    pub(super) text: String,
    /// Whether an existing file may be kept, because the project is complete without this one.
    pub(super) optional: bool,
}

impl Made {
    /// The files that the compiler reads.
    pub(super) fn project_texts(&self) -> BTreeMap<String, String> {
        let read = self.files.iter().filter(|file| is_project_file(&file.name));
        read.map(|file| (file.name.clone(), file.text.clone())).collect()
    }
}

/// A new random key for local use.
pub(super) fn fresh_key() -> Result<ApiKey, Failure> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random)
        .map_err(|error| Failure::problem(format!("the random source of the system is not available: {error}")))?;
    ApiKey::generate("dev", &random).ok_or_else(|| Failure::problem("no key could be created"))
}

/// The files of a project; those that people edit are in canonical form.
pub(super) fn of(wishes: &Wishes, key: &ApiKey) -> Result<Made, Diagnostics> {
    let mut files: Vec<File> = FileKind::ALL
        .iter()
        .map(|kind| File { name: schema_path(*kind), text: kind.schema_text(), optional: false })
        .collect();
    let settings = [
        (".vscode/settings.json", format!("{:#}\n", editor_settings())),
        (".github/workflows/tollgate.yaml", WORKFLOW.to_owned()),
        (".gitignore", IGNORED.to_owned()),
    ];
    files.extend(settings.map(|(name, text)| File { name: name.to_owned(), text, optional: true }));
    let written = [
        ("dev/fixtures.yaml", FIXTURES.replace("@KEY@", key.expose())),
        ("tests/first.test.yaml", TEST.to_owned()),
        ("tollgate.yaml", project(wishes)),
    ];
    for (name, text) in written {
        files.push(File { name: name.to_owned(), text: format_text(name, &text)?, optional: false });
    }
    Ok(Made { files })
}

fn schema_path(kind: FileKind) -> String {
    format!("{SCHEMAS}/{}", kind.schema_file())
}

/// The project's file. Values from the person are written as JSON, which a YAML parser reads unchanged.
fn project(wishes: &Wishes) -> String {
    let mut gateway = String::new();
    if !wishes.hosts.is_empty() {
        gateway.push_str(&format!("\n  hosts: {}", json!(wishes.hosts)));
    }
    if !wishes.targets.is_empty() {
        gateway.push_str(&format!(
            "\n  # `tollgate check` refuses what can pass the limits of these platforms.\n  target: {}",
            json!(wishes.targets)
        ));
    }
    PROJECT
        .replace("@NAME@", &wishes.name)
        .replace("@GATEWAY@", &gateway)
        .replace("@UPSTREAM@", &Value::from(wishes.upstream.as_str()).to_string())
}

/// The mapping of files to schemas, for editors with the YAML extension and for the JSON support of VS Code.
fn editor_settings() -> Value {
    let glob = |kind: &FileKind| {
        let parts = kind.path().split('/').map(|part| match part.split_once('>') {
            Some((_, rest)) => format!("*{rest}"),
            None => part.to_owned(),
        });
        parts.collect::<Vec<_>>().join("/")
    };
    let yaml: serde_json::Map<String, Value> =
        FileKind::ALL.iter().map(|kind| (format!("./{}", schema_path(*kind)), json!([glob(kind)]))).collect();
    let of_json = |kind: &FileKind| json!({"fileMatch": [glob(kind).replace(".yaml", ".json")], "url": format!("./{}", schema_path(*kind))});
    json!({"yaml.schemas": yaml, "json.schemas": FileKind::ALL.iter().map(of_json).collect::<Vec<_>>()})
}

/// The folder of the project's copy of the schemas, so that editors need no network.
const SCHEMAS: &str = ".tollgate/schemas";

const PROJECT: &str = r#"# The gateway and its routes. `tollgate check` reports mistakes, `tollgate dev` runs it.
$schema: .tollgate/schemas/tollgate.schema.json
format: 1

gateway:
  # The name comes first in every stored record, so that several gateways can share one store.
  name: @NAME@@GATEWAY@
  # The total time of one exchange with an upstream.
  timeout: 10s

upstreams:
  # The servers that the gateway calls. `tollgate dev` starts an echo server at http://127.0.0.1:8082.
  main: @UPSTREAM@

policies:
  # Who may call: a key in the field X-API-Key. Keys are not configuration; dev/fixtures.yaml has one for local use.
  keys: {kind: api-key}
  # How often: 10 requests a second for each consumer, with a burst of 20 after idle time.
  gentle: {kind: rate-limit, rate: 10/s, burst: 20}

apis:
  main:
    upstream: main
    authn: keys
    limit: gentle
    routes:
      # A public health check.
      - path: /health
        methods: [GET]
        id: health
        authn: none

      # Everything else needs a key. Replace it with your own routes: the most specific route wins.
      - path: "/{*rest}"
        methods: [GET, POST, PUT, PATCH, DELETE]
        id: all
"#;

const FIXTURES: &str = "# Consumers and keys for local use: never published, and used by no other gateway.
$schema: ../.tollgate/schemas/fixtures.schema.json
format: 1
consumers:
  - id: dev
    keys: [@KEY@]
";

const TEST: &str = "# Run by `tollgate test` on the production engine, in memory: without a network, and with a virtual clock.
$schema: ../.tollgate/schemas/test.schema.json
format: 1
clock: 2026-01-31T12:00:00Z
consumers:
  - {id: dev, keys: [k1]}
cases:
  - name: the health check is public
    steps:
      - {request: GET /health, expect: {status: 200, operation: health}}

  - name: everything else needs a key
    steps:
      - {request: GET /anything, expect: {status: 401, problem: credential-missing, policy: keys, upstream: {called: false}}}
      - {request: GET /anything, key: k1, expect: {status: 200, operation: all}}

  - name: a burst of twenty requests passes, then ten a second
    steps:
      - {request: GET /anything, key: k1, repeat: 21, last: {status: 429, policy: gentle}}
      - {advance: 1s}
      - {request: GET /anything, key: k1, repeat: 11, count: {200: 10, 429: 1}}

# Rules for every route, also for new ones: a request that writes is authenticated and limited.
invariants:
  - {routes: {method: [POST, PUT, PATCH, DELETE]}, have: [authn, limit]}
";

const WORKFLOW: &str = r#"# Checks the gateway on every change.
name: tollgate
on:
  push: {branches: [main]}
  pull_request:
permissions: {contents: read}
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      # The repository variable TOLLGATE_GIT is the URL of the Git repository to install tollgate from.
      - run: cargo install --locked --git "${{ vars.TOLLGATE_GIT }}" tollgate
      - run: tollgate check --deny warnings
      - run: tollgate fmt --check
      - run: tollgate test --output junit > tollgate-tests.xml
      - if: always()
        uses: actions/upload-artifact@v4
        with: {name: tollgate-tests, path: tollgate-tests.xml}
"#;

const IGNORED: &str = "# Stores of local gateways, secrets for development, reports.
*.db
*.db-shm
*.db-wal
.dev.vars
tollgate-tests.xml
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workflow_is_yaml_in_its_canonical_form() {
        // GitHub's key `on` is a boolean in YAML 1.1, which our parser refuses without quotes.
        let text = WORKFLOW.replace("\non:", "\n\"on\":");
        assert_eq!(format_text("workflow.yaml", &text).ok(), Some(text));
    }
}
