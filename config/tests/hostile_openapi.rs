//! Malformed and oversized documents: reading them ends with a diagnostic and within the size limits.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use tollgate_analysis::compile_files;
use tollgate_config::Code;
use tollgate_config::import_openapi as import;
use tollgate_config::openapi::published;

/// The number of routed operations, and the codes of the findings.
fn read(name: &str, text: &str) -> (usize, Vec<Code>) {
    match import(name, text) {
        Ok((spec, found)) => (spec.operations().len(), found.iter().map(|found| found.code).collect()),
        Err(found) => (0, found.iter().map(|found| found.code).collect()),
    }
}

#[track_caller]
fn check(text: &str, routed: usize, expected: &[Code]) {
    let (found, mut codes) = read("s.yaml", text);
    codes.dedup();
    assert_eq!((found, codes.as_slice()), (routed, expected), "{}", text.chars().take(300).collect::<String>());
}

#[test]
fn nesting_is_bounded_in_json_and_yaml() {
    let deep = |open: &str, close: &str| {
        format!("{{\"openapi\": \"3.0.0\", \"x\": {}1{}}}", open.repeat(100_000), close.repeat(100_000))
    };
    for text in [deep("[", "]"), deep("{\"a\":", "}"), "[".repeat(1_000_000), "{".repeat(100_000)] {
        assert_eq!(read("s.json", &text).0, 0);
        assert_eq!(read("s.yaml", &text).0, 0);
    }
    check(&format!("openapi: 3.0.0\nx:\n {}", "- ".repeat(100_000)), 0, &[Code::TooLarge]);
}

#[test]
fn the_expansion_of_aliases_is_bounded() {
    let mut text = String::from("openapi: 3.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = format!("*a{}, ", level - 1).repeat(10);
        writeln!(text, "a{level}: &a{level} [{}]", below.trim_end_matches(", ")).unwrap();
    }
    check(&text, 0, &[Code::TooLarge]);
    check("openapi: 3.0.0\na: &a [*a]\n", 0, &[Code::EndlessAlias]);
}

#[test]
fn circular_references_are_reported() {
    check("openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1a'}}", 0, &[Code::NotRouted]);
    check("openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1b'}, /b: {$ref: '#/paths/~1a'}}", 0, &[Code::NotRouted]);
    check("openapi: 3.0.0\npaths: {/a: {$ref: '#'}}", 0, &[Code::SpecShape]);
    check(
        "openapi: 3.0.0\npaths: {'/a/{x}': {get: {parameters: [{$ref: '#/components/parameters/x'}]}}}\n\
         components: {parameters: {x: {$ref: '#/components/parameters/x'}}}",
        1,
        &[Code::BrokenReference],
    );
}

#[test]
fn circular_schemas_are_valid() {
    check(
        "openapi: 3.1.0\npaths: {'/a/{x}': {get: {parameters: [{name: x, in: path, schema: {$ref: '#/components/schemas/x'}}]}}}\n\
         components: {schemas: {x: {$ref: '#/components/schemas/y'}, y: {$ref: '#/components/schemas/x'}, \
         t: {properties: {t: {$ref: '#/components/schemas/t'}}}}}",
        1,
        &[],
    );
}

#[test]
fn the_length_of_reference_chains_is_bounded() {
    let chain = |length: usize| {
        let mut text = String::from("openapi: 3.0.0\npaths: {/a: {$ref: '#/x-c/0'}}\nx-c:\n");
        for place in 0..length {
            writeln!(text, "  '{place}': {{$ref: '#/x-c/{}'}}", place + 1).expect("it is written");
        }
        writeln!(text, "  '{length}': {{get: {{}}}}").expect("it is written");
        text
    };
    check(&chain(50), 1, &[]);
    check(&chain(10_000), 0, &[Code::NotRouted]);
}

#[test]
fn the_work_for_repeated_references_is_bounded() {
    let parameters: String = (0..2_000).map(|n| format!("    - {{name: p{n}, in: path}}\n")).collect();
    let paths: String = (0..60_000).map(|n| format!("  /p{n}: {{$ref: '#/x-item'}}\n")).collect();
    let text = format!("openapi: 3.0.0\nx-item:\n  get: {{}}\n  put: {{}}\n  parameters:\n{parameters}paths:\n{paths}");
    let (_, codes) = read("s.yaml", &text);
    assert_eq!(codes, [Code::TooMany]);
}

