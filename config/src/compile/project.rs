//! A project wherever its files are, and what it can be compiled for.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Draft, assemble};
use crate::diagnostic::Report;
use crate::source::{Folder, Layout, Loader};

/// A project: a folder on disk, or texts in memory.
#[derive(Clone, Debug)]
pub struct Project {
    folder: Folder,
}

/// What a project is compiled for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The environment whose values count; without one, the defaults of the values do.
    pub environment: Option<String>,
}

impl Options {
    /// For the environment of that name.
    #[must_use]
    pub fn of_environment(name: impl Into<String>) -> Self {
        Self { environment: Some(name.into()) }
    }
}

impl Project {
    /// The project in a folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        Self { folder: Folder::Disk(folder.to_owned()) }
    }

    /// The project whose files are in memory, by their paths in its folder: `tollgate.yaml`, `apis/pets/api.yaml`.
    #[must_use]
    pub fn of(files: BTreeMap<String, String>) -> Self {
        Self { folder: Folder::Memory(files) }
    }

    /// The names of its environments, sorted.
    #[must_use]
    pub fn environments(&self) -> Vec<String> {
        let (mut loader, mut report) = (Loader::new(self.folder.clone()), Report::default());
        let layout = Layout::find(&mut loader, &mut report);
        layout.environments.into_iter().map(|(name, _)| name).collect()
    }

    /// Reads and lowers it.
    #[must_use]
    pub fn draft(&self, options: &Options) -> Draft {
        let (mut loader, mut report) = (Loader::new(self.folder.clone()), Report::default());
        let layout = Layout::find(&mut loader, &mut report);
        let project = assemble::assemble(&layout, options, &mut loader, &mut report);
        Draft::of(project, loader, report)
    }
}

impl Draft {
    /// Reads and lowers a project that is one text; `name` is what diagnostics call it.
    #[must_use]
    pub fn of_text(name: &str, text: &str) -> Self {
        let (mut loader, mut report) = (Loader::new(Folder::Memory(BTreeMap::new())), Report::default());
        let root = loader.add(name, text);
        let project = assemble::join(Some(root), &Layout::default(), &Options::default(), &mut loader, &mut report);
        Self::of(project, loader, report)
    }
}
