//! Policies with people's passwords on a target that computes no slow hashes.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::Project;

/// Reports policies that would refuse everyone.
pub(super) fn report(project: &Project, report: &mut Report) {
    let Some(gateway) = &project.gateway else { return };
    let Some(target) = gateway.targets.value.iter().find(|target| target.is_workers()) else { return };
    let all = project.policies.iter().filter_map(|(name, policy)| Some((name, policy.as_ref()?)));
    for (name, policy) in all.filter(|(_, policy)| policy.kind.word == "basic") {
        let has_slow = |hashes: &Vec<String>| hashes.iter().any(|hash| hash.starts_with('$'));
        if policy.written.named("users").iter().any(|(_, hashes)| has_slow(hashes)) {
            let what = format!("the policy has passwords of people, which are not verified on `{}`", target.as_str());
            report.push(
                Diagnostic::error(Code::BadBasic, name.span, what)
                    .why("a slow hash takes some tens of milliseconds of processor time, and a request has 10 on the free plan; the policy would answer 503")
                    .fix("let people log in at an identity provider (`kind: oidc-login`), or give each a generated password, whose SHA-256 is enough"),
            );
        }
    }
}
