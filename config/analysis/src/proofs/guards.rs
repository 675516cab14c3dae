//! Routes that anybody may call, and routes that write without a guard: one finding for each API.

use std::collections::BTreeMap;

use tollgate_config::{Code, CompiledRoute, Diagnostic, Report, Stated};

use super::routes::Analysis;

/// A rule that routes break.
struct Rule {
    code: Code,
    is_broken: fn(&CompiledRoute, Stated) -> bool,
    /// What is said of one route and of several.
    one: &'static str,
    several: &'static str,
    why: &'static str,
    fix: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        code: Code::PublicRoute,
        is_broken: |_, stated| !stated.authn,
        one: "is public",
        several: "are public",
        why: "nothing says who may call them: everybody may",
        fix: "name a policy in `authn:`, or write `authn: none` if everybody may",
    },
    Rule {
        code: Code::WriteWithoutAuthn,
        is_broken: |route, stated| {
            writes(route) && route.settings.authn.is_empty() && stated.authn && !stated.authn_here
        },
        one: "writes and lets everybody in",
        several: "write and let everybody in",
        why: "only the gateway as a whole says `authn: none`",
        fix: "name a policy in `authn:`, or write `authn: none` on the API or the route if everybody may write",
    },
    Rule {
        code: Code::WriteWithoutLimit,
        is_broken: |route, stated| writes(route) && !route.settings.is_limited() && !stated.limit_here,
        one: "writes without a limit",
        several: "write without a limit",
        why: "one client can call as often as it likes",
        fix: "name a `rate-limit` policy in `limit:` or `guard:`, or write `limit: none` on the API or the route if that is meant",
    },
];

/// Reports what the rules find among routes that are not internal.
pub(super) fn report(analysis: &Analysis<'_>, stated: &[Stated], report: &mut Report) {
    for rule in RULES {
        let mut by_api: BTreeMap<&str, Vec<(usize, &CompiledRoute)>> = BTreeMap::new();
        for ((place, route), stated) in analysis.whole.routes.iter().enumerate().zip(stated) {
            if !route.settings.internal && (rule.is_broken)(route, *stated) {
                by_api.entry(&route.settings.api).or_default().push((place, route));
            }
        }
        for (api, mut routes) in by_api {
            routes.sort_by_key(|(_, route)| route.span);
            rule.tell(analysis, api, &routes, report);
        }
    }
}

impl Rule {
    fn tell(&self, analysis: &Analysis<'_>, api: &str, routes: &[(usize, &CompiledRoute)], report: &mut Report) {
        let Some((_, first)) = routes.first() else { return };
        let what = match routes {
            [_] => format!("route `{}` {}", first.settings.id, self.one),
            many => format!("{} routes of API `{api}` {}", many.len(), self.several),
        };
        // A request that changes something tells most.
        let (shown, route) = routes.iter().find(|(_, route)| writes(route)).unwrap_or(&routes[0]);
        let method = write_method(route);
        let witness = analysis.request(*shown, method).or_else(|| analysis.request(*shown, None));
        let request = witness.map(|witness| format!(": {}", witness.curl())).unwrap_or_default();
        let mut diagnostic =
            Diagnostic::warning(self.code, first.span, what).why(format!("{}{request}", self.why)).fix(self.fix);
        for (_, other) in routes.iter().skip(1).take(RELATED_MAX) {
            diagnostic = diagnostic.related(other.span, "this one too");
        }
        report.push(diagnostic);
    }
}

/// Whether it takes a method that changes something.
fn writes(route: &CompiledRoute) -> bool {
    write_method(route).is_some()
}

/// The first method it takes that changes something.
fn write_method(route: &CompiledRoute) -> Option<&'static str> {
    let methods = &route.settings.methods;
    WRITES.iter().copied().find(|write| methods.is_empty() || methods.iter().any(|method| method == write))
}

/// The methods that change something; PURGE and others are for who uses them to say.
const WRITES: &[&str] = &["POST", "PUT", "PATCH", "DELETE"];

/// Other places shown with one finding.
const RELATED_MAX: usize = 3;
