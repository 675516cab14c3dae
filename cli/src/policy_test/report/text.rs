//! The report for people: a line for each test, the failures with their differences, and a summary.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};
use tollgate_config::{Diagnostics, Span};
use tollgate_core::event::{Event, Events};

use crate::policy_test::coverage::{Covered, Summary};
use crate::policy_test::outcome::{FileRun, Mismatch, Runs, TestFailure, TestRun};
use crate::terminal::{printable, table};

pub(super) fn text(runs: &Runs, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out: String = runs.files.iter().map(|file| file_text(file, paint)).collect();
    for file in &runs.files {
        for test in &file.tests {
            if let Some(failure) = &test.failure {
                out.push_str(&format!("\n{}", failure_text(file, test, failure, colour)));
            }
        }
    }
    if let Some(summary) = &runs.coverage {
        out.push_str(&format!("\n{}", coverage_text(summary, paint)));
    }
    out.push_str(&format!("\n{}\n", summary_text(runs, paint)));
    out
}

fn file_text(file: &FileRun, paint: Paint) -> String {
    let mut out = format!("{}\n", paint.bold(&file.name));
    if file.is_refused() {
        out.push_str(&format!(
            "  {}\n\n{}\n",
            paint.red("not run, it has mistakes"),
            diagnostics(&file.found, paint.0)
        ));
        return out;
    }
    let width = file.tests.iter().map(|test| test.name.chars().count()).max().unwrap_or(0).min(NAME_WIDTH_MAX);
    for test in &file.tests {
        let mark = if test.failure.is_none() { paint.green("ok    ") } else { paint.red("FAILED") };
        let requests = match test.requests {
            0 => String::new(),
            1 => "1 request".to_owned(),
            n => format!("{n} requests"),
        };
        let line = format!("  {mark} {:<width$}  {:>9}  {requests}", printable(&test.name), duration(test.took));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    if !file.found.is_empty() {
        out.push_str(&format!("\n{}", diagnostics(&file.found, paint.0)));
    }
    out
}

/// Why a test failed.
pub(super) fn failure_text(file: &FileRun, test: &TestRun, failure: &TestFailure, colour: bool) -> String {
    let paint = Paint(colour);
    let mut out = format!(
        "{} {}: {}\n  {}\n",
        paint.red("FAILED"),
        place(file, failure.at),
        paint.bold(&printable(&test.name)),
        printable(&failure.what)
    );
    if let Some(line) = file.file.as_ref().and_then(|written| written.line(failure.at)) {
        out.push_str(&format!("  {} | {}\n", failure.at.start.line, printable(&excerpt(line))));
    }
    for mismatch in &failure.mismatches {
        out.push_str(&format!("\n  {}  {}\n", paint.bold(&mismatch.what), place(file, mismatch.at)));
        out.push_str(&indented(&difference(mismatch, paint), "    "));
    }
    if let Some(events) = &failure.events {
        out.push_str(&format!("\n  {}\n{}", paint.bold("decisions"), indented(&decisions_text(events), "    ")));
    }
    out
}

pub(super) fn diagnostics(found: &Diagnostics, colour: bool) -> String {
    found.to_text(colour)
}

fn place(file: &FileRun, at: Span) -> String {
    format!("{}:{}:{}", file.name, at.start.line, at.start.column)
}

/// A line, shortened if it is long.
fn excerpt(line: &str) -> String {
    let line = line.trim();
    let shown: String = line.chars().take(EXCERPT_WIDTH_MAX).collect();
    if shown.len() < line.len() { shown + "..." } else { shown }
}

/// Expected and actual value in two lines; if they have several lines, the lines that differ.
fn difference(mismatch: &Mismatch, paint: Paint) -> String {
    let Mismatch { expected, got, .. } = mismatch;
    if !expected.contains('\n') && !got.contains('\n') {
        return format!(
            "{}\n{}\n",
            paint.red(&format!("- expected {expected}")),
            paint.green(&format!("+ got      {got}"))
        );
    }
    let mut out = format!("{}\n{}\n", paint.red("- expected"), paint.green("+ got"));
    let diff = TextDiff::from_lines(expected, got);
    for group in diff.grouped_ops(CONTEXT_LINES) {
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            out.push_str(&match change.tag() {
                ChangeTag::Delete => paint.red(&format!("-   {line}")),
                ChangeTag::Insert => paint.green(&format!("+   {line}")),
                ChangeTag::Equal => format!("    {line}"),
            });
            out.push('\n');
        }
    }
    out
}

fn decisions_text(events: &Events) -> String {
    let row = |event: &Event| {
        let policy = event.policy.as_deref().unwrap_or("-").to_owned();
        let (phase, verdict) = (event.phase.as_str().to_owned(), event.verdict.as_str().to_owned());
        vec![phase, policy, verdict, printable(&event.reason.to_string())]
    };
    let head = ["PHASE", "POLICY", "VERDICT", "REASON"].map(str::to_owned).to_vec();
    table(&std::iter::once(head).chain(events.as_slice().iter().map(row)).collect::<Vec<_>>())
}

fn coverage_text(summary: &Summary, paint: Paint) -> String {
    let rows = [
        vec!["routes".to_owned(), summary.route_share().to_string()],
        vec!["policies".to_owned(), summary.policy_share().to_string()],
        vec!["branches".to_owned(), summary.branch_share().to_string()],
    ];
    let mut out = format!("{}\n{}", paint.bold("coverage"), indented(&table(&rows), "  "));
    let missing: Vec<String> = summary.routes.iter().chain(&summary.policies).filter_map(missing).collect();
    if !missing.is_empty() {
        out.push_str(&format!("\n{}\n{}", paint.bold("not reached"), missing.concat()));
    }
    out
}

/// The branches of a route or policy that were not reached; one line if the route or policy itself was not reached.
fn missing(item: &Covered) -> Option<String> {
    if !item.is_reached() {
        return Some(format!("  {}  {}\n      {}\n", item.name, item.what, "not reached at all"));
    }
    let branches: Vec<String> =
        item.branches.iter().filter(|(_, reached)| !reached).map(|(name, _)| format!("      {name}\n")).collect();
    (!branches.is_empty()).then(|| format!("  {}  {}\n{}", item.name, item.what, branches.concat()))
}

fn summary_text(runs: &Runs, paint: Paint) -> String {
    let (passed, failed, refused) = (runs.passed(), runs.failed(), runs.refused());
    let mut counts = format!("{passed} passed, {failed} failed");
    if refused > 0 {
        counts.push_str(&format!(", {refused} {} not run", if refused == 1 { "file" } else { "files" }));
    }
    let counts = if runs.has_failed() { paint.red(&counts) } else { paint.green(&counts) };
    format!("{counts}; {} requests in {}", runs.requests(), duration(runs.took))
}

fn duration(duration: Duration) -> String {
    if duration >= Duration::from_secs(1) {
        format!("{:.2} s", duration.as_secs_f64())
    } else {
        format!("{:.2} ms", duration.as_secs_f64() * 1e3)
    }
}

fn indented(text: &str, by: &str) -> String {
    text.lines().map(|line| format!("{by}{line}\n")).collect()
}

/// Colours, if the terminal shows them.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    fn green(self, text: &str) -> String {
        self.with("32", text)
    }
}

/// Lines shown around one that differs.
const CONTEXT_LINES: usize = 2;

/// The maximum length of a quoted line, in characters.
const EXCERPT_WIDTH_MAX: usize = 110;

/// The widest column of names: longer names do not move the times of all other tests.
const NAME_WIDTH_MAX: usize = 60;
