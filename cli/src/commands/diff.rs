//! `tollgate diff`: the differences between two projects for requests.

mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use report::{json, text};
use tollgate_analysis::diff::{Effect, diff};

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::terminal;

/// Show how project B differs from project A for requests.
///
/// Routes are matched by the requests they answer, as decided by the production router. Order, comments and names make
/// no difference. Each difference is breaking (requests that were answered may be refused), to be reviewed, or
/// compatible; it is marked if it loosens protection.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate diff shop-before shop
  tollgate diff main-checkout . --breaking      fail if callers may break
  tollgate diff shop --env staging --env production
  tollgate diff shop-before shop --output json | jq '.changes[] | select(.loosens)'

The exit code is 0 even if there are differences, unless --exit-code or --breaking is given.")]
pub(crate) struct DiffArgs {
    /// The folder of the old project.
    #[arg(id = "A")]
    from: PathBuf,
    /// The folder of the new project (default: A)
    #[arg(id = "B", required_unless_present = "env")]
    to: Option<PathBuf>,
    /// The environment of both projects; if given twice, that of A and that of B.
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// Exit with 1 if there is any difference.
    #[arg(long)]
    exit_code: bool,
    /// Exit with 1 if there is a breaking difference.
    #[arg(long)]
    breaking: bool,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &DiffArgs) -> Result<(), Failure> {
    let of = |folder: &Path, env: Option<&String>| {
        Project::at(folder).in_environment(&EnvArgs { env: env.cloned() }).compiled()
    };
    let (from, to) = match args.env.as_slice() {
        [] => (None, None),
        [both] => (Some(both), Some(both)),
        [from, to] => (Some(from), Some(to)),
        _ => return Err(Failure::usage("--env is given once or twice")),
    };
    let (from, to) = (of(&args.from, from)?, of(args.to.as_deref().unwrap_or(&args.from), to)?);
    let changes = diff(&from, &to);
    terminal::print(&match args.output {
        Output::Text => text(&changes),
        Output::Json => format!("{:#}\n", json(&changes)),
    });
    let breaks = changes.iter().any(|change| change.effect == Effect::Breaking);
    if (args.exit_code && !changes.is_empty()) || (args.breaking && breaks) {
        return Err(Failure::reported());
    }
    Ok(())
}
