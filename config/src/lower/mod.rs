//! Converts the configuration to core's settings: resolves names, merges levels, and parses values with core's parsers.
//!
//! [`lower`] converts the parts in the order of the file and reports every mistake.

mod certificates;
mod costs;
mod entitled;
mod guarded;
mod hosts;
mod identity_tokens;
pub(crate) mod lists;
mod logins;
pub(crate) mod merge;
mod notify;
pub(crate) mod operations;
mod passed_on;
mod passwords;
mod plans;
mod policies;
mod proxies;
mod route_checks;
mod routes;
mod scopes;
mod settling;
mod sites;
mod spec_security;
mod upstream_auth;
mod upstream_tls;
mod when;
mod whole;
mod witness;

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tollgate_core::authn::OutagePolicy;
use tollgate_core::kinds::{LimitPolicy, Named, NamedPolicy, PolicyView};
use tollgate_core::settings::GatewaySettings;
use tollgate_core::telemetry::{OtlpSettings, TelemetrySettings, UsageSettings};

pub(crate) use entitled::number_fault;
pub use guarded::Guarded;
use merge::At;
pub(crate) use plans::check_plan;
pub(crate) use policies::written;
pub(crate) use proxies::report_on_platform;
pub(crate) use sites::sites;
pub use whole::{CompiledRoute, Lowered, MoneyBudget, Stated, Whole, WrittenRoute};
pub use witness::Witness;

use crate::decode::parsed;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::api::{Api, Route};
use crate::model::level::{Level, OriginLevel};
use crate::model::project::{Otlp, Project, Usage};
use crate::model::upstream::Upstream;
use crate::place::{Span, Spanned};
use crate::policies::Budget;

/// Lowers a project; parts with mistakes are reported and omitted.
pub(crate) fn lower(project: &Project, root: Span, report: &mut Report) -> Lowered {
    let telemetry = telemetry(project, report);
    let proxies = project.gateway.as_ref().and_then(|gateway| proxies::proxies(gateway, report));
    let mut upstreams = policies::upstreams(project, report);
    let mut policies = policies::policies(project, report);
    plans::plans(project, &mut policies, report);
    let hosts = hosts::Hosts::new(project, report);
    let (mut routes, mut guarded, others) = routes::routes(project, &hosts, &mut upstreams, &mut policies, report);
    certificates::report(project, report);
    logins::report(project, report);
    passwords::report(project, report);
    // A misspelt name leaves its definition unused; it is reported only once.
    if !report.has_errors() {
        upstreams.report_unused(report);
        policies.report_unused(report);
        policies.report_shared_names(report);
    }
    if project.apis.is_empty() && project.is_complete {
        report_no_apis(root, report);
    }
    // The order of the file has no meaning, so the bundle must not depend on it.
    routes.sort_by(|(a, _), (b, _)| sites::order(a).cmp(&sites::order(b)));
    let (routes, stated): (Vec<_>, Vec<_>) = routes.into_iter().unzip();
    let places: HashMap<WrittenRoute, usize> =
        routes.iter().enumerate().map(|(place, route)| (route.written, place)).collect();
    for (written, operation) in &mut guarded {
        operation.route = written.and_then(|written| places.get(&written).copied());
    }
    let guarded = guarded.into_iter().map(|(_, operation)| operation).collect();
    let whole = Whole {
        routes,
        policies: policies.all().cloned().collect(),
        upstreams: upstreams.all().cloned().chain(others).collect(),
    };
    if !report.has_errors() {
        plans::report_unapplied(project, &whole, report);
        entitled::report_unapplied(&whole, &policies, report);
        entitled::report_unclaimed(&whole, &policies, report);
        costs::report(project, &whole, &policies, report);
    }
    let internal_hosts = hosts.all_internal();
    let tokens = project.gateway.as_ref().and_then(|gateway| gateway.identity_tokens.as_ref());
    let identity_tokens = tokens.and_then(|written| identity_tokens::identity_tokens(written, report));
    let receivers = notify::receivers(project, &whole, report);
    let gateway = project.gateway.as_ref().zip(telemetry).map(|(gateway, telemetry)| GatewaySettings {
        name: gateway.name.value.clone(),
        proxies: proxies.clone(),
        telemetry,
        internal_hosts: internal_hosts.clone(),
        plans: Some(plans::names(project)),
        client_fields: gateway.client_fields,
        outages: outages(&whole),
        identity_tokens: identity_tokens.clone(),
        entitled: entitled::entitled(&whole, &plans::names(project)),
        notify: receivers.clone(),
    });
    let budgets = budgets(&whole, &policies);
    Lowered { gateway, whole, internal_hosts, stated, guarded, budgets }
}

