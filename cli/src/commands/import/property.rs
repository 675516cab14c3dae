//! Whatever `import` writes compiles, passes its own test, is in canonical form, and requires no less than its document.

use std::path::Path;
use std::rc::Rc;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tollgate_config::openapi::Operation;
use tollgate_config::{Compiled, CompiledRoute, fmt, policy_tests};

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
    let many = (0..200_usize).prop_map(|count| (0..count).map(|n| format!("scope.{n}")).collect::<Vec<_>>());
    let valid = proptest::sample::subsequence(&["read", "write", "admin"][..], 0..4);
    let valid = valid.prop_map(|all| all.into_iter().map(str::to_owned).collect());
    let scopes = prop_oneof![24 => valid, 1 => proptest::collection::vec(one_of(SCOPES), 0..4), 2 => many];
    let all = proptest::collection::vec((one_of(NAMES), scopes), 0..3);
    all.prop_map(|all| all.into_iter().map(|(name, scopes)| (name, json!(scopes))).collect::<Map<_, _>>().into())
}

fn security() -> impl Strategy<Value = Option<Value>> {
    proptest::option::of(prop_oneof![
        9 => proptest::collection::vec(requirement(), 0..5).prop_map(Value::from),
        1 => Just(json!({"keys": ["read"]})),
        1 => Just(json!(["keys"])),
        1 => proptest::sample::select(vec![json!(null), json!({}), json!([7]), json!([{"keys": "read write"}])]),
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

/// Settings of the document, which may require less than its `security`.
fn extension() -> impl Strategy<Value = Option<Value>> {
    let settings = [
        json!({"authn": "none"}),
        json!({"hidden": true}),
        json!({"internal": true}),
        json!({"cost": 300}),
        json!({"limit": "none", "timeout": "1s"}),
    ];
    prop_oneof![4 => Just(None), 1 => proptest::sample::select(settings.to_vec()).prop_map(Some)]
}

fn operation() -> impl Strategy<Value = Value> {
    let parameters = proptest::collection::vec(parameter(), 0..3);
    let servers = proptest::option::of(Just(json!([{"url": "/other"}])));
    (proptest::option::of(one_of(NAMES)), security(), parameters, servers, extension()).prop_map(
        |(id, security, parameters, servers, extension)| {
            let mut operation = json!({"parameters": parameters, "responses": {}});
            let id = id.map(Value::from);
            for (key, value) in
                [("operationId", id), ("security", security), ("servers", servers), ("x-tollgate", extension)]
            {
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

/// Servers of every shape.
fn servers() -> impl Strategy<Value = Value> {
    let server = prop_oneof![
        8 => one_of(SERVERS).prop_map(|url| json!({"url": url})),
        1 => one_of(SERVERS).prop_map(Value::from),
        1 => proptest::sample::select(vec![json!(null), json!({}), json!({"url": 7}), json!([])]),
        1 => Just(json!({"url": "https://{a}:{b}/", "variables": {"a": {"default": "x"}, "b": {"default": 8443}}})),
    ];
    let list = proptest::collection::vec(server, 0..4).prop_map(Value::from);
    prop_oneof![8 => list, 1 => proptest::sample::select(vec![json!(null), json!("https://a"), json!({"url": "/a"}), json!(7)])]
}

prop_compose! {
    fn document()(
        title in one_of(NAMES),
        servers in servers(),
        schemes in proptest::collection::vec((one_of(NAMES), scheme()), 0..5),
        security in security(),
        paths in proptest::collection::vec(path(), 0..6),
        shared in operation(),
        version in proptest::sample::select(&["3.0.3", "3.1.0"][..]),
    ) -> Value {
        let mut document = json!({
            "openapi": version,
            "info": {"title": title, "version": "1"},
            "servers": servers,
            "components": {
                "securitySchemes": schemes.into_iter().collect::<Map<_, _>>(),
                "parameters": {"Id": {"name": "id", "in": "path", "schema": {"type": "integer"}}},
                "schemas": {"Id": {"type": "boolean"}, "Endless": {"$ref": "#/components/schemas/Endless"}},
                "pathItems": {"Shared": {"get": shared}},
            },
            "paths": paths.into_iter().collect::<Map<_, _>>(),
        });
        document["paths"]["/kept"] = json!({"get": {}});
        security.into_iter().for_each(|security| document["security"] = security);
        document
    }
}

/// Imports a document, and checks what is written: nothing if no operation can be routed, or `security` not required.
fn check(document: &Value) -> Result<(), TestCaseError> {
    let root = tempfile::tempdir().unwrap();
    let (file, folder) = (root.path().join("openapi.json"), root.path().join("made"));
    std::fs::write(&file, document.to_string()).unwrap();
    let (into, output) = (Some(folder.clone()), Output::Json);
    let args = OpenApiArgs { file, into, name: None, upstream: None, hosts: Vec::new(), output };
    if let Err(failure) = import(&args) {
        let says = failure.to_string();
        let is_known =
            says.contains("no operation of the document can be routed") || says.contains("cannot be required");
        prop_assert!(is_known && says.contains("nothing was written"), "{failure:?}");
        prop_assert!(!folder.exists());
        return Ok(());
    }
    let project = Project::at(&folder);
    let compiled = project.compile().map_err(|found| TestCaseError::fail(found.to_string()))?;
    project.fixtures().map_err(|found| TestCaseError::fail(found.to_string()))?;
    for name in fmt::project_files(&folder) {
        let name = name.to_str().unwrap();
        let formatted = fmt::format_file(&folder, name).map_err(|found| TestCaseError::fail(found.to_string()))?;
        prop_assert_eq!(formatted.before, formatted.after);
    }
    let (spec, _) = tollgate_config::import_openapi_dir(root.path(), "openapi.json").unwrap();
    for operation in spec.operations() {
        let is_of = |route: &&CompiledRoute| {
            route.settings.path.label() == operation.template().label()
                && route.settings.methods.as_strs().eq([operation.method()])
        };
        let route = compiled.routes().iter().find(is_of);
        route.map_or(Ok(()), |route| is_as_strict(document, operation, route, &compiled))?;
    }
    passes(&folder, compiled)
}

/// Whether each way to pass the route is one that the document allows.
fn is_as_strict(
    document: &Value,
    operation: &Operation,
    route: &CompiledRoute,
    compiled: &Compiled,
) -> Result<(), TestCaseError> {
    let Some(allowed) = model::alternatives(document, operation) else { return Ok(()) };
    let settings = &route.settings;
    prop_assert!(!settings.authn.is_empty(), "{} is public", settings.id);
    for together in &settings.authn {
        let places: Vec<_> =
            compiled.whole().policies.at(together).filter_map(|named| named.policy.uses().credential).collect();
        let is_allowed = |needs: &Vec<model::Need>| {
            needs.iter().all(|need| {
                need.scopes.iter().all(|scope| settings.scopes.contains(scope))
                    && need.place.as_ref().is_none_or(|place| places.iter().any(|known| place.is_read(known)))
            })
        };
        prop_assert!(allowed.iter().any(is_allowed), "{} {:?} {allowed:?}", settings.id, settings.scopes);
    }
    Ok(())
}

/// What a document requires, read without the importer.
mod model {
    use serde_json::Value;
    use tollgate_config::openapi::Operation;
    use tollgate_core::authn::CredentialPlace;

    /// A credential with its scopes.
    #[derive(Debug)]
    pub(super) struct Need {
        /// `None` if the gateway cannot check it.
        pub(super) place: Option<Place>,
        pub(super) scopes: Vec<String>,
    }

    #[derive(Debug)]
    pub(super) enum Place {
        Field(String),
        Query(String),
        Bearer,
    }

    impl Place {
        pub(super) fn is_read(&self, known: &CredentialPlace) -> bool {
            match self {
                Self::Field(name) => known.field.as_str().eq_ignore_ascii_case(name),
                Self::Query(name) => known.query.as_ref() == Some(name),
                Self::Bearer => known.field == "authorization" && known.scheme.as_deref() == Some("Bearer"),
            }
        }
    }

    /// The alternatives of an operation; `None` if it is public.
    pub(super) fn alternatives(document: &Value, operation: &Operation) -> Option<Vec<Vec<Need>>> {
        let mut item = &document["paths"][operation.path()];
        if let Some(pointer) = item["$ref"].as_str() {
            item = document.pointer(pointer.trim_start_matches('#'))?;
        }
        let own = item[operation.method().to_lowercase()].get("security");
        let written = own.or_else(|| document.get("security"))?;
        let all = match written {
            Value::Array(items) if items.is_empty() || items.contains(&Value::Object(serde_json::Map::new())) => {
                return None;
            }
            Value::Array(items) => items.as_slice(),
            other => std::slice::from_ref(other),
        };
        Some(all.iter().map(|item| needs(document, item)).collect())
    }

    fn needs(document: &Value, item: &Value) -> Vec<Need> {
        match item {
            Value::Object(members) => members.iter().map(|(name, scopes)| need(document, name, scopes)).collect(),
            Value::String(name) => vec![need(document, name, &Value::Null)],
            _ => Vec::new(),
        }
    }

    fn need(document: &Value, name: &str, scopes: &Value) -> Need {
        let scopes = match scopes {
            Value::Array(scopes) => scopes.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
            other => other.as_str().unwrap_or_default().to_owned(),
        };
        let schemes = &document["components"]["securitySchemes"];
        let mut scheme = &schemes[name];
        if scheme["$ref"] == "#/components/securitySchemes/keys" {
            scheme = &schemes["keys"];
        }
        Need { place: place(scheme), scopes: scopes.split_ascii_whitespace().map(str::to_owned).collect() }
    }

    fn place(scheme: &Value) -> Option<Place> {
        let name = scheme["name"].as_str().unwrap_or_default();
        let kind = ["type", "in", "scheme"].map(|key| scheme[key].as_str().unwrap_or_default());
        match kind {
            ["apiKey", "header", _] if tollgate_config::can_be_field(name) => Some(Place::Field(name.to_owned())),
            ["apiKey", "query", _] if tollgate_config::can_be_parameter(name) => Some(Place::Query(name.to_owned())),
            ["http", _, "bearer"] | ["oauth2" | "openIdConnect", ..] => Some(Place::Bearer),
            _ => None,
        }
    }
}

fn passes(folder: &Path, compiled: Compiled) -> Result<(), TestCaseError> {
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
    fn whatever_is_imported_compiles_and_is_as_strict_as_its_document(document in document()) {
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

/// Imports a document with these paths; returns the routes as `ID [POLICIES] [SCOPES]`, and what is said.
fn imported(paths: &Value) -> (Vec<String>, String) {
    let (compiled, project) = made(paths);
    let line = |route: &CompiledRoute| {
        let policies = route.settings.authn.iter().flat_map(|together| compiled.policies().at(together));
        let policies: Vec<&str> = policies.map(|named| &*named.name).collect();
        let id = route.settings.id.trim_start_matches("openapi.");
        format!("{id} [{}] [{}]", policies.join(" "), route.settings.scopes.join(" "))
    };
    let mut routes: Vec<String> = compiled.routes().iter().map(line).collect();
    routes.sort_unstable();
    (routes, project)
}

/// The project of an imported document, and the text of its file.
fn made(paths: &Value) -> (Compiled, String) {
    let root = tempfile::tempdir().unwrap();
    let (file, folder) = (root.path().join("openapi.json"), root.path().join("made"));
    let document = json!({
        "openapi": "3.1.0",
        "components": {"securitySchemes": {
            "k": {"type": "apiKey", "in": "header", "name": "X-Key"},
            "o": {"type": "oauth2", "flows": {}},
        }},
        "paths": paths,
    });
    check(&document).unwrap();
    std::fs::write(&file, document.to_string()).unwrap();
    let (into, output) = (Some(folder.clone()), Output::Json);
    import(&OpenApiArgs { file, into, name: None, upstream: None, hosts: Vec::new(), output }).unwrap();
    (Project::at(&folder).compile().unwrap(), std::fs::read_to_string(folder.join("tollgate.yaml")).unwrap())
}

#[test]
fn of_two_operations_for_the_same_requests_the_stricter_one_is_routed() {
    let (routes, _) = imported(&json!({
        "/a/x1{id}": {"get": {"operationId": "open"}},
        "/a/{id}y1": {"get": {"operationId": "guarded", "security": [{"k": []}]}},
        "/b/x1{id}": {"get": {"operationId": "keyed", "security": [{"k": []}]}},
        "/b/{id}y1": {"get": {"operationId": "public"}},
        "/c/x1{id}": {"get": {"operationId": "two", "security": [{"k": ["a", "b"]}]}},
        "/c/{id}y1": {"get": {"operationId": "one", "security": [{"k": ["a"]}]}},
        "/d/x1{id}": {"get": {"operationId": "many", "security": [{"k": ["a", "b"]}]}},
        "/d/{id}y1": {"get": {"operationId": "other", "security": [{"k": ["c"]}]}},
        "/e/{x}": {"get": {"operationId": "less", "security": [{"k": ["a"]}]}},
        "/e/{y}": {"get": {"operationId": "more", "security": [{"k": ["a", "b"]}]}},
    }));
    assert_eq!(routes, ["guarded [k] []", "keyed [k] []", "more [k] [a b]", "two [k] [a b]"]);
}

#[test]
fn an_operation_that_answers_requests_of_others_requires_the_same() {
    let (routes, project) = imported(&json!({
        "/a/{name}.{ext}": {"get": {"security": [{"k": ["r"]}]}},
        "/a/{name}": {"get": {"operationId": "broad"}},
        "/b/secret": {"get": {"operationId": "secret", "security": [{"k": []}], "x-tollgate": {"hidden": true}}},
        "/b/{name}": {"get": {"operationId": "below"}},
        "/c/{name}.{ext}": {"get": {"security": [{"k": []}]}},
        "/c/{name}": {"get": {"operationId": "incomparable", "security": [{"o": []}]}},
        "/d": {"get": {"operationId": "kept"}},
    }));
    assert_eq!(routes, ["below [k] []", "broad [k] [r]", "kept [] []"]);
    for part in [
        "GET /a/{name} answers the requests of GET /a/{name}.{ext}, which is not routed",
        "It answers the requests of GET /a/{name}.{ext}, too",
        "GET /b/{name} answers the requests of GET /b/secret, which is not routed",
        "neither requires all that the other requires",
    ] {
        assert!(project.contains(part), "{part} is not in\n{project}");
    }
}

#[test]
fn settings_of_the_document_that_require_less_are_not_kept_silently() {
    let (routes, project) = imported(&json!({
        "/a": {"get": {"operationId": "a", "security": [{"k": []}], "x-tollgate": {"authn": "none"}}},
        "/b": {"get": {"operationId": "b", "security": [{"k": []}], "x-tollgate": {"internal": true}}},
        "/c": {"get": {"operationId": "c", "security": [{"k": []}], "x-tollgate": {"scopes": ["more"]}}},
    }));
    assert_eq!(routes, ["a [k] []", "b [k] []", "c [k] [more]"]);
    assert!(
        project.contains("the `authn` of one operation's `x-tollgate` is replaced by what its `security` requires"),
        "{project}"
    );
    assert!(project.contains("In place of `x-tollgate`; remove this if the upstream checks"), "{project}");
}

#[test]
fn the_first_test_sends_no_key_where_a_certificate_is_required() {
    let schemes = json!({"tls": {"type": "mutualTLS"}, "k": {"type": "apiKey", "in": "header", "name": "X-Key"}});
    let get = |security: Value| json!({"get": {"security": security}});
    for paths in [
        json!({"/a": get(json!([{"tls": []}]))}),
        json!({"/a": get(json!([{"tls": []}])), "/b/{c}": get(json!([{"k": []}]))}),
        json!({"/a": get(json!([{"tls": []}, {"k": []}]))}),
    ] {
        check(&json!({"openapi": "3.1.0", "components": {"securitySchemes": schemes}, "paths": paths})).unwrap();
    }
}

#[test]
fn nothing_is_written_if_the_document_hides_all_operations() {
    let hidden = json!({"get": {"x-tollgate": {"hidden": true}}});
    check(&json!({"openapi": "3.1.0", "paths": {"/a": hidden}})).unwrap();
}

#[test]
fn a_type_does_not_send_requests_of_a_guarded_operation_to_a_public_one() {
    let typed = |schema: Value| {
        let parameter = json!({"name": "id", "in": "path", "required": true, "schema": schema});
        json!({"get": {"operationId": "typed", "security": [{"k": []}], "parameters": [parameter]}})
    };
    for schema in [
        json!({"type": "integer"}),
        json!({"type": "boolean"}),
        json!({"type": "string", "format": "uuid"}),
        json!({"type": "string", "enum": ["a", "b"]}),
    ] {
        let public = json!({"get": {"operationId": "public"}});
        let paths = json!({"/users/{id}": typed(schema.clone()), "/{tenant}/{thing}": public});
        assert_eq!(paths_of(&paths), ["/users/{id}", "/{tenant}/{thing}"], "{schema}");
        let head = json!({"/users/{id}": typed(schema.clone()), "/{tenant}/{thing}": {"head": {}}});
        assert_eq!(paths_of(&head)[0], "/users/{id}", "{schema}");
        let special =
            json!({"/users/{id}": typed(schema), "/users/me": public, "/{a}/{b}": {"get": {"security": [{"k": []}]}}});
        assert!(paths_of(&special)[0].starts_with("/users/{id:"), "nothing that requires less takes the rest");
    }
}

/// The paths of the routes of an imported document, those of users first.
fn paths_of(paths: &Value) -> Vec<String> {
    let mut found: Vec<String> =
        made(paths).0.routes().iter().map(|route| route.settings.path.as_str().to_owned()).collect();
    found.sort_by_key(|path| (!path.starts_with("/users/{"), path.clone()));
    found
}

#[test]
fn an_authn_of_the_document_stays_for_a_public_operation() {
    let (routes, project) = imported(&json!({
        "/a": {"get": {"operationId": "a", "x-tollgate": {"authn": "k"}}},
        "/b": {"get": {"operationId": "b", "security": [{"k": []}]}},
        "/c": {"get": {"operationId": "c"}},
    }));
    assert_eq!(routes, ["a [k] []", "b [k] []", "c [] []"], "{project}");
}

#[test]
fn a_comment_is_written_only_with_an_entry() {
    let (routes, project) = imported(&json!({
        "/files/{name}.{ext}": {"get": {"security": [{"k": []}]}},
        "/files/{name}": {"get": {"operationId": "file"}},
    }));
    assert_eq!(routes, ["file [k] []"], "{project}");
    assert!(!project.contains("operations:"), "{project}");
}

#[test]
fn paths_that_share_an_item_are_routed_each() {
    let shared = json!({"$ref": "#/paths/~1v1~1me"});
    let (routes, project) = imported(&json!({
        "/v1/me": {"get": {"security": [{"k": []}]}},
        "/v2/me": shared,
        "/v1/{public}": {"get": {"operationId": "one"}},
        "/v2/{public}": {"get": {"operationId": "two"}},
    }));
    assert_eq!(routes, ["GET /v1/me [k] []", "GET /v2/me [k] []", "one [] []", "two [] []"], "{project}");
}