#[test]
fn shared_settings_of_many_paths_are_copied_once() {
    let words: String = (0..2_000).map(|n| format!("w{n}, ")).collect();
    let paths: String = (0..20_000).map(|n| format!("  /p{n}: {{$ref: '#/x-item'}}\n")).collect();
    let text = format!(
        "openapi: 3.0.0\nx-item:\n  x-tollgate: {{a: [{words}]}}\n  get: {{security: [{{k: [{words}]}}], x-tollgate: [{words}]}}\npaths:\n{paths}"
    );
    let (routed, codes) = read("s.yaml", &text);
    assert_eq!((routed, codes), (20_000, vec![Code::SpecShape]));
}

#[test]
fn duplicate_keys_are_reported_and_equal_ones_are_used() {
    let (routed, codes) =
        read("s.json", r#"{"openapi": "3.0.0", "paths": {"/a": {"get": {}}, "/a": {"get": {}, "put": {}}}}"#);
    assert_eq!((routed, codes), (0, vec![Code::DuplicateKey]), "an error: the values differ");
    check("openapi: 3.0.0\npaths: {/a: {get: {}, get: {}}}", 1, &[Code::DuplicateKey]);
}

#[test]
fn unambiguous_features_of_yaml_beyond_json_are_read() {
    check("openapi: 3.1\npaths: {/a: {get: {responses: {200: {}, 4XX: {}, default: {}}}}}", 1, &[]);
    check("openapi: !!str 3.0\npaths: !x {/a: {get: {tags: [no, yes, on, ~, 1]}}}", 1, &[]);
    check("x-c: &c {get: {}, put: {}}\nopenapi: 3.0.0\npaths: {/a: {<<: *c, put: {operationId: p}}}", 2, &[]);
    check("openapi: 3.0.0\npaths: {? [a, b] : {get: {}}, /a: {get: {}}}", 1, &[Code::KeyNotText]);
    check("openapi: 3.0.0\npaths: {/a: {get: {}}}\n---\nopenapi: 3.0.0\n", 1, &[Code::SeveralDocuments]);
}

#[test]
fn a_wrong_type_does_not_affect_other_operations() {
    let kept = "/kept: {get: {operationId: kept}}";
    for (part, codes) in [
        ("/a: 1", &[Code::SpecShape][..]),
        ("/a: []", &[Code::SpecShape]),
        ("/a: {get: 1}", &[Code::NotRouted]),
        ("/a: {get: }", &[Code::NotRouted]),
        ("/a: {$ref: 1}", &[Code::NotRouted]),
        ("/a: {$ref: 'https://example.com/a.yaml'}", &[Code::NotRouted]),
        ("/a: {$ref: '../../etc/passwd'}", &[Code::NotRouted]),
        ("/a: {GET: {}}", &[Code::SpecShape]),
        ("/a: {gett: {}}", &[Code::SpecShape]),
        ("/a: {query: {}, x-y: {}, summary: s}", &[Code::SpecShape]),
        ("/a: {trace: {}}", &[Code::NotRouted]),
        ("a: {get: {}}", &[Code::NotRouted]),
        ("'': {get: {}}", &[Code::NotRouted]),
        ("'/a/{b}{c}': {get: {}}", &[Code::NotRouted]),
        ("/a?b=c: {get: {}}", &[Code::NotRouted]),
        ("'/a#b': {get: {}}", &[Code::NotRouted]),
    ] {
        check(&format!("openapi: 3.0.0\npaths: {{{part}, {kept}}}"), 1, codes);
    }
    for (part, codes) in [
        ("/a: {get: {tags: 1, parameters: 1, x-tollgate: 1}}", &[][..]),
        ("/a: {get: {operationId: 7}}", &[Code::SpecShape]),
        ("/a: {get: {security: 1}}", &[Code::SpecShape]),
        ("/a: {get: {security: [1, [], {a: 1}]}}", &[Code::SpecShape]),
        ("'/a/{b}': {get: {parameters: [1, {}, {in: path}, {in: path, name: b, schema: []}]}}", &[]),
        ("/a: {parameters: [{$ref: '#/nowhere'}], get: {}}", &[Code::BrokenReference]),
        ("/a: {get: {operationId: kept}}", &[Code::DuplicateOperation]),
    ] {
        check(&format!("openapi: 3.0.0\npaths: {{{part}, {kept}}}"), 2, codes);
    }
    for text in ["openapi: 3.0.0\npaths: 1", "openapi: 3.0.0\npaths: [1]"] {
        assert_eq!(read("s.yaml", text).0, 0);
    }
    for text in ["1", "[]", "{}", "null", "''", "openapi: {}", "openapi: 4.0.0", "openapi: 2.0"] {
        check(text, 0, &[Code::NoOpenApi]);
    }
}

#[test]
fn what_is_not_routed_is_counted() {
    let paths = "/a: {GET: {}, gett: {}, get: {}}, /b: 1, /c: , /d: {trace: {}}, '/{x}{y}': {get: {}, put: {}}";
    let (spec, found) = import("s.yaml", &format!("openapi: 3.0.0\npaths: {{{paths}}}")).expect("it is read");
    assert_eq!((spec.operations().len(), spec.refused()), (1, 7), "{found}");
    assert!(found.to_string().contains("write `get`"), "{found}");
    let many: String = (0..150).map(|n| format!("/p{n}: {{trace: {{}}}}, ")).collect();
    let (spec, found) = import("s.yaml", &format!("openapi: 3.0.0\npaths: {{{many}}}")).expect("it is read");
    assert_eq!(spec.refused(), 150);
    assert!(found.to_string().contains("50 more operations are not routed"), "{found}");
}

#[track_caller]
fn check_template(version: &str, schema: &str, template: &str) {
    let text = format!(
        "openapi: {version}\npaths:\n  /a/{{x}}:\n    get:\n      parameters: [{{name: x, in: path, required: true, schema: {schema}}}]\n\
         components: {{schemas: {{id: {{type: string, format: uuid}}}}}}\n"
    );
    let (spec, _) = import("s.yaml", &text).expect("it is read");
    assert_eq!(spec.operations()[0].template().as_str(), template, "{schema}");
}

#[test]
fn parameters_are_typed_only_where_the_schema_is_unambiguous() {
    for (schema, template) in [
        ("{type: integer, format: int64, minimum: 1}", "/a/{x:int}"),
        ("{type: string, format: uuid, description: d, x-y: 1}", "/a/{x:uuid}"),
        ("{$ref: '#/components/schemas/id'}", "/a/{x:uuid}"),
        ("{type: boolean}", "/a/{x:bool}"),
        ("{type: string, enum: [open, closed]}", "/a/{x:(closed|open)}"),
        ("{type: string, enum: ['a b', closed]}", "/a/{x}"),
        ("{type: string, enum: [1, 2]}", "/a/{x}"),
        ("{type: string, enum: []}", "/a/{x}"),
        ("{type: string, pattern: '^[0-9]+$'}", "/a/{x}"),
        ("{type: integer, nullable: true}", "/a/{x}"),
        ("{type: number}", "/a/{x}"),
        ("{type: array, items: {type: integer}}", "/a/{x}"),
        ("{oneOf: [{type: integer}, {type: string}]}", "/a/{x}"),
        ("{type: integer, not: {const: 3}}", "/a/{x}"),
        ("{}", "/a/{x}"),
    ] {
        check_template("3.0.3", schema, template);
    }
    for (schema, template) in [
        ("{type: [integer]}", "/a/{x:int}"),
        ("{type: [integer, 'null']}", "/a/{x}"),
        ("{type: string, const: latest}", "/a/{x:(latest)}"),
        ("{$ref: '#/components/schemas/id', pattern: a}", "/a/{x}"),
    ] {
        check_template("3.1.0", schema, template);
    }
}

#[test]
fn operations_of_one_path_have_the_same_parameter_types() {
    let text = "openapi: 3.0.0
paths:
  /a/{x}/{y}:
    parameters: [{name: x, in: path, schema: {type: integer}}, {name: y, in: path, schema: {type: integer}}]
    get: {}
    put: {parameters: [{name: y, in: path, schema: {type: string}}]}
  /b/{x}: {get: {parameters: [{name: x, in: path, style: matrix, schema: {type: integer}}]}}
";
    let (spec, _) = import("s.yaml", text).unwrap();
    let templates: Vec<_> = spec.operations().iter().map(|operation| operation.template().as_str()).collect();
    assert_eq!(templates, ["/a/{x:int}/{y}", "/a/{x:int}/{y}", "/b/{x}"]);
}

#[test]
fn paths_that_differ_only_in_parameter_names_are_the_same() {
    let text = "openapi: 3.0.0\npaths: {'/a/{x}': {get: {operationId: x}, put: {}}, '/a/{y}': {get: {operationId: y}, post: {}}}";
    let (spec, found) = import("s.yaml", text).unwrap();
    assert_eq!(spec.operations().len(), 3);
    let text = found.to_string();
    assert!(text.contains("`GET /a/{y}` is not routed: `GET /a/{x}` matches the same requests"), "{text}");
}

#[test]
fn a_published_document_has_no_gateway_extensions() {
    let text = "openapi: 3.1.0\nx-tollgate: {limit: a}\npaths: {/a: {x-tollgate: {}, get: {x-tollgate: {}, x-other: 1, tags: [b, a]}}}";
    let expected = r#"{"openapi":"3.1.0","paths":{"/a":{"get":{"x-other":1,"tags":["b","a"]}}}}"#;
    assert_eq!(published("s.yaml", text).unwrap(), expected);
    assert!(published("s.json", "{").is_err());
}

/// A document as large as the largest known public ones: 2,000 operations, 20,000 schemas that refer to each other.
fn synthetic() -> String {
    let mut text = String::from("{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"Large\",\"version\":\"1\"},\"paths\":{");
    for n in 0..1_000 {
        let comma = if n == 0 { "" } else { "," };
        write!(
            text,
            "{comma}\"/apis/group{n}/v1/things/{{id}}\":{{\"parameters\":[{{\"$ref\":\"#/components/parameters/id{n}\"}}],\
             \"get\":{{\"operationId\":\"group/get-{n}\",\"tags\":[\"t{}\"]}},\"put\":{{\"operationId\":\"group/put-{n}\"}}}}",
            n % 20
        )
        .expect("it is written");
    }
    text.push_str("},\"components\":{\"parameters\":{\"x\":{}");
    for n in 0..1_000 {
        write!(text, ",\"id{n}\":{{\"name\":\"id\",\"in\":\"path\",\"schema\":{{\"type\":\"integer\"}}}}")
            .expect("it is written");
    }
    text.push_str("},\"schemas\":{\"x\":{}");
    for n in 0..20_000 {
        let other = (n * 7 + 1) % 20_000;
        write!(
            text,
            ",\"s{n}\":{{\"type\":\"object\",\"description\":\"{}\",\"properties\":{{\"a\":{{\"$ref\":\"#/components/schemas/s{other}\"}},\
             \"b\":{{\"type\":\"array\",\"items\":{{\"$ref\":\"#/components/schemas/s{n}\"}}}}}}}}",
            "words ".repeat(20)
        )
        .expect("it is written");
    }
    text.push_str("}}}");
    text
}

#[test]
fn every_operation_of_a_very_large_document_is_routed() {
    let project = "format: 1\ngateway: {name: t}\nupstreams: {u: \"http://localhost:1\"}\napis:\n  a: {upstream: u, spec: s.json, authn: none, limit: none}\n";
    let files: BTreeMap<String, String> =
        [("tollgate.yaml".to_owned(), project.to_owned()), ("s.json".to_owned(), synthetic())].into();
    let compiled = compile_files(&files).expect("it compiles");
    assert_eq!(compiled.routes().len(), 2_000);
    assert!(compiled.warnings().is_empty(), "{}", compiled.warnings());
    let typed = compiled.routes().iter().filter(|route| route.settings.path.as_str().ends_with("{id:int}")).count();
    assert_eq!(typed, 2_000);
    assert!(compiled.routes().iter().any(|route| route.settings.id == "a.group.get-7"));
}

fn any_value() -> impl Strategy<Value = serde_json::Value> {
    let words = prop::sample::select(vec![
        "#/paths/~1a",
        "#",
        "path",
        "a",
        "/a/{x}",
        "integer",
        "3.0.0",
        "x.yaml#/a",
        "{",
        "$ref",
        "get",
    ]);
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i32>().prop_map(serde_json::Value::from),
        words.prop_map(serde_json::Value::from),
    ];
    let keys = prop::sample::select(vec![
        "$ref",
        "paths",
        "/a",
        "/a/{x}",
        "/b/{x}{y}",
        "get",
        "put",
        "trace",
        "parameters",
        "name",
        "in",
        "schema",
        "type",
        "enum",
        "security",
        "securitySchemes",
        "components",
        "tags",
        "operationId",
        "x-tollgate",
        "servers",
        "format",
    ]);
    leaf.prop_recursive(6, 80, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn reading_any_document_terminates(mut root in any_value(), pretty in any::<bool>()) {
        if let Some(map) = root.as_object_mut() {
            map.insert("openapi".to_owned(), "3.1.0".into());
        }
        let text = if pretty { serde_json::to_string_pretty(&root) } else { serde_json::to_string(&root) }.unwrap();
        let json = read("s.json", &text);
        // JSON is valid YAML with the same meaning.
        prop_assert_eq!(json, read("s.yml", &text));
    }

    #[test]
    fn reading_any_text_terminates(text in "(openapi: 3.0.0\n)?[ \\-:{}\\[\\]&*#'\"a-c/$ref\n]{0,60}") {
        read("s.yaml", &text);
        read("s.json", &text);
    }

    #[test]
    fn any_path_is_routed_or_refused(path in "/?[a-c/{}?#%.:*+ ]{0,20}") {
        let text = serde_json::json!({"openapi": "3.0.0", "paths": {path: {"get": {}}}}).to_string();
        let (spec, found) = import("s.json", &text).unwrap();
        prop_assert_eq!(spec.operations().len() + spec.refused(), 1);
        prop_assert_eq!(spec.refused(), found.len());
    }
}
