//! Which files of a folder belong to a project by convention, and which look like misnamed ones.

use super::folder::Listed;
use super::{Loader, TEST_ENDINGS};
use crate::diagnostic::{Code, Diagnostic, Report, closest};
use crate::place::Span;

/// The files of a project, each list in the order of its paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    /// What a project begins with.
    pub(crate) project: String,
    /// Files with one API each: its name, and the path.
    pub(crate) apis: Vec<(String, String)>,
    /// Files with policies.
    pub(crate) policies: Vec<String>,
    /// Files with plans.
    pub(crate) plans: Vec<String>,
    /// Files with the values of an environment: its name, and the path.
    pub(crate) environments: Vec<(String, String)>,
}

impl Layout {
    /// Scans the project's folder, and the folders in it that have a meaning; the order of entries does not matter.
    pub(crate) fn find(loader: &mut Loader, report: &mut Report) -> Self {
        let root = loader.list("", report);
        let mut look = Look { loader, report };
        look.lookalikes(&root);
        look.tests();
        Self {
            project: look.project(&root),
            apis: look.apis(),
            policies: look.files_of("policies").into_iter().map(|(_, path)| path).collect(),
            plans: look.files_of("plans").into_iter().map(|(_, path)| path).collect(),
            environments: look.files_of("env"),
        }
    }
}

struct Look<'l> {
    loader: &'l mut Loader,
    report: &'l mut Report,
}

impl Look<'_> {
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
            !entry.is_folder && has_kind(&entry.name) && closest(stem, ["tollgate"].into_iter()).is_some()
        };
        if let Some(entry) = root.iter().find(near) {
            self.unexpected(&entry.name, &format!("rename it to `{DEFAULT}` if the project begins here"));
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
                if has_kind(&entry.name) {
                    let name = entry.name.split('.').next().unwrap_or_default();
                    self.unexpected(&path, &format!("an API has a folder: move the file to `apis/{name}/api.yaml`"));
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
                    has_kind(&entry.name) && (stem == own || closest(stem, ["api"].into_iter()).is_some())
                };
                if let Some(entry) = entries.iter().filter(|entry| !entry.is_folder).find(near) {
                    self.unexpected(&format!("{folder}/{}", entry.name), "rename it to `api.yaml`");
                }
                None
            }
            [first, others @ ..] => {
                for other in others {
                    let path = format!("{folder}/{}", other.name);
                    self.two_files(&format!("{folder}/{}", first.name), &path, "the API");
                }
                Some(format!("{folder}/{}", first.name))
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
                if let Some(file) = inner.iter().find(|entry| !entry.is_folder && has_kind(&entry.name)) {
                    self.unexpected(
                        &format!("{path}/{}", file.name),
                        &format!("folders in `{folder}` are not read: move the file to `{folder}/{}`", file.name),
                    );
                }
                continue;
            }
            let Some(stem) = stem_of(&entry) else {
                if has_kind(&entry.name) {
                    self.unexpected(&path, "end its name in `.yaml`, `.yml` or `.json`, in small letters");
                }
                continue;
            };
            if !entry.is_utf8 {
                self.not_utf8(&path);
                continue;
            }
            // Only names of environments have a meaning; elsewhere, two files of one name are two files.
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

    /// Files in `tests` that are not read because of their name, so their tests never run.
    fn tests(&mut self) {
        for entry in self.loader.glance("tests") {
            let path = format!("tests/{}", entry.name);
            if entry.is_folder {
                let inner = self.loader.glance(&path);
                if let Some(file) = inner.iter().find(|entry| is_test(&entry.name)) {
                    let fix = format!("folders in `tests` are not read: move the file to `tests/{}`", file.name);
                    self.unread(&format!("{path}/{}", file.name), &fix);
                }
            } else if let Some(stem) = stem_of(&entry).filter(|stem| !is_hidden(&entry) && is_nearly_test(stem)) {
                let own = stem.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end_matches(['.', '-', '_']);
                let own = if own.is_empty() { stem } else { own };
                self.unread(&path, &format!("rename it to `tests/{own}.test.yaml`"));
            }
        }
    }

    /// Files and folders of the root with names similar to those that are read.
    fn lookalikes(&mut self, root: &[Listed]) {
        for entry in root {
            let meant = |wrong: &str| MEANT.iter().find(|(name, _)| name.eq_ignore_ascii_case(wrong));
            if entry.is_folder {
                let Some((_, right)) = meant(&entry.name).filter(|(_, right)| *right != entry.name) else { continue };
                // A folder of this name may be something else, but not if it has files that are only read there.
                if let Some(file) = self.file_of_kind(&entry.name, right) {
                    let fix = format!("rename the folder `{}` to `{right}`", entry.name);
                    self.unread(&file, &fix);
                }
            } else if let Some((_, right)) = stem_of(entry).and_then(meant) {
                let fix = match *right {
                    "apis" => "move each API to `apis/NAME/api.yaml`".to_owned(),
                    "env" => "name the environment: move the file to `env/NAME.yaml`".to_owned(),
                    right => format!("move the file to `{right}/{}`", entry.name),
                };
                self.unread(&entry.name, &fix);
            }
        }
    }

    /// A file in a folder of the root that would be read if the folder were named `right`.
    fn file_of_kind(&mut self, folder: &str, right: &str) -> Option<String> {
        let entries = self.loader.list(folder, self.report);
        if right != "apis" {
            let file = entries.iter().find(|entry| stem_of(entry).is_some())?;
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
        let what = format!("`{path}` is not a name that files of a project have here");
        self.report.push(
            Diagnostic::error(Code::UnexpectedFile, at, what)
                .why("it would not be read, and what it says would silently not hold")
                .fix(fix),
        );
    }

    fn unread(&mut self, path: &str, fix: &str) {
        let at = self.loader.place(path);
        self.report.push(
            Diagnostic::warning(Code::UnexpectedFile, at, format!("`{path}` is not read"))
                .why("files of a project are found by their folders and names")
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
            Diagnostic::error(Code::NotUtf8, at, format!("the name `{path}` is not UTF-8"))
                .why("the name means something, and is the same on every machine only in UTF-8")
                .fix("rename it"),
        );
    }
}

fn two_files(first: &str, first_at: Span, second: &str, at: Span, thing: &str) -> Diagnostic {
    Diagnostic::error(Code::SeveralFiles, at, format!("there is a `{first}` and a `{second}`"))
        .why(format!("which of them is {thing} cannot be known"))
        .fix("keep one of them")
        .related(first_at, "the other one")
}

fn is_hidden(entry: &Listed) -> bool {
    entry.name.starts_with('.')
}

/// The name of a file that is read, without its extension.
fn stem_of(entry: &Listed) -> Option<&str> {
    let (stem, kind) = entry.name.rsplit_once('.')?;
    (!entry.is_folder && KINDS.contains(&kind) && !stem.is_empty()).then_some(stem)
}

/// Whether a file would be read if its name were right.
fn has_kind(name: &str) -> bool {
    let kind = name.rsplit_once('.').map(|(_, kind)| kind);
    kind.is_some_and(|kind| KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind)))
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
const KINDS: [&str; 3] = ["yaml", "yml", "json"];

/// Common wrong names of folders and files of the root, with the right names.
const MEANT: [(&str, &str); 10] = [
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

/// The number of folders that are searched to recognise another folder.
const FOLDERS_MAX: usize = 100;
