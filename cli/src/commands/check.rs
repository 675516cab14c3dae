//! `tollgate check`: says what is wrong with a project.

use std::path::PathBuf;

use clap::Args;
use serde_json::Value;
use tollgate_config::Diagnostics;

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::terminal;

/// Check a project and its fixtures; exit with 1 when there is a mistake.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tollgate check\n  tollgate check shop --output json | jq '.[].code'")]
pub(crate) struct CheckArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// The form of the answer: text with excerpts, or a JSON array of diagnostics.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let project = Project::at(&args.project).in_environment(&args.env);
    let mut ids = Vec::new();
    let mut found = Vec::new();
    for (environment, compiled) in project.compile_each() {
        found.push(match compiled {
            Ok(compiled) => {
                ids.push((environment.clone(), compiled.id().clone()));
                (environment, compiled.warnings().clone())
            }
            Err(mistakes) => (environment, mistakes),
        });
    }
    let fixtures = project.fixtures().map_or_else(|found| found, |fixtures| fixtures.warnings);
    let found = [Diagnostics::merged(found), fixtures];
    match args.output {
        Output::Text => terminal::print(&text(&found)),
        Output::Json => terminal::print(&json(&found)),
    }
    if found.iter().any(Diagnostics::has_errors) {
        return Err(Failure::told());
    }
    if args.output == Output::Text {
        for (environment, id) in ids {
            let of = environment.filter(|_| project.environment.is_none());
            let of = of.map_or_else(String::new, |name| format!(" for {name}"));
            terminal::print(&format!("{} is sound; its bundle{of} is {id}\n", project.name()));
        }
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
