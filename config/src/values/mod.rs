//! Values and environments: the settings that may differ between environments.
//!
//! A project declares its values with their types, and each environment assigns them. A scalar that is exactly
//! `${value.NAME}` is replaced by the value before anything is decoded. So decoders do not have to know about values, and
//! no string is assembled from parts.
//!
//! A value of type `text` may contain `${secret.NAME}`, because environments usually have different secrets. It is parsed
//! at the place where the value is used.

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
    /// Whether every declaration could be read; otherwise an unknown name may be an unreadable declaration.
    is_complete: bool,
    nodes_remaining: usize,
}

#[derive(Debug)]
struct Given {
    /// The index in the list of declarations.
    place: usize,
    /// The value; `None` if it has none, which is reported once and not at each reference.
    node: Option<Node>,
    size: usize,
}

/// The decoded file of an environment.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) name: Spanned<String>,
    /// The assigned values; `None` for a value of the wrong type.
    values: HashMap<String, Option<Node>>,
}

impl Environment {
    /// Decodes and checks `env/NAME.yaml`. Every mistake is reported, also if another environment is compiled.
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
                environment.assign(key, value, &by_name, report);
            }
        }
        environment
    }

    fn assign(
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
            // The declaration could not be decoded, which is reported there.
            Some(None) => {}
            None => report_undeclared(key, declared.keys().copied(), str::to_owned, report),
        }
    }
}

fn entries<'n>(node: &'n Node, report: &mut Report) -> Option<&'n [Entry]> {
    match &node.value {
        Value::Map(entries) => Some(entries),
        _ => crate::decode::mistyped(node, "a mapping from names to values", "write `name: value` pairs", report),
    }
}

impl<'d> Values<'d> {
    /// The values that an environment assigns; without an environment, the defaults.
    pub(crate) fn of(
        declared: &'d Named<Declaration>,
        environment: Option<&Environment>,
        environments: &[Spanned<String>],
        report: &mut Report,
    ) -> Self {
        let mut values = Self {
            declared,
            used: vec![false; declared.len()],
            is_complete: true,
            nodes_remaining: NODES_MAX,
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

    /// The values of a project whose declarations could not be decoded.
    pub(crate) fn unknown() -> Self {
        Self { nodes_remaining: NODES_MAX, ..Self::default() }
    }

    /// Reports values that are not used.
    pub(crate) fn report_unused(&self, report: &mut Report) {
        for ((name, _), used) in self.declared.iter().zip(&self.used) {
            if !used {
                report.push(
                    Diagnostic::warning(
                        Code::UnusedValue,
                        name.span,
                        format!("value `{}` is not used", name.value),
                    )
                    .why("the value that environments assign to it has no effect")
                    .fix(format!("write `${{value.{}}}` at the setting that should have this value, or remove the declaration", name.value)),
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
                "value `{}` has no default, and environment `{}` does not assign it",
                name.value, environment.name.value
            ),
            format!("add `{}:` to the values of `{}`, or a `default:` here", name.value, environment.name.value),
        ),
        None if environments.is_empty() => (
            format!("value `{}` has no default, and the project has no environments", name.value),
            "add a `default:` here, or assign the value in `env/NAME.yaml` and compile with `--env NAME`".to_owned(),
        ),
        None => (
            format!("value `{}` has no default, and no environment is selected", name.value),
            format!("compile with `--env` and one of {}, or add a `default:` here", known()),
        ),
    };
    let mut diagnostic = Diagnostic::error(Code::MissingValue, name.span, what)
        .why("the settings that refer to it would have no value")
        .fix(fix);
    if let Some(environment) = environment {
        diagnostic = diagnostic.related(environment.name.span, "the environment");
    }
    report.push(diagnostic);
}

/// Reports a name that no value has; `written` is how another name is written in its place.
fn report_undeclared<'k>(
    name: &Spanned<String>,
    known: impl Iterator<Item = &'k str>,
    written: impl Fn(&str) -> String,
    report: &mut Report,
) {
    let mut known: Vec<&str> = known.collect();
    known.sort_unstable();
    let lower = crate::decode::in_kebab_case(&name.value).filter(|lower| *lower != name.value);
    let fix = match closest(&name.value, known.iter().copied()) {
        Some(known) => format!("did you mean `{}`?", written(known)),
        None if lower.is_some() => {
            let lower = lower.unwrap_or_default();
            let written = written(&lower);
            format!(
                "names have lowercase letters: declare it in the project, as `values: {{{lower}: {{type: text}}}}`, and write `{written}`"
            )
        }
        None if known.is_empty() => format!("declare it in the project: `values: {{{}: {{type: text}}}}`", name.value),
        None => format!("declare it under `values:` of the project, or use one of {}", listed(known.iter().copied())),
    };
    report.push(
        Diagnostic::error(Code::UndeclaredValue, name.span, format!("value `{}` is not declared", name.value))
            .why("environments can change only values that the project declares")
            .fix(fix),
    );
}

/// The environment with this name; if it does not exist, that is reported at the project.
pub(crate) fn choose<'e>(
    name: &str,
    environments: &'e [Environment],
    known: &[Spanned<String>],
    root: Span,
    report: &mut Report,
) -> Option<&'e Environment> {
    let found = environments.iter().find(|environment| environment.name.value == name);
    // An environment whose file cannot be read exists; that is already reported.
    if found.is_none() && !known.iter().any(|known| known.value == name) {
        let known = || known.iter().map(|name| name.value.as_str());
        let fix = match closest(name, known()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if known().next().is_none() => format!("add `env/{name}.yaml`, or omit `--env`"),
            None => format!("add `env/{name}.yaml`, or select one of {}", listed(known())),
        };
        report.push(
            Diagnostic::error(Code::UnknownEnvironment, root, format!("the project has no environment `{name}`"))
                .why("an environment is a file in `env/` with this name")
                .fix(fix),
        );
    }
    found
}

/// The maximum number of nodes that references may add to a project: as many as five files may have.
const NODES_MAX: usize = 2_000_000;
