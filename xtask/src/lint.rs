//! Formatting, clippy, docs and cargo-deny; all of them run, even if one has failed.

use std::process::Command;

use crate::kinds;
use crate::place::Place;
use crate::run;

/// Packages for other targets, which are checked for these targets too.
const WASM_PACKAGES: [(&str, &str); 5] = [
    ("tollgate-cloudflare", "wasm32-unknown-unknown"),
    ("tollgate-counter", "wasm32-unknown-unknown"),
    ("tollgate-contracts-cloudflare", "wasm32-unknown-unknown"),
    ("tollgate-spin", "wasm32-wasip2"),
    ("tollgate-contracts-spin", "wasm32-wasip2"),
];

/// Runs every check and names those that failed.
pub(crate) fn all(place: &Place) -> Result<(), String> {
    let mut failed = Vec::new();
    for check in [formatted, clippy, docs, deny] {
        if let Err(why) = check(place) {
            eprintln!("lint: {why}");
            failed.push(why);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(failed.join("; "))
}

fn formatted(place: &Place) -> Result<(), String> {
    format(place, Formatting::Checked)
}

/// What is done about code that is not formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formatting {
    /// It is reported.
    Checked,
    /// It is formatted.
    Written,
}

/// Formats all code, or checks that it is. The modules of policy kinds are declared by a macro, where `cargo fmt` does not
/// see them.
pub(crate) fn format(place: &Place, formatting: Formatting) -> Result<(), String> {
    let check = (formatting == Formatting::Checked).then_some("--check");
    run::announced("lint: formatting", run::cargo(place).args(["fmt", "--all"]).args(check))?;
    let mut kinds = Command::new("rustfmt");
    kinds.args(["--edition", "2024"]).args(check).current_dir(&place.root).args(kinds::modules(&place.root)?);
    run::announced("lint: formatting of the policy kinds", &mut kinds)
}

fn clippy(place: &Place) -> Result<(), String> {
    let mut host = run::cargo(place);
    host.args(["clippy", "--locked", "--workspace", "--all-targets"]);
    let host = run::announced("lint: clippy", host.args(["--", "-D", "warnings"]));
    WASM_PACKAGES.iter().fold(host, |before, (package, target)| {
        let mut command = run::cargo(place);
        command.args(["clippy", "--locked", "--package", package]);
        command.args(["--target", target, "--", "-D", "warnings"]);
        before.and(run::announced(&format!("lint: clippy {package}"), &mut command))
    })
}

fn docs(place: &Place) -> Result<(), String> {
    let mut host = run::cargo(place);
    host.args(["doc", "--locked", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "-D warnings");
    except_wasm(&mut host);
    let host = run::announced("lint: docs", &mut host);
    WASM_PACKAGES.iter().fold(host, |before, (package, target)| {
        let mut command = run::cargo(place);
        command
            .args(["doc", "--locked", "--no-deps", "--package", package])
            .args(["--target", target])
            .env("RUSTDOCFLAGS", "-D warnings");
        before.and(run::announced(&format!("lint: docs {package}"), &mut command))
    })
}

fn except_wasm(command: &mut Command) {
    for (package, _) in WASM_PACKAGES {
        command.args(["--exclude", package]);
    }
}

/// Licences, bans and sources always; advisories only if their database can be fetched.
fn deny(place: &Place) -> Result<(), String> {
    if run::answer(run::cargo(place).args(["deny", "--version"])).is_none() {
        println!("==> lint: cargo-deny is not installed, so licences, bans and sources were NOT checked");
        println!("    (to check them: cargo install --locked cargo-deny)");
        return Ok(());
    }
    run::announced(
        "lint: cargo-deny licences, bans, sources",
        run::cargo(place).args(["deny", "check", "licenses", "bans", "sources"]),
    )?;
    let mut fetch = run::cargo(place);
    if run::announced("lint: cargo-deny advisories (fetch)", fetch.args(["deny", "fetch", "db"])).is_err() {
        println!("    the advisory database cannot be fetched here, so advisories were NOT checked");
        return Ok(());
    }
    run::announced(
        "lint: cargo-deny advisories",
        run::cargo(place).args(["deny", "check", "--disable-fetch", "advisories"]),
    )
}
