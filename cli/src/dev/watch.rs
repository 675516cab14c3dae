//! Detects changes of a project's files by polling.
//!
//! A poll is a few system calls for a project of ordinary size, works on every file system, mounted ones included, and
//! needs no thread and no limited system resource.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::project::{Place, Project};

/// The files of a project, as of the last poll.
pub(super) struct Watch {
    folder: Option<PathBuf>,
    settled: Marks,
    last: Marks,
}

/// The modification time and length of each file.
type Marks = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

impl Watch {
    /// Starts from the current files.
    pub(super) fn of(project: &Project) -> Self {
        let folder = match &project.place {
            Place::Folder(folder) => Some(folder.clone()),
            Place::BuiltIn => None,
        };
        let marks = folder.as_deref().map(look).unwrap_or_default();
        Self { folder, settled: marks.clone(), last: marks }
    }

    /// Polls the files; true once for each change, when the next poll finds no further change.
    pub(super) fn has_changed(&mut self) -> bool {
        let Some(folder) = &self.folder else { return false };
        let now = look(folder);
        let still = now == self.last;
        self.last = now;
        if !still || self.last == self.settled {
            return false;
        }
        self.settled = self.last.clone();
        true
    }
}

fn look(folder: &Path) -> Marks {
    let mut marks = Marks::new();
    look_in(folder, DEPTH_MAX, &mut marks);
    marks
}

fn look_in(folder: &Path, depth: usize, marks: &mut Marks) {
    // The compiler reports a folder that cannot be read, if the project needs it.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if marks.len() >= FILES_MAX {
            return;
        }
        let path = entry.path();
        let Ok(about) = std::fs::metadata(&path) else { continue };
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if about.is_dir() && depth > 0 && !name.starts_with('.') && !FOREIGN.contains(&name.as_ref()) {
            look_in(&path, depth - 1, marks);
        } else if about.is_file() && is_project_file(&path) {
            marks.insert(path, (about.modified().ok(), about.len()));
        }
    }
}

fn is_project_file(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml" || kind == "json")
}

/// The polling interval: an edit is active after two polls and a compilation, well within a second.
pub(super) const INTERVAL: Duration = Duration::from_millis(150);

/// Folders of other tools, with many files.
const FOREIGN: [&str; 2] = ["node_modules", "target"];

/// A project has `dev/`, `apis/NAME/` and similar folders; deeper ones are not part of it.
const DEPTH_MAX: usize = 4;

/// More files than projects have, few enough to poll several times a second.
const FILES_MAX: usize = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_once_and_only_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tollgate.yaml");
        std::fs::write(&file, "a").unwrap();
        let mut watch = Watch::of(&Project::at(folder.path()));
        assert!(!watch.has_changed());
        std::fs::write(&file, "ab").unwrap();
        assert!(!watch.has_changed(), "the edit may not be finished");
        std::fs::write(&file, "abc").unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
        assert!(!watch.has_changed());
        std::fs::remove_file(&file).unwrap();
        assert!(!watch.has_changed());
        assert!(watch.has_changed());
    }

    #[test]
    fn files_in_folders_of_the_project_count_and_others_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::of(&Project::at(folder.path()));
        for (name, counts) in [("dev/fixtures.yaml", true), ("node_modules/a.json", false), ("notes.txt", false)] {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, name).unwrap();
            watch.has_changed();
            assert_eq!(watch.has_changed(), counts, "{name}");
        }
    }
}
