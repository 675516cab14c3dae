//! Benchmarks of Tollgate: always a ratio to a reference measured in the same run, never an absolute number alone.
//!
//! `cargo xtask bench [workerd|native|hosts|sizes|loading|serving]...` builds what is measured and runs this. Two programs run
//! alternately (A B A B …), and the median of the pairwise ratios is printed: a machine that becomes slower in between
//! slows down both. It is not a test and has no pass criteria. Start with [`compare`], then the file named after the
//! benchmark.

mod compare;
mod cpu;
mod load;
mod loading;
mod native;
mod project;
mod server;
mod serving;
mod sizes;
mod workerd;

use std::process::ExitCode;

use compare::Row;

/// The result of a benchmark: its measurements, or why there are none.
type Measure = fn() -> Result<Vec<Row>, String>;

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let unknown = asked
        .iter()
        .find(|name| !["workerd", "native", "hosts", "sizes", "loading", "serving"].contains(&name.as_str()));
    if let Some(name) = unknown {
        eprintln!(
            "bench: there is no benchmark `{name}`; there are workerd, native, hosts, sizes, loading and serving"
        );
        return ExitCode::from(2);
    }
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|a| a == name);
    let mut rows: Vec<Row> = Vec::new();
    let mut failed = false;
    let benches: [(&str, Measure); 6] = [
        ("sizes", sizes::measure),
        ("loading", loading::measure),
        ("serving", serving::measure),
        ("workerd", workerd::measure),
        ("native", native::measure),
        ("hosts", native::many_hosts),
    ];
    for (name, measure) in benches.into_iter().filter(|(name, _)| wanted(name)) {
        match measure() {
            Ok(measured) => rows.extend(measured),
            Err(why) => {
                failed = true;
                eprintln!("bench: {name}: {why}");
            }
        }
    }
    compare::print(&rows);
    ExitCode::from(u8::from(failed))
}
