//! The expectations of a step for responses.

use http::{HeaderName, Method};
use tollgate_core::event::Phase;
use tollgate_core::problem::ProblemKind;

use super::consumer::Keys;
use super::notice::{self, NoticeExpect};
use super::request::{self, scalar};
use super::text::{filled, json};
use super::upstream::method;
use crate::decode::{self, DURATION, Fields};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::model::tables;
use crate::place::{Span, Spanned};
use crate::source::{Entry, Node, Value};

/// The expectation for one response; properties that are not set are not checked.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The place in the file.
    pub span: Span,
    /// The status.
    pub status: Option<Spanned<Vec<StatusExpect>>>,
    /// Expectations for fields of the response.
    pub fields: Vec<FieldExpect>,
    /// The content of the response.
    pub body: Option<Spanned<BodyExpect>>,
    /// The problem type of the response; an inner `None` means that it is not a problem.
    pub problem: Option<Spanned<Option<ProblemKind>>>,
    /// The policy that refused the request.
    pub policy: Option<Spanned<PolicyExpect>>,
    /// The id of the route that matched; an inner `None` means that none matched.
    pub route: Option<Spanned<Option<String>>>,
    /// The phase that ended the exchange.
    pub phase: Option<Spanned<Phase>>,
    /// The authenticated consumer; an inner `None` means that none was authenticated.
    pub consumer: Option<Spanned<Option<String>>>,
    /// Whether a token was admitted although its provider is away.
    pub in_outage: Option<Spanned<bool>>,
    /// The expectation for the request that the upstream received.
    pub upstream: Option<UpstreamExpect>,
    /// The result of the cache look-up.
    pub cache: Option<Spanned<CacheExpect>>,
    /// Whether the response was stored.
    pub stored: Option<Spanned<bool>>,
    /// The expectations for quotas in the RateLimit fields, by policy.
    pub quota: Vec<(Spanned<String>, QuotaExpect)>,
    /// The notices of limits that the gateway sends after the response.
    pub notices: Option<Spanned<Vec<NoticeExpect>>>,
    /// The value of `Retry-After`, in seconds.
    pub retry_after_s: Option<Spanned<u64>>,
    /// The duration of the exchange on the virtual clock, in milliseconds.
    pub duration_ms: Option<Spanned<u64>>,
}

/// A status code, or a class of status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusExpect {
    /// This status code.
    Is(u16),
    /// Any status code with this first digit.
    Class(u16),
}

/// The expectation for one field.
#[derive(Clone, Debug)]
pub struct FieldExpect {
    /// The name of the field.
    pub name: HeaderName,
    /// The place of the name.
    pub span: Span,
    /// The expectation for its value; several lines of a field are one value, joined by commas.
    pub value: TextExpect,
}

/// The expectation for a text: all of these conditions.
#[derive(Clone, Debug)]
pub struct TextExpect(pub Vec<Matcher>);

/// A condition on a text.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// The text equals this.
    Is(String),
    /// The text contains this.
    Contains(String),
    /// A part of the text matches the pattern.
    Matching(Pattern),
    /// The text is present.
    Present,
    /// The text is absent.
    Absent,
}

/// A compiled regular expression.
#[derive(Clone, Debug)]
pub struct Pattern(regex_lite::Regex);

/// The expectation for content.
#[derive(Clone, Debug)]
pub enum BodyExpect {
    /// A text that meets these conditions.
    Text(TextExpect),
    /// JSON with this value.
    Json(serde_json::Value),
    /// JSON with at least these members.
    JsonHas(serde_json::Value),
    /// No content.
    Empty,
}

/// The policy that is expected to have refused the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyExpect {
    /// No policy.
    None,
    /// The policy with this name.
    Named(String),
}

/// The expected result of the cache look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheExpect {
    /// The response came from the cache.
    Hit,
    /// No stored response could be used.
    Miss,
    /// The stored response was stale, and the upstream sent a new one.
    Stale,
    /// The stored response was stale, and the upstream confirmed it with 304.
    Revalidated,
    /// The cache was bypassed because of the request, or because it was unavailable.
    Bypass,
    /// The client requested a new response.
    Request,
    /// Responses to this method are never served from the cache.
    Method,
    /// The route has no cache, or the request ended before the look-up.
    None,
}

