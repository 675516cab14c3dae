//! `tollgate publish`: writes a project's records to the store its hosts read.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::target::{Place, StoreArgs, Target, publish};
use crate::terminal;

/// Compile a project and publish it to the store that its hosts read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate publish shop --to native --store /var/lib/tollgate/shop.db
  tollgate publish shop --to cloudflare --remote
  tollgate publish shop --to spin --store .spin/sqlite_key_value.db

Parts and manifest are written first. The pointer, with the next generation, is written once they can be read, so that a
concurrent reader sees either the old bundle or the new one. If another publication changes the pointer in the meantime,
nothing is switched.")]
pub(crate) struct PublishArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// The host whose store is written.
    #[arg(long, value_enum, value_name = "HOST")]
    to: Place,
    #[command(flatten)]
    store: StoreArgs,
    /// Also write the keys of dev/fixtures.yaml; only for local use, never for a gateway that others can reach.
    #[arg(long)]
    fixtures: bool,
    /// A generation that the new one must exceed; for a store that was set up again, or whose pointer is damaged.
    #[arg(long, value_name = "GENERATION")]
    after: Option<u64>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &PublishArgs) -> Result<(), Failure> {
    let target = Target::of(args.to, &args.store)?;
    let project = Project::at(&args.project).in_environment(&args.env);
    let compiled = project.compiled()?;
    let credentials = if args.fixtures { project.whole_fixtures()?.records(compiled.gateway()) } else { Vec::new() };
    let generation = publish(&target, compiled.bundle(), &credentials, args.after)?;
    let (records, credentials) = (compiled.records().len() + credentials.len(), credentials.len());
    let (gateway, bundle) = (compiled.gateway(), compiled.id());
    match args.output {
        Output::Text => {
            let keys = if credentials > 0 { format!(", {credentials} keys of the fixtures") } else { String::new() };
            terminal::note(&format!(
                "published to {}: gateway {gateway}, generation {generation}, bundle {bundle}{keys}",
                target.name()
            ));
        }
        Output::Json => {
            let answer = json!({
                "target": target.name(),
                "gateway": gateway,
                "generation": generation,
                "bundle": bundle.to_string(),
                "records": records,
                "keys": credentials,
            });
            terminal::print(&format!("{answer:#}\n"));
        }
    }
    Ok(())
}
