//! Counts of a program by valgrind, which do not depend on what else the machine does.

use std::fmt;
use std::path::Path;
use std::process::Command;

/// What one repetition takes.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) instructions: u64,
    allocations: u64,
    bytes: u64,
}

/// The repetitions of two runs; their difference is counted.
#[derive(Clone, Copy)]
pub(crate) struct Runs {
    pub(crate) shorter: usize,
    pub(crate) more: usize,
}

impl Cost {
    /// Without what another one takes.
    pub(crate) const fn above(self, bare: Self) -> Self {
        Self {
            instructions: self.instructions.saturating_sub(bare.instructions),
            allocations: self.allocations.saturating_sub(bare.allocations),
            bytes: self.bytes.saturating_sub(bare.bytes),
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { instructions, allocations, bytes } = self;
        write!(f, "{instructions} instructions, {allocations} allocations of {bytes} bytes")
    }
}

/// The cost of a repetition of `program MODE FILE COUNT`.
pub(crate) fn cost(program: &Path, mode: &str, file: &Path, runs: Runs) -> Result<Cost, String> {
    let run = |tool: &str, count: usize| {
        let mut valgrind = Command::new("valgrind");
        valgrind.arg(format!("--tool={tool}")).args((tool == "callgrind").then_some("--callgrind-out-file=/dev/null"));
        output(valgrind.arg(program).arg(mode).arg(file).arg(count.to_string()))
    };
    let counted = |tool: &str, words: &[&str]| {
        let read = |count: usize| {
            let said = run(tool, count)?;
            let numbers: Option<Vec<u64>> = words.iter().map(|word| number_after(&said, word)).collect();
            numbers.ok_or_else(|| format!("valgrind --tool={tool} printed no count:\n{said}"))
        };
        let (longer, shorter) = (read(runs.shorter + runs.more)?, read(runs.shorter)?);
        let each = longer.iter().zip(&shorter).map(|(longer, shorter)| (longer - shorter) / runs.more as u64);
        Ok::<Vec<u64>, String>(each.collect())
    };
    let instructions = counted("callgrind", &["Collected : "])?[0];
    let heap = counted("memcheck", &["total heap usage: ", "frees, "])?;
    Ok(Cost { instructions, allocations: heap[0], bytes: heap[1] })
}

/// The number behind a word, with commas in it or not.
fn number_after(text: &str, word: &str) -> Option<u64> {
    let (_, rest) = text.split_once(word)?;
    let digits: String =
        rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// What a command prints on standard error, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.output().map_err(|error| format!("{name}: {error}; `apt-get install valgrind` installs it"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{name}: {said}")) }
}
