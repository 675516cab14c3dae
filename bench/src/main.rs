//! Benchmarks of Tollgate: always a ratio to a reference measured in the same run, never an absolute number alone.
//!
//! `cargo xtask bench [workerd|native|limits|spin|hosts|tokens|redis|routes|keys|counters|sizes|loading|serving]... [--against REV]` builds what is measured and runs this.
//! Two programs run alternately (A B A B …), and the median of the pairwise ratios is printed: a machine that becomes
//! slower in between slows down both. With `--against`, the reference is another commit. It is not a test and has no pass
//! criteria. Start with [`compare`], then the file named after the benchmark.

mod attribution;
#[path = "../counted/src/charging.rs"]
mod charging;
mod compare;
mod counters;
mod cpu;
mod families;
mod floor;
mod floor_steps;
mod growth;
mod limits;
mod load;
mod load_http2;
mod loading;
mod module;
mod native;
mod peers;
mod project;
mod redis;
mod results;
mod server;
mod serving;
mod side;
mod sizes;
mod spin;
mod start;
mod tokens;
mod valgrind;
mod workerd;

use std::process::ExitCode;

use compare::Row;
use side::Side;

/// The result of a benchmark: its measurements, or why there are none.
type Measured = Result<Vec<Row>, String>;

// The allocator of the native host, for the bare proxy beside it.
#[global_allocator]
static ALLOCATOR: tollgate_native::Allocator = tollgate_native::Allocator;

/// A benchmark: its name, its measurement, and its comparison with another commit, if it has one.
struct Bench {
    name: &'static str,
    measure: fn() -> Measured,
    against: Option<fn(&Side) -> Measured>,
}

const BENCHES: [Bench; 13] = [
    Bench { name: "sizes", measure: sizes::measure, against: Some(sizes::against) },
    Bench { name: "loading", measure: loading::measure, against: None },
    Bench { name: "serving", measure: serving::measure, against: None },
    Bench { name: "workerd", measure: workerd::measure, against: Some(workerd::against) },
    Bench { name: "native", measure: native::measure, against: Some(native::against) },
    Bench { name: "limits", measure: limits::measure, against: None },
    Bench { name: "spin", measure: spin::measure, against: None },
    Bench { name: "hosts", measure: growth::hosts, against: None },
    Bench { name: "tokens", measure: tokens::measure, against: None },
    Bench { name: "redis", measure: redis::measure, against: None },
    Bench { name: "routes", measure: growth::routes, against: None },
    Bench { name: "keys", measure: growth::keys, against: None },
    Bench { name: "counters", measure: counters::measure, against: None },
];

fn main() -> ExitCode {
    let mut asked: Vec<String> = std::env::args().skip(1).collect();
    if let Some(("attribution", words)) = asked.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return attribution::check(words == ["spin"]).map_or_else(
            |why| {
                eprintln!("bench: {why}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    if let Some(("floor", words)) = asked.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return floor::serve(words).map_or_else(
            |why| {
                eprintln!("bench: {why}");
                ExitCode::FAILURE
            },
            |()| ExitCode::SUCCESS,
        );
    }
    // xtask has built the commit, and passes its folder.
    let other = asked.iter().position(|word| word == "--built").and_then(|at| {
        let folder = asked.drain(at..).nth(1)?;
        Some(Side::built(folder.into()))
    });
    if let Some(name) = asked.iter().find(|name| BENCHES.iter().all(|bench| bench.name != name.as_str())) {
        let names: Vec<&str> = BENCHES.iter().map(|bench| bench.name).collect();
        eprintln!("bench: there is no benchmark `{name}`; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    let mut tables: Vec<(String, Vec<Row>)> = Vec::new();
    let mut failed = false;
    for bench in BENCHES.iter().filter(|bench| asked.is_empty() || asked.iter().any(|name| name == bench.name)) {
        let measured = match (&other, bench.against) {
            (None, _) => (bench.measure)(),
            (Some(other), Some(against)) => against(other),
            (Some(_), None) if asked.is_empty() => continue,
            (Some(_), None) => Err("it cannot compare two commits".to_owned()),
        };
        match measured {
            // What is compared with another commit has a table of its own.
            Ok(rows) => tables.push((format!("{}{}", bench.name, if other.is_some() { " against" } else { "" }), rows)),
            Err(why) => {
                failed = true;
                eprintln!("bench: {}: {why}", bench.name);
            }
        }
    }
    compare::print(tables.iter().flat_map(|(_, rows)| rows));
    if let Err(why) = results::keep(&tables) {
        failed = true;
        eprintln!("bench: the table is not kept: {why}");
    }
    ExitCode::from(u8::from(failed))
}
