//! From a project to a bundle: read, decode, lower, encode.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tollgate_core::bounds::PART_BYTES_MAX;
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, PolicySettings, RouteSettings, SiteSettings};
use tollgate_kv_schemas::{Bundle, Id};

use crate::Options;
use crate::assemble;
use crate::bounds::{Counted, RouteBounds, Target, count, report_limits};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::lower::{self, Lowered};
use crate::model::project::Project;
use crate::origins::{Finder, Origin, Place, Substituted};
use crate::source::{FileId, Folder, Layout, Loader, Span};

/// A compiled project.
#[derive(Clone, Debug)]
pub struct Compiled {
    settings: GatewaySettings,
    bundle: Bundle,
    sites: BTreeMap<HostPattern, SiteSettings>,
    whole: Whole,
    written: Arc<Project>,
    substituted: Arc<Substituted>,
    warnings: Diagnostics,
}

/// A gateway as compiled: what there is to list, to count and to analyse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Every route once, with everything that its levels gave it.
    pub routes: Vec<CompiledRoute>,
    /// The policies, by name.
    pub policies: Vec<PolicySettings>,
    /// The upstreams, by name.
    pub upstreams: Vec<UpstreamSettings>,
}

/// A route, with what a bundle does not hold in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledRoute {
    /// The host patterns it answers on, the most specific first.
    pub hosts: Vec<HostPattern>,
    /// Its settings; they name upstream and policies by their places in [`Whole`].
    pub settings: RouteSettings,
    /// The tags that its specification gives it.
    pub tags: Arc<[String]>,
    /// Where it is written.
    pub span: Span,
    pub(crate) written: WrittenRoute,
}

/// Where a route is in what was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct WrittenRoute {
    /// The API, in the order of the project.
    pub(crate) api: usize,
    /// The route, in the order of the API.
    pub(crate) route: usize,
}

impl Compiled {
    /// The gateway's name, the prefix of all record keys.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.settings.name
    }

    /// Settings of the gateway as a whole.
    #[must_use]
    pub fn settings(&self) -> &GatewaySettings {
        &self.settings
    }

    /// The settings of each host pattern, as the bundle holds them.
    #[must_use]
    pub fn sites(&self) -> &BTreeMap<HostPattern, SiteSettings> {
        &self.sites
    }

    /// The bundle's name: the digest of its content, equal for equal projects on every machine.
    #[must_use]
    pub fn id(&self) -> &Id {
        &self.bundle.id
    }

    /// The records of the bundle, in the order to write them: whoever reads meanwhile finds the old bundle or the new.
    #[must_use]
    pub fn records(&self) -> &[(String, Vec<u8>)] {
        &self.bundle.records
    }

    /// The whole gateway, each route once.
    #[must_use]
    pub fn whole(&self) -> &Whole {
        &self.whole
    }

    /// The routes, each once.
    #[must_use]
    pub fn routes(&self) -> &[CompiledRoute] {
        &self.whole.routes
    }

    /// The policies, by name.
    #[must_use]
    pub fn policies(&self) -> &[PolicySettings] {
        &self.whole.policies
    }

    /// The upstreams, by name.
    #[must_use]
    pub fn upstreams(&self) -> &[UpstreamSettings] {
        &self.whole.upstreams
    }

    /// Where each part of a route's settings comes from.
    #[must_use]
    pub fn origins(&self, route: &CompiledRoute) -> Vec<Origin> {
        let Self { written, whole, substituted, .. } = self;
        Finder { project: written, whole, substituted }.find(route)
    }

    /// A place for people: file, line and column.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        let Span { file, start, .. } = span;
        Place { file: self.warnings.file_name(file).to_owned(), line: start.line, column: start.column }
    }

    /// The platforms that `gateway.target` names.
    #[must_use]
    pub fn targets(&self) -> BTreeSet<Target> {
        self.written.gateway.as_ref().map(|gateway| gateway.targets.value.clone()).unwrap_or_default()
    }

    /// What one request can cause at most, for each of the [routes](Self::routes).
    #[must_use]
    pub fn bounds(&self) -> Vec<RouteBounds> {
        count(&self.counted())
    }

    /// What can pass a limit of these platforms, whatever `gateway.target` says.
    #[must_use]
    pub fn past_limits(&self, targets: &BTreeSet<Target>) -> Diagnostics {
        let mut report = Report::default();
        report_limits(&self.counted(), targets, Span::beginning_of(FileId::default()), &mut report);
        report.finish(self.warnings.files().clone())
    }

    fn counted(&self) -> Counted<'_> {
        Counted { gateway: &self.settings, whole: &self.whole, bundle: &self.bundle }
    }

    /// What is probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
}

