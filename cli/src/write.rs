//! Writes several files: all or none.
//!
//! Every file is first written under another name in its folder, so that most errors happen before anything is visible.
//! If one of the files cannot be moved to its place after all, those moved before are restored or removed.

use std::fs::{self, Permissions};
use std::io::{Error, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::failure::Failure;

/// Files that are written completely, and not visible yet.
#[derive(Default)]
pub(crate) struct Staged {
    /// Folders that were created for them.
    folders: Vec<PathBuf>,
    files: Vec<File>,
    /// Whether what was created is kept.
    is_kept: bool,
}

struct File {
    path: PathBuf,
    /// The new content, until it is moved to the path.
    new: Option<TempPath>,
    /// The content that it replaces; `None` if there must be no such file.
    old: Option<Vec<u8>>,
}

/// A path that cannot be written.
pub(crate) type Unwritable = (PathBuf, Error);

impl Staged {
    /// Adds a file that must not exist.
    pub(crate) fn create(&mut self, path: &Path, content: &[u8]) -> Result<(), Unwritable> {
        self.stage(path, content, None)
    }

    /// Adds a file that may exist; a link is followed, and the permissions of an existing file are kept.
    pub(crate) fn replace(&mut self, path: &Path, content: &[u8]) -> Result<(), Unwritable> {
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match fs::read(path) {
            Ok(old) => self.stage(path, content, Some(old)),
            Err(error) if error.kind() == ErrorKind::NotFound => self.stage(path, content, None),
            Err(error) => Err((path.clone(), error)),
        }
    }

    /// Adds a file within a folder, by its path there with `/` as the separator. It must not exist.
    pub(crate) fn create_in(&mut self, folder: &Path, name: &str, content: &[u8]) -> Result<(), Unwritable> {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        self.folder(parent)?;
        is_inside(folder, parent).map_err(|error| (path.clone(), error))?;
        self.create(&path, content)
    }

    /// Creates a folder, and those above it.
    pub(crate) fn folder(&mut self, folder: &Path) -> Result<(), Unwritable> {
        let missing: Vec<&Path> = folder.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder).map_err(|error| (folder.to_owned(), error))?;
            self.folders.push(folder.to_owned());
        }
        Ok(())
    }

    /// Moves all files to their places, in their order.
    ///
    /// # Errors
    /// If one cannot be moved; then all files are as they were before.
    pub(crate) fn show(&mut self) -> Result<(), Unwritable> {
        for file in &mut self.files {
            let Some(new) = file.new.take() else { continue };
            let moved = match file.old {
                Some(_) => new.persist(&file.path),
                None => new.persist_noclobber(&file.path),
            };
            if let Err(error) = moved {
                // It is removed, and counts as one that is not in its place.
                file.new = Some(error.path);
                return Err((file.path.clone(), error.error));
            }
        }
        Ok(())
    }

    /// Keeps what was written; otherwise it is undone when this is dropped.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }

    /// Moves all files to their places and keeps them.
    ///
    /// # Errors
    /// If one cannot be moved; then all files are as they were before.
    pub(crate) fn commit(mut self) -> Result<(), Unwritable> {
        self.show()?;
        self.keep();
        Ok(())
    }

    fn stage(&mut self, path: &Path, content: &[u8], old: Option<Vec<u8>>) -> Result<(), Unwritable> {
        let failed = |error| (path.to_owned(), error);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if old.is_none() && path.symlink_metadata().is_ok() {
            return Err(failed(ErrorKind::AlreadyExists.into()));
        }
        let new = write_beside(folder, path, content).map_err(failed)?;
        self.files.push(File { path: path.to_owned(), new: Some(new), old });
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // A file or folder that cannot be removed was reported as one that cannot be written.
        for File { path, new, old } in self.files.drain(..).rev() {
            match (new, old) {
                // It was never moved, and is removed together with its name.
                (Some(_), _) => {}
                (None, Some(old)) => drop(fs::write(&path, old)),
                (None, None) => drop(fs::remove_file(&path)),
            }
        }
        self.folders.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// Writes a file, which may exist. What is no regular file, such as a pipe, is written directly.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let written = if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        fs::write(path, content).map_err(|error| (path.to_owned(), error))
    } else {
        let mut staged = Staged::default();
        staged.replace(path, content).and_then(|()| staged.commit())
    };
    written.map_err(unwritten)
}

