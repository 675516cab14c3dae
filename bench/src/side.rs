//! The artifacts that are measured: those of this checkout, or those of another commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::{Connection, OpenFlags};

/// A checkout and what was built from it.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// The root of the checkout; its `build` folder has the Worker.
    pub(crate) root: PathBuf,
    /// The `tollgate` program, built for release.
    pub(crate) program: PathBuf,
    /// The Spin component.
    pub(crate) component: PathBuf,
}

impl Side {
    /// This checkout.
    pub(crate) fn own() -> Self {
        Self {
            root: root(),
            program: artifact_folder("target/release").join(PROGRAM),
            component: artifact_folder("target/wasm32-wasip2/wasm").join(COMPONENT),
        }
    }

    /// A checkout that `cargo xtask bench --against REV` has built.
    pub(crate) fn built(root: PathBuf) -> Self {
        let (program, component) = (root.join(BUILT).join(PROGRAM), root.join(BUILT).join(COMPONENT));
        Self { root, program, component }
    }

    /// Publishes a project of these files, with its fixtures, to a store in a folder of its own; answers the store's path.
    pub(crate) fn publish_files(&self, folder: &Path, files: &[(String, String)]) -> Result<PathBuf, String> {
        let (project, store) = (folder.join("project"), folder.join("tollgate.db"));
        for (name, text) in files {
            let path = project.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&project))
                .and_then(|()| fs::write(&path, text))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        self.publish(&project, &store)?;
        Ok(store)
    }

    /// Publishes a project and its fixtures to a store, with the compiler of this side.
    fn publish(&self, project: &Path, store: &Path) -> Result<(), String> {
        let published = Command::new(&self.program)
            .args(["publish", "--quiet", "--to", "native", "--fixtures", "--store"])
            .arg(store)
            .arg(project)
            .stdout(Stdio::null())
            .status()
            .map_err(|error| self.missing(&error))?;
        if published.success() { Ok(()) } else { Err(format!("{} publish failed", self.program.display())) }
    }

    /// The error if the program cannot be started.
    pub(crate) fn missing(&self, error: &std::io::Error) -> String {
        format!("{}: {error}; `cargo build --release -p tollgate` builds it", self.program.display())
    }
}

/// A record: its key and its value.
pub(crate) type Record = (String, Vec<u8>);

/// All records of a store, for hosts that keep theirs elsewhere.
pub(crate) fn records(store: &Path) -> Result<Vec<Record>, String> {
    let read = || -> rusqlite::Result<Vec<Record>> {
        let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare("SELECT key, value FROM record")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    read().map_err(|error| format!("{}: {error}", store.display()))
}

/// The root of this checkout.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A folder of artifacts of this checkout, in cargo's target folder if it is there.
pub(crate) fn artifact_folder(folder: &str) -> PathBuf {
    match (folder.strip_prefix("target/"), std::env::var_os("CARGO_TARGET_DIR")) {
        (Some(rest), Some(target)) => Path::new(&target).join(rest),
        _ => root().join(folder),
    }
}

/// The folder, at the root of another checkout, of what was built from it.
const BUILT: &str = "bench-artifacts";
const COMPONENT: &str = "tollgate_spin.wasm";
const PROGRAM: &str = if cfg!(windows) { "tollgate.exe" } else { "tollgate" };