/// Compiles the project in a folder, with the defaults of its values.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_dir(project: &Path) -> Result<Compiled, Diagnostics> {
    crate::Project::at(project).compile(&Options::default())
}

/// Compiles a project whose files are in memory, by their paths in its folder: `tollgate.yaml`, `apis/pets/api.yaml`.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_files(files: &BTreeMap<String, String>) -> Result<Compiled, Diagnostics> {
    crate::Project::of(files.clone()).compile(&Options::default())
}

/// Compiles a project that is one text; `name` is what diagnostics call it.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_str(name: &str, text: &str) -> Result<Compiled, Diagnostics> {
    let (mut loader, mut report) = (Loader::new(Folder::Memory(BTreeMap::new())), Report::default());
    let root = loader.add(name, text);
    let project = assemble::join(Some(root), &Layout::default(), &Options::default(), &mut loader, &mut report);
    compile(project, loader, report)
}

/// Compiles the project in a folder.
pub(crate) fn compile_folder(folder: Folder, options: &Options) -> Result<Compiled, Diagnostics> {
    let (mut loader, mut report) = (Loader::new(folder), Report::default());
    let layout = Layout::find(&mut loader, &mut report);
    let project = assemble::assemble(&layout, options, &mut loader, &mut report);
    compile(project, loader, report)
}

fn compile(project: Option<(Project, Span)>, mut loader: Loader, mut report: Report) -> Result<Compiled, Diagnostics> {
    let compiled = project.and_then(|(mut project, root)| {
        lower::operations::expand(&mut project, &mut loader, &mut report);
        let (lowered, bundle) = bundle(&project, root, &mut report)?;
        Some((project, lowered, bundle))
    });
    let has_errors = report.has_errors();
    let substituted = report.all_substituted().clone();
    let found = report.finish(loader.into_files());
    match compiled {
        Some((project, lowered, bundle)) if !has_errors => {
            let Lowered { gateway, sites, whole } = lowered;
            let (written, substituted) = (Arc::new(project), Arc::new(substituted));
            Ok(Compiled { settings: gateway, bundle, sites, whole, written, substituted, warnings: found })
        }
        _ => Err(found),
    }
}

fn bundle(project: &Project, root: Span, report: &mut Report) -> Option<(Lowered, Bundle)> {
    let lowered = lower::lower(project, root, report)?;
    let bundle = Bundle::new(&lowered.gateway, &lowered.sites);
    if let Some(targets) = project.gateway.as_ref().map(|gateway| &gateway.targets) {
        let counted = Counted { gateway: &lowered.gateway, whole: &lowered.whole, bundle: &bundle };
        report_limits(&counted, &targets.value, targets.span, report);
    }
    if bundle.records.iter().any(|(_, value)| value.len() > PART_BYTES_MAX) {
        report.push(
            Diagnostic::error(Code::TooMany, root, "a part of the bundle is too large")
                .why(format!("stores take parts of up to {} MiB", PART_BYTES_MAX >> 20))
                .fix("split the routes over several hosts or gateways"),
        );
    }
    Some((lowered, bundle))
}
