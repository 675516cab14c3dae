//! `tollgate publish`: writes a project's records to the store its hosts read.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::target::{Place, StoreArgs, Target};
use crate::terminal;

/// Compile a project and publish it: hosts that read the store serve it from then on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate publish shop --to native --store /var/lib/tollgate/shop.db
  tollgate publish shop --to cloudflare --remote
  tollgate publish shop --to spin --store .spin/sqlite_key_value.db

Parts are written first and the pointer last, so that whoever reads meanwhile finds the old bundle or the new one.")]
pub(crate) struct PublishArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// Whose store to write to.
    #[arg(long, value_enum, value_name = "HOST")]
    to: Place,
    #[command(flatten)]
    store: StoreArgs,
    /// Write the consumers' keys of dev/fixtures.yaml, too; for tries, never for a gateway that others reach.
    #[arg(long)]
    fixtures: bool,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &PublishArgs) -> Result<(), Failure> {
    let target = Target::of(args.to, &args.store)?;
    let project = Project::at(&args.project).in_environment(&args.env);
    let compiled = project.compiled()?;
    let mut records = Vec::new();
    if args.fixtures {
        records.extend(project.whole_fixtures()?.records(compiled.gateway()));
    }
    let credentials = records.len();
    records.extend_from_slice(compiled.records());
    target.put(&records)?;
    let (gateway, bundle) = (compiled.gateway(), compiled.id());
    match args.output {
        Output::Text => {
            let keys = if credentials > 0 { format!(", {credentials} keys of the fixtures") } else { String::new() };
            terminal::note(&format!("published to {}: gateway {gateway}, bundle {bundle}{keys}", target.name()));
        }
        Output::Json => {
            let answer = json!({
                "target": target.name(),
                "gateway": gateway,
                "bundle": bundle.to_string(),
                "records": records.len(),
                "keys": credentials,
            });
            terminal::print(&format!("{answer:#}\n"));
        }
    }
    Ok(())
}
