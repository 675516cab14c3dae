//! What a step expects of an answer.

use http::{HeaderName, Method};
use tollgate_core::event::Phase;
use tollgate_core::problem::ProblemKind;

use super::consumer::Keys;
use super::request::{self, scalar};
use super::text::{filled, json};
use super::upstream::method;
use crate::decode::{self, DURATION, Fields};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// What is expected of one answer; what is not said may be anything.
#[derive(Clone, Debug)]
pub struct Expect {
    /// Where it stands.
    pub span: Span,
    /// The status.
    pub status: Option<Spanned<Vec<StatusExpect>>>,
    /// Fields of the response.
    pub fields: Vec<FieldExpect>,
    /// The content of the response.
    pub body: Option<Spanned<BodyExpect>>,
    /// The type of the problem that the response is; `None` within: it is no problem.
    pub problem: Option<Spanned<Option<ProblemKind>>>,
    /// The policy that refused.
    pub policy: Option<Spanned<PolicyExpect>>,
    /// The id of the route that was taken; `None` within: none was.
    pub route: Option<Spanned<Option<String>>>,
    /// The phase that ended the exchange.
    pub phase: Option<Spanned<Phase>>,
    /// The consumer that was recognised; `None` within: none was.
    pub consumer: Option<Spanned<Option<String>>>,
    /// What the upstream received.
    pub upstream: Option<UpstreamExpect>,
    /// What the cache did.
    pub cache: Option<Spanned<CacheExpect>>,
    /// Whether the response was stored.
    pub stored: Option<Spanned<bool>>,
    /// What the client was told of its quotas, by policy.
    pub quota: Vec<(Spanned<String>, QuotaExpect)>,
    /// Seconds that the client is told to wait.
    pub retry_after_s: Option<Spanned<u64>>,
    /// How long the exchange took on the clock of the test, in milliseconds.
    pub duration_ms: Option<Spanned<u64>>,
}

/// A status, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusExpect {
    /// This one.
    Is(u16),
    /// Any whose first figure this is.
    Class(u16),
}

/// What is expected of one field.
#[derive(Clone, Debug)]
pub struct FieldExpect {
    /// Its name.
    pub name: HeaderName,
    /// Where that stands.
    pub span: Span,
    /// What holds of its value; several lines of a field are one value, joined by commas.
    pub value: TextExpect,
}

/// What is expected of a text: all of these.
#[derive(Clone, Debug)]
pub struct TextExpect(pub Vec<Matcher>);

/// What is expected of a text.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// It is this.
    Is(String),
    /// It has this in it.
    Contains(String),
    /// A part of it fits the pattern.
    Matching(Pattern),
    /// It is there.
    Present,
    /// It is not there.
    Absent,
}

/// A regular expression that compiles.
#[derive(Clone, Debug)]
pub struct Pattern(regex_lite::Regex);

/// What is expected of content.
#[derive(Clone, Debug)]
pub enum BodyExpect {
    /// A text.
    Text(TextExpect),
    /// This JSON, whatever its layout.
    Json(serde_json::Value),
    /// JSON that has these members, and perhaps others.
    JsonHas(serde_json::Value),
    /// No content.
    Empty,
}

/// Which policy is expected to have refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyExpect {
    /// None.
    None,
    /// This one.
    Named(String),
}

/// What the cache is expected to have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheExpect {
    /// Answered from store.
    Hit,
    /// Nothing usable was stored.
    Miss,
    /// What was stored was stale, and a new response came.
    Stale,
    /// What was stored was stale, and the upstream confirmed it.
    Revalidated,
    /// The request or a store kept the cache out of it.
    Bypass,
    /// The client asked for a new response.
    Request,
    /// The method is never answered from store.
    Method,
    /// The route has no cache, or the request did not come to it.
    None,
}

/// What an upstream is expected to have received.
#[derive(Clone, Debug)]
pub struct UpstreamExpect {
    /// Where it stands.
    pub span: Span,
    /// How often it was called.
    pub called: Option<Spanned<u32>>,
    /// Which one was called.
    pub name: Option<Spanned<String>>,
    /// The method of the last call.
    pub method: Option<Spanned<Method>>,
    /// Its path.
    pub path: Option<Spanned<String>>,
    /// Its query; `None` within: it had none.
    pub query: Option<Spanned<Option<String>>>,
    /// Its fields.
    pub fields: Vec<FieldExpect>,
    /// Its content.
    pub body: Option<Spanned<BodyExpect>>,
}

