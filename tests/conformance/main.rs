//! Checks the contract of each port for every implementation where it really runs: the in-memory reference and the
//! native adapter in this process, the others inside workerd and inside the component host.
//!
//! `cargo xtask test --only conformance` builds what it needs and runs it; `conformance --host spin` selects a host. It
//! does NOT contain the checks: `tests/contracts` does. Open [`lane`] first; exemptions and their reasons are in
//! [`exempt`], and nowhere else.

mod exempt;
mod lane;
mod launched;
mod memory;
mod native;
mod stage;
mod table;

use std::process::ExitCode;

use lane::Lane;
use table::Table;

const USAGE: &str = "conformance [--host native|cloudflare|spin]... [FILTER]...";

fn main() -> ExitCode {
    let (lanes, filter) = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(complaint) => {
            eprintln!("{complaint}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let names: Vec<&str> = tollgate_contracts::NAMES.iter().copied().filter(|name| matches(name, &filter)).collect();
    let table = on_one_thread(async {
        let mut table = Table::new(&names);
        for lane in lanes {
            table.add(lane, lane.judge(&names).await);
        }
        table
    });
    table.print();
    if table.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The lanes and the words that a check's name must contain. The reference always runs: it defines what a check means.
fn arguments(mut words: impl Iterator<Item = String>) -> Result<(Vec<Lane>, Vec<String>), String> {
    let (mut lanes, mut filter) = (vec![Lane::Memory], Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--host" => {
                let name = words.next().ok_or("--host needs a value")?;
                let of_host = Lane::of_host(&name);
                if of_host.is_empty() {
                    return Err(format!("`{name}` is not a host"));
                }
                lanes.extend(of_host);
            }
            option if option.starts_with('-') => return Err(format!("unknown option {option}")),
            word => filter.push(word.to_owned()),
        }
    }
    if lanes.len() == 1 {
        lanes = Lane::ALL.to_vec();
    }
    Ok((lanes, filter))
}

fn matches(name: &str, filter: &[String]) -> bool {
    filter.iter().all(|word| name.contains(word))
}

/// Runs on one thread, like an isolate.
fn on_one_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, work)
}
