//! `tollgate import`: a project from existing files.

mod support;

use std::path::Path;

use support::run;

const SPEC: &str = "openapi: 3.1.0
info: {title: Pet Shop, version: 1.0.0}
servers: [{url: https://pets.example.com/v1}]
security: [{partner: [pets.read]}]
components: {securitySchemes: {partner: {type: apiKey, in: header, name: X-Partner-Key}}}
paths:
  /pets: {$ref: 'parts/paths.yaml#/pets'}
  /health: {get: {security: []}}
  /x/{a}{b}: {get: {}}
";

const PATHS: &str = "pets: {get: {operationId: listPets}}\n";

fn written(folder: &Path) -> String {
    std::fs::create_dir_all(folder.join("specs/parts")).expect("a folder");
    std::fs::write(folder.join("specs/openapi.yaml"), SPEC).expect("a file");
    std::fs::write(folder.join("specs/parts/paths.yaml"), PATHS).expect("a file");
    folder.join("specs/openapi.yaml").display().to_string()
}

#[test]
fn a_specification_becomes_a_valid_project_that_passes_its_test() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, into) = (written(folder.path()), folder.path().join("made"));
    let into = into.display().to_string();
    let ran = run(&["import", "openapi", &spec, "--into", &into, "--host", "api.example.com"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("2 operations are routed, 1 is not") && ran.err.contains("TG0704"), "{ran:?}");
    let project = std::fs::read_to_string(format!("{into}/tollgate.yaml")).expect("the project");
    for part in
        ["$schema: ", "name: pet-shop", "https://pets.example.com/v1", "header: X-Partner-Key", "[api.example.com]"]
    {
        assert!(project.contains(part), "{part} is not in\n{project}");
    }
    assert_eq!(std::fs::read_to_string(format!("{into}/spec/openapi.yaml")).expect("the copy"), SPEC);
    assert_eq!(std::fs::read_to_string(format!("{into}/spec/parts/paths.yaml")).expect("the copy"), PATHS);
    assert_eq!(run(&["check", &into]).code, Some(0));
    assert_eq!(run(&["fmt", "--check", &into]).code, Some(0));
    let ran = run(&["test", &into]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn every_kind_of_credential_becomes_a_project_that_passes_its_test() {
    let folder = tempfile::tempdir().expect("a folder");
    for (number, (security, policies, findings)) in [
        ("[{oauth: [read]}, {oauth: [admin]}]", "issuer: \"https://issuer.invalid\"", 2),
        ("[{oidc: []}]", "issuer: \"https://id.test\"", 1),
        ("[{basic: []}, {jwt: [], key: []}]", "kind: basic", 2),
        ("[{}, {key: []}]", "optional: [key]", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!(
            "openapi: 3.1.0\ninfo: {{title: shop, version: '1'}}\nservers: [{{url: 'https://shop.test'}}]\nsecurity: {security}\n\
             paths: {{/a: {{get: {{operationId: a}}}}}}\ncomponents:\n  securitySchemes:\n    \
             key: {{type: apiKey, in: header, name: X-Key}}\n    oauth: {{type: oauth2, flows: {{}}}}\n    \
             basic: {{type: http, scheme: basic}}\n    jwt: {{type: http, scheme: bearer, bearerFormat: JWT}}\n    \
             oidc: {{type: openIdConnect, openIdConnectUrl: 'https://id.test/.well-known/openid-configuration'}}\n"
        );
        let (document, project) = (folder.path().join("api.yaml"), folder.path().join(number.to_string()));
        std::fs::write(&document, text).expect("a document");
        let [document, project] = [document, project].map(|path| path.display().to_string());
        let imported = run(&["import", "openapi", &document, "--into", &project, "--output", "json"]);
        assert_eq!(imported.code, Some(0), "{imported:?}");
        assert_eq!(imported.json()["diagnostics"].as_array().map(Vec::len), Some(findings), "{security} {imported:?}");
        let written = std::fs::read_to_string(format!("{project}/tollgate.yaml")).expect("a project");
        assert!(written.contains(policies), "{written}");
        let tested = run(&["test", &project]);
        assert_eq!(tested.code, Some(0), "{security} {tested:?}");
    }
}

#[test]
fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, into) = (written(folder.path()), folder.path().display().to_string());
    std::fs::create_dir(folder.path().join("tests")).expect("a folder");
    std::fs::write(folder.path().join("tests/first.test.yaml"), "mine").expect("a file");
    let ran = run(&["import", "openapi", &spec, "--into", &into]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("nothing is overwritten"), "{ran:?}");
    assert!(!folder.path().join("tollgate.yaml").exists());
    assert_eq!(std::fs::read_to_string(folder.path().join("tests/first.test.yaml")).expect("it"), "mine");
}

#[test]
fn the_answer_for_programs_has_the_files_and_the_findings() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spec, into) = (written(folder.path()), folder.path().join("made").display().to_string());
    let args = [
        "import",
        "openapi",
        &spec,
        "--into",
        &into,
        "--name",
        "shop",
        "--upstream",
        "http://localhost:1",
        "--output",
        "json",
    ];
    let answer = run(&args).json();
    assert_eq!((&answer["routed"], &answer["notRouted"]), (&2.into(), &1.into()));
    assert_eq!(answer["upstreamIsPlaceholder"], false);
    assert!(
        answer["files"].as_array().is_some_and(|files| files.contains(&"spec/parts/paths.yaml".into())),
        "{answer}"
    );
    assert_eq!(answer["diagnostics"][0]["code"], "TG0704");
}

