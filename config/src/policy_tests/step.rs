//! Cases and their steps.

use tollgate_core::time::Timestamp;

use super::consumer::{self, Keys};
use super::issuer::{self, IssuerChange};
use super::request::{self, RequestStep};
use super::upstream::{self, Script};
use crate::decode::{self, DURATION, Fields, habits};
use crate::diagnostic::{Code, Diagnostic, Report, closest, listed};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::schema::Object;
use crate::source::{Entry, Node, Value};

/// A test case, which begins with empty stores at the file's clock.
#[derive(Clone, Debug)]
pub struct Case {
    /// The name in reports.
    pub name: Spanned<String>,
    /// The scripts of upstreams in this case, which replace those of the file.
    pub upstreams: Vec<(Spanned<String>, Script)>,
    /// The scripts of services that the gateway itself asks, in this case, which replace those of the file.
    pub fetches: Vec<(Spanned<String>, Script)>,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a case.
#[derive(Clone, Debug)]
pub struct Step {
    /// The place in the file.
    pub span: Span,
    /// The action.
    pub action: Action,
}

/// The action of a step.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends requests.
    Request(Box<RequestStep>),
    /// Advances the clock by this many milliseconds.
    Advance(u64),
    /// Advances the clock to this time.
    At(Timestamp),
    /// Purges stored responses.
    Purge(PurgeWhat),
    /// Makes these ports unavailable.
    Fault(Vec<Port>),
    /// Makes these ports available again.
    Restore(Vec<Port>),
    /// Changes what issuers publish or answer.
    Issuers(Vec<(Spanned<String>, IssuerChange)>),
    /// What an operator says about the outage of a policy's provider.
    Outage(OutageStep),
    /// A product, plan, subscription or grant that an operator writes.
    Entitle(EntitleStep),
}

/// A product, plan, subscription or grant that an operator writes.
#[derive(Clone, Debug)]
pub struct EntitleStep {
    /// The place in the file.
    pub span: Span,
    /// What is written.
    pub entitles: Entitles,
    /// The members of the call of the operator endpoint.
    pub members: Vec<(&'static str, Vec<String>)>,
}

/// What an operator writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entitles {
    /// A product.
    Product,
    /// A plan.
    Plan,
    /// A subscription, which is changed if it exists.
    Subscription,
    /// The end of a subscription.
    SubscriptionEnd,
    /// A grant.
    Grant,
}

/// What an operator says about the outage of a policy's provider.
#[derive(Clone, Debug)]
pub struct OutageStep {
    /// The policy.
    pub policy: Spanned<String>,
    /// What is said.
    pub said: Said,
}

/// What an operator says.
#[derive(Clone, Debug)]
pub enum Said {
    /// Known tokens of these consumers are admitted for so many seconds.
    Allow(Vec<String>, u64),
    /// They no longer are.
    End,
    /// All tokens that were admitted are revoked.
    Revoke,
    /// The tokens of these consumers that were issued until now are revoked.
    RevokeConsumers(Vec<String>),
    /// These are the consumers whose tokens were admitted.
    Admitted(Vec<String>),
}

/// The stored responses that are purged.
#[derive(Clone, Debug)]
pub enum PurgeWhat {
    /// All stored responses.
    All,
    /// The stored responses to a GET request for this URL.
    Url {
        /// The host, if it is set.
        host: Option<String>,
        /// The path and query.
        target: Spanned<String>,
    },
}

/// A port that can be made unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The store of credentials, configuration and purges.
    Records,
    /// The counter store of limits.
    Counters,
    /// The response cache.
    Cache,
    /// The store of secrets.
    Secrets,
    /// The receiver of telemetry.
    Telemetry,
}

impl Port {
    /// All ports.
    pub const ALL: [Self; 5] = [Self::Records, Self::Counters, Self::Cache, Self::Secrets, Self::Telemetry];

