//! Finds the files of a project by name and folder, and reports files whose names are similar but are not read.

use super::content::{self, Content};
use super::folder::Listed;
use super::{Loader, TEST_ENDINGS};
use crate::diagnostic::{Code, Diagnostic, Report, closest};
use crate::place::Span;

/// The files of a project, each list in the order of its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The project file, such as `tollgate.yaml`.
    pub(crate) project: String,
    /// Files with one API each: the name of the API, and the path.
    pub(crate) apis: Vec<(String, String)>,
    /// Files with policies.
    pub(crate) policies: Vec<String>,
    /// Files with plans.
    pub(crate) plans: Vec<String>,
    /// Files with the values of an environment: the name of the environment, and the path.
    pub(crate) environments: Vec<(String, String)>,
}

impl Layout {
    /// Scans the project's folder and its folders with a defined meaning; the order of entries does not matter.
    pub(crate) fn find(loader: &mut Loader, report: &mut Report) -> Self {
        let root = loader.list("", report);
        let mut search = Search { loader, report };
        search.similar_names(&root);
        search.tests();
        search.fixtures();
        Self {
            project: search.project(&root),
            apis: search.apis(),
            policies: search.files_of("policies").into_iter().map(|(_, path)| path).collect(),
            plans: search.files_of("plans").into_iter().map(|(_, path)| path).collect(),
            environments: search.files_of("env"),
        }
    }
}

struct Search<'l> {
    loader: &'l mut Loader,
    report: &'l mut Report,
}

