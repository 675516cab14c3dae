//! Tasks of the Tollgate project, run as `cargo xtask <task>`.
//!
//! It does NOT route, compile or serve anything, and it downloads nothing itself: it runs `cargo`, `rustup` and `npm`,
//! prints what it runs and why, and sums up their results. Start reading at [`Task::parse`], then the file named after
//! the task.

mod against;
mod args;
mod build;
mod examples;
mod floors;
mod kinds;
mod layers;
mod lint;
mod place;
mod run;
mod setup;
mod source;
mod suite;

use std::process::ExitCode;

use args::{HELP, Task};
use lint::Formatting;
use place::Place;

fn main() -> ExitCode {
    let task = match Task::parse(std::env::args().skip(1)) {
        Ok(task) => task,
        Err(complaint) => {
            eprintln!("xtask: {complaint}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match perform(&task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn perform(task: &Task) -> Result<(), String> {
    let place = Place::find()?;
    match task {
        Task::Help => {
            println!("{HELP}");
            Ok(())
        }
        Task::Setup => setup::prepare(&place, &args::Host::ALL),
        Task::Build(hosts) => {
            setup::prepare(&place, hosts)?;
            build::artifacts(&place, hosts)
        }
        Task::Test(selection) => suite::test(&place, selection),
        Task::Layers => layers::check(&place),
        Task::Kinds => kinds::check(&place),
        Task::Fmt => lint::format(&place, Formatting::Written),
        Task::Lint => lint::all(&place),
        Task::Sizes { of_component } => sizes(&place, *of_component),
        Task::Bench(rest) => bench(&place, rest),
        Task::Ci => ci(&place),
    }
}

/// Runs every check, even if one has failed, so that a single run reports all problems. `.ci/run` calls this.
fn ci(place: &Place) -> Result<(), String> {
    setup::rust_parts(place, &args::Host::ALL)?;
    let checks = [
        ("lint", lint::all(place)),
        ("layers", layers::check(place)),
        ("kinds", kinds::check(place)),
        ("test", suite::test(place, &args::Selection::default())),
        ("sizes", sizes(place, false)),
    ];
    let failed: Vec<&str> = checks.iter().filter(|(_, outcome)| outcome.is_err()).map(|(name, _)| *name).collect();
    for (name, outcome) in &checks {
        if let Err(why) = outcome {
            eprintln!("{name}: {why}");
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!("failed: {}", failed.join(", ")))
}

/// Builds the Worker, checks its size and says what its parts take; also those of the component, if asked for.
fn sizes(place: &Place, of_component: bool) -> Result<(), String> {
    let hosts = [args::Host::Cloudflare, args::Host::Spin];
    setup::prepare(place, if of_component { &hosts } else { &hosts[..1] })?;
    build::artifacts(place, &hosts[..1])?;
    let mut command = run::cargo(place);
    command.args(["run", "--locked", "--package", "tollgate-bench", "--", "attribution"]);
    if of_component {
        build::named_component(place)?;
        command.arg("spin");
    }
    run::announced("sizes", command.env("CARGO_TARGET_DIR", &place.target))
}

fn bench(place: &Place, rest: &[String]) -> Result<(), String> {
    setup::prepare(place, &args::Host::ALL)?;
    let mut words: Vec<&str> = rest.iter().map(String::as_str).collect();
    let built = match words.iter().position(|word| *word == "--against") {
        Some(at) => {
            let revision = *words.get(at + 1).ok_or("`--against` needs a commit, such as `--against HEAD~1`")?;
            words.drain(at..at + 2);
            Some(against::build(place, revision)?)
        }
        None => None,
    };
    build::for_bench(place, &words)?;
    let mut command = run::cargo(place);
    command.args(["run", "--locked", "--release", "--package", "tollgate-bench", "--"]).args(words);
    if let Some(folder) = built {
        command.arg("--built").arg(folder);
    }
    run::announced("bench", command.env("CARGO_TARGET_DIR", &place.target))
}
