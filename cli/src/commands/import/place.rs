//! Where a document is read from, and where a project is written to.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_config::openapi::Spec;

use crate::failure::Failure;
use crate::terminal::printable;
use crate::write::{Staged, unwritten};

/// A document, and the folder that its references must not leave.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) root: PathBuf,
    /// The document's name below the folder, with `/` between folders.
    pub(super) name: String,
}

impl Source {
    /// A file below the current folder may refer to files anywhere below that folder; any other file only to files in
    /// and below its own folder.
    pub(super) fn of(file: &Path) -> Result<Self, Failure> {
        let shown = printable(&file.display().to_string());
        if !file.is_file() {
            return Err(Failure::problem(format!("{shown} is not a file: give an OpenAPI document")));
        }
        let (root, below) = below_current(file).map_or_else(
            || {
                let name = file.file_name().map(PathBuf::from).unwrap_or_default();
                (file.parent().map_or_else(|| PathBuf::from("."), Path::to_owned), name)
            },
            |below| (PathBuf::from("."), below),
        );
        let names: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
        let names = names.ok_or_else(|| Failure::problem(format!("the name {shown} is not UTF-8: rename the file")))?;
        Ok(Self { root, name: names.join("/") })
    }

    /// The name of a file relative to the common folder of all files of the specification.
    pub(super) fn below_common(&self, spec: &Spec, name: &str) -> String {
        let folders = |name: &str| -> Vec<String> {
            let mut parts: Vec<String> = name.split('/').map(str::to_owned).collect();
            parts.pop();
            parts
        };
        let mut common = folders(&self.name);
        for other in spec.files() {
            let shared = common.iter().zip(folders(other)).take_while(|(a, b)| **a == *b).count();
            common.truncate(shared);
        }
        name.split('/').skip(common.len()).collect::<Vec<_>>().join("/")
    }

    /// A file of the specification; `None` if it cannot be read, which was reported at the reference.
    pub(super) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(name)).ok()
    }
}

/// The path of a file from the current folder, however it is written; `None` if the file is elsewhere.
fn below_current(file: &Path) -> Option<PathBuf> {
    let current = std::env::current_dir().and_then(|folder| folder.canonicalize()).ok()?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().ok()?;
    Some(folder.strip_prefix(&current).ok()?.join(file.file_name()?))
}

/// Writes the files of a new project; nothing is written if one of them exists already.
///
/// They are removed again unless they are kept.
pub(super) fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<Staged, Failure> {
    if let Some((name, _)) = files.iter().find(|(name, _)| folder.join(name).symlink_metadata().is_ok()) {
        return Err(Failure::problem(format!(
            "{} exists already, and nothing is overwritten: choose another folder with --into",
            folder.join(name).display()
        )));
    }
    let mut staged = Staged::default();
    for (name, bytes) in files {
        staged.create_in(folder, name, bytes).map_err(unwritten)?;
    }
    staged.show().map_err(unwritten)?;
    Ok(staged)
}