    /// The name in the file.
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
        let fetches = fields.optional("fetches", report, upstream::services).unwrap_or_default();
        let steps = fields.required("steps", report, |node, report| {
            if matches!(&node.value, Value::List(items) if items.is_empty()) {
                report.push(no_steps(node.span));
            }
            decode::list(node, report, |node, report| step(node, keys, report))
        });
        fields.finish(report);
        let case = Self { name: name?, upstreams: upstreams.unwrap_or_default(), fetches, steps: steps? };
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
                    format!("case `{}` has no expectation", self.name.value),
                )
                .why("the case passes with every response of the gateway")
                .fix("add an expectation to a request, such as `expect: {status: 200}`"),
            );
        }
        self.check_times(clock, report);
    }

    /// Reports steps that set the clock back. Delays of upstreams also advance the clock; they are not considered here.
    fn check_times(&self, clock: Timestamp, report: &mut Report) {
        let mut now = clock;
        for step in &self.steps {
            match step.action {
                Action::Advance(ms) => now = now.plus_millis(ms),
                Action::At(at) if at < now => report.push(
                    Diagnostic::error(
                        Code::TimeGoesBack,
                        step.span,
                        format!("the time is before {}, which the clock has reached", now.to_rfc3339()),
                    )
                    .why("the clock of a case moves only forward")
                    .fix("write a later time, or begin a new case"),
                ),
                Action::At(at) => now = at,
                Action::Request(_)
                | Action::Purge(_)
                | Action::Fault(_)
                | Action::Restore(_)
                | Action::Issuers(_)
                | Action::Outage(_)
                | Action::Entitle(_) => {}
            }
        }
    }
}

fn no_steps(at: Span) -> Diagnostic {
    Diagnostic::error(Code::EmptyTestFile, at, "the case has no steps")
        .why("it would always pass")
        .fix("add a step: `- {request: GET /path, expect: {status: 200}}`")
}

