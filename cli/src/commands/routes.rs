//! `tollgate routes`: lists what a project routes.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tollgate_config::{CompiledRoute, Whole};

use super::Output;
use crate::failure::Failure;
use crate::project::{EnvArgs, Project};
use crate::route_table::{policies, route_table, upstream};
use crate::terminal;

/// List the routes of a project with what guards them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tollgate routes\n  tollgate routes shop --output json")]
pub(crate) struct RoutesArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// The form of the answer.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &RoutesArgs) -> Result<(), Failure> {
    let compiled = Project::at(&args.project).in_environment(&args.env).compiled()?;
    let whole = compiled.whole();
    match args.output {
        Output::Text => terminal::print(&route_table(whole)),
        Output::Json => {
            let routes: Value = whole.routes.iter().map(|route| route_json(whole, route)).collect();
            terminal::print(&format!("{routes:#}\n"));
        }
    }
    Ok(())
}

/// A route as JSON, its policies and upstream by name.
pub(crate) fn route_json(whole: &Whole, route: &CompiledRoute) -> Value {
    let CompiledRoute { hosts, settings: route, .. } = route;
    let names = |places: &[usize]| -> Vec<String> {
        let names = policies(whole, places);
        names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    json!({
        "id": route.id,
        "api": route.api,
        "hosts": hosts,
        "path": route.path.to_string(),
        "methods": route.methods,
        "internal": route.internal,
        "authn": names(&route.authn),
        "scopes": route.scopes,
        "limit": names(&route.limit),
        "cost": route.cost,
        "cache": route.cache,
        "upstream": upstream(whole, route),
        "content_bytes_max": route.content_bytes_max,
        "timeout_ms": route.timeout_ms,
    })
}