/// The failure for a path that cannot be written.
#[must_use]
pub(crate) fn unwritten((path, error): Unwritable) -> Failure {
    Failure::problem(format!("{} cannot be written, so nothing was written: {error}", path.display()))
}

/// Refuses a folder that a link places somewhere else.
fn is_inside(root: &Path, folder: &Path) -> std::io::Result<()> {
    // An empty path is the current folder.
    let or_here = |path: &Path| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() };
    if or_here(folder).canonicalize()?.starts_with(or_here(root).canonicalize()?) {
        Ok(())
    } else {
        Err(Error::other("a link points outside the project's folder"))
    }
}

/// Writes a file under another name in the same folder, with the permissions of an existing or of a new file.
fn write_beside(folder: &Path, path: &Path, content: &[u8]) -> std::io::Result<TempPath> {
    let mut new = beside(folder)?;
    new.write_all(content)?;
    if let Ok(about) = fs::metadata(path) {
        new.as_file().set_permissions(about.permissions())?;
    }
    new.as_file().sync_all()?;
    Ok(new.into_temp_path())
}

fn beside(folder: &Path) -> std::io::Result<NamedTempFile> {
    // The permissions of any new file, from which the umask of the process is removed.
    tempfile::Builder::new().prefix(".tollgate-").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = entries.collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_visible_before_everything_is_written() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b");
        let mut staged = Staged::default();
        staged.folder(&folder).unwrap();
        staged.create(&folder.join("one"), b"1").unwrap();
        staged.create(&folder.join("two"), b"2").unwrap();
        assert!(!folder.join("one").exists() && !folder.join("two").exists());
        staged.commit().unwrap();
        assert_eq!(names(&folder), ["one", "two"]);
        assert_eq!(fs::read(folder.join("two")).unwrap(), b"2");
    }

    #[test]
    fn what_fails_leaves_everything_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::write(path("old"), "before").unwrap();
        // The last one cannot be moved, because there is a folder in its place now.
        let mut staged = Staged::default();
        staged.replace(&path("old"), b"after").unwrap();
        staged.create_in(root.path(), "x/new", b"new").unwrap();
        staged.create(&path("y"), b"y").unwrap();
        fs::create_dir(path("y")).unwrap();
        assert_eq!(staged.commit().unwrap_err().0, path("y"));
        assert_eq!(names(root.path()), ["old", "y"]);
        assert_eq!(fs::read(path("old")).unwrap(), b"before");
        // One that exists is found before.
        let mut staged = Staged::default();
        assert!(staged.create(&path("z"), b"").is_ok() && staged.create(&path("old"), b"").is_err());
        drop(staged);
        assert_eq!(names(root.path()), ["old", "y"]);
    }

    #[test]
    fn permissions_are_those_of_the_file_before_or_of_any_new_file() {
        let root = tempfile::tempdir().unwrap();
        let (old, new, plain) = (root.path().join("old"), root.path().join("new"), root.path().join("plain"));
        fs::write(&old, "").unwrap();
        fs::write(&plain, "").unwrap();
        fs::set_permissions(&old, Permissions::from_mode(0o640)).unwrap();
        let mut staged = Staged::default();
        staged.replace(&old, b"o").unwrap();
        staged.replace(&new, b"n").unwrap();
        staged.commit().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&old) & 0o777, 0o640);
        assert_eq!(mode(&new), mode(&plain));
    }
}
