//! The artifacts of another commit, for `cargo xtask bench --against REV`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::place::Place;
use crate::run;

/// Checks a commit out below the cache and builds its program, Worker and component for release; returns its folder.
///
/// What was built once is not built again: a commit does not change.
pub(crate) fn build(place: &Place, revision: &str) -> Result<PathBuf, String> {
    let commit = git(place, &["rev-parse", "--verify", "--quiet", &format!("{revision}^{{commit}}")])
        .map_err(|_| format!("`{revision}` is not a commit of this repository"))?;
    let root = place.cache.join("bench").join(&commit);
    let built = root.join("bench-artifacts");
    if built.join("done").exists() {
        return Ok(root);
    }
    if !root.exists() {
        let path = root.to_str().ok_or("the path of the cache is not UTF-8")?;
        git(place, &["clone", "--quiet", "--shared", "--no-checkout", ".", path])?;
        git(place, &["-C", path, "checkout", "--quiet", "--detach", &commit])?;
    }
    // One target folder for all commits: they share most dependencies.
    let target = place.cache.join("bench").join("target");
    let other = Place { root, cache: place.cache.clone(), target };
    let cargo = |args: &[&str]| {
        let mut command = run::cargo(&other);
        command.env("CARGO_TARGET_DIR", &other.target).args(args);
        command
    };
    let release = ["build", "--locked", "--release", "--package", "tollgate"];
    run::announced("build of the other commit: the tollgate program", &mut cargo(&release))?;
    let command = component_command(&other)?;
    let component: Vec<&str> = command.split_ascii_whitespace().skip(1).chain(["--locked"]).collect();
    run::announced("build of the other commit: the component", &mut cargo(&component))?;
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    run::announced("npm ci of the other commit", Command::new(npm).arg("ci").current_dir(&other.root))?;
    let mut worker = Command::new("node");
    worker.arg("adapters/cloudflare/build.mjs").current_dir(&other.root);
    worker.env("TOLLGATE_CACHE", &other.cache).env("CARGO_TARGET_DIR", &other.target);
    run::announced("build of the other commit: the Worker", &mut worker)?;
    fs::create_dir_all(&built).map_err(|error| format!("{}: {error}", built.display()))?;
    for file in
        [format!("release/tollgate{}", std::env::consts::EXE_SUFFIX), "wasm32-wasip2/wasm/tollgate_spin.wasm".into()]
    {
        let from = other.target.join(&file);
        let name = from.file_name().unwrap_or_default();
        fs::copy(&from, built.join(name)).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    fs::write(built.join("done"), commit).map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(other.root)
}

/// The command that builds the component, as the commit's spin.toml has it.
fn component_command(place: &Place) -> Result<String, String> {
    let manifest = place.root.join("spin.toml");
    let text = fs::read_to_string(&manifest).map_err(|error| format!("{}: {error}", manifest.display()))?;
    let quoted = text.lines().find_map(|line| line.strip_prefix("command = ")).map(|value| value.trim_matches('"'));
    quoted.map(str::to_owned).ok_or_else(|| format!("{} has no build command", manifest.display()))
}

/// The output of git in the clone, without the line's end.
fn git(place: &Place, args: &[&str]) -> Result<String, String> {
    let output = Command::new("git").args(args).current_dir(&place.root).output();
    let output = output.map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        return Err(format!("git {} failed: {}", args[0], String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
