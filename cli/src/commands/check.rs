//! `tollgate check`: says what is wrong with a project.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use tollgate_config::Diagnostics;

use super::Output;
use crate::failure::Failure;
use crate::project::Project;
use crate::terminal;

/// Check a project and its fixtures; exit with 1 when there is a mistake.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tollgate check\n  tollgate check shop --output json | jq '.[].code'")]
pub(crate) struct CheckArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    /// The form of the answer: text with excerpts, or a JSON array of diagnostics.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let project = Project::at(&args.project);
    let (compiled, id) = match project.compile() {
        Ok(compiled) => (compiled.warnings().clone(), Some(compiled.id().clone())),
        Err(found) => (found, None),
    };
    let fixtures = project.fixtures().map_or_else(|found| found, |fixtures| fixtures.warnings);
    let found = [compiled, fixtures];
    match args.output {
        Output::Text => terminal::print(&text(&found)),
        Output::Json => terminal::print(&json(&found)),
    }
    if found.iter().any(Diagnostics::has_errors) {
        return Err(Failure::told());
    }
    if let (Output::Text, Some(id)) = (args.output, id) {
        terminal::print(&format!("{} is sound; its bundle is {id}\n", project.name()));
    }
    Ok(())
}

fn text(found: &[Diagnostics]) -> String {
    found.iter().map(|found| found.to_text(terminal::colour_out())).collect()
}

/// One array over all files.
fn json(found: &[Diagnostics]) -> String {
    let all: Value = found.iter().flat_map(|found| found.to_json().as_array().cloned().unwrap_or_default()).collect();
    format!("{all:#}\n")
}
