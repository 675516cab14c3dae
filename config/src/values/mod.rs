//! Values and environments: what a project says may differ from one environment to another.
//!
//! A project declares its values with their types; each environment gives them, and nothing else. A scalar that is
//! exactly `${value.NAME}` stands for the value: whole nodes are put in its place before anything is decoded, so that no
//! decoder knows of values, and no text is ever put together from pieces.
//!
//! A value of type `text` may itself be or hold `${secret.NAME}`: environments usually have secrets of their own. It is
//! read where the value is used, as if it were written there.

mod check;
mod declare;
mod fill;

use std::collections::HashMap;

pub(crate) use declare::{Declaration, declarations};

use crate::decode::{Fields, Named};
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::model::project::format_version;
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// The values of one environment, by name.
#[derive(Debug, Default)]
pub(crate) struct Values<'d> {
    declared: &'d [(Spanned<String>, Option<Declaration>)],
    given: HashMap<&'d str, Given>,
    used: Vec<bool>,
    /// Whether every declaration could be read; a name that is not known may be one that could not.
    is_whole: bool,
    nodes_left: usize,
}

#[derive(Debug)]
struct Given {
    /// The place in the list of declarations.
    place: usize,
    /// What stands for it; `None` where it has no value, which is reported once and not at each use.
    node: Option<Node>,
    size: usize,
}

/// An environment's file, read.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) name: Spanned<String>,
    /// What it gives for declared values; `None` for what is not of the type.
    values: HashMap<String, Option<Node>>,
}

impl Environment {
    /// Reads and checks `env/NAME.yaml`; every mistake is reported, whichever environment is compiled.
    pub(crate) fn decode(
        name: Spanned<String>,
        root: &Node,
        declared: Option<&Named<Declaration>>,
        report: &mut Report,
    ) -> Self {
        let mut environment = Self { name, values: HashMap::new() };
        let owner = format!("environment `{}`", environment.name.value);
        let Some(mut fields) = Fields::open(root, &tables::ENVIRONMENT_FILE, owner, environment.name.span, report)
        else {
            return environment;
        };
        format_version(&mut fields, report);
        let entries = fields.required("values", report, |node, report| entries(node, report));
        fields.finish(report);
        if let Some(declared) = declared {
            let by_name: HashMap<&str, Option<&Declaration>> =
                declared.iter().map(|(name, value)| (name.value.as_str(), value.as_ref())).collect();
            for Entry { key, value } in entries.unwrap_or_default() {
                environment.give(key, value, &by_name, report);
            }
        }
        environment
    }

    fn give(
        &mut self,
        key: &Spanned<String>,
        node: &Node,
        declared: &HashMap<&str, Option<&Declaration>>,
        report: &mut Report,
    ) {
        match declared.get(key.value.as_str()) {
            Some(Some(declaration)) => {
                let given = check::check(declaration.kind, node, report).then(|| node.clone());
                self.values.insert(key.value.clone(), given);
            }
            // Its declaration could not be read, which is reported there.
            Some(None) => {}
            None => report_undeclared(key, declared.keys().copied(), report),
        }
    }
}

fn entries<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => crate::decode::mistyped(node, "a mapping of values", "write `name: value` pairs", report),
    }
}

impl<'d> Values<'d> {
    /// The values as an environment gives them; without one, the defaults.
    pub(crate) fn of(
        declared: &'d Named<Declaration>,
        environment: Option<&Environment>,
        environments: &[Spanned<String>],
        report: &mut Report,
    ) -> Self {
        let mut values = Self {
            declared,
            used: vec![false; declared.len()],
            is_whole: true,
            nodes_left: NODES_MAX,
            ..Self::default()
        };
        for (place, (name, declaration)) in declared.iter().enumerate() {
            let given = environment.and_then(|environment| environment.values.get(&name.value));
            let default = declaration.as_ref().and_then(|declaration| declaration.default.as_ref());
            let node = given.map_or(default, Option::as_ref).cloned();
            if let (None, None, Some(_)) = (&node, given, declaration) {
                report_missing(name, environment, environments, report);
            }
            let size = node.as_ref().map_or(1, |node| node.measure().nodes);
            values.given.insert(&name.value, Given { place, node, size });
        }
        values
    }

