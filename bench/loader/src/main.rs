//! Loads bundles natively, for valgrind to count.
//!
//! `pack FILE HOSTS ROUTES` writes the records of a gateway with so many hosts, and so many routes on the requested one.
//! `load FILE COUNT` loads them so often up to the route of one request; two runs that differ in COUNT alone differ by that.

use std::process::ExitCode;

use tollgate_bench_loader::{load, pack};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["pack", file, hosts, routes] => write(file, hosts, routes),
        ["load", file, count] => load_often(file, count),
        _ => Err("load-bundles: pack FILE HOSTS ROUTES or load FILE COUNT".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("load-bundles: `{text}` is not a number"))
}

fn write(file: &str, hosts: &str, routes: &str) -> Result<(), String> {
    let packed = pack(number(hosts)?, number(routes)?, false);
    std::fs::write(file, packed).map_err(|error| format!("{file}: {error}"))
}

fn load_often(file: &str, count: &str) -> Result<(), String> {
    let packed = std::fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let all_found = (0..number(count)?).all(|_| load(&packed));
    if all_found { Ok(()) } else { Err(format!("{file}: the route is not found")) }
}
