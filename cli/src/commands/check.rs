//! `tollgate check`: reports what is wrong with a project.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;
use tollgate_analysis::Outcome;
use tollgate_analysis::bounds::exceeded_limits;
use tollgate_config::prices::Prices;
use tollgate_config::{Code, Compiled, Diagnostic, Diagnostics, Severity, Target, policy_tests, sarif};

use super::key::now;
use crate::failure::Failure;
use crate::project::{EnvArgs, Place, Project};
use crate::terminal;

/// Check a project with its fixtures, policy tests and prices; exit with 1 if there is an error.
///
/// Without --env, every environment is checked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate check
  tollgate check shop --deny warnings              in CI: no warnings are allowed
  tollgate check shop --deny TG0403 --allow TG0402
  tollgate check shop --target workers-free        check it against a platform's limits
  tollgate check shop --output json | jq '.[].code'
  tollgate check shop --output sarif > check.sarif")]
pub(crate) struct CheckArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// Warnings that are treated as errors: `warnings` for all, or a code. Repeatable.
    #[arg(long, value_name = "warnings|CODE", value_parser = what)]
    deny: Vec<What>,
    /// A warning to suppress. Repeatable.
    #[arg(long, value_name = "CODE", value_parser = code)]
    allow: Vec<Code>,
    /// A platform to check for, in addition to `gateway.target`: its limits, and settings without effect there. Repeatable.
    #[arg(long, value_name = "TARGET")]
    target: Vec<Target>,
    /// The output format: text with excerpts, a JSON array of diagnostics, or SARIF 2.1.0.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
}

/// The output format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    Text,
    Json,
    Sarif,
}

/// What is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Warnings,
    Code(Code),
}

pub(crate) fn run(args: &CheckArgs) -> Result<(), Failure> {
    let project = Project::at(&args.project).in_environment(&args.env);
    if !project.exists() {
        return Err(project.missing());
    }
    let outcomes = project.compile_each();
    let found = findings(args, &project, &outcomes).into_iter().map(|found| judged(args, found));
    let found: Vec<Diagnostics> = found.collect();
    match args.output {
        Form::Text => terminal::print(&text(&found)),
        Form::Json => terminal::print(&json(&found)),
        Form::Sarif => terminal::print(&format!("{:#}\n", sarif(&found, &folder(args)))),
    }
    if found.iter().any(Diagnostics::has_errors) {
        return Err(Failure::reported());
    }
    if args.output == Form::Text && !terminal::is_quiet() {
        terminal::print(&summary(&project, &outcomes, &found));
        for (_, compiled) in outcomes.iter().take(1) {
            compiled.iter().for_each(|compiled| terminal::print(&binding(compiled, &args.target)));
        }
    }
    Ok(())
}

/// All diagnostics, file by file.
fn findings(args: &CheckArgs, project: &Project, outcomes: &[Outcome]) -> Vec<Diagnostics> {
    let targets: BTreeSet<Target> = args.target.iter().copied().collect();
    let of = |compiled: &Result<Compiled, Diagnostics>| match compiled {
        Ok(compiled) => compiled.warnings().clone(),
        Err(found) => found.clone(),
    };
    let merged = |of: &dyn Fn(&Result<Compiled, Diagnostics>) -> Diagnostics| {
        Diagnostics::merged(outcomes.iter().map(|(name, compiled)| (name.clone(), of(compiled))).collect())
    };
    let exceeded_limits = |compiled: &Result<Compiled, Diagnostics>| {
        compiled.as_ref().map_or_else(|_| Diagnostics::default(), |compiled| exceeded_limits(compiled, &targets))
    };
    let mut all = vec![merged(&of), merged(&exceeded_limits)];
    match project.fixtures() {
        Ok(fixtures) => {
            // All environments have the same plans.
            let compiled = outcomes.iter().find_map(|(_, compiled)| compiled.as_ref().ok());
            all.extend(compiled.map(|compiled| fixtures.check(compiled, now())));
            all.push(fixtures.warnings);
        }
        Err(found) => all.push(found),
    }
    if let Place::Folder(folder) = &project.place {
        all.extend(tests(folder, outcomes));
        all.extend(Prices::of_project(folder).err());
    }
    all.retain(|found| !found.is_empty());
    all
}

