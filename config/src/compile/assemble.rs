//! Assembles a project from its files. Each file is read and decoded separately, so that a broken file does not hide
//! mistakes in the others.

use std::collections::HashMap;

use super::Options;
use crate::decode::{Named, check_name};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::api::Api;
use crate::model::plan::decode_plans;
use crate::model::project::{self, Project};
use crate::place::{FileId, Span, Spanned};
use crate::source::{self, Layout, Limits, Loader, Node};
use crate::values::{self, Environment, Values, declarations};

/// Reads and decodes all files; `None` if the project file cannot be read or decoded.
pub(crate) fn assemble(
    layout: &Layout,
    options: &Options,
    loader: &mut Loader,
    report: &mut Report,
) -> Option<(Project, Span)> {
    let root = loader.load(&layout.project, &Limits::AUTHORED, report);
    join(root, layout, options, loader, report)
}

/// The same for a project whose project file is already loaded.
pub(crate) fn join(
    root: Option<FileId>,
    layout: &Layout,
    options: &Options,
    loader: &mut Loader,
    report: &mut Report,
) -> Option<(Project, Span)> {
    let mut trees = Trees::read(root, layout, loader, report);
    trees.fill(options, Span::beginning_of(root.unwrap_or_default()), report);
    let project = trees.project.as_ref().and_then(|root| Some((Project::decode(root, report)?, root.span)));
    let (mut project, span) = match project {
        Some((project, span)) => (Some(project), span),
        None => (None, Span::beginning_of(FileId::default())),
    };
    let mut rest = Project { is_complete: trees.is_complete, ..Project::default() };
    trees.decode(project.as_mut().unwrap_or(&mut rest), report);
    project.map(|mut project| {
        project.is_complete = trees.is_complete;
        unique(&mut project, report);
        (project, span)
    })
}

/// The trees of a project's files.
#[derive(Default)]
struct Trees {
    project: Option<Node>,
    apis: Vec<(Spanned<String>, Node)>,
    policies: Vec<Node>,
    plans: Vec<Node>,
    environments: Vec<(Spanned<String>, Option<Node>)>,
    /// Whether every file could be read.
    is_complete: bool,
}

impl Trees {
    fn read(root: Option<FileId>, layout: &Layout, loader: &mut Loader, report: &mut Report) -> Self {
        let mut trees = Self { is_complete: true, ..Self::default() };
        trees.project = tree(root, loader, report);
        trees.is_complete &= trees.project.is_some();
        for path in &layout.policies {
            let file = loader.load(path, &Limits::AUTHORED, report);
            let read = tree(file, loader, report);
            trees.is_complete &= read.is_some();
            trees.policies.extend(read);
        }
        for path in &layout.plans {
            let file = loader.load(path, &Limits::AUTHORED, report);
            trees.plans.extend(tree(file, loader, report));
        }
        for (name, path) in &layout.environments {
            let file = loader.load(path, &Limits::AUTHORED, report);
            let at = file.map_or_else(|| loader.place(path), Span::beginning_of);
            trees.environments.push((Spanned::new(name.clone(), at), tree(file, loader, report)));
        }
        for (name, path) in &layout.apis {
            let file = loader.load(path, &Limits::AUTHORED, report);
            let read = tree(file, loader, report);
            trees.is_complete &= read.is_some();
            let named = |node| (Spanned::new(name.clone(), Span::beginning_of(file.unwrap_or_default())), node);
            trees.apis.extend(read.map(named));
        }
        trees.is_complete &= loader.is_complete();
        trees
    }

    /// Replaces references by the values of the environment.
    fn fill(&mut self, options: &Options, root: Span, report: &mut Report) {
        let declared = self.project.as_ref().map(|root| declarations(root, report));
        let names: Vec<_> = self.environments.iter().map(|(name, _)| name.clone()).collect();
        let mut environments = Vec::new();
        for (name, node) in &self.environments {
            check_name(name, report);
            let node = node.as_ref();
            environments.extend(node.map(|node| Environment::decode(name.clone(), node, declared.as_ref(), report)));
        }
        let chosen = options.environment.as_ref().map(|name| values::choose(name, &environments, &names, root, report));
        let mut values = match (&declared, chosen) {
            (Some(declared), None) => Values::of(declared, None, &names, report),
            (Some(declared), Some(Some(chosen))) => Values::of(declared, Some(chosen), &names, report),
            // The missing declarations or environment are already reported; references to values are not.
            (None, _) | (_, Some(None)) => Values::unknown(),
        };
        if let Some(root) = &mut self.project {
            values.fill_project(root, report);
        }
        self.policies.iter_mut().chain(&mut self.plans).for_each(|node| values.fill(node, report));
        self.apis.iter_mut().for_each(|(_, node)| values.fill(node, report));
        // A misspelt name leaves its value unused; it is reported only once.
        if self.is_complete && !report.has_errors() {
            values.report_unused(report);
        }
    }

    /// Decodes all files except the project file into the project.
    fn decode(&self, project: &mut Project, report: &mut Report) {
        for node in &self.policies {
            project.policies.extend(project::decode_policies(node, report));
        }
        for node in &self.plans {
            project.plans.extend(decode_plans(node, report));
        }
        for (name, node) in &self.apis {
            check_name(name, report);
            project.apis.push((name.clone(), Api::decode_file(name, node, report)));
        }
    }
}

fn tree(file: Option<FileId>, loader: &Loader, report: &mut Report) -> Option<Node> {
    let file = file?;
    source::read(file, loader.files().text(file), &Limits::AUTHORED, report)
}

/// Reports names that several files define, and keeps the first definition.
fn unique(project: &mut Project, report: &mut Report) {
    unique_names("policy", &mut project.policies, report);
    unique_names("plan", &mut project.plans, report);
    unique_names("API", &mut project.apis, report);
    let policies = spans(&project.policies);
    let upstreams = spans(&project.upstreams);
    for (_, api) in project.apis.iter().filter_map(|(name, api)| Some((name, api.as_ref()?))) {
        for (name, _) in &api.policies {
            report_shadowed("policy", name, policies.get(name.value.as_str()), report);
        }
        for (name, _) in &api.upstreams {
            report_shadowed("upstream", name, upstreams.get(name.value.as_str()), report);
        }
    }
}

fn spans<T>(named: &Named<T>) -> HashMap<&str, Span> {
    named.iter().map(|(name, _)| (name.value.as_str(), name.span)).collect()
}

fn unique_names<T>(noun: &str, named: &mut Named<T>, report: &mut Report) {
    let mut seen: HashMap<String, Span> = HashMap::new();
    named.retain(|(name, _)| match seen.get(&name.value) {
        Some(first) => {
            report.push(
                Diagnostic::error(Code::DefinedTwice, name.span, format!("{noun} `{}` is defined twice", name.value))
                    .why("it is ambiguous which definition applies, because the order of files has no meaning")
                    .fix("rename or remove one of them")
                    .related(*first, "the other definition"),
            );
            false
        }
        None => {
            seen.insert(name.value.clone(), name.span);
            true
        }
    });
}

fn report_shadowed(noun: &str, name: &Spanned<String>, first: Option<&Span>, report: &mut Report) {
    let Some(first) = first else { return };
    report.push(
        Diagnostic::error(
            Code::DefinedTwice,
            name.span,
            format!("{noun} `{}` is also defined by the project", name.value),
        )
        .why("it would be ambiguous which definition the API uses")
        .fix("rename the definition of the API, or remove it to use that of the project")
        .related(*first, "the definition of the project"),
    );
}
