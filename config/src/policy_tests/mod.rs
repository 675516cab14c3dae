//! Decodes policy tests, `tests/*.test.yaml`.
//!
//! The types contain the checked content of the files, each part with its place, so that a failure can refer to it. Tests
//! do not run here: `tollgate test` sends the requests through the production pipeline. Every file has its own
//! diagnostics, so that a broken file does not hide the others. Start with [`load_dir`] and [`TestFile`].

mod certificate;
mod check;
mod consumer;
mod expect;
mod file;
mod invariant;
mod issuer;
mod notice;
mod request;
mod step;
mod text;
mod upstream;

use std::path::Path;

pub use consumer::{Consumer, TestKey};
pub use expect::{
    BodyExpect, CacheExpect, Expect, FieldExpect, Matcher, Pattern, PolicyExpect, QuotaExpect, StatusExpect,
    TextExpect, UpstreamExpect,
};
pub use file::TestFile;
pub use invariant::{Invariant, Requirement, RouteSelection};
pub use issuer::{AccountChange, Issuer, IssuerAnswer, IssuerChange, TestProof, TestToken};
pub use notice::NoticeExpect;
pub use request::{Content, RequestStep};
pub use step::{Action, Case, EntitleStep, Entitles, OutageStep, Port, PurgeWhat, Said, Step};
pub use upstream::{Answer, Answers, Rule, Script, ScriptedAnswer};

use crate::diagnostic::{Diagnostics, Report};
use crate::place::{FileId, Files};
use crate::source::{self, Folder, Limits, Loader, TEST_ENDINGS};

/// A test file that was read.
#[derive(Debug)]
pub struct Loaded {
    /// Its path in the project, such as `tests/pets.test.yaml`.
    pub name: String,
    /// The decoded file, or its mistakes.
    pub file: Result<TestFile, Diagnostics>,
}

/// Reads all test files of a project folder, sorted by name; a project without a `tests` folder has none.
#[must_use]
pub fn load_dir(project: &Path) -> Vec<Loaded> {
    let Ok(folder) = std::fs::read_dir(project.join(FOLDER)) else { return Vec::new() };
    let named = folder.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> =
        named.filter(|name| TEST_ENDINGS.iter().any(|ending| name.ends_with(ending))).collect();
    names.sort_unstable();
    names.truncate(FILES_MAX);
    let load = |name: String| {
        let name = format!("{FOLDER}/{name}");
        let (mut loader, mut report) = (Loader::new(Folder::Disk(project.to_owned())), Report::default());
        let file = loader.load(&name, &Limits::AUTHORED, &mut report);
        Loaded { file: build(&name, file, loader.into_files(), report), name }
    };
    names.into_iter().map(load).collect()
}

/// Reads a test file from a text; `name` is its file name in diagnostics.
///
/// # Errors
/// If the text has a mistake.
pub fn load_str(name: &str, text: &str) -> Result<TestFile, Diagnostics> {
    let mut files = Files::new();
    let file = files.add(name, text);
    build(name, Some(file), files, Report::default())
}

fn build(name: &str, file: Option<FileId>, files: Files, mut report: Report) -> Result<TestFile, Diagnostics> {
    let decoded = file.and_then(|file| {
        let root = source::read(file, files.text(file), &Limits::AUTHORED, &mut report)?;
        TestFile::decode(name, &root, &mut report)
    });
    let has_errors = report.has_errors();
    let found = report.finish(files.clone());
    match decoded {
        Some(decoded) if !has_errors => Ok(TestFile { warnings: found, files, ..decoded }),
        _ => Err(found),
    }
}

/// The folder of test files in a project folder.
pub const FOLDER: &str = "tests";

/// The maximum number of test files of a project; further files are not read.
const FILES_MAX: usize = 10_000;