/// The diagnostics of the policy tests, each checked against the project in the environment that it names.
fn tests(folder: &Path, outcomes: &[Outcome]) -> Vec<Diagnostics> {
    let compiled = |env: Option<&str>| {
        let named = outcomes.iter().find(|(name, _)| name.as_deref() == env);
        named.or_else(|| outcomes.first().filter(|_| env.is_none())).and_then(|(_, compiled)| compiled.as_ref().ok())
    };
    let mut all = Vec::new();
    for loaded in policy_tests::load_dir(folder) {
        match loaded.file {
            Ok(file) => {
                let env = file.env.as_ref().map(|env| env.value.as_str());
                all.extend(compiled(env).map(|compiled| file.check(compiled)));
                all.push(file.warnings);
            }
            Err(found) => all.push(found),
        }
    }
    all
}

/// The diagnostics without allowed warnings, and with denied warnings as errors.
fn judged(args: &CheckArgs, found: Diagnostics) -> Diagnostics {
    let is_denied = |finding: &Diagnostic| {
        args.deny.iter().any(|what| match what {
            What::Warnings => true,
            What::Code(code) => *code == finding.code,
        })
    };
    found.map_severity(|finding| match finding.severity {
        Severity::Error => Some(Severity::Error),
        Severity::Warning if args.allow.contains(&finding.code) => None,
        Severity::Warning if is_denied(finding) => Some(Severity::Error),
        Severity::Warning => Some(Severity::Warning),
    })
}

fn text(found: &[Diagnostics]) -> String {
    let texts = found.iter().filter(|found| !found.is_empty()).map(|found| found.to_text(terminal::colour_out()));
    texts.collect::<Vec<_>>().join("\n")
}

/// One array over all files.
fn json(found: &[Diagnostics]) -> String {
    let all: Value = found.iter().flat_map(|found| found.to_json().as_array().cloned().unwrap_or_default()).collect();
    format!("{all:#}\n")
}

/// One line for each environment.
fn summary(project: &Project, outcomes: &[Outcome], found: &[Diagnostics]) -> String {
    let warnings: usize = found.iter().map(|found| found.len() + found.omitted()).sum();
    let counted = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let verdict = match warnings {
        0 => "is valid".to_owned(),
        _ => format!("compiles, with {}", counted(warnings, "warning")),
    };
    let line = |(environment, compiled): &Outcome| {
        let compiled = compiled.as_ref().ok()?;
        let of = environment.as_ref().filter(|_| project.environment.is_none());
        Some(format!(
            "{} {verdict}: {} on {}; its bundle{} is {}\n",
            project.name(),
            counted(compiled.routes().len(), "route"),
            counted(compiled.sites().len(), "host pattern"),
            of.map_or_else(String::new, |name| format!(" for {name}")),
            compiled.id()
        ))
    };
    outcomes.iter().filter_map(line).collect()
}

/// What has to be written outside of the project for certificates of the gateway, on the platforms that are checked.
fn binding(compiled: &Compiled, targets: &[Target]) -> String {
    let targets: BTreeSet<Target> =
        compiled.targets().iter().flat_map(|targets| &targets.value).chain(targets).copied().collect();
    let mut texts = BTreeSet::new();
    for (upstream, own) in compiled.whole().certificates() {
        let host = upstream.url.host();
        if targets.contains(&Target::Spin) {
            texts.insert(format!(
                "in the runtime configuration of Spin (spin up --runtime-config-file):\n\
                 [[client_tls]]\ncomponent_ids = [\"gateway\"]\nhosts = [\"{host}\"]\nclient_cert_file = \"{host}.pem\"\n\
                 client_private_key_file = \"{host}.key\"\n"
            ));
        }
        if targets.iter().any(|target| target.is_workers()) {
            texts.insert(format!(
                "in wrangler.toml (npx wrangler mtls-certificate upload prints the id):\n\
                 [[mtls_certificates]]\nbinding = \"{}\"\ncertificate_id = \"...\"\n",
                own.name
            ));
        }
    }
    texts.into_iter().collect()
}

/// The project's folder, as the prefix of file names on code hosts.
fn folder(args: &CheckArgs) -> String {
    let text = args.project.to_string_lossy();
    let text = text.trim_start_matches("./").trim_end_matches('/');
    if text == "." { String::new() } else { text.to_owned() }
}

fn what(text: &str) -> Result<What, String> {
    if text == "warnings" { Ok(What::Warnings) } else { code(text).map(What::Code) }
}

fn code(text: &str) -> Result<Code, String> {
    Code::find(text).ok_or_else(|| "unknown code; docs/diagnostics/README.md lists all".to_owned())
}
