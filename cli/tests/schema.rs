//! `tollgate schema` prints what is committed.

mod support;

use std::path::Path;

use support::run;

/// A committed schema.
fn committed(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas").join(file);
    std::fs::read_to_string(path).expect("a schema")
}

#[test]
fn a_schema_is_printed_as_it_is_committed() {
    let ran = run(&["schema"]);
    assert_eq!((ran.code, ran.out), (Some(0), committed("tollgate.schema.json")));
    let ran = run(&["schema", "fixtures"]);
    assert_eq!((ran.code, ran.out), (Some(0), committed("fixtures.schema.json")));
}

#[test]
fn all_schemas_are_written_into_a_folder_that_may_not_exist() {
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("a/b");
    let ran = run(&["schema", "--all", &target.display().to_string(), "--output", "json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let kinds = run(&["schema", "--list", "--output", "json"]);
    let kinds = kinds.json();
    let files: Vec<_> = kinds.as_array().expect("a list").iter().filter_map(|kind| kind["schema"].as_str()).collect();
    assert_eq!(ran.json().as_array().map(Vec::len), Some(files.len()));
    for file in files {
        assert_eq!(std::fs::read_to_string(target.join(file)).expect("a schema"), committed(file));
    }
}

#[test]
fn an_unknown_kind_is_an_invalid_command_line() {
    let ran = run(&["schema", "projekt"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("project"), "{ran:?}");
}
