//! A failed command leaves every file and folder as it was.

mod support;

use std::path::Path;

use support::{Project, run};

/// Every path below a folder, with the content of files, sorted.
fn tree(folder: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            all.extend(tree(&entry));
        }
        all.push((entry.display().to_string(), std::fs::read(&entry).ok()));
    }
    all.sort();
    all
}

/// Runs a command that must fail within a folder, and compares what is in the folder before and after.
#[track_caller]
fn check(folder: &Path, words: &[&str], says: &str) {
    let before = tree(folder);
    let ran = run(words);
    assert_eq!(ran.code, Some(1), "{words:?} {ran:?}");
    assert!(ran.err.contains(says), "{words:?} {ran:?}");
    assert_eq!(tree(folder), before, "{words:?} has left something behind");
}

#[test]
fn pages_and_schemas_are_all_written_or_none_is() {
    let root = tempfile::tempdir().expect("a folder");
    let (pages, schemas) = (root.path().join("man"), root.path().join("schemas"));
    // A folder is where one of the last files belongs.
    std::fs::create_dir_all(pages.join("tollgate-test.1")).expect("a folder");
    std::fs::create_dir_all(schemas.join("test.schema.json")).expect("a folder");
    std::fs::write(pages.join("tollgate.1"), "old").expect("a file");
    check(root.path(), &["man", &pages.display().to_string()], "so nothing was written");
    check(root.path(), &["schema", "--all", &schemas.display().to_string()], "so nothing was written");
    let below_a_file = pages.join("tollgate.1/x").display().to_string();
    check(root.path(), &["man", &below_a_file], "so nothing was written");
    check(root.path(), &["schema", "--all", &below_a_file], "so nothing was written");
}

#[test]
fn a_project_that_does_not_compile_leaves_no_store_and_no_bundle() {
    let project = Project::new();
    project.edit("path: /public", "pth: /public");
    let folder = project.file("");
    for host in ["native", "spin"] {
        let store = project.file(&format!("new/{host}.db")).display().to_string();
        check(&folder, &["publish", &project.path(), "--to", host, "--store", &store], "TG0201");
    }
    let out = project.file("bundle.json").display().to_string();
    check(&folder, &["bundle", &project.path(), "--out", &out], "TG0201");
    project.edit("pth: /public", "path: /public");
    let nowhere = project.file("nowhere/bundle.json").display().to_string();
    check(&folder, &["bundle", &project.path(), "--out", &nowhere], "so nothing was written");
}

#[test]
fn a_server_that_cannot_start_leaves_no_new_store_and_keeps_an_old_one() {
    let project = Project::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let (folder, project_path) = (project.file(""), project.path());
    let store = project.file("dev.db").display().to_string();
    let words = ["dev", &project_path, "--port", "0", "--echo-port", "0", "--admin-port", &port, "--store", &store];
    check(&folder, &words, "--admin-port");
    assert_eq!(run(&["publish", &project_path, "--to", "native", "--store", &store]).code, Some(0));
    assert_eq!(run(&words).code, Some(1));
    assert!(Path::new(&store).exists());
}

#[test]
fn a_key_of_an_unknown_gateway_or_plan_is_not_stored() {
    let project = Project::new();
    let folder = project.file("");
    for host in ["native", "spin"] {
        let store = project.file(&format!("{host}.db")).display().to_string();
        let ran = run(&["publish", &project.path(), "--to", host, "--store", &store]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let new = ["key", "new", "--consumer", "acme", "--to", host, "--store", &store];
        check(&folder, &[&new[..], &["--gateway", "shop"]].concat(), "no configuration for gateway shop");
        check(&folder, &[&new[..], &["--gateway", "quickstart", "--plan", "gold"]].concat(), "has no plan gold");
        check(&folder, &[&new[..], &["--project", &project.path(), "--plan", "gold"]].concat(), "has no plan gold");
    }
}

#[test]
fn a_document_that_cannot_become_a_project_leaves_no_folder() {
    let root = tempfile::tempdir().expect("a folder");
    let spec = root.path().join("openapi.yaml");
    let (file, into) = (spec.display().to_string(), root.path().join("a/b").display().to_string());
    // Settings that only the compiler checks.
    let text = "openapi: 3.1.0\npaths: {/a: {get: {x-tollgate: {timeout: never}}}}\n";
    std::fs::write(&spec, text).expect("a file");
    check(root.path(), &["import", "openapi", &file, "--into", &into], "TG0206");
    // Nothing that can be routed, for each reason.
    for (text, says) in [
        ("openapi: 3.1.0\npaths: {}\n", "it has none"),
        ("openapi: 3.1.0\npaths: {/a: {$ref: ../../paths.yaml}}\n", "leads outside the folder whose files are read"),
        ("openapi: 3.1.0\npaths: {'/{a}{b}': {get: {}}}\n", "so nothing was written: the warnings say why"),
        ("openapi: 3.1.0\nsecurity: [{a: [é]}]\npaths: {/a: {get: {}}}\n", "which no credential can have"),
    ] {
        std::fs::write(&spec, text).expect("a file");
        check(root.path(), &["import", "openapi", &file, "--into", &into], says);
    }
    std::fs::write(&spec, "openapi: 3.1.0\npaths: {/a: {get: {}}}\n").expect("a file");
    let ran = run(&["import", "openapi", &file, "--into", &into]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // Into a folder whose own files make the project invalid.
    let used = root.path().join("used");
    std::fs::create_dir_all(used.join("policies")).expect("a folder");
    std::fs::write(used.join("policies/mine.yaml"), "format: 1\npolicies: {p: {kind: unknown}}\n").expect("a file");
    check(root.path(), &["import", "openapi", &file, "--into", &used.display().to_string()], "TG0210");
}
