//! Installs what the builds and tests need; each step is announced, and skipped if it was done before.
//!
//! Only crates.io, the npm registry, rustup's servers and, for a Redis server, those of apt are contacted. Versions come from `rust-toolchain.toml`,
//! `Cargo.lock` and `package-lock.json`; none is chosen here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use crate::args::Host;
use crate::place::Place;
use crate::run;

/// The oldest major version of Node that the pinned npm packages support.
const NODE_MAJOR_MIN: u32 = 20;
/// The programs of wasm-bindgen, built from the crate next to this one.
const WASM_TOOLS: [&str; 2] = ["wasm-bindgen", "wasm-bindgen-test-runner"];

/// Programs of a Redis server, which say their version.
const REDIS_SERVERS: [&str; 2] = ["redis-server", "valkey-server"];

/// Unoptimised, the tools take several times as long to read a module.
const TOOLS_CONFIG: [&str; 3] =
    ["profile.dev.opt-level=1", "profile.dev.debug=false", "future-incompat-report.frequency=\"never\""];

/// Prepares for these hosts; the error says what is missing.
pub(crate) fn prepare(place: &Place, hosts: &[Host]) -> Result<(), String> {
    rust_parts(place, hosts)?;
    if hosts.contains(&Host::Native) || hosts.contains(&Host::Spin) {
        redis()?;
    }
    if !hosts.contains(&Host::Cloudflare) {
        return Ok(());
    }
    // npm waits for the network while the tools are compiled.
    thread::scope(|scope| {
        let npm = scope.spawn(|| npm_packages(place));
        let tools = wasm_tools(place);
        let npm = npm.join().unwrap_or_else(|_| Err("installing the npm packages panicked".to_owned()));
        tools.and(npm)
    })
}

/// The toolchain's components and the wasm targets of these hosts.
///
/// `rust-toolchain.toml` lists them, but rustup ignores that list if RUSTUP_AUTO_INSTALL=0 is set.
pub(crate) fn rust_parts(place: &Place, hosts: &[Host]) -> Result<(), String> {
    let mut targets = Vec::new();
    if hosts.contains(&Host::Cloudflare) {
        targets.push("wasm32-unknown-unknown");
    }
    if hosts.contains(&Host::Spin) {
        targets.push("wasm32-wasip2");
    }
    let sysroot = run::answer(rustc(place).args(["--print", "sysroot"]))
        .map(PathBuf::from)
        .ok_or("rustc does not run; install Rust from https://rustup.rs")?;
    let libraries = sysroot.join("lib").join("rustlib");
    for target in targets {
        if libraries.join(target).join("lib").is_dir() {
            continue;
        }
        rustup(place, &["target", "add", target])?;
    }
    for (component, program) in [("rustfmt", "cargo-fmt"), ("clippy", "cargo-clippy")] {
        let program = format!("{program}{}", std::env::consts::EXE_SUFFIX);
        if !sysroot.join("bin").join(program).is_file() {
            rustup(place, &["component", "add", component])?;
        }
    }
    Ok(())
}

/// A Redis server for the tests of counters in Redis: installed with apt on Debian as root, otherwise by the developer.
fn redis() -> Result<(), String> {
    let runs = |program: &str| run::answer(Command::new(program).arg("--version")).is_some();
    if std::env::var_os("REDIS_SERVER").is_some() || REDIS_SERVERS.into_iter().any(runs) {
        return Ok(());
    }
    let is_root = run::answer(Command::new("id").arg("-u")).as_deref() == Some("0");
    if is_root && runs("apt-get") {
        let apt = |words: &[&str]| {
            let mut apt = Command::new("apt-get");
            apt.args(words).env("DEBIAN_FRONTEND", "noninteractive");
            run::announced(&format!("setup: apt-get {}", words.join(" ")), &mut apt)
        };
        let install = ["install", "--yes", "--no-install-recommends", "redis-server"];
        // The lists of packages may be missing or old.
        apt(&install).or_else(|_| apt(&["update"]).and_then(|()| apt(&install)))?;
    }
    if REDIS_SERVERS.into_iter().any(runs) {
        return Ok(());
    }
    Err("the tests of counters in Redis need a Redis server: install the package redis-server or valkey of your system, or name \
         the program in REDIS_SERVER; `cargo xtask test --only unit` does without"
        .to_owned())
}

