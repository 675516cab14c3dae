//! Compares the bounds of a gateway with the limits of its target platforms.

use std::collections::BTreeSet;

use tollgate_config::{Code, Compiled, CompiledRoute, Diagnostic, Diagnostics, FileId, Report, Span, Target};
use tollgate_core::forward::UpstreamSettings;
use tollgate_core::secret::SecretText;

use super::{Counting, Limit, Platform, Port, RouteBounds, State, Usage, count};

/// The findings about these platforms, regardless of `gateway.target`: limits that a request can exceed, and settings without
/// the intended effect.
#[must_use]
pub fn exceeded_limits(compiled: &Compiled, targets: &BTreeSet<Target>) -> Diagnostics {
    let mut report = Report::default();
    report_limits(compiled, targets, Span::beginning_of(FileId::default()), &mut report);
    compiled.diagnostics(report)
}

/// Reports limits of targets that can be exceeded, and settings without the intended effect there; `at` is the place of `gateway.target`, or the beginning of the project.
pub(crate) fn report_limits(compiled: &Compiled, targets: &BTreeSet<Target>, at: Span, report: &mut Report) {
    if targets.iter().all(|target| *target == Target::Native) {
        return;
    }
    let bounds = count(compiled);
    // What is said of Workers does not depend on the plan, and is said once.
    let workers = targets.iter().find(|target| target.is_workers());
    workers.into_iter().for_each(|target| compiled.report_on_platform(*target, report));
    for target in targets {
        let mut check = LimitCheck { compiled, target: *target, at, report };
        check.secrets();
        check.records();
        check.export();
        check.usage();
        check.certificates();
        for (route, bounds) in compiled.whole().routes.iter().zip(&bounds) {
            check.subrequests(route, bounds);
            check.memory(route, bounds);
            check.content(route);
        }
    }
}

struct LimitCheck<'c, 'r> {
    compiled: &'c Compiled,
    target: Target,
    at: Span,
    report: &'r mut Report,
}

