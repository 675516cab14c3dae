//! `cargo xtask kinds`: every policy kind of the list has its modules, page, example, policy test and scenario.
//!
//! The list is read as text from `core/src/kinds.rs`, so that a file that the compiler would miss is missed here first,
//! with what it is for.

use std::fs;
use std::path::{Path, PathBuf};

use crate::place::Place;

/// Prints the table of kinds, and fails where something of one is missing.
pub(crate) fn check(place: &Place) -> Result<(), String> {
    let (kinds, missing) = examine(&place.root)?;
    print!("{}", table(&kinds));
    if missing.is_empty() {
        return Ok(());
    }
    missing.iter().for_each(|what| eprintln!("kinds: {what}"));
    Err(format!("{} things are missing that policy kinds have", missing.len()))
}

/// The modules of all kinds that are there.
pub(crate) fn modules(root: &Path) -> Result<Vec<String>, String> {
    let kinds = kinds_of(&read(&root.join(LIST))?)?;
    let files = kinds.iter().flat_map(files).map(|(file, _)| file);
    Ok(files.filter(|file| file.ends_with(".rs") && root.join(file).is_file()).collect())
}

/// The kinds of a clone, and what is missing of them.
fn examine(root: &Path) -> Result<(Vec<Kind>, Vec<String>), String> {
    let list = read(&root.join(LIST))?;
    let kinds = kinds_of(&list)?;
    let projects = projects(&root.join("examples"))?;
    let missing = kinds.iter().flat_map(|kind| missing_of(root, kind, &projects)).collect();
    Ok((kinds, missing))
}

/// A kind as the list names it.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    slot: String,
    module: String,
    word: String,
}

/// Reads the blocks of the list: `slot Slot SlotPolicy Trait {`, and in it `module Kind Settings "word",`.
fn kinds_of(list: &str) -> Result<Vec<Kind>, String> {
    let start = list.find("macro_rules! policy_kinds").ok_or("core/src/kinds.rs has no macro `policy_kinds`")?;
    let mut slot = None;
    let mut kinds = Vec::new();
    for line in list[start..].lines().map(str::trim).take_while(|line| *line != "macro_rules! declare_modules {") {
        let words: Vec<&str> = line.split_whitespace().collect();
        match (words.as_slice(), &slot) {
            ([name, _, _, _, "{"], _) => slot = Some((*name).to_owned()),
            ([module, _, _, word], Some(slot)) if word.starts_with('"') => kinds.push(Kind {
                slot: slot.clone(),
                module: (*module).to_owned(),
                word: word.trim_matches(['"', ',']).to_owned(),
            }),
            _ => {}
        }
    }
    if kinds.is_empty() { Err("the list in core/src/kinds.rs names no kind".to_owned()) } else { Ok(kinds) }
}

/// The files that a kind has, each with what it is for.
fn files(kind: &Kind) -> Vec<(String, &'static str)> {
    let Kind { slot, module, word } = kind;
    let mut files = vec![
        (format!("core/src/{slot}/{module}.rs"), "settings and decision"),
        (format!("config/src/policies/{module}.rs"), "how it is written"),
        (format!("docs/policies/{word}.md"), "page"),
        (format!("tests/e2e/scenarios/{module}.rs"), "scenario"),
    ];
    if AWAITING.contains(&slot.as_str()) {
        files.push((format!("edge/src/policies/{module}.rs"), "what it awaits"));
    }
    files
}

fn missing_of(root: &Path, kind: &Kind, projects: &[Example]) -> Vec<String> {
    let text = |file: &str| fs::read_to_string(root.join(file)).unwrap_or_default();
    let absent = files(kind).into_iter().filter(|(file, _)| text(file).trim().is_empty());
    let mut missing: Vec<String> =
        absent.map(|(file, what)| format!("`{}` has no {what}: {file}", kind.word)).collect();
    for (index, folder) in INDEXES {
        let link = format!("({folder}{}.md", kind.word);
        if !text(index).contains(&link) {
            missing.push(format!("`{}` has no link to its page in {index}: {link})", kind.word));
        }
    }
    let examples: Vec<&Example> = projects.iter().filter(|project| !project.defines(kind).is_empty()).collect();
    if examples.is_empty() {
        missing.push(format!("`{}` is in no project of examples/", kind.word));
    } else if !examples.iter().any(|project| project.defines(kind).into_iter().any(|name| project.tests_name(name))) {
        missing.push(format!("`{}` is named by no policy test of the examples that have it", kind.word));
    }
    missing
}

/// An example project: what its files say, and what its policy tests say.
struct Example {
    project: String,
    tests: String,
}

