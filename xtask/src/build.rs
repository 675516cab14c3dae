//! Builds the deployed artifacts, and the programs that run them in tests.

use std::process::Command;

use crate::args::Host;
use crate::place::Place;
use crate::run;

/// The artifacts a user deploys.
pub(crate) fn artifacts(place: &Place, hosts: &[Host]) -> Result<(), String> {
    for host in hosts {
        match host {
            Host::Native => {
                run::announced("build native: the tollgate program", run::cargo(place).args(["build", "--locked"]))?;
            }
            Host::Cloudflare => worker(place)?,
            Host::Spin => component(place)?,
        }
    }
    Ok(())
}

/// The artifacts that the e2e suite runs, its launchers, and the suite itself.
pub(crate) fn for_tests(place: &Place, hosts: &[Host]) -> Result<(), String> {
    run::announced(
        "build: e2e suite, upstream, native launcher",
        run::cargo(place).args(["build", "--locked", "--package", "tollgate-tests", "--bins"]),
    )?;
    if hosts.contains(&Host::Cloudflare) {
        worker(place)?;
    }
    if hosts.contains(&Host::Spin) {
        component(place)?;
        component_host(place)?;
    }
    Ok(())
}

/// The artifacts that check the ports inside a host, their launchers, and the suite.
pub(crate) fn for_contracts(place: &Place, hosts: &[Host]) -> Result<(), String> {
    run::announced(
        "build: conformance suite",
        run::cargo(place).args(["build", "--locked", "--package", "tollgate-tests", "--bin", "conformance"]),
    )?;
    if hosts.contains(&Host::Cloudflare) {
        contracts_of(place, "tollgate-contracts-cloudflare", "wasm32-unknown-unknown")?;
        contracts_of(place, "tollgate-counter", "wasm32-unknown-unknown")?;
        let mut node = Command::new("node");
        node.arg("tests/contracts-cloudflare/build.mjs")
            .arg(place.target.join("wasm32-unknown-unknown/debug/tollgate_contracts_cloudflare.wasm"))
            .arg(place.target.join("wasm32-unknown-unknown/debug/tollgate_counter.wasm"))
            .arg(place.tool("wasm-bindgen"))
            .arg(place.target.join("contracts-cloudflare"))
            .current_dir(&place.root);
        run::announced("build cloudflare: the Worker of the contracts", &mut node)?;
    }
    if hosts.contains(&Host::Spin) {
        contracts_of(place, "tollgate-contracts-spin", "wasm32-wasip2")?;
        component_host(place)?;
    }
    Ok(())
}

/// In the dev profile, which is much faster to build: checks need not be small or fast.
///
/// Not incremental: the linker of Rust 1.95 crashes on the parts that an incremental build of the component has (signal 11 in
/// `lld::wasm::ElemSection::writeBody`).
fn contracts_of(place: &Place, package: &str, target: &str) -> Result<(), String> {
    let mut build = run::cargo(place);
    build.env("CARGO_INCREMENTAL", "0").args(["build", "--locked", "--package", package, "--target", target]);
    run::announced(&format!("build: {package}"), &mut build)
}

fn component_host(place: &Place) -> Result<(), String> {
    run::announced(
        "build: the component host of the tests",
        run::cargo(place).args(["build", "--locked", "--package", "tollgate-spin-host"]),
    )
}

/// The artifacts that these benchmarks measure, each as it is deployed; without names, those of all.
pub(crate) fn for_bench(place: &Place, benches: &[&str]) -> Result<(), String> {
    let wanted = |by: &[&str]| benches.is_empty() || benches.iter().any(|bench| by.contains(bench));
    if wanted(&["sizes", "workerd", "limits", "tokens", "routes", "keys"]) {
        worker(place)?;
    }
    if wanted(&["sizes", "spin", "tokens"]) {
        component(place)?;
    }
    if wanted(&["workerd", "native", "limits", "spin", "hosts", "tokens", "routes", "keys"]) {
        released(place, "build native: the tollgate program, for release", &["--package", "tollgate"])?;
    }
    if wanted(&["workerd", "limits", "tokens"]) {
        bench_peers(place)?;
    }
    if wanted(&["spin"]) {
        bench_floor(place)?;
    }
    if wanted(&["spin", "tokens"]) {
        let host = ["--package", "tollgate-spin-host"];
        released(place, "build: the component host of the tests, for release", &host)?;
    }
    if wanted(&["loading"]) {
        bench_loader(place)?;
    }
    if wanted(&["loading", "serving", "counters"]) {
        let counted = ["--package", "tollgate-bench-counted"];
        released(place, "build: what valgrind counts", &counted)?;
    }
    Ok(())
}

