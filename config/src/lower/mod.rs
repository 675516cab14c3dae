//! From what is written to what is run: names resolved, levels merged, values read by core's own parsers.
//!
//! [`lower`] goes through the parts in the order of the file and collects every mistake.

mod hosts;
pub(crate) mod merge;
pub(crate) mod operations;
mod plans;
mod policies;
mod promises;
mod remarks;
mod routes;
mod sites;
mod when;
mod whole;
mod witness;

use std::sync::Arc;

use tollgate_core::settings::GatewaySettings;
use tollgate_core::telemetry::{OtlpSettings, TelemetrySettings};

use merge::At;
pub(crate) use policies::written;
pub(crate) use sites::sites;
pub use whole::{CompiledRoute, Lowered, Stated, Whole, WrittenRoute};
pub use witness::Witness;

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::api::{Api, Route};
use crate::model::level::{Level, OriginLevel};
use crate::model::project::{Otlp, Project};
use crate::model::upstream::Upstream;
use crate::place::Span;

/// Lowers a project, as far as it can be.
pub(crate) fn lower(project: &Project, root: Span, report: &mut Report) -> Lowered {
    let telemetry = telemetry(project, report);
    let mut upstreams = policies::upstreams(project, report);
    let mut policies = policies::policies(project, report);
    plans::plans(project, &mut policies, report);
    let hosts = hosts::Hosts::new(project, report);
    let mut routes = routes::routes(project, &hosts, &mut upstreams, &mut policies, report);
    // A name that is misspelt leaves its definition unused; that is one mistake, not two.
    if !report.has_errors() {
        upstreams.report_unused(report);
        policies.report_unused(report);
    }
    if project.apis.is_empty() && project.is_whole {
        report_no_apis(root, report);
    }
    // The order of the file means nothing, so it must not show in the bundle.
    routes.sort_by(|(a, _), (b, _)| sites::order(a).cmp(&sites::order(b)));
    let (routes, stated): (Vec<_>, Vec<_>) = routes.into_iter().unzip();
    let whole =
        Whole { routes, policies: policies.all().cloned().collect(), upstreams: upstreams.all().cloned().collect() };
    if !report.has_errors() {
        plans::report_unapplied(project, &whole, report);
    }
    let internal_hosts = hosts.all_internal();
    let gateway = project.gateway.as_ref().zip(telemetry).map(|(gateway, telemetry)| GatewaySettings {
        name: gateway.name.value.clone(),
        trust_forwarded: gateway.trust_forwarded,
        telemetry,
        internal_hosts: internal_hosts.clone(),
    });
    Lowered { gateway, whole, internal_hosts, stated }
}

/// What the levels of a route say, the highest first; every merge begins with this.
pub(crate) fn levels<'p>(
    project: &'p Project,
    upstream: Option<&'p Upstream>,
    api: &'p Api,
    route: &'p Route,
) -> Vec<At<&'p Level>> {
    let gateway = project.gateway.as_ref().map(|gateway| &gateway.level);
    let above = [
        (OriginLevel::Gateway, gateway),
        (OriginLevel::Upstream, upstream.map(|upstream| &upstream.level)),
        (OriginLevel::Api, Some(&api.level)),
    ];
    // What entries of `operations` say comes before what a route says itself.
    let of_operation = route.between.iter().map(Arc::as_ref).chain([&route.level]);
    let own = of_operation.map(|value| (OriginLevel::Operation, Some(value)));
    above.into_iter().chain(own).filter_map(|(level, value)| Some(At { level, value: value? })).collect()
}

fn telemetry(project: &Project, report: &mut Report) -> Option<TelemetrySettings> {
    let otlp = match &project.telemetry.otlp {
        Some(written) => Some(otlp(written, report)?),
        None => None,
    };
    Some(TelemetrySettings { log: project.telemetry.log.unwrap_or(true), otlp })
}

fn otlp(written: &Otlp, report: &mut Report) -> Option<OtlpSettings> {
    let endpoint = parsed::url(&written.endpoint, report);
    let fields = parsed::fields(&written.headers, report);
    let interval_ms = written.interval_ms.unwrap_or(OTLP_INTERVAL_MS_DEFAULT);
    Some(OtlpSettings { endpoint: endpoint?, fields, interval_ms })
}

fn report_no_apis(root: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoApis, root, "the project has no APIs")
            .why("what is not routed is denied, so the gateway answers 404 to everything")
            .fix("add `apis:`"),
    );
}

/// OpenTelemetry's batch processor waits 5 s; a second keeps a person who watches from waiting.
const OTLP_INTERVAL_MS_DEFAULT: u64 = 1_000;
