//! `tollgate fmt`: writes a project's files in their canonical form; every comment is kept.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use similar::TextDiff;
use tollgate_config::Diagnostics;
use tollgate_config::fmt::{Formatted, format_file, format_text, is_project_file, project_files};

use super::Output;
use crate::failure::Failure;
use crate::project::{has_project, report_diagnostics};
use crate::terminal;
use crate::write::{Staged, unwritten};

/// Write a project's files in their canonical form; comments are kept.
///
/// Indentation, quotes, the order of keys and blank lines become those of the format; lists are never reordered. A file
/// with a mistake is not changed; the others are all changed, or none is. Files that do not belong to the project (specifications, workflows) are not changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate fmt                               the project in this folder
  tollgate fmt shop                          the project in ./shop
  tollgate fmt --check                       in CI: list what would change, and exit with 1
  tollgate fmt --diff shop/tollgate.yaml     show what would change in one file
  tollgate fmt --stdin policies/limits.yaml  in an editor: from standard input to standard output")]
pub(crate) struct FmtArgs {
    /// Folders of projects, or files in them (default: the project in the current folder)
    paths: Vec<PathBuf>,
    /// Change nothing: list the files that would change, and exit with 1 if there are any.
    #[arg(long)]
    check: bool,
    /// Change nothing: show what would change, and exit with 1 if there are any changes.
    #[arg(long)]
    diff: bool,
    /// Format standard input to standard output; PATH is the name of the file in the project.
    #[arg(long, conflicts_with_all = ["check", "diff", "output"])]
    stdin: bool,
    /// The output format: the names of changed files, or a JSON object.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &FmtArgs) -> Result<(), Failure> {
    if args.stdin {
        return from_stdin(&args.paths);
    }
    let here = [PathBuf::from(".")];
    let paths = if args.paths.is_empty() { &here } else { args.paths.as_slice() };
    let mut files = Vec::new();
    for path in paths {
        gather(path, &mut files)?;
    }
    files.sort();
    files.dedup();
    let (mut answers, mut staged) = (Vec::new(), Staged::default());
    for file in files {
        let answer = Answer::of(&file)?;
        if let (Outcome::Changed(formatted), false) = (&answer.outcome, args.only_looks()) {
            staged.replace(&file.project.join(&file.name), formatted.after.as_bytes()).map_err(unwritten)?;
        }
        answers.push(answer);
    }
    staged.commit().map_err(unwritten)?;
    match args.output {
        Output::Text => report(&answers, args),
        Output::Json => terminal::print(&format!("{:#}\n", to_json(&answers, args))),
    }
    let wrong = |answer: &Answer| match &answer.outcome {
        Outcome::Refused(_) => true,
        Outcome::Changed(_) => args.only_looks(),
        Outcome::Unchanged => false,
    };
    if answers.iter().any(wrong) { Err(Failure::reported()) } else { Ok(()) }
}

impl FmtArgs {
    fn only_looks(&self) -> bool {
        self.check || self.diff
    }
}

/// A file of a project.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct File {
    project: PathBuf,
    /// Its path within the project.
    name: PathBuf,
}

/// The result for a file.
struct Answer {
    file: String,
    outcome: Outcome,
}

enum Outcome {
    Changed(Formatted),
    Unchanged,
    Refused(Diagnostics),
}

impl Answer {
    fn of(file: &File) -> Result<Self, Failure> {
        let path = file.project.join(&file.name);
        let shown = path.strip_prefix(".").unwrap_or(&path).display().to_string();
        let name = file.name.to_str().ok_or_else(|| Failure::problem(format!("the name {shown} is not UTF-8")))?;
        let outcome = match format_file(&file.project, name) {
            Ok(formatted) if formatted.before == formatted.after => Outcome::Unchanged,
            Ok(formatted) => Outcome::Changed(formatted),
            Err(found) => Outcome::Refused(found),
        };
        Ok(Self { file: shown, outcome })
    }
}

