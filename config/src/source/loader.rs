//! Reads the files of a project, each once, with a limit for their total size.

use std::collections::HashMap;

use super::Limits;
use super::digest::{digest_of_content, digest_of_entries};
use super::folder::{Folder, Listed};
use super::position_of;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::place::{FileId, Files, Inputs, Position, Span, Spanned};

/// The folder of a project, and the files that were read from it.
#[derive(Debug)]
pub(crate) struct Loader {
    folder: Folder,
    files: Files,
    /// The files requested so far; `None` for those that could not be read, which was reported.
    requested: HashMap<String, Option<FileId>>,
    bytes_remaining: u64,
    /// Whether all requested files could be read.
    is_complete: bool,
    /// What was read from the folder.
    inputs: Inputs,
}

impl Loader {
    pub(crate) fn new(folder: Folder) -> Self {
        Self {
            folder,
            files: Files::new(),
            requested: HashMap::new(),
            bytes_remaining: PROJECT_BYTES_MAX,
            is_complete: true,
            inputs: Inputs::default(),
        }
    }

    /// The texts that were read.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// The texts, with what was read from the folder.
    pub(crate) fn into_files(self) -> Files {
        self.files.with_inputs(self.inputs)
    }

    /// The same for a project without an optional file.
    pub(crate) fn without(mut self, path: &str) -> Files {
        self.inputs.set_file(path, None);
        self.into_files()
    }

    /// Whether every file and folder could be read so far.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Adds a text that is not a file of the folder.
    pub(crate) fn add(&mut self, name: &str, text: &str) -> FileId {
        self.files.add(name, text)
    }

    /// The span of a whole file, whether or not it was read.
    pub(crate) fn place(&mut self, path: &str) -> Span {
        let known = self.requested.get(path).copied().flatten();
        Span::beginning_of(known.unwrap_or_else(|| self.files.add(path, "")))
    }

    /// The entries of an optional folder; none if it cannot be listed, which is not reported.
    pub(crate) fn list_optional(&mut self, folder: &str) -> Vec<Listed> {
        self.entries(folder).unwrap_or_default()
    }

    /// The entries of a folder; one that cannot be listed is reported.
    pub(crate) fn list(&mut self, folder: &str, report: &mut Report) -> Vec<Listed> {
        self.entries(folder).unwrap_or_else(|reason| {
            self.is_complete = false;
            let at = self.place(folder);
            let what = format!("the folder `{folder}` cannot be read: {reason}");
            report.push(
                Diagnostic::error(Code::UnreadableFile, at, what)
                    .why("the project cannot be compiled without its files")
                    .fix(format!(
                        "make sure that {} is a readable folder inside the project folder",
                        self.folder.shown(folder)
                    )),
            );
            Vec::new()
        })
    }

    /// Reads a file; `None` if it cannot be read, which is reported for that file.
    pub(crate) fn load(&mut self, path: &str, limits: &Limits, report: &mut Report) -> Option<FileId> {
        if let Some(known) = self.requested.get(path) {
            return *known;
        }
        let read = self.read(path, limits.bytes, report);
        let loaded = match read {
            Ok(loaded) => loaded,
            Err(reason) => {
                let at = self.place(path);
                let shown = self.folder.shown(path);
                report.push(
                    Diagnostic::error(Code::UnreadableFile, at, format!("`{path}` cannot be read: {reason}"))
                        .why("the project cannot be compiled without this file")
                        .fix(format!(
                            "make sure that {shown} is a readable file inside the project folder, of at most {} MiB; an API can \
                             have a file of its own, `apis/NAME/api.yaml`",
                            limits.bytes >> 20
                        )),
                );
                None
            }
        };
        self.is_complete &= loaded.is_some();
        self.requested.insert(path.to_owned(), loaded);
        loaded
    }

    /// Reads a file that another file of the project names, relative to that file; errors are reported where it
    /// is named.
    pub(crate) fn load_beside(
        &mut self,
        named: &Spanned<String>,
        limits: &Limits,
        report: &mut Report,
    ) -> Option<FileId> {
        let problem = match beside(self.files.name(named.span.file), &named.value) {
            Ok(path) => match self.requested.get(&path) {
                Some(known) => return *known,
                None => match self.read(&path, limits.bytes, report) {
                    Ok(loaded) => {
                        self.requested.insert(path, loaded);
                        return loaded;
                    }
                    Err(reason) => format!("`{path}` cannot be read: {reason}"),
                },
            },
            Err(reason) => reason.to_owned(),
        };
        report.push(
            Diagnostic::error(Code::UnreadableFile, named.span, problem)
                .why("only files inside the project folder are compiled")
                .fix(if named.value.contains("://") {
                    "copy the file into the project folder, and write its path: URLs are not fetched"
                } else {
                    "write the path of an existing file, relative to the file that names it"
                }),
        );
        None
    }

    /// Reads a file that another document refers to; the caller reports errors.
    pub(crate) fn try_load(&mut self, path: &str, limits: &Limits, report: &mut Report) -> Result<FileId, String> {
        let loaded = match self.requested.get(path) {
            Some(known) => *known,
            None => self.read(path, limits.bytes, report)?,
        };
        self.requested.insert(path.to_owned(), loaded);
        loaded.ok_or_else(|| "it cannot be read".to_owned())
    }

