//! A project wherever its files are, and what it can be compiled for.

use std::collections::BTreeMap;
use std::path::Path;

use crate::compile::{Compiled, compile_folder};
use crate::diagnostic::{Code, Diagnostics, Report};
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

/// What came of compiling for one environment; for none where there is no name.
pub type Outcome = (Option<String>, Result<Compiled, Diagnostics>);

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

    /// Compiles it.
    ///
    /// # Errors
    /// All mistakes of the project, with its warnings.
    pub fn compile(&self, options: &Options) -> Result<Compiled, Diagnostics> {
        compile_folder(self.folder.clone(), options)
    }

    /// Compiles it for each of its environments; and for none, unless it must be compiled for one.
    #[must_use]
    pub fn compile_each(&self) -> Vec<Outcome> {
        let environments = self.environments();
        let with_defaults = self.compile(&Options::default());
        let needs_one = !environments.is_empty()
            && with_defaults.as_ref().is_err_and(|found| found.iter().any(|found| found.code == Code::MissingValue));
        let mut all: Vec<Outcome> = if needs_one { Vec::new() } else { vec![(None, with_defaults)] };
        all.extend(environments.into_iter().map(|name| {
            let compiled = self.compile(&Options::of_environment(name.clone()));
            (Some(name), compiled)
        }));
        all
    }

    /// All that is found, whatever the environment: what only some of them have says which.
    #[must_use]
    pub fn check(&self) -> Diagnostics {
        let found = self.compile_each().into_iter().map(|(environment, compiled)| {
            (environment, compiled.map_or_else(|found| found, |compiled| compiled.warnings().clone()))
        });
        Diagnostics::merged(found.collect())
    }
}
