//! A project on disk or in memory, and the options of a compilation.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Draft, assemble};
use crate::diagnostic::{Diagnostics, Report};
use crate::model::prices::Prices;
use crate::place::Inputs;
use crate::source::{Folder, Layout, Loader};

/// A project: a folder on disk, or texts in memory.
#[derive(Clone, Debug)]
pub struct Project {
    folder: Folder,
}

/// The options of a compilation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The environment whose values are used; without one, the defaults of the values.
    pub environment: Option<String>,
}

impl Options {
    /// The options for the environment with this name.
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

    /// The names of the project's environments, sorted.
    #[must_use]
    pub fn environments(&self) -> Vec<String> {
        let (mut loader, mut report) = (Loader::new(self.folder.clone()), Report::default());
        let layout = Layout::find(&mut loader, &mut report);
        layout.environments.into_iter().map(|(name, _)| name).collect()
    }

    /// What the same compilation would read now. `unchanged` returns the digest of a file that is known not to have changed
    /// since the digest was computed.
    #[must_use]
    pub fn look_again(&self, inputs: &Inputs, mut unchanged: impl FnMut(&str) -> Option<u64>) -> Inputs {
        let mut now = Inputs::default();
        for path in inputs.files() {
            now.set_file(path, unchanged(path).or_else(|| self.folder.digest_file(path)));
        }
        for path in inputs.folders() {
            now.set_folder(path, self.folder.digest_folder(path));
        }
        now
    }

    /// Its price list, if it has one.
    ///
    /// # Errors
    /// If the file has a mistake.
    pub fn prices(&self) -> Result<Option<Prices>, Diagnostics> {
        Prices::in_folder(self.folder.clone())
    }

    /// Reads and lowers the project.
    #[must_use]
    pub fn draft(&self, options: &Options) -> Draft {
        let (mut loader, mut report) = (Loader::new(self.folder.clone()), Report::default());
        let layout = Layout::find(&mut loader, &mut report);
        let project = assemble::assemble(&layout, options, &mut loader, &mut report);
        Draft::of(project, loader, report)
    }
}

impl Draft {
    /// Reads and lowers a project that consists of one text; `name` is its file name in diagnostics.
    #[must_use]
    pub fn of_text(name: &str, text: &str) -> Self {
        let (mut loader, mut report) = (Loader::new(Folder::Memory(BTreeMap::new())), Report::default());
        let root = loader.add(name, text);
        let project = assemble::join(Some(root), &Layout::default(), &Options::default(), &mut loader, &mut report);
        Self::of(project, loader, report)
    }
}
