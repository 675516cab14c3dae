//! Whatever `import` writes compiles, passes its own test, and is in canonical form.

use std::path::Path;
use std::rc::Rc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_config::{fmt, policy_tests};

use super::{Output, import};
use crate::commands::import::OpenApiArgs;
use crate::policy_test::{self, Plan};
use crate::project::Project;

/// Names that are words of YAML, not allowed in names, equal to others, or very long.
const NAMES: &[&str] = &[
    "burst",
    "keys",
    "Yes",
    "null",
    "on",
    "true",
    "a/b",
    "a.b",
    "宠物",
    "1e3",
    "X-API-Key",
    "x api key",
    "api_key",
    "",
    "a-name-that-is-much-longer-than-forty-characters-and-goes-on",
];

/// Names of fields and parameters.
const PLACES: &[&str] = &[
    "X-API-Key",
    "x-api-key",
    "Authorization",
    "Host",
    "Connection",
    "X.Key",
    "on",
    "a b",
    "ключ",
    "key[]",
    "~",
    "null",
    "",
];

const SCOPES: &[&str] = &["pets.read", "pets.read", "a b", "", "https://a/b", "\"q\"", "é", "on", "0777", "{", "*"];

const SEGMENTS: &[&str] = &[
    "pets",
    "{id}",
    "{id}.json",
    "v{id}",
    "{id}x1",
    "x2{id}",
    "{a}{b}",
    "{other}",
    "a b",
    ":id",
    "*",
    "{id}:cancel",
    "",
    "[0-9]+",
    "$x",
    "%7Bx%7D",
    "ü",
    "..",
];

const SERVERS: &[&str] = &[
    "/",
    "/api/v3",
    "https://a.example/v1?x=1",
    "https://{region}.example",
    "//b.example/c",
    "ws://a",
    "",
    "http://a:0",
    "https://u:p@c.example/\"x\"",
    "not a url",
    "https://a.example/{v}",
    "./x#y",
];

fn one_of(all: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![4 => proptest::sample::select(all).prop_map(str::to_owned), 1 => "[ -~]{0,12}"]
}

fn scheme() -> impl Strategy<Value = Value> {
    prop_oneof![
        (one_of(PLACES), proptest::sample::select(&["header", "query", "cookie", "body"][..]))
            .prop_map(|(name, place)| json!({"type": "apiKey", "in": place, "name": name})),
        proptest::sample::select(&["basic", "bearer", "digest", "1"][..])
            .prop_map(|scheme| json!({"type": "http", "scheme": scheme})),
        Just(json!({"type": "oauth2", "flows": {}})),
        Just(json!({"type": "openIdConnect", "openIdConnectUrl": "https://id.example"})),
        Just(json!({"type": "mutualTLS"})),
        Just(json!({"$ref": "#/components/securitySchemes/keys"})),
        Just(json!({"$ref": "#/nowhere"})),
        Just(json!(5)),
    ]
}

fn requirement() -> impl Strategy<Value = Value> {
    let scopes = proptest::collection::vec(one_of(SCOPES), 0..4);
    let all = proptest::collection::vec((one_of(NAMES), scopes), 0..3);
    all.prop_map(|all| all.into_iter().map(|(name, scopes)| (name, json!(scopes))).collect::<Map<_, _>>().into())
}

fn security() -> impl Strategy<Value = Option<Value>> {
    proptest::option::of(prop_oneof![
        9 => proptest::collection::vec(requirement(), 0..3).prop_map(Value::from),
        1 => Just(json!({"keys": []})),
    ])
}

fn parameter() -> impl Strategy<Value = Value> {
    let schema = prop_oneof![
        Just(json!({"type": "integer"})),
        Just(json!({"type": "string", "format": "uuid"})),
        Just(json!({"type": "string", "enum": ["open", "closed", "half open"]})),
        Just(json!({"type": "string", "pattern": "^[a-z]+$"})),
        Just(json!({"$ref": "#/components/schemas/Id"})),
        Just(json!({"$ref": "#/components/schemas/Endless"})),
        Just(json!(true)),
    ];
    let written = (proptest::sample::select(&["id", "a", "other"][..]), schema)
        .prop_map(|(name, schema)| json!({"name": name, "in": "path", "required": true, "schema": schema}));
    prop_oneof![4 => written, 1 => Just(json!({"$ref": "#/components/parameters/Id"})), 1 => Just(json!({"$ref": "no.yaml#/x"}))]
}

fn operation() -> impl Strategy<Value = Value> {
    let parameters = proptest::collection::vec(parameter(), 0..3);
    let servers = proptest::option::of(Just(json!([{"url": "/other"}])));
    (proptest::option::of(one_of(NAMES)), security(), parameters, servers).prop_map(
        |(id, security, parameters, servers)| {
            let mut operation = json!({"parameters": parameters, "responses": {}});
            for (key, value) in [("operationId", id.map(Value::from)), ("security", security), ("servers", servers)] {
                value.into_iter().for_each(|value| operation[key] = value);
            }
            operation
        },
    )
}

