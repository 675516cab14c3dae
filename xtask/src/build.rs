//! Builds what is deployed, and the programs that run it in tests.

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

/// The artifacts that the e2e suite runs, with its launchers and itself.
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
        run::announced(
            "build: the component host of the tests",
            run::cargo(place).args(["build", "--locked", "--package", "tollgate-spin-host"]),
        )?;
    }
    Ok(())
}

/// The artifacts that are measured, each as it is deployed.
pub(crate) fn for_bench(place: &Place) -> Result<(), String> {
    worker(place)?;
    component(place)?;
    run::announced(
        "build native: the tollgate program, for release",
        run::cargo(place).args(["build", "--locked", "--release", "--package", "tollgate"]),
    )
}

/// The Worker: the same script that `wrangler dev` and `wrangler deploy` call.
fn worker(place: &Place) -> Result<(), String> {
    let mut node = Command::new("node");
    node.arg("adapters/cloudflare/build.mjs").current_dir(&place.root).env("TOLLGATE_CACHE", &place.cache);
    run::announced("build cloudflare: the Worker", &mut node)
}

/// The component, as `spin build` makes it.
fn component(place: &Place) -> Result<(), String> {
    let mut build = run::cargo(place);
    build.args(["build", "--locked", "--package", "tollgate-spin", "--target", "wasm32-wasip2", "--profile", "wasm"]);
    run::announced("build spin: the component", &mut build)
}
