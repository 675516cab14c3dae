//! `tollgate init`: a new project passes all checks of the program, and nothing is overwritten.

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::{Ran, run, tollgate};

/// Everything below a folder, by path.
fn contents(folder: &Path) -> Vec<(String, String)> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below it").display().to_string();
                found.push((name, fs::read_to_string(&path).expect("a text")));
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
fn passes_every_check(words: &[&str]) -> Vec<(String, String)> {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("shop");
    let shown = folder.display().to_string();
    let ran = run(&[&["init", &shown, "--yes"], words].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let check = run(&["check", &shown, "--output", "json"]);
    assert_eq!((check.code, check.json()), (Some(0), json!([])), "{check:?}");
    let formatted = run(&["fmt", "--check", &shown]);
    assert_eq!(formatted.code, Some(0), "{formatted:?}");
    let tested = run(&["test", &shown]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    contents(&folder)
}

fn text<'c>(contents: &'c [(String, String)], name: &str) -> &'c str {
    contents.iter().find(|(file, _)| file == name).map(|(_, text)| text.as_str()).expect(name)
}

#[test]
fn a_new_project_passes_check_fmt_and_test() {
    let made = passes_every_check(&[]);
    assert!(text(&made, "tollgate.yaml").contains("\n  name: shop\n"));
    for (name, given) in &made {
        // The schema that a file names exists.
        if let Some(schema) = given.lines().find_map(|line| line.strip_prefix("$schema: ")) {
            let schema = schema.trim_start_matches("../");
            let printed: Value = serde_json::from_str(text(&made, schema)).expect(name);
            assert!(printed["$schema"].as_str().is_some_and(|dialect| dialect.contains("2020-12")), "{schema}");
        }
    }
    let settings: Value = serde_json::from_str(text(&made, ".vscode/settings.json")).expect("JSON");
    for (schema, _) in settings["yaml.schemas"].as_object().expect("a mapping") {
        assert!(made.iter().any(|(file, _)| format!("./{file}") == *schema), "no {schema}");
    }
}

#[test]
fn the_requested_settings_are_in_the_project_and_pass_too() {
    let words = [
        "--name",
        "a-b",
        "--upstream",
        "https://x.example:8443/p",
        "--host",
        "api.example.com",
        "--host",
        "*.x.example",
    ];
    let made = passes_every_check(&words);
    let project = text(&made, "tollgate.yaml");
    for part in ["name: a-b", "main: \"https://x.example:8443/p\"", "hosts: [api.example.com, \"*.x.example\"]"] {
        assert!(project.contains(part), "no {part} in {project}");
    }
    let made = passes_every_check(&["--target", "workers-free", "--target", "native"]);
    assert!(text(&made, "tollgate.yaml").contains("target: [workers-free, native]"));
}

#[test]
fn the_key_of_a_new_project_works_and_is_unique() {
    let key = |made: &[(String, String)]| {
        let fixtures = text(made, "dev/fixtures.yaml").to_owned();
        let at = fixtures.find("tg_dev_").expect("a key");
        fixtures[at..].split([']', '\n']).next().unwrap_or_default().to_owned()
    };
    assert_ne!(key(&passes_every_check(&[])), key(&passes_every_check(&[])));
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().display().to_string();
    assert_eq!(run(&["init", &folder, "--yes"]).code, Some(0));
    let field = format!("X-API-Key: {}", key(&contents(root.path())));
    let ran = run(&["explain", "GET", "/anything", &folder, "-H", &field, "--output", "json"]);
    assert_eq!(ran.json()["response"]["status"], 200, "{ran:?}");
}

#[track_caller]
fn refuses(before: &[(&str, &str)], words: &[&str], code: i32, said: &str) {
    let root = tempfile::tempdir().expect("a folder");
    for (name, text) in before {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let was = contents(root.path());
    let folder = root.path().display().to_string();
    let ran = run(&[&["init", &folder], words].concat());
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(ran.err.contains(said), "{ran:?}");
    assert_eq!(contents(root.path()), was, "a file was created or changed");
}

#[test]
fn a_refusal_creates_nothing() {
    refuses(&[("tollgate.json", "{}")], &["--yes"], 1, "contains a project already");
    refuses(&[("tests/first.test.yaml", "mine")], &["--yes"], 1, "first.test.yaml");
    refuses(&[("dev", "a file where a folder has to be")], &["--yes"], 1, "nothing was created");
    refuses(&[], &[], 2, "--yes");
    refuses(&[], &["--yes", "--name", "Not a name"], 2, "lower-case letters");
    refuses(&[], &["--yes", "--upstream", "ftp://x"], 1, "TG0304");
    refuses(&[], &["--yes", "--upstream", "\"\n  evil: {url: \"http://x"], 1, "nothing was created");
    refuses(&[], &["--yes", "--host", "a b"], 1, "TG0305");
    refuses(&[], &["--yes", "--target", "moon"], 2, "moon");
}

#[test]
fn existing_optional_files_are_not_changed() {
    let root = tempfile::tempdir().expect("a folder");
    fs::write(root.path().join(".gitignore"), "mine\n").expect("a file");
    let ran = Ran::of(
        tollgate(&["init", "--yes", "--output", "json"]).current_dir(root.path()).output().expect("the program starts"),
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["kept"], json!([".gitignore"]));
    assert!(ran.json()["made"].as_array().is_some_and(|made| made.contains(&json!("tollgate.yaml"))));
    assert_eq!(text(&contents(root.path()), ".gitignore"), "mine\n");
}

/// The part of the tutorial between its first lines `from` and the next line `to`.
#[track_caller]
fn of_tutorial(from: &str, to: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial.md");
    let page = fs::read_to_string(page).expect("the tutorial");
    let (_, rest) = page.split_once(from).unwrap_or_else(|| unreachable!("{from} is not in the tutorial"));
    format!("{}{}", from.trim_start_matches("```yaml\n"), rest.split(to).next().unwrap_or_default())
}

#[test]
fn the_tutorial_shows_what_its_steps_lead_to() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("shop");
    let shown = folder.display().to_string();
    assert_eq!(run(&["init", &shown, "--yes", "--name", "shop"]).code, Some(0));
    let edit = |name: &str, from: &str, to: &str| {
        let path = folder.join(name);
        let text = fs::read_to_string(&path).expect("a file");
        let (before, _) = text.split_once(from).unwrap_or_else(|| panic!("{from} is not in {name}"));
        fs::write(path, format!("{before}{to}")).expect("a file");
    };
    edit("tollgate.yaml", "apis:\n", &of_tutorial("```yaml\napis:\n", "```"));
    let checked = run(&["check", &shown, "--output", "json"]).json();
    let codes: Vec<&Value> = checked.as_array().expect("a list").iter().map(|found| &found["code"]).collect();
    assert_eq!(codes, ["TG0909"], "{checked}");
    let text = fs::read_to_string(folder.join("tollgate.yaml")).expect("the project");
    fs::write(folder.join("tollgate.yaml"), text.replace("    limit: gentle", "    limits: gentle"))
        .expect("the project");
    let misspelt = run(&["check", &shown]).out;
    let expected = of_tutorial("error[TG0201]", "```");
    assert!(misspelt.contains(expected.trim_end()), "the tutorial shows\n{expected}\nand check prints\n{misspelt}");
    fs::write(folder.join("tollgate.yaml"), text).expect("the project");
    edit("tests/first.test.yaml", "consumers:\n", &of_tutorial("```yaml\nconsumers:\n", "```"));
    for words in [["check", &shown], ["test", &shown]] {
        let ran = run(&words);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}
