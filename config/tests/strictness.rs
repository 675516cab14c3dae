//! An operation of a specification never answers requests of another one that requires more.

mod secured;

use secured::document;
use tollgate_analysis::compile_files;
use tollgate_config::Compiled;

/// A project with a document, whose operations are named by the first letter of their ids.
fn compiled(api: &str, paths: &str) -> Compiled {
    let project = format!(
        "format: 1
gateway: {{name: test, limit: none, hosts: [a.example]}}
upstreams: {{pets: \"http://localhost:9000\"}}
policies: {{keys: {{kind: api-key}}}}
apis: {{pets: {{upstream: pets, spec: s.yaml, {api}}}, x: {{upstream: pets, base: /x, authn: keys, routes: [{{path: /, id: x}}]}}}}
"
    );
    let files = [("tollgate.yaml", project), ("s.yaml", document(paths))];
    compile_files(&files.map(|(name, text)| (name.to_owned(), text)).into()).expect("the project compiles")
}

/// The ids of the operations that are routed.
fn routed(paths: &str) -> Vec<String> {
    let (spec, _) = tollgate_config::import_openapi("s.yaml", &document(paths)).expect("a document");
    spec.operations().iter().filter_map(|operation| operation.id().map(str::to_owned)).collect()
}

/// Checks which of two operations for the same requests is routed, in both orders.
#[track_caller]
fn check_pair(a: &str, b: &str, expected: &[&str]) {
    let (a, b) = (
        format!("  /p/{{a}}: {{get: {{operationId: a, {a}}}}}\n"),
        format!("  /p/{{b}}: {{get: {{operationId: b, {b}}}}}\n"),
    );
    for paths in [format!("{a}{b}"), format!("{b}{a}")] {
        assert_eq!(routed(&paths), expected, "{paths}");
    }
}

#[test]
fn the_stricter_of_two_operations_for_the_same_requests_is_routed() {
    check_pair("security: []", "security: [{k: []}]", &["b"]);
    check_pair("security: [{k: []}, {}]", "security: [{k: []}]", &["b"]);
    check_pair("security: [{k: [r]}]", "security: [{k: [r, w]}]", &["b"]);
    check_pair("security: [{k: [r]}, {o: []}]", "security: [{k: [r]}]", &["b"]);
    check_pair("security: [{k: []}]", "security: [{k: [], o: []}]", &["b"]);
    check_pair("security: [{k: [r]}]", "security: [{k: [w]}]", &[]);
    check_pair("security: [{k: []}]", "security: [{o: []}]", &[]);
    check_pair("security: [{k: [r, s]}]", "security: [{k: [w]}]", &[]);
}

#[test]
fn settings_of_the_document_that_differ_are_not_chosen_by_order() {
    check_pair("x-tollgate: {hidden: true}", "security: []", &[]);
    check_pair("x-tollgate: {scopes: [a]}", "x-tollgate: {scopes: [b]}", &[]);
    let equal = "  /p/{a}: {get: {operationId: a, x-tollgate: {cost: 2}}}\n  /p/{b}: {get: {operationId: b, x-tollgate: {cost: 2}}}";
    assert_eq!(routed(equal), ["a"]);
}

#[test]
fn a_third_operation_does_not_decide_between_two() {
    let paths = "  /p/{a}: {get: {operationId: a, security: [{k: [r]}]}}
  /p/{b}: {get: {operationId: b, security: [{k: [w]}]}}
  /p/{c}: {get: {operationId: c, security: [{k: [r]}]}}
  /p/%7Ee: {get: {operationId: e}}
  /p/~e: {get: {operationId: f, security: [{k: []}]}}
  /q: {get: {operationId: q}}";
    assert_eq!(routed(paths), ["f", "q"]);
}

#[test]
fn the_order_of_three_operations_for_the_same_requests_has_no_effect() {
    let operation = |name: &str, scopes: &str| {
        format!("  /p/{{{name}}}: {{get: {{operationId: {name}, security: [{{k: [{scopes}]}}]}}}}\n")
    };
    for (scopes, expected) in [(["r", "w", "r, w"], &["c"][..]), (["r", "w", "s"], &[]), (["r", "r, w", "r, s"], &[])] {
        let all: Vec<String> =
            ["a", "b", "c"].iter().zip(scopes).map(|(name, scopes)| operation(name, scopes)).collect();
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let paths: String = order.iter().map(|place| all[*place].as_str()).collect();
            assert_eq!(routed(&paths), expected, "{paths}");
        }
    }
}

/// Checks whether an API without authentication is reported because of an operation that is not routed.
#[track_caller]
fn check_answered(paths: &str, operations: &str, reported: &[&str]) {
    let api = format!("authn: none, operations: [{operations}]");
    let compiled = compiled(&api, paths);
    let found = compiled.warnings().iter().filter(|found| found.code.id() == "TG0706");
    let found: Vec<String> = found
        .map(|found| format!("{} {}", found.what, found.related.first().map_or("", |at| at.label.as_str())))
        .collect();
    assert_eq!(found.len(), reported.len(), "{paths}\n{}", compiled.warnings());
    for (found, part) in found.iter().zip(reported) {
        assert!(found.contains(part), "{found}");
    }
}

#[test]
fn an_operation_that_answers_requests_of_one_that_is_not_routed_requires_the_same() {
    let broad = "  /files/{name}: {get: {operationId: broad}}\n";
    let unroutable = |path: &str| format!("{broad}  {path}: {{get: {{operationId: u, security: [{{k: [r]}}]}}}}\n");
    for path in ["/files/{name}.{ext}", "/files/{name}?v", "'/files/{name}#x'", "/files/{+name}", "files/{name}"] {
        check_answered(&unroutable(path), "", &["which is not routed; its requests go to this operation"]);
    }
    check_answered(&unroutable("/other/{name}.{ext}"), "", &[]);
    check_answered(&format!("{broad}  /files/{{name}}.{{ext}}: {{get: {{}}}}\n"), "", &[]);
    check_answered(&format!("{broad}  /files/{{name}}.{{ext}}: {{post: {{security: [{{k: []}}]}}}}\n"), "", &[]);
    check_answered(&format!("{broad}  /files/{{x}}: {{head: 7}}\n"), "", &["without authentication"]);
    check_answered(&format!("{broad}  /files/x: {{$ref: '#/nowhere'}}\n"), "", &["without authentication"]);
    check_answered(&format!("{broad}  /files/x:\n"), "", &["without authentication"]);
}

#[test]
fn a_method_that_is_misspelled_is_answered_by_one_that_requires_the_same() {
    let broad = "  /files/{name}: {get: {operationId: broad}}\n";
    for key in ["GET", "Get", "gett"] {
        let guarded = format!("{broad}  /files/x: {{{key}: {{security: [{{k: []}}]}}}}\n");
        check_answered(&guarded, "", &["without authentication"]);
        check_answered(&format!("{broad}  /files/x: {{{key}: }}\n"), "", &["without authentication"]);
        check_answered(&format!("{broad}  /files/x: {{{key}: {{}}}}\n"), "", &[]);
    }
    for key in ["query", "sumary", "link", "purge", "paramters"] {
        check_answered(&format!("{broad}  /files/x: {{{key}: {{security: [{{k: []}}]}}}}\n"), "", &[]);
    }
    check_answered("  /a: {get: {operationId: a, Security: [{k: []}]}}\n", "", &["without authentication"]);
}

#[test]
fn what_stands_next_to_a_reference_requires_no_less() {
    let path = |own: &str, target: &str| {
        format!(
            "  /a: {{get: {{$ref: '#/paths/~1b/post', security: {own}}}}}\n  /b: {{post: {{security: {target}}}}}\n"
        )
    };
    check_answered(&path("[{k: []}]", "[]"), "", &["an operation of API `pets` without authentication"]);
    check_answered(&path("[]", "[{k: []}]"), "", &["2 operations of API `pets` without authentication"]);
    let item = "  /a: {$ref: '#/paths/~1b', get: {operationId: a}}\n  /b: {get: {security: [{k: []}]}}\n";
    check_answered(item, "", &["2 operations of API `pets` without authentication"]);
}

#[test]
fn a_request_for_head_is_one_for_get() {
    let paths = |own: &str| {
        format!("  /f/{{x}}: {{head: {{operationId: h}}}}\n  /f/{{x}}.{{e}}: {{get: {{security: [{{k: []}}]}}{own}}}\n")
    };
    check_answered(&paths(""), "", &["without authentication"]);
    check_answered(&paths(", head: {}"), "", &[]);
    let hidden = "  /f/s: {get: {operationId: s, security: [{k: []}]}}\n  /f/{x}: {head: {operationId: h}}";
    check_answered(hidden, "{select: {operation: s}, hidden: true}", &["without authentication"]);
}

#[test]
fn the_requests_of_a_path_are_those_that_it_means() {
    let deep = |path: &str| format!("  {path}: {{get: {{operationId: u, security: [{{k: []}}]}}}}\n");
    let broad = "  /{a}/{b}/{c}/{d}/{e}/{f}/{g}: {get: {operationId: broad}}\n";
    check_answered(&format!("{broad}{}", deep("'/a/{proxy+}'")), "", &["without authentication"]);
    let broad = "  /a/{b}: {get: {operationId: broad}}\n";
    check_answered(&format!("{broad}{}", deep("'/a/{id'")), "", &["without authentication"]);
    for path in ["/a/:id", "/a/*", "/a/<id>"] {
        check_answered(&format!("{broad}{}", deep(path)), "", &["2 operations of API `pets` without authentication"]);
    }
    let optional = format!("  /a: {{get: {{operationId: broad}}}}\n{}", deep("'/a/{id?}'"));
    check_answered(&optional, "", &["2 operations of API `pets` without authentication"]);
}

#[test]
fn two_values_of_one_key_are_refused_where_routes_are_made_from_them() {
    for (paths, is_refused) in [
        ("  /p: {get: {security: [], security: [{k: []}]}}", true),
        ("  /p: {get: {}, get: {security: [{k: []}]}}", true),
        ("  /p: {get: {}}\n  /p: {get: {security: [{k: []}]}}", true),
        ("  /p: {get: {security: [{k: [r], k: [r, w]}]}}", true),
        ("  /p: {get: {x-tollgate: {hidden: true, hidden: false}}}", true),
        ("  /p: {get: {}, get: {}}", false),
        ("  /p: {get: {summary: a, summary: b}}", false),
        ("  /p: {get: {responses: {'200': {content: a}, '200': {content: b}}}}", false),
    ] {
        let found = tollgate_config::import_openapi("s.yaml", &document(paths));
        assert_eq!(found.is_err(), is_refused, "{paths}");
        let found = found.map_or_else(|found| found, |(_, found)| found).to_string();
        assert!(found.contains("duplicate key") && found.contains("fix: remove one of them"), "{found}");
    }
}

#[test]
fn hidden_and_internal_operations_are_not_answered_by_one_that_requires_less() {
    let paths = "  /files/secret: {get: {operationId: secret, security: [{k: []}]}}
  /files/{name}: {get: {operationId: broad}}";
    for setting in ["hidden: true", "internal: true"] {
        let entry = format!("{{select: {{operation: secret}}, {setting}}}");
        check_answered(paths, &entry, &["without authentication"]);
    }
    let both = "  /files/secret: {get: {operationId: secret, security: [{k: [a]}]}}
  /files/{name}: {get: {operationId: broad, security: [{k: [b]}]}}";
    let reported = ["`GET /files/{name}` answers the requests of `GET /files/secret`", "without authentication"];
    check_answered(both, "{select: {operation: secret}, hidden: true}", &reported);
}

#[test]
fn a_type_is_kept_only_if_both_operations_have_it() {
    let paths = "  /p/{a}: {get: {operationId: a, parameters: [{name: a, in: path, schema: {type: integer}}]}}
  /p/{b}: {get: {operationId: b, security: [{k: []}]}}";
    let compiled = compiled("authn: keys", paths);
    assert!(compiled.routes().iter().any(|route| route.settings.path.as_str() == "/p/{b}"), "{paths}");
}

#[test]
fn security_of_a_path_is_reported_and_required() {
    let paths = "  /p:\n    security: [{k: []}]\n    tags: [a]\n    get: {operationId: a}\n    put: {operationId: b, security: []}";
    let found = compiled("authn: none", paths);
    let said = |code: &str, part: &str| {
        found.warnings().iter().any(|found| found.code.id() == code && found.what.contains(part))
    };
    assert!(said("TG0702", "`security` is not a key of a path"), "{}", found.warnings());
    assert!(said("TG0702", "`tags` is not a key of a path"), "{}", found.warnings());
    assert!(said("TG0706", "an operation of API `pets` without authentication"), "{}", found.warnings());
}

#[test]
fn a_specification_whose_operations_are_all_hidden_is_reported() {
    let found = compiled("authn: none", "  /p: {get: {operationId: a, x-tollgate: {hidden: true}}}");
    let is_said = found.warnings().iter().any(|found| found.code.id() == "TG0712" && found.what.contains("hidden"));
    assert!(is_said, "{}", found.warnings());
}

/// Checks what is found about routes that answer requests of operations of others, by parts of the findings.
#[track_caller]
fn check_taken(project: &str, paths: &str, expected: &[&str]) {
    let project = format!(
        "format: 1
gateway: {{name: test, limit: none, authn: none, hosts: [a.example, '*.b.example']}}
upstreams: {{u: \"http://localhost:9000\"}}
policies: {{k: {{kind: api-key}}, o: {{kind: api-key, header: Authorization, scheme: Bearer}}}}
apis:
{project}
"
    );
    let used = "  /k: {get: {tags: [k], security: [{k: []}]}}\n  /o: {get: {tags: [o], security: [{o: []}]}}\n";
    let files = [("tollgate.yaml", project), ("s.yaml", document(&format!("{used}{paths}")))];
    let compiled = compile_files(&files.map(|(name, text)| (name.to_owned(), text)).into());
    let compiled = compiled.map_err(|found| found.to_string()).expect("the project compiles");
    let all: Vec<_> = compiled.warnings().iter().filter(|found| found.code.id() == "TG0706").collect();
    let found: Vec<String> = all.iter().map(|found| format!("{}: {}", found.what, found.why)).collect();
    assert_eq!(found.len(), expected.len(), "{}", compiled.warnings());
    for (found, part) in found.iter().zip(expected) {
        assert!(found.contains(part), "{part}\n{found}");
    }
}

/// An API whose operations require what the document says, with these routes of its own.
fn own(routes: &str) -> String {
    format!(
        "  pets: {{upstream: u, spec: s.yaml, operations: [{{select: {{tag: k}}, authn: k}}, {{select: {{tag: o}}, authn: o}}], routes: [{routes}]}}"
    )
}

const BY_ID: &str = "  /orders/{id}: {get: {tags: [k], security: [{k: []}], parameters: [{name: id, in: path, schema: {type: integer}}]}}\n";
const PLAIN: &str = "  /orders/{id}: {get: {tags: [k], security: [{k: []}]}}\n";

#[test]
fn a_route_written_by_hand_does_not_answer_requests_of_a_guarded_operation_silently() {
    let of = "answers requests of `GET /orders/{id}`, and requires less";
    check_taken(&own("{path: '/orders/{x}', id: x}"), BY_ID, &[of]);
    check_taken(&own("{path: '/orders/{x}', id: x}"), BY_ID, &["curl https://a.example/orders/a"]);
    check_taken(&own("{path: '/orders/{x}', id: x, authn: k}"), BY_ID, &[]);
    check_taken(&own("{path: '/orders/{x}', id: x, authn: o}"), BY_ID, &[of]);
    check_taken(&own("{path: '/orders/{x:(new|old)}', id: x}"), BY_ID, &["https://a.example/orders/new"]);
    check_taken(&own("{path: /orders/new, id: x}"), PLAIN, &["https://a.example/orders/new"]);
    check_taken(&own("{path: /orders/new, id: x, methods: [POST]}"), PLAIN, &[]);
    check_taken(&own("{path: /orders/new, id: x, methods: [HEAD]}"), PLAIN, &["curl --head"]);
    check_taken(&own("{path: '/{*rest}', id: x}"), PLAIN, &[]);
    check_taken(&own("{path: '/{*rest}', id: x}"), BY_ID, &[of]);
    check_taken(&own("{path: '/{a}/new', id: x}"), PLAIN, &[]);
    check_taken(&own("{path: '/orders/{x}', id: x, methods: [GET], when: {query: {q: present}}}"), PLAIN, &["?q=any"]);
    check_taken(&own("{path: '/orders/{id}', id: x, internal: true}"), PLAIN, &[]);
}

#[test]
fn a_route_of_another_api_does_not_answer_requests_of_a_guarded_operation_silently() {
    let other = |api: &str| format!("{}\n  other: {{upstream: u, {api}}}", own(""));
    check_taken(&other("base: /orders, routes: [{path: /new, id: x}]"), PLAIN, &["`other.x` answers requests"]);
    check_taken(&other("base: /orders, authn: k, routes: [{path: /new, id: x}]"), PLAIN, &[]);
    check_taken(
        &other("hosts: [a.example], routes: [{path: '/orders/{x}', id: x}]"),
        BY_ID,
        &["https://a.example/orders/a"],
    );
    check_taken(
        &other("hosts: [c.b.example], routes: [{path: '/{*x}', id: x}]"),
        PLAIN,
        &["of `GET /k` and of other operations"],
    );
}

#[test]
fn which_of_two_overlapping_operations_answers_is_reported_if_it_requires_less() {
    let two = |a: &str, b: &str| format!("  /orders/{{id}}: {{get: {a}}}\n  '/{{tenant}}/admin': {{get: {b}}}\n");
    let (public, k) = ("{security: []}", "{tags: [k], security: [{k: []}]}");
    let o = "{tags: [o], security: [{o: []}]}";
    check_taken(&own(""), &two(public, k), &["GET /orders/{id}` answers requests of `GET /{tenant}/admin`"]);
    check_taken(&own(""), &two(k, public), &[]);
    check_taken(&own(""), &two(o, k), &["https://a.example/orders/admin"]);
    check_taken(&own(""), &two(k, k), &[]);
    // OpenAPI: a path without parameters has precedence.
    check_taken(&own(""), &format!("{PLAIN}  /orders/new: {{get: {{security: []}}}}\n"), &[]);
}

#[test]
fn requests_that_the_document_describes_are_those_of_the_more_specific_operation() {
    let hidden = format!("{PLAIN}  /orders/new: {{get: {{security: [], x-tollgate: {{hidden: true}}}}}}\n");
    check_taken(&own("{path: /orders/new, id: x}"), &hidden, &[]);
    check_taken(&own("{path: '/orders/{x:(new|old)}', id: x}"), &hidden, &["answers requests of"]);
}

#[test]
fn advice_about_an_operation_that_is_not_routed_can_be_followed() {
    let paths = "  /files/secret: {get: {operationId: s, tags: [o], security: [{o: []}], x-tollgate: {hidden: true}}}
  /files/{name}: {get: {tags: [k], security: [{k: []}]}}";
    check_taken(&own(""), paths, &["`GET /files/{name}` answers the requests of `GET /files/secret`"]);
    check_taken(&own("{path: /files/secret, id: x, authn: o}"), paths, &[]);
    check_taken(
        &own("{path: /files/secret, id: x, authn: k}"),
        paths,
        &["`pets.x` answers requests of `GET /files/secret`"],
    );
    let unroutable = "  '/files/{name}.{ext}': {get: {security: [{o: []}]}}\n  /files/{name}: {get: {tags: [k], security: [{k: []}]}}";
    check_taken(&own(""), unroutable, &["`GET /files/{name}` answers the requests of `GET /files/{name}.{ext}`"]);
    let hidden = unroutable.replace("tags: [k], ", "x-tollgate: {hidden: true}, ");
    let both = "{path: '/files/{x}', id: x, methods: [GET], authn: {any: [{all: [k, o]}]}}";
    check_taken(&own(both), &hidden, &[]);
    check_taken(
        &own(&both.replace("[k, o]", "[k]")),
        &hidden,
        &["`pets.x` answers requests of `GET /files/{name}.{ext}`"],
    );
}

#[test]
fn many_routes_that_require_less_are_reported_as_some() {
    let path = |n: usize| {
        format!(
            "  '/r{n}/{{id}}': {{get: {{security: []}}}}\n  '/{{t}}/x{n}': {{get: {{tags: [k], security: [{{k: []}}]}}}}\n"
        )
    };
    let paths: String = (0..110).map(path).collect();
    let found = compiled("authn: none, operations: [{select: {tag: k}, authn: keys}]", &paths);
    let found = found.warnings().iter().filter(|found| found.code.id() == "TG0706").collect::<Vec<_>>();
    assert!(found.len() > 100 && found.len() < 115, "{}", found.len());
    assert!(found.iter().any(|found| found.what.starts_with("not all operations are compared")));
}

#[test]
fn a_security_in_another_case_is_one_everywhere() {
    for key in ["security", "Security", "SECURITY"] {
        let requirement = format!("{key}: [{{k: []}}]");
        for paths in [
            format!("  /a: {{get: {{operationId: a, {requirement}}}}}"),
            format!("  /a: {{{requirement}, get: {{operationId: a}}}}"),
            format!("  /a: {{$ref: '#/paths/~1b', {requirement}, get: {{operationId: a}}}}\n  /b: {{}}"),
            format!("  /a: {{get: {{$ref: '#/paths/~1b/post', {requirement}}}}}\n  /b: {{post: {{security: []}}}}"),
            format!("  /a: {{get: {{operationId: a}}}}\n{requirement}"),
        ] {
            check_answered(&paths, "", &["an operation of API `pets` without authentication"]);
            let compiled = compiled("authn: none", &paths);
            let told = compiled.warnings().iter().filter(|found| found.what.contains(&format!("`{key}` is not a ")));
            let is_told = key != "security" || paths.contains(&format!("/a: {{{key}")) || paths.contains("b', sec");
            assert_eq!(told.count(), usize::from(is_told), "{paths}\n{}", compiled.warnings());
        }
    }
}
