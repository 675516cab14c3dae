//! Detects changes of what the compiler read, by polling.
//!
//! A poll is a few system calls for a project of ordinary size, works on every file system, mounted ones included, and
//! needs no thread and no limited system resource.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tollgate_config::Inputs;

use crate::project::{Place, Project};

/// What the last compilation read, and what it would read now.
pub(super) struct Watch {
    project: tollgate_config::Project,
    /// `None` for a project that is built into the program, which does not change.
    folder: Option<PathBuf>,
    compiled: Inputs,
    last: Option<Inputs>,
    /// What was found when the last change was reported. A file that the compiler refuses to read, such as one that is too
    /// large, always differs from what was compiled, and is reported only once.
    reported: Option<Inputs>,
    seen: Seen,
}

impl Watch {
    /// Watches what a compilation of the project has read.
    pub(super) fn of(project: &Project, compiled: Inputs) -> Self {
        let folder = match &project.place {
            Place::Folder(folder) => Some(folder.clone()),
            Place::BuiltIn => None,
        };
        Self { project: project.files(), folder, compiled, last: None, reported: None, seen: Seen::default() }
    }

    /// Watches what another compilation has read.
    pub(super) fn follow(&mut self, compiled: Inputs) {
        self.compiled = compiled;
    }

    /// Polls the files; true once for each change, when the next poll finds no further change.
    pub(super) fn has_changed(&mut self) -> bool {
        let Some(folder) = &self.folder else { return false };
        let now = self.seen.look(folder, &self.project, &self.compiled);
        let is_still = self.last.replace(now.clone()).is_none_or(|last| last == now);
        if !is_still || now == self.compiled || self.reported.as_ref() == Some(&now) {
            return false;
        }
        self.reported = Some(now);
        true
    }
}

/// The state of each file when its digest was computed, so that unchanged files are not read again.
#[derive(Default)]
struct Seen(HashMap<String, (Stamp, u64)>);

impl Seen {
    fn look(&mut self, folder: &Path, project: &tollgate_config::Project, inputs: &Inputs) -> Inputs {
        let stamps: HashMap<&str, Stamp> =
            inputs.files().filter_map(|path| Some((path, Stamp::of(&folder.join(path))?))).collect();
        let known = std::mem::take(&mut self.0);
        let now = project.look_again(inputs, |path| {
            let (stamp, digest) = known.get(path)?;
            (stamp.is_settled && stamps.get(path) == Some(stamp)).then_some(*digest)
        });
        self.0 =
            stamps.into_iter().filter_map(|(path, stamp)| Some((path.to_owned(), (stamp, now.file(path)?)))).collect();
        now
    }
}

/// The metadata of a file. Writing, replacing and setting the times of a file change its inode or its change time, which
/// no program can set.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    changed: (i64, i64),
    /// Whether the last change is so long ago that a further one would have another time.
    is_settled: bool,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let about = std::fs::metadata(path).ok()?;
        let changed = (about.ctime(), about.ctime_nsec());
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let is_settled = i64::try_from(now.as_secs()).is_ok_and(|now| now.saturating_sub(changed.0) > SETTLED_AFTER_S);
        Some(Self { device: about.dev(), inode: about.ino(), length: about.len(), changed, is_settled })
    }
}

/// The polling interval: an edit is active after two polls and a compilation, well within a second.
pub(super) const INTERVAL: Duration = Duration::from_millis(150);

/// File systems store times with a precision of two seconds or better.
const SETTLED_AFTER_S: i64 = 2;

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::super::snapshot::Snapshot;
    use super::*;

    const PROJECT: &str = "format: 1
