//! What one request costs the decision engine and the pipeline: instructions and allocations, counted by valgrind.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::compare::Row;
use crate::side::artifact_folder;

/// Routes of the gateways that are measured.
const ROUTES: [usize; 3] = [10, 1_000, 10_000];

/// Requests of the shorter run, which warm everything up, and how many more the longer run has.
const WARM_UP: usize = 100;
const COUNTED: usize = 1_000;

/// What one request takes.
#[derive(Clone, Copy)]
struct Cost {
    instructions: u64,
    allocations: u64,
    bytes: u64,
}

pub(crate) fn measure() -> Result<Vec<Row>, String> {
    let program = artifact_folder("target/release/tollgate-bench-serving");
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = |routes: usize| folder.path().join(routes.to_string());
    let bare = cost(&program, "bare", &file(0))?;
    let mut rows = Vec::new();
    for routes in ROUTES {
        output(Command::new(&program).arg("pack").arg(file(routes)).arg(routes.to_string()))?;
        let served = cost(&program, "serve", &file(routes))?;
        let floor = cost(&program, "floor", &file(routes))?.above(bare);
        let what = format!("serving: key + limit + forward, {routes} routes, against the same by hand");
        let served = served.above(bare);
        let ratio = served.instructions as f64 / floor.instructions.max(1) as f64;
        rows.push(Row::plain(what, describe(served), describe(floor), format!("{ratio:.1}")));
    }
    Ok(rows)
}

impl Cost {
    /// Without making the messages.
    const fn above(self, bare: Self) -> Self {
        Self {
            instructions: self.instructions.saturating_sub(bare.instructions),
            allocations: self.allocations.saturating_sub(bare.allocations),
            bytes: self.bytes.saturating_sub(bare.bytes),
        }
    }
}

fn describe(Cost { instructions, allocations, bytes }: Cost) -> String {
    format!("{instructions} instructions, {allocations} allocations of {bytes} bytes")
}

fn cost(program: &Path, mode: &str, file: &PathBuf) -> Result<Cost, String> {
    let run = |tool: &str, count: usize| {
        let mut valgrind = Command::new("valgrind");
        valgrind.arg(format!("--tool={tool}")).args((tool == "callgrind").then_some("--callgrind-out-file=/dev/null"));
        output(valgrind.arg(program).arg(mode).arg(file).arg(count.to_string()))
    };
    let each = |tool: &str, read: fn(&str) -> Option<u64>| {
        let counted = |count: usize| {
            let said = run(tool, count)?;
            read(&said).ok_or_else(|| format!("valgrind --tool={tool} printed no count:\n{said}"))
        };
        Ok::<u64, String>((counted(WARM_UP + COUNTED)? - counted(WARM_UP)?) / COUNTED as u64)
    };
    Ok(Cost {
        instructions: each("callgrind", |said| number_after(said, "Collected : "))?,
        allocations: each("memcheck", |said| number_after(said, "total heap usage: "))?,
        bytes: each("memcheck", |said| number_after(said, "frees, "))?,
    })
}

/// The number behind a word, with commas in it or not.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let digits: String =
        rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// What a command prints on standard error, if it succeeds.
fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| format!("{name}: {error}; `apt-get install valgrind` installs it"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{name}: {said}")) }
}
