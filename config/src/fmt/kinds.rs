//! Finds the files of a project in a folder, and their kinds.

use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use crate::model::FileKind;
use crate::schema::Object;

/// Whether a path in a project is that of a file in the configuration format.
#[must_use]
pub fn is_project_file(name: &str) -> bool {
    patterns().any(|pattern| is_of(pattern, Path::new(name)))
}

/// The sorted paths of the files of a project, relative to its folder. Links are not followed.
///
/// Folders that cannot be read are skipped; the caller checks that the project exists.
#[must_use]
pub fn project_files(project: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for pattern in patterns() {
        let (folder, _) = pattern.rsplit_once('/').unwrap_or(("", pattern));
        for folder in folders(project, folder) {
            found.extend(entries(project, &folder, false).into_iter().filter(|file| is_of(pattern, file)));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The table of a file's contents.
pub(super) fn object_of(name: &str) -> Option<&'static Object> {
    FileKind::ALL.iter().find(|kind| is_of(kind.path(), Path::new(name))).map(|kind| kind.root())
}

/// Whether a file has the extension of JSON.
pub(super) fn is_json(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// The paths of a project's files, ending in `.yaml`; `<...>` is a name that the author chooses.
fn patterns() -> impl Iterator<Item = &'static str> {
    FileKind::ALL.iter().map(|kind| kind.path()).chain(OTHERS)
}

/// Whether a path matches a pattern; `.yml` and `.json` match too.
fn is_of(pattern: &str, path: &Path) -> bool {
    let without_extension = |extension: &&str| path.to_str()?.strip_suffix(*extension);
    let Some(stem) = EXTENSIONS.iter().find_map(without_extension) else { return false };
    let names: Vec<&str> = stem.split(['/', MAIN_SEPARATOR]).filter(|name| *name != ".").collect();
    let wanted: Vec<&str> = pattern.strip_suffix(".yaml").unwrap_or(pattern).split('/').collect();
    wanted.len() == names.len() && wanted.iter().zip(names).all(|(wanted, name)| is_name(wanted, name))
}

fn is_name(wanted: &str, name: &str) -> bool {
    match wanted.split_once('>') {
        Some((_, rest)) => name.strip_suffix(rest).is_some_and(|name| !name.is_empty() && !name.starts_with('.')),
        None => wanted == name,
    }
}

/// The existing folders of a pattern.
fn folders(project: &Path, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for wanted in pattern.split('/').filter(|name| !name.is_empty()) {
        found = found
            .iter()
            .flat_map(|folder| entries(project, folder, true))
            .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| is_name(wanted, name)))
            .collect();
    }
    found
}

fn entries(project: &Path, folder: &Path, is_folder: bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(project.join(folder)) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| if is_folder { kind.is_dir() } else { kind.is_file() }))
        .map(|entry| folder.join(entry.file_name()))
        .collect()
}

/// The extensions of files that are read.
const EXTENSIONS: [&str; 3] = [".yaml", ".yml", ".json"];

/// The places of files that have no table yet.
const OTHERS: [&str; 2] = ["plans/<any>.yaml", "env/<name>.yaml"];

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: bool) {
        assert_eq!(is_project_file(name), expected, "{name}");
    }

    #[test]
    fn files_of_a_project_are_recognised_by_their_paths() {
        for name in [
            "tollgate.yaml",
            "tollgate.json",
            "./tollgate.yml",
            "dev/fixtures.yaml",
            "apis/pets/api.yaml",
            "policies/limits.yml",
            "plans/gold.json",
            "env/production.yaml",
            "tests/first.test.yaml",
            "prices.yaml",
        ] {
            check(name, true);
        }
        for name in [
            "openapi.yaml",
            "apis/pets/openapi.yaml",
            "apis/api.yaml",
            "a/tollgate.yaml",
            "tests/data.yaml",
            "tests/.test.yaml",
            "tollgate.toml",
            "policies/a/b.yaml",
            "policies/.yaml",
            "../tollgate.yaml",
            ".github/workflows/ci.yaml",
        ] {
            check(name, false);
        }
    }

    #[test]
    fn the_files_of_a_folder_are_found_without_following_links() {
        let folder = tempfile::tempdir().unwrap();
        for name in [
            "tollgate.yaml",
            "apis/b/api.yaml",
            "apis/a/api.json",
            "apis/a/openapi.yaml",
            "tests/x.test.yaml",
            "README.yaml",
        ] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "format: 1\n").unwrap();
        }
        #[cfg(unix)]
        std::os::unix::fs::symlink("../tollgate.yaml", folder.path().join("tests/link.test.yaml")).unwrap();
        let found = project_files(folder.path());
        let expected = ["apis/a/api.json", "apis/b/api.yaml", "tests/x.test.yaml", "tollgate.yaml"];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
