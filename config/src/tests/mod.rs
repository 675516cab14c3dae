//! The tables, the schemas and the compiler say the same.

mod corpus;
mod generated;
mod page;
mod patterns;
mod sound;

use std::sync::LazyLock;

use serde_json::Value as Json;

use crate::diagnostic::{Diagnostics, Report};
use crate::fixtures;
use crate::place::Files;
use crate::policy_tests;
use crate::prices::Prices;
use crate::source::{self, Limits, Node, Value};
use crate::{Compiled, Draft, FileKind, Options, Project};

/// The JSON that a text stands for; what cannot be read at all stands for nothing.
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

/// What the schema says is wrong with a document.
fn refusals(validator: &jsonschema::Validator, document: &Json) -> Vec<String> {
    validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// What the compiler finds in a file of that kind, in a project that is otherwise right.
fn findings(kind: FileKind, text: &str) -> Diagnostics {
    match kind {
        FileKind::Project => of_compilation(Draft::of_text("tollgate.yaml", text)),
        FileKind::Api => beside_the_project("apis/pets/api.yaml", text),
        FileKind::Policies => beside_the_project("policies/more.yaml", text),
        FileKind::Plans => beside_the_project("plans/more.yaml", text),
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

/// The compiled project of one text.
fn compiled(name: &str, text: &str) -> Result<Compiled, Diagnostics> {
    Draft::of_text(name, text).encode().finish()
}

/// What is found in a project with one more file.
fn beside_the_project(name: &str, text: &str) -> Diagnostics {
    let files = [("tollgate.yaml", PROJECT), (name, text)].map(|(name, text)| (name.to_owned(), text.to_owned()));
    of_compilation(Project::of(files.into()).draft(&Options::default()))
}

/// What is found in a project with an environment, compiled for it.
fn in_environment(text: &str) -> Diagnostics {
    let files = [("tollgate.yaml", DIFFERING), ("env/production.yaml", text)];
    let files = files.map(|(name, text)| (name.to_owned(), text.to_owned()));
    of_compilation(Project::of(files.into()).draft(&Options::of_environment("production")))
}

const DIFFERING: &str = "\
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
