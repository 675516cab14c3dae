//! Programs for valgrind to count, `MODE FILE NUMBER...`: two runs that differ in COUNT alone differ by that many repetitions.
//!
//! - `pack FILE ROUTES` compiles a project and writes its records to a file, so that the compiler is not counted. `serve FILE COUNT`
//!   serves so many requests for one route in the middle, with a key, a limit and a forward; `floor FILE COUNT` serves the
//!   same by hand; `bare FILE COUNT` makes the same messages, and drops them. `leased` does the same as `serve` with counters that are
//!   far; `key`, `forward` and `hit` serve requests for a route with a key alone, for a public one, and for a cached one.
//! - `bundle FILE HOSTS ROUTES` writes the records of a gateway with so many hosts, and so many routes on the requested one. `load
//!   FILE COUNT` loads them so often, up to the route of one request.
//! - `charge WAY COUNT` charges one partition so often, as [`charging::WAYS`] says.

mod charging;
mod floor;
mod loading;
mod serving;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("counted: {why}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> Result<(), String> {
    let [mode, file, numbers @ ..] = words else { return Err(USAGE.to_owned()) };
    let numbers: Vec<usize> = numbers.iter().map(|text| number(text)).collect::<Result<_, _>>()?;
    match (mode.as_str(), numbers.as_slice()) {
        ("pack", [routes]) => serving::pack(file, *routes),
        ("serve", [count]) => serving::serve_all(file, serving::Asked::Keyed, *count),
        ("leased", [count]) => serving::serve_all(file, serving::Asked::Leased, *count),
        ("key", [count]) => serving::serve_all(file, serving::Asked::Key, *count),
        ("forward", [count]) => serving::serve_all(file, serving::Asked::Public, *count),
        ("hit", [count]) => serving::serve_all(file, serving::Asked::Cached, *count),
        ("floor", [count]) => serving::by_hand(file, *count),
        ("bare", [count]) => {
            serving::bare(*count);
            Ok(())
        }
        ("bundle", [hosts, routes]) => loading::pack(file, *hosts, *routes),
        ("load", [count]) => loading::load_all(file, *count),
        ("charge", [count]) => charge_all(file, *count),
        _ => Err(USAGE.to_owned()),
    }
}

fn charge_all(way: &str, count: usize) -> Result<(), String> {
    let known = || format!("`{way}` is none of {}, {}", charging::WAYS.join(", "), charging::BY_HAND);
    let mut charging = charging::Charging::of(way).ok_or_else(known)?;
    let all_pass = (0..count).all(|_| charging.step());
    if all_pass { Ok(()) } else { Err(format!("{way}: a charge was refused")) }
}

const USAGE: &str = "pack FILE ROUTES, serve, leased, key, forward or hit FILE COUNT, floor FILE COUNT, bare FILE COUNT, bundle FILE HOSTS ROUTES, load FILE COUNT or charge WAY COUNT";

fn number(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is not a number"))
}

fn read(file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{file}: {error}"))
}

fn write(file: &str, bytes: &[u8]) -> Result<(), String> {
    std::fs::write(file, bytes).map_err(|error| format!("{file}: {error}"))
}
