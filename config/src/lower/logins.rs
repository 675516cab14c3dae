//! Policies for logins that would take each other's requests or cookies.

use std::collections::BTreeMap;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::project::Project;
use crate::place::Span;

/// Reports policies with the same path or the same cookie: all hosts have the policies of the gateway.
pub(super) fn report(project: &Project, report: &mut Report) {
    let all = project.policies.iter().filter_map(|(name, policy)| Some((name, policy.as_ref()?)));
    let mut known: BTreeMap<(&str, String), Span> = BTreeMap::new();
    for (name, policy) in all.filter(|(_, policy)| policy.kind.word == "oidc-login") {
        for key in ["path", "cookie"] {
            let Some(text) = policy.written.text(key) else { continue };
            if let Some(first) = known.get(&(key, text.value.clone())) {
                report.push(
                    Diagnostic::error(Code::BadLogin, name.span, format!("another policy has the same `{key}`"))
                        .why("a browser's answer of a provider, and its session, must belong to one policy")
                        .fix(format!("write another `{key}` in one of them"))
                        .related(*first, "the other policy"),
                );
            } else {
                known.insert((key, text.value), name.span);
            }
        }
    }
}