/// What a client is expected to have been told of one quota, by the RateLimit fields.
#[derive(Clone, Debug)]
pub struct QuotaExpect {
    /// How much is left.
    pub remaining: Option<Spanned<u32>>,
    /// How much there is at most.
    pub limit: Option<Spanned<u32>>,
    /// Seconds until it is whole again.
    pub reset_s: Option<Spanned<u64>>,
}

impl Pattern {
    /// Whether a part of the text fits.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Expect {
    pub(super) fn decode(node: &Node, keys: &Keys, report: &mut Report) -> Option<Self> {
        let mut f = Fields::open(node, &tables::EXPECT, "this expectation", node.span, report)?;
        let route = f.optional("route", report, or_none);
        let operation = f.optional("operation", report, or_none);
        let expect = Self {
            span: node.span,
            status: f.optional("status", report, status),
            fields: f.optional("headers", report, |node, r| fields(node, keys, r)).unwrap_or_default(),
            body: f.optional("body", report, |node, report| body(node, keys, report)),
            problem: f.optional("problem", report, problem),
            policy: f.optional("policy", report, policy),
            route: route.or(operation),
            phase: f.optional("phase", report, phase),
            consumer: f.optional("consumer", report, or_none),
            upstream: f.optional("upstream", report, |node, report| UpstreamExpect::decode(node, keys, report)),
            cache: f.optional("cache", report, |node, report| placed(node, decode::word(node, CACHE, report))),
            stored: f.optional("stored", report, |node, report| placed(node, decode::boolean(node, report))),
            quota: f.optional("quota", report, quotas).unwrap_or_default(),
            retry_after_s: f.optional("retry-after", report, seconds),
            duration_ms: f.optional("duration", report, |n, report| decode::quantity(n, &DURATION, report)),
        };
        f.finish(report);
        if is_empty(node) {
            report.push(bad(node.span, "nothing is expected".to_owned(), "write `{status: 200}`"));
        }
        Some(expect)
    }
}

fn bad(at: Span, what: String, fix: &str) -> Diagnostic {
    Diagnostic::error(Code::BadExpectation, at, what).why("no answer could be held to it").fix(fix)
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::Map(entries) if entries.is_empty())
}

fn placed<T>(node: &Node, value: Option<T>) -> Option<Spanned<T>> {
    value.map(|value| Spanned::new(value, node.span))
}

/// A name, or `none`.
fn or_none(node: &Node, report: &mut Report) -> Option<Spanned<Option<String>>> {
    let text = decode::text(node, report)?;
    let value = (text.value != "none").then_some(text.value);
    Some(Spanned::new(value, text.span))
}

/// `200`, `2xx`, or a list of these.
fn status(node: &Node, report: &mut Report) -> Option<Spanned<Vec<StatusExpect>>> {
    let all = match &node.value {
        Value::List(items) if items.is_empty() => {
            report.push(bad(node.span, "no status is listed".to_owned(), "write `200` or `[200, 304]`"));
            return None;
        }
        Value::List(_) => decode::list(node, report, one_status)?,
        _ => vec![one_status(node, report)?],
    };
    Some(Spanned::new(all, node.span))
}

fn one_status(node: &Node, report: &mut Report) -> Option<StatusExpect> {
    let text = scalar(node, report)?;
    let class = text.value.strip_suffix("xx").and_then(|figure| figure.parse().ok()).filter(|n| (1..=5).contains(n));
    let found = class.map(StatusExpect::Class).or(exact_status(&text.value).map(StatusExpect::Is));
    if found.is_none() {
        report.push(bad(text.span, format!("`{}` is no status", text.value), "write it as in `200` or `2xx`"));
    }
    found
}

fn exact_status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (100..=999).contains(status))
}

/// `{200: 1000, 429: 1}`.
pub(super) fn count(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<u16>, u32)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, "counts by status", "write `{200: 10, 429: 1}`", report);
    };
    let mut counts = Vec::new();
    for Entry { key, value } in entries {
        let Some(status) = exact_status(&key.value) else {
            report.push(bad(key.span, format!("`{}` is no status", key.value), "write it as in `{200: 10}`"));
            continue;
        };
        let number = decode::integer(value, 0, u32::MAX, report);
        counts.extend(number.map(|number| (Spanned::new(status, key.span), number)));
    }
    Some(counts)
}

