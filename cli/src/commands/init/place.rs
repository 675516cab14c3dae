//! Writes files into a folder: all or none, without overwriting existing ones.

use std::path::Path;

use super::files::File;
use crate::failure::Failure;
use crate::write::Staged;

/// Creates the files in their order; returns the names of optional files that exist and are kept.
///
/// If a file cannot be created, none is. A process that is killed does not leave a project behind either, if the last file
/// is the project file.
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
    let mut staged = Staged::default();
    let written = files.iter().filter(|file| !there(file));
    let written = written.into_iter().try_for_each(|file| staged.create_in(folder, &file.name, file.text.as_bytes()));
    written.and_then(|()| staged.commit()).map_err(|(path, error)| {
        Failure::problem(format!("{} cannot be created, so nothing was created: {error}", path.display()))
    })?;
    Ok(optional.into_iter().map(|file| file.name.as_str()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs;

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
