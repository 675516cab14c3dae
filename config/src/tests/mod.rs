//! Tests that the tables, the schemas and the compiler agree.

mod corpus;
mod generated;
mod page;
mod patterns;
mod sound;

use std::sync::LazyLock;

use serde_json::Value as Json;
pub(crate) use sound::objects;

use crate::diagnostic::{Diagnostics, Report};
use crate::fixtures;
use crate::place::Files;
use crate::policy_tests;
use crate::prices::Prices;
use crate::source::{self, Limits, Node, Value};
use crate::{Compiled, Draft, FileKind, Options, Project};

/// The JSON form of a text; `None` if it cannot be parsed.
fn json(text: &str) -> Option<Json> {
    let (mut files, mut report) = (Files::new(), Report::default());
    let file = files.add("document", text);
    let root = source::read(file, files.text(file), &Limits::AUTHORED, &mut report)?;
    Some(of_node(&root))
}

fn of_node(node: &Node) -> Json {
    match &node.value {
        Value::Null | Value::Refused => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        Value::Float(value) => (*value).into(),
        Value::Text(value) => value.as_str().into(),
        Value::List(items) => items.iter().map(of_node).collect(),
        Value::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.value.clone(), of_node(&entry.value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
    }
}

fn validator(kind: FileKind) -> &'static jsonschema::Validator {
    static ALL: LazyLock<Vec<jsonschema::Validator>> = LazyLock::new(|| {
        let validator = |kind: &FileKind| jsonschema::draft202012::new(&kind.schema()).expect("a schema");
        FileKind::ALL.iter().map(validator).collect()
    });
    let place = FileKind::ALL.iter().position(|known| *known == kind);
    place.and_then(|place| ALL.get(place)).expect("a kind of the list")
}

/// The errors of a document by its schema.
fn refusals(validator: &jsonschema::Validator, document: &Json) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The findings of the compiler about a file of this kind, in a project without other mistakes.
fn findings(kind: FileKind, text: &str) -> Diagnostics {
    match kind {
        FileKind::Project => of_compilation(Draft::of_text("tollgate.yaml", text)),
        FileKind::Api => with_file("apis/pets/api.yaml", text),
        FileKind::Policies => with_file("policies/more.yaml", text),
        FileKind::Plans => with_file("plans/more.yaml", text),
        FileKind::Environment => in_environment(text),
        FileKind::Test => {
            policy_tests::load_str("tests/pets.test.yaml", text).map_or_else(|found| found, |file| file.warnings)
        }
        FileKind::Fixtures => {
            fixtures::load_str("dev/fixtures.yaml", text).map_or_else(|found| found, |fixtures| fixtures.warnings)
        }
        FileKind::Prices => Prices::read("prices.yaml", text).map_or_else(|found| found, |_| Diagnostics::default()),
    }
}

fn of_compilation(draft: Draft) -> Diagnostics {
    draft.encode().finish().map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

/// The compiled project that consists of one text.
fn compiled(name: &str, text: &str) -> Result<Compiled, Diagnostics> {
    Draft::of_text(name, text).encode().finish()
}

/// The findings in a project with one more file.
fn with_file(name: &str, text: &str) -> Diagnostics {
    let files = [("tollgate.yaml", PROJECT), (name, text)].map(|(name, text)| (name.to_owned(), text.to_owned()));
    of_compilation(Project::of(files.into()).draft(&Options::default()))
}

/// The findings in a project that is compiled for an environment.
fn in_environment(text: &str) -> Diagnostics {
    let files = [("tollgate.yaml", PROJECT_WITH_VALUES), ("env/production.yaml", text)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    of_compilation(Project::of(files.into()).draft(&Options::of_environment("production")))
}

const PROJECT_WITH_VALUES: &str = "\
format: 1
values:
  pets-url: {type: url, default: \"http://127.0.0.1:9000\"}
  patience: {type: duration, default: 10s}
  hosts: {type: hosts, default: [\"*\"]}
gateway: {name: acme, authn: none, hosts: \"${value.hosts}\", timeout: \"${value.patience}\"}
upstreams: {pets: \"${value.pets-url}\"}
apis: {pets: {upstream: pets, routes: [{path: /pets}]}}
";

const PROJECT: &str = "\
format: 1
gateway: {name: acme, authn: none}
upstreams: {pets: \"http://127.0.0.1:9000\"}
policies: {keys: {kind: api-key}, burst: {kind: rate-limit, rate: 5/s}}
";
