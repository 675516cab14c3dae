//! Projects of several files: which files are read, what each may contain, and warnings about files that are not read.

use std::collections::BTreeMap;

use tollgate_analysis::{compile_dir, compile_files, compile_str};
use tollgate_config::{Compiled, Diagnostics};

const ROOT: &str = "\
format: 1
gateway: {name: acme, authn: none}
upstreams: {pets: \"http://127.0.0.1:9000\"}
";

const PETS: &str = "format: 1\nupstream: pets\nroutes: [{path: /pets, methods: [GET]}]\n";

const ROOT_JSON: &str =
    r#"{"format": 1, "gateway": {"name": "acme", "authn": "none"}, "upstreams": {"pets": "http://127.0.0.1:9000"}}"#;

type Files = BTreeMap<String, String>;

fn files(list: &[(&str, &str)]) -> Files {
    list.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[track_caller]
fn compiled(list: &[(&str, &str)]) -> Compiled {
    compile_files(&files(list)).expect("a project that compiles")
}

fn found(list: &[(&str, &str)]) -> Diagnostics {
    compile_files(&files(list)).map_or_else(|found| found, |compiled| compiled.warnings().clone())
}

/// Checks the findings: code, file and line.
#[track_caller]
fn check(list: &[(&str, &str)], expected: &[(&str, &str, u32)]) {
    let found = found(list);
    let mut places: Vec<_> = found.iter().map(|d| (d.code.id(), found.file_of(d), d.span.start.line)).collect();
    places.sort_unstable_by_key(|(code, file, line)| (*file, *line, *code));
    assert_eq!(places, expected, "\n{found}");
    for finding in &found {
        assert!(!finding.what.is_empty() && !finding.why.is_empty() && !finding.fix.is_empty(), "{finding:?}");
    }
}

/// Checks the findings of a project with the usual root and API, and further files.
#[track_caller]
fn check_with(more: &[(&str, &str)], expected: &[(&str, &str, u32)]) {
    let mut list = vec![("tollgate.yaml", ROOT), ("apis/pets/api.yaml", PETS)];
    list.extend(more);
    check(&list, expected);
}

#[test]
fn a_project_in_several_files_compiles_like_one_file() {
    let whole = compile_str(
        "tollgate.yaml",
        &format!(
            "{ROOT}policies: {{burst: {{kind: rate-limit, rate: 5/s}}}}\napis: {{pets: {{upstream: pets, limit: burst, routes: [{{path: /pets, methods: [GET]}}]}}}}\n"
        ),
    );
    let split = compiled(&[
        ("tollgate.yaml", ROOT),
        ("policies/limits.yml", "format: 1\npolicies: {burst: {kind: rate-limit, rate: 5/s}}\n"),
        (
            "apis/pets/api.json",
            r#"{"format": 1, "upstream": "pets", "limit": "burst", "routes": [{"path": "/pets", "methods": ["GET"]}]}"#,
        ),
        ("README.md", "not read"),
        ("apis/pets/openapi.yaml", "not: read"),
    ]);
    assert_eq!(whole.expect("a project that compiles").id(), split.id());
    assert!(split.warnings().is_empty(), "{}", split.warnings());
}

#[test]
fn definitions_of_an_api_are_visible_only_to_it() {
    let own = "format: 1\nupstream: own\nlimit: burst\nroutes: [{path: /NAME}]\nupstreams: {own: \"http://NAME\"}\npolicies: {burst: {kind: rate-limit, rate: 5/s}}\n";
    let (a, b) = (own.replace("NAME", "a"), own.replace("NAME", "b"));
    let both = compiled(&[
        ("tollgate.yaml", "format: 1\ngateway: {name: acme, authn: none}\n"),
        ("apis/a/api.yaml", &a),
        ("apis/b/api.yaml", &b),
    ]);
    let names: Vec<_> = both.policies().iter().map(|policy| policy.name).collect();
    assert_eq!(names, ["a.burst", "b.burst"]);
    let upstreams: Vec<_> = both.upstreams().iter().map(|u| (u.name.as_str(), u.url.to_string())).collect();
    assert_eq!(upstreams, [("a.own", "http://a".to_owned()), ("b.own", "http://b".to_owned())]);
    check_with(
        &[
            ("apis/a/api.yaml", &a),
            ("apis/b/api.yaml", "format: 1\nupstream: pets\nlimit: burst\nroutes: [{path: /b}]\n"),
        ],
        &[("TG0302", "apis/b/api.yaml", 3)],
    );
    check_with(&[("apis/a/api.yaml", &a.replace("own", "pets"))], &[("TG0312", "apis/a/api.yaml", 5)]);
}

#[test]
fn two_files_for_the_same_definition_are_refused() {
    check_with(&[("tollgate.json", ROOT_JSON)], &[("TG0114", "tollgate.yaml", 1)]);
    check_with(&[("apis/pets/api.yml", PETS)], &[("TG0114", "apis/pets/api.yml", 1)]);
    check_with(
        &[("env/prod.yaml", "format: 1\nvalues: {}\n"), ("env/prod.yml", "format: 1\n")],
        &[("TG0114", "env/prod.yml", 1)],
    );
    let twice = format!("{ROOT}apis: {{pets: {{upstream: pets, routes: [{{path: /a}}]}}}}\n");
    check(&[("tollgate.yaml", &twice), ("apis/pets/api.yaml", PETS)], &[("TG0312", "apis/pets/api.yaml", 1)]);
    let policy = "format: 1\npolicies: {p: {kind: api-key}}\n";
    check_with(&[("policies/a.yaml", policy), ("policies/b.yaml", policy)], &[("TG0312", "policies/b.yaml", 2)]);
}

#[test]
fn misplaced_files_are_reported() {
    for (path, expected) in [
        ("apis/cats.yaml", true),
        ("apis/cats/cats.yaml", true),
        ("apis/cats/API.YAML", true),
        ("policies/limits.YAML", true),
        ("policies/team/limits.yaml", true),
        ("policy/limits.yaml", true),
        ("Policies/limits.yaml", true),
        ("api/cats/api.yaml", true),
        ("environments/prod.yaml", true),
        ("policies.yaml", true),
        ("tests/pets_test.yaml", true),
        ("tests/pets.tests.json", true),
        ("tests/pets/pets.test.yaml", true),
        ("test/pets.test.yaml", true),
        ("dev/fixtures.yml", true),
        ("dev/consumers.yaml", true),
        ("fixtures.yaml", true),
        ("fixtures/keys.yaml", true),
        ("tollgate.prod.yaml", true),
        ("test/data.yaml", false),
        ("fixtures/data.yaml", false),
        ("dev/fixtures.yaml", false),
        ("dev/notes.yaml", false),
        ("tests/pets.test.yaml", false),
        ("tests/data.yaml", false),
        ("api/openapi.yaml", false),
        ("apis/README.md", false),
        ("apis/shared/schemas.yaml", false),
        ("apis/.git/api.yaml", false),
        ("policies/notes.txt", false),
        ("deploy/values.yaml", false),
    ] {
        let expected: &[_] = if expected { &[("TG0113", path, 1)] } else { &[] };
        check_with(&[(path, "format: 1\n")], expected);
    }
    check(&[("tolgate.yaml", ROOT)], &[("TG0113", "tolgate.yaml", 1), ("TG0101", "tollgate.yaml", 1)]);
}

#[test]
fn a_file_with_the_content_of_another_one_is_reported() {
    let cases = "format: 1\ncases:\n  - {name: a, steps: [{request: GET /}]}\n";
    let routes = "format: 1\nroutes:\n  - {path: /a}\n";
    for (path, text, expected) in [
        ("tests/a.yaml", cases, true),
        ("tests/a.json", "{\"format\": 1, \"cases\": []}", true),
        ("tests/a.yaml", routes, false),
        ("tests/a.json", "{\"cases\": []}", false),
        ("apis/pets/routes.yaml", routes, true),
        ("apis/pets/a.yaml", cases, true),
        ("apis/pets/limits.yaml", "format: 1\nplans: {}\n", true),
        ("apis/pets/openapi.yaml", "openapi: 3.1.0\nroutes: 1\n", false),
        ("apis/cats/routes.yaml", routes, true),
        ("dev/local.yaml", "format: 1\nconsumers: []\n", true),
        ("pets.test.yaml", cases, true),
        ("pets.yaml", cases, true),
        ("keys.yaml", "format: 1\nconsumers: []\n", true),
        ("pets.yaml", "cases: []\n", false),
        ("compose.yaml", "services: {}\n", false),
        ("tests/sub/r.yaml", cases, true),
        ("tests/sub/more/r.test.yaml", cases, true),
        ("tests/sub/.git/r.test.yaml", cases, false),
        ("tests/sub/data.yaml", "a: 1\n", false),
        ("test/r.yaml", cases, true),
        ("tests/r.test.YAML", cases, true),
        ("tests/r.yaml", "format: 1\n\"cases\": []\n", true),
        ("tests/r.yaml", "format: 1\ncases : []\n", true),
    ] {
        let expected: &[_] = if expected { &[("TG0113", path, 1)] } else { &[] };
        check_with(&[(path, text)], expected);
    }
}

#[test]
fn a_file_is_not_told_to_replace_another_one() {
    let cases = "format: 1\ncases:\n  - {name: a, steps: [{request: GET /}]}\n";
    let routes = "format: 1\nroutes:\n  - {path: /a}\n";
    let consumers = "format: 1\nconsumers: []\n";
    let policies = "format: 1\npolicies: {p: {kind: api-key}}\n";
    for (files, path, fix) in [
        (&[("tests/a.yaml", cases)][..], "tests/a.yaml", "rename it to `tests/a.test.yaml`"),
        (
            &[("tests/a.yaml", cases), ("tests/a.test.yaml", cases)],
            "tests/a.yaml",
            "move its cases to `tests/a.test.yaml`",
        ),
        (&[("tests/a.json", "{\"format\": 1, \"cases\": []}")], "tests/a.json", "rename it to `tests/a.test.json`"),
        (&[("tests/a/b.yaml", cases)], "tests/a/b.yaml", "move it to `tests/b.test.yaml`"),
        (&[("b.test.yaml", cases)], "b.test.yaml", "move it to `tests/b.test.yaml`"),
        (&[("test.yaml", cases)], "test.yaml", "move it to `tests/test.test.yaml`"),
        (&[("dev/keys.yaml", consumers)], "dev/keys.yaml", "rename it to `dev/fixtures.yaml`"),
        (
            &[("dev/keys.yaml", consumers), ("dev/fixtures.yaml", consumers)],
            "dev/keys.yaml",
            "move its consumers to `dev/fixtures.yaml`",
        ),
        (
            &[("dev/a.yaml", consumers), ("dev/b.yaml", consumers)],
            "dev/b.yaml",
            "move its consumers to `dev/fixtures.yaml`",
        ),
        (
            &[("fixtures/keys.yaml", consumers), ("dev/fixtures.yaml", consumers)],
            "fixtures/keys.yaml",
            "move its consumers to `dev/fixtures.yaml`",
        ),
        (&[("test/a.test.yaml", cases)], "test/a.test.yaml", "rename the folder `test` to `tests`"),
        (
            &[("test/a.test.yaml", cases), ("tests/b.test.yaml", cases)],
            "test/a.test.yaml",
            "move it to `tests/a.test.yaml`, and the other files of `test` likewise",
        ),
        (
            &[("test/a.test.yaml", cases), ("tests/a.test.yaml", cases)],
            "test/a.test.yaml",
            "move its content to `tests/a.test.yaml`",
        ),
        (&[("apis/cats/routes.yaml", routes)], "apis/cats/routes.yaml", "rename it to `apis/cats/api.yaml`"),
        (
            &[("apis/cats.yml", routes), ("apis/cats/routes.yaml", routes)],
            "apis/cats.yml",
            "move its keys to `apis/cats/api.yaml`",
        ),
        (&[("apis/pets.yml", routes)], "apis/pets.yml", "move its keys to `apis/pets/api.yaml`"),
        (&[("policies.yaml", policies)], "policies.yaml", "move it to `policies/policies.yaml`"),
        (&[("limits.yaml", policies)], "limits.yaml", "move it to `policies/limits.yaml`"),
        (
            &[("policies/a/b.yaml", policies), ("policies/b.yaml", policies)],
            "policies/a/b.yaml",
            "move its content to `policies/b.yaml`",
        ),
    ] {
        let found = found(&[&[("tollgate.yaml", ROOT), ("apis/pets/api.yaml", PETS)], files].concat());
        let is_expected = |d: &tollgate_config::Diagnostic| d.fix.starts_with(fix) && found.file_of(d) == path;
        assert!(found.iter().any(is_expected), "{path}: {fix}\n{found}");
    }
}

#[test]
fn an_unreadable_file_does_not_hide_mistakes_in_others() {
    let unreadable = "format: 1\n\tx: 1\n";
    let mistaken = "format: 1\nupstream: pets\nlimt: a\nroutes: [{path: x}]\n";
    check(
        &[
            ("tollgate.yaml", unreadable),
            ("apis/a/api.yaml", mistaken),
            ("policies/a.yaml", "format: 1\npolicies: {p: {kind: nothing}}\n"),
        ],
        &[("TG0201", "apis/a/api.yaml", 3), ("TG0210", "policies/a.yaml", 2), ("TG0102", "tollgate.yaml", 2)],
    );
    // A name that the unreadable file may define is not reported as unknown.
    let limited = "format: 1\nupstream: pets\nlimit: burst\nroutes: [{path: x}]\n";
    check_with(
        &[("policies/a.yaml", unreadable), ("apis/a/api.yaml", limited)],
        &[("TG0306", "apis/a/api.yaml", 4), ("TG0102", "policies/a.yaml", 2)],
    );
}

#[test]
fn a_folder_name_must_be_a_valid_api_name() {
    check_with(&[("apis/My API/api.yaml", &PETS.replace("/pets", "/mine"))], &[("TG0205", "apis/My API/api.yaml", 1)]);
}

#[cfg(unix)]
#[test]
fn only_regular_files_within_the_folder_are_read() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    std::fs::create_dir_all(project.join("apis/pets")).unwrap();
    std::fs::create_dir_all(project.join("policies")).unwrap();
    std::fs::write(project.join("tollgate.yaml"), ROOT).unwrap();
    std::fs::write(folder.path().join("api.yaml"), PETS).unwrap();
    symlink("../../../api.yaml", project.join("apis/pets/api.yaml")).unwrap();
    symlink("..", project.join("apis/out")).unwrap();
    symlink("../..", project.join("apis/further")).unwrap();
    symlink("api.yaml", project.join("apis/api.yaml")).unwrap();
    symlink("../policies", project.join("policies/again")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(project.join("policies/pipe.yaml")).status().unwrap();
    assert!(made.success());
    let found = compile_dir(&project).unwrap_err();
    let mut seen: Vec<_> = found.iter().map(|d| (d.code.id(), found.file_of(d))).collect();
    seen.sort_unstable();
    let expected = [
        ("TG0101", "apis/further"),
        ("TG0101", "apis/pets/api.yaml"),
        ("TG0101", "policies/pipe.yaml"),
        ("TG0113", "apis/api.yaml"),
        ("TG0113", "policies/again/pipe.yaml"),
    ];
    assert_eq!(seen, expected, "{found}");
}

#[test]
fn networks_of_a_filter_may_be_in_a_file() {
    let root = |filter: &str| {
        format!(
            "format: 1\ngateway: {{name: acme, authn: none, guard: office}}\nupstreams: {{pets: \"http://127.0.0.1:9000\"}}\n\
             policies:\n  office: {{kind: ip-filter, {filter}}}\n"
        )
    };
    let check = |filter: &str, list: &str, expected: &[(&str, &str, u32)]| {
        check(&[("tollgate.yaml", &root(filter)), ("apis/pets/api.yaml", PETS), ("lists/a.txt", list)], expected);
    };
    let from_file = "allow-file: lists/a.txt";
    check(from_file, "10.0.0.0/8\n", &[]);
    check(from_file, "\u{feff}# offices\r\n10.0.0.0/8 # north\r\n\r\n2001:db8::/32;x\r\n", &[]);
    check(from_file, "# none\n\n", &[("TG0212", "tollgate.yaml", 5)]);
    check(from_file, "10.0.0.0/8\n\n  10.0.0.1/8\n", &[("TG0313", "lists/a.txt", 3)]);
    check(from_file, "10.0.0.0/8 10.1.0.0/16\n", &[("TG0313", "lists/a.txt", 1)]);
    check("allow-file: lists/b.txt", "", &[("TG0101", "tollgate.yaml", 5)]);
    check("allow-file: ../a.txt", "", &[("TG0101", "tollgate.yaml", 5)]);
    let many: String = (0..16_384_u32).map(|n| format!("10.{}.{}.0/24\n", n >> 8, n & 255)).collect();
    check(from_file, &many, &[]);
    check(&format!("{from_file}, allow: [192.0.2.1]"), &many, &[("TG0409", "tollgate.yaml", 5)]);
    // The file adds to the list that is written.
    let both = "allow: [192.0.2.1], allow-file: lists/a.txt, deny-file: lists/b.txt";
    let all = [
        ("tollgate.yaml", &*root(both)),
        ("apis/pets/api.yaml", PETS),
        ("lists/a.txt", "10.0.0.0/8"),
        ("lists/b.txt", "10.9.0.0/16"),
    ];
    let written = "allow: [192.0.2.1, 10.0.0.0/8], deny: [10.9.0.0/16]";
    let once = [("tollgate.yaml", &*root(written)), ("apis/pets/api.yaml", PETS)];
    assert_eq!(compiled(&all).id(), compiled(&once).id());
}
