//! Price lists of platforms: the built-in list, and that of a project.
//!
//! All amounts are integers in millionths of the currency, rounded up.

use std::path::Path;

use crate::diagnostic::{Diagnostics, Report};
use crate::model::prices as model;
use crate::place::{FileId, Files};
use crate::source::{self, Folder, Limits, Loader};

pub use crate::model::prices::{MICRO, Prices, TargetPrices, Unit};

impl Prices {
    /// The built-in list.
    ///
    /// # Errors
    /// Never; a test reads the list.
    pub fn built_in() -> Result<Self, Diagnostics> {
        Self::read(FILE, BUILT_IN)
    }

    /// Reads a price list from a text; `name` is its file name in diagnostics.
    ///
    /// # Errors
    /// If the text has a mistake.
    pub fn read(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut files = Files::new();
        let file = files.add(name, text);
        build(Some(file), files, Report::default())
    }

    /// Reads `prices.yaml` of a project folder, if it exists.
    ///
    /// # Errors
    /// If the file has a mistake.
    pub fn of_project(project: &Path) -> Result<Option<Self>, Diagnostics> {
        Self::in_folder(Folder::Disk(project.to_owned()))
    }

    /// The same of a folder that may be in memory.
    pub(crate) fn in_folder(folder: Folder) -> Result<Option<Self>, Diagnostics> {
        let exists = |name: &&&str| match &folder {
            Folder::Disk(path) => path.join(name).exists(),
            Folder::Memory(files) => files.contains_key(**name),
        };
        let Some(name) = FILES.iter().find(exists) else { return Ok(None) };
        let (mut loader, mut report) = (Loader::new(folder), Report::default());
        let file = loader.load(name, &Limits::AUTHORED, &mut report);
        build(file, loader.into_files(), report).map(Some)
    }
}

fn build(file: Option<FileId>, files: Files, mut report: Report) -> Result<Prices, Diagnostics> {
    let read = |file| {
        let root = source::read(file, files.text(file), &Limits::AUTHORED, &mut report)?;
        model::decode(&root, &mut report)
    };
    let prices = file.and_then(read);
    let has_errors = report.has_errors();
    match prices {
        Some(prices) if !has_errors => Ok(prices),
        _ => Err(report.finish(files)),
    }
}

/// The path of the price list in a project folder.
pub const FILE: &str = "prices.yaml";

const FILES: [&str; 3] = [FILE, "prices.yml", "prices.json"];

/// The text of the built-in list, to be copied and edited.
pub const BUILT_IN: &str = include_str!("prices.yaml");
