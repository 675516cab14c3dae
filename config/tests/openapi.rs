//! Projects whose routes come from OpenAPI documents.

use std::collections::BTreeMap;
use tollgate_core::kinds::Slot;
use tollgate_core::settings::RouteSettings;

use tollgate_analysis::compile_files;
use tollgate_config::{Code, Compiled, Diagnostics, Severity};

const PROJECT: &str = "format: 1
gateway: {name: test, hosts: [api.example.com]}
upstreams: {pets: \"http://localhost:9000\"}
policies:
  keys: {kind: api-key, header: X-API-Key}
  devices: {kind: client-certificate}
  people: {kind: basic}
  visitors: {kind: anonymous}
  tokens: {kind: api-key, header: Authorization, scheme: Bearer}
  burst: {kind: rate-limit, rate: 10/s, burst: 10}
apis:
  spare: {upstream: pets, base: /spare, authn: {any: [keys, tokens, devices, people, visitors]}, limit: burst, routes: [{path: /x, id: x}]}
  pets:
    upstream: pets
    base: /v1
";

const SPEC: &str = "openapi: 3.1.0
info: {title: Pets, version: 1.0.0}
servers: [{url: https://elsewhere.example/api}]
paths:
  /pets:
    get: {operationId: listPets, tags: [pets, reading]}
    post: {operationId: addPet, tags: [pets, writing]}
  /pets/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get: {operationId: getPet, tags: [pets, reading]}
  /health:
    get: {}
";

fn files(api: &str, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let api: String = api.lines().map(|line| format!("    {line}\n")).collect();
    files.insert("tollgate.yaml".to_owned(), format!("{PROJECT}{api}"));
    files.insert("openapi.yaml".to_owned(), SPEC.to_owned());
    for (name, text) in more {
        files.insert((*name).to_owned(), (*text).to_owned());
    }
    files
}

#[track_caller]
fn compiled(api: &str, more: &[(&str, &str)]) -> Compiled {
    compile_files(&files(api, more)).expect("the project compiles")
}

/// Routes as `id METHOD path`, each with its authentication policies and limits.
fn routes(compiled: &Compiled) -> Vec<String> {
    let names = |route: &RouteSettings, slot: Slot| {
        let policies = route.policies(compiled.policies()).filter(|policy| policy.slot == slot);
        policies.map(|policy| policy.name.to_owned()).collect::<Vec<_>>().join("+")
    };
    let line = |route: &tollgate_config::CompiledRoute| {
        let settings = &route.settings;
        let (id, methods, path) = (&settings.id, settings.methods.join(","), &settings.path);
        format!("{id} {methods} {path} [{}] [{}]", names(settings, Slot::Authn), names(settings, Slot::Limit))
    };
    let of_pets = compiled.routes().iter().filter(|route| route.settings.api == "pets");
    let mut routes: Vec<String> = of_pets.map(line).collect();
    routes.sort();
    routes
}

fn codes(found: &Diagnostics) -> Vec<(Code, Severity)> {
    found.iter().map(|found| (found.code, found.severity)).collect()
}

#[track_caller]
fn check_error(api: &str, more: &[(&str, &str)], code: Code, text: &str) {
    let found = compile_files(&files(api, more)).expect_err(api);
    let errors: Vec<_> = found.iter().filter(|found| found.severity == Severity::Error).collect();
    assert_eq!(errors.iter().map(|found| found.code).collect::<Vec<_>>(), [code], "{found}");
    assert!(found.to_string().contains(text), "{found}");
}

#[test]
fn operations_become_routes_below_the_base() {
    let compiled = compiled("spec: ./openapi.yaml\nauthn: keys\nlimit: none\n", &[]);
    assert_eq!(
        routes(&compiled),
        [
            "pets.GET /health GET /v1/health [keys] []",
            "pets.addPet POST /v1/pets [keys] []",
            "pets.getPet GET /v1/pets/{id} [keys] []",
            "pets.listPets GET /v1/pets [keys] []",
        ]
    );
    assert!(compiled.warnings().is_empty(), "{}", compiled.warnings());
}

#[test]
fn a_version_without_quotes_is_read_as_it_is_written() {
    let spec = |version: &str| SPEC.replace("openapi: 3.1.0", &format!("openapi: {version}"));
    let api = "spec: openapi.yaml\nauthn: none\n";
    for version in ["3.0", "3.1", "3.1   # a comment", "\t3.0", "'3.0'"] {
        assert_eq!(routes(&compiled(api, &[("openapi.yaml", &spec(version))])).len(), 4, "{version}");
    }
    for (version, text) in [
        ("3.10", "OpenAPI version `3.10` is not supported"),
        ("3.2", "OpenAPI version `3.2` is not supported"),
        ("2.0", "OpenAPI version `2.0` is not supported"),
        ("3", "write the whole version, such as `openapi: 3.0.3`"),
        ("true", "`openapi` is not a version"),
    ] {
        check_error(api, &[("openapi.yaml", &spec(version))], Code::NoOpenApi, text);
    }
    let json = "{\"openapi\": 3.0, \"paths\": {\"/a\": {\"get\": {}}}}";
    let overlay = "overlay: 1.0\nactions: [{target: $.paths, update: {/b: {get: {}}}}]\n";
    let more = [("openapi.json", json), ("more.overlay.yaml", overlay)];
    let both = compiled("spec: openapi.json\noverlays: [more.overlay.yaml]\nauthn: none\n", &more);
    assert_eq!(routes(&both).len(), 2);
}

#[test]
fn an_api_may_have_both_a_specification_and_routes() {
    let compiled =
        compiled("spec: openapi.yaml\nauthn: none\nroutes: [{path: /more, methods: [GET], id: more}]\n", &[]);
    assert!(routes(&compiled).contains(&"pets.more GET /v1/more [] []".to_owned()));
    assert_eq!(routes(&compiled).len(), 5);
}

#[test]
fn entries_apply_by_specificity_and_not_by_order() {
    let entries = [
        "{select: {operation: listPets}, authn: none, timeout: 1s}",
        "{select: {method: [GET], path: /pets}, limit: burst, timeout: 2s}",
        "{select: {tag: pets}, authn: keys, timeout: 3s, cost: 5}",
    ];
    let mut ids = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let list: String = order.iter().map(|place| format!("  - {}\n", entries[*place])).collect();
        let compiled = compiled(&format!("spec: openapi.yaml\nlimit: burst\nauthn: none\noperations:\n{list}"), &[]);
        let all = routes(&compiled);
        assert!(all.contains(&"pets.listPets GET /v1/pets [] [burst]".to_owned()), "{all:?}");
        assert!(all.contains(&"pets.addPet POST /v1/pets [keys] [burst]".to_owned()), "{all:?}");
        let timeouts: Vec<_> =
            compiled.routes().iter().map(|route| (&route.settings.id, route.settings.timeout_ms)).collect();
        assert!(timeouts.contains(&(&"pets.listPets".to_owned(), Some(1_000))), "{timeouts:?}");
        assert!(timeouts.contains(&(&"pets.getPet".to_owned(), Some(3_000))), "{timeouts:?}");
        ids.push(compiled.id().to_string());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn entries_of_equal_specificity_must_not_conflict() {
    let api = |second: &str| {
        format!(
            "spec: openapi.yaml\nauthn: none\noperations:\n  - {{select: {{tag: pets}}, cache: {{ttl: 1m}}}}\n  - {second}\n"
        )
    };
    check_error(&api("{select: {tag: reading}, cache: {ttl: 2m}}"), &[], Code::SelectConflict, "`cache`");
    compiled(&api("{select: {tag: reading}, cache: {ttl: 1m}}"), &[]);
    compiled(&api("{select: {tag: writing}, cost: 1}"), &[("x", "")]);
}

#[test]
fn a_conflict_that_a_more_specific_entry_overrides_is_none() {
    let api = |key: &str, [first, second]: [&str; 2], third: &str| {
        let third = if third.is_empty() { String::new() } else { format!(", {key}: {third}") };
        format!(
            "spec: openapi.yaml\nauthn: none\nlimit: none\noperations:
  - {{select: {{tag: pets}}, {key}: {first}}}
  - {{select: {{tag: reading}}, {key}: {second}}}
  - {{select: {{path: /pets, method: [GET]}}, cost: 1{third}}}
  - {{select: {{operation: getPet}}, cost: 1{third}}}\n"
        )
    };
    for (key, both, third, is_conflict) in [
        ("timeout", ["5s", "30s"], "", true),
        ("timeout", ["5s", "30s"], "10s", false),
        ("limit", ["burst", "none"], "burst", true),
        ("limit", ["burst", "none"], "{replace: true, use: [burst]}", false),
        ("limit", ["burst", "none"], "none", false),
        ("authn", ["keys", "tokens"], "{replace: true, any: [keys]}", false),
        ("authn", ["[keys]", "{any: [keys]}"], "", false),
        ("authn", ["keys", "{any: [keys, tokens]}"], "", true),
        ("scopes", ["[a]", "[b]"], "[c]", true),
    ] {
        let api = api(key, both, third);
        let found = compile_files(&files(&api, &[])).err();
        let has_conflict = found.iter().flat_map(|found| found.iter()).any(|one| one.code == Code::SelectConflict);
        assert_eq!((has_conflict, found.is_some()), (is_conflict, is_conflict), "{api}{found:?}");
    }
}

#[test]
fn a_list_of_one_item_is_no_conflict_with_the_item() {
    let entries = |first: &str, second: &str| {
        format!(
            "spec: openapi.yaml\nauthn: keys\nlimit: none\noperations:\n  - {{select: {{operation: addPet}}, limit: {first}}}\n  - {{select: {{operation: addPet}}, limit: {second}}}\n"
        )
    };
    assert!(routes(&compiled(&entries("burst", "[burst]"), &[])).iter().any(|route| route.ends_with("[burst]")));
    check_error(&entries("burst", "none"), &[], Code::SelectConflict, "write one entry for the operation");
}

#[test]
fn an_entry_that_selects_no_operation_is_an_error_with_a_suggestion() {
    for (select, text) in [
        ("{operation: listPet}", "did you mean `listPets`?"),
        ("{tag: petz}", "did you mean `pets`?"),
        ("{path: /pet}", "did you mean `/pets`?"),
        ("{path: /pets, method: [DELETE]}", "`DELETE` of the path `/pets`"),
    ] {
        let api = format!("spec: openapi.yaml\nauthn: none\noperations: [{{select: {select}, timeout: 1s}}]\n");
        check_error(&api, &[], Code::NothingSelected, text);
    }
    check_error(
        "spec: openapi.yaml\nauthn: none\noperations: [{select: {}, timeout: 1s}]\n",
        &[],
        Code::MissingKey,
        "select",
    );
    let api = "spec: openapi.yaml\nauthn: none\noperations: [{select: {path: /pets, method: [get]}, timeout: 1s}]\n";
    let found = compile_files(&files(api, &[])).expect_err(api);
    assert!(found.iter().any(|found| found.code == Code::BadMethod), "{found}");
}

#[test]
fn hidden_operations_are_not_routed_and_internal_ones_are_internal() {
    let api = "spec: openapi.yaml\nauthn: none\noperations:
  - {select: {tag: pets}, hidden: true}
  - {select: {operation: getPet}, hidden: false, internal: true}\n";
    let compiled = compiled(api, &[]);
    assert_eq!(routes(&compiled), ["pets.GET /health GET /v1/health [] []", "pets.getPet GET /v1/pets/{id} [] []"]);
    assert!(compiled.routes().iter().any(|route| route.settings.internal));
}

#[test]
fn the_project_overrides_the_extensions_of_a_specification() {
    let spec = "openapi: 3.0.3
x-tollgate: {limit: burst, timeout: 1s}
paths:
  /a:
    x-tollgate: {timeout: 2s}
    get: {operationId: a, x-tollgate: {timeout: 3s, scopes: [read]}}
    put: {operationId: b}
  /c: {get: {operationId: c}}
";
    let api = "spec: s.yaml\nauthn: keys\noperations: [{select: {path: /c}, timeout: 4s}]\n";
    let compiled = compiled(api, &[("s.yaml", spec)]);
    let found: Vec<_> = compiled.routes().iter().map(|r| (r.settings.id.as_str(), r.settings.timeout_ms)).collect();
    for expected in [("pets.a", Some(3_000)), ("pets.b", Some(2_000)), ("pets.c", Some(4_000))] {
        assert!(found.contains(&expected), "{found:?}");
    }
    assert!(routes(&compiled).iter().all(|route| route.ends_with("[burst]")));
    let api = "spec: s.yaml\nauthn: keys\n";
    let spec = "openapi: 3.0.3\npaths: {/a: {get: {x-tollgate: {timeot: 1s}}}}\n";
    check_error(api, &[("s.yaml", spec)], Code::UnknownKey, "did you mean `timeout`?");
}

#[test]
fn overlays_apply_in_order_and_do_not_change_the_file() {
    let overlay = |actions: &str| format!("overlay: 1.0.0\ninfo: {{title: t, version: 1.0.0}}\nactions: {actions}\n");
    let hide = overlay("[{target: '$.paths.*[?@.tags[?@ == \"writing\"]]', remove: true}]");
    let add = overlay("[{target: $.paths, update: {/toys: {get: {operationId: toys}}}}]");
    let then = overlay("[{target: \"$.paths['/toys'].get\", update: {operationId: listToys}}]");
    let compiled = compiled(
        "spec: openapi.yaml\nauthn: keys\noverlays: [o/hide.yaml, add.yml, then.yaml]\n",
        &[("o/hide.yaml", &hide), ("add.yml", &add), ("then.yaml", &then)],
    );
    let ids: Vec<_> = compiled.routes().iter().map(|route| route.settings.id.as_str()).collect();
    assert!(ids.contains(&"pets.listToys") && !ids.contains(&"pets.addPet"), "{ids:?}");
}

#[test]
fn unusable_files_and_documents_are_reported() {
    for (spec, content, code, text) in [
        ("missing.yaml", "", Code::UnreadableFile, "missing.yaml"),
        ("../outside.yaml", "", Code::UnreadableFile, "outside the project folder"),
        ("s.yaml", "swagger: '2.0'\n", Code::NoOpenApi, "swagger2openapi"),
        ("s.yaml", "openapi: 3.2.0\n", Code::NoOpenApi, "3.2.0"),
        ("s.yaml", "openapi: [3]\n", Code::NoOpenApi, "not a version"),
        ("s.yaml", "a: 1\n", Code::NoOpenApi, "no key `openapi`"),
        ("s.yaml", "", Code::EmptyFile, "empty"),
        ("s.json", "{\"openapi\": \"3.0.0\",}", Code::Syntax, "invalid JSON"),
        ("s.yaml", "openapi: 3.0.0\npaths: {a: {\n", Code::Syntax, "invalid YAML"),
    ] {
        check_error(&format!("spec: {spec}\nauthn: none\n"), &[("s.yaml", content), ("s.json", content)], code, text);
    }
    check_error("authn: none\n", &[], Code::MissingKey, "neither `routes` nor `spec`");
    let overlays = "spec: openapi.yaml\nauthn: none\noverlays: [o.yaml]\n";
    check_error(overlays, &[("o.yaml", "overlay: 3.0.0\n")], Code::BadOverlay, "overlay: 1.0.0");
    check_error(overlays, &[], Code::UnreadableFile, "o.yaml");
    check_error("routes: []\nauthn: none\noverlays: [o.yaml]\n", &[], Code::MissingKey, "without `spec`");
}

/// Checks the warnings for a specification whose only operation has `security`, with `api` as the settings of the API.
#[track_caller]
fn check_security(api: &str, security: &str, expected: &[Code], text: &str) {
    let spec = format!(
        "openapi: 3.1.0
security: {security}
components:
  securitySchemes:
    key: {{type: apiKey, in: header, name: X-Api-Key}}
    query: {{type: apiKey, in: query, name: key}}
    cookie: {{type: apiKey, in: cookie, name: sid}}
    basic: {{type: http, scheme: basic}}
    bearer: {{type: http, scheme: Bearer}}
    oauth: {{type: oauth2, flows: {{}}}}
    oidc: {{type: openIdConnect, openIdConnectUrl: https://id.example.com}}
    tls: {{type: mutualTLS}}
paths: {{/a: {{get: {{operationId: a}}}}}}
"
    );
    let compiled = compiled(&format!("spec: s.yaml\n{api}\n"), &[("s.yaml", &spec)]);
    let found = compiled.warnings();
    assert_eq!(codes(found), expected.iter().map(|code| (*code, Severity::Warning)).collect::<Vec<_>>(), "{found}");
    assert!(found.to_string().contains(text), "{found}");
}

#[test]
fn weaker_authentication_than_specified_is_reported() {
    use Code::{OtherCredential, WeakerThanSpec};
    for optional in ["[]", "[{}]", "[{key: []}, {}]"] {
        check_security("authn: none", optional, &[], "");
    }
    check_security("authn: none", "[{key: []}, {oauth: [read]}]", &[WeakerThanSpec], "(`key` and `oauth`)");
    check_security("authn: none\ninternal: true", "[{key: []}]", &[Code::NoHost], "");
    check_security("authn: keys", "[{key: []}]", &[], "");
    check_security("authn: keys", "[{key: []}, {basic: []}]", &[], "");
    check_security("authn: keys", "[{tls: []}]", &[WeakerThanSpec], "client certificate");
    check_security("authn: keys", "[{tls: []}, {key: []}]", &[], "");
    check_security("authn: devices", "[{tls: []}]", &[], "");
    check_security("authn: {all: [devices, keys]}", "[{tls: [], key: []}]", &[], "");
    check_security("authn: devices", "[{tls: [], key: []}]", &[WeakerThanSpec], "one credential");
    check_security("authn: keys", "[{key: [], bearer: []}]", &[WeakerThanSpec], "several together");
    check_security("authn: keys", "[{key: [], bearer: []}, {query: []}]", &[WeakerThanSpec], "several together");
    check_security("authn: keys", "[{key: [], bearer: []}, {key: []}]", &[], "");
    check_security("authn: keys", "[{tls: [], key: []}, {query: []}]", &[WeakerThanSpec], "client certificate");
    check_security("authn: keys", "[{query: []}]", &[OtherCredential], "query parameter `key`");
    check_security("authn: keys", "[{cookie: []}]", &[OtherCredential], "cookie `sid`");
    check_security("authn: keys", "[{basic: []}]", &[OtherCredential], "Basic");
    // No policy reads cookies, so none is told to.
    let only_overlay = "= fix: declare the credential that the gateway reads with an overlay";
    check_security("authn: keys", "[{cookie: []}]", &[OtherCredential], only_overlay);
    check_security("authn: keys", "[{basic: []}]", &[OtherCredential], "configure a policy to read it");
    check_security("authn: people", "[{basic: []}]", &[], "");
    check_security("authn: {any: [people, visitors]}", "[{basic: []}]", &[WeakerThanSpec], "`basic`");
    check_security("authn: keys", "[{basic: []}, {query: []}]", &[OtherCredential], "configure a policy to read it");
    check_security(
        "authn: keys",
        "[{key: [], cookie: []}]",
        &[WeakerThanSpec],
        "declare only the gateway's with an overlay",
    );
    check_security("authn: keys", "[{key: [], cookie: []}]", &[WeakerThanSpec], "with a part of the credentials");
    check_security("authn: keys", "[{oidc: []}]", &[OtherCredential], "OpenID Connect");
    check_security("authn: keys", "[{unheard: []}]", &[Code::SpecShape], "security scheme `unheard` is not defined");
    check_security("authn: none", "[{unheard: []}]", &[Code::SpecShape, WeakerThanSpec], "");
}

#[test]
fn missing_required_scopes_are_reported() {
    let api = |scopes: &str| format!("authn: keys\noperations: [{{select: {{operation: a}}, scopes: {scopes}}}]");
    use Code::WeakerThanSpec;
    check_security(&api("[other]"), "[{key: [read, write]}]", &[WeakerThanSpec], "`read` and `write`");
    check_security(&api("[write]"), "[{key: [read, write]}]", &[WeakerThanSpec], ": `read`");
    check_security(&api("[read, write]"), "[{key: [read, write]}]", &[], "");
    check_security(&api("[admin]"), "[{key: [read]}, {key: [admin]}]", &[], "");
    check_security(&api("[read]"), "[{key: ['read write']}]", &[WeakerThanSpec], ": `write`");
    let many: Vec<String> = (0..200).map(|n| format!("s{n}")).collect();
    check_security(&api("[s0]"), &format!("[{{key: [{}]}}]", many.join(", ")), &[WeakerThanSpec], "`s1`");
    check_security(&api("[s0]"), &format!("[{{key: [{}s1]}}]", "s0, ".repeat(64)), &[WeakerThanSpec], ": `s1`");
}

#[test]
fn an_alternative_that_is_accepted_with_fewer_scopes_than_specified_is_reported() {
    let api = |scopes: &str| {
        format!("authn: {{any: [keys, tokens]}}\noperations: [{{select: {{operation: a}}, scopes: {scopes}}}]")
    };
    use Code::WeakerThanSpec;
    check_security(&api("[]"), "[{key: []}, {oauth: [write]}]", &[WeakerThanSpec], ": `write`");
    check_security(&api("[write]"), "[{key: []}, {oauth: [write]}]", &[], "");
    check_security("authn: keys", "[{key: []}, {oauth: [write]}]", &[], "");
}

#[test]
fn alternatives_of_scopes_are_compared_with_those_of_the_specification() {
    let api = |scopes: &str| format!("authn: tokens\noperations: [{{select: {{operation: a}}, scopes: {scopes}}}]");
    use Code::WeakerThanSpec;
    let either = "[{bearer: [read]}, {bearer: [admin, all]}]";
    check_security(&api("{any: [read, {all: [admin, all]}]}"), either, &[], "");
    check_security(&api("{any: [read, admin]}"), either, &[WeakerThanSpec], ": `read`");
    check_security(&api("{any: [read, other]}"), either, &[WeakerThanSpec], ": `read`");
    check_security(&api("{all: [read]}"), either, &[], "");
}

#[test]
fn scopes_of_the_specification_are_required_if_the_api_says_so() {
    for (authn, security, all, sets) in [
        ("tokens", "[{bearer: [b, a]}]", "a b", ""),
        ("tokens", "[{bearer: [read]}, {bearer: [admin, all]}]", "", "admin all|read"),
        ("tokens", "[{bearer: [read, x]}, {bearer: [admin, x]}]", "x", "admin|read"),
        // Of an alternative with other schemes it is not known which credential has the scope.
        ("{any: [keys, tokens]}", "[{key: []}, {bearer: [write]}]", "write", ""),
        ("{any: [keys, tokens]}", "[{key: [a]}, {bearer: [b]}]", "a b", ""),
        ("tokens", "[{bearer: []}]", "", ""),
        ("tokens", "[{bearer: [a]}, {}]", "", ""),
        ("none", "[{bearer: [a]}]", "", ""),
    ] {
        let spec = format!(
            "openapi: 3.1.0
security: {security}
components:
  securitySchemes:
    key: {{type: apiKey, in: header, name: X-Api-Key}}
    bearer: {{type: http, scheme: bearer}}
paths: {{/a: {{get: {{operationId: a}}}}}}
"
        );
        let api = format!("spec: s.yaml\nspec-scopes: true\nauthn: {authn}\n");
        let compiled = compiled(&api, &[("s.yaml", &spec)]);
        let route = &compiled.routes().iter().find(|route| route.settings.api == "pets").unwrap().settings;
        let found = route.scope_sets.iter().map(|set| set.join(" ")).collect::<Vec<_>>().join("|");
        assert_eq!((route.scopes.join(" ").as_str(), found.as_str()), (all, sets), "{authn} {security}");
    }
}

#[test]
fn a_requirement_of_another_shape_is_reported_and_still_required() {
    use Code::{SpecShape, WeakerThanSpec};
    for security in ["{key: []}", "{}", "key", "[key]", "7", "", "[null]", "[[key]]"] {
        check_security("authn: none", security, &[SpecShape, WeakerThanSpec], "without authentication");
    }
    for scopes in ["read", "{read: x}", "[[read]]", "['read', 7]"] {
        check_security("authn: keys", &format!("[{{key: {scopes}}}]"), &[SpecShape, WeakerThanSpec], "`read`");
    }
    check_security("authn: keys", "[{key: }]", &[SpecShape], "must be a list of strings");
}

#[test]
fn no_part_of_a_requirement_is_left_out() {
    let spec = |parts: &str| {
        format!(
            "openapi: 3.1.0\nsecurity: [{parts}]\ncomponents: {{securitySchemes: {{k: {{type: apiKey, in: header, name: X-API-Key}}}}}}\npaths: {{/a: {{get: {{}}}}}}\n"
        )
    };
    let scopes: String = (0..2_600).map(|n| format!("s{n}, ")).collect();
    let api = "spec: s.yaml\nauthn: keys\n";
    for parts in [format!("{{k: [{scopes}]}}"), "{k: []}, ".repeat(1_300)] {
        check_error(api, &[("s.yaml", &spec(&parts))], Code::TooMany, "none of them may be ignored");
    }
    let last = format!("{}{{k: [read]}}", "{k: [write]}, ".repeat(200));
    let found = compiled(api, &[("s.yaml", &spec(&last))]);
    assert_eq!(codes(found.warnings()), [(Code::WeakerThanSpec, Severity::Warning)]);
    let schemes: String =
        (0..80).map(|n| format!("    k{n}: {{type: apiKey, in: header, name: X-API-Key}}\n")).collect();
    let many = format!(
        "openapi: 3.1.0\nsecurity: [{{k79: []}}]\npaths: {{/a: {{get: {{}}}}}}\ncomponents:\n  securitySchemes:\n{schemes}"
    );
    assert!(compiled(api, &[("s.yaml", &many)]).warnings().is_empty(), "a scheme beyond the 64th is defined");
}

#[test]
fn every_tag_of_an_operation_selects_it() {
    let tags: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
    let spec = format!("openapi: 3.1.0\npaths: {{/a: {{get: {{tags: [{}]}}}}}}\n", tags.join(", "));
    let api = "spec: s.yaml\nauthn: none\noperations: [{select: {tag: t99}, authn: keys}]\n";
    assert_eq!(routes(&compiled(api, &[("s.yaml", &spec)])), ["pets.GET /a GET /v1/a [keys] []"]);
}

#[test]
fn a_reference_that_is_not_read_has_its_own_reason() {
    for (reference, text) in [
        ("../ids.yaml#/id", "leads outside the folder whose files are read"),
        ("/etc/ids.yaml", "is an absolute path"),
        ("..\\ids.yaml", "contains a `\\`"),
        ("https://a/ids.yaml", "is a URL"),
    ] {
        let spec = format!("openapi: 3.1.0\npaths: {{/a: {{$ref: '{reference}'}}, /b: {{get: {{}}}}}}\n");
        let found = compiled("spec: s.yaml\nauthn: none\n", &[("s.yaml", &spec)]);
        assert_eq!(codes(found.warnings()), [(Code::NotRouted, Severity::Warning)], "{}", found.warnings());
        assert!(found.warnings().to_string().contains(text), "{}", found.warnings());
    }
    let spec = "openapi: 3.1.0\nsecurity: [{k: []}]\ncomponents: {securitySchemes: {k: {$ref: '#/nowhere'}}}\npaths: {/b: {get: {}}}\n";
    let found = compiled("spec: s.yaml\nauthn: keys\n", &[("s.yaml", spec)]);
    assert_eq!(codes(found.warnings()), [(Code::BrokenReference, Severity::Warning)], "{}", found.warnings());
}

#[test]
fn a_weakness_of_many_operations_is_reported_once() {
    let paths: String = (0..50).map(|n| format!("  /p{n}: {{get: {{operationId: o{n}}}}}\n")).collect();
    let spec = format!(
        "openapi: 3.0.0\nsecurity: [{{k: []}}]\ncomponents: {{securitySchemes: {{k: {{type: apiKey, in: header, name: k}}}}}}\npaths:\n{paths}"
    );
    let compiled = compiled("spec: s.yaml\nauthn: none\n", &[("s.yaml", &spec)]);
    assert_eq!(codes(compiled.warnings()), [(Code::WeakerThanSpec, Severity::Warning)]);
    assert!(compiled.warnings().to_string().contains("50 operations"));
}
