//! `tollgate publish`: writes a project's records to the store its hosts read.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tollgate_analysis::bounds::exceeded_limits;
use tollgate_config::{Compiled, Diagnostics, Severity, Target as Platform};
use tollgate_kv_schemas::GENERATION_MAX;

use super::key::now;
use super::{Output, gateway_name};
use crate::failure::Failure;
use crate::project::{EnvArgs, Project, report_diagnostics};
use crate::target::{Place, StoreArgs, Target, publish, rollback};
use crate::terminal;

/// Compile a project and publish it to the store that its hosts read, or roll back to the previous generation.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate publish shop --to native --store /var/lib/tollgate/shop.db
  tollgate publish shop --to cloudflare --remote
  tollgate publish shop --to spin --store .spin/sqlite_key_value.db
  tollgate publish --rollback --gateway shop --to native --store /var/lib/tollgate/shop.db

Parts and manifest are written first. The pointer, with the next generation, is written once they can be read, so that a
concurrent reader sees either the old bundle or the new one. If another publication changes the pointer in the meantime,
nothing is switched.

A rollback needs no sources: the store still has the previous bundle. It is published again as a new generation, and the
bundle that it replaces becomes the previous one, so a second rollback undoes the first.")]
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
    #[arg(long, value_name = "GENERATION", value_parser = clap::value_parser!(u64).range(..GENERATION_MAX))]
    after: Option<u64>,
    /// Publish the bundle of the previous generation again, as a new generation, instead of the project.
    #[arg(long, conflicts_with_all = ["fixtures", "env"])]
    rollback: bool,
    /// The gateway to roll back (default: that of the project)
    #[arg(long, value_name = "NAME", requires = "rollback", conflicts_with = "project", value_parser = gateway_name)]
    gateway: Option<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &PublishArgs) -> Result<(), Failure> {
    if args.rollback {
        return roll_back(args);
    }
    let project = Project::at(&args.project).in_environment(&args.env);
    let compiled = project.compiled()?;
    report_diagnostics(&exceeded(args.to, &compiled));
    let credentials = match args.fixtures {
        true => project.whole_fixtures(&compiled, now())?.records(compiled.gateway()),
        false => Vec::new(),
    };
    // A project with mistakes creates no store.
    let target = Target::of(args.to, &args.store)?;
    let generation = publish(&target, compiled.bundle(), &credentials, args.after)?;
    let (records, credentials) = (compiled.records().len() + credentials.len(), credentials.len());
    let keys = match (args.fixtures, credentials) {
        (false, _) => String::new(),
        (true, 0) => ", no keys because the project has no fixtures".to_owned(),
        (true, 1) => ", 1 key of the fixtures".to_owned(),
        (true, more) => format!(", {more} keys of the fixtures"),
    };
    let (gateway, bundle) = (compiled.gateway(), compiled.id());
    report(
        args.output,
        &format!("published to {}: gateway {gateway}, generation {generation}, bundle {bundle}{keys}", target.name()),
        &json!({
            "target": target.name(),
            "gateway": gateway,
            "generation": generation,
            "bundle": bundle.to_string(),
            "records": records,
            "keys": credentials,
        }),
    );
    Ok(())
}

/// The findings about the platform, as warnings: for a platform in `gateway.target`, they were reported with the project.
fn exceeded(place: Place, compiled: &Compiled) -> Diagnostics {
    let platform = match place {
        Place::Native => Platform::Native,
        // Which plan it is for is unknown; the limits of the other one are lower.
        Place::Cloudflare => Platform::WorkersPaid,
        Place::Spin => Platform::Spin,
    };
    let is_same = |target: &Platform| *target == platform || (target.is_workers() && platform.is_workers());
    if compiled.targets().is_some_and(|targets| targets.value.iter().any(is_same)) {
        return Diagnostics::default();
    }
    exceeded_limits(compiled, &BTreeSet::from([platform])).map_severity(|_| Some(Severity::Warning))
}

fn roll_back(args: &PublishArgs) -> Result<(), Failure> {
    let target = Target::existing(args.to, &args.store)?;
    let gateway = args.gateway.clone().map_or_else(|| Project::at(&args.project).gateway(), Ok)?;
    let (generation, bundle) = rollback(&target, &gateway, args.after)?;
    let name = target.name();
    report(
        args.output,
        &format!("rolled back in {name}: gateway {gateway}, generation {generation}, bundle {bundle}"),
        &json!({"target": name, "gateway": gateway, "generation": generation, "bundle": bundle.to_string()}),
    );
    Ok(())
}

fn report(output: Output, text: &str, answer: &Value) {
    match output {
        Output::Text => terminal::note(text),
        Output::Json => terminal::print(&format!("{answer:#}\n")),
    }
}

#[cfg(test)]
mod tests {
    use tollgate_analysis::compile_str;

    use super::*;

    #[test]
    fn what_cannot_work_on_the_platform_is_reported_unless_the_project_names_it() {
        let codes = |gateway: &str, place| {
            let text = format!(
                "format: 1\ngateway: {{{gateway}}}\ntelemetry: {{otlp: {{endpoint: \"https://otel\", interval: 1h}}}}\n"
            );
            let compiled = compile_str("tollgate.yaml", &text).unwrap();
            exceeded(place, &compiled).iter().map(|found| (found.code.id(), found.severity)).collect::<Vec<_>>()
        };
        assert_eq!(codes("name: g", Place::Cloudflare), [("TG0801", Severity::Warning)]);
        assert_eq!(codes("name: g", Place::Native), []);
        assert_eq!(codes("name: g", Place::Spin), []);
        assert_eq!(codes("name: g, target: native", Place::Cloudflare), [("TG0801", Severity::Warning)]);
        let proxies = |gateway: &str| {
            let compiled = compile_str("tollgate.yaml", &format!("format: 1\ngateway: {{{gateway}}}\n")).unwrap();
            exceeded(Place::Cloudflare, &compiled).iter().map(|found| found.code.id()).collect::<Vec<_>>()
        };
        assert_eq!(proxies("name: g, trusted-proxies: 1"), ["TG0431"]);
        assert_eq!(proxies("name: g, trusted-proxies: 1, target: workers-free"), [""; 0]);
    }
}
