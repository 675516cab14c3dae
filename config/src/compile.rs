//! From a project to a bundle: read, decode, lower, encode.

use std::collections::BTreeMap;
use std::path::Path;

use tollgate_core::bounds::PART_BYTES_MAX;
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, PolicySettings, RouteSettings, SiteSettings};
use tollgate_kv_schemas::{Bundle, Id};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report};
use crate::lower::{self, Lowered};
use crate::model::project::Project;
use crate::source::{self, FileId, Files, Limits, Span};

/// A compiled project.
#[derive(Clone, Debug)]
pub struct Compiled {
    settings: GatewaySettings,
    bundle: Bundle,
    sites: BTreeMap<HostPattern, SiteSettings>,
    whole: Whole,
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
    /// Where it is written.
    pub span: Span,
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

    /// What is probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
}

/// Compiles the project in a folder.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_dir(project: &Path) -> Result<Compiled, Diagnostics> {
    let (mut files, mut report) = (Files::new(), Report::default());
    let name = project_file(project);
    let file = source::load(project, name, &mut files, &mut report);
    if name == FILE && project.join(JSON_FILE).exists() {
        report_two_files(&mut files, &mut report);
    }
    compile(file, files, report)
}

/// Compiles a project that is one text; `name` is what diagnostics call it.
///
/// # Errors
/// All mistakes of the project, with its warnings.
pub fn compile_str(name: &str, text: &str) -> Result<Compiled, Diagnostics> {
    let mut files = Files::new();
    let file = files.add(name, text);
    compile(Some(file), files, Report::default())
}

fn compile(file: Option<FileId>, files: Files, mut report: Report) -> Result<Compiled, Diagnostics> {
    let compiled = file.and_then(|file| bundle(file, &files, &mut report));
    let has_errors = report.has_errors();
    let found = report.finish(files);
    match compiled {
        Some((lowered, bundle)) if !has_errors => {
            let Lowered { gateway, sites, whole } = lowered;
            Ok(Compiled { settings: gateway, bundle, sites, whole, warnings: found })
        }
        _ => Err(found),
    }
}

fn bundle(file: FileId, files: &Files, report: &mut Report) -> Option<(Lowered, Bundle)> {
    let root = source::read(file, files.text(file), &Limits::AUTHORED, report)?;
    let project = Project::decode(&root, report)?;
    let lowered = lower::lower(&project, root.span, report)?;
    let bundle = Bundle::new(&lowered.gateway, &lowered.sites);
    if bundle.records.iter().any(|(_, value)| value.len() > PART_BYTES_MAX) {
        report.push(
            Diagnostic::error(Code::TooMany, root.span, "a part of the bundle is too large")
                .why(format!("stores take parts of up to {} MiB", PART_BYTES_MAX >> 20))
                .fix("split the routes over several hosts or gateways"),
        );
    }
    Some((lowered, bundle))
}

/// The file that a folder's project begins with; the YAML name where there is neither, so that it is reported missing.
fn project_file(project: &Path) -> &'static str {
    if !project.join(FILE).exists() && project.join(JSON_FILE).exists() { JSON_FILE } else { FILE }
}

fn report_two_files(files: &mut Files, report: &mut Report) {
    let at = Span::beginning_of(files.add(JSON_FILE, ""));
    report.push(
        Diagnostic::error(Code::UnreadableFile, at, format!("there is a `{FILE}` and a `{JSON_FILE}`"))
            .why("which of them is the project cannot be known")
            .fix("keep one of them"),
    );
}

/// The file a project begins with.
const FILE: &str = "tollgate.yaml";

/// The same, for those who write JSON.
const JSON_FILE: &str = "tollgate.json";
