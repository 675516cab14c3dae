//! Examples and fixtures. Schema and compiler accept the valid ones, both refuse the invalid ones, and only the compiler
//! refuses those with mistakes that no schema can detect.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{findings, json, refusals, validator};
use crate::diagnostic::{Code, Severity};
use crate::model::FileKind;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

/// The kind of a file of a project, by its path.
fn kind_of(path: &Path) -> Option<FileKind> {
    let mut names = path.iter().rev().filter_map(|name| name.to_str());
    let (name, folder, above) = (names.next()?, names.next()?, names.next()?);
    let (stem, _) = name.rsplit_once('.').filter(|(_, ending)| ["yaml", "yml", "json"].contains(ending))?;
    match (above, folder, stem) {
        (_, _, "tollgate") => Some(FileKind::Project),
        ("apis", _, "api") => Some(FileKind::Api),
        (_, "policies", _) => Some(FileKind::Policies),
        (_, "plans", _) => Some(FileKind::Plans),
        (_, "env", _) => Some(FileKind::Environment),
        (_, "tests", stem) if stem.ends_with(".test") => Some(FileKind::Test),
        (_, "dev", "fixtures") => Some(FileKind::Fixtures),
        (_, _, "prices") => Some(FileKind::Prices),
        _ => None,
    }
}

/// The fixtures of a folder of `config/tests`, each with its kind, path and text.
fn fixtures(folder: &str) -> Vec<(FileKind, PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let each = |kind: FileKind| files(&folder.join(kind.name())).into_iter().map(move |path| (kind, path));
    let all = FileKind::ALL.iter().flat_map(|kind| each(*kind));
    all.map(|(kind, path)| (kind, path.clone(), fs::read_to_string(path).expect("a text"))).collect()
}

/// The code in the first line of a fixture.
#[track_caller]
fn expected(path: &Path, text: &str) -> Code {
    let first = text.lines().next().unwrap_or_default().trim_start_matches('#').trim();
    let code = first.split(|c: char| !c.is_ascii_alphanumeric()).next().and_then(Code::find);
    code.unwrap_or_else(|| panic!("{} does not begin with a comment with a code", path.display()))
}

/// A message unless the compiler refuses a fixture with exactly the code in its first line.
fn not_refused(kind: FileKind, path: &Path, text: &str) -> Option<String> {
    let found = findings(kind, text);
    let errors: BTreeSet<_> = found.iter().filter(|f| f.severity == Severity::Error).map(|f| f.code).collect();
    (errors != BTreeSet::from([expected(path, text)])).then(|| format!("{}\n{found}", path.display()))
}

#[test]
fn the_committed_schemas_match_the_tables() {
    let folder = root().join("schemas");
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        FileKind::ALL.iter().for_each(|kind| fs::write(folder.join(kind.schema_file()), kind.schema_text()).unwrap());
    }
    for kind in FileKind::ALL {
        let written = fs::read_to_string(folder.join(kind.schema_file())).unwrap_or_default();
        let name = kind.schema_file();
        assert!(
            written == kind.schema_text(),
            "schemas/{name} is stale: TOLLGATE_BLESS=1 cargo test -p tollgate-config"
        );
    }
    let names: BTreeSet<_> = FileKind::ALL.iter().map(|kind| folder.join(kind.schema_file())).collect();
    assert_eq!(files(&folder).into_iter().collect::<BTreeSet<_>>(), names, "a schema of no kind");
}

#[test]
fn every_file_of_every_example_is_valid_and_names_its_schema() {
    let (mut seen, mut problems) = (0, Vec::new());
    for path in files(&root().join("examples")) {
        let Some(kind) = kind_of(&path) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        let document = json(&text).expect("a document");
        problems.extend(
            refusals(validator(kind), &document).iter().map(|refusal| format!("{}: {refusal}", path.display())),
        );
        let named = path.with_file_name(document["$schema"].as_str().unwrap_or_default());
        if !named.canonicalize().unwrap_or_default().ends_with(Path::new("schemas").join(kind.schema_file())) {
            let file = kind.schema_file();
            problems.push(format!("{} has no `$schema:` for schemas/{file}", path.display()));
        }
        seen += 1;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(seen >= 3, "{seen}");
}

#[test]
fn schema_and_compiler_accept_every_valid_fixture() {
    let all = fixtures("valid");
    for (kind, path, text) in &all {
        let document = json(text).expect("a document");
        assert_eq!(refusals(validator(*kind), &document), [""; 0], "{}", path.display());
        let found = findings(*kind, text);
        assert!(!found.has_errors(), "{}\n{found}", path.display());
    }
    assert!(!all.is_empty());
}

#[test]
fn schema_and_compiler_refuse_every_invalid_fixture() {
    let all = fixtures("invalid");
    let mut problems = Vec::new();
    for (kind, path, text) in &all {
        problems.extend(not_refused(*kind, path, text));
        let document = json(text).unwrap_or_else(|| panic!("{} cannot be parsed", path.display()));
        if validator(*kind).is_valid(&document) {
            problems.push(format!("the schema accepts {}", path.display()));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(all.len() >= 60, "{}", all.len());
}

#[test]
fn only_the_compiler_refuses_mistakes_that_no_schema_can_detect() {
    let all = fixtures("beyond-schema");
    let mut problems = Vec::new();
    for (kind, path, text) in &all {
        problems.extend(not_refused(*kind, path, text));
        let document = json(text).unwrap_or_else(|| panic!("{} cannot be parsed", path.display()));
        problems.extend(
            refusals(validator(*kind), &document).iter().map(|refusal| format!("{}: {refusal}", path.display())),
        );
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(all.len() >= 15, "{}", all.len());
}

/// JSON has the same result as YAML, for every fixture without syntax errors.
#[test]
fn the_json_form_of_a_document_has_the_same_result() {
    for (kind, path, text) in ["valid", "invalid", "beyond-schema"].into_iter().flat_map(fixtures) {
        let yaml = findings(kind, &text);
        if yaml.iter().any(|finding| finding.code.id().starts_with("TG01")) {
            continue;
        }
        let document = json(&text).expect("a document");
        let texts = |found: &crate::Diagnostics| {
            found.iter().map(|f| (f.code, f.what.clone(), f.fix.clone())).collect::<BTreeSet<_>>()
        };
        assert_eq!(texts(&findings(kind, &format!("{document:#}"))), texts(&yaml), "{}", path.display());
        if let (FileKind::Project, Ok(compiled)) = (kind, super::compiled("tollgate.yaml", &text)) {
            let from_json = super::compiled("tollgate.json", &document.to_string()).unwrap();
            assert_eq!(from_json.id(), compiled.id(), "{}", path.display());
        }
    }
}
