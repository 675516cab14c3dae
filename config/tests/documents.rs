//! The examples and the documentation of the repository compile.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_analysis::{compile_dir, compile_str};
use tollgate_config::{fixtures, fmt, policy_tests};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_example_compiles_without_findings() {
    let mut checked = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let project = entry.unwrap().path();
        if !project.join("tollgate.yaml").exists() {
            continue;
        }
        let compiled = compile_dir(&project).unwrap_or_else(|found| panic!("{}:\n{found}", project.display()));
        assert!(compiled.warnings().is_empty(), "{}:\n{}", project.display(), compiled.warnings());
        let fixtures = fixtures::load_dir(&project).unwrap_or_else(|found| panic!("{}:\n{found}", project.display()));
        assert!(fixtures.warnings.is_empty(), "{}:\n{}", project.display(), fixtures.warnings);
        checked += 1;
    }
    assert!(checked > 0, "no example was found");
}

#[test]
fn every_file_of_every_example_is_formatted() {
    let mut unformatted = Vec::new();
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let project = entry.unwrap().path();
        for name in fmt::project_files(&project) {
            let path = project.join(&name);
            let formatted = fmt::format_file(&project, name.to_str().unwrap()).unwrap();
            if formatted.before != formatted.after {
                unformatted.push(path);
            }
        }
    }
    assert!(unformatted.is_empty(), "not formatted, run `tollgate fmt` on the example: {unformatted:?}");
}

#[test]
fn the_quickstart_has_a_sample_key() {
    let fixtures = fixtures::load_dir(&root().join("examples/quickstart")).unwrap();
    let sample = fixtures.sample.expect("a key that is always valid");
    assert_eq!(sample.consumer, "acme");
    assert!(sample.key.expose().starts_with("tg_dev_"));
}

/// An example in the guide is a complete project if it has a `format: 1` and a gateway.
#[test]
fn every_project_in_the_configuration_guide_compiles() {
    let page = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut checked = 0;
    for block in page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        if !block.contains("format: 1\n") || !block.contains("\ngateway:") {
            continue;
        }
        let found = compile_str("docs/configuration.md", block).map(|compiled| compiled.warnings().clone());
        let found = found.unwrap_or_else(|found| found);
        assert!(found.is_empty(), "{found}\n{block}");
        checked += 1;
    }
    assert!(checked > 0, "no project was found");
}

/// The example of the page is a test file for the quickstart.
#[test]
fn the_test_file_in_the_policy_tests_guide_is_valid() {
    let page = fs::read_to_string(root().join("docs/policy-tests.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut files = blocks.filter(|block| block.starts_with("format: 1"));
    let text = files.next().expect("a complete file");
    let file = policy_tests::load_str("docs/policy-tests.md", text).unwrap_or_else(|found| panic!("{found}"));
    let compiled = compile_dir(&root().join("examples/quickstart")).unwrap_or_else(|found| panic!("{found}"));
    let found = file.check(&compiled);
    assert!(file.warnings.is_empty() && found.is_empty(), "{}{found}", file.warnings);
}