impl Search<'_> {
    fn project(&mut self, root: &[Listed]) -> String {
        let found: Vec<&Listed> = root.iter().filter(|entry| stem_of(entry) == Some("tollgate")).collect();
        match found.as_slice() {
            [] => {
                self.misspelt_project(root);
                DEFAULT.to_owned()
            }
            [only] => only.name.clone(),
            [first, others @ ..] => {
                for other in others {
                    self.two_files(&first.name, &other.name, "the project");
                }
                first.name.clone()
            }
        }
    }

    /// A missing file is reported when it is read; this reports which existing file was probably intended.
    fn misspelt_project(&mut self, root: &[Listed]) {
        let near = |entry: &&Listed| {
            let stem = entry.name.split_once('.').map_or(entry.name.as_str(), |(stem, _)| stem);
            !entry.is_folder && has_extension(&entry.name) && closest(stem, ["tollgate"].into_iter()).is_some()
        };
        if let Some(entry) = root.iter().find(near) {
            self.unexpected(&entry.name, &format!("rename it to `{DEFAULT}` if it is the project file"));
        }
    }

    fn apis(&mut self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        for entry in self.loader.list("apis", self.report) {
            if is_hidden(&entry) {
                continue;
            }
            let path = format!("apis/{}", entry.name);
            if !entry.is_folder {
                if has_extension(&entry.name) {
                    let name = entry.name.split('.').next().unwrap_or_default();
                    self.unexpected(&path, &format!("move it to `apis/{name}/api.yaml`: each API has a folder"));
                }
                continue;
            }
            if !entry.is_utf8 {
                self.not_utf8(&path);
                continue;
            }
            all.extend(self.api(&path).map(|file| (entry.name, file)));
        }
        all
    }

    fn api(&mut self, folder: &str) -> Option<String> {
        let entries = self.loader.list(folder, self.report);
        let found: Vec<&Listed> = entries.iter().filter(|entry| stem_of(entry) == Some("api")).collect();
        match found.as_slice() {
            [] => {
                let own = folder.rsplit('/').next().unwrap_or_default();
                let near = |entry: &&Listed| {
                    let stem = entry.name.split('.').next().unwrap_or_default();
                    has_extension(&entry.name) && (stem == own || closest(stem, ["api"].into_iter()).is_some())
                };
                if let Some(entry) = entries.iter().filter(|entry| !entry.is_folder).find(near) {
                    self.unexpected(&format!("{folder}/{}", entry.name), "rename it to `api.yaml`");
                    return None;
                }
                let fix = format!("rename it to `{folder}/api.yaml`");
                for (path, kind) in self.recognized(folder, &entries.iter().collect::<Vec<_>>()) {
                    self.unread(&path, &moved(kind, &path, &fix));
                }
                None
            }
            [first, others @ ..] => {
                let file = format!("{folder}/{}", first.name);
                for other in others {
                    self.two_files(&file, &format!("{folder}/{}", other.name), "the API");
                }
                let rest: Vec<&Listed> = entries.iter().filter(|entry| stem_of(entry) != Some("api")).collect();
                for (path, kind) in self.recognized(folder, &rest) {
                    self.unread(&path, &moved(kind, &path, &format!("move its keys to `{file}`")));
                }
                Some(file)
            }
        }
    }

    /// The files of a folder in which names are arbitrary, with their names.
    fn files_of(&mut self, folder: &str) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        for entry in self.loader.list(folder, self.report) {
            let path = format!("{folder}/{}", entry.name);
            if is_hidden(&entry) {
                continue;
            }
            if entry.is_folder {
                let inner = self.loader.list(&path, self.report);
                if let Some(file) = inner.iter().find(|entry| !entry.is_folder && has_extension(&entry.name)) {
                    self.unexpected(
                        &format!("{path}/{}", file.name),
                        &format!("move it to `{folder}/{}`: folders in `{folder}` are not read", file.name),
                    );
                }
                continue;
            }
            let Some(stem) = stem_of(&entry) else {
                if has_extension(&entry.name) {
                    self.unexpected(&path, "rename it to end in `.yaml`, `.yml` or `.json`, in lowercase letters");
                }
                continue;
            };
            if !entry.is_utf8 {
                self.not_utf8(&path);
                continue;
            }
            // Only in `env` the name has a meaning. In other folders, `a.yaml` and `a.json` are simply two files.
            match all.iter().find(|(known, _)| folder == "env" && known == stem) {
                Some((_, first)) => {
                    let first = first.clone();
                    self.two_files(&first, &path, "the environment");
                }
                None => all.push((stem.to_owned(), path)),
            }
        }
        all
    }

    /// Reports files in `tests` that are not read because of their name, so that their tests never run.
    fn tests(&mut self) {
        let mut others = Vec::new();
        for entry in self.loader.list_optional("tests") {
            let path = format!("tests/{}", entry.name);
            if entry.is_folder {
                let inner = self.loader.list_optional(&path);
                if let Some(file) = inner.iter().find(|entry| is_test(&entry.name)) {
                    let fix = format!("move it to `tests/{}`: folders in `tests` are not read", file.name);
                    self.unread(&format!("{path}/{}", file.name), &fix);
                }
            } else if let Some(stem) = stem_of(&entry).filter(|stem| !is_hidden(&entry) && is_nearly_test(stem)) {
                let own = stem.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end_matches(['.', '-', '_']);
                let own = if own.is_empty() { stem } else { own };
                self.unread(&path, &format!("rename it to `tests/{own}.test.yaml`"));
            } else if !is_test(&entry.name) {
                others.push(entry);
            }
        }
        for (path, kind) in self.recognized("tests", &others.iter().collect::<Vec<_>>()) {
            if kind == Content::Test {
                self.unread(&path, &moved(kind, &path, ""));
            }
        }
    }

    /// The files of a folder whose content is that of a project file, with what they are.
    fn recognized(&mut self, folder: &str, entries: &[&Listed]) -> Vec<(String, Content)> {
        let files = entries.iter().filter(|entry| stem_of(entry).is_some() && !is_hidden(entry));
        let mut found = Vec::new();
        for entry in files.take(content::EXAMINED_MAX) {
            let path = format!("{folder}/{}", entry.name);
            let text = self.loader.peek(&path, content::EXAMINED_BYTES_MAX);
            found.extend(text.and_then(|text| content::of(&text)).map(|kind| (path, kind)));
        }
        found
    }

    /// Reports files in `dev` with names similar to that of the fixtures.
    fn fixtures(&mut self) {
        let entries = self.loader.list_optional("dev");
        let (similar, others): (Vec<&Listed>, Vec<&Listed>) = entries
            .iter()
            .filter(|entry| entry.name != "fixtures.yaml")
            .partition(|entry| stem_of(entry).is_some_and(|stem| FIXTURES.contains(&stem)));
        let similar = similar.iter().map(|entry| format!("dev/{}", entry.name));
        let recognized = self.recognized("dev", &others);
        let recognized = recognized.into_iter().filter(|(_, kind)| *kind == Content::Fixtures).map(|(path, _)| path);
        for path in similar.chain(recognized) {
            self.unread(&path, "rename it to `dev/fixtures.yaml`");
        }
    }

    /// Reports files and folders of the root with names similar to those that are read.
    fn similar_names(&mut self, root: &[Listed]) {
        for entry in root {
            let intended = |wrong: &str| SIMILAR_NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(wrong));
            if entry.is_folder {
                let Some((_, right)) = intended(&entry.name).filter(|(_, right)| *right != entry.name) else {
                    continue;
                };
                // A folder of this name may have another purpose, unless it contains files as the right folder does.
                if let Some(file) = self.file_for(&entry.name, right) {
                    let fix = format!("rename the folder `{}` to `{right}`", entry.name);
                    self.unread(&file, &fix);
                }
            } else if let Some((_, right)) = stem_of(entry).and_then(intended) {
                let fix = match *right {
                    "dev" => "move it to `dev/fixtures.yaml`".to_owned(),
                    "apis" => "move each API to `apis/NAME/api.yaml`".to_owned(),
                    "env" => "move it to `env/NAME.yaml`, where NAME is the name of the environment".to_owned(),
                    right => format!("move it to `{right}/{}`", entry.name),
                };
                self.unread(&entry.name, &fix);
            } else if stem_of(entry).is_some_and(|stem| stem.starts_with("tollgate.")) {
                self.unread(&entry.name, "assign the values of an environment in `env/NAME.yaml`");
            }
        }
    }

    /// A file in a folder of the root that would be read if the folder were named `right`.
    fn file_for(&mut self, folder: &str, right: &str) -> Option<String> {
        let entries = self.loader.list(folder, self.report);
        if right != "apis" {
            let is_right = |entry: &&Listed| match right {
                "tests" => !entry.is_folder && is_test(&entry.name),
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

    fn unexpected(&mut self, path: &str, fix: &str) {
        let at = self.loader.place(path);
        let what = format!("`{path}` is not the name or location of a project file");
        self.report.push(
            Diagnostic::error(Code::UnexpectedFile, at, what).why("the file would be ignored without notice").fix(fix),
        );
    }

    fn unread(&mut self, path: &str, fix: &str) {
        let at = self.loader.place(path);
        self.report.push(
            Diagnostic::warning(Code::UnexpectedFile, at, format!("`{path}` is not read"))
                .why("only files with certain names and folders are part of a project")
                .fix(format!("{fix}, if it belongs to the project")),
        );
    }

    fn two_files(&mut self, first: &str, second: &str, thing: &str) {
        let (first_at, at) = (self.loader.place(first), self.loader.place(second));
        self.report.push(two_files(first, first_at, second, at, thing));
    }

    fn not_utf8(&mut self, path: &str) {
        let at = self.loader.place(path);
        self.report.push(
            Diagnostic::error(Code::NotUtf8, at, format!("the file name `{path}` is not UTF-8"))
                .why("the name is part of the configuration, and only UTF-8 names are the same on every machine")
                .fix("rename the file with UTF-8 characters"),
        );
    }
}

/// Where a file of a kind is read; `of_api` is said of the settings of an API.
fn moved(kind: Content, path: &str, of_api: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    match kind {
        Content::Api => of_api.to_owned(),
        Content::Test if path.starts_with("tests/") => format!("rename it to `tests/{stem}.test.yaml`"),
        Content::Test => format!("move it to `tests/{stem}.test.yaml`"),
        Content::Fixtures => "move it to `dev/fixtures.yaml`".to_owned(),
        Content::Plans => format!("move it to `plans/{name}`"),
    }
}

fn two_files(first: &str, first_at: Span, second: &str, at: Span, thing: &str) -> Diagnostic {
    Diagnostic::error(Code::SeveralFiles, at, format!("both `{first}` and `{second}` exist"))
        .why(format!("it is ambiguous which of them defines {thing}"))
        .fix("remove one of them")
        .related(first_at, "the other file")
}

fn is_hidden(entry: &Listed) -> bool {
    entry.name.starts_with('.')
}

/// The name of a file that is read, without its extension.
fn stem_of(entry: &Listed) -> Option<&str> {
    let (stem, extension) = entry.name.rsplit_once('.')?;
    (!entry.is_folder && EXTENSIONS.contains(&extension) && !stem.is_empty()).then_some(stem)
}

/// Whether a file has an extension of files that are read, in any letter case.
pub(super) fn has_extension(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

fn is_test(name: &str) -> bool {
    TEST_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a name without its extension is similar to that of a test: `pets_test`, `pets.tests`, `test`.
fn is_nearly_test(stem: &str) -> bool {
    !stem.ends_with(".test") && stem.rsplit(['.', '-', '_']).next().is_some_and(|last| matches!(last, "test" | "tests"))
}

/// The default name of the project file.
const DEFAULT: &str = "tollgate.yaml";

/// The extensions of files that are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

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