fn released(place: &Place, what: &str, package: &[&str]) -> Result<(), String> {
    run::announced(what, run::cargo(place).args(["build", "--locked", "--release"]).args(package))
}

/// The component that Tollgate is compared with.
fn bench_floor(place: &Place) -> Result<(), String> {
    let mut floor = run::cargo(place);
    floor.args(["build", "--locked", "--package", "tollgate-bench-spin-floor"]);
    floor.args(["--target", "wasm32-wasip2", "--profile", "wasm"]);
    run::announced("build spin: the least component that forwards", &mut floor)
}

/// The loader of bundles, with the bindings for Node.
fn bench_loader(place: &Place) -> Result<(), String> {
    let mut build = run::cargo(place);
    build.args(["rustc", "--locked", "--package", "tollgate-bench-loader", "--lib", "--crate-type", "cdylib"]);
    build.args(["--target", "wasm32-unknown-unknown", "--profile", "wasm"]);
    run::announced("build: the loader of bundles, for wasm", &mut build)?;
    let mut bind = Command::new(place.tool("wasm-bindgen"));
    bind.args(["--target", "web", "--no-typescript", "--out-dir"])
        .arg(place.target.join("bench-loader"))
        .arg(place.target.join("wasm32-unknown-unknown/wasm/tollgate_bench_loader.wasm"));
    run::announced("build: its bindings", &mut bind)
}

/// The Workers that Tollgate is compared with.
fn bench_peers(place: &Place) -> Result<(), String> {
    let mut edits = run::cargo(place);
    edits.args(["rustc", "--locked", "--package", "tollgate-bench-edits", "--lib", "--crate-type", "cdylib"]);
    edits.args(["--target", "wasm32-unknown-unknown", "--profile", "wasm"]);
    run::announced("build: the module of the smallest Worker that decides in wasm", &mut edits)?;
    let mut bundle = Command::new("node");
    bundle.arg("bench/peers/build.mjs").current_dir(&place.root);
    bundle.arg(place.target.join("wasm32-unknown-unknown/wasm/tollgate_bench_edits.wasm"));
    run::announced("build: the peers on workerd", bundle.arg(place.target.join("bench-peers")))
}

/// The Worker: the same script that `wrangler dev` and `wrangler deploy` call.
fn worker(place: &Place) -> Result<(), String> {
    let mut node = Command::new("node");
    node.arg("adapters/cloudflare/build.mjs").current_dir(&place.root).env("TOLLGATE_CACHE", &place.cache);
    run::announced("build cloudflare: the Worker", &mut node)
}

/// The component, as `spin build` builds it.
fn component(place: &Place) -> Result<(), String> {
    let mut build = run::cargo(place);
    build.args(["rustc", "--locked", "--package", "tollgate-spin", "--target", "wasm32-wasip2", "--profile", "wasm"]);
    build.args(["--crate-type", "cdylib"]);
    run::announced("build spin: the component", &mut build)
}

/// The same with the names of its functions, which `.cargo/config.toml` has the linker strip.
pub(crate) fn named_component(place: &Place) -> Result<(), String> {
    let mut build = run::cargo(place);
    build.args(["rustc", "--locked", "--package", "tollgate-spin", "--target", "wasm32-wasip2", "--profile", "wasm"]);
    build.args(["--crate-type", "cdylib", "--", "-C", "link-arg=--keep-section=name"]);
    run::announced("build spin: the component, with names", &mut build)
}
