//! Holding a gateway to the limits of its targets, with the numbers.

use std::collections::BTreeSet;

use tollgate_config::{Code, Compiled, CompiledRoute, Diagnostic, Diagnostics, FileId, Report, Span, Target};
use tollgate_core::secret::SecretText;

use super::{Counting, Limit, Platform, Port, RouteBounds, State, Usage, count};

/// What can pass a limit of these platforms, whatever `gateway.target` says.
#[must_use]
pub fn past_limits(compiled: &Compiled, targets: &BTreeSet<Target>) -> Diagnostics {
    let mut report = Report::default();
    report_limits(compiled, targets, Span::beginning_of(FileId::default()), &mut report);
    compiled.diagnostics(report)
}

/// Reports what can pass a limit of a target; `at` is where the targets are named, or the beginning of the project.
pub(crate) fn report_limits(compiled: &Compiled, targets: &BTreeSet<Target>, at: Span, report: &mut Report) {
    if targets.iter().all(|target| *target == Target::Native) {
        return;
    }
    let bounds = count(compiled);
    for target in targets {
        let mut held = Held { compiled, target: *target, at, report };
        held.secrets();
        held.records();
        for (route, bounds) in compiled.whole().routes.iter().zip(&bounds) {
            held.subrequests(route, bounds);
            held.memory(route, bounds);
            held.content(route);
        }
    }
}

struct Held<'c, 'r> {
    compiled: &'c Compiled,
    target: Target,
    at: Span,
    report: &'r mut Report,
}

impl Held<'_, '_> {
    fn subrequests(&mut self, route: &CompiledRoute, bounds: &RouteBounds) {
        let limits = self.target.limits();
        let kinds = [
            (&[Counting::Outside][..], "subrequests to the Internet", limits.outside),
            (&[Counting::Service], "subrequests to Cloudflare's services", limits.services),
        ];
        for (counting, what, limit) in kinds {
            let Some(limit) = limit else { continue };
            let (sum, usage) = self.sum(bounds, counting);
            if sum > limit.max {
                self.refuse(route, sum, what, limit, &self.addends(&usage, counting));
                return;
            }
        }
        let all = [Counting::Outside, Counting::Service];
        let (sum, usage) = self.sum(bounds, &all);
        if let Some(limit) = limits.together.filter(|limit| sum > limit.max) {
            let diagnostic = Diagnostic::warning(
                Code::NearPlatformLimit,
                route.span,
                format!(
                    "a request to `{}` can make {sum} subrequests of all kinds; `{}` perhaps allows {}",
                    route.settings.id, self.target, limit.max
                ),
            )
            .why(format!(
                "{}; Cloudflare's page gives a limit to those of the Internet and one to those of its services, and \
                can be read as if the first held for all ({})",
                self.addends(&usage, &all),
                limit.source
            ))
            .fix("name fewer `authn` policies, or no `telemetry.otlp`; or use the target `workers-paid`");
            self.report.push(diagnostic);
        }
    }

    fn sum(&self, bounds: &RouteBounds, counting: &[Counting]) -> (u64, Usage) {
        bounds.largest(State::Cold, |usage| counting.iter().map(|kind| self.target.subrequests(usage, *kind)).sum())
    }

    /// How a sum comes about, such as `7 record reads + 3 counter calls`.
    fn addends(&self, usage: &Usage, counting: &[Counting]) -> String {
        let counted = Port::ALL.into_iter().filter(|port| counting.contains(&self.target.counting(*port)));
        let some = counted.map(|port| (usage.calls(port), port)).filter(|(calls, _)| *calls > 0);
        some.map(|(calls, port)| format!("{calls} {}", port.calls())).collect::<Vec<_>>().join(" + ")
    }

    fn refuse(&mut self, route: &CompiledRoute, sum: u64, what: &str, limit: Limit, addends: &str) {
        let (id, target) = (&route.settings.id, self.target);
        self.report.push(
            Diagnostic::error(
                Code::PastPlatformLimit,
                route.span,
                format!("a request to `{id}` can make {sum} {what}; `{target}` allows {}", limit.max),
            )
            .why(format!("{addends}; past the limit the platform fails the request ({})", limit.source))
            .fix("name fewer policies for this route, or use another target"),
        );
    }

    fn memory(&mut self, route: &CompiledRoute, bounds: &RouteBounds) {
        let Some(limit) = self.target.limits().memory else { return };
        let (sum, usage) = bounds.largest(State::Cold, |usage| self.target.buffered_bytes(usage));
        if sum <= limit.max {
            return;
        }
        let (id, target) = (&route.settings.id, self.target);
        self.report.push(
            Diagnostic::error(
                Code::PastPlatformLimit,
                route.span,
                format!(
                    "a request to `{id}` can hold {sum} bytes in memory; an isolate of `{target}` has {}",
                    limit.max
                ),
            )
            .why(format!(
                "{} of the bundle and {} for the cache; what is larger than memory is ended by the platform ({})",
                usage.bundle_bytes, usage.copied_bytes, limit.source
            ))
            .fix("split the routes over several host patterns or gateways"),
        );
    }

    fn content(&mut self, route: &CompiledRoute) {
        let Some(limit) = self.target.limits().content else { return };
        let max = route.settings.content_bytes_max;
        if max <= limit.max {
            return;
        }
        let (id, target) = (&route.settings.id, self.target);
        self.report.push(
            Diagnostic::error(
                Code::PastPlatformLimit,
                route.span,
                format!("`{id}` takes content of {max} bytes; `{target}` lets {} pass", limit.max),
            )
            .why(format!("the platform answers 413 before the gateway is asked ({})", limit.source))
            .fix(format!("set `body-limit` to {} or less", megabytes(limit.max))),
        );
    }

    fn secrets(&mut self) {
        let Some(limit) = self.target.limits().secrets else { return };
        let otlp = self.compiled.settings().telemetry.otlp.iter().flat_map(|otlp| &otlp.fields);
        let texts = self.compiled.whole().upstreams.iter().flat_map(|upstream| &upstream.fields).chain(otlp);
        let names: BTreeSet<&str> = texts.flat_map(|(_, text): &(String, SecretText)| text.secret_names()).collect();
        let (sum, target) = (names.len() as u64, self.target);
        if sum > limit.max {
            self.report.push(
                Diagnostic::error(
                    Code::PastPlatformLimit,
                    self.at,
                    format!("the gateway names {sum} secrets; `{target}` has room for {}", limit.max),
                )
                .why(format!("each is an environment variable of the Worker ({})", limit.source))
                .fix("name fewer secrets, or split the gateway"),
            );
        }
    }

    fn records(&mut self) {
        let Some(limit) = self.target.limits().record else { return };
        let sizes = self.compiled.records().iter().map(|(_, value)| value.len() as u64);
        let (sum, target) = (sizes.max().unwrap_or_default(), self.target);
        if sum > limit.max {
            self.report.push(
                Diagnostic::error(
                    Code::PastPlatformLimit,
                    self.at,
                    format!("a record of the bundle has {sum} bytes; `{target}` takes {}", limit.max),
                )
                .why(format!("the store refuses it, and the bundle cannot be published ({})", limit.source))
                .fix("split the routes over several host patterns or gateways"),
            );
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}MiB", bytes >> 20)
}
