//! Policies that would refuse everyone, because nobody tells which certificate a client has.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::Project;
use crate::model::target::Target;
use crate::place::Span;
use crate::policies::{Value, WrittenPolicy};

/// Reports policies for client certificates without a source of certificates.
pub(super) fn report(project: &Project, report: &mut Report) {
    let Some(gateway) = &project.gateway else { return };
    let all = project.policies.iter().filter_map(|(name, policy)| Some((name, policy.as_ref()?)));
    for (name, policy) in all {
        let Some(key) = source_key(policy) else { continue };
        match policy.written.written(key) {
            Some(from) if from.value == Value::Word("client-cert") && gateway.trusted_proxies.is_none() => {
                report_untrusted(from.span, report);
            }
            Some(from) if from.value == Value::Word("client-cert") => {}
            _ if gateway.targets.value.contains(&Target::Spin) => report_untold(name.span, report),
            _ => {}
        }
    }
}

/// The key that says who tells the certificates that a policy requires; `None` if it requires none.
fn source_key(policy: &WrittenPolicy) -> Option<&'static str> {
    let binding = policy.written.written("binding").map(|placed| &placed.value);
    match policy.kind.word {
        "client-certificate" => Some("from"),
        "jwt" | "introspection" => {
            let is_told = policy.written.written("certificate-from").is_some();
            (is_told || binding == Some(&Value::Word("certificate"))).then_some("certificate-from")
        }
        _ => None,
    }
}

fn report_untrusted(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoCertificates, at, "no proxy is trusted to tell certificates in `Client-Cert`")
            .why("the field is believed only if a trusted proxy sends it, so no caller has the certificate that the policy requires")
            .fix("add `gateway.trusted-proxies` with the networks of the proxies that verify certificates"),
    );
}

fn report_untold(at: Span, report: &mut Report) {
    report.push(
        Diagnostic::warning(Code::NoCertificates, at, "components on Spin do not see the certificates of clients")
            .why("Spin has no TLS with client certificates, so the policy refuses every caller there")
            .fix(
                "verify certificates in a proxy in front of Spin, and write `from: client-cert` (for tokens `certificate-from: client-cert`) and `gateway.trusted-proxies`",
            ),
    );
}