impl LimitCheck<'_, '_> {
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
                    "a request to `{}` can make {sum} subrequests in total; the limit of `{}` may be {}",
                    route.settings.id, self.target, limit.max
                ),
            )
            .why(format!(
                "{}; Cloudflare documents one limit for subrequests to the Internet and one for those to its services, but the \
                first may apply to both together ({})",
                self.addends(&usage, &all),
                limit.source
            ))
            .fix("remove policies of `authn` or `telemetry.otlp`, or use the target `workers-paid`");
            self.report.push(diagnostic);
        }
    }

    fn sum(&self, bounds: &RouteBounds, counting: &[Counting]) -> (u64, Usage) {
        bounds.largest(State::Cold, |usage| counting.iter().map(|kind| self.target.subrequests(usage, *kind)).sum())
    }

    /// The parts of a sum, such as `7 record reads + 3 counter calls`.
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
                format!("a request to `{id}` can make {sum} {what}; the limit of `{target}` is {}", limit.max),
            )
            .why(format!("{addends}; the platform aborts a request that exceeds the limit ({})", limit.source))
            .fix("remove policies from this route, or use another target"),
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
                    "a request to `{id}` can use {sum} bytes of memory; an isolate of `{target}` has {}",
                    limit.max
                ),
            )
            .why(format!(
                "{} bytes for the bundle, {} for the cache and {} for the request; the platform ends an isolate that exceeds the limit ({})",
                usage.bundle_bytes, usage.copied_bytes, usage.gathered_bytes, limit.source
            ))
            .fix("distribute the routes over several host patterns or gateways"),
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
                format!("`{id}` accepts content of {max} bytes; the limit of `{target}` is {}", limit.max),
            )
            .why(format!(
                "the platform answers larger requests with 413 before they reach the gateway ({})",
                limit.source
            ))
            .fix(format!("set `body-limit` to {} or less", megabytes(limit.max))),
        );
    }

    fn secrets(&mut self) {
        let Some(limit) = self.target.limits().secrets else { return };
        let otlp = self.compiled.settings().telemetry.otlp.iter().flat_map(|otlp| &otlp.fields);
        let of_exports = otlp.flat_map(|(_, text): &(String, SecretText)| text.secret_names());
        let of_tokens = self.compiled.settings().identity_tokens.iter().flat_map(|signing| signing.key.secret_names());
        let of_notices = self.compiled.settings().notify.iter().flat_map(|receiver| receiver.secret.secret_names());
        let others = of_exports.chain(of_tokens).chain(of_notices);
        let names: BTreeSet<&str> = self.compiled.whole().secret_names().chain(others).collect();
        let (sum, target) = (names.len() as u64, self.target);
        if sum > limit.max {
            self.report.push(
                Diagnostic::error(
                    Code::PastPlatformLimit,
                    self.at,
                    format!("the gateway uses {sum} secrets; the limit of `{target}` is {}", limit.max),
                )
                .why(format!("each secret is an environment variable of the Worker ({})", limit.source))
                .fix("use fewer secrets, or split the gateway"),
            );
        }
    }

    fn export(&mut self) {
        let Some(limit) = self.target.limits().after_reply_ms else { return };
        let Some(otlp) = &self.compiled.settings().telemetry.otlp else { return };
        let (at, target) = (self.compiled.export_interval_span().unwrap_or(self.at), self.target);
        let (interval, max) = (otlp.interval_ms, limit.max);
        let what = format!(
            "telemetry is collected for {} s before it is sent; `{target}` ends the work after a reply after {} s",
            interval.div_ceil(1_000),
            max / 1_000
        );
        let fix = format!("set `interval` to {}s or less", max.saturating_sub(EXPORT_ATTEMPT_MS) / 1_000);
        let source = limit.source;
        if interval >= max {
            let why = format!("no batch would ever be sent ({source})");
            self.report.push(Diagnostic::error(Code::PastPlatformLimit, at, what).why(why).fix(fix));
        } else if interval.saturating_add(EXPORT_ATTEMPT_MS) > max {
            let why = format!(
                "one attempt to send a batch may take {} s, and a batch that is being sent at the end is lost ({source})",
                EXPORT_ATTEMPT_MS / 1_000
            );
            self.report.push(Diagnostic::warning(Code::NearPlatformLimit, at, what).why(why).fix(fix));
        }
    }

    /// Usage is written by an exchange that waits for the interval, and after a failure for its repetitions.
    fn usage(&mut self) {
        let Some(limit) = self.target.limits().after_reply_ms else { return };
        let Some(usage) = &self.compiled.settings().telemetry.usage else { return };
        if usage.every_ms.saturating_add(USAGE_WRITES_MS) <= limit.max {
            return;
        }
        let (at, target) = (self.compiled.usage_interval_span().unwrap_or(self.at), self.target);
        let what = format!(
            "usage is summed up for {} s before it is written; `{target}` ends the work after a reply after {} s",
            usage.every_ms.div_ceil(1_000),
            limit.max / 1_000
        );
        let fix = format!("set `every` to {}s or less", (limit.max - USAGE_WRITES_MS) / 1_000);
        let source = limit.source;
        let found = if usage.every_ms >= limit.max {
            let why = format!("no exchange would ever write it ({source})");
            Diagnostic::error(Code::PastPlatformLimit, at, what).why(why)
        } else {
            let why = format!("a write that fails is repeated for {} s ({source})", USAGE_WRITES_MS / 1_000);
            Diagnostic::warning(Code::NearPlatformLimit, at, what).why(why)
        };
        self.report.push(found.fix(fix));
    }

    /// Spin chooses the gateway's certificate by the host of an upstream.
    fn certificates(&mut self) {
        if self.target != Target::Spin {
            return;
        }
        let all = &self.compiled.whole().upstreams;
        let differs = |one: &UpstreamSettings, other: &UpstreamSettings| {
            let are_secured = one.url.is_https() && other.url.is_https();
            are_secured && one.url.host() == other.url.host() && one.certificate != other.certificate
        };
        let pair = |(at, one)| Some((one, all.iter().skip(at).find(|other| differs(one, other))?));
        let differing = all.iter().enumerate().find_map(pair);
        let Some((one, other)) = differing else { return };
        let what = format!(
            "the upstreams `{}` and `{}` are at one host, and the gateway presents different certificates to them",
            one.name, other.name
        );
        self.report.push(
            Diagnostic::warning(Code::BadUpstreamTls, self.at, what)
                .why("Spin chooses the certificate by the host (`client_tls` in its runtime configuration), so both get the same one")
                .fix("give the upstreams different host names, or the same certificate"),
        );
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
                    format!("a record of the bundle has {sum} bytes; the limit of `{target}` is {}", limit.max),
                )
                .why(format!("the store refuses the record, so the bundle cannot be published ({})", limit.source))
                .fix("distribute the routes over several host patterns or gateways"),
            );
        }
    }
}

/// The timeout of one attempt to send a batch of telemetry.
const EXPORT_ATTEMPT_MS: u64 = 10_000;

/// The attempts to write a batch of usage, with the waits between them.
const USAGE_WRITES_MS: u64 = 5_000;

fn megabytes(bytes: u64) -> String {
    format!("{}MiB", bytes >> 20)
}
