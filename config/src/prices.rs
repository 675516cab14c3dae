//! What platforms charge: a price list, built in or of a project.
//!
//! All amounts are whole millionths of the currency; a part of one counts as a whole.

use std::path::Path;

use crate::diagnostic::{Diagnostics, Report};
use crate::model::prices as model;
use crate::place::{FileId, Files};
use crate::source::{self, Folder, Limits, Loader};

pub use crate::model::prices::{MICRO, Prices, TargetPrices, Unit};

impl Prices {
    /// The list that is built in.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn built_in() -> Result<Self, Diagnostics> {
        Self::read(FILE, BUILT_IN)
    }

    /// Reads a price list from a text; `name` is what diagnostics call it.
    ///
    /// # Errors
    /// When the text has a mistake.
    pub fn read(name: &str, text: &str) -> Result<Self, Diagnostics> {
        let mut files = Files::new();
        let file = files.add(name, text);
        build(Some(file), files, Report::default())
    }

    /// Reads `prices.yaml` of a project folder, where there is one.
    ///
    /// # Errors
    /// When the file has a mistake.
    pub fn of_project(project: &Path) -> Result<Option<Self>, Diagnostics> {
        let Some(name) = FILES.iter().find(|name| project.join(name).exists()) else { return Ok(None) };
        let (mut loader, mut report) = (Loader::new(Folder::Disk(project.to_owned())), Report::default());
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

/// The price list of a project.
pub const FILE: &str = "prices.yaml";

const FILES: [&str; 3] = [FILE, "prices.yml", "prices.json"];

/// The list that is built in, to be copied and edited.
pub const BUILT_IN: &str = include_str!("prices.yaml");
