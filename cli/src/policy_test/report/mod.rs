//! The results of tests for people, programs and CI systems. No report contains keys.

mod json;
mod junit;
mod text;

use std::path::Path;

use serde_json::{Value, json};
use tollgate_config::policy_tests::{Loaded, load_dir};

use super::{Runs, is_wanted};
use crate::redaction::redact;

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For CI systems, as XML.
    Junit,
}

/// The report in a form.
pub(crate) fn render(runs: &Runs, form: Form, colour: bool) -> String {
    redact(&match form {
        Form::Text => text::text(runs, colour),
        Form::Json => format!("{:#}\n", json::json(runs)),
        Form::Junit => junit::junit(runs),
    })
}

/// Lists the tests without running them; files with mistakes are reported when they are run.
pub(crate) fn list(folder: &Path, words: &[String], form: Form) -> String {
    let mut tests = Vec::new();
    for Loaded { name, file } in load_dir(folder) {
        let Ok(file) = file else { continue };
        let cases = file.cases.iter().map(|case| ("case", case.name.value.clone(), case.name.span));
        let invariants = file.invariants.iter().map(|rule| ("invariant", rule.title(), rule.span));
        let all = cases.chain(invariants).filter(|(_, title, _)| is_wanted(words, &name, title));
        tests.extend(all.map(|(kind, title, at)| (name.clone(), kind, title, at.start)));
    }
    if form == Form::Text {
        let line = |(file, _, title, at): &(String, _, String, tollgate_config::Position)| {
            format!("{file}:{}:{}  {}\n", at.line, at.column, crate::terminal::printable(title))
        };
        return tests.iter().map(line).collect();
    }
    let all: Value = tests
        .iter()
        .map(|(file, kind, title, at)| json!({"file": file, "kind": kind, "name": title, "line": at.line, "column": at.column}))
        .collect();
    format!("{all:#}\n")
}
