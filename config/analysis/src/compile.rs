//! Compiles a project with all findings about it.

use std::collections::BTreeMap;
use std::path::Path;

use tollgate_config::{Code, Compiled, Diagnostics, Draft, Options, Project};

use crate::{bounds, proofs};

/// The result of compiling for one environment, or without an environment if there is no name.
pub type Outcome = (Option<String>, Result<Compiled, Diagnostics>);

/// Compiles a project: reads and lowers it, analyses its routes, encodes the bundle, and checks the limits of its target
/// platforms.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile(project: &Project, options: &Options) -> Result<Compiled, Diagnostics> {
    let mut draft = project.draft(options);
    bounds::set_budgets(&mut draft, || project.draft(options), || project.prices())?;
    finish(draft)
}

/// Compiles the project in a folder, with the defaults of its values.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_dir(project: &Path) -> Result<Compiled, Diagnostics> {
    compile(&Project::at(project), &Options::default())
}

/// Compiles a project whose files are in memory, by their paths in its folder: `tollgate.yaml`, `apis/pets/api.yaml`.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_files(files: &BTreeMap<String, String>) -> Result<Compiled, Diagnostics> {
    compile(&Project::of(files.clone()), &Options::default())
}

/// Compiles a project that consists of one text; `name` is its file name in diagnostics.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_str(name: &str, text: &str) -> Result<Compiled, Diagnostics> {
    let mut draft = Draft::of_text(name, text);
    bounds::set_budgets(&mut draft, || Draft::of_text(name, text), || Ok(None))?;
    finish(draft)
}

/// Compiles a project for each of its environments, and also without an environment unless one is required.
#[must_use]
pub fn compile_each(project: &Project) -> Vec<Outcome> {
    let environments = project.environments();
    let with_defaults = compile(project, &Options::default());
    let needs_one = !environments.is_empty()
        && with_defaults.as_ref().is_err_and(|found| found.iter().any(|found| found.code == Code::MissingValue));
    let mut all: Vec<Outcome> = if needs_one { Vec::new() } else { vec![(None, with_defaults)] };
    all.extend(environments.into_iter().map(|name| {
        let compiled = compile(project, &Options::of_environment(name.clone()));
        (Some(name), compiled)
    }));
    all
}

/// All findings about a project in all environments; a finding of only some environments names them.
#[must_use]
pub fn check(project: &Project) -> Diagnostics {
    let found = compile_each(project).into_iter().map(|(environment, compiled)| {
        (environment, compiled.map_or_else(|found| found, |compiled| compiled.warnings().clone()))
    });
    Diagnostics::merged(found.collect())
}

fn finish(mut draft: Draft) -> Result<Compiled, Diagnostics> {
    if let Some((lowered, report)) = draft.lowered() {
        proofs::report(lowered, report);
    }
    let mut encoded = draft.encode();
    if let Some((compiled, report)) = encoded.compiled()
        && let Some(targets) = compiled.targets()
    {
        bounds::report_limits(compiled, &targets.value, targets.span, report);
    }
    encoded.finish()
}
