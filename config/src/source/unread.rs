//! Warns of files outside of the folders of a project, and of tests and fixtures, that are not read.

use super::TEST_ENDINGS;
use super::content::{self, Content};
use super::folder::Listed;
use super::layout::{Search, has_extension, is_hidden, stem_of};
use crate::diagnostic::{Code, Diagnostic};

impl Search<'_> {
    /// Reports files in `tests` that are not read because of their name or folder, so that their tests never run.
    pub(super) fn tests(&mut self) {
        let mut others = Vec::new();
        for entry in self.loader.list_optional("tests") {
            let path = format!("tests/{}", entry.name);
            if entry.is_folder {
                let mut remaining = content::EXAMINED_MAX;
                let found = self.test_in(&path, &mut remaining);
                found.into_iter().for_each(|path| self.unread_as(&path, Content::Test));
            } else if !is_hidden(&entry) && is_nearly_test(&entry.name) {
                self.unread_as(&path, Content::Test);
            } else if !is_test(&entry.name) {
                others.push(entry);
            }
        }
        for (path, kind) in self.recognized("tests", &others.iter().collect::<Vec<_>>()) {
            if kind == Content::Test {
                self.unread_as(&path, kind);
            }
        }
    }

    /// The first test in a folder or the folders in it, of a number of examined entries.
    fn test_in(&mut self, folder: &str, remaining: &mut usize) -> Option<String> {
        let entries = self.loader.list_optional(folder);
        let entries: Vec<&Listed> = entries.iter().filter(|entry| !is_hidden(entry)).collect();
        if let Some(entry) = entries.iter().find(|entry| !entry.is_folder && is_test(&entry.name)) {
            return Some(format!("{folder}/{}", entry.name));
        }
        *remaining = remaining.checked_sub(1 + entries.len())?;
        let mut recognized = self.recognized(folder, &entries).into_iter();
        recognized.find(|(_, kind)| *kind == Content::Test).map(|(path, _)| path).or_else(|| {
            let mut folders = entries.iter().filter(|entry| entry.is_folder);
            folders.find_map(|entry| self.test_in(&format!("{folder}/{}", entry.name), remaining))
        })
    }

    /// The files of a folder whose content is that of a project file, with what they are.
    fn recognized(&mut self, folder: &str, entries: &[&Listed]) -> Vec<(String, Content)> {
        let files = entries.iter().filter(|entry| stem_of(entry).is_some() && !is_hidden(entry));
        let mut found = Vec::new();
        for entry in files.take(content::EXAMINED_MAX) {
            let path = if folder.is_empty() { entry.name.clone() } else { format!("{folder}/{}", entry.name) };
            let of = if folder.is_empty() { content::of_format } else { content::of };
            let text = self.loader.peek(&path, content::EXAMINED_BYTES_MAX);
            found.extend(text.and_then(|text| of(&text)).map(|kind| (path, kind)));
        }
        found
    }

    /// Reports files beside that of an API, which are not read.
    pub(super) fn unread_of_api(&mut self, folder: &str, entries: &[&Listed]) {
        for (path, kind) in self.recognized(folder, entries) {
            match kind {
                Content::Api | Content::Policies => {
                    let fix = self.moved(&path, &format!("{folder}/api.yaml"), "keys");
                    self.unread(&path, &fix);
                }
                Content::Test | Content::Fixtures | Content::Plans => self.unread_as(&path, kind),
            }
        }
    }

    /// Reports files in `dev` with names similar to that of the fixtures.
    pub(super) fn fixtures(&mut self) {
        let entries = self.loader.list_optional("dev");
        let (similar, others): (Vec<&Listed>, Vec<&Listed>) = entries
            .iter()
            .filter(|entry| entry.name != "fixtures.yaml")
            .partition(|entry| stem_of(entry).is_some_and(|stem| FIXTURES.contains(&stem)));
        let similar = similar.iter().map(|entry| format!("dev/{}", entry.name));
        let recognized = self.recognized("dev", &others);
        let recognized = recognized.into_iter().filter(|(_, kind)| *kind == Content::Fixtures).map(|(path, _)| path);
        for path in similar.chain(recognized) {
            self.unread_as(&path, Content::Fixtures);
        }
    }

    /// Reports files and folders of the root with names similar to those that are read, or with their content.
    pub(super) fn similar_names(&mut self, root: &[Listed]) {
        let mut others = Vec::new();
        for entry in root {
            let intended = |wrong: &str| SIMILAR_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(wrong));
            if entry.is_folder {
                if let Some((_, right)) = intended(&entry.name).filter(|(_, right)| *right != entry.name) {
                    self.similar_folder(&entry.name, right, root);
                }
            } else if let Some((_, right)) = stem_of(entry).and_then(intended) {
                self.similar_file(&entry.name, right);
            } else if stem_of(entry).is_some_and(|stem| stem.starts_with("tollgate.")) {
                self.unread(&entry.name, "assign the values of an environment in `env/NAME.yaml`");
            } else if is_test(&entry.name) && !is_hidden(entry) {
                self.unread_as(&entry.name, Content::Test);
            } else if stem_of(entry) != Some("tollgate") {
                others.push(entry);
            }
        }
        for (path, kind) in self.recognized("", &others) {
            self.unread_as(&path, kind);
        }
    }

    /// Reports a folder of the root, which may have another purpose unless it contains files as the right folder does.
    fn similar_folder(&mut self, folder: &str, right: &str, root: &[Listed]) {
        let Some(file) = self.file_for(folder, right) else { return };
        let has_right = root.iter().any(|entry| entry.is_folder && entry.name == right);
        match right {
            "dev" => self.unread_as(&file, Content::Fixtures),
            right if has_right => {
                let within = file.split_once('/').map_or(file.as_str(), |(_, within)| within);
                let fix = self.moved(&file, &format!("{right}/{within}"), "content");
                self.unread(&file, &format!("{fix}, and the other files of `{folder}` likewise"));
            }
            right => self.unread(&file, &format!("rename the folder `{folder}` to `{right}`")),
        }
    }

    fn similar_file(&mut self, name: &str, right: &str) {
        match right {
            "dev" => self.unread_as(name, Content::Fixtures),
            "apis" => self.unread_as(name, Content::Api),
            "tests" => self.unread_as(name, Content::Test),
            "env" => self.unread(name, "move it to `env/NAME.yaml`, where NAME is the name of the environment"),
            right => {
                let fix = self.moved(name, &format!("{right}/{name}"), right);
                self.unread(name, &fix);
            }
        }
    }

    /// A file in a folder of the root that would be read if the folder were named `right`.
    fn file_for(&mut self, folder: &str, right: &str) -> Option<String> {
        if right == "tests" {
            let mut remaining = content::EXAMINED_MAX;
            return self.test_in(folder, &mut remaining);
        }
        let entries = self.loader.list(folder, self.report);
        if right != "apis" {
            let is_right = |entry: &&Listed| match right {
                "dev" => stem_of(entry).is_some_and(|stem| FIXTURES.contains(&stem)),
                _ => stem_of(entry).is_some(),
            };
            let file = entries.iter().find(is_right)?;
            return Some(format!("{folder}/{}", file.name));
        }
        entries.iter().filter(|entry| entry.is_folder && !is_hidden(entry)).take(FOLDERS_MAX).find_map(|entry| {
            let path = format!("{folder}/{}", entry.name);
            let inner = self.loader.list(&path, self.report);
            let file = inner.iter().find(|entry| stem_of(entry) == Some("api"))?;
            Some(format!("{path}/{}", file.name))
        })
    }

    /// Reports a file of a kind, with the path at which it is read.
    fn unread_as(&mut self, path: &str, kind: Content) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let fix = match kind {
            Content::Api => "move each API to `apis/NAME/api.yaml`".to_owned(),
            Content::Test => self.moved(path, &format!("tests/{}", test_name(name)), "cases"),
            Content::Fixtures => self.moved(path, "dev/fixtures.yaml", "consumers"),
            Content::Plans => self.moved(path, &format!("plans/{name}"), "plans"),
            Content::Policies => self.moved(path, &format!("policies/{name}"), "policies"),
        };
        self.unread(path, &fix);
    }

    fn unread(&mut self, path: &str, fix: &str) {
        let at = self.loader.place(path);
        self.report.push(
            Diagnostic::warning(Code::UnexpectedFile, at, format!("`{path}` is not read"))
                .why("only files with certain names and folders are part of a project")
                .fix(format!("{fix}, if it belongs to the project")),
        );
    }
}