/// The expectation for the request that an upstream received.
#[derive(Clone, Debug)]
pub struct UpstreamExpect {
    /// The place in the file.
    pub span: Span,
    /// The number of calls.
    pub called: Option<Spanned<u32>>,
    /// The name of the upstream that was called.
    pub name: Option<Spanned<String>>,
    /// The method of the last call.
    pub method: Option<Spanned<Method>>,
    /// The path of the last call.
    pub path: Option<Spanned<String>>,
    /// The query of the last call; an inner `None` means that it had none.
    pub query: Option<Spanned<Option<String>>>,
    /// The fields of the last call.
    pub fields: Vec<FieldExpect>,
    /// The content of the last call.
    pub body: Option<Spanned<BodyExpect>>,
    /// The secret of the certificate that the gateway presented; an inner `None` means that it presented none.
    pub certificate: Option<Spanned<Option<String>>>,
}

/// The expectation for one quota in the RateLimit fields.
#[derive(Clone, Debug)]
pub struct QuotaExpect {
    /// The remaining quota.
    pub remaining: Option<Spanned<u32>>,
    /// The maximum of the quota.
    pub limit: Option<Spanned<u32>>,
    /// The time until the quota is complete again, in seconds.
    pub reset_s: Option<Spanned<u64>>,
}

impl Pattern {
    /// Whether a part of the text matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// The notation in the file.
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
            in_outage: f.optional("in-outage", report, |node, report| placed(node, decode::boolean(node, report))),
            upstream: f.optional("upstream", report, |node, report| UpstreamExpect::decode(node, keys, report)),
            cache: f.optional("cache", report, |node, report| placed(node, decode::word(node, CACHE, report))),
            stored: f.optional("stored", report, |node, report| placed(node, decode::boolean(node, report))),
            quota: f.optional("quota", report, quotas).unwrap_or_default(),
            notices: f.optional("notices", report, notice::notices),
            retry_after_s: f.optional("retry-after", report, seconds),
            duration_ms: f.optional("duration", report, |n, report| decode::quantity(n, &DURATION, report)),
        };
        f.finish(report);
        if is_empty(node) {
            report.push(bad(
                node.span,
                "the expectation is empty".to_owned(),
                "add a property, such as `{status: 200}`",
            ));
        }
        Some(expect)
    }
}

pub(super) fn bad(at: Span, what: String, fix: &str) -> Diagnostic {
    Diagnostic::error(Code::BadExpectation, at, what).why("no response could be compared with it").fix(fix)
}

fn is_empty(node: &Node) -> bool {
    matches!(&node.value, Value::Map(entries) if entries.is_empty())
}

pub(super) fn placed<T>(node: &Node, value: Option<T>) -> Option<Spanned<T>> {
    value.map(|value| Spanned::new(value, node.span))
}

/// A name, or `none`.
pub(super) fn or_none(node: &Node, report: &mut Report) -> Option<Spanned<Option<String>>> {
    let text = decode::text(node, report)?;
    let value = (text.value != "none").then_some(text.value);
    Some(Spanned::new(value, text.span))
}

/// `200`, `2xx`, or a list of these.
fn status(node: &Node, report: &mut Report) -> Option<Spanned<Vec<StatusExpect>>> {
    let all = match &node.value {
        Value::List(items) if items.is_empty() => {
            report.push(bad(
                node.span,
                "the list of status codes is empty".to_owned(),
                "write a status code, such as `200` or `[200, 304]`",
            ));
            return None;
        }
        Value::List(_) => decode::list(node, report, one_status)?,
        _ => vec![one_status(node, report)?],
    };
    Some(Spanned::new(all, node.span))
}

fn one_status(node: &Node, report: &mut Report) -> Option<StatusExpect> {
    let text = scalar(node, report)?;
    let class = text.value.strip_suffix("xx").and_then(|digit| digit.parse().ok()).filter(|n| (1..=5).contains(n));
    let found = class.map(StatusExpect::Class).or(exact_status(&text.value).map(StatusExpect::Is));
    if found.is_none() {
        report.push(bad(
            text.span,
            format!("`{}` is not a valid status code", text.value),
            "write a status code such as `200`, or a class such as `2xx`",
        ));
    }
    found
}

fn exact_status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (100..=999).contains(status))
}

/// `{200: 1000, 429: 1}`.
pub(super) fn count(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<u16>, u32)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping from status codes to numbers",
            "write a mapping such as `{200: 10, 429: 1}`",
            report,
        );
    };
    let mut counts = Vec::new();
    for Entry { key, value } in entries {
        let Some(status) = exact_status(&key.value) else {
            report.push(bad(
                key.span,
                format!("`{}` is not a valid status code", key.value),
                "write a status code such as `200`",
            ));
            continue;
        };
        let number = decode::integer(value, 0, u32::MAX, report);
        counts.extend(number.map(|number| (Spanned::new(status, key.span), number)));
    }
    Some(counts)
}

