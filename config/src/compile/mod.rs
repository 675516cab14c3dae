//! Compiles a project to a bundle: read, decode, lower, encode.
//!
//! [`Project::draft`] produces core's settings, [`Draft::encode`] the bundle. After each of the two steps,
//! `tollgate-analysis` can add findings.

mod assemble;
mod project;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;

use tollgate_core::bounds::PART_BYTES_MAX;
use tollgate_core::entitlement::PlanNumbers;
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::kinds::{LimitPolicy, Policies};
use tollgate_core::route::HostPattern;
use tollgate_core::settings::{GatewaySettings, SiteSettings};
use tollgate_kv_schemas::{Bundle, Id, encode_part};

pub use project::{Options, Project};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report, Substituted};
use crate::lower::{self, CompiledRoute, Lowered, Whole};
use crate::model::project::Project as WrittenProject;
use crate::model::target::Target;
use crate::place::{Files, Place, Span, Spanned};
use crate::source::Loader;

/// A compiled project.
#[derive(Clone, Debug)]
pub struct Compiled {
    settings: GatewaySettings,
    bundle: Bundle,
    sites: BTreeMap<HostPattern, SiteSettings>,
    whole: Whole,
    pub(crate) written: Arc<WrittenProject>,
    pub(crate) substituted: Arc<Substituted>,
    warnings: Diagnostics,
}

impl Compiled {
    /// The name of the gateway, which is the prefix of all record keys.
    #[must_use]
    pub fn gateway(&self) -> &str {
        &self.settings.name
    }

    /// The settings of the gateway.
    #[must_use]
    pub fn settings(&self) -> &GatewaySettings {
        &self.settings
    }

    /// The settings of each host pattern, as in the bundle.
    #[must_use]
    pub fn sites(&self) -> &BTreeMap<HostPattern, SiteSettings> {
        &self.sites
    }

    /// The id of the bundle: the digest of its content, which is equal for equal projects on every machine.
    #[must_use]
    pub fn id(&self) -> &Id {
        &self.bundle.id
    }

    /// The bundle.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The records of the bundle for a store in which nothing was published before.
    #[must_use]
    pub fn records(&self) -> &[(String, Vec<u8>)] {
        &self.bundle.records
    }

    /// All routes, policies and upstreams of the gateway.
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
    pub fn policies(&self) -> &Policies {
        &self.whole.policies
    }

    /// The upstreams, by name.
    #[must_use]
    pub fn upstreams(&self) -> &[UpstreamSettings] {
        &self.whole.upstreams
    }

    /// The names of the plans, also of those without numbers of their own.
    pub fn plans(&self) -> impl Iterator<Item = &str> {
        self.written.plans.iter().map(|(name, _)| name.value.as_str())
    }

    /// The start of a span as file, line and column.
    #[must_use]
    pub fn place(&self, span: Span) -> Place {
        self.warnings.place(span)
    }

    /// The target platforms of `gateway.target`, with the place of the key's value.
    #[must_use]
    pub fn targets(&self) -> Option<&Spanned<BTreeSet<Target>>> {
        self.written.gateway.as_ref().map(|gateway| &gateway.targets)
    }

    /// The place of `telemetry.otlp.interval`, if it is written.
    #[must_use]
    pub fn export_interval_span(&self) -> Option<Span> {
        Some(self.written.telemetry.otlp.as_ref()?.interval_ms.as_ref()?.span)
    }

    /// The place of `telemetry.usage.every`, if it is written.
    #[must_use]
    pub fn usage_interval_span(&self) -> Option<Span> {
        Some(self.written.telemetry.usage.as_ref()?.every_ms.as_ref()?.span)
    }

    /// Reports settings that have no effect, or another one than intended, on a platform.
    pub fn report_on_platform(&self, target: Target, report: &mut Report) {
        if let Some(gateway) = &self.written.gateway {
            lower::report_on_platform(gateway, target, report);
        }
    }

    /// Reports the plan of a consumer that the project does not define.
    pub(crate) fn check_plan(&self, plan: &Spanned<String>, report: &mut Report) {
        lower::check_plan(&self.written, plan, report);
    }

    /// What is wrong with the number that a key has for a limit.
    pub(crate) fn number_fault(&self, numbers: &Spanned<PlanNumbers>) -> Option<Diagnostic> {
        lower::number_fault(self.settings(), self.policies(), numbers)
    }

    /// The findings of a report about this project, in the order of its files.
    #[must_use]
    pub fn diagnostics(&self, report: Report) -> Diagnostics {
        report.finish(self.warnings.files().clone())
    }

    /// The warnings: settings that are probably not intended.
    #[must_use]
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }
}

/// A project that is read and lowered, with the findings so far.
///
/// Proofs about its routes add their findings before the bundle is encoded.
#[derive(Debug)]
pub struct Draft {
    project: Option<(WrittenProject, Span)>,
    lowered: Option<Lowered>,
    report: Report,
    files: Files,
}

