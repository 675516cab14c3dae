//! `tollgate import`: starts a project from existing files.

mod access;
mod draft;
mod place;
#[cfg(test)]
mod property;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tollgate_analysis::compile_files;
use tollgate_config::openapi::{self, Spec};
use tollgate_config::{Code, Diagnostic, Diagnostics, Place, Span};

use super::Output;
use crate::failure::Failure;
use crate::project::{Project, report_diagnostics};
use crate::terminal;
use access::Access;
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
/// The document is copied unchanged, with the files it refers to. Policies are suggested from its security schemes, and never
/// require less; operations that cannot be routed are reported. Nothing is overwritten, and if the project would not compile,
/// would have no routes or would require less, nothing is written.
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
    let (spec, read) = openapi::import_dir(&source.root, &source.name).map_err(|found| refused(&found))?;
    let choices = Choices::new(&spec, &source, args.name.as_deref(), args.upstream.as_deref(), &args.hosts)?;
    let folder = args.into.clone().unwrap_or_else(|| PathBuf::from(&choices.name));
    if spec.operations().is_empty() {
        return Err(nothing_routed(&spec, &read));
    }
    let access = Access::of(&spec)?;
    let plan = Plan { spec: &spec, read: &read, source: &source, choices: &choices, access: &access };
    let (files, hidden) = plan.files()?;
    let written = place::write(&folder, &files)?;
    // A folder may have files of its own, with which the project does not compile.
    let compiled = Project::at(&folder).compile().map_err(|found| refused(&found))?;
    written.keep();
    let found = &plan.findings(compiled.warnings());
    let notes = [choices.server.notes.as_slice(), &access.notes].concat();
    let made = Made { folder: &folder, spec: &spec, choices: &choices, files: &files, hidden, notes: &notes };
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
    let why = if spec.refused() == 0 { "it has none" } else { "the warnings say why" };
    Failure::problem(format!("no operation of the document can be routed, so nothing was written: {why}"))
}

fn refused(found: &Diagnostics) -> Failure {
    report_diagnostics(found);
    Failure::refused(found)
}

/// What the files of a project are made from.
struct Plan<'p> {
    spec: &'p Spec,
    /// The findings about the document, for the places of its operations.
    read: &'p Diagnostics,
    source: &'p Source,
    choices: &'p Choices,
    access: &'p Access,
}

/// The files of a project, by name.
type Files = Vec<(String, Vec<u8>)>;

impl Plan<'_> {
    /// The files of a project that compiles, and the number of operations that are hidden for this.
    fn files(&self) -> Result<(Files, usize), Failure> {
        let mut hidden = BTreeSet::new();
        loop {
            let files = self.draft(&hidden)?;
            let text = |(name, bytes): &(String, Vec<u8>)| Some((name.clone(), String::from_utf8(bytes.clone()).ok()?));
            let Err(found) = compile_files(&files.iter().filter_map(text).collect()) else {
                return Ok((files, hidden.len()));
            };
            let more = self.in_conflict(&found, &hidden);
            if more.is_empty() {
                return Err(refused(&found));
            }
            hidden.extend(more);
        }
    }

    fn draft(&self, hidden: &BTreeSet<usize>) -> Result<Files, Failure> {
        let Self { spec, source, choices, access, .. } = *self;
        let copied = spec.files().iter().filter_map(|name| {
            Some((format!("{}/{}", draft::SPEC_FOLDER, source.below_common(spec, name)), source.read(name)?))
        });
        let spec_name = source.below_common(spec, &source.name);
        let drafted = Draft { spec, choices, access, spec_name: &spec_name, hidden }.files()?;
        Ok(copied.chain(drafted).collect())
    }

    /// The findings of the project, with those about the document that are only true where it was read: a file that was
    /// not copied is missing in the project for another reason.
    fn findings(&self, found: &Diagnostics) -> Diagnostics {
        let is_in = |all: &Diagnostics, one: &Diagnostic| all.iter().any(|d| d.code == one.code && d.what == one.what);
        let own = self.read.clone().map_severity(|one| (!is_in(found, one)).then_some(one.severity));
        let spans = own.iter().flat_map(|one| one.related.iter().map(|related| related.span).chain([one.span]));
        let places: Vec<Place> = spans.map(|span| self.copied(span)).collect();
        let rest = found.clone().map_severity(|one| (!places.contains(&found.place(one.span))).then_some(one.severity));
        Diagnostics::merged(vec![(None, own), (None, rest)])
    }

    /// The place of a span of the document in its copy.
    fn copied(&self, span: Span) -> Place {
        let at = self.read.place(span);
        let file = format!("{}/{}", draft::SPEC_FOLDER, self.source.below_common(self.spec, &at.file));
        Place { file, ..at }
    }

    /// Of operations that match the same requests with equal precedence, those that require less.
    fn in_conflict(&self, found: &Diagnostics, hidden: &BTreeSet<usize>) -> BTreeSet<usize> {
        let operations = self.spec.operations().iter().enumerate();
        let places: Vec<(Place, usize)> = operations
            .filter(|(place, _)| !hidden.contains(place))
            .map(|(place, operation)| (self.copied(operation.span()), place))
            .collect();
        let operation = |span: Span| {
            let at = found.place(span);
            places.iter().find(|(place, _)| *place == at).map(|(_, operation)| *operation)
        };
        let strictness = |operation: &usize| {
            let required = self.access.routes.get(*operation);
            required.map(|required| (!required.authn.is_empty(), required.scopes.len()))
        };
        let errors = found.iter().filter(|found| found.code == Code::RouteConflict);
        let weaker = errors.filter_map(|error| {
            let others = error.related.iter().map(|related| related.span);
            // Of equally strict ones, that of the error.
            [error.span].into_iter().chain(others).filter_map(operation).min_by_key(strictness)
        });
        weaker.collect()
    }
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
