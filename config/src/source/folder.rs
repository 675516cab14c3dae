//! The storage of a project's files: a folder on disk, or texts in memory.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The folder of a project. Paths within it are relative, with `/`, and without `.` and `..`.
#[derive(Clone, Debug)]
pub(crate) enum Folder {
    /// A folder on disk; links within it must not point outside.
    Disk(PathBuf),
    /// Texts by path.
    Memory(BTreeMap<String, String>),
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Listed {
    /// The name of the entry, with invalid UTF-8 replaced.
    pub(crate) name: String,
    pub(crate) is_folder: bool,
    /// Whether the name is valid UTF-8; otherwise the entry cannot be read by this name.
    pub(crate) is_utf8: bool,
}

impl Folder {
    /// The entries of a folder, sorted by name; none if the folder does not exist.
    ///
    /// # Errors
    /// The reason why the folder cannot be listed.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<Listed>, String> {
        let mut entries = match self {
            Self::Disk(root) => list_disk(root, folder)?,
            Self::Memory(texts) => list_memory(texts, folder),
        };
        entries.sort();
        entries.dedup();
        Ok(entries)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// The reason why the file cannot be read.
    pub(crate) fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        match self {
            Self::Disk(root) => read_disk(root, path, bytes_max),
            Self::Memory(texts) => {
                let text = texts.get(path).ok_or("there is no such file")?;
                if text.len() as u64 > bytes_max { Err(too_large(bytes_max)) } else { Ok(text.as_bytes().to_vec()) }
            }
        }
    }

    /// The path for messages to people.
    pub(crate) fn shown(&self, path: &str) -> String {
        match self {
            Self::Disk(root) => root.join(path).display().to_string(),
            Self::Memory(_) => path.to_owned(),
        }
    }
}

fn list_memory(texts: &BTreeMap<String, String>, folder: &str) -> Vec<Listed> {
    let within = |path: &String| match folder {
        "" => Some(path.clone()),
        folder => path.strip_prefix(folder)?.strip_prefix('/').map(str::to_owned),
    };
    let entry = |rest: String| match rest.split_once('/') {
        Some((name, _)) => Listed { name: name.to_owned(), is_folder: true, is_utf8: true },
        None => Listed { name: rest, is_folder: false, is_utf8: true },
    };
    texts.keys().filter_map(within).map(entry).collect()
}

fn list_disk(root: &Path, folder: &str) -> Result<Vec<Listed>, String> {
    if !root.join(folder).exists() {
        return Ok(Vec::new());
    }
    let path = inside(root, folder)?;
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        if all.len() == ENTRIES_MAX {
            return Err(format!("it has more than {ENTRIES_MAX} entries"));
        }
        // The target of a link is used; a broken link is a file that cannot be read.
        let is_folder = std::fs::metadata(entry.path()).is_ok_and(|about| about.is_dir());
        let (name, is_utf8) = match entry.file_name().into_string() {
            Ok(name) => (name, true),
            Err(name) => (shown_name(&name), false),
        };
        all.push(Listed { name, is_folder, is_utf8 });
    }
    Ok(all)
}

fn shown_name(name: &OsString) -> String {
    name.to_string_lossy().into_owned()
}

fn read_disk(root: &Path, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
    let path = inside(root, path)?;
    // Checked before opening: opening a pipe waits for its other end.
    if !path.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let file = File::open(&path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > bytes_max { Err(too_large(bytes_max)) } else { Ok(bytes) }
}

/// The path with all links resolved, which must be within the folder.
fn inside(root: &Path, path: &str) -> Result<PathBuf, String> {
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let path = root.join(path).canonicalize().map_err(|error| error.to_string())?;
    if path.starts_with(&root) {
        Ok(path)
    } else {
        Err("it is a link that leads outside the project folder".to_owned())
    }
}

fn too_large(bytes_max: u64) -> String {
    match bytes_max {
        0 => "the total size of the project's files exceeds the limit".to_owned(),
        bytes if bytes < 1 << 20 => {
            format!("it is larger than {bytes} bytes, the remainder of the limit for all files of a project")
        }
        bytes => format!("it is larger than {} MiB", bytes >> 20),
    }
}

/// The maximum number of entries of one folder: ten times the APIs of the largest expected project.
const ENTRIES_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(paths: &[&str]) -> BTreeMap<String, String> {
        paths.iter().map(|path| ((*path).to_owned(), String::new())).collect()
    }

    #[track_caller]
    fn check(folder: &Folder, path: &str, expected: &[(&str, bool)]) {
        let found = folder.list(path).unwrap();
        let found: Vec<_> = found.iter().map(|entry| (entry.name.as_str(), entry.is_folder)).collect();
        assert_eq!(found, expected, "{path}");
    }

    #[test]
    fn memory_and_disk_list_the_same_entries() {
        let paths = ["apis/b/api.yaml", "apis/a/api.yaml", "apis/a/x.yaml", "tollgate.yaml", "apisx/a"];
        let disk = tempfile::tempdir().unwrap();
        for path in paths {
            let path = disk.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        for folder in [Folder::Memory(texts(&paths)), Folder::Disk(disk.path().to_owned())] {
            check(&folder, "", &[("apis", true), ("apisx", true), ("tollgate.yaml", false)]);
            check(&folder, "apis", &[("a", true), ("b", true)]);
            check(&folder, "apis/a", &[("api.yaml", false), ("x.yaml", false)]);
            check(&folder, "plans", &[]);
        }
    }

    #[cfg(unix)]
    #[test]
    fn only_links_within_the_folder_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir_all(project.join("real")).unwrap();
        std::fs::write(project.join("real/a.yaml"), "a").unwrap();
        std::fs::write(folder.path().join("outside.yaml"), "b").unwrap();
        for (link, to) in [("apis", "real"), ("out", ".."), ("outside.yaml", "../outside.yaml"), ("loop", "loop")] {
            std::os::unix::fs::symlink(to, project.join(link)).unwrap();
        }
        let project = Folder::Disk(project);
        check(&project, "apis", &[("a.yaml", false)]);
        assert_eq!(project.read("apis/a.yaml", 10), Ok(b"a".to_vec()));
        for path in ["outside.yaml", "out/outside.yaml"] {
            assert!(project.read(path, 10).unwrap_err().contains("outside the project folder"), "{path}");
        }
        assert!(project.list("out").unwrap_err().contains("outside the project folder"));
        assert!(project.read("loop", 10).is_err());
        check(&project, "", &[("apis", true), ("loop", false), ("out", true), ("outside.yaml", false), ("real", true)]);
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_not_utf8_is_marked() {
        use std::os::unix::ffi::OsStringExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(OsString::from_vec(b"a\xff.yaml".to_vec())), "").unwrap();
        let found = Folder::Disk(folder.path().to_owned()).list("").unwrap();
        assert_eq!(found, [Listed { name: "a\u{fffd}.yaml".to_owned(), is_folder: false, is_utf8: false }]);
    }
}
