//! Writes files into a folder: all or none, without overwriting existing ones.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::files::File;
use crate::failure::Failure;

/// Creates the files in their order; returns the names of optional files that exist and are kept.
///
/// If a file cannot be created, those created before are removed. A process that is killed does not leave a project
/// behind either, if the last file is the project file.
pub(super) fn put<'f>(folder: &Path, files: &'f [File]) -> Result<Vec<&'f str>, Failure> {
    let there = |file: &&File| folder.join(&file.name).symlink_metadata().is_ok();
    let (optional, needed): (Vec<&File>, Vec<&File>) = files.iter().filter(there).partition(|file| file.optional);
    if !needed.is_empty() {
        let names: Vec<String> = needed.iter().map(|file| folder.join(&file.name).display().to_string()).collect();
        return Err(Failure::problem(format!(
            "files of a new project exist already: {}; move them away, or choose another folder",
            names.join(", ")
        )));
    }
    let mut undo = Undo::default();
    for file in files.iter().filter(|file| !there(file)) {
        undo.make(folder, file).map_err(|(path, error)| {
            Failure::problem(format!("{} cannot be created, so nothing was created: {error}", path.display()))
        })?;
    }
    undo.keep();
    Ok(optional.into_iter().map(|file| file.name.as_str()).collect())
}

/// The files created so far; they are removed when this is dropped.
#[derive(Default)]
struct Undo {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

impl Undo {
    fn make(&mut self, folder: &Path, file: &File) -> Result<(), (PathBuf, std::io::Error)> {
        let path = folder.join(&file.name);
        let parent = path.parent().unwrap_or(folder);
        let missing: Vec<&Path> = parent.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).map_err(|error| (folder.to_owned(), error))?;
            self.folders.push(folder.to_owned());
        }
        is_inside(folder, parent).map_err(|error| (path.clone(), error))?;
        let mut new = fs::File::create_new(&path).map_err(|error| (path.clone(), error))?;
        self.files.push(path.clone());
        new.write_all(file.text.as_bytes()).map_err(|error| (path, error))
    }

    fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        // A file that cannot be removed was reported as one that could not be created.
        self.files.iter().rev().for_each(|path| drop(fs::remove_file(path)));
        self.folders.iter().rev().for_each(|path| drop(fs::remove_dir(path)));
    }
}

/// Refuses a folder that a link places somewhere else.
fn is_inside(root: &Path, folder: &Path) -> Result<(), std::io::Error> {
    // An empty path is the current folder.
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    if folder.canonicalize()?.starts_with(root.canonicalize()?) {
        Ok(())
    } else {
        Err(std::io::Error::other("a link points outside the project's folder"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, optional: bool) -> File {
        File { name: name.to_owned(), text: "new".to_owned(), optional }
    }

    #[test]
    fn nothing_is_left_behind_when_something_cannot_be_made() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("a/b");
        // The second file would need a folder where the first one is.
        let files = [file("x/one", false), file("x/one/two", false), file("three", false)];
        assert!(put(&folder, &files).is_err());
        assert_eq!(fs::read_dir(root.path()).expect("the folder").count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_leads_nothing_out_of_the_folder() {
        let (root, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        std::os::unix::fs::symlink(outside.path(), root.path().join("tests")).expect("a link");
        let files = [file("one", false), file("tests/two", false)];
        let failure = put(root.path(), &files);
        assert!(failure.is_err_and(|failure| failure.to_string().contains("outside")));
        assert_eq!(fs::read_dir(outside.path()).expect("the folder").count(), 0);
        assert!(!root.path().join("one").exists());
    }

    #[test]
    fn what_is_there_is_left_as_it_is() {
        let root = tempfile::tempdir().expect("a folder");
        fs::write(root.path().join("old"), "old").expect("a file");
        let files = [file("old", true), file("c/new", false)];
        assert_eq!(put(root.path(), &files).ok(), Some(vec!["old"]));
        assert_eq!(fs::read_to_string(root.path().join("old")).ok().as_deref(), Some("old"));
        assert_eq!(fs::read_to_string(root.path().join("c/new")).ok().as_deref(), Some("new"));
        assert!(put(root.path(), &files).is_err_and(|failure| failure.to_string().contains("c/new")));
    }
}
