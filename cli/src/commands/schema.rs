//! `tollgate schema`: prints the JSON Schemas of a project's files.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::json;
use tollgate_config::FileKind;

use super::Output;
use crate::failure::Failure;
use crate::terminal;
use crate::write::{Staged, unwritten};

/// Print the JSON Schema (2020-12) of a kind of file, for editors and validators.
///
/// Editors complete and check a file whose root has `$schema: <path of the schema>`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate schema > tollgate.schema.json
  tollgate schema fixtures
  tollgate schema --list
  tollgate schema --all .tollgate/schemas")]
pub(crate) struct SchemaArgs {
    /// The kind of file.
    #[arg(default_value = "project", value_parser = kinds())]
    kind: String,
    /// Write the schemas of all kinds into this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "list")]
    all: Option<PathBuf>,
    /// List the kinds, with the places of such files in a project.
    #[arg(long)]
    list: bool,
    /// The output format of lists; a schema is always JSON.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

pub(crate) fn run(args: &SchemaArgs) -> Result<(), Failure> {
    if args.list {
        terminal::print(&list(args.output));
        return Ok(());
    }
    match &args.all {
        Some(folder) => write_all(folder, args.output),
        None => {
            let kind = FileKind::ALL.iter().find(|kind| kind.name() == args.kind);
            kind.into_iter().for_each(|kind| terminal::print(&kind.schema_text()));
            Ok(())
        }
    }
}

fn kinds() -> PossibleValuesParser {
    PossibleValuesParser::new(FileKind::ALL.iter().map(|kind| kind.name()))
}

fn list(output: Output) -> String {
    match output {
        Output::Text => {
            let head = ["KIND", "FILE", "SCHEMA"].map(str::to_owned).to_vec();
            let row = |kind: &FileKind| [kind.name(), kind.path(), kind.schema_file()].map(str::to_owned).to_vec();
            terminal::table(&std::iter::once(head).chain(FileKind::ALL.iter().map(row)).collect::<Vec<_>>())
        }
        Output::Json => {
            let row =
                |kind: &FileKind| json!({ "kind": kind.name(), "file": kind.path(), "schema": kind.schema_file() });
            format!("{:#}\n", FileKind::ALL.iter().map(row).collect::<serde_json::Value>())
        }
    }
}

fn write_all(folder: &Path, output: Output) -> Result<(), Failure> {
    let (mut staged, mut written) = (Staged::default(), Vec::new());
    staged.folder(folder).map_err(unwritten)?;
    for kind in FileKind::ALL {
        let path = folder.join(kind.schema_file());
        staged.replace(&path, kind.schema_text().as_bytes()).map_err(unwritten)?;
        written.push(path.display().to_string());
    }
    staged.commit().map_err(unwritten)?;
    terminal::print(&match output {
        Output::Text => format!("{}\n", written.join("\n")),
        Output::Json => format!("{:#}\n", json!(written)),
    });
    Ok(())
}
