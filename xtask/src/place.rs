//! The folders: the clone, the cache outside it, cargo's target folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folders of every task, as absolute paths.
pub(crate) struct Place {
    /// The clone.
    pub(crate) root: PathBuf,
    /// Tools and stamps, shared by clones.
    pub(crate) cache: PathBuf,
    /// The target folder of cargo.
    pub(crate) target: PathBuf,
}

impl Place {
    /// Finds the folders from the environment; creates none of them.
    pub(crate) fn find() -> Result<Self, String> {
        let manifest =
            env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().ok_or("the folder of xtask has no parent")?.to_path_buf();
        let cache = match env::var_os("TOLLGATE_CACHE") {
            Some(folder) => absolute(&root, Path::new(&folder)),
            None => home_cache().unwrap_or_else(|| root.join("target").join("tollgate-cache")),
        };
        let target = target_directory(&root)?;
        Ok(Self { root, cache, target })
    }

    /// A tool that the setup builds, by its name.
    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.cache.join("tools").join("bin").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// A program that cargo built in the dev profile for this machine.
    pub(crate) fn debug_binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }
}

fn home_cache() -> Option<PathBuf> {
    let home = env::var_os("HOME").or_else(|| env::var_os("USERPROFILE"))?;
    Some(Path::new(&home).join(".cache").join("tollgate"))
}

fn absolute(root: &Path, folder: &Path) -> PathBuf {
    root.join(folder)
}

/// Asks cargo, because not only CARGO_TARGET_DIR but also a user's cargo configuration may change the folder.
fn target_directory(root: &Path) -> Result<PathBuf, String> {
    let output = Command::new(cargo())
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("cargo metadata could not start: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata failed: {}", why.trim()));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata did not print JSON: {error}"))?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target_directory".to_owned())
}

/// The cargo that runs this program, so that a `+toolchain` stays in effect.
pub(crate) fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