fn fields(node: &Node, keys: &Keys, report: &mut Report) -> Option<Vec<FieldExpect>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping from header fields to values",
            "write a mapping such as `{X-Name: value}`",
            report,
        );
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
        report.push(bad(node.span, "the expectation for the text is empty".to_owned(), TEXT_FIX));
    }
    Some(TextExpect(all))
}

const TEXT_FIX: &str = "write a string, or one of `is`, `contains`, `matching`, `present` and `absent`";

fn matchers(f: &mut Fields<'_>, keys: Option<&Keys>, report: &mut Report) -> Vec<Matcher> {
    let is = f.optional("is", report, |n, r| scalar(n, r).and_then(|text| with_keys(&text, keys, r)));
    let contains = f.optional("contains", report, |n, r| scalar(n, r).and_then(|text| with_keys(&text, keys, r)));
    let matching = f.optional("matching", report, pattern);
    let present = f.optional("present", report, decode::boolean);
    let absent = f.optional("absent", report, decode::boolean);
    let is_present = present.or(absent.map(|absent| !absent));
    let presence = is_present.map(|present| if present { Matcher::Present } else { Matcher::Absent });
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
            report.push(bad(
                text.span,
                format!("the regular expression is not valid: {error}"),
                "correct the regular expression",
            ));
            None
        }
    }
}

/// The maximum size of a compiled pattern: some hundred states, so that a file with many patterns cannot exhaust memory.
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
                report.push(bad(node.span, "the expectation for the content is empty".to_owned(), TEXT_FIX));
            }
            None
        }
        (Some(_), Some(_)) => {
            let fix = "keep one of `json`, `json-has` and `empty`, or the conditions on a text";
            report.push(bad(node.span, "several alternatives for the content are set".to_owned(), fix));
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
    /// The notation in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        CACHE.iter().find(|(_, expected)| *expected == self).map_or("", |(word, _)| word)
    }
}

fn quotas(node: &Node, report: &mut Report) -> Option<Vec<(Spanned<String>, QuotaExpect)>> {
    let Value::Map(entries) = &node.value else {
        return decode::mistyped(
            node,
            "a mapping from policies to quotas",
            "write a mapping such as `{burst: {remaining: 3}}`",
            report,
        );
    };
    let quota = |Entry { key, value }: &Entry| {
        let mut f = Fields::open(value, &tables::QUOTA_EXPECT, format!("quota `{}`", key.value), key.span, report)?;
        let number = |node: &Node, report: &mut Report| placed(node, decode::integer(node, 0, u32::MAX, report));
        let remaining = f.optional("remaining", report, number);
        let limit = f.optional("limit", report, number);
        let reset_s = f.optional("reset", report, seconds);
        f.finish(report);
        if remaining.is_none() && limit.is_none() && reset_s.is_none() {
            report.push(bad(
                value.span,
                "the expectation for the quota is empty".to_owned(),
                "add a property, such as `{remaining: 3}`",
            ));
        }
        Some((key.clone(), QuotaExpect { remaining, limit, reset_s }))
    };
    Some(entries.iter().filter_map(quota).collect())
}

/// A duration in whole seconds, as in header fields.
fn seconds(node: &Node, report: &mut Report) -> Option<Spanned<u64>> {
    let duration = decode::quantity(node, &DURATION, report)?;
    if duration.value % 1000 != 0 {
        report.push(bad(
            duration.span,
            "the duration must be in whole seconds, like the header field".to_owned(),
            "write a duration such as `2s`",
        ));
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
            certificate: f.optional("certificate", report, or_none),
        };
        f.finish(report);
        if is_empty(node) {
            report.push(bad(
                node.span,
                "the expectation for the upstream is empty".to_owned(),
                "add a property, such as `{called: 1}`",
            ));
        }
        Some(expect)
    }

    /// Whether it has expectations for a request, and not only for the number of calls.
    #[must_use]
    pub fn checks_request(&self) -> bool {
        self.name.is_some()
            || self.method.is_some()
            || self.path.is_some()
            || self.query.is_some()
            || !self.fields.is_empty()
            || self.body.is_some()
            || self.certificate.is_some()
    }
}

/// `true`, `false`, or a number of calls.
fn called(node: &Node, report: &mut Report) -> Option<Spanned<u32>> {
    match node.value {
        Value::Bool(called) => Some(Spanned::new(u32::from(called), node.span)),
        _ => placed(node, decode::integer(node, 0, 1000, report)),
    }
}
