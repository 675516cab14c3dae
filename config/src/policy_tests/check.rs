//! Checks that the names in a test file exist in the project.

use std::collections::{BTreeMap, BTreeSet};

use tollgate_core::kinds::{LimitPolicy, Named};

use super::expect::{Expect, PolicyExpect};
use super::file::TestFile;
use super::invariant::Requirement;
use super::notice::NoticeExpect;
use super::step::Action;
use crate::compile::Compiled;
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Report, closest, listed};
use crate::place::Spanned;

/// The names of a project.
struct Names {
    routes: BTreeSet<String>,
    policies: BTreeSet<String>,
    upstreams: BTreeSet<String>,
    /// The shares of each limit that are told, in percent.
    shares: BTreeMap<String, Vec<u8>>,
    /// Whether somebody is told of them.
    have_receiver: bool,
}

impl TestFile {
    /// Reports names in the file that the project does not have.
    #[must_use]
    pub fn check(&self, compiled: &Compiled) -> Diagnostics {
        let names = Names::of(compiled);
        let mut report = Report::default();
        let scripts = self.upstreams.iter().chain(self.cases.iter().flat_map(|case| &case.upstreams));
        for (name, script) in scripts {
            names.check("upstream", &names.upstreams, name, &mut report);
            for route in script.rules.iter().filter_map(|rule| rule.route.as_ref()) {
                names.route(route, &mut report);
            }
        }
        for plan in self.consumers.iter().filter_map(|consumer| consumer.plan.as_ref()) {
            compiled.check_plan(plan, &mut report);
        }
        for numbers in self.consumers.iter().flat_map(|consumer| &consumer.keys).flat_map(|key| &key.limits) {
            compiled.number_fault(numbers).into_iter().for_each(|fault| report.push(fault));
        }
        for step in self.cases.iter().flat_map(|case| &case.steps) {
            if let Action::Request(request) = &step.action {
                let all = request.each.iter().chain(&request.first).chain(&request.last);
                all.for_each(|expect| names.expectation(expect, &mut report));
                if let Some(name) = &request.sign {
                    names.check("policy", &names.policies, name, &mut report);
                }
            }
        }
        for invariant in &self.invariants {
            for requirement in invariant.have.iter().chain(&invariant.not) {
                if let Requirement::Policy(name) = &requirement.value {
                    let name = Spanned::new(name.clone(), requirement.span);
                    names.check("policy", &names.policies, &name, &mut report);
                }
            }
        }
        report.finish(self.files.clone())
    }
}

impl Names {
    fn of(compiled: &Compiled) -> Self {
        let whole = compiled.whole();
        Self {
            routes: whole.routes.iter().map(|route| route.settings.id.clone()).collect(),
            policies: whole.policies.iter().map(|policy| policy.name.to_owned()).collect(),
            upstreams: whole.upstreams.iter().map(|upstream| upstream.name.clone()).collect(),
            shares: whole.policies.limit.iter().map(shares).collect(),
            have_receiver: !compiled.settings().notify.is_empty(),
        }
    }

    fn expectation(&self, expect: &Expect, report: &mut Report) {
        if let Some(Spanned { value: Some(route), span }) = &expect.route {
            self.route(&Spanned::new(route.clone(), *span), report);
        }
        if let Some(Spanned { value: PolicyExpect::Named(name), span }) = &expect.policy {
            self.check("policy", &self.policies, &Spanned::new(name.clone(), *span), report);
        }
        for (name, _) in &expect.quota {
            self.check("policy", &self.policies, name, report);
        }
        expect.notices.iter().flat_map(|all| &all.value).for_each(|notice| self.notice(notice, report));
        if let Some(name) = expect.upstream.as_ref().and_then(|upstream| upstream.name.as_ref()) {
            self.check("upstream", &self.upstreams, name, report);
        }
    }

    fn notice(&self, notice: &NoticeExpect, report: &mut Report) {
        let Some(shares) = self.shares.get(&notice.limit.value) else {
            return self.check("limit", &self.shares.keys().cloned().collect(), &notice.limit, report);
        };
        let (limit, share) = (&notice.limit.value, notice.share.value);
        let refused = if !self.have_receiver {
            let what = "the project tells nobody of limits".to_owned();
            Some((notice.span, what, "add `notify` to `gateway`, or write `notices: []`".to_owned()))
        } else if !shares.contains(&share.get()) {
            let what = format!("`{limit}` does not tell of {share}%");
            let told = shares.iter().map(|share| format!("{share}%")).collect::<Vec<_>>();
            let fix = match told.is_empty() {
                true => format!("add `warn: [{share}%]` to the limit"),
                false => format!("write one of the shares of its `warn`: {}", listed(told.iter().map(String::as_str))),
            };
            Some((notice.share.span, what, fix))
        } else {
            None
        };
        if let Some((span, what, fix)) = refused {
            let why = "the notice would never be sent";
            report.push(Diagnostic::error(Code::BadExpectation, span, what).why(why).fix(fix));
        }
    }

    fn route(&self, name: &Spanned<String>, report: &mut Report) {
        if !is_operation(&self.routes, &name.value) {
            self.check("route", &self.routes, name, report);
        }
    }

    fn check(&self, what: &str, known: &BTreeSet<String>, name: &Spanned<String>, report: &mut Report) {
        if known.contains(&name.value) {
            return;
        }
        let fix = match closest(&name.value, known.iter().map(String::as_str)) {
            Some(known) => format!("did you mean `{known}`?"),
            None if known.is_empty() => format!("remove it; the project defines no {what}"),
            None => format!("use one of {}", listed(known.iter().map(String::as_str))),
        };
        report.push(
            Diagnostic::error(Code::UnknownInProject, name.span, format!("the project has no {what} `{}`", name.value))
                .why("the expectation or script would have no effect")
                .fix(fix),
        );
    }
}

fn shares(limit: &Named<LimitPolicy>) -> (String, Vec<u8>) {
    (limit.name.to_string(), limit.policy.counting().warn.iter().map(|share| share.get()).collect())
}

/// Whether it is the id of a route, with or without the name of the API.
fn is_operation(routes: &BTreeSet<String>, name: &str) -> bool {
    routes.iter().any(|id| id == name || id.split_once('.').is_some_and(|(_, operation)| operation == name))
}
