//! Finds public routes, and routes for write methods without authentication or limit: one finding for each API.

use std::collections::BTreeMap;

use tollgate_config::{Code, CompiledRoute, Diagnostic, Report, Stated};
use tollgate_core::kinds::Policies;

use super::routes::Analysis;

/// A rule for routes.
struct Rule {
    code: Code,
    is_violated: fn(&CompiledRoute, Stated, &Policies) -> bool,
    /// The finding for one route, and for several.
    one: &'static str,
    several: &'static str,
    why: &'static str,
    fix: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        code: Code::PublicRoute,
        is_violated: |_, stated, _| !stated.authn,
        one: "is public without an explicit `authn`",
        several: "are public without an explicit `authn`",
        why: "no level sets `authn`, so everyone may call",
        fix: "list a policy in `authn:`, or write `authn: none` if everyone may call",
    },
    Rule {
        code: Code::WriteWithoutAuthn,
        is_violated: |route, stated, policies| {
            writes(route) && route.settings.admits_anyone(policies) && stated.authn && !stated.authn_here
        },
        one: "accepts write methods and is public",
        several: "accept write methods and are public",
        why: "`authn: none` is set only on the gateway",
        fix: "list a policy in `authn:`, or write `authn: none` on the API or the route if everyone may write",
    },
    Rule {
        code: Code::WriteWithoutLimit,
        is_violated: |route, stated, policies| {
            let is_stated = stated.limit_here && !route.settings.is_limited();
            writes(route) && !route.settings.is_limited_by(policies) && !is_stated
        },
        one: "accepts write methods without a limit",
        several: "accept write methods without a limit",
        why: "one client can send any number of requests",
        fix: "list a `rate-limit` policy in `limit:` or `guard:`, or write `limit: none` on the API or the route if no limit is intended",
    },
];

/// Reports violations of the rules by routes that are not internal.
pub(super) fn report(analysis: &Analysis<'_>, stated: &[Stated], report: &mut Report) {
    for rule in RULES {
        let mut by_api: BTreeMap<&str, Vec<(usize, &CompiledRoute)>> = BTreeMap::new();
        for ((place, route), stated) in analysis.whole.routes.iter().enumerate().zip(stated) {
            if !route.settings.internal && (rule.is_violated)(route, *stated, &analysis.whole.policies) {
                by_api.entry(&route.settings.api).or_default().push((place, route));
            }
        }
        for (api, mut routes) in by_api {
            routes.sort_by_key(|(_, route)| route.span);
            rule.report(analysis, api, &routes, report);
        }
    }
}

impl Rule {
    fn report(&self, analysis: &Analysis<'_>, api: &str, routes: &[(usize, &CompiledRoute)], report: &mut Report) {
        let Some((_, first)) = routes.first() else { return };
        let what = match routes {
            [_] => format!("route `{}` {}", first.settings.id, self.one),
            many => format!("{} routes of API `{api}` {}", many.len(), self.several),
        };
        // A request with a write method shows the problem best.
        let (shown, route) = routes.iter().find(|(_, route)| writes(route)).unwrap_or(&routes[0]);
        let method = write_method(route);
        let witness = analysis.request(*shown, method).or_else(|| analysis.request(*shown, None));
        let request = witness.map(|witness| format!(": {}", witness.curl())).unwrap_or_default();
        let mut diagnostic =
            Diagnostic::warning(self.code, first.span, what).why(format!("{}{request}", self.why)).fix(self.fix);
        for (_, other) in routes.iter().skip(1).take(RELATED_MAX) {
            diagnostic = diagnostic.related(other.span, "also this route");
        }
        report.push(diagnostic);
    }
}

/// Whether the route accepts a write method.
fn writes(route: &CompiledRoute) -> bool {
    write_method(route).is_some()
}

/// The first write method that the route accepts.
fn write_method(route: &CompiledRoute) -> Option<&'static str> {
    let methods = &route.settings.methods;
    WRITES.iter().copied().find(|write| methods.is_empty() || methods.as_strs().any(|method| method == *write))
}

/// The write methods. Others, such as `PURGE`, are not standardised, so their effect is unknown.
const WRITES: &[&str] = &["POST", "PUT", "PATCH", "DELETE"];

/// The maximum number of other places shown with one finding.
const RELATED_MAX: usize = 3;
