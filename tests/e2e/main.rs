//! The end-to-end suite: every scenario, run against every host.
//!
//! `cargo xtask test --only e2e` builds what it needs and runs it; `e2e --host native cache` selects a part. A scenario
//! uses only a socket of a host and nothing else of the gateway, so that it runs on all hosts; if it cannot, the table
//! says why. Open [`scenario::Scenario`] first, then a file of `scenarios/`.

mod lane;
mod project;
mod scenario;
mod scenarios;
mod table;
mod world;

use std::process::ExitCode;

use tollgate_tests::hosts::{Artifacts, Kind};

use lane::Judged;
use scenario::Scenario;

const USAGE: &str = "e2e [--host native|cloudflare|spin]... [--lanes N] [--repeat N] [FILTER]...";

/// The options of a run.
struct Arguments {
    hosts: Vec<Kind>,
    /// The number of parallel processes per host.
    lanes: usize,
    /// How often everything is run; 20 is usually enough to find flaky scenarios.
    repeat: usize,
    filter: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            eprintln!("{complaint}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("e2e: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self { hosts: Vec::new(), lanes: 3, repeat: 1, filter: Vec::new() };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--host" => {
                    let name = value()?;
                    let host = Kind::parse(&name).ok_or(format!("`{name}` is not a host"))?;
                    arguments.hosts.push(host);
                }
                "--lanes" => arguments.lanes = number(&value()?)?,
                "--repeat" => arguments.repeat = number(&value()?)?,
                option if option.starts_with('-') => return Err(format!("unknown option {option}")),
                filter => arguments.filter.push(filter.to_owned()),
            }
        }
        if arguments.hosts.is_empty() {
            arguments.hosts = Kind::ALL.to_vec();
        }
        Ok(arguments)
    }
}

fn number(word: &str) -> Result<usize, String> {
    word.parse::<usize>().ok().filter(|number| *number > 0).ok_or_else(|| format!("`{word}` is not a number above 0"))
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let artifacts = Artifacts::find()?;
    let scenarios = scenarios::matching(&arguments.filter);
    if scenarios.is_empty() {
        return Err("no scenario's name contains these words".to_owned());
    }
    scenario::note_panics();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let mut table = table::Table::new(&arguments.hosts);
    for _ in 0..arguments.repeat {
        // The hosts run in parallel: a scenario spends most of its time waiting.
        let local = tokio::task::LocalSet::new();
        let all = local.block_on(&runtime, on_all(arguments, &artifacts, &scenarios));
        for (host, verdicts) in all {
            table.add(host, verdicts);
        }
    }
    table.print();
    Ok(table.failed() == 0)
}

async fn on_all(arguments: &Arguments, artifacts: &Artifacts, scenarios: &[Scenario]) -> Vec<(Kind, Vec<Judged>)> {
    let lanes = arguments.lanes;
    let each = arguments.hosts.iter().map(|host| {
        let (host, artifacts, scenarios) = (*host, artifacts.clone(), scenarios.to_vec());
        tokio::task::spawn_local(async move { (host, lane::run(host, &artifacts, &scenarios, lanes).await) })
    });
    let mut all = Vec::new();
    for host in each.collect::<Vec<_>>() {
        // A lane does not panic: scenarios run in separate tasks.
        all.extend(host.await.ok());
    }
    all
}
