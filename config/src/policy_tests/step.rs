//! Cases and their steps.

use tollgate_core::time::Timestamp;

use super::consumer::{self, Keys};
use super::request::{self, RequestStep};
use super::upstream::{self, Script};
use crate::decode::{self, DURATION, Fields};
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// One case: it begins with empty stores at the file's clock.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is called in reports.
    pub name: Spanned<String>,
    /// What upstreams answer in this case, in place of what the file says.
    pub upstreams: Vec<(Spanned<String>, Script)>,
    /// What is done, in order.
    pub steps: Vec<Step>,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub struct Step {
    /// Where it stands.
    pub span: Span,
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Requests are sent.
    Request(Box<RequestStep>),
    /// So many milliseconds pass.
    Advance(u64),
    /// Time passes until this instant.
    At(Timestamp),
    /// Stored responses are purged.
    Purge(PurgeWhat),
    /// These ports answer nothing from now on.
    Fault(Vec<Port>),
    /// These ports answer again.
    Restore(Vec<Port>),
}

/// What is purged.
#[derive(Clone, Debug)]
pub enum PurgeWhat {
    /// Everything.
    All,
    /// What a GET for this URL is answered from: host, where it is given, and path with query.
    Url {
        /// The host.
        host: Option<String>,
        /// Path and query.
        target: Spanned<String>,
    },
}

/// A store that can be away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Credentials, the configuration, purges.
    Records,
    /// The counters of limits.
    Counters,
    /// Stored responses.
    Cache,
    /// Secrets.
    Secrets,
    /// The receiver of telemetry.
    Telemetry,
}

impl Port {
    /// Every port.
    pub const ALL: [Self; 5] = [Self::Records, Self::Counters, Self::Cache, Self::Secrets, Self::Telemetry];

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Counters => "counters",
            Self::Cache => "cache",
            Self::Secrets => "secrets",
            Self::Telemetry => "telemetry",
        }
    }
}

impl Case {
    pub(super) fn decode(node: &Node, clock: Timestamp, keys: &Keys, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::open(node, &tables::CASE, "this case", node.span, report)?;
        let name = fields.required("name", report, decode::text);
        let upstreams = fields.optional("upstreams", report, upstream::scripts);
        let steps = fields.required("steps", report, |node, report| {
            if matches!(&node.value, Value::List(items) if items.is_empty()) {
                report.push(no_steps(node.span));
            }
            decode::list(node, report, |node, report| step(node, keys, report))
        });
        fields.finish(report);
        let case = Self { name: name?, upstreams: upstreams.unwrap_or_default(), steps: steps? };
        case.check(clock, report);
        Some(case)
    }

    fn check(&self, clock: Timestamp, report: &mut Report) {
        let expects = |step: &Step| matches!(&step.action, Action::Request(request) if request.expects());
        if !self.steps.is_empty() && !self.steps.iter().any(expects) {
            report.push(
                Diagnostic::warning(
                    Code::NothingExpected,
                    self.name.span,
                    format!("the case `{}` expects nothing", self.name.value),
                )
                .why("it passes whatever the gateway answers")
                .fix("add `expect: {status: 200}` to a request"),
            );
        }
        self.check_times(clock, report);
    }

    /// Reports steps that go back, as far as the steps alone tell; upstreams that take their time move the clock too.
    fn check_times(&self, clock: Timestamp, report: &mut Report) {
        let mut now = clock;
        for step in &self.steps {
            match step.action {
                Action::Advance(ms) => now = now.plus_millis(ms),
                Action::At(at) if at < now => report.push(
                    Diagnostic::error(
                        Code::TimeGoesBack,
                        step.span,
                        format!("the clock has reached {} here", now.to_rfc3339()),
                    )
                    .why("counters and caches are made for clocks that move forward")
                    .fix("write a later time, or begin a new case"),
                ),
                Action::At(at) => now = at,
                Action::Request(_) | Action::Purge(_) | Action::Fault(_) | Action::Restore(_) => {}
            }
        }
    }
}