/// The files of a path: those of a project, or the single file.
fn gather(path: &Path, files: &mut Vec<File>) -> Result<(), Failure> {
    let about = fs::metadata(path).map_err(|error| Failure::problem(format!("{}: {error}", path.display())))?;
    if about.is_dir() {
        if !has_project(path) {
            let shown = path.display();
            let text =
                format!("{shown} is not a project: it has no tollgate.yaml; `tollgate init {shown}` creates one");
            return Err(Failure::problem(text));
        }
        let of_project = project_files(path).into_iter();
        files.extend(of_project.map(|name| File { project: path.to_owned(), name }));
        return Ok(());
    }
    match within_project(path) {
        Some(file) => files.push(file),
        None => terminal::message(&format!("{} is left unchanged: it is not a file of a project", path.display())),
    }
    Ok(())
}

/// The project of a file: the nearest folder above it with a project file.
fn within_project(path: &Path) -> Option<File> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|about| about.is_file());
    let whole = std::path::absolute(path).ok()?;
    let project = whole.ancestors().skip(1).find(|folder| has_project(folder))?;
    let name = whole.strip_prefix(project).ok()?.to_owned();
    // The project's path relative to the given one, for messages: as many folders up as the name has parts.
    let shown = path.ancestors().nth(name.components().count()).unwrap_or(project);
    let shown = if shown.as_os_str().is_empty() { Path::new(".") } else { shown };
    let project = if shown.join(&name) == path || shown == Path::new(".") { shown } else { project };
    (is_file && is_project_file(name.to_str()?)).then(|| File { project: project.to_owned(), name })
}

fn from_stdin(paths: &[PathBuf]) -> Result<(), Failure> {
    let name = match paths {
        [] => "tollgate.yaml",
        [path] => path.to_str().ok_or_else(|| Failure::usage("the name is not UTF-8"))?,
        _ => return Err(Failure::usage("--stdin formats one file: give at most one PATH")),
    };
    let mut bytes = Vec::new();
    // One byte more than the formatter accepts, so that it reports the limit.
    std::io::stdin()
        .take(STDIN_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::problem(format!("standard input cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::problem("standard input is not UTF-8"))?;
    let formatted = format_text(name, &text).map_err(|found| {
        report_diagnostics(&found);
        Failure::reported()
    })?;
    terminal::print(&formatted);
    Ok(())
}

fn report(answers: &[Answer], args: &FmtArgs) {
    let (mut changed, mut refused) = (0, 0);
    for Answer { file, outcome } in answers {
        match outcome {
            Outcome::Changed(formatted) => {
                changed += 1;
                terminal::print(&if args.diff { diff(file, formatted) } else { format!("{file}\n") });
            }
            Outcome::Unchanged => {}
            Outcome::Refused(found) => {
                refused += 1;
                report_diagnostics(found);
            }
        }
    }
    let verb = if args.only_looks() { "would be formatted" } else { "formatted" };
    let mut summary = format!("{changed} of {} files {verb}", answers.len());
    if refused > 0 {
        summary.push_str(&format!(", {refused} not changed because of mistakes"));
    }
    terminal::message(&summary);
}

fn diff(file: &str, formatted: &Formatted) -> String {
    let diff = TextDiff::from_lines(&formatted.before, &formatted.after);
    diff.unified_diff().header(file, &format!("{file} (formatted)")).to_string()
}

fn to_json(answers: &[Answer], args: &FmtArgs) -> Value {
    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    for Answer { file, outcome } in answers {
        files.push(match outcome {
            Outcome::Changed(formatted) if args.diff => {
                json!({"file": file, "status": "would-change", "diff": diff(file, formatted)})
            }
            Outcome::Changed(_) if args.check => json!({"file": file, "status": "would-change"}),
            Outcome::Changed(_) => json!({"file": file, "status": "changed"}),
            Outcome::Unchanged => json!({"file": file, "status": "unchanged"}),
            Outcome::Refused(found) => {
                diagnostics.extend(found.to_json().as_array().cloned().unwrap_or_default());
                json!({"file": file, "status": "refused"})
            }
        });
    }
    json!({"files": files, "diagnostics": diagnostics})
}

/// One byte more than a file may have.
const STDIN_BYTES_MAX: u64 = (4 << 20) + 1;
