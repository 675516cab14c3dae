//! Keys in files and in the history of a repository: their form and checksum make a find certain.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use tollgate_core::authn::{KeyDigest, keys_in};

use crate::failure::Failure;

/// Where keys were found, by their digests. The keys themselves are not kept.
pub(super) type Finds = BTreeMap<KeyDigest, Vec<String>>;

/// Searches a file, or the files of a folder and, if it is a Git repository, its history.
pub(super) fn scan(path: &Path, history: bool, finds: &mut Finds) -> Result<(), Failure> {
    if !path.is_dir() {
        return scan_file(path, finds);
    }
    scan_folder(path, finds)?;
    if history && path.join(".git").exists() { scan_history(path, finds) } else { Ok(()) }
}

/// Links are not followed: they lead out of the folder, or in circles.
fn scan_folder(folder: &Path, finds: &mut Finds) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::problem(format!("{}: {error}", folder.display()));
    let mut entries = std::fs::read_dir(folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() && entry.file_name() != ".git" {
            scan_folder(&entry.path(), finds)?;
        } else if kind.is_file() {
            scan_file(&entry.path(), finds)?;
        }
    }
    Ok(())
}

fn scan_file(path: &Path, finds: &mut Finds) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::problem(format!("{}: {error}", path.display()));
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut number = 0_u64;
    let lines = scan_lines(BufReader::new(file), |line| {
        number += 1;
        note(line, finds, || format!("{}:{number}", path.display()));
    });
    lines.map_err(failed)
}

/// Every line that a commit added, with the oldest commit that did so.
fn scan_history(repository: &Path, finds: &mut Finds) -> Result<(), Failure> {
    let words = [
        "log",
        "--all",
        "--reverse",
        "-p",
        "--text",
        "--no-color",
        "--no-ext-diff",
        "--no-textconv",
        "--format=commit %H",
    ];
    let failed =
        |error: std::io::Error| Failure::problem(format!("git could not be run in {}: {error}", repository.display()));
    let mut git = Command::new("git");
    git.arg("-C").arg(repository).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut git = git.spawn().map_err(failed)?;
    let Some(out) = git.stdout.take() else { return Ok(()) };
    let (mut commit, mut file) = (String::new(), String::new());
    let mut seen = Finds::new();
    let lines = scan_lines(BufReader::new(out), |line| {
        let text =
            |prefix: &[u8]| line.strip_prefix(prefix).map(|rest| String::from_utf8_lossy(rest).trim_end().to_owned());
        if let Some(hash) = text(b"commit ") {
            commit = hash.chars().take(COMMIT_CHARS).collect();
        } else if let Some(path) = text(b"+++ b/") {
            file = path;
        } else if line.starts_with(b"+") {
            note(line, &mut seen, || format!("{}: {file} in commit {commit}", repository.display()));
        }
    });
    lines.map_err(failed)?;
    let status = git.wait().map_err(failed)?;
    if !status.success() {
        return Err(Failure::problem(format!("`git log` failed in {} ({status})", repository.display())));
    }
    for (digest, places) in seen {
        // The oldest commit is enough: what follows moves or repeats the line.
        finds.entry(digest).or_default().extend(places.into_iter().next());
    }
    Ok(())
}

fn note(line: &[u8], finds: &mut Finds, place: impl Fn() -> String) {
    for (_, key) in keys_in(line) {
        let places = finds.entry(key.digest()).or_default();
        if places.len() < PLACES_MAX {
            places.push(place());
        }
    }
}

/// Reads lines of any bytes, a bounded part of a line at a time; a key at the border of two parts is in both.
fn scan_lines(mut input: impl BufRead, mut each: impl FnMut(&[u8])) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        let kept = line.len();
        let read = std::io::Read::take(&mut input, LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
        if read > 0 || kept > 0 {
            each(&line);
        }
        if read == 0 {
            return Ok(());
        }
        if line.ends_with(b"\n") {
            line.clear();
        } else {
            line.drain(..line.len().saturating_sub(KEY_BYTES)).for_each(drop);
        }
    }
}

/// Places shown of one key.
const PLACES_MAX: usize = 20;

/// As many digits of a commit as Git shows.
const COMMIT_CHARS: usize = 12;

/// A part of a line: files of one line may have gigabytes.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// One byte less than the longest key.
const KEY_BYTES: usize = 53;

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_core::authn::ApiKey;

    fn key(byte: u8) -> ApiKey {
        ApiKey::generate("live", &[byte; 32]).expect("`live` is an environment")
    }

    #[test]
    fn keys_are_found_in_files_of_any_bytes_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let typo = key(2).expose().replace("tg_live", "tg_liva");
        let border = [vec![b'x'; (1 << 20) - 20], key(3).expose().as_bytes().to_vec()].concat();
        let text = [b"\xff\0a = \"", key(1).expose().as_bytes(), b"\"\n", typo.as_bytes(), b"\n", &border].concat();
        std::fs::create_dir(folder.path().join("deep")).expect("a folder");
        std::fs::write(folder.path().join("deep/config"), text).expect("a file");
        let mut finds = Finds::new();
        scan(folder.path(), true, &mut finds).expect("it can be read");
        assert_eq!(finds.keys().copied().collect::<Vec<_>>(), {
            let mut digests = vec![key(1).digest(), key(3).digest()];
            digests.sort();
            digests
        });
        assert!(finds[&key(1).digest()][0].ends_with("deep/config:1"), "{finds:?}");
    }

    #[test]
    fn a_key_that_was_removed_is_found_in_the_history() {
        let folder = tempfile::tempdir().expect("a folder");
        let git = |words: &[&str]| {
            let own = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
            let ran =
                Command::new("git").arg("-C").arg(folder.path()).args(own).args(words).output().expect("git runs");
            assert!(ran.status.success(), "{ran:?}");
        };
        git(&["init", "-q"]);
        for text in [key(1).expose(), "removed"] {
            std::fs::write(folder.path().join("a.env"), format!("KEY={text}\n")).expect("a file");
            git(&["add", "-A"]);
            git(&["commit", "-q", "-m", "change"]);
        }
        let (mut with, mut without) = (Finds::new(), Finds::new());
        scan(folder.path(), true, &mut with).expect("it can be read");
        scan(folder.path(), false, &mut without).expect("it can be read");
        assert!(without.is_empty());
        assert!(with[&key(1).digest()][0].contains("a.env in commit "), "{with:?}");
    }
}