fn step(node: &Node, keys: &Keys, report: &mut Report) -> Option<Step> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping with a step",
            "write a step such as `{request: GET /path, expect: {status: 200}}`",
            report,
        );
    };
    let actions: Vec<&Spanned<String>> =
        entries.iter().map(|entry| &entry.key).filter(|key| ACTIONS.contains(&key.value.as_str())).collect();
    if let [first, second, ..] = actions.as_slice() {
        report.push(
            bad_step(second.span, format!("the step has both `{}` and `{}`", first.value, second.value))
                .fix("write two steps"),
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

fn other(node: &Node, entries: &[Entry], has_no_action: bool, report: &mut Report) -> Option<Action> {
    if has_no_action {
        let given = entries.iter().map(|entry| entry.key.value.as_str());
        let habit = given.clone().find_map(habits::word::action);
        let meant = given.filter_map(|key| closest(key, ACTIONS.into_iter())).next();
        let fix = match meant {
            _ if habit.is_some() => habit.unwrap_or_default().to_owned(),
            Some(action) => format!("did you mean `{action}`?"),
            None => format!("write one of {}", listed(ACTIONS.into_iter())),
        };
        report.push(bad_step(node.span, "the step has no action".to_owned()).fix(fix));
        return None;
    }
    let mut fields = Fields::open(node, &tables::OTHER_STEP, "this step", node.span, report)?;
    let advance = fields.optional("advance", report, |node, report| decode::quantity(node, &DURATION, report));
    let at = fields.optional("at", report, consumer::timestamp);
    let purge = fields.optional("purge", report, purge);
    let fault = fields.optional("fault", report, faults);
    let restore = fields.optional("restore", report, restored);
    let issuers = fields.optional("issuers", report, issuer::changes);
    let outage = fields.optional("idp-outage", report, outage);
    let mut entitled = None;
    for (key, entitles, table) in ENTITLES {
        let step = fields.optional(key, report, |node, report| entitle(node, key, entitles, table, report));
        entitled = entitled.or(step);
    }
    fields.finish(report);
    advance
        .map(|duration| Action::Advance(duration.value))
        .or(at.map(Action::At))
        .or(purge.map(Action::Purge))
        .or(fault.map(Action::Fault))
        .or(restore.map(Action::Restore))
        .or(issuers.map(Action::Issuers))
        .or(outage.map(Action::Outage))
        .or(entitled.map(Action::Entitle))
}

fn bad_step(at: Span, what: String) -> Diagnostic {
    Diagnostic::error(Code::UnclearStep, at, what).why("a step has exactly one action")
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
        let down_here =
            fields.optional(port.as_str(), report, |node, report| decode::word(node, &[("down", ())], report));
        down.extend(down_here.map(|()| port));
    }
    fields.finish(report);
    Some(down)
}

/// `all`, one port, or a list of ports.
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

/// `{policy: staff, allow: [staff:ada], for: 30m}`.
fn outage(node: &Node, report: &mut Report) -> Option<OutageStep> {
    let mut fields = Fields::open(node, &tables::TEST_OUTAGE, "`idp-outage`", node.span, report)?;
    let policy = fields.required("policy", report, decode::text);
    let texts = |node: &Node, report: &mut Report| decode::list(node, report, decode::text);
    let allow = fields.optional("allow", report, texts);
    let time = fields.optional("for", report, |node, report| decode::quantity(node, &DURATION, report));
    let end = fields.optional("end", report, |node, report| decode::word(node, &[("now", ())], report));
    let revoke = fields.optional("revoke", report, |node, report| decode::word(node, &[("all", ())], report));
    let revoked = fields.optional("revoke-consumers", report, texts);
    let admitted = fields.optional("admitted", report, texts);
    fields.finish(report);
    let values = |texts: Vec<Spanned<String>>| texts.into_iter().map(|text| text.value).collect();
    let time_s = time.map_or(OUTAGE_S, |time| time.value.div_ceil(1_000));
    let said = allow.map(|consumers| Said::Allow(values(consumers), time_s));
    let said = said
        .or(end.map(|()| Said::End))
        .or(revoke.map(|()| Said::Revoke))
        .or(revoked.map(|consumers| Said::RevokeConsumers(values(consumers))))
        .or(admitted.map(|consumers| Said::Admitted(values(consumers))));
    Some(OutageStep { policy: policy?, said: said? })
}

/// The keys of steps that write what consumers are entitled to.
const ENTITLES: [(&str, Entitles, &Object); 4] = [
    ("product", Entitles::Product, &tables::TEST_PRODUCT),
    ("plan", Entitles::Plan, &tables::TEST_PLAN),
    ("subscription", Entitles::Subscription, &tables::TEST_SUBSCRIPTION),
    ("grant", Entitles::Grant, &tables::TEST_GRANT),
];

/// `{consumer: acme, product: pets, plan: pro}`.
fn entitle(
    node: &Node,
    owner: &str,
    entitles: Entitles,
    table: &'static Object,
    report: &mut Report,
) -> Option<EntitleStep> {
    let mut fields = Fields::open(node, table, format!("`{owner}`"), node.span, report)?;
    let texts = |node: &Node, report: &mut Report| decode::list(node, report, decode::text);
    let mut members = Vec::new();
    let mut ends = false;
    for key in table.keys {
        match key.name {
            "apis" | "limits" => {
                let values = fields.optional(key.name, report, texts).unwrap_or_default();
                members.push((key.name, values.into_iter().map(|text| text.value).collect()));
            }
            "until" => {
                let until = fields.optional(key.name, report, consumer::timestamp);
                members.extend(until.map(|until| (key.name, vec![until.to_rfc3339()])));
            }
            "end" => {
                ends = fields
                    .optional(key.name, report, |node, report| decode::word(node, &[("now", ())], report))
                    .is_some();
            }
            name => {
                let text = if key.is_required() {
                    fields.required(name, report, decode::text)
                } else {
                    fields.optional(name, report, decode::text)
                };
                members.extend(text.map(|text| (if name == "limit" { "policy" } else { name }, vec![text.value])));
            }
        }
    }
    let is_complete = fields.check_rules(report);
    fields.finish(report);
    let entitles = if ends { Entitles::SubscriptionEnd } else { entitles };
    is_complete.then_some(EntitleStep { span: node.span, entitles, members })
}

/// How long tokens are admitted, if it is not said.
const OUTAGE_S: u64 = 30 * 60;

const ACTIONS: [&str; 12] = [
    "request",
    "advance",
    "at",
    "purge",
    "fault",
    "restore",
    "issuers",
    "idp-outage",
    "product",
    "plan",
    "subscription",
    "grant",
];