impl Example {
    /// The names of the policies of a kind: each is the last key before the `kind` of its definition, on the same line
    /// (`name: {kind: word, ...}`) or on one above it that is indented less.
    fn defines(&self, kind: &Kind) -> Vec<&str> {
        let lines: Vec<&str> = self.project.lines().collect();
        let indent = |line: &str| line.len() - line.trim_start().len();
        let definition = |at: usize| {
            let line = lines[at];
            let (before, word) = line.split_once("kind:")?;
            if word.split([',', '}', '#']).next()?.trim() != kind.word {
                return None;
            }
            match before.trim().strip_suffix('{') {
                Some(name) => name.trim().strip_suffix(':'),
                None => {
                    let above = lines[..at].iter().rev().filter(|line| !line.trim().is_empty());
                    above.copied().find(|above| indent(above) < indent(line))?.trim().strip_suffix(':')
                }
            }
        };
        (0..lines.len()).filter_map(definition).collect()
    }

    /// Whether a test expects something of the policy: the one that refused, or a quota.
    fn tests_name(&self, name: &str) -> bool {
        ["policy: ", "quota: {"].iter().any(|key| {
            let said = self.tests.split(key).skip(1);
            said.into_iter().any(|rest| rest.split([',', '}', ':', '\n']).next() == Some(name))
        })
    }
}

/// All examples, each with the text of its YAML files.
fn projects(folder: &Path) -> Result<Vec<Example>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let folders = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| path.is_dir());
    folders
        .map(|folder| {
            let (mut project, mut tests) = (String::new(), String::new());
            for file in yaml_files(&folder)? {
                let is_test = file.to_string_lossy().ends_with(".test.yaml");
                let text = if is_test { &mut tests } else { &mut project };
                text.push_str(&read(&file)?);
                text.push('\n');
            }
            Ok(Example { project, tests })
        })
        .collect()
}

fn yaml_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if path.is_dir() {
            found.extend(yaml_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn table(kinds: &[Kind]) -> String {
    let mut text = format!("{:<14} {:<8} {}\n", "KIND", "SLOT", "FILES");
    for kind in kinds {
        let files: Vec<String> = files(kind).into_iter().map(|(file, _)| file).collect();
        text.push_str(&format!("{:<14} {:<8} {}\n", kind.word, kind.slot, files.join(" ")));
    }
    text
}

fn read(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// The list.
const LIST: &str = "core/src/kinds.rs";

/// The pages that list all kinds, and the folder of a kind's page as their links write it.
const INDEXES: [(&str, &str); 2] = [("docs/policies/README.md", ""), ("docs/configuration.md", "policies/")];

/// The slots whose kinds ask ports by themselves.
const AWAITING: [&str; 1] = ["authn"];

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
macro_rules! policy_kinds {
    ($then:ident $($arguments:tt)*) => {
        $then! {
            /// Guards.
            guard Guard GuardPolicy Guard {
                /// By address.
                ip_filter IpFilter IpFilterSettings "ip-filter",
            }
            authn Authn AuthnPolicy Authenticator {
                api_key ApiKey ApiKeySettings "api-key",
            }
        }
    };
}
macro_rules! declare_modules {
    (@guard x) => {};
}
"#;

    fn kind(slot: &str, module: &str, word: &str) -> Kind {
        Kind { slot: slot.to_owned(), module: module.to_owned(), word: word.to_owned() }
    }

    #[test]
    fn the_list_is_read_slot_by_slot() {
        let want = [kind("guard", "ip_filter", "ip-filter"), kind("authn", "api_key", "api-key")];
        assert_eq!(kinds_of(TEXT).unwrap(), want);
        assert!(kinds_of("macro_rules! policy_kinds {}").is_err());
        assert!(kinds_of("").is_err());
    }

    #[test]
    fn what_a_kind_lacks_is_named() {
        let example = |tests: &str| Example {
            project: "policies:\n  keys: {kind: api-key, header: X-API-Key}\n".to_owned(),
            tests: tests.to_owned(),
        };
        let missing =
            |projects: &[Example]| missing_of(Path::new("/nowhere"), &kind("authn", "api_key", "api-key"), projects);
        let all = missing(&[]);
        assert_eq!(all.len(), 8, "{all:?}");
        assert!(all.iter().any(|what| what.contains("edge/src/policies/api_key.rs")), "{all:?}");
        assert!(missing(&[example("")]).iter().any(|what| what.contains("named by no policy test")));
        assert_eq!(missing(&[example("expect: {status: 401, policy: keys}")]).len(), 7);
        assert_eq!(missing(&[example("expect: {policy: keys-2}")]).len(), 8, "another policy's name");
    }

    #[test]
    fn a_definition_is_found_on_one_line_and_on_several() {
        let project = "policies:\n  one: {kind: api-key, header: K}\n  two:\n    # a comment\n    header: K\n    kind: api-key # the kind\n  \
                       three:\n    kind: api-key-2\n";
        let example = Example { project: project.to_owned(), tests: String::new() };
        let kind = kind("authn", "api_key", "api-key");
        assert_eq!(example.defines(&kind), ["one", "two"]);
    }

    #[test]
    fn the_kinds_of_this_clone_are_all_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let kinds = kinds_of(&read(&root.join(LIST)).unwrap()).unwrap();
        assert!(kinds.contains(&kind("limit", "rate_limit", "rate-limit")), "{kinds:?}");
    }
}