fn is_test(name: &str) -> bool {
    TEST_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a name is similar to that of a test: `pets_test.yaml`, `pets.tests.yaml`, `test.yaml`, `pets.test.YAML`.
fn is_nearly_test(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_ascii_lowercase();
    let is_like = stem.rsplit(['.', '-', '_']).next().is_some_and(|last| matches!(last, "test" | "tests"));
    has_extension(name) && !is_test(name) && is_like
}

/// The name of a test for a file that is not read.
fn test_name(name: &str) -> String {
    if is_test(name) {
        return name.to_owned();
    }
    let (stem, extension) = name.rsplit_once('.').unwrap_or((name, "yaml"));
    let own = if is_nearly_test(name) { stem.trim_end_matches(|c: char| c.is_ascii_alphabetic()) } else { stem };
    let own = own.trim_end_matches(['.', '-', '_']);
    format!("{}.test.{}", if own.is_empty() { stem } else { own }, extension.to_ascii_lowercase())
}

/// Common wrong names of folders and files of the root, with the right names.
const SIMILAR_NAMES: [(&str, &str); 15] = [
    ("test", "tests"),
    ("tests", "tests"),
    ("fixtures", "dev"),
    ("fixture", "dev"),
    ("consumers", "dev"),
    ("api", "apis"),
    ("apis", "apis"),
    ("policy", "policies"),
    ("policies", "policies"),
    ("plan", "plans"),
    ("plans", "plans"),
    ("env", "env"),
    ("envs", "env"),
    ("environment", "env"),
    ("environments", "env"),
];

/// Common names of a file with consumers and keys, without its extension.
const FIXTURES: [&str; 4] = ["fixtures", "fixture", "consumers", "keys"];

/// The number of folders that are searched to recognise another folder.
const FOLDERS_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_test_has_the_name_of_one() {
        for (name, expected) in [
            ("a.yaml", "a.test.yaml"),
            ("a.json", "a.test.json"),
            ("a.b.yml", "a.b.test.yml"),
            ("pets_test.yaml", "pets.test.yaml"),
            ("pets.tests.json", "pets.test.json"),
            ("test.yaml", "test.test.yaml"),
            ("pets.test.YAML", "pets.test.yaml"),
            ("pets.test.yaml", "pets.test.yaml"),
        ] {
            assert_eq!(test_name(name), expected, "{name}");
        }
    }
}
