//! `tollgate import`: starts a project from existing files.

mod draft;
mod place;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use tollgate_config::openapi::{self, Spec};

use super::Output;
use crate::failure::Failure;
use crate::project::{Project, report_diagnostics};
use crate::terminal;
use draft::{Choices, Draft};
use place::Source;

/// Start a project from existing files.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tollgate import openapi petstore.yaml --into shop")]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Debug, Subcommand)]
enum ImportCommand {
    Openapi(OpenApiArgs),
}

/// Start a project from an OpenAPI document (3.0 or 3.1, YAML or JSON).
///
/// The document is copied unchanged, with the files it refers to. Policies are suggested from its security schemes, and
/// operations that cannot be routed are reported. Nothing is overwritten.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate import openapi openapi.yaml
  tollgate import openapi specs/pets.json --into gateway --name pets --upstream https://pets.internal:8443
  tollgate import openapi openapi.yaml --host api.example.com --output json")]
struct OpenApiArgs {
    /// The OpenAPI document.
    file: PathBuf,
    /// The folder of the project; it is created if it does not exist.
    #[arg(long, value_name = "DIR", help = "The folder of the project [default: its name]")]
    into: Option<PathBuf>,
    /// The name of the gateway and of the API (default: derived from the document's title)
    #[arg(long)]
    name: Option<String>,
    /// The URL of the API's server (default: the document's first server)
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
    /// A host that the gateway answers on; repeatable (default: all hosts)
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// The output format.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &ImportArgs) -> Result<(), Failure> {
    match &args.command {
        ImportCommand::Openapi(args) => import(args),
    }
}

fn import(args: &OpenApiArgs) -> Result<(), Failure> {
    let source = Source::of(&args.file)?;
    let (spec, _) = openapi::import_dir(&source.root, &source.name).map_err(|found| {
        report_diagnostics(&found);
        Failure::reported()
    })?;
    let choices = Choices::new(&spec, &source, args.name.as_deref(), args.upstream.as_deref(), &args.hosts)?;
    let folder = args.into.clone().unwrap_or_else(|| PathBuf::from(&choices.name));
    let draft = Draft::new(&spec, &choices, &source.below_common(&spec, &source.name))?;
    let mut files = draft.files;
    for name in spec.files() {
        if let Some(bytes) = source.read(name) {
            files.push((format!("{}/{}", draft::SPEC_FOLDER, source.below_common(&spec, name)), bytes));
        }
    }
    place::write(&folder, &files)?;
    let compiled = Project::at(&folder).compile();
    let found = match &compiled {
        Ok(compiled) => compiled.warnings(),
        Err(found) => found,
    };
    match args.output {
        Output::Text => {
            report_diagnostics(found);
            terminal::print(&summary(&folder, &spec, &choices, &files));
        }
        Output::Json => {
            let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
            let answer = json!({
                "project": folder.display().to_string(),
                "files": names,
                "routed": spec.operations().len(),
                "notRouted": spec.refused(),
                "upstreamIsPlaceholder": choices.is_placeholder,
                "diagnostics": found.to_json(),
            });
            terminal::print(&format!("{answer:#}\n"));
        }
    }
    if compiled.is_err() { Err(Failure::reported()) } else { Ok(()) }
}

fn summary(folder: &Path, spec: &Spec, choices: &Choices, files: &[(String, Vec<u8>)]) -> String {
    let shown = folder.display();
    let mut out = format!("{} files in {shown}:\n", files.len());
    for (name, _) in files.iter().take(SHOWN_MAX) {
        out.push_str(&format!("  {name}\n"));
    }
    if files.len() > SHOWN_MAX {
        out.push_str(&format!("  and {} more\n", files.len() - SHOWN_MAX));
    }
    out.push_str(&format!("{} operations are routed", spec.operations().len()));
    match spec.refused() {
        0 => {}
        1 => out.push_str(", 1 is not (the warning says why)"),
        more => out.push_str(&format!(", {more} are not (the warnings say why)")),
    }
    out.push_str(".\n");
    if choices.is_placeholder {
        out.push_str("The document names no server to call: write its address into tollgate.yaml.\n");
    }
    out.push_str(&format!("Next: tollgate check {shown}, tollgate test {shown}, tollgate dev {shown}\n"));
    out
}

/// The number of files that are listed individually.
const SHOWN_MAX: usize = 12;
