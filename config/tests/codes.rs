//! Every diagnostic code has an example, and a page that shows what the compiler says to it.
//!
//! The examples are in `tests/codes/<code>/`: `wrong.yaml` and `right.yaml`, each a `tollgate.yaml`; or the folders `wrong/`
//! and `right/`, each a project or a part of one (`dev/fixtures.yaml` alone, `tests/*.test.yaml` alone). Pages are written
//! anew by `TOLLGATE_BLESS=1 cargo test -p tollgate-config --test codes`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tollgate_analysis::compile_dir;
use tollgate_config::fmt::format_text;
use tollgate_config::{Code, Diagnostics, fixtures, policy_tests};

/// Codes without an example, each with the reason.
const WITHOUT: &[(&str, &str)] = &[
    ("TG0101", "What the file system refuses cannot be shown in a file."),
    ("TG0119", "No file is known that shows it."),
    ("TG0605", "Which environment is chosen is said when it is compiled."),
    ("TG0802", "It takes more policies and hosts than an example can have."),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The files of an example by their names within the project, sorted.
type Files = Vec<(String, Vec<u8>)>;

/// The `wrong` or the `right` part of a code's example.
fn example(code: &str, part: &str) -> Option<Files> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codes").join(code);
    if let Ok(text) = fs::read(folder.join(format!("{part}.yaml"))) {
        return Some(vec![("tollgate.yaml".to_owned(), text)]);
    }
    let root = folder.join(part);
    let (mut files, mut open) = (Files::new(), vec![root.clone()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(&root).ok()?.to_str()?.to_owned();
                files.push((name, fs::read(&path).ok()?));
            }
        }
    }
    files.sort();
    (!files.is_empty()).then_some(files)
}

/// Everything that is said about a project: by the compiler, about its fixtures and tests, by the formatter of JSON.
fn findings(files: &Files) -> Vec<Diagnostics> {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let mut found = Vec::new();
    let is_project = files.iter().any(|(name, _)| name.starts_with("tollgate."));
    let compiled = is_project.then(|| compile_dir(folder.path()));
    match &compiled {
        Some(Ok(compiled)) => found.push(compiled.warnings().clone()),
        Some(Err(errors)) => found.push(errors.clone()),
        None => {}
    }
    found.push(fixtures::load_dir(folder.path()).map_or_else(|errors| errors, |fixtures| fixtures.warnings));
    for loaded in policy_tests::load_dir(folder.path()) {
        match (&loaded.file, &compiled) {
            (Ok(file), Some(Ok(compiled))) => found.extend([file.warnings.clone(), file.check(compiled)]),
            (Ok(file), _) => found.push(file.warnings.clone()),
            (Err(errors), _) => found.push(errors.clone()),
        }
    }
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".json")) {
        found.extend(format_text(name, &String::from_utf8_lossy(text)).err());
    }
    found.retain(|found| !found.is_empty());
    found
}

fn codes(found: &[Diagnostics]) -> BTreeSet<&'static str> {
    found.iter().flatten().map(|finding| finding.code.id()).collect()
}

fn reason(code: Code) -> Option<&'static str> {
    WITHOUT.iter().find(|(without, _)| *without == code.id()).map(|(_, reason)| *reason)
}

#[test]
fn every_code_has_an_example_that_shows_it_and_one_that_does_not() {
    let mut problems = Vec::new();
    for &code in Code::ALL {
        let id = code.id();
        match (example(id, "wrong"), example(id, "right"), reason(code)) {
            (Some(wrong), Some(right), None) => {
                let (wrong, right) = (findings(&wrong), findings(&right));
                if codes(&wrong) != BTreeSet::from([id]) {
                    problems.push(format!("config/tests/codes/{id}/wrong shows not {id} alone:\n{wrong:?}"));
                }
                if !right.is_empty() {
                    problems.push(format!("config/tests/codes/{id}/right is not right:\n{right:?}"));
                }
            }
            (None, None, Some(_)) => {}
            (Some(_), Some(_), Some(_)) => problems.push(format!("{id} has an example and a reason why it has none")),
            (..) => problems.push(format!(
                "config/tests/codes/{id}/wrong.yaml and right.yaml are to be written: {} (the head of tests/codes.rs says how)",
                code.title()
            )),
        }
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn every_example_and_every_reason_is_of_a_code() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codes")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(Code::find(&name).is_some_and(|code| code.id() == name), "tests/codes/{name} is of no code");
    }
    for (id, reason) in WITHOUT {
        assert!(Code::find(id).is_some() && reason.ends_with('.'), "{id}: {reason}");
    }
}