    /// The text of a file that is not part of the project; `None` if it is large or cannot be read.
    pub(crate) fn peek(&mut self, path: &str, bytes_max: u64) -> Option<String> {
        let read = self.folder.read(path, bytes_max).ok();
        self.inputs.set_file(path, read.as_deref().map(digest_of_content));
        String::from_utf8(read?).ok()
    }

    fn entries(&mut self, folder: &str) -> Result<Vec<Listed>, String> {
        let listed = self.folder.list(folder);
        self.inputs.set_folder(folder, listed.as_deref().ok().map(digest_of_entries));
        listed
    }

    fn read(&mut self, path: &str, bytes_max: u64, report: &mut Report) -> Result<Option<FileId>, String> {
        if self.requested.len() >= FILES_MAX {
            return Err(format!("the project has more than {FILES_MAX} files"));
        }
        let read = self.folder.read(path, bytes_max.min(self.bytes_remaining));
        self.inputs.set_file(path, read.as_deref().ok().map(digest_of_content));
        let bytes = read?;
        self.bytes_remaining = self.bytes_remaining.saturating_sub(bytes.len() as u64);
        Ok(match String::from_utf8(bytes) {
            Ok(text) => Some(self.files.add(path, text)),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                self.report_not_utf8(path, &String::from_utf8_lossy(error.as_bytes()), valid, report);
                None
            }
        })
    }

    fn report_not_utf8(&mut self, path: &str, text: &str, valid: usize, report: &mut Report) {
        let at = position_of(text, valid);
        let file = self.files.add(path, text);
        let span = Span { file, start: at, end: Position { column: at.column + 1, ..at } };
        report.push(
            Diagnostic::error(Code::NotUtf8, span, format!("`{path}` is not UTF-8"))
                .why("all files are UTF-8, so that a file has the same content on every machine")
                .fix("save the file as UTF-8"),
        );
    }
}

/// The path of `named` relative to the file at `path`; `Err` if it is outside the project.
fn beside(path: &str, named: &str) -> Result<String, &'static str> {
    if named.is_empty() {
        return Err("the path is empty");
    }
    if named.starts_with('/') || named.contains('\\') || named.contains("://") || named.contains('\0') {
        return Err("a path in a project must be relative, with `/` as the separator");
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in named.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or("the path leads outside the project folder")?;
            }
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

/// The total size of a project's files in bytes: the largest public API descriptions have 12 MiB each.
pub(super) const PROJECT_BYTES_MAX: u64 = 256 << 20;

/// The maximum number of files of a project: ten times those of the largest expected project.
const FILES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_relative_to_the_file_that_names_it() {
        for (path, named, expected) in [
            ("tollgate.yaml", "openapi.yaml", Some("openapi.yaml")),
            ("tollgate.yaml", "./specs//a.yaml", Some("specs/a.yaml")),
            ("apis/pets/api.yaml", "openapi.yaml", Some("apis/pets/openapi.yaml")),
            ("apis/pets/api.yaml", "../../specs/a.yaml", Some("specs/a.yaml")),
            ("apis/pets/api.yaml", "../../../a.yaml", None),
            ("tollgate.yaml", "../a.yaml", None),
            ("tollgate.yaml", "/etc/passwd", None),
            ("tollgate.yaml", "c:\\a", None),
            ("tollgate.yaml", "http://a/b", None),
            ("tollgate.yaml", "", None),
        ] {
            assert_eq!(beside(path, named).ok().as_deref(), expected, "{path} {named}");
        }
    }

    #[test]
    fn a_file_that_is_not_utf8_is_refused_at_the_first_invalid_byte() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("t.yaml"), b"a: 1\nb: \xff\n").unwrap();
        let (mut loader, mut report) = (Loader::new(Folder::Disk(folder.path().to_owned())), Report::default());
        assert_eq!(loader.load("t.yaml", &Limits::AUTHORED, &mut report), None);
        let found = report.finish(loader.into_files());
        assert_eq!(found.iter().next().unwrap().span.start, Position { line: 2, column: 4 });
    }

    #[test]
    fn a_file_is_read_once_and_refused_once() {
        let texts = [("a.yaml", "a"), ("dir/b.yaml", "b")].map(|(path, text)| (path.to_owned(), text.to_owned()));
        let (mut loader, mut report) = (Loader::new(Folder::Memory(texts.into())), Report::default());
        let b = loader.load("dir/b.yaml", &Limits::AUTHORED, &mut report).unwrap();
        let named = |text: &str| Spanned::new(text.to_owned(), Span::beginning_of(b));
        let a = loader.load_beside(&named("../a.yaml"), &Limits::AUTHORED, &mut report);
        assert_eq!(a, loader.load("a.yaml", &Limits::AUTHORED, &mut report));
        assert_eq!(loader.load_beside(&named("a.yaml"), &Limits::AUTHORED, &mut report), None);
        assert_eq!(loader.load("c.yaml", &Limits::AUTHORED, &mut report), None);
        assert_eq!(loader.load("c.yaml", &Limits::AUTHORED, &mut report), None);
        assert_eq!(report.finish(loader.into_files()).len(), 2);
    }
}
