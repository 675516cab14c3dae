//! The clone of Tollgate in which the worker and the component are built.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use super::On;
use crate::failure::Failure;
use crate::terminal;

/// A clone, and its cargo target folder.
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    pub(super) target: PathBuf,
}

impl Workspace {
    /// The clone that contains the current folder, or otherwise this program.
    pub(super) fn find(on: On) -> Result<Self, Failure> {
        let current = std::env::current_dir().unwrap_or_default();
        let program = std::env::current_exe().unwrap_or_default();
        let root = current.ancestors().chain(program.ancestors()).find(|folder| is_clone(folder)).ok_or_else(|| {
            let name = on.name();
            Failure::problem(format!(
                "--on {name} builds and runs Tollgate's own artifact and needs a clone of its repository: run this inside one \
                 (cargo run -- dev PROJECT --on {name}), or publish to a {name} host that runs already: tollgate publish \
                 --to {name}"
            ))
        })?;
        let named = std::env::var_os("CARGO_TARGET_DIR").map(|folder| current.join(folder));
        let root = root.to_path_buf();
        let target = named.or_else(|| target_of(&program)).unwrap_or_else(|| root.join("target"));
        Ok(Self { root, target })
    }

    /// Builds artifacts that are missing or older than their sources.
    pub(super) fn prepare(&self, on: On) -> Result<(), Failure> {
        let (artifacts, adapter) = match on {
            On::Native => return Ok(()),
            On::Cloudflare => (vec![self.root.join("build/worker.mjs")], "adapters/cloudflare"),
            On::Spin => (vec![self.component(), self.spin_host()], "adapters/spin"),
        };
        let sources = SOURCES.iter().chain([&adapter]).map(|name| newest(&self.root.join(name)));
        let newest_source = sources.max().flatten();
        let is_current = |path: &PathBuf| modified(path).is_some_and(|built| Some(built) >= newest_source);
        if artifacts.iter().all(is_current) {
            return Ok(());
        }
        self.build(&["xtask", "build", on.name()])?;
        if on == On::Spin {
            self.build(&["build", "--package", "tollgate-spin-host"])?;
        }
        Ok(())
    }

    /// The component of the Spin host.
    pub(super) fn component(&self) -> PathBuf {
        self.target.join("wasm32-wasip2/wasm/tollgate_spin.wasm")
    }

    /// The program that runs the component without Spin.
    pub(super) fn spin_host(&self) -> PathBuf {
        self.target.join("debug").join(format!("tollgate-spin-host{}", std::env::consts::EXE_SUFFIX))
    }

    /// Runs cargo; its output goes to standard error.
    fn build(&self, words: &[&str]) -> Result<(), Failure> {
        let shown_command = format!("cargo {}", words.join(" "));
        terminal::note(&format!("$ {shown_command}   (missing, or older than its sources)"));
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(words).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target).stdin(Stdio::null());
        cargo.stdout(std::io::stderr());
        let status = cargo.status().map_err(|error| {
            Failure::problem(format!("cargo could not be started ({error}); install Rust from https://rustup.rs"))
        })?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::problem(format!("`{shown_command}` failed in {}; see above", self.root.display())))
    }
}

fn is_clone(folder: &Path) -> bool {
    folder.join("xtask/Cargo.toml").is_file() && folder.join(LAUNCHER).is_file()
}

/// The cargo target folder that contains a program, wherever the user's settings have placed it.
fn target_of(program: &Path) -> Option<PathBuf> {
    let target = program.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file())?;
    Some(target.to_path_buf())
}

/// The modification time of the newest file in it.
fn newest(path: &Path) -> Option<SystemTime> {
    let Ok(entries) = std::fs::read_dir(path) else { return modified(path) };
    entries.flatten().map(|entry| newest(&entry.path())).max().flatten()
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// The sources of both artifacts.
const SOURCES: [&str; 4] = ["core/src", "kv-schemas/src", "edge/src", "Cargo.lock"];

/// The program that runs the worker on workerd.
pub(super) const LAUNCHER: &str = "tests/miniflare/launch.mjs";