/// The budgets in money, by the names of their policies.
fn budgets(whole: &Whole, definitions: &policies::Definitions<NamedPolicy>) -> Vec<MoneyBudget> {
    let of = |named: &Named<LimitPolicy>| {
        let Budget::Money(money) = Budget::parse(named.policy.counting().budget.as_deref()?)? else { return None };
        let span = definitions.place(&named.name).and_then(|place| definitions.span(place))?;
        Some(MoneyBudget { policy: named.name.to_string(), money, span })
    };
    whole.policies.limit.iter().filter_map(of).collect()
}

/// What policies allow while their provider is away, sorted.
fn outages(whole: &Whole) -> Vec<OutagePolicy> {
    let of = |policy: PolicyView<'_>| {
        Some(OutagePolicy { policy: policy.name.to_owned(), rules: policy.uses.outage?.clone() })
    };
    let mut all: Vec<OutagePolicy> = whole.policies.iter().filter_map(of).collect();
    all.sort_by(|one, other| one.policy.cmp(&other.policy));
    all
}

/// The levels of a route, the highest first.
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
    // The settings of entries of `operations` are above those of the route itself.
    let of_operation = route.between.iter().map(Arc::as_ref).chain([&route.level]);
    let own = of_operation.map(|value| (OriginLevel::Operation, Some(value)));
    above.into_iter().chain(own).filter_map(|(level, value)| Some(At { level, value: value? })).collect()
}

fn telemetry(project: &Project, report: &mut Report) -> Option<TelemetrySettings> {
    let otlp = match &project.telemetry.otlp {
        Some(written) => Some(otlp(written, report)?),
        None => None,
    };
    let usage = match &project.telemetry.usage {
        Some(written) => Some(usage(written, report)?),
        None => None,
    };
    Some(TelemetrySettings { log: project.telemetry.log.unwrap_or(true), otlp, usage })
}

fn usage(written: &Usage, report: &mut Report) -> Option<UsageSettings> {
    let why = "what an isolate has not written is lost if it ends";
    let every_ms = within(written.every_ms.as_ref(), 0..=HOUR_MS, (why, "write 0s to 1h"), report);
    let why = "records are read for invoices, some time after what they count";
    let keep_ms = within(written.keep_ms.as_ref(), DAY_MS..=u64::MAX, (why, "write 1d or more"), report);
    let keep_s = keep_ms?.unwrap_or(USAGE_KEEP_MS_DEFAULT) / 1_000;
    Some(UsageSettings {
        every_ms: every_ms?.unwrap_or(USAGE_EVERY_MS_DEFAULT),
        keep_s: u32::try_from(keep_s).unwrap_or(u32::MAX),
    })
}

/// A time in a range, if one is written.
fn within(
    written: Option<&Spanned<u64>>,
    range: RangeInclusive<u64>,
    (why, fix): (&str, &str),
    report: &mut Report,
) -> Option<Option<u64>> {
    match written {
        Some(written) if !range.contains(&written.value) => {
            let what = "the time is too short or too long";
            report.push(Diagnostic::error(Code::OutOfRange, written.span, what).why(why).fix(fix));
            None
        }
        written => Some(written.map(|written| written.value)),
    }
}

fn otlp(written: &Otlp, report: &mut Report) -> Option<OtlpSettings> {
    let endpoint = parsed::otlp_endpoint(&written.endpoint, report);
    let fields = parsed::export_fields(&written.headers, report);
    let interval_ms = written.interval_ms.as_ref().map_or(OTLP_INTERVAL_MS_DEFAULT, |interval| interval.value);
    Some(OtlpSettings { endpoint: endpoint?, fields, interval_ms })
}

fn report_no_apis(root: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoApis, root, "the project has no APIs")
            .why("requests that match no route are answered with 404, so the gateway answers every request with 404")
            .fix("add an API under `apis:` or in `apis/NAME/api.yaml`"),
    );
}

/// OpenTelemetry's batch processor waits 5 s; with one second, telemetry appears almost immediately.
const OTLP_INTERVAL_MS_DEFAULT: u64 = 1_000;

/// An isolate that is always busy writes 260,000 records in a month, which cost about a dollar on Workers.
const USAGE_EVERY_MS_DEFAULT: u64 = 10_000;

/// A year, and some time for the invoices of its last month.
const USAGE_KEEP_MS_DEFAULT: u64 = 400 * DAY_MS;

const HOUR_MS: u64 = 60 * 60 * 1_000;
const DAY_MS: u64 = 24 * HOUR_MS;
