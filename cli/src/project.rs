//! The project that a command works on: its location, and its compilation.

use std::path::{Path, PathBuf};

use clap::Args;
use tollgate_analysis::Outcome;
use tollgate_config::fixtures::{self, Fixtures};
use tollgate_config::{Compiled, Diagnostics, Options};
use tollgate_core::time::Timestamp;

use crate::failure::Failure;
use crate::quickstart;
use crate::terminal::{self, Progress};

/// A project, and the environment that it is compiled for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Project {
    pub(crate) place: Place,
    /// `None` for the defaults of its values.
    pub(crate) environment: Option<String>,
}

/// The environment that a command is about.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct EnvArgs {
    /// The environment whose values are used, env/NAME.yaml (default: the defaults of the values)
    #[arg(long, value_name = "NAME")]
    pub(crate) env: Option<String>,
}

impl EnvArgs {
    /// The environment of that name.
    pub(crate) fn of(name: &str) -> Self {
        Self { env: Some(name.to_owned()) }
    }
}

/// Where a project is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder with a `tollgate.yaml`.
    Folder(PathBuf),
    /// The copy of the quickstart that is built into this program.
    BuiltIn,
}

impl Project {
    /// The project in a folder; `path` may also be its project file.
    pub(crate) fn at(path: &Path) -> Self {
        let is_project_file = path.is_file() && FILES.iter().any(|name| path.ends_with(name));
        let folder = if is_project_file { path.parent().unwrap_or(path) } else { path };
        Self::of(Place::Folder(if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }))
    }

    fn of(place: Place) -> Self {
        Self { place, environment: None }
    }

    /// The copy of the quickstart that is built into this program.
    #[cfg(test)]
    pub(crate) fn built_in() -> Self {
        Self::of(Place::BuiltIn)
    }

    /// The same project, compiled for an environment.
    pub(crate) fn in_environment(self, env: &EnvArgs) -> Self {
        Self { environment: env.env.clone(), ..self }
    }

    /// The project in the current folder; otherwise the quickstart of the clone that contains the folder; otherwise the
    /// built-in quickstart.
    pub(crate) fn found() -> Self {
        let here = Path::new(".");
        if has_project(here) {
            return Self::of(Place::Folder(here.to_owned()));
        }
        let current = std::env::current_dir().unwrap_or_default();
        let in_clone = current.ancestors().map(|folder| folder.join(QUICKSTART)).find(|folder| has_project(folder));
        Self::of(in_clone.map_or(Place::BuiltIn, |folder| {
            let short = folder.strip_prefix(&current).map(Path::to_owned);
            Place::Folder(short.unwrap_or(folder))
        }))
    }

    /// Compiles it.
    pub(crate) fn compile(&self) -> Result<Compiled, Diagnostics> {
        let _progress = Progress::of("compiling");
        tollgate_analysis::compile(&self.files(), &Options { environment: self.environment.clone() })
    }

    /// Compiles it for each of its environments, or for the selected one.
    pub(crate) fn compile_each(&self) -> Vec<Outcome> {
        match &self.environment {
            Some(name) => vec![(Some(name.clone()), self.compile())],
            None => {
                let _progress = Progress::of("compiling for each environment");
                tollgate_analysis::compile_each(&self.files())
            }
        }
    }

    /// Its files, for the compiler.
    pub(crate) fn files(&self) -> tollgate_config::Project {
        match &self.place {
            Place::Folder(folder) => tollgate_config::Project::at(folder),
            Place::BuiltIn => tollgate_config::Project::of(quickstart::files()),
        }
    }

    /// Its consumers and keys for local use.
    pub(crate) fn fixtures(&self) -> Result<Fixtures, Diagnostics> {
        match &self.place {
            Place::Folder(folder) => fixtures::load_dir(folder),
            Place::BuiltIn => fixtures::load_str(quickstart::FIXTURES_NAME, quickstart::FIXTURES),
        }
    }

    /// Compiles it for a command that needs a valid project: warnings and errors are reported on standard error.
    pub(crate) fn compiled(&self) -> Result<Compiled, Failure> {
        let compiled = self.compile().map_err(|found| self.refuse(&found))?;
        report_diagnostics(compiled.warnings());
        Ok(compiled)
    }

    /// Compiles it for any environment for which it is valid: for a command that needs only its names.
    pub(crate) fn compiled_for_any(&self) -> Result<Compiled, Failure> {
        let valid = self.compile_each().into_iter().find_map(|(_, compiled)| compiled.ok());
        valid.map_or_else(|| self.compiled(), Ok)
    }

    /// The name of its gateway.
    pub(crate) fn gateway(&self) -> Result<String, Failure> {
        self.compiled_for_any().map(|compiled| compiled.gateway().to_owned())
    }

    /// Its fixtures, reported in the same way as of a time.
    pub(crate) fn whole_fixtures(&self, compiled: &Compiled, now: Timestamp) -> Result<Fixtures, Failure> {
        let fixtures = self.fixtures().map_err(|found| self.refuse(&found))?;
        report_diagnostics(&fixtures.warnings);
        report_diagnostics(&fixtures.check(compiled, now));
        Ok(fixtures)
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> String {
        let name = match &self.place {
            Place::Folder(folder) => folder.display().to_string(),
            Place::BuiltIn => "the built-in quickstart".to_owned(),
        };
        match &self.environment {
            Some(environment) => format!("{name} ({environment})"),
            None => name,
        }
    }

    /// Reports the diagnostics; if the project does not exist, reports that instead.
    pub(crate) fn refuse(&self, found: &Diagnostics) -> Failure {
        if !self.exists() {
            return self.missing();
        }
        report_diagnostics(found);
        Failure::refused(found)
    }

    /// Whether the project exists.
    pub(crate) fn exists(&self) -> bool {
        match &self.place {
            Place::Folder(folder) => has_project(folder),
            Place::BuiltIn => true,
        }
    }

    /// The failure for a project that does not exist.
    pub(crate) fn missing(&self) -> Failure {
        Failure::problem(self.why_missing())
    }

    /// Why it does not exist, and what creates one.
    pub(crate) fn why_missing(&self) -> String {
        let Place::Folder(folder) = &self.place else {
            return format!("{} is not a project", self.name());
        };
        let name = folder.display();
        let why = match folder.metadata() {
            Ok(found) if found.is_dir() => "it has no tollgate.yaml".to_owned(),
            Ok(_) => "it is not a folder".to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "the folder does not exist".to_owned(),
            Err(error) => error.to_string(),
        };
        format!("{name} is not a project: {why}; `tollgate init` creates one")
    }
}

/// Reports diagnostics on standard error.
pub(crate) fn report_diagnostics(found: &Diagnostics) {
    if !found.is_empty() {
        terminal::message(&found.to_text(terminal::colour_err()));
    }
}

/// Whether a folder has a project file.
pub(crate) fn has_project(folder: &Path) -> bool {
    FILES.iter().any(|name| folder.join(name).is_file())
}

/// The names of a project file.
const FILES: [&str; 3] = ["tollgate.yaml", "tollgate.yml", "tollgate.json"];

/// The quickstart within a clone.
const QUICKSTART: &str = "examples/quickstart";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_quickstart_compiles_and_has_a_key() {
        let project = Project::of(Place::BuiltIn);
        assert!(project.compile().is_ok_and(|compiled| compiled.warnings().is_empty()));
        assert!(project.fixtures().is_ok_and(|fixtures| fixtures.sample.is_some()));
    }

    #[test]
    fn a_project_may_be_named_by_its_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart");
        let expected = Project::of(Place::Folder(root.clone()));
        assert_eq!(Project::at(&root.join("tollgate.yaml")), expected);
        assert_eq!(Project::at(&root), expected);
    }
}