/// Builds wasm-bindgen's programs into the cache, unless this version is installed.
fn wasm_tools(place: &Place) -> Result<(), String> {
    let wanted = locked_version(&place.root, "wasm-bindgen")?;
    if WASM_TOOLS.iter().all(|tool| tool_version(place, tool).as_deref() == Some(wanted.as_str())) {
        return Ok(());
    }
    // The folder and the settings of adapters/cloudflare/build.mjs, which builds the same if this was not run.
    let target = place.cache.join("tools").join("target");
    let mut build = run::cargo(place);
    build.args(["build", "--locked", "--package", "tollgate-wasm-tools", "--bins"]);
    for setting in TOOLS_CONFIG {
        build.args(["--config", setting]);
    }
    build.arg("--target-dir").arg(&target);
    run::announced(&format!("setup: wasm-bindgen {wanted}"), &mut build)?;
    for tool in WASM_TOOLS {
        let built = target.join("debug").join(format!("{tool}{}", std::env::consts::EXE_SUFFIX));
        install(&built, &place.tool(tool))?;
    }
    Ok(())
}

/// Copies to a temporary name, then renames: a reader never sees an incomplete program.
fn install(from: &Path, to: &Path) -> Result<(), String> {
    let complain = |error| format!("installing {}: {error}", to.display());
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(complain)?;
    }
    let beside = to.with_extension("new");
    fs::copy(from, &beside).map_err(complain)?;
    fs::rename(&beside, to).map_err(complain)
}

fn tool_version(place: &Place, tool: &str) -> Option<String> {
    let said = run::answer(Command::new(place.tool(tool)).arg("--version"))?;
    said.split_whitespace().nth(1).map(str::to_owned)
}

/// Installs exactly what `package-lock.json` lists, if that has changed since the last installation.
fn npm_packages(place: &Place) -> Result<(), String> {
    let node = node_version()?;
    let lock = fs::read_to_string(place.root.join("package-lock.json"))
        .map_err(|error| format!("package-lock.json: {error}"))?;
    let stamp = place.root.join("node_modules").join(".tollgate-stamp");
    let wanted = format!("{node}\n{lock}");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let mut npm = Command::new(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.args(["ci", "--no-audit", "--no-fund", "--no-progress"]).current_dir(&place.root);
    run::announced("setup: npm packages", &mut npm)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

fn node_version() -> Result<String, String> {
    let remedy = format!(
        "the Cloudflare host needs Node.js {NODE_MAJOR_MIN} or newer (https://nodejs.org); \
         `cargo xtask test --host native` does without"
    );
    let version =
        run::answer(Command::new("node").arg("--version")).ok_or_else(|| format!("node is not installed: {remedy}"))?;
    let major =
        version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0);
    if major < NODE_MAJOR_MIN {
        return Err(format!("node {version} is too old: {remedy}"));
    }
    Ok(version)
}

fn rustup(place: &Place, words: &[&str]) -> Result<(), String> {
    let mut rustup = Command::new("rustup");
    rustup.args(words).current_dir(&place.root);
    run::announced(&format!("setup: rustup {}", words.join(" ")), &mut rustup)
}

fn rustc(place: &Place) -> Command {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.current_dir(&place.root);
    rustc
}

/// The version of a package in `Cargo.lock`.
fn locked_version(root: &Path, package: &str) -> Result<String, String> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).map_err(|error| format!("Cargo.lock: {error}"))?;
    version_in_lock(&lock, package).ok_or_else(|| format!("Cargo.lock has no version of {package}"))
}

fn version_in_lock(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines.next()?;
    let version = lines.next()?.strip_prefix("version = \"")?;
    version.strip_suffix('"').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_named_package_alone() {
        let lock = "[[package]]\nname = \"wasm-bindgen-macro\"\nversion = \"1.0.0\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in_lock(lock, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(version_in_lock(lock, "bindgen"), None);
    }
}