fn fields(node: &Node, keys: &Keys, report: &mut Report) -> Option<Vec<FieldExpect>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, "a mapping of header fields", "write `{X-Name: value}`", report);
    };
    let field = |Entry { key, value }: &Entry| {
        let name = request::field_name(key, report);
        let value = text_expect(value, Some(keys), report);
        Some(FieldExpect { name: name?, span: key.span, value: value? })
    };
    Some(entries.iter().filter_map(field).collect())
}

/// A text, or `{contains: ..., matching: ..., absent: true}`.
fn text_expect(node: &Node, keys: Option<&Keys>, report: &mut Report) -> Option<TextExpect> {
    if !matches!(node.value, Value::Map(_)) {
        let text = scalar(node, report)?;
        return Some(TextExpect(vec![Matcher::Is(with_keys(&text, keys, report)?)]));
    }
    let mut f = Fields::open(node, &tables::TEXT_EXPECT, "this expectation", node.span, report)?;
    let all = matchers(&mut f, keys, report);
    f.finish(report);
    if is_empty(node) {
        report.push(bad(node.span, "nothing is expected of the text".to_owned(), TEXT_FIX));
    }
    Some(TextExpect(all))
}

const TEXT_FIX: &str = "write a text, or one of `contains`, `matching`, `present` and `absent`";

fn matchers(f: &mut Fields<'_>, keys: Option<&Keys>, report: &mut Report) -> Vec<Matcher> {
    let is = f.optional("is", report, |n, r| scalar(n, r).and_then(|text| with_keys(&text, keys, r)));
    let contains = f.optional("contains", report, |n, r| scalar(n, r).and_then(|text| with_keys(&text, keys, r)));
    let matching = f.optional("matching", report, pattern);
    let present = f.optional("present", report, decode::boolean);
    let absent = f.optional("absent", report, decode::boolean);
    let is_there = present.or(absent.map(|absent| !absent));
    let presence = is_there.map(|there| if there { Matcher::Present } else { Matcher::Absent });
    let rest = [is.map(Matcher::Is), contains.map(Matcher::Contains), matching.map(Matcher::Matching)];
    presence.into_iter().chain(rest.into_iter().flatten()).collect()
}

fn with_keys(text: &Spanned<String>, keys: Option<&Keys>, report: &mut Report) -> Option<String> {
    keys.map_or_else(|| Some(text.value.clone()), |keys| filled(text, keys, report))
}

fn pattern(node: &Node, report: &mut Report) -> Option<Pattern> {
    let text = decode::text(node, report)?;
    match regex_lite::RegexBuilder::new(&text.value).size_limit(PATTERN_BYTES_MAX).build() {
        Ok(regex) => Some(Pattern(regex)),
        Err(error) => {
            report.push(bad(text.span, format!("this is no pattern: {error}"), "mend the regular expression"));
            None
        }
    }
}

/// What one compiled pattern may take: some hundred states, and a file of nothing but patterns stays harmless.
const PATTERN_BYTES_MAX: usize = 16 << 10;

fn body(node: &Node, keys: &Keys, report: &mut Report) -> Option<Spanned<BodyExpect>> {
    if !matches!(node.value, Value::Map(_)) {
        return placed(node, text_expect(node, Some(keys), report).map(BodyExpect::Text));
    }
    let mut f = Fields::open(node, &tables::BODY_EXPECT, "`body`", node.span, report)?;
    let whole = f.optional("json", report, |node, _| json(node)).map(BodyExpect::Json);
    let part = f.optional("json-has", report, |node, _| json(node)).map(BodyExpect::JsonHas);
    let empty = f.optional("empty", report, decode::boolean);
    let texts = matchers(&mut f, Some(keys), report);
    f.finish(report);
    let empty =
        empty.map(|empty| if empty { BodyExpect::Empty } else { BodyExpect::Text(TextExpect(vec![Matcher::Present])) });
    let text = (!texts.is_empty()).then_some(BodyExpect::Text(TextExpect(texts)));
    let mut all = [whole, part, empty, text].into_iter().flatten();
    match (all.next(), all.next()) {
        (Some(one), None) => placed(node, Some(one)),
        (None, _) => {
            if is_empty(node) {
                report.push(bad(node.span, "nothing is expected of the content".to_owned(), TEXT_FIX));
            }
            None
        }
        (Some(_), Some(_)) => {
            let fix = "write one of `json`, `json-has`, `empty`, or what a text has";
            report.push(bad(node.span, "two kinds of content are expected".to_owned(), fix));
            None
        }
    }
}

