//! `tollgate import`: starts a project from existing files.

mod access;
mod decide;
mod draft;
mod first_test;
mod place;
#[cfg(test)]
mod property;
mod server;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_config::Diagnostics;
use tollgate_config::openapi::Spec;

use super::Output;
use crate::failure::Failure;
use crate::project::{Project, report_diagnostics};
use crate::terminal;
use decide::{Files, Plan};
use draft::Choices;
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
/// The document is copied unchanged, with the files it refers to. Policies are suggested from its security schemes, and each
/// operation requires no less than the document says, also where its `x-tollgate` does; operations that cannot be routed are
/// reported, and another one that matches their requests requires the same. If the paths of two operations cross, one can
/// answer requests of the other and require less, which is a warning (TG0706). Nothing is overwritten, and if the project
/// would not compile, would have no routes or could not require what an operation requires, nothing is written.
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
    let (spec, read) =
        tollgate_config::import_openapi_dir(&source.root, &source.name).map_err(|found| refused(&found))?;
    let choices = Choices::new(&spec, &source, args.name.as_deref(), args.upstream.as_deref(), &args.hosts)?;
    let folder = args.into.clone().unwrap_or_else(|| PathBuf::from(&choices.name));
    if spec.operations().is_empty() {
        return Err(nothing_routed(&spec, &read));
    }
    let plan = Plan { spec: &spec, read: &read, source: &source, choices: &choices };
    let decided = plan.decide()?;
    let files = &decided.files;
    let written = place::write(&folder, files)?;
    // A folder may have files of its own, with which the project does not compile.
    let compiled = Project::at(&folder).compile().map_err(|found| refused(&found))?;
    written.keep();
    let found = &plan.findings(compiled.warnings());
    let notes = [choices.server.notes.as_slice(), &decided.notes].concat();
    let (folder, spec, choices) = (folder.as_path(), &spec, &choices);
    let made = Made { folder, spec, choices, files, hidden: decided.hidden, notes: &notes };
    match args.output {
        Output::Text => {
            report_diagnostics(found);
            notes.iter().for_each(|note| terminal::message(&format!("note: {note}")));
            terminal::print(&made.summary());
        }
        Output::Json => terminal::print(&format!("{:#}\n", made.to_json(found))),
    }
    Ok(())
}

/// The failure for a document of which no operation can be routed.
fn nothing_routed(spec: &Spec, read: &Diagnostics) -> Failure {
    report_diagnostics(read);
    let why = match (spec.operations().is_empty(), spec.refused()) {
        (true, 0) => "it has none",
        (true, _) => "the warnings say why",
        (false, _) => "they are hidden by `x-tollgate`, or not comparable with others that match the same requests",
    };
    Failure::problem(format!("no operation of the document can be routed, so nothing was written: {why}"))
}

fn refused(found: &Diagnostics) -> Failure {
    report_diagnostics(found);
    Failure::refused(found)
}

/// What was made.
struct Made<'m> {
    folder: &'m Path,
    spec: &'m Spec,
    choices: &'m Choices,
    files: &'m Files,
    /// The number of operations that are not routed because others match the same requests.
    hidden: usize,
    /// What the document says and the project does not keep, or keeps more strictly.
    notes: &'m [String],
}

impl Made<'_> {
    fn routed(&self) -> usize {
        self.spec.operations().len() - self.hidden
    }

    fn to_json(&self, found: &Diagnostics) -> Value {
        let names: Vec<&str> = self.files.iter().map(|(name, _)| name.as_str()).collect();
        json!({
            "project": self.folder.display().to_string(),
            "files": names,
            "routed": self.routed(),
            "notRouted": self.spec.refused() + self.hidden,
            "upstream": self.choices.server.url,
            "upstreamIsPlaceholder": self.choices.server.placeholder.is_some(),
            "notes": self.notes,
            "diagnostics": found.to_json(),
        })
    }

    fn summary(&self) -> String {
        let (shown, files) = (self.folder.display(), self.files);
        let mut out = format!("{} files in {shown}:\n", files.len());
        for (name, _) in files.iter().take(SHOWN_MAX) {
            out.push_str(&format!("  {name}\n"));
        }
        if files.len() > SHOWN_MAX {
            out.push_str(&format!("  and {} more\n", files.len() - SHOWN_MAX));
        }
        out.push_str(&match self.routed() {
            1 => "1 operation is routed".to_owned(),
            all => format!("{all} operations are routed"),
        });
        match self.spec.refused() {
            0 => {}
            1 => out.push_str(", 1 is not (the warning says why)"),
            more => out.push_str(&format!(", {more} are not (the warnings say why)")),
        }
        match self.hidden {
            0 => {}
            1 => out.push_str(", 1 is hidden (tollgate.yaml says why)"),
            more => out.push_str(&format!(", {more} are hidden (tollgate.yaml says why)")),
        }
        out.push_str(".\n");
        if let Some(why) = &self.choices.server.placeholder {
            out.push_str(&format!("The upstream is a placeholder: {why}. Write its address into tollgate.yaml.\n"));
        }
        out.push_str(&format!("Next: tollgate check {shown}, tollgate test {shown}, tollgate dev {shown}\n"));
        out
    }
}

/// The number of files that are listed individually.
const SHOWN_MAX: usize = 12;