#[test]
fn the_pages_of_the_codes_are_what_is_printed() {
    let folder = root().join("docs/diagnostics");
    let mut pages = vec![("README.md".to_owned(), index())];
    pages.extend(Code::ALL.iter().map(|code| (format!("{code}.md"), page(*code))));
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        fs::create_dir_all(&folder).unwrap();
        pages.iter().for_each(|(name, page)| fs::write(folder.join(name), page).unwrap());
    }
    for (name, page) in &pages {
        let written = fs::read_to_string(folder.join(name)).unwrap_or_default();
        assert!(
            written == *page,
            "docs/diagnostics/{name} is stale: TOLLGATE_BLESS=1 cargo test -p tollgate-config --test codes"
        );
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), pages.len(), "docs/diagnostics/ has a page of no code");
}

/// The page of a code.
fn page(code: Code) -> String {
    let mut page = format!("# {code}: {}\n\n{}\n", code.title().trim_end_matches('.'), code.explanation());
    if let Some(reason) = reason(code) {
        page.push_str(&format!("\n{reason}\n"));
    }
    if let (Some(wrong), Some(right)) = (example(code.id(), "wrong"), example(code.id(), "right")) {
        page.push_str(&format!("\n## Wrong\n{}", listing(&wrong, &wrong)));
        let said: String = findings(&wrong).iter().map(Diagnostics::to_string).collect();
        page.push_str(&format!("\nTollgate says:\n\n```text\n{}\n```\n", said.trim_end()));
        page.push_str(&format!("\n## Right\n{}", listing(&differing(&right, &wrong), &right)));
    }
    page.push_str("\n[All diagnostics](README.md)\n");
    page
}

/// The files that the other part of the example does not have, or has otherwise.
fn differing(files: &Files, other: &Files) -> Files {
    let differing: Files = files.iter().filter(|file| !other.contains(file)).cloned().collect();
    if differing.is_empty() { files.clone() } else { differing }
}

/// Files as they are shown; those of an example that is not one project file alone have their names above them.
fn listing(files: &Files, all: &Files) -> String {
    let named = all.len() > 1 || all.iter().any(|(name, _)| name != "tollgate.yaml");
    let mut out = String::new();
    for (name, text) in files {
        let language = if name.ends_with(".json") { "json" } else { "yaml" };
        let caption = if named { format!("\n`{name}`:\n") } else { String::new() };
        out.push_str(&format!("{caption}\n```{language}\n{}\n```\n", String::from_utf8_lossy(text).trim_end()));
    }
    out
}

/// The list of all codes.
fn index() -> String {
    let mut page = HEAD.to_owned();
    for (area, title) in AREAS {
        let of_area: Vec<_> = Code::ALL.iter().filter(|code| code.id().starts_with(area)).collect();
        if of_area.is_empty() {
            continue;
        }
        page.push_str(&format!("\n## `{area}..`: {title}\n\n| code | |\n|---|---|\n"));
        of_area.iter().for_each(|code| page.push_str(&format!("| [{code}]({code}.md) | {} |\n", code.title())));
    }
    page
}

#[test]
fn every_code_is_of_an_area() {
    for code in Code::ALL {
        assert!(AREAS.iter().any(|(area, _)| code.id().starts_with(area)), "{code}");
    }
}

const AREAS: &[(&str, &str)] = &[
    ("TG01", "reading files"),
    ("TG02", "the shape of what is written"),
    ("TG03", "single settings"),
    ("TG04", "how routes and settings work together"),
    ("TG05", "local fixtures"),
    ("TG06", "levels, values, environments and plans"),
    ("TG07", "OpenAPI and overlays"),
    ("TG08", "what requests cost, and the limits of platforms"),
    ("TG09", "policy tests and invariants"),
];

const HEAD: &str = "# Diagnostics

What Tollgate says about a project, by code. A code keeps its meaning for ever. Each has a page with its story, an example, what
is said to it, and the example put right; `tollgate explain TG0102` prints the same.

These pages are written from the table in `config/src/diagnostic/codes.rs` and the examples in `config/tests/codes/`; a test
compares them. To write them anew: `TOLLGATE_BLESS=1 cargo test -p tollgate-config --test codes`.
";
