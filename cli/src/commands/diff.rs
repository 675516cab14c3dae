//! `tollgate diff`: what a request would see differently of two projects.

mod report;

use std::path::{Path, PathBuf};

use clap::Args;
use report::{json, text};
use tollgate_analysis::diff::{Effect, diff};

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::terminal;

/// Say what a request would see differently of project B than of project A.
///
/// Routes are matched by the requests they answer, which the production router decides. Order, comments and names do not
/// show. Each difference is breaking (requests that were answered may not be), to be reviewed, or compatible; and marked
/// where it loosens what protects.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate diff shop-before shop
  tollgate diff main-checkout . --breaking      fail when callers may notice
  tollgate diff shop --env staging --env production
  tollgate diff shop-before shop --output json | jq '.changes[] | select(.loosens)'

It ends with 0 whatever differs, unless --exit-code or --breaking is given.")]
pub(crate) struct DiffArgs {
    /// The folder of the project as it was.
    #[arg(id = "A")]
    from: PathBuf,
    /// The folder of the project as it is to be; A again where it is left out.
    #[arg(id = "B", required_unless_present = "env")]
    to: Option<PathBuf>,
    /// The environment of both; given twice, that of A and that of B.
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// End with 1 when there is any difference.
    #[arg(long)]
    exit_code: bool,
    /// End with 1 when there is a breaking difference.
    #[arg(long)]
    breaking: bool,
    /// The form of the answer.
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
        return Err(Failure::told());
    }
    Ok(())
}
