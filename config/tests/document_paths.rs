//! What findings tell about paths of an OpenAPI document can be written there, and means the same.

use std::collections::BTreeMap;

use tollgate_analysis::compile_files;
use tollgate_config::{Compiled, Diagnostic};

const PROJECT: &str = "format: 1
gateway: {name: test, limit: none}
upstreams: {u: \"http://localhost:9000\"}
apis: {a: {upstream: u, spec: openapi.yaml, authn: none}}
";

/// Compiles a document with one path, and another that is always routed.
fn compiled(path: &str, parameters: &str) -> Compiled {
    let path = serde_json::Value::from(path);
    let document = format!(
        "openapi: 3.1.0
paths:
  /always: {{get: {{}}}}
  {path}: {{get: {{operationId: x, security: [], parameters: [{parameters}]}}}}
"
    );
    let files = [("tollgate.yaml", PROJECT), ("openapi.yaml", document.as_str())];
    let files: BTreeMap<String, String> = files.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    compile_files(&files).expect("a project that compiles")
}

/// The route of the path, and the finding about it.
fn found(path: &str, parameters: &str) -> (Option<String>, Option<Diagnostic>) {
    let compiled = compiled(path, parameters);
    let route = compiled.routes().iter().find(|route| route.settings.id == "a.x");
    let of_path = |found: &&Diagnostic| ["TG0315", "TG0704"].contains(&found.code.id());
    let about = compiled.warnings().iter().filter(of_path).cloned().collect::<Vec<_>>();
    assert!(about.len() <= 1, "{path}\n{}", compiled.warnings());
    (route.map(|route| route.settings.path.to_string()), about.into_iter().next())
}

/// The text behind some other text, up to a backtick.
fn told<'t>(fix: &'t str, before: &str) -> Option<&'t str> {
    fix.split_once(before)?.1.split('`').next()
}

#[test]
fn a_type_in_a_path_of_a_document_is_reported_and_what_is_told_keeps_it() {
    for (path, routed, meant) in [
        ("/{v:(v1|v2)}/status", "/{v__v1_v2_}/status", "/{v:(v1|v2)}/status"),
        ("/users/{id:int}", "/users/{id_int}", "/users/{id:int}"),
        ("/users/{id:uuid}", "/users/{id_uuid}", "/users/{id:uuid}"),
        ("/users/{id:bool}", "/users/{id_bool}", "/users/{id:bool}"),
        ("/users/<int:id>", "/users/<int:id>", "/users/{id:int}"),
        ("/users/:id", "/users/:id", "/users/{id}"),
        ("/files/{path:.+\\.pdf}", "/files/{path_.__.pdf}", "/files/{path}.pdf"),
        ("/users/{id=7}", "/users/{id_7}", "/users/{id}"),
    ] {
        let (route, finding) = found(path, "");
        assert_eq!(route.as_deref(), Some(routed), "{path}");
        let finding = finding.expect(path);
        assert_eq!(finding.code.id(), "TG0315", "{path}");
        let path = told(&finding.fix, "write `").expect(&finding.fix);
        let parameter = told(&finding.fix, "`schema: ").map(|schema| {
            let name = told(&finding.fix, "the parameter `").expect(&finding.fix);
            format!("{{name: {name}, in: path, required: true, schema: {schema}}}")
        });
        let (route, finding) = found(path, &parameter.unwrap_or_default());
        let (route, about) = (route.unwrap_or_default(), finding.map(|found| found.what));
        assert_eq!((with_bool_as_type(&route).as_str(), about), (meant, None), "{path}");
    }
}

/// `bool` is the short form of its two values.
fn with_bool_as_type(path: &str) -> String {
    path.replace("(false|true)", "bool")
}

#[test]
fn what_cannot_be_a_path_of_a_document_is_told_to_be_a_route() {
    for (path, below) in
        [("/files/*", "/files/{*rest}"), ("/files/**", "/files/{*rest}"), ("/a/[...slug]", "/a/{*slug}")]
    {
        let (_, finding) = found(path, "");
        let finding = finding.expect(path);
        assert!(finding.fix.contains(&format!("a route with the path `{below}` under `routes:`")), "{}", finding.fix);
        assert!(!finding.fix.starts_with("write `"), "{}", finding.fix);
    }
    for (path, code) in [("/a/{b?}", "TG0315"), ("/a/{id:[0-9]+}", "TG0704"), ("/a{?page,size}", "TG0704")] {
        assert_eq!(found(path, "").1.map(|found| found.code.id()), Some(code), "{path}");
    }
}