fn problem(node: &Node, report: &mut Report) -> Option<Spanned<Option<ProblemKind>>> {
    let mut words: Vec<(&str, Option<ProblemKind>)> =
        ProblemKind::ALL.iter().map(|kind| (kind.slug(), Some(*kind))).collect();
    words.push(("none", None));
    placed(node, decode::word(node, &words, report))
}

fn policy(node: &Node, report: &mut Report) -> Option<Spanned<PolicyExpect>> {
    let name = or_none(node, report)?;
    Some(Spanned::new(name.value.map_or(PolicyExpect::None, PolicyExpect::Named), name.span))
}

fn phase(node: &Node, report: &mut Report) -> Option<Spanned<Phase>> {
    const PHASES: [Phase; 10] = [
        Phase::Receive,
        Phase::Route,
        Phase::Guard,
        Phase::Authenticate,
        Phase::Authorize,
        Phase::Limit,
        Phase::LookUp,
        Phase::Forward,
        Phase::Store,
        Phase::Respond,
    ];
    placed(node, decode::word(node, &PHASES.map(|phase| (phase.as_str(), phase)), report))
}

const CACHE: &[(&str, CacheExpect)] = &[
    ("hit", CacheExpect::Hit),
    ("miss", CacheExpect::Miss),
    ("stale", CacheExpect::Stale),
    ("revalidated", CacheExpect::Revalidated),
    ("bypass", CacheExpect::Bypass),
    ("request", CacheExpect::Request),
    ("method", CacheExpect::Method),
    ("none", CacheExpect::None),
];

impl CacheExpect {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        CACHE.iter().find(|(_, expected)| *expected == self).map_or("", |(word, _)| word)
    }
}

fn quotas(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, QuotaExpect)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(node, "a mapping of limits", "write `{burst: {remaining: 3}}`", report);
    };
    let quota = |Entry { key, value }: &Entry| {
        let mut f = Fields::open(value, &tables::QUOTA_EXPECT, format!("quota `{}`", key.value), key.span, report)?;
        let number = |node: &Node, report: &mut Report| placed(node, decode::integer(node, 0, u32::MAX, report));
        let remaining = f.optional("remaining", report, number);
        let limit = f.optional("limit", report, number);
        let reset_s = f.optional("reset", report, seconds);
        f.finish(report);
        if remaining.is_none() && limit.is_none() && reset_s.is_none() {
            report.push(bad(value.span, "nothing is expected of the quota".to_owned(), "write `{remaining: 3}`"));
        }
        Some((key.clone(), QuotaExpect { remaining, limit, reset_s }))
    };
    Some(entries.iter().filter_map(quota).collect())
}

/// A duration of whole seconds, as fields have it.
fn seconds(node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    let duration = decode::quantity(node, &DURATION, report)?;
    if duration.value % 1000 != 0 {
        report.push(bad(duration.span, "the field is in whole seconds".to_owned(), "write it as in `2s`"));
        return None;
    }
    Some(Spanned::new(duration.value / 1000, duration.span))
}

impl UpstreamExpect {
    fn decode(node: &Node, keys: &Keys, report: &mut Report) -> Option<Self> {
        let mut f = Fields::open(node, &tables::UPSTREAM_EXPECT, "`upstream`", node.span, report)?;
        let expect = Self {
            span: node.span,
            called: f.optional("called", report, called),
            name: f.optional("name", report, decode::text),
            method: f.optional("method", report, |node, report| placed(node, method(node, report))),
            path: f.optional("path", report, decode::text),
            query: f.optional("query", report, or_none),
            fields: f.optional("headers", report, |node, r| fields(node, keys, r)).unwrap_or_default(),
            body: f.optional("body", report, |node, report| body(node, keys, report)),
        };
        f.finish(report);
        if is_empty(node) {
            report.push(bad(node.span, "nothing is expected of the upstream".to_owned(), "write `{called: 1}`"));
        }
        Some(expect)
    }

    /// Whether anything but the number of calls is expected.
    #[must_use]
    pub fn looks_inside(&self) -> bool {
        self.name.is_some()
            || self.method.is_some()
            || self.path.is_some()
            || self.query.is_some()
            || !self.fields.is_empty()
            || self.body.is_some()
    }
}

/// `true`, `false`, or a number of calls.
fn called(node: &Node, report: &mut Report) -> Option<Spanned<u32>> {
    match node.value {
        Value::Bool(called) => Some(Spanned::new(u32::from(called), node.span)),
        _ => placed(node, decode::integer(node, 0, 1000, report)),
    }
}