fn no_steps(at: Span) -> Diagnostic {
    Diagnostic::error(Code::EmptyTestFile, at, "the case has no steps")
        .why("it could never fail")
        .fix("add a step: `- {request: GET /path, expect: {status: 200}}`")
}

fn step(node: &Node, keys: &Keys, report: &mut Report) -> Option<Step> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, "a step", "write `{request: GET /path, expect: {status: 200}}`", report);
    };
    let actions: Vec<&Spanned<String>> =
        entries.iter().map(|entry| &entry.key).filter(|key| ACTIONS.contains(&key.value.as_str())).collect();
    if let [first, second, ..] = actions.as_slice() {
        report.push(
            unclear(second.span, format!("the step has a `{}` and a `{}`", first.value, second.value))
                .fix("make it two steps"),
        );
        return None;
    }
    let action = if actions.first().is_some_and(|key| key.value == "request") {
        RequestStep::decode(node, keys, report).map(|request| Action::Request(Box::new(request)))
    } else {
        other(node, entries, actions.is_empty(), report)
    };
    Some(Step { span: node.span, action: action? })
}

fn other(node: &Node, entries: &[Entry], is_nothing: bool, report: &mut Report) -> Option<Action> {
    if is_nothing {
        let given = entries.iter().map(|entry| entry.key.value.as_str());
        let meant = given.filter_map(|key| closest(key, ACTIONS.into_iter())).next();
        let fix = match meant {
            Some(action) => format!("did you mean `{action}`?"),
            None => format!("write one of {}", listed(ACTIONS.into_iter())),
        };
        report.push(unclear(node.span, "the step does nothing".to_owned()).fix(fix));
        return None;
    }
    let mut fields = Fields::open(node, &tables::OTHER_STEP, "this step", node.span, report)?;
    let advance = fields.optional("advance", report, |node, report| decode::quantity(node, &DURATION, report));
    let at = fields.optional("at", report, consumer::timestamp);
    let purge = fields.optional("purge", report, purge);
    let fault = fields.optional("fault", report, faults);
    let restore = fields.optional("restore", report, restored);
    fields.finish(report);
    advance
        .map(|duration| Action::Advance(duration.value))
        .or(at.map(Action::At))
        .or(purge.map(Action::Purge))
        .or(fault.map(Action::Fault))
        .or(restore.map(Action::Restore))
}

fn unclear(at: Span, what: String) -> Diagnostic {
    Diagnostic::error(Code::UnclearStep, at, what).why("steps run one after the other, each one thing")
}

fn purge(node: &Node, report: &mut Report) -> Option<PurgeWhat> {
    let text = decode::text(node, report)?;
    if text.value == "all" {
        return Some(PurgeWhat::All);
    }
    let target = request::target(&text, &text.value, report)?;
    Some(PurgeWhat::Url { host: target.host, target: Spanned::new(target.path_and_query, text.span) })
}

/// `{counters: down, cache: down}`.
fn faults(node: &Node, report: &mut Report) -> Option<Vec<Port>> {
    let mut fields = Fields::open(node, &tables::FAULT, "`fault`", node.span, report)?;
    let mut down = Vec::new();
    for port in Port::ALL {
        let said = fields.optional(port.as_str(), report, |node, report| decode::word(node, &[("down", ())], report));
        down.extend(said.map(|()| port));
    }
    fields.finish(report);
    Some(down)
}

/// `all`, one port, or a list of them.
fn restored(node: &Node, report: &mut Report) -> Option<Vec<Port>> {
    if matches!(&node.value, Value::Text(text) if text == "all") {
        return Some(Port::ALL.to_vec());
    }
    let words = Port::ALL.map(|port| (port.as_str(), port));
    match &node.value {
        Value::List(_) => decode::list(node, report, |node, report| decode::word(node, &words, report)),
        _ => decode::word(node, &words, report).map(|port| vec![port]),
    }
}

const ACTIONS: [&str; 6] = ["request", "advance", "at", "purge", "fault", "restore"];
