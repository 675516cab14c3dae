//! Policies that would refuse everyone, because nobody tells which certificate a client has.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::Project;
use crate::model::target::Target;
use crate::place::Span;
use crate::policies::Value;

/// Reports policies for client certificates without a source of certificates.
pub(super) fn report(project: &Project, report: &mut Report) {
    let Some(gateway) = &project.gateway else { return };
    let all = project.policies.iter().filter_map(|(name, policy)| Some((name, policy.as_ref()?)));
    for (name, policy) in all.filter(|(_, policy)| policy.kind.word == "client-certificate") {
        match policy.written.written("from") {
            Some(from) if from.value == Value::Word("client-cert") && gateway.trusted_proxies.is_none() => {
                report_untrusted(from.span, report);
            }
            Some(from) if from.value == Value::Word("client-cert") => {}
            _ if gateway.targets.value.contains(&Target::Spin) => report_untold(name.span, report),
            _ => {}
        }
    }
}

fn report_untrusted(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoCertificates, at, "no proxy is trusted to tell certificates in `Client-Cert`")
            .why("the field is believed only if a trusted proxy sends it, so the policy refuses every caller")
            .fix("add `gateway.trusted-proxies` with the networks of the proxies that verify certificates"),
    );
}

fn report_untold(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoCertificates, at, "components on Spin do not see the certificates of clients")
            .why("Spin has no TLS with client certificates, so the policy refuses every caller there")
            .fix(
                "verify certificates in a proxy in front of Spin, and write `from: client-cert` and `gateway.trusted-proxies`",
            ),
    );
}