    /// For a project whose declarations could not be read.
    pub(crate) fn unknown() -> Self {
        Self { nodes_left: NODES_MAX, ..Self::default() }
    }

    /// Warns of values that nothing uses.
    pub(crate) fn report_unused(&self, report: &mut Report) {
        for ((name, _), used) in self.declared.iter().zip(&self.used) {
            if !used {
                report.push(
                    Diagnostic::warning(
                        Code::UnusedValue,
                        name.span,
                        format!("the value `{}` is not used", name.value),
                    )
                    .why("what environments give for it does nothing")
                    .fix(format!("write `${{value.{}}}` where it should count, or remove it", name.value)),
                );
            }
        }
    }
}

fn report_missing(
    name: &Spanned<String>,
    environment: Option<&Environment>,
    environments: &[Spanned<String>],
    report: &mut Report,
) {
    let known = || listed(environments.iter().map(|name| name.value.as_str()));
    let (what, fix) = match environment {
        Some(environment) => (
            format!(
                "the value `{}` has no default, and environment `{}` does not give it",
                name.value, environment.name.value
            ),
            format!("add `{}:` to the values of `{}`, or a `default:` here", name.value, environment.name.value),
        ),
        None if environments.is_empty() => (
            format!("the value `{}` has no default, and there is no environment", name.value),
            "add a `default:` here, or `env/NAME.yaml` that gives it, and compile with `--env NAME`".to_owned(),
        ),
        None => (
            format!("the value `{}` has no default, and no environment is chosen", name.value),
            format!("compile with `--env` and one of {}, or add a `default:` here", known()),
        ),
    };
    let mut diagnostic =
        Diagnostic::error(Code::MissingValue, name.span, what).why("what stands in its place cannot be known").fix(fix);
    if let Some(environment) = environment {
        diagnostic = diagnostic.related(environment.name.span, "the environment");
    }
    report.push(diagnostic);
}

fn report_undeclared<'k>(name: &Spanned<String>, known: impl Iterator<Item = &'k str>, report: &mut Report) {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let fix = match closest(&name.value, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known.is_empty() => format!("declare it in the project: `values: {{{}: {{type: text}}}}`", name.value),
        None => format!("declare it under `values:` of the project; declared are {}", listed(known.iter().copied())),
    };
    report.push(
        Diagnostic::error(Code::UndeclaredValue, name.span, format!("there is no value `{}`", name.value))
            .why("environments change what the project declares as a value, and nothing else")
            .fix(fix),
    );
}

/// The environment of that name; one that there is not is reported at the project.
pub(crate) fn choose<'e>(
    name: &str,
    environments: &'e [Environment],
    known: &[Spanned<String>],
    root: Span,
    report: &mut Report,
) -> Option<&'e Environment> {
    let found = environments.iter().find(|environment| environment.name.value == name);
    // One whose file cannot be read is there, and reported.
    if found.is_none() && !known.iter().any(|known| known.value == name) {
        let known = || known.iter().map(|name| name.value.as_str());
        let fix = match closest(name, known()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if known().next().is_none() => format!("add `env/{name}.yaml`, or leave `--env` out"),
            None => format!("add `env/{name}.yaml`, or choose one of {}", listed(known())),
        };
        report.push(
            Diagnostic::error(Code::UnknownEnvironment, root, format!("the project has no environment `{name}`"))
                .why("an environment is a file in `env/`, named after it")
                .fix(fix),
        );
    }
    found
}

/// Nodes that values may put into a project in all: as many as five files may have.
const NODES_MAX: usize = 2_000_000;