impl Draft {
    /// Lowers a decoded project; `project` is `None` if nothing could be decoded.
    fn of(project: Option<(WrittenProject, Span)>, mut loader: Loader, mut report: Report) -> Self {
        let mut project = project;
        let lowered = project.as_mut().map(|(project, root)| {
            lower::lists::expand(project, &mut loader, &mut report);
            lower::operations::expand(project, &mut loader, &mut report);
            lower::lower(project, *root, &mut report)
        });
        Self { project, lowered, report, files: loader.into_files() }
    }

    /// The lowered project, which is incomplete if it has mistakes, and the report for further findings.
    pub fn lowered(&mut self) -> Option<(&Lowered, &mut Report)> {
        Some((self.lowered.as_ref()?, &mut self.report))
    }

    /// Sets the number of requests that a budget in money pays for, and says of what it was computed.
    pub fn set_budget(&mut self, policy: &str, requests: NonZeroU32, text: &str) {
        let limits = self.lowered.iter_mut().flat_map(|lowered| &mut lowered.whole.policies.limit);
        for named in limits.filter(|named| *named.name == *policy) {
            if let LimitPolicy::Quota(settings) = &mut named.policy {
                settings.quota = requests;
                settings.counting.budget = Some(text.to_owned());
            }
        }
    }

    /// Encodes the bundle of a project without errors.
    #[must_use]
    pub fn encode(self) -> Encoded {
        let Self { project, lowered, mut report, files } = self;
        let compiled = match (project, lowered) {
            (Some((project, root)), Some(lowered)) if !report.has_errors() => {
                compiled(project, root, lowered, &mut report)
            }
            _ => None,
        };
        Encoded { compiled, report, files }
    }
}

/// A project with its encoded bundle and the findings so far.
///
/// Checks that need the bundle add their findings before the compilation is finished.
#[derive(Debug)]
pub struct Encoded {
    compiled: Option<Compiled>,
    report: Report,
    files: Files,
}

impl Encoded {
    /// The compiled project, if it has no errors so far, and the report for further findings.
    pub fn compiled(&mut self) -> Option<(&Compiled, &mut Report)> {
        Some((self.compiled.as_ref()?, &mut self.report))
    }

    /// The compiled project with its warnings.
    ///
    /// # Errors
    /// All mistakes of the project, with its warnings.
    pub fn finish(self) -> Result<Compiled, Diagnostics> {
        let Self { compiled, report, files } = self;
        let has_errors = report.has_errors();
        let found = report.finish(files);
        match compiled {
            Some(compiled) if !has_errors => Ok(Compiled { warnings: found, ..compiled }),
            _ => Err(found),
        }
    }
}

fn compiled(project: WrittenProject, root: Span, lowered: Lowered, report: &mut Report) -> Option<Compiled> {
    let Lowered { gateway, whole, .. } = lowered;
    let settings = gateway?;
    let sites = lower::sites(&whole);
    let bundle = Bundle::new(&settings, &sites);
    if bundle.records.iter().any(|(_, value)| value.len() > PART_BYTES_MAX) {
        report.push(too_large(&sites, root));
    }
    let (written, substituted) = (Arc::new(project), Arc::new(report.all_substituted().clone()));
    Some(Compiled { settings, bundle, sites, whole, written, substituted, warnings: Diagnostics::default() })
}

/// The finding about the first record that is too large for a store: the part of a host, or the list of all hosts.
fn too_large(sites: &BTreeMap<HostPattern, SiteSettings>, root: Span) -> Diagnostic {
    let mut parts = sites.iter().map(|(host, site)| (host, encode_part(site).len()));
    let (what, fix) = match parts.find(|(_, bytes)| *bytes > PART_BYTES_MAX) {
        Some((host, bytes)) => (
            format!("the routes of the host `{host}` take {bytes} bytes in the bundle"),
            "distribute the routes over several hosts or gateways",
        ),
        None => (
            format!("the list of {} hosts is too large for the bundle", sites.len()),
            "use host patterns, or distribute the hosts over several gateways",
        ),
    };
    Diagnostic::error(Code::TooMany, root, what)
        .why(format!("a record in a store has at most {PART_BYTES_MAX} bytes"))
        .fix(fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_too_large_is_named_with_its_size() {
        let text = "format: 1\ngateway: {name: acme, authn: none}\nupstreams: {u: \"http://u\"}\napis:\n  \
                    a: {upstream: u, hosts: [a.example.com, b.example.com], routes: [{path: /a}]}\n";
        let mut draft = Project::of([("tollgate.yaml".to_owned(), text.to_owned())].into()).draft(&Options::default());
        let root = draft.project.as_ref().unwrap().1;
        let mut sites = lower::sites(&draft.lowered().unwrap().0.whole);
        let hosts = too_large(&sites, root);
        assert_eq!(hosts.what, "the list of 2 hosts is too large for the bundle");
        let (_, last) = sites.iter_mut().next_back().unwrap();
        last.routes[0].api = "a".repeat(PART_BYTES_MAX);
        let bytes = encode_part(last).len();
        let part = too_large(&sites, root);
        assert_eq!(part.what, format!("the routes of the host `b.example.com` take {bytes} bytes in the bundle"));
        assert_eq!(part.why, "a record in a store has at most 16777216 bytes");
    }
}