fn path() -> impl Strategy<Value = (String, Value)> {
    let text = proptest::collection::vec(one_of(SEGMENTS), 1..4).prop_map(|parts| format!("/{}", parts.join("/")));
    let methods = proptest::sample::subsequence(&["get", "post", "delete", "head", "trace", "GET"][..], 0..3);
    let item = (methods, proptest::collection::vec(operation(), 3)).prop_map(|(methods, operations)| {
        Value::from(methods.into_iter().map(str::to_owned).zip(operations).collect::<Map<_, _>>())
    });
    let item = prop_oneof![5 => item, 1 => Just(json!({"$ref": "#/components/pathItems/Shared"})), 1 => Just(json!({"$ref": "no.yaml"}))];
    (text, item)
}

prop_compose! {
    fn document()(
        title in one_of(NAMES),
        servers in proptest::collection::vec(one_of(SERVERS), 0..3),
        schemes in proptest::collection::vec((one_of(NAMES), scheme()), 0..5),
        security in security(),
        paths in proptest::collection::vec(path(), 0..6),
        shared in operation(),
        version in proptest::sample::select(&["3.0.3", "3.1.0"][..]),
    ) -> Value {
        let mut document = json!({
            "openapi": version,
            "info": {"title": title, "version": "1"},
            "servers": servers.iter().map(|url| json!({"url": url})).collect::<Vec<_>>(),
            "components": {
                "securitySchemes": schemes.into_iter().collect::<Map<_, _>>(),
                "parameters": {"Id": {"name": "id", "in": "path", "schema": {"type": "integer"}}},
                "schemas": {"Id": {"type": "boolean"}, "Endless": {"$ref": "#/components/schemas/Endless"}},
                "pathItems": {"Shared": {"get": shared}},
            },
            "paths": paths.into_iter().collect::<Map<_, _>>(),
        });
        security.into_iter().for_each(|security| document["security"] = security);
        document
    }
}

/// Imports a document, and checks what is written.
fn check(document: &Value) -> Result<(), TestCaseError> {
    let root = tempfile::tempdir().unwrap();
    let (file, folder) = (root.path().join("openapi.json"), root.path().join("made"));
    std::fs::write(&file, document.to_string()).unwrap();
    let (into, output) = (Some(folder.clone()), Output::Json);
    let args = OpenApiArgs { file, into, name: None, upstream: None, hosts: Vec::new(), output };
    if let Err(failure) = import(&args) {
        prop_assert!(false, "{failure:?}");
    }
    let project = Project::at(&folder);
    let compiled = project.compile().map_err(|found| TestCaseError::fail(found.to_string()))?;
    project.fixtures().map_err(|found| TestCaseError::fail(found.to_string()))?;
    for name in fmt::project_files(&folder) {
        let name = name.to_str().unwrap();
        let formatted = fmt::format_file(&folder, name).map_err(|found| TestCaseError::fail(found.to_string()))?;
        prop_assert_eq!(formatted.before, formatted.after);
    }
    passes(&folder, compiled)
}

fn passes(folder: &Path, compiled: tollgate_config::Compiled) -> Result<(), TestCaseError> {
    let compiled = Rc::new(compiled);
    for loaded in policy_tests::load_dir(folder) {
        let file = loaded.file.map_err(|found| TestCaseError::fail(found.to_string()))?;
        let found = file.check(&compiled);
        prop_assert!(!found.has_errors(), "{found}");
    }
    let plan = Plan { folder, words: &[], coverage: false };
    let runs = policy_test::run(&plan, &mut |_| Ok(Ok(Rc::clone(&compiled)))).unwrap();
    prop_assert!(!runs.has_failed(), "{}", policy_test::render(&runs, policy_test::Form::Text, false));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_imported_compiles_and_passes_its_test(document in document()) {
        check(&document)?;
    }
}

#[test]
fn a_scope_that_two_schemes_require_is_written_once() {
    let both = json!([{"a": ["pets.read", "pets.write"], "b": ["pets.read"]}]);
    check(&json!({
        "openapi": "3.1.0",
        "components": {"securitySchemes": {
            "a": {"type": "oauth2"},
            "b": {"type": "apiKey", "in": "header", "name": "X-Key"},
        }},
        "paths": {"/pets": {"get": {"operationId": "listPets", "security": both}}},
    }))
    .unwrap();
}

#[test]
fn of_two_operations_for_the_same_requests_one_is_hidden() {
    check(&json!({
        "openapi": "3.1.0",
        "paths": {"/a/x1{id}": {"get": {}}, "/a/{id}y1": {"get": {}}, "/a/z1{id}": {"get": {"operationId": "z"}}},
    }))
    .unwrap();
}