gateway: {name: g, authn: none}
upstreams: {u: \"http://u\"}
apis: {a: {upstream: u, spec: .specs/deep/er/than/four/folders/openapi.yaml, overlays: [x.overlay], routes: [{path: /a}]}}
";
    const SPEC: &str = "openapi: 3.1.0\npaths:\n  /b: {$ref: 'more/paths.yaml'}\n";

    struct Edited {
        folder: tempfile::TempDir,
        project: Project,
        watch: Watch,
    }

    impl Edited {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let project = Project::at(folder.path());
            let edited = Self { watch: Watch::of(&project, Inputs::default()), folder, project };
            edited.write("tollgate.yaml", PROJECT);
            edited.write(".specs/deep/er/than/four/folders/openapi.yaml", SPEC);
            edited
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
            fs::write(self.path(name), text).unwrap();
        }

        /// Compiles as `dev` does, and polls once.
        fn compile(&mut self) {
            self.watch.follow(Snapshot::load(&self.project, None).1);
            assert!(!self.watch.has_changed());
        }

        #[track_caller]
        fn check(&mut self, what: &str, expected: bool) {
            let found = [self.watch.has_changed(), self.watch.has_changed(), self.watch.has_changed()];
            assert_eq!(found, [false, expected, false], "{what}");
            self.compile();
        }
    }

    #[test]
    fn a_change_is_reported_once_and_only_when_it_is_finished() {
        let mut edited = Edited::new();
        edited.compile();
        edited.write("tollgate.yaml", "a");
        assert!(!edited.watch.has_changed(), "the edit may not be finished");
        edited.write("tollgate.yaml", "b");
        assert!(!edited.watch.has_changed());
        assert!(edited.watch.has_changed());
        assert!(!edited.watch.has_changed());
        edited.compile();
        fs::remove_file(edited.path("tollgate.yaml")).unwrap();
        edited.check("the file is removed", true);
    }

    #[test]
    fn everything_that_the_compiler_read_or_looked_for_is_watched() {
        let mut edited = Edited::new();
        edited.compile();
        for name in [
            ".specs/deep/er/than/four/folders/more/paths.yaml",
            "x.overlay",
            "dev/fixtures.yaml",
            "env/production.yaml",
            "policies/more.yaml",
            "apis/b/api.yaml",
            ".specs/deep/er/than/four/folders/openapi.yaml",
        ] {
            let was_there = edited.path(name).exists();
            edited.write(name, "{}");
            edited.check(&format!("{name} is written"), true);
            edited.write(name, "[]");
            edited.check(&format!("{name} is changed"), true);
            fs::remove_file(edited.path(name)).unwrap();
            edited.check(&format!("{name} is removed"), true);
            assert_eq!(was_there, name.ends_with("openapi.yaml"));
        }
        for name in ["notes.txt", "unused.md", "elsewhere/a.json", ".git/index", "dev/other.txt"] {
            edited.write(name, name);
            edited.watch.has_changed();
            edited.watch.has_changed();
            edited.compile();
            edited.write(name, "other");
            edited.check(&format!("{name} is not read"), false);
        }
    }

    #[test]
    fn a_file_replaced_by_one_of_equal_time_and_size_is_a_change() {
        let mut edited = Edited::new();
        edited.compile();
        let file = edited.path("tollgate.yaml");
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        let keep_time = |path: &Path| File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        edited.write("tollgate.yaml", &PROJECT.replace("path: /a", "path: /c"));
        keep_time(&file);
        edited.check("written in place", true);
        edited.write("new", &PROJECT.replace("path: /a", "path: /d"));
        keep_time(&edited.path("new"));
        fs::rename(edited.path("new"), &file).unwrap();
        edited.check("replaced by another file", true);
        edited.write("tollgate.yaml", &PROJECT.replace("path: /a", "path: /d"));
        edited.check("the same content again", false);
    }

    #[test]
    fn an_edit_during_the_compilation_is_a_change() {
        let mut edited = Edited::new();
        edited.compile();
        let inputs = Snapshot::load(&edited.project, None).1;
        edited.write("tollgate.yaml", &PROJECT.replace("path: /a", "path: /c"));
        edited.watch.follow(inputs);
        edited.check("it was not compiled", true);
    }

    #[test]
    fn a_file_that_the_compiler_refuses_to_read_is_reported_once() {
        let mut edited = Edited::new();
        edited.compile();
        edited.write("policies/large.yaml", &" ".repeat(5 << 20));
        assert_eq!([edited.watch.has_changed(), edited.watch.has_changed()], [false, true]);
        edited.watch.follow(Snapshot::load(&edited.project, None).1);
        let polls: Vec<bool> = (0..6).map(|_| edited.watch.has_changed()).collect();
        assert!(polls.iter().filter(|changed| **changed).count() <= 1, "{polls:?}");
    }
}