#[test]
fn a_document_that_cannot_be_imported_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let swagger = folder.path().join("swagger.json");
    std::fs::write(&swagger, "{\"swagger\": \"2.0\"}").expect("a file");
    let swagger = swagger.display().to_string();
    for (args, code, says) in [
        (vec!["import", "openapi", swagger.as_str()], 1, "swagger2openapi"),
        (vec!["import", "openapi", "nowhere.yaml"], 1, "not a file"),
        (vec!["import", "openapi"], 2, "FILE"),
        (vec!["import"], 2, "openapi"),
    ] {
        let ran = run(&args);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    }
    let spec = written(folder.path());
    for (flag, value) in [("--name", "A B"), ("--upstream", "ftp://x"), ("--host", "a:1")] {
        let ran = run(&["import", "openapi", &spec, flag, value]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}

#[test]
fn what_is_not_kept_is_said_beside_a_given_upstream_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let spec = folder.path().join("openapi.yaml");
    let text = "openapi: 3.1.0\nservers: [{url: 'https://a.example/v1?tenant=x'}, {url: /b}, https://c.example]\npaths: {/a: {get: {servers: [{url: /c}]}}}\n";
    std::fs::write(&spec, text).expect("a file");
    let into = folder.path().join("made").display().to_string();
    let spec = spec.display().to_string();
    let ran =
        run(&["import", "openapi", &spec, "--into", &into, "--upstream", "https://b.example", "--output", "json"]);
    let notes = ran.json()["notes"].to_string();
    let project = std::fs::read_to_string(format!("{into}/tollgate.yaml")).expect("the project");
    for part in
        ["?tenant=x is not kept", "has the path /v1", "not called: /b and https://c.example", "servers of its own"]
    {
        assert!(notes.contains(part) && project.contains(part), "{part} is not in\n{notes}\n{project}");
    }
    assert_eq!(ran.json()["diagnostics"][0]["code"], "TG0702", "{ran:?}");
}

#[test]
fn files_below_the_current_folder_are_read_however_the_document_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let below = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(below("specs/shop")).expect("a folder");
    std::fs::write(below("specs/shop/openapi.yaml"), SPEC.replace("parts/paths", "../paths")).expect("a file");
    std::fs::write(below("specs/paths.yaml"), PATHS).expect("a file");
    let absolute = below("specs/shop/openapi.yaml").display().to_string();
    for (number, file) in
        ["specs/shop/openapi.yaml", "./specs/../specs/shop/openapi.yaml", &absolute].iter().enumerate()
    {
        let mut command = support::tollgate(&["import", "openapi", file, "--into", &format!("made{number}")]);
        let ran = support::Ran::of(command.current_dir(folder.path()).output().expect("the program starts"));
        assert!(ran.code == Some(0) && ran.out.contains("2 operations are routed, 1 is not"), "{file} {ran:?}");
        assert!(below(&format!("made{number}/spec/paths.yaml")).is_file(), "{file}");
    }
    // From a folder that does not contain both files.
    let mut command = support::tollgate(&["import", "openapi", &absolute, "--into", "other"]);
    let ran = support::Ran::of(command.current_dir(below("specs/shop")).output().expect("the program starts"));
    assert!(ran.err.contains("`../paths.yaml#/pets` leads outside the folder whose files are read"), "{ran:?}");
}
