//! `tollgate bundle`: writes a project's records as a file.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::target::bulk_json;
use crate::terminal;

/// Compile a project to records: a JSON array of {key, value}, as `wrangler kv bulk put` reads it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate bundle shop --out shop.json
  tollgate bundle shop | jq -r '.[].key'

The records stand in the order to write them: parts, manifest, pointer.")]
pub(crate) struct BundleArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// The file to write; standard output where it is left out.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &BundleArgs) -> Result<(), Failure> {
    let compiled = Project::at(&args.project).in_environment(&args.env).compiled()?;
    let text = bulk_json(compiled.records());
    let Some(out) = &args.out else {
        terminal::print(&text);
        return Ok(());
    };
    std::fs::write(out, text).map_err(|error| Failure::problem(format!("{}: {error}", out.display())))?;
    let (count, id) = (compiled.records().len(), compiled.id());
    terminal::note(&format!("{}: {count} records of bundle {id}", out.display()));
    Ok(())
}
