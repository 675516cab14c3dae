//! `tollgate test`: runs the policy tests of a project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use clap::Args;
use tollgate_config::{Compiled, Diagnostics};

use crate::failure::Failure;
use crate::policy_test::{self, Form, Plan};
use crate::project::{EnvArgs, Project};
use crate::terminal;

/// Run the policy tests of a project, tests/*.test.yaml; exit with 1 if one fails.
///
/// Every request passes through the production pipeline in memory, with a virtual clock and upstreams that answer by
/// script. The network is not used, and nothing waits for real time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tollgate test
  tollgate test shop quota 'stranger'      only tests whose name or file contains a word
  tollgate test shop --coverage-min 90%    fail if less is reached
  tollgate test shop --output junit > report.xml

The files are described in docs/policy-tests.md.")]
pub(crate) struct TestArgs {
    /// The project's folder.
    #[arg(default_value = ".")]
    project: PathBuf,
    #[command(flatten)]
    env: EnvArgs,
    /// Run only tests whose name or file contains one of these words.
    words: Vec<String>,
    /// The format of the report.
    #[arg(long, value_enum, default_value_t = Form::Text)]
    output: Form,
    /// Report which routes, policies and branches no test reached.
    #[arg(long)]
    coverage: bool,
    /// Fail if a smaller share of the branches is reached; implies --coverage.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    coverage_min: Option<f64>,
    /// List the tests without running them.
    #[arg(long)]
    list: bool,
}

pub(crate) fn run(args: &TestArgs) -> Result<(), Failure> {
    let project = Project::at(&args.project).in_environment(&args.env);
    let folder = folder(&args.project);
    if args.list {
        terminal::print(&policy_test::list(folder, &args.words, args.output));
        return Ok(());
    }
    let mut known: BTreeMap<Option<String>, Result<Rc<Compiled>, Diagnostics>> = BTreeMap::new();
    let mut compile = |env: Option<&str>| {
        if let Some(compiled) = known.get(&env.map(str::to_owned)) {
            return Ok(compiled.clone());
        }
        // A project that does not compile is reported once; a wrong environment in a file is reported for that file.
        let compiled = match env {
            None => Ok(project.compiled()?),
            Some(name) => project.clone().in_environment(&EnvArgs::of(name)).compile(),
        };
        let compiled = compiled.map(Rc::new);
        known.insert(env.map(str::to_owned), compiled.clone());
        Ok(compiled)
    };
    let coverage = args.coverage || args.coverage_min.is_some();
    let runs = policy_test::run(&Plan { folder, words: &args.words, coverage }, &mut compile)?;
    if runs.is_empty() {
        project.compiled()?;
        return Err(nothing(&project, &args.words));
    }
    terminal::print(&policy_test::render(&runs, args.output, terminal::colour_out()));
    if runs.has_failed() {
        return Err(Failure::reported());
    }
    match (args.coverage_min, &runs.coverage) {
        (Some(min), Some(reached)) if !reached.reaches(min) => Err(Failure::problem(format!(
            "the tests reach {} of the branches, but --coverage-min requires {min} %",
            reached.percent_text()
        ))),
        _ => Ok(()),
    }
}

/// A run without tests proves nothing, so it is a failure.
fn nothing(project: &Project, words: &[String]) -> Failure {
    if words.is_empty() {
        return Failure::problem(format!(
            "{} has no tests: write tests/first.test.yaml; docs/policy-tests.md shows how",
            project.name()
        ));
    }
    Failure::problem(format!("no test contains {} in its name or file; --list lists all", words.join(" or ")))
}

fn folder(project: &Path) -> &Path {
    let folder = if project.is_file() { project.parent().unwrap_or(project) } else { project };
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

/// `80%` or `80`.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end().parse::<f64>();
    number.ok().filter(|n| (0.0..=100.0).contains(n)).ok_or_else(|| "write it like 80%".to_owned())
}
