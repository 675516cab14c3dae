//! Output for people: colours only on a terminal, and no failure if the reader has closed the pipe.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// The options of every command for its output.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TerminalOptions {
    /// Print only warnings and errors to standard error.
    #[arg(short, long, global = true, display_order = 900)]
    quiet: bool,
    /// When to use colours; `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Colour::Auto, display_order = 901)]
    color: Colour,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

/// Sets the output options of this process, from the command line.
pub(crate) fn set_options(options: TerminalOptions) {
    QUIET.store(options.quiet, Ordering::Relaxed);
    COLOUR.store(options.color as u8, Ordering::Relaxed);
}

static QUIET: AtomicBool = AtomicBool::new(false);
static COLOUR: AtomicU8 = AtomicU8::new(Colour::Auto as u8);
/// Whether the answer is JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);
/// Whether a part of the answer has been written.
static HAS_ANSWERED: AtomicBool = AtomicBool::new(false);
/// Why the answer could not be written.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Sets that answers and failures are written as JSON.
pub(crate) fn answer_json() {
    IS_JSON.store(true, Ordering::Relaxed);
}

/// Writes to standard output; a closed pipe is not an error, a full disk is ([`unwritten`]).
pub(crate) fn print(text: &str) {
    HAS_ANSWERED.store(true, Ordering::Relaxed);
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = UNWRITTEN.set(error.to_string());
    }
}

/// Writes JSON to standard output instead of an answer, if JSON is expected and nothing has been written.
pub(crate) fn print_instead(json: &serde_json::Value) {
    if IS_JSON.load(Ordering::Relaxed) && !HAS_ANSWERED.load(Ordering::Relaxed) {
        print(&format!("{json:#}\n"));
    }
}

/// Why the answer could not be written completely to standard output.
pub(crate) fn unwritten() -> Option<&'static str> {
    UNWRITTEN.get().map(String::as_str)
}

/// Writes a line to standard error, where everything except the answer itself goes.
pub(crate) fn message(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush());
}

/// Writes a line about progress or success to standard error, unless `--quiet` is given.
pub(crate) fn note(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        message(text);
    }
}

/// The same for a process that must go on even if nobody reads its standard error.
pub(crate) fn note_without_waiting(text: &'static str) {
    let (written, waiting) = mpsc::channel::<()>();
    let writer = std::thread::spawn(move || {
        note(text);
        drop(written);
    });
    drop(writer);
    let _ = waiting.recv_timeout(NOTE_PATIENCE);
}

/// The time in which a line is written if somebody reads.
const NOTE_PATIENCE: Duration = Duration::from_millis(100);

/// Whether `--quiet` is given.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Whether standard output shows colours.
pub(crate) fn colour_out() -> bool {
    is_coloured(std::io::stdout().is_terminal())
}

/// Whether standard error shows colours.
pub(crate) fn colour_err() -> bool {
    is_coloured(std::io::stderr().is_terminal())
}

fn is_coloured(is_terminal: bool) -> bool {
    match COLOUR.load(Ordering::Relaxed) {
        always if always == Colour::Always as u8 => true,
        never if never == Colour::Never as u8 => false,
        _ => is_terminal && colour_allowed(),
    }
}

/// Shows on a terminal what is being done, if it takes longer than a second, until it is dropped.
pub(crate) struct Progress {
    done: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Progress {
    pub(crate) fn of(what: &'static str) -> Self {
        if is_quiet() || !std::io::stderr().is_terminal() {
            return Self { done: None };
        }
        let (sender, receiver) = mpsc::channel::<()>();
        let show = move || {
            let mut turns = SPINNER.iter().cycle();
            let mut wait = Duration::from_secs(1);
            while receiver.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                wait = Duration::from_millis(120);
                let mut err = std::io::stderr().lock();
                let _ = write!(err, "\r{} {what} ", turns.next().unwrap_or(&'|')).and_then(|()| err.flush());
            }
            if wait < Duration::from_secs(1) {
                let mut err = std::io::stderr().lock();
                let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
            }
        };
        Self { done: Some((sender, std::thread::spawn(show))) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.done.take() {
            drop(sender);
            let _ = thread.join();
        }
    }
}

const SPINNER: [char; 4] = ['|', '/', '-', '\\'];

/// Whether colours are allowed by <https://no-color.org>.
fn colour_allowed() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A heading on standard output.
pub(crate) fn heading(text: &str) -> String {
    if colour_out() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}

/// The mark of an error on standard error.
pub(crate) fn mark_error(text: &str) -> String {
    if colour_err() { format!("\x1b[1;31m{text}\x1b[0m") } else { text.to_owned() }
}

/// Formats rows as columns of equal width; the first row is the header, and the last column is not padded. A cell of more
/// than [`CELL_CHARS_MAX`] stands out of its column, so that it does not widen all others.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column)).map(|cell| cell.chars().count());
    let width = |column: usize| cells(column).filter(|chars| *chars <= CELL_CHARS_MAX).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.push_str(cells.join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The width of a column at most: two of them fit on a wide terminal.
const CELL_CHARS_MAX: usize = 80;

/// Untrusted text without control characters, which a terminal would interpret.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_columns_of_equal_width_and_no_trailing_spaces() {
        let rows = [vec!["A".into(), "B".into()], vec!["long".into(), "x".into()], vec!["s".into(), String::new()]];
        assert_eq!(table(&rows), "A     B\nlong  x\ns\n");
    }

    #[test]
    fn a_very_long_cell_does_not_widen_its_column() {
        let long = "n".repeat(70_000);
        let rows = [vec!["A".into(), "B".into()], vec![long.clone(), "x".into()]];
        assert_eq!(table(&rows), format!("A  B\n{long}  x\n"));
    }
}
