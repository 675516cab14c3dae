//! Finds the files of a project by name and folder, and refuses files in its folders that would not be read.

use std::collections::BTreeSet;

use super::Loader;
use super::folder::Listed;
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
        let mut search = Search { loader, report, proposed: BTreeSet::new() };
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

pub(super) struct Search<'l> {
    pub(super) loader: &'l mut Loader,
    pub(super) report: &'l mut Report,
    /// The paths to which files were told to be moved.
    proposed: BTreeSet<String>,
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
                    let fix = self.moved(&path, &format!("apis/{name}/api.yaml"), "keys");
                    self.unexpected(&path, &format!("{fix}: each API has a folder"));
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
                    let path = format!("{folder}/{}", entry.name);
                    let fix = self.moved(&path, &format!("{folder}/api.yaml"), "keys");
                    self.unexpected(&path, &fix);
                    return None;
                }
                self.unread_of_api(folder, &entries.iter().collect::<Vec<_>>());
                None
            }
            [first, others @ ..] => {
                let file = format!("{folder}/{}", first.name);
                for other in others {
                    self.two_files(&file, &format!("{folder}/{}", other.name), "the API");
                }
                let rest: Vec<&Listed> = entries.iter().filter(|entry| stem_of(entry) != Some("api")).collect();
                self.unread_of_api(folder, &rest);
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
                    let inner = format!("{path}/{}", file.name);
                    let fix = self.moved(&inner, &format!("{folder}/{}", file.name), "content");
                    self.unexpected(&inner, &format!("{fix}: folders in `{folder}` are not read"));
                }
                continue;
            }
            let Some(stem) = stem_of(&entry) else {
                if has_extension(&entry.name) {
                    let (stem, extension) = path.rsplit_once('.').unwrap_or((&path, ""));
                    let fix = self.moved(&path, &format!("{stem}.{}", extension.to_ascii_lowercase()), "content");
                    self.unexpected(&path, &format!("{fix}: the extension has lowercase letters"));
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

    /// What to do with a file whose `content` belongs to another path: to two files of one path, or to a path that exists,
    /// only the content can be moved.
    pub(super) fn moved(&mut self, from: &str, to: &str, content: &str) -> String {
        let (folder, name) = to.rsplit_once('/').unwrap_or(("", to));
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let is_same = |entry: &&Listed| entry.name == name || (stem == "api" && stem_of(entry) == Some(stem));
        let existing = self.loader.list_optional(folder).iter().find(is_same).map(|entry| entry.name.clone());
        if let Some(existing) = existing {
            return format!("move its {content} to `{folder}/{existing}`");
        }
        if !self.proposed.insert(to.to_owned()) {
            return format!("move its {content} to `{to}`");
        }
        let is_renamed = from.rsplit_once('/').is_some_and(|(before, _)| before == folder);
        format!("{} it to `{to}`", if is_renamed { "rename" } else { "move" })
    }

    fn unexpected(&mut self, path: &str, fix: &str) {
        let at = self.loader.place(path);
        let what = format!("`{path}` is not the name or location of a project file");
        self.report.push(
            Diagnostic::error(Code::UnexpectedFile, at, what).why("the file would be ignored without notice").fix(fix),
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

fn two_files(first: &str, first_at: Span, second: &str, at: Span, thing: &str) -> Diagnostic {
    Diagnostic::error(Code::SeveralFiles, at, format!("both `{first}` and `{second}` exist"))
        .why(format!("it is ambiguous which of them defines {thing}"))
        .fix("remove one of them")
        .related(first_at, "the other file")
}

pub(super) fn is_hidden(entry: &Listed) -> bool {
    entry.name.starts_with('.')
}

/// The name of a file that is read, without its extension.
pub(super) fn stem_of(entry: &Listed) -> Option<&str> {
    let (stem, extension) = entry.name.rsplit_once('.')?;
    (!entry.is_folder && EXTENSIONS.contains(&extension) && !stem.is_empty()).then_some(stem)
}

/// Whether a file has an extension of files that are read, in any letter case.
pub(super) fn has_extension(name: &str) -> bool {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// The default name of the project file.
const DEFAULT: &str = "tollgate.yaml";

/// The extensions of files that are read.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
